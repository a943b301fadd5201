"""ITI-52 Document Metadata Subscribe (ITI TF-2: 3.52): Subscribe, Renew and Unsubscribe of WS-BaseNotification.

The filter is written as a stored query (rim:AdhocQuery) and read as one (_stored_query.py). LENIENT: what ends a
subscription names it by wsa:To, or by wsa:Address inside the body.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from lxml import etree

from gateway.codec.ebxml import RIM
from gateway.codec.ebxml_read import AdhocQuery, read_slots
from gateway.codec.xml import escape
from gateway.errors import BadInput, GatewayError, UnknownResource
from gateway.ihe import _stored_query as q
from gateway.ihe._dsub import (
    ACTIONS,
    IHE,
    RESOURCE,
    SIMPLE,
    WSA,
    WSNT,
    Answered,
    Asked,
    DsubOperation,
    address_of,
    child,
    fault,
    id_of,
)  # fmt: skip
from gateway.ihe._stored_query import Found, Parameter, StoredQuery
from gateway.model.document import ObjectKind
from gateway.model.subscription import PULL_POINT, Filter, Subscription
from gateway.services.broker import instant
from gateway.translate.times import utc_range

NUMBER: Final = "ITI-52"
LONGEST_DAYS: Final = 366
_QNAME = re.compile(r"(?:(?P<prefix>[A-Za-z_][\w.-]{0,99}):)?(?P<name>[A-Za-z_][\w.-]{0,99})", re.ASCII)
_DURATION = re.compile(
    r"P(?:(\d{1,6})Y)?(?:(\d{1,6})M)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6}(?:\.\d{1,9})?)S)?)?",
    re.ASCII,
)
TOPICS: Final[dict[str, tuple[tuple[ObjectKind, ...], str]]] = {
    "FullDocumentEntry": (("document",), "full"),
    "MinimalDocumentEntry": (("document",), "minimal"),
    "SubmissionSetMetadata": (("submissionset",), "full"),
    "FolderMetadata": (("folder",), "full"),
}
"""Topic -> (kinds of objects it is about, what a notification carries)."""


def _never(asked: q.Asked) -> Found:
    raise NotImplementedError("a filter is kept, not answered")


_D, _S, _F = "$XDSDocumentEntry", "$XDSSubmissionSet", "$XDSFolder"
_CODES: Final = (
    "ClassCode", "TypeCode", "PracticeSettingCode", "HealthcareFacilityTypeCode", "FormatCode",
)  # fmt: skip
_OF_DOCUMENTS: Final = (
    *(Parameter(f"{_D}{name}", q.codes) for name in _CODES),
    Parameter(f"{_D}EventCodeList", q.codes, anded=True),
    Parameter(f"{_D}ConfidentialityCode", q.codes, anded=True),
    Parameter(f"{_D}ReferenceIdList", q.texts, anded=True),
    Parameter(f"{_D}AuthorPerson", q.texts),
)
_OF_SETS: Final = (
    Parameter(f"{_S}SourceId", q.texts),
    Parameter(f"{_S}AuthorPerson", q.texts),
    Parameter(f"{_S}ContentType", q.codes),
)
_SECTION: Final = "ITI TF-2: 3.52.5.2"
_QUERIES: Final[tuple[tuple[ObjectKind, StoredQuery], ...]] = (
    ("document", StoredQuery("urn:uuid:aa2332d0-f8fe-11e0-be50-0800200c9a66", "DocumentEntries", _SECTION,
                             (Parameter(f"{_D}PatientId", q.patient, required=True, many=False), *_OF_DOCUMENTS), _never)),
    ("submissionset", StoredQuery("urn:uuid:fbede94e-dbdc-4f6b-bc1f-d730e677cece", "SubmissionSets", _SECTION,
                                  (Parameter(f"{_S}PatientId", q.patient, required=True, many=False), *_OF_SETS), _never)),
    ("folder", StoredQuery("urn:uuid:9376254e-da05-41f5-9af3-ac56d63d8ebd", "Folders", _SECTION,
                           (Parameter(f"{_F}PatientId", q.patient, required=True, many=False),
                            Parameter(f"{_F}CodeList", q.codes, anded=True)), _never)),
    ("document", StoredQuery("urn:uuid:742790e0-aba6-43d6-9f1f-e43ed9790b79", "DocumentEntries of many patients", _SECTION,
                             _OF_DOCUMENTS, _never, any_of=tuple(f"{_D}{name}" for name in _CODES[:4]))),
    ("submissionset", StoredQuery("urn:uuid:868cad3d-ec09-4565-b66c-1be10d034399", "SubmissionSets of many patients",
                                  _SECTION, _OF_SETS, _never,
                                  any_of=(f"{_S}SourceId", f"{_S}AuthorPerson", f"{_S}ContentType"))),
)  # fmt: skip
FILTERS: Final = {one.id: (kind, one) for kind, one in _QUERIES}
_ATTRIBUTES: Final = {
    **{f"{_D}{name}": name[0].lower() + name[1:] for name in (*_CODES, "EventCodeList", "ConfidentialityCode")},
    f"{_S}ContentType": "contentTypeCode",
    f"{_F}CodeList": "codeList",
}


def subscribe(asked: Asked) -> Answered:
    broker, body = asked.services.broker, asked.body
    now = broker.clock.now()
    topic = _topic(body, instant(now))
    wanted = _filter(body, topic, instant(now))
    expires = _expires(body, now)
    address = child(body, "ConsumerReference", "Address")
    point = id_of(address) if address.startswith(f"{broker.base}/dsub?pullpoint=") else ""
    if point:
        try:
            is_point = broker.mine(point, asked.caller).topic == PULL_POINT
        except UnknownResource:
            is_point = False
        if not is_point:
            raise fault("SubscribeCreationFailedFault", "there is no such pull point", instant(now))
        address = f"pull-point:{point}"
    elif not broker.may_send(address):
        reason = "the address of the consumer is not one that notifications may go to"
        raise fault("SubscribeCreationFailedFault", reason, instant(now))
    made = broker.subscribe(
        Subscription(
            "",
            "dsub",
            "active",
            topic,
            wanted,
            address,
            TOPICS[topic][1],
            asked.caller.node,
            "",
            expires,
            claims=asked.caller,
        )
    )
    reference = escape(address_of(broker.base, "subscription", made.id))
    end = f"<wsnt:TerminationTime>{expires}</wsnt:TerminationTime>" if expires else ""
    answer = (
        f'<wsnt:SubscribeResponse xmlns:wsnt="{WSNT}" xmlns:wsa="{WSA}"><wsnt:SubscriptionReference>'
        f"<wsa:Address>{reference}</wsa:Address></wsnt:SubscriptionReference>"
        f"<wsnt:CurrentTime>{instant(now)}</wsnt:CurrentTime>{end}</wsnt:SubscribeResponse>"
    )
    return Answered(answer.encode(), wanted.patient, made.id)


def unsubscribe(asked: Asked) -> Answered:
    broker, found = asked.services.broker, _meant(asked)
    if found is None:
        raise fault("UnableToDestroySubscriptionFault", "there is no such subscription", broker.now())
    broker.subscriptions.remove(found.id)
    return Answered(f'<wsnt:UnsubscribeResponse xmlns:wsnt="{WSNT}"/>'.encode(), object=found.id)


def renew(asked: Asked) -> Answered:
    """Sets a new end (WS-BaseNotification 1.3, 6.1.1); without one, none."""
    broker, found = asked.services.broker, _meant(asked)
    now = broker.clock.now()
    if found is None:
        raise fault("ResourceUnknownFault", "there is no such subscription", instant(now), RESOURCE)
    expires = _expires(asked.body, now, "TerminationTime")
    broker.subscriptions.change(replace(found, expires=expires))
    nil = "" if expires else ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"'
    answer = (
        f'<wsnt:RenewResponse xmlns:wsnt="{WSNT}"><wsnt:TerminationTime{nil}>{expires}</wsnt:TerminationTime>'
        f"<wsnt:CurrentTime>{instant(now)}</wsnt:CurrentTime></wsnt:RenewResponse>"
    )
    return Answered(answer.encode(), object=found.id)


def _meant(asked: Asked) -> Subscription | None:
    """The caller's subscription that a message to its manager is about."""
    id_ = id_of(asked.to) or id_of("".join(str(text) for text in asked.body.itertext()))
    try:
        found = asked.services.broker.mine(id_, asked.caller)
    except UnknownResource:
        return None
    return found if found.face == "dsub" and found.topic != PULL_POINT else None


def _topic(body: etree._Element, now: str) -> str:
    found = body.find(f"{{{WSNT}}}Filter/{{{WSNT}}}TopicExpression")
    if found is None:
        raise fault("InvalidFilterFault", "the filter has no TopicExpression", now)
    if found.get("Dialect") != SIMPLE:
        raise fault("TopicExpressionDialectUnknownFault", "the dialect of the topic is not Simple", now)
    match = _QNAME.fullmatch((found.text or "").strip())
    if match is None or (match["prefix"] and match["prefix"] not in found.nsmap):
        raise fault("InvalidTopicExpressionFault", "the topic is no name (QName)", now)
    name = match["name"]
    if name not in TOPICS or (match["prefix"] and found.nsmap[match["prefix"]] != IHE):
        raise fault("TopicNotSupportedFault", f"the topics are {', '.join(TOPICS)}", now)
    return name


def _filter(body: etree._Element, topic: str, now: str) -> Filter:
    element = body.find(f"{{{WSNT}}}Filter/{{{RIM}}}AdhocQuery")
    if element is None:
        raise fault("InvalidFilterFault", "the filter has no rim:AdhocQuery", now)
    id_ = str(element.get("id", "")).strip()
    if id_ not in FILTERS:
        raise fault("InvalidFilterFault", "the filter is no query that can be subscribed to", now)
    kind, stored = FILTERS[id_]
    if kind not in TOPICS[topic][0]:
        raise fault("InvalidFilterFault", "the filter is about other objects than the topic", now)
    try:
        given = q.read(stored, AdhocQuery(id_, "", "LeafClass", read_slots(element)))
    except (GatewayError, BadInput) as error:
        raise fault("InvalidFilterFault", str(error), now) from None
    return filter_of(kind, given)


def filter_of(kind: ObjectKind, given: Mapping[str, Any]) -> Filter:
    codes: list[tuple[str, Any]] = []
    for name, attribute in _ATTRIBUTES.items():
        if name in given:
            values = given[name] if isinstance(given[name], tuple) else (given[name],)
            codes += [(attribute, one) for one in values]
    patient = next(
        (given[name] for name in (f"{_D}PatientId", f"{_S}PatientId", f"{_F}PatientId") if name in given), ""
    )
    return Filter(
        kind,
        str(patient),
        tuple(codes),
        given.get(f"{_D}AuthorPerson", given.get(f"{_S}AuthorPerson", ())),
        given.get(f"{_D}ReferenceIdList", ()),
        tuple(one.removeprefix("urn:oid:") for one in given.get(f"{_S}SourceId", ())),
    )


def _expires(body: etree._Element, now: datetime, name: str = "InitialTerminationTime") -> str:
    """When it ends: as asked, a year at most; "" when nothing is asked. xsd:dateTime or xsd:duration (wsnt:
    AbsoluteOrRelativeTimeType); a month counts 30 days, a year 365."""
    asked = child(body, name)
    if not asked:
        return ""
    try:
        end = _after(asked, now) or utc_range(asked)[0]
    except BadInput:
        raise fault(
            f"Unacceptable{name}Fault", "the termination time is neither xsd:dateTime nor xsd:duration", instant(now)
        ) from None
    if end <= instant(now):
        raise fault(f"Unacceptable{name}Fault", "the termination time is past", instant(now))
    return min(end, instant(now.astimezone(UTC) + timedelta(days=LONGEST_DAYS)))


def _after(duration: str, now: datetime) -> str:
    """The instant a duration from now; "" when it is none."""
    match = _DURATION.fullmatch(duration)
    if match is None or not any(match.groups()) or duration.endswith("T"):
        return ""
    years, months, days, hours, minutes, seconds = (float(one or 0) for one in match.groups())
    days += years * 365 + months * 30
    span = timedelta(days=min(days, LONGEST_DAYS), hours=hours, minutes=minutes, seconds=seconds)
    return instant(now.astimezone(UTC) + min(span, timedelta(days=LONGEST_DAYS)))


_W: Final = f"{{{WSNT}}}"
SUBSCRIBE: Final = DsubOperation(
    NUMBER, "ITI TF-2: 3.52", "Document Metadata Subscribe", f"{ACTIONS}NotificationProducer/SubscribeRequest",
    (f"{_W}Subscribe", f"{_W}SubscribeResponse"), ("110112", "E"), subscribe,
)  # fmt: skip
UNSUBSCRIBE: Final = replace(
    SUBSCRIBE, name="Document Metadata Unsubscribe", action=f"{ACTIONS}SubscriptionManager/UnsubscribeRequest",
    elements=(f"{_W}Unsubscribe", f"{_W}UnsubscribeResponse"), answer=unsubscribe,
)  # fmt: skip
RENEW: Final = replace(
    SUBSCRIBE, name="Document Metadata Subscription Renewal", action=f"{ACTIONS}SubscriptionManager/RenewRequest",
    elements=(f"{_W}Renew", f"{_W}RenewResponse"), answer=renew,
)  # fmt: skip
