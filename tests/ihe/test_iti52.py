"""DSUB end to end: subscribe (ITI-52), a document is registered, the consumer is notified (ITI-53), publish (ITI-54), pull
points (ITI-69, 70), and everything that is refused. A consumer is a function that remembers what it was sent."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from lxml import etree

from gateway import app, ihe
from gateway.codec import soap
from gateway.errors import Forbidden
from gateway.ihe import iti53
from gateway.ihe._dsub import ACTIONS, NOTIFY, SIMPLE, WSNT, DsubServices
from gateway.model.caller import UNRESTRICTED, Caller, Scope
from gateway.model.clock import Clock
from gateway.services.broker import ATTEMPTS, Broker
from tests.mhd_parts import DOMAIN, FACILITY, JSON, TARO, Face, face
from tests.provide_parts import BINARY, DOCUMENT, SET, binary, bundle, entry, reference, submission_set

CONSUMER = "http://127.0.0.1:9999/consumer"
DOCUMENTS = "urn:uuid:aa2332d0-f8fe-11e0-be50-0800200c9a66"
MANY = "urn:uuid:742790e0-aba6-43d6-9f1f-e43ed9790b79"
SETS = "urn:uuid:fbede94e-dbdc-4f6b-bc1f-d730e677cece"
PATIENT = f"{TARO}^^^&{FACILITY}&ISO"
RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"


@dataclass
class Consumer:
    """What we use of requests.Session."""

    status: int = 202
    sent: list[tuple[str, bytes]] = field(default_factory=list)

    def post(self, url: str, *, data: bytes, **rest: Any) -> "Consumer":
        self.sent.append((url, data))
        return self

    @property
    def status_code(self) -> int:
        return self.status

    def __enter__(self) -> "Consumer":
        return self

    def __exit__(self, *rest: object) -> None: ...


@dataclass
class Dsub:
    node: Face
    broker: Broker
    consumer: Consumer
    time: list[datetime]
    caller: Caller = field(default_factory=lambda: Caller(node="a"))

    def ask(self, action: str, body: str, to: str = "http://x/dsub") -> tuple[int, etree._Element | None]:
        services = DsubServices(self.broker, self.node.parts.audit, lambda caller, transaction: UNRESTRICTED)
        data = soap.request(action, "urn:uuid:00000000-0000-4000-8000-000000000001", to, body.encode())
        answer = ihe.dispatch("/dsub", soap.MEDIA_TYPE, io.BytesIO(data), services, self.caller)
        content = b"".join(answer.body)
        return answer.status, etree.fromstring(content) if content else None

    def subscribe(self, status: int = 200, **more: Any) -> etree._Element:
        found, answer = self.ask(f"{ACTIONS}NotificationProducer/SubscribeRequest", subscribe(**more))
        assert answer is not None and found == status, answer
        return answer

    def register(self, number: int, **more: Any) -> None:
        sent = bundle(
            entry(SET, submission_set(number)), entry(DOCUMENT, reference(number, **more)), entry(BINARY, binary())
        )
        answer = self.node.ask("/", method="POST", body=orjson.dumps(sent), content_type=JSON)
        assert answer.status == 200, answer.body

    def later(self, seconds: float) -> None:
        self.time[0] += timedelta(seconds=seconds)


def subscribe(
    topic: str = "ihe:FullDocumentEntry", query: str = DOCUMENTS, slots: str | None = None, to: str = CONSUMER,
    end: str = "", dialect: str = SIMPLE,
) -> str:  # fmt: skip
    if slots is None:
        slots = slot("$XDSDocumentEntryPatientId", f"'{PATIENT}'")
    ending = f"<wsnt:InitialTerminationTime>{end}</wsnt:InitialTerminationTime>" if end else ""
    return (
        f'<wsnt:Subscribe xmlns:wsnt="{WSNT}" xmlns:a="http://www.w3.org/2005/08/addressing" xmlns:rim="{RIM}"'
        f' xmlns:ihe="urn:ihe:iti:dsub:2009"><wsnt:ConsumerReference><a:Address>{to}</a:Address></wsnt:ConsumerReference>'
        f'<wsnt:Filter><wsnt:TopicExpression Dialect="{dialect}">{topic}</wsnt:TopicExpression>'
        f'<rim:AdhocQuery id="{query}">{slots}</rim:AdhocQuery></wsnt:Filter>{ending}</wsnt:Subscribe>'
    )


def slot(name: str, value: str) -> str:
    return f'<rim:Slot name="{name}"><rim:ValueList><rim:Value>{value.replace("&", "&amp;")}</rim:Value></rim:ValueList></rim:Slot>'


def text(answer: etree._Element, name: str) -> str:
    found = answer.find(f".//{{*}}{name}")
    return "" if found is None else (found.text or "")


@contextmanager
def notifying(tmp_path: Path) -> Iterator[Dsub]:
    time = [datetime(2026, 1, 2, tzinfo=UTC)]
    with face(tmp_path, "ADT-00", clock=Clock(lambda: time[0])) as node:
        made = app.Node(node.settings, node.parts, Clock(lambda: time[0])).broker()
        consumer = Consumer()
        send = iti53.sender(consumer, made.base, "urn:oid:1.2.3")  # type: ignore[arg-type]
        broker = replace(made, send={"dsub": send})
        broker.fan_out()  # what came as files
        yield Dsub(node, broker, consumer, time)


@pytest.fixture
def dsub(tmp_path: Path) -> Iterator[Dsub]:
    with notifying(tmp_path) as found:
        yield found


def test_who_subscribed_is_told_and_nobody_else(dsub: Dsub) -> None:
    dsub.subscribe()
    dsub.subscribe(slots=slot("$XDSDocumentEntryPatientId", f"'0001000111^^^&{FACILITY}&ISO'"))
    dsub.register(1)
    assert dsub.broker.run_once()
    ((url, data),) = dsub.consumer.sent
    message = etree.fromstring(data)
    assert url == CONSUMER and text(message, "Action") == NOTIFY and text(message, "Topic") == "ihe:FullDocumentEntry"
    (found,) = message.iterfind(f".//{{{RIM}}}ExtrinsicObject")
    assert f"{DOMAIN}&amp;ISO" in etree.tostring(found).decode() and not dsub.broker.run_once()
    assert dsub.node.audits()[-1][:4] == ("110106", "ITI-53", "R", 0)


def test_minimal_notifications_hold_a_reference_alone(dsub: Dsub) -> None:
    dsub.subscribe(topic="ihe:MinimalDocumentEntry")
    dsub.register(1)
    dsub.broker.run_once()
    data = dsub.consumer.sent[0][1]
    assert b"ObjectRef" in data and b"ExtrinsicObject" not in data


@pytest.mark.parametrize(
    ("slots", "told"),
    [
        (slot("$XDSDocumentEntryTypeCode", "('57133-1^^2.16.840.1.113883.6.1')"), 1),
        (slot("$XDSDocumentEntryTypeCode", "('18842-5^^2.16.840.1.113883.6.1')"), 0),
        (slot("$XDSDocumentEntryTypeCode", "('57133-1^^2.16.840.1.113883.6.1')") + slot("$XDSDocumentEntryConfidentialityCode", "('R^^2.16.840.1.113883.5.25')"), 0),
        (slot("$XDSDocumentEntryClassCode", "('57133-1^^2.16.840.1.113883.6.1')") + slot("$XDSDocumentEntryAuthorPerson", "('%医師%')"), 1),
        (slot("$XDSDocumentEntryClassCode", "('57133-1^^2.16.840.1.113883.6.1')") + slot("$XDSDocumentEntryAuthorPerson", "('%他人%')"), 0),
    ],
)  # fmt: skip
def test_filters_of_many_patients(dsub: Dsub, slots: str, told: int) -> None:
    dsub.subscribe(query=MANY, slots=slots)
    dsub.register(1)
    dsub.broker.run_once()
    assert len(dsub.consumer.sent) == told


def test_submission_sets(dsub: Dsub) -> None:
    dsub.subscribe(
        topic="ihe:SubmissionSetMetadata", query=SETS, slots=slot("$XDSSubmissionSetPatientId", f"'{PATIENT}'")
    )
    dsub.register(1)
    dsub.broker.run_once()
    assert b"RegistryPackage" in dsub.consumer.sent[0][1]


def test_a_subscription_ends(dsub: Dsub) -> None:
    reference_ = text(dsub.subscribe(), "Address")
    other = replace(dsub, caller=Caller(node="b"))
    unsubscribe = f'<wsnt:Unsubscribe xmlns:wsnt="{WSNT}"/>'
    action = f"{ACTIONS}SubscriptionManager/UnsubscribeRequest"
    status, fault = other.ask(action, unsubscribe, reference_)
    assert fault is not None and status == 500 and fault.find(".//{*}UnableToDestroySubscriptionFault") is not None
    assert dsub.ask(action, unsubscribe, reference_)[0] == 200
    dsub.register(1)
    dsub.broker.run_once()
    assert dsub.consumer.sent == []


@pytest.mark.parametrize(
    ("asked", "end"),
    [
        ("2026-01-02T10:00:00+09:00", "2026-01-02T01:00:00.000Z"),
        ("PT1H", "2026-01-02T01:00:00.000Z"),
        ("P1DT0.5S", "2026-01-03T00:00:00.500Z"),
        ("P1M", "2026-02-01T00:00:00.000Z"),
        ("P999999Y", "2027-01-03T00:00:00.000Z"),
        ("2099-01-01T00:00:00Z", "2027-01-03T00:00:00.000Z"),
    ],
)
def test_the_end_is_a_time_or_a_duration(dsub: Dsub, asked: str, end: str) -> None:
    assert text(dsub.subscribe(end=asked), "TerminationTime") == end


def test_renewed(dsub: Dsub) -> None:
    reference_ = text(dsub.subscribe(end="PT1H"), "Address")
    action = f"{ACTIONS}SubscriptionManager/RenewRequest"
    body = f'<wsnt:Renew xmlns:wsnt="{WSNT}"><wsnt:TerminationTime>%s</wsnt:TerminationTime></wsnt:Renew>'
    status, answer = dsub.ask(action, body % "PT2H", reference_)
    assert answer is not None and status == 200 and text(answer, "TerminationTime") == "2026-01-02T02:00:00.000Z"
    dsub.later(3601)
    dsub.register(1)
    dsub.broker.run_once()
    assert len(dsub.consumer.sent) == 1
    for sent, to, name in (
        ("soon", reference_, "UnacceptableTerminationTimeFault"),
        ("PT1H", "http://x/dsub", "ResourceUnknownFault"),
    ):
        status, answer = dsub.ask(action, body % sent, to)
        assert answer is not None and status == 500 and answer.find(f".//{{*}}{name}") is not None


def test_a_subscription_expires(dsub: Dsub) -> None:
    assert text(dsub.subscribe(end="2026-01-02T01:00:00Z"), "TerminationTime") == "2026-01-02T01:00:00.000Z"
    dsub.later(3601)
    dsub.register(1)
    dsub.broker.run_once()
    assert dsub.consumer.sent == [] and dsub.broker.subscriptions.all() == []


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({"topic": "ihe:Weather"}, "TopicNotSupportedFault"),
        ({"topic": "x"}, "TopicNotSupportedFault"),
        ({"topic": "wsnt:FullDocumentEntry"}, "TopicNotSupportedFault"),
        ({"topic": "nobody:FullDocumentEntry"}, "InvalidTopicExpressionFault"),
        ({"topic": "ihe:Full/Entry"}, "InvalidTopicExpressionFault"),
        ({"topic": ""}, "InvalidTopicExpressionFault"),
        ({"end": "P"}, "UnacceptableInitialTerminationTimeFault"),
        ({"end": "PT0S"}, "UnacceptableInitialTerminationTimeFault"),
        ({"end": "-P1D"}, "UnacceptableInitialTerminationTimeFault"),
        ({"dialect": "urn:x"}, "TopicExpressionDialectUnknownFault"),
        ({"query": "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"}, "InvalidFilterFault"),
        ({"query": SETS}, "InvalidFilterFault"),
        ({"slots": ""}, "InvalidFilterFault"),
        ({"query": MANY}, "InvalidFilterFault"),
        ({"end": "2025-12-31T00:00:00Z"}, "UnacceptableInitialTerminationTimeFault"),
        ({"end": "soon"}, "UnacceptableInitialTerminationTimeFault"),
        ({"to": "http://169.254.169.254/latest"}, "SubscribeCreationFailedFault"),
        ({"to": "file:///etc/passwd"}, "SubscribeCreationFailedFault"),
        ({"to": "http://127.0.0.1:8080/dsub?pullpoint=00000000-0000-4000-8000-000000000000"}, "SubscribeCreationFailedFault"),
    ],
)  # fmt: skip
def test_faults_by_their_names(dsub: Dsub, more: dict[str, str], name: str) -> None:
    fault = dsub.subscribe(status=500, **more)
    assert fault.find(f".//{{{WSNT}}}{name}") is not None, etree.tostring(fault)
    assert dsub.broker.subscriptions.all() == [] and dsub.consumer.sent == []


def test_who_is_away_is_asked_again_and_then_parked(dsub: Dsub) -> None:
    dsub.subscribe()
    dsub.register(1)
    dsub.register(2, data=binary()["data"].encode()[:0] or b"%PDF-1.4\nhello\n")
    dsub.consumer.status = 503
    tries = 0
    for _ in range(100):
        dsub.broker.run_once()
        dsub.later(10)
    tries = len(dsub.consumer.sent)
    assert 1 < tries <= ATTEMPTS and dsub.broker.subscriptions.parked() == []  # back-off: not a hundred
    for _ in range(ATTEMPTS):
        dsub.later(3600)
        dsub.broker.run_once()
    first = dsub.broker.subscriptions.parked()[0]
    assert first.attempts == ATTEMPTS
    dsub.consumer.status = 202
    dsub.later(3600)
    dsub.broker.run_once()
    assert dsub.broker.subscriptions.requeue(first.n) and dsub.broker.run_once()
    assert dsub.broker.subscriptions.counts()["open"] == 0


def test_a_refusal_is_parked_sooner(dsub: Dsub) -> None:
    dsub.subscribe()
    dsub.register(1)
    dsub.consumer.status = 403
    for _ in range(5):
        dsub.broker.run_once()
        dsub.later(3600)
    assert len(dsub.consumer.sent) == 3 and len(dsub.broker.subscriptions.parked()) == 1


def test_what_the_subscriber_may_not_see_is_not_told(dsub: Dsub) -> None:
    dsub.subscribe()
    blind = replace(dsub.broker, scope_of=lambda caller, transaction: Scope(frozenset(), None))
    dsub.register(1)
    blind.run_once()
    assert dsub.consumer.sent == []


def test_subscriptions_and_their_queue_outlive_the_process(dsub: Dsub) -> None:
    dsub.subscribe()
    dsub.register(1)
    dsub.broker.fan_out()
    again = replace(dsub.broker)
    again.deliver()
    assert len(dsub.consumer.sent) == 1


def test_publish(dsub: Dsub) -> None:
    dsub.subscribe()
    dsub.register(1)
    dsub.broker.run_once()
    request = etree.fromstring(dsub.consumer.sent.pop()[1]).find(".//{*}SubmitObjectsRequest")
    assert request is not None
    body = (
        f'<wsnt:Notify xmlns:wsnt="{WSNT}"><wsnt:NotificationMessage><wsnt:Message>'
        f"{etree.tostring(request).decode()}</wsnt:Message></wsnt:NotificationMessage></wsnt:Notify>"
    )
    assert dsub.ask(NOTIFY, body) == (202, None)
    dsub.broker.run_once()
    assert b"ExtrinsicObject" in dsub.consumer.sent[0][1]


def test_pull_points(dsub: Dsub) -> None:
    create = f'<wsnt:CreatePullPoint xmlns:wsnt="{WSNT}"/>'
    status, made = dsub.ask(f"{ACTIONS}CreatePullPoint/CreatePullPointRequest", create)
    assert made is not None and status == 200
    point = text(made, "Address")
    dsub.subscribe(to=point)
    dsub.register(1)
    dsub.broker.run_once()
    pull = f'<wsnt:GetMessages xmlns:wsnt="{WSNT}"><wsnt:MaximumNumber>5</wsnt:MaximumNumber></wsnt:GetMessages>'
    for count in (1, 0):  # given once
        answer = dsub.ask(f"{ACTIONS}PullPoint/GetMessagesRequest", pull, point)[1]
        assert answer is not None and len(answer.findall(".//{*}NotificationMessage")) == count
    assert replace(dsub, caller=Caller(node="b")).ask(f"{ACTIONS}PullPoint/GetMessagesRequest", pull, point)[0] == 500
    destroy = f'<wsnt:DestroyPullPoint xmlns:wsnt="{WSNT}"/>'
    assert dsub.ask(f"{ACTIONS}PullPoint/DestroyPullPointRequest", destroy, point)[0] == 200
    assert dsub.broker.subscriptions.all() == [] and dsub.consumer.sent == []


def test_a_subscriber_is_told_in_the_name_they_had_and_by_the_policy_of_the_moment(dsub: Dsub) -> None:
    asked: list[Caller] = []

    def policy(caller: Caller, transaction: str) -> Scope:
        asked.append(caller)
        if "DOCTOR^^1.2" not in caller.roles:
            raise Forbidden("policy does not permit this", "no-grant")
        return UNRESTRICTED

    doctor = Caller(node="a", user="u1", roles=("DOCTOR^^1.2",), purpose="TREATMENT", break_glass="b1")
    for who in (doctor, replace(doctor, user="u2", roles=("CLERK^^1.2",))):
        dsub.caller = who
        dsub.subscribe()
    dsub.broker.scope_of = policy
    dsub.register(1)
    dsub.broker.run_once()
    assert len(dsub.consumer.sent) == 1
    assert {(one.user, one.break_glass) for one in asked} == {("u1", ""), ("u2", "")}
