"""ITI-113: one's own subscriptions are found by every parameter; $status and $events say what was told."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from gateway.model.caller import Caller
from tests.dsubm_parts import DOCUMENTS, ENDPOINT, MANY, TOPICS_AT, Dsubm, notifying, status_of
from tests.mhd_parts import JSON


@pytest.fixture
def dsubm(tmp_path: Path) -> Iterator[Dsubm]:
    with notifying(tmp_path) as found:
        yield found


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 2),
        ("status=active", 2),
        ("status=off", 0),
        (f"topic={TOPICS_AT}{MANY}", 1),
        (f"criteria={TOPICS_AT}{DOCUMENTS}", 1),
        (f"url={ENDPOINT}", 2),
        ("url=http://other", 0),
        ("filter-criteria=documentreference?patient", 1),
        ("payload-type=id-only", 2),
        ("payload-type=empty,full-resource", 0),
        ("type=rest-hook", 2),
        ("_id=x", 0),
    ],
)
def test_search(dsubm: Dsubm, query: str, count: int) -> None:
    dsubm.active()
    dsubm.active(topic=MANY, filters=())
    assert len(dsubm.node.matches("/Subscription", query)) == count
    assert replace(dsubm.node, caller=Caller(node="other")).matches("/Subscription", query) == []


def test_pages(dsubm: Dsubm) -> None:
    made = {dsubm.subscribe()["id"] for _ in range(3)}
    first = dsubm.node.json("/Subscription", "_count=2")
    assert first["total"] == 3 and len(first["entry"]) == 2
    (next_,) = [one["url"].partition("?")[2] for one in first["link"] if one["relation"] == "next"]
    rest = dsubm.node.json("/Subscription", next_)
    assert {one["resource"]["id"] for page in (first, rest) for one in page["entry"]} == made


def test_status(dsubm: Dsubm) -> None:
    one, other = dsubm.active(), dsubm.active(topic=MANY, filters=())
    dsubm.register(1)
    dsubm.run()
    found = dsubm.node.json(f"/Subscription/{one}/$status")
    assert found["type"] == "searchset" and status_of(found)["type"] == "query-status"
    assert status_of(found)["events-since-subscription-start"] == "1"
    assert dsubm.node.json("/Subscription/$status")["total"] == 2
    assert dsubm.node.json("/Subscription/$status", f"id={other}")["total"] == 1
    assert dsubm.node.json("/Subscription/$status", "status=off")["total"] == 0
    body = orjson.dumps({"resourceType": "Parameters", "parameter": [{"name": "id", "valueId": one}]})
    assert dsubm.node.json("/Subscription/$status", method="POST", body=body, content_type=JSON)["total"] == 1
    assert replace(dsubm.node, caller=Caller(node="other")).ask(f"/Subscription/{one}/$status").status == 404


def test_events(dsubm: Dsubm) -> None:
    id_ = dsubm.active(content="empty")
    for number in (1, 2, 3):
        dsubm.register(number)
    dsubm.run()
    path = f"/Subscription/{id_}/$events"
    found = status_of(dsubm.node.json(path))
    assert found["type"] == "query-event" and [one["event-number"] for one in found["events"]] == ["1", "2", "3"]
    some = dsubm.node.json(path, "eventsSinceNumber=2&eventsUntilNumber=2&content=full-resource")
    assert [one["event-number"] for one in status_of(some)["events"]] == ["2"]
    assert some["type"] == "history" and some["entry"][1]["resource"]["resourceType"] == "DocumentReference"
    assert status_of(dsubm.node.json(path, "eventsSinceNumber=9"))["events"] == []
    for query in ("eventsSinceNumber=x", "content=all", "content=empty&content=empty"):
        dsubm.node.json(path, query, status=400)
