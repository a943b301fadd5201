"""A node whose FHIR subscribers are a function that remembers what it was sent."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from gateway import app
from gateway.ihe import iti53, iti112
from gateway.ihe._dsubm import CONTENT, FILTER, HEARTBEAT, TOPICS_AT, DsubmServices
from gateway.model.clock import Clock
from gateway.services.broker import Broker
from tests.mhd_parts import BASE, FACILITY, JSON, TARO, Face, face
from tests.provide_parts import BINARY, DOCUMENT, SET, binary, bundle, entry, reference, submission_set

ENDPOINT = "http://127.0.0.1:9999/fhir"
OF_PATIENT = f"patient.identifier=urn:oid:{FACILITY}|{TARO}"
DOCUMENTS = "DSUBm-SubscriptionTopic-DocumentReference-PatientDependent"
MANY = "DSUBm-SubscriptionTopic-DocumentReference-MultiPatient"
SETS = "DSUBm-SubscriptionTopic-SubmissionSet-PatientDependent"
FOLDERS = "DSUBm-SubscriptionTopic-Basic-Folder-Subscription"


@dataclass
class Consumer:
    """What we use of requests.Session."""

    status_code: int = 200
    sent: list[tuple[str, bytes, dict[str, str]]] = field(default_factory=list)

    def post(self, url: str, *, data: bytes, headers: dict[str, str], **rest: Any) -> "Consumer":
        self.sent.append((url, data, headers))
        return self

    def __enter__(self) -> "Consumer":
        return self

    def __exit__(self, *rest: object) -> None: ...

    def bundles(self) -> list[dict[str, Any]]:
        """What came since the last call."""
        found = [orjson.loads(data) for _, data, _ in self.sent]
        self.sent.clear()
        return found


@dataclass
class Dsubm:
    node: Face
    broker: Broker
    consumer: Consumer
    time: list[datetime]

    def subscribe(self, *, status: int = 201, **more: Any) -> dict[str, Any]:
        body = orjson.dumps(subscription(**more))
        return self.node.json("/Subscription", status=status, method="POST", body=body, content_type=JSON)

    def active(self, **more: Any) -> str:
        """Id of a subscription that took its handshake."""
        id_: str = self.subscribe(**more)["id"]
        self.broker.run_once()
        self.consumer.sent.clear()
        return id_

    def shown(self, id_: str) -> dict[str, Any]:
        return self.node.json(f"/Subscription/{id_}")

    def register(self, number: int, **more: Any) -> None:
        sent = bundle(
            entry(SET, submission_set(number)), entry(DOCUMENT, reference(number, **more)), entry(BINARY, binary())
        )
        answer = self.node.ask("/", method="POST", body=orjson.dumps(sent), content_type=JSON)
        assert answer.status == 200, answer.body

    def run(self) -> None:
        while self.broker.run_once():
            pass

    def later(self, seconds: float) -> None:
        self.time[0] += timedelta(seconds=seconds)


def subscription(
    topic: str = DOCUMENTS, filters: tuple[str, ...] | None = None, content: str = "id-only", beat: int = 0, **channel: Any
) -> dict[str, Any]:  # fmt: skip
    filters = (f"DocumentReference?{OF_PATIENT}",) if filters is None else filters
    end = {{"state": "status"}.get(name, name): channel.pop(name) for name in ("end", "state") if name in channel}
    made: dict[str, Any] = {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "test",
        "criteria": TOPICS_AT + topic,
        "channel": {
            "type": "rest-hook",
            "endpoint": ENDPOINT,
            "payload": JSON,
            "_payload": {"extension": [{"url": CONTENT, "valueCode": content}]},
            **channel,
        },
        **end,
    }
    if filters:
        made["_criteria"] = {"extension": [{"url": FILTER, "valueString": one} for one in filters]}
    if beat:
        made["channel"]["extension"] = [{"url": HEARTBEAT, "valueUnsignedInt": beat}]
    return made


def status_of(sent: dict[str, Any]) -> dict[str, Any]:
    """name -> value of the first entry of a notification; of a notification-event a list of dicts."""
    found: dict[str, Any] = {"events": []}
    for one in sent["entry"][0]["resource"]["parameter"]:
        if one["name"] == "notification-event":
            found["events"].append({part["name"]: _value(part) for part in one["part"]})
        else:
            found[one["name"]] = _value(one)
    return found


def _value(parameter: dict[str, Any]) -> Any:
    value = next(value for name, value in parameter.items() if name.startswith("value"))
    return value["reference"] if isinstance(value, dict) else value


@contextmanager
def notifying(folder: Path, **more: Any) -> Iterator[Dsubm]:
    time = [datetime(2026, 1, 2, tzinfo=UTC)]
    clock = Clock(lambda: time[0])
    with face(folder, "ADT-00", clock=clock, **more) as node:
        made = app.Node(node.settings, node.parts, clock)
        broker, consumer = made.broker(), Consumer()
        services = DsubmServices(broker, made.mhd(made.persons(), made._search_rules(), b""))
        send = {
            "dsub": iti53.sender(consumer, broker.base, ""),  # type: ignore[arg-type]
            "fhir": iti112.sender(consumer, services, BASE),  # type: ignore[arg-type]
        }
        broker = replace(broker, send=send)
        broker.fan_out()  # what came as files
        yield Dsubm(node, broker, consumer, time)
