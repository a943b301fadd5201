"""ITI-112: what an endpoint is told of new documents, submissions and folders, in the payload it asked for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.app import configured
from gateway.errors import Unavailable
from gateway.model.caller import Scope
from gateway.services.broker import ATTEMPTS
from tests.dsubm_parts import ENDPOINT, FOLDERS, MANY, OF_PATIENT, SETS, Dsubm, notifying, status_of
from tests.mhd_parts import BASE

TYPE = "http://loinc.org|57133-1"


@pytest.fixture
def dsubm(tmp_path: Path) -> Iterator[Dsubm]:
    with notifying(tmp_path) as found:
        yield found


@pytest.mark.parametrize(("content", "entries", "whole"), [("empty", 0, False), ("id-only", 1, False), ("full-resource", 1, True)])  # fmt: skip
def test_payloads(dsubm: Dsubm, content: str, entries: int, whole: bool) -> None:
    id_ = dsubm.active(content=content)
    dsubm.register(1)
    dsubm.run()
    assert dsubm.consumer.sent[0][0] == ENDPOINT
    (sent,) = dsubm.consumer.bundles()
    status = status_of(sent)
    assert status["type"] == "event-notification" and status["events-since-subscription-start"] == "1"
    assert status["subscription"] == f"{BASE}/Subscription/{id_}"
    (event,) = status["events"]
    assert event["event-number"] == "1" and ("focus" in event) == (content != "empty")
    more = sent["entry"][1:]
    assert len(more) == entries and all(("resource" in one) == whole for one in more)
    assert all(one["fullUrl"] == event["focus"] for one in more)
    assert all("request" in one and "response" in one for one in sent["entry"])
    if entries:
        read = dsubm.node.json(event["focus"].removeprefix(BASE))
        assert not whole or read == more[0]["resource"]


@pytest.mark.parametrize(
    ("topic", "query", "told"),
    [
        (MANY, "", 1),
        (MANY, f"DocumentReference?type={TYPE}", 1),
        (MANY, "DocumentReference?type=http://loinc.org|1-1", 0),
        (MANY, f"DocumentReference?type=http://loinc.org|1-1,{TYPE}", 1),
        (MANY, "DocumentReference?author.family=nobody", 0),
        (SETS, f"List?code=submissionset&{OF_PATIENT}", 1),
        (SETS, f"List?code=submissionset&{OF_PATIENT}&sourceId=urn:oid:1.2.3.4.5.6.7.8", 0),
        (FOLDERS, f"List?code=folder&{OF_PATIENT}", 0),
    ],
)
def test_filters(dsubm: Dsubm, topic: str, query: str, told: int) -> None:
    dsubm.active(topic=topic, filters=(query,) if query else (), content="full-resource")
    dsubm.register(1)
    dsubm.run()
    found = dsubm.consumer.bundles()
    assert len(found) == told
    if topic == SETS and told:
        assert found[0]["entry"][1]["resource"]["resourceType"] == "List"


def test_the_family_name_of_an_author(dsubm: Dsubm) -> None:
    dsubm.active(topic=MANY, filters=(), content="full-resource")
    dsubm.register(1)
    dsubm.run()
    (sent,) = dsubm.consumer.bundles()
    names = _families(sent["entry"][1]["resource"])
    assert names
    dsubm.active(topic=MANY, filters=(f"DocumentReference?author.family={names[0][:1]}",))
    dsubm.register(2)
    dsubm.run()
    assert len(dsubm.consumer.bundles()) == 2


def test_heartbeats_are_sent_into_silence(dsubm: Dsubm) -> None:
    dsubm.active(beat=60)
    dsubm.later(59)
    dsubm.run()
    assert dsubm.consumer.bundles() == []
    for _ in range(3):
        dsubm.later(60)
        dsubm.run()
    assert [status_of(one)["type"] for one in dsubm.consumer.bundles()] == ["heartbeat"] * 3


def test_an_endpoint_that_stays_away_puts_it_in_error_and_nothing_is_lost(dsubm: Dsubm) -> None:
    id_ = dsubm.active()
    dsubm.consumer.status_code = 503
    for number in (1, 2):
        dsubm.register(number)
    for _ in range(ATTEMPTS + 1):
        dsubm.run()
        dsubm.later(3600)
    assert dsubm.shown(id_)["status"] == "error"
    parked = dsubm.broker.subscriptions.parked()
    assert [one.number for one in parked] == [1, 2]
    dsubm.consumer.status_code = 200
    dsubm.consumer.sent.clear()
    for one in parked:
        assert dsubm.broker.subscriptions.requeue(one.n)
    dsubm.run()
    sent = [status_of(one) for one in dsubm.consumer.bundles()]
    assert [one["events"][0]["event-number"] for one in sent] == ["1", "2"]
    assert dsubm.shown(id_)["status"] == "active"


def test_sent_again_after_a_crash_with_the_same_id(dsubm: Dsubm, monkeypatch: pytest.MonkeyPatch) -> None:
    dsubm.active()
    dsubm.register(1)

    def crash(self: Any, n: int) -> None:
        raise Unavailable("the process ends here")

    with monkeypatch.context() as patch:
        patch.setattr(type(dsubm.broker.subscriptions), "delivered", crash)
        with pytest.raises(Unavailable):
            dsubm.broker.run_once()
    dsubm.run()
    first, again = dsubm.consumer.bundles()
    assert first == again


def test_what_the_subscriber_may_not_see_is_not_told(dsubm: Dsubm) -> None:
    dsubm.active(content="full-resource")
    dsubm.broker.scope_of = lambda caller, transaction: Scope(frozenset(), None)
    dsubm.register(1)
    dsubm.run()
    assert dsubm.consumer.bundles() == []


def _families(resource: dict[str, Any]) -> list[str]:
    return [name["family"] for one in resource.get("contained", ()) for name in one.get("name", ()) if "family" in name]


@pytest.mark.parametrize("content", ["empty", "id-only", "full-resource"])
def test_what_is_sent_and_answered_is_fhir(dsubm: Dsubm, content: str) -> None:
    id_ = dsubm.subscribe(content=content, beat=60)["id"]
    dsubm.run()
    dsubm.register(1)
    dsubm.run()
    dsubm.later(60)
    dsubm.run()
    sent = dsubm.consumer.bundles()
    assert [status_of(one)["type"] for one in sent] == ["handshake", "event-notification", "heartbeat"]
    answers = ("/Subscription", f"/Subscription/{id_}", f"/Subscription/{id_}/$status", f"/Subscription/{id_}/$events")
    for made in (*sent, *map(dsubm.node.json, (*answers, "/Basic"))):
        found = [one for one in configured.validator().check(made) if one.severity in ("error", "fatal")]
        assert found == [], (made["resourceType"], found[:3])
