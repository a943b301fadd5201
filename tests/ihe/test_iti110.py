"""ITI-110: a Subscription is created, asked anew, ended and deleted; what is refused, and by which word."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.app import configured
from gateway.model.caller import Caller
from tests.dsubm_parts import DOCUMENTS, FOLDERS, MANY, OF_PATIENT, SETS, Dsubm, notifying, status_of, subscription
from tests.mhd_parts import JSON


@pytest.fixture
def dsubm(tmp_path: Path) -> Iterator[Dsubm]:
    with notifying(tmp_path) as found:
        yield found


def test_a_subscription_is_active_after_its_handshake(dsubm: Dsubm) -> None:
    made = dsubm.subscribe()
    assert made["status"] == "requested" and dsubm.node.audits()[-1][1] == "ITI-110"
    dsubm.run()
    (sent,) = dsubm.consumer.bundles()
    status = status_of(sent)
    assert (status["type"], status["status"], status["events"]) == ("handshake", "requested", [])
    assert sent["type"] == "history" and len(sent["entry"]) == 1
    assert dsubm.shown(made["id"])["status"] == "active"


def test_a_subscription_whose_endpoint_is_silent_is_in_error_and_may_be_asked_anew(dsubm: Dsubm) -> None:
    dsubm.consumer.status_code = 503
    made = dsubm.subscribe()
    for _ in range(4):
        dsubm.run()
        dsubm.later(3600)
    found = dsubm.shown(made["id"])
    assert found["status"] == "error" and found["error"]
    dsubm.consumer.status_code = 200
    body = orjson.dumps({**subscription(), "id": made["id"]})
    dsubm.node.json(f"/Subscription/{made['id']}", method="PUT", body=body, content_type=JSON)
    dsubm.run()
    assert dsubm.shown(made["id"])["status"] == "active" and "error" not in dsubm.shown(made["id"])


def test_off_ends_it_and_says_so(dsubm: Dsubm) -> None:
    id_ = dsubm.active()
    body = orjson.dumps({**subscription(), "id": id_, "status": "off"})
    assert dsubm.node.json(f"/Subscription/{id_}", method="PUT", body=body, content_type=JSON)["status"] == "off"
    dsubm.register(1)
    dsubm.run()
    (sent,) = dsubm.consumer.bundles()
    assert status_of(sent)["status"] == "off" and len(sent["entry"]) == 1


def test_delete(dsubm: Dsubm) -> None:
    id_ = dsubm.active()
    stranger = replace(dsubm.node, caller=Caller(node="other"))
    assert stranger.ask(f"/Subscription/{id_}", method="DELETE").status == 404
    assert dsubm.node.ask(f"/Subscription/{id_}", method="DELETE").status == 204
    assert dsubm.node.ask(f"/Subscription/{id_}").status == 404
    dsubm.register(1)
    dsubm.run()
    assert dsubm.consumer.sent == []


def test_it_ends_at_its_end(dsubm: Dsubm) -> None:
    id_ = dsubm.active(end="2026-01-02T01:00:00Z")
    dsubm.later(3601)
    dsubm.register(1)
    dsubm.run()
    (sent,) = dsubm.consumer.bundles()
    assert status_of(sent)["status"] == "off" and dsubm.shown(id_)["status"] == "off"


def test_xml_both_ways(dsubm: Dsubm) -> None:
    xml = configured.fhir_xml()
    body = xml.render(subscription(payload="application/fhir+xml", content="full-resource"))
    kind = "application/fhir+xml"
    answer = dsubm.node.ask("/Subscription", method="POST", body=body, content_type=kind, accept=kind)
    assert answer.status == 201 and xml.parse(answer.body)["status"] == "requested"
    dsubm.run()
    dsubm.register(1)
    dsubm.run()
    _, data, headers = dsubm.consumer.sent[-1]
    found = xml.parse(data)
    assert headers["Content-Type"] == kind and found["entry"][1]["resource"]["resourceType"] == "DocumentReference"


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"topic": "Weather"}, "criteria"),
        ({"filters": ()}, "patient"),
        ({"filters": (f"Observation?{OF_PATIENT}",)}, "filter criteria"),
        ({"filters": (f"DocumentReference?{OF_PATIENT}&date=2020",)}, "date"),
        ({"filters": (f"DocumentReference?{OF_PATIENT}&_count=1",)}, "no filter"),
        ({"filters": (f"DocumentReference?{OF_PATIENT}&status=superseded",)}, "status"),
        ({"filters": (f"DocumentReference?{OF_PATIENT}", f"DocumentReference?{OF_PATIENT}")}, "patient"),
        ({"filters": ("DocumentReference?patient.identifier=urn:oid:1.2.3|x",)}, "not known"),
        ({"topic": MANY}, "patient"),
        ({"topic": SETS, "filters": (f"List?{OF_PATIENT}",)}, "code"),
        ({"topic": SETS, "filters": (f"List?{OF_PATIENT}&code=folder",)}, "code"),
        ({"topic": FOLDERS, "filters": (f"List?{OF_PATIENT}&code=submissionset",)}, "code"),
        ({"type": "email"}, "rest-hook"),
        ({"endpoint": "http://169.254.169.254/latest"}, "endpoint"),
        ({"endpoint": "file:///etc/passwd"}, "endpoint"),
        ({"endpoint": "http://user@127.0.0.1/x"}, "endpoint"),
        ({"payload": "text/plain"}, "payload"),
        ({"content": "everything"}, "payload content"),
        ({"_payload": {"extension": [{"url": "urn:x", "valueCode": "x"}]}}, "payload content"),
        ({"header": ["Host: other"]}, "header"),
        ({"header": ["no header"]}, "header"),
        ({"header": ["X-A: b\r\nHost: c"]}, ""),
        ({"beat": 1}, "heartbeat"),
        ({"end": "2025-01-01T00:00:00Z"}, "past"),
        ({"state": "off"}, "status"),
    ],
)
def test_what_is_refused(dsubm: Dsubm, more: dict[str, Any], text: str) -> None:
    found = dsubm.subscribe(status=400, **more)
    assert text in found["issue"][0]["diagnostics"]
    assert dsubm.broker.subscriptions.all() == []


def test_headers_go_with_every_notification(dsubm: Dsubm) -> None:
    dsubm.subscribe(header=["Authorization: Bearer secret"])
    dsubm.run()
    assert dsubm.consumer.sent[0][2]["Authorization"] == "Bearer secret"


def test_the_statement_says_what_is_offered(dsubm: Dsubm) -> None:
    (rest,) = dsubm.node.json("/metadata")["rest"]
    offered = {one["type"]: one for one in rest["resource"]}
    words = {one["code"] for one in offered["Subscription"]["interaction"]}
    assert words == {"create", "update", "delete", "read", "search-type"}
    assert {one["name"] for one in offered["Subscription"]["operation"]} == {"status", "events"}
    assert "Basic" in offered


def test_the_id_of_the_body_is_the_one_of_the_address(dsubm: Dsubm) -> None:
    id_ = dsubm.active()
    for body in (subscription(), {**subscription(), "id": "other"}):
        answer = dsubm.node.ask(f"/Subscription/{id_}", method="PUT", body=orjson.dumps(body), content_type=JSON)
        assert answer.status == 400
    assert dsubm.broker.subscriptions.all()[0].topic.endswith(DOCUMENTS)
