"""Subscriptions and their queue as tables, on both engines: states, numbers, order, what is kept."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import app
from gateway.model.document import CodeFilter
from gateway.model.subscription import Event, Filter, Subscription
from gateway.ports import Subscriptions
from gateway.storage.subscriptions import KEPT
from tests.mhd_parts import settings

pytestmark = pytest.mark.usefixtures("each_engine")
FILTER = Filter(
    "document", "1^^^&1.2&ISO", (("typeCode", CodeFilter((("a", "b"), ("c", "")))),), ("%x%",), (("r",),), ("1.2",),
    ((2, ("山", "川")),), ("urn:uuid:x",),
)  # fmt: skip
ONE = Subscription("one", "fhir", "active", "topic", FILTER, "http://a", "empty", "node", "2026", heartbeat_s=60)
OTHER = replace(ONE, id="other", face="dsub", address="http://b")
NOW = "9"


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Subscriptions]:
    with app.storage(settings(tmp_path)) as parts:
        yield parts.subscriptions


def test_what_is_stored_comes_back(table: Subscriptions) -> None:
    table.add(ONE)
    assert table.get("one") == ONE and table.get("none") is None and table.all("dsub") == []
    changed = replace(ONE, status="error", error="why", expires="2027")
    table.change(changed)
    assert table.all("fhir") == [changed]
    table.remove("one")
    assert table.all() == []


def test_events_have_numbers_and_keep_their_order(table: Subscriptions) -> None:
    table.add(ONE, Event("one", "handshake"))
    table.queue((), [Event("one", object="a"), Event("nobody", object="x"), Event("one", object="b")])
    found = []
    while due := table.due(NOW, 10):
        (first,) = due
        found.append((first.happening, first.number, first.object))
        table.delivered(first.n)
    assert found == [("handshake", 0, ""), ("event", 1, "a"), ("event", 2, "b")]
    assert [one.object for one in table.since("one", 1, 9)] == ["a", "b"]
    assert [one.object for one in table.since("one", 2, 2)] == ["b"]
    known = table.get("one")
    assert known is not None and known.events == 2 and table.youngest("one") and not table.youngest("x")


def test_who_waits_holds_up_nobody_else(table: Subscriptions) -> None:
    table.add(ONE)
    table.add(OTHER)
    table.queue((), [*(Event("one", object=str(n)) for n in range(300)), Event("other", object="x")])
    first, other = table.due(NOW, 200)
    assert (first.subscription, other.subscription) == ("one", "other")
    table.failed(first.n, "99", parked=False)
    assert [one.subscription for one in table.due(NOW, 200)] == ["other"]
    assert table.due("991", 1)[0].attempts == 1


def test_parked(table: Subscriptions) -> None:
    table.add(ONE)
    table.queue((), [Event("one", object=str(n)) for n in range(3)])
    (first,) = table.due(NOW, 9)
    table.failed(first.n, "", parked=True)
    table.stop("one")
    parked = table.parked()
    assert [one.object for one in parked] == ["0", "1", "2"] and table.due(NOW, 9) == []
    assert table.drop(parked[1].n) and not table.drop(parked[1].n) and not table.requeue(parked[1].n)
    assert table.requeue(first.n) and not table.requeue(first.n) and not table.drop(first.n)
    assert table.due(NOW, 9)[0].attempts == 0
    assert table.counts() == {"open": 1, "held": 0, "parked": 1}


def test_pull_points_hold(table: Subscriptions) -> None:
    table.add(replace(OTHER, address="pull-point:p"))
    table.queue((), [Event("other", object="a"), Event("other", published=b"<x/>")])
    assert table.due(NOW, 9) == [] and table.counts()["held"] == 2
    first, second = table.held(["other"], 9)
    assert (first.object, second.published) == ("a", b"<x/>") and table.held(["other"], 1) == [first]


def test_old_ones_go(table: Subscriptions) -> None:
    table.add(ONE, Event("one", "handshake"), Event("one", "heartbeat"), Event("one", "heartbeat"))
    table.queue((), [Event("one", object=str(n)) for n in range(KEPT + 5)])
    while due := table.due(NOW, 9):
        table.delivered(due[0].n)
    assert len(table.since("one", 0, 9999)) == KEPT
    table.queue((), [Event("one", "heartbeat")])
    table.delivered(table.due(NOW, 9)[0].n)
    assert len(table.since("one", 0, 9999)) == KEPT
