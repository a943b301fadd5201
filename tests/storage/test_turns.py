from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.model.clock import Clock
from gateway.storage.turns import TURN_S, TurnTable
from tests.storage.making import storage

pytestmark = pytest.mark.usefixtures("each_engine")


def test_one_process_has_a_queue_and_another_takes_it_over_when_it_is_silent(tmp_path: Path) -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)
    clock = Clock(now=lambda: now)
    with storage(tmp_path) as store:
        one, other = (TurnTable(store.writer, clock, owner) for owner in ("one", "other"))
        assert one.mine("notify") and not other.mine("notify")
        assert other.mine("another queue")
        now += timedelta(seconds=TURN_S - 1)
        assert one.mine("notify") and not other.mine("notify"), "who asks keeps it"
        now += timedelta(seconds=TURN_S + 1)
        assert other.mine("notify") and not one.mine("notify")
