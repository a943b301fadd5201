from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.model.audit import AuditRecord
from gateway.storage.audit import instant
from tests.storage.making import message, outcome, record, storage

pytestmark = pytest.mark.usefixtures("each_engine")


def test_an_instant_is_utc_with_milliseconds_and_sorts_as_text() -> None:
    moment = datetime(2026, 1, 1, 8, 0, 0, 999999, tzinfo=timezone(timedelta(hours=9)))
    assert instant(moment) == "2025-12-31T23:00:00.999Z"
    assert instant(moment) < instant(datetime(2026, 1, 1, tzinfo=UTC))


def test_records_are_stored_in_order_and_readable_after_the_call(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        query = AuditRecord("110112", "ITI-18", "E", 0, "node", "127.0.0.1", "1^^^&1.2&ISO", "query", "")
        store.audit.record(query, AuditRecord("110106", "ITI-43", "R", 8, "node"))
        with store.engine.connect() as connection:
            rows = connection.execute(text('SELECT event, "transaction", outcome, patient FROM audit ORDER BY n')).all()
    assert [tuple(row) for row in rows] == [("110112", "ITI-18", 0, "1^^^&1.2&ISO"), ("110106", "ITI-43", 8, "")]


def test_a_job_stays_open_until_it_is_finished(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        store.keeping.keep([outcome(message("a", 0, "x"))], record)
        first, second = store.outbox.pending("notify-document", 10)
        assert store.outbox.pending("notify-document", 1) == [first]
        assert store.outbox.pending("other", 10) == []
        store.outbox.fail(first.n)
        assert store.outbox.pending("notify-document", 1)[0].attempts == 1
        store.outbox.finish(first.n)
        assert store.outbox.pending("notify-document", 10) == [second]
