"""ITI-110 Resource Subscription (IHE DSUBm 1.0, 2:3.110): create, update and delete of a Subscription.

A new one is `requested` until its endpoint took the handshake. An update ends it (`off`) or asks anew (`requested`) with what
it then says. An endpoint has to be one that notifications may go to; no other address is ever called.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, Final

from gateway.codec import fhir
from gateway.errors import BadInput, InvalidParameter, MissingParameter
from gateway.fhir.formats import resource_in
from gateway.fhir.messages import (
    JSON_NAMES,
    XML_NAMES,
    FhirRequest,
    FhirResponse,
    check_acceptable,
    json_answer,
)
from gateway.fhir.search import parse_form
from gateway.fhir.transactions import RECORD, Attached, Trace
from gateway.ihe import _mhd
from gateway.ihe._dsubm import CONTENT, CONTENTS, FILTER, HEARTBEAT, TOPICS, TYPE, DsubmServices, Topic, mine, shown
from gateway.model.caller import Caller, Scope
from gateway.model.document import APPROVED, CodeFilter
from gateway.model.subscription import Event, Filter, Subscription
from gateway.services.broker import instant
from gateway.services.search.text import fold
from gateway.translate import document_list
from gateway.translate.document_reference import OID, URI_SYSTEM, UUID, Json, entry_uuid, unique_id_of
from gateway.translate.times import utc_range

NUMBER: Final = "ITI-110"
LONGEST_DAYS: Final = 366
SHORTEST_HEARTBEAT_S: Final = 30
MAX_FILTERS: Final = 20
MAX_HEADERS: Final = 10
_HEADER = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,63}): ?([\x21-\x7e][\x20-\x7e]{0,4000})", re.ASCII)
_OURS: Final = frozenset(
    {"connection", "content-length", "content-type", "expect", "host", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers of the message itself, which no subscriber sets."""
_CODES: Final = {
    "category": "classCode",
    "type": "typeCode",
    "format": "formatCode",
    "setting": "practiceSettingCode",
    "facility": "healthcareFacilityTypeCode",
    "event": "eventCodeList",
    "security-label": "confidentialityCode",
}
_NAMES: Final = {"family": 2, "given": 3}
"""Component of an XCN."""


def create(services: DsubmServices, request: FhirRequest, caller: Caller, scope: Scope, trace: Trace) -> FhirResponse:
    check_acceptable(request)
    trace.action = "C"
    made = _read(_sent(services, request), services, request, caller, scope, trace)
    made = services.broker.subscribe(replace(made, status="requested"), Event("", "handshake"))
    trace.object = f"{TYPE}/{made.id}"
    return json_answer(201, fhir.render(shown(made)), [("Location", f"{request.base}/{TYPE}/{made.id}")])


def update(services: DsubmServices, request: FhirRequest, caller: Caller, scope: Scope, trace: Trace) -> FhirResponse:
    check_acceptable(request)
    before = _named(services, request, caller, trace)
    trace.action = "U"
    sent = _sent(services, request)
    if sent.get("id") != before.id:
        raise BadInput("Subscription.id is not the one of the address")
    broker = services.broker
    if sent.get("status") == "off":
        broker.subscriptions.stop(before.id)
        last = () if before.status == "off" else (Event(before.id, "deactivation"),)
        after = replace(before, status="off", error="")
        broker.subscriptions.change(after, *last)
    else:
        read = _read(sent, services, request, caller, scope, trace)
        after = replace(read, id=before.id, created=before.created, events=before.events, status="requested")
        broker.subscriptions.change(after, Event(before.id, "handshake"))
    return json_answer(200, fhir.render(shown(after)))


def delete(services: DsubmServices, request: FhirRequest, caller: Caller, scope: Scope, trace: Trace) -> FhirResponse:
    found = _named(services, request, caller, trace)
    trace.action = "D"
    services.broker.subscriptions.remove(found.id)
    return FhirResponse(204)


def _named(services: DsubmServices, request: FhirRequest, caller: Caller, trace: Trace) -> Subscription:
    found = mine(services, request.path.strip("/").split("/")[1], caller)
    trace.object, trace.patient = f"{TYPE}/{found.id}", found.filter.patient
    return found


# -- what was sent ---------------------------------------------------------------------------------------------------


def _sent(services: DsubmServices, request: FhirRequest) -> Json:
    found = resource_in(request, services.mhd.parse_xml)
    if found["resourceType"] != TYPE:
        raise BadInput("the body is a Subscription")
    errors = [one for one in services.mhd.check({"id": "new", **found}) if one.severity in ("error", "fatal")]
    if errors:
        raise BadInput(f"the Subscription is not valid: {errors[0].expression}")
    return found


def _read(
    sent: Json, services: DsubmServices, request: FhirRequest, caller: Caller, scope: Scope, trace: Trace
) -> Subscription:
    """2:3.110.5.3. Raises InvalidParameter, MissingParameter, BadInput."""
    if sent.get("status") not in ("requested", "active"):
        raise InvalidParameter("Subscription.status is requested")
    topic = TOPICS.get(str(sent["criteria"]).partition("|")[0])
    if topic is None:
        raise InvalidParameter("Subscription.criteria is no topic of this server; see Basic?code=SubscriptionTopic")
    wanted = _filter(topic, _criteria(sent), services, request, scope, trace)
    channel = sent["channel"]
    if channel["type"] != "rest-hook":
        raise InvalidParameter("Subscription.channel.type is rest-hook")
    endpoint = str(channel.get("endpoint", ""))
    if not services.broker.may_send(endpoint):
        raise InvalidParameter("Subscription.channel.endpoint is not an address that notifications may go to")
    if (payload := channel.get("payload", "application/fhir+json").partition(";")[0]) not in JSON_NAMES | XML_NAMES:
        raise InvalidParameter(f"Subscription.channel.payload: {len(payload)} characters that are no type of FHIR")
    contents = [one.get("valueCode") for one in _extensions(channel.get("_payload"), CONTENT)]
    if len(contents) != 1 or contents[0] not in CONTENTS:
        raise InvalidParameter(f"the payload content of the channel is one of {', '.join(CONTENTS)}")
    headers(channel)
    beats = [one.get("valueUnsignedInt") for one in _extensions(channel, HEARTBEAT)]
    beat = beats[0] if beats else 0
    if not isinstance(beat, int) or len(beats) > 1 or (beats and beat < SHORTEST_HEARTBEAT_S):
        raise InvalidParameter(f"the heartbeat period is at least {SHORTEST_HEARTBEAT_S} seconds")
    return Subscription(
        "", "fhir", "requested", topic.url, wanted, endpoint, contents[0], caller.node, "", _end(sent, services),
        fhir.render(sent).decode(), heartbeat_s=beat, claims=caller,
    )  # fmt: skip


def _extensions(element: Any, url: str) -> list[Json]:
    return [one for one in (element or {}).get("extension", ()) if one.get("url") == url]


def headers(channel: Json) -> dict[str, str]:
    """channel.header. Raises InvalidParameter; says no value of one."""
    found: dict[str, str] = {}
    given = channel.get("header", ())
    for line in given:
        match = _HEADER.fullmatch(str(line))
        if match is None or match[1].lower() in _OURS or len(given) > MAX_HEADERS:
            raise InvalidParameter("Subscription.channel.header: write `Name: value`, none of the message itself")
        found[match[1]] = match[2]
    return found


def _end(sent: Json, services: DsubmServices) -> str:
    if "end" not in sent:
        return ""
    now, end = services.broker.clock.now(), utc_range(str(sent["end"]))[0]
    if end <= instant(now):
        raise InvalidParameter("Subscription.end is past")
    return min(end, instant(now + timedelta(days=LONGEST_DAYS)))


def _criteria(sent: Json) -> list[tuple[str, str]]:
    """(resource type, query) of every filter criteria. LENIENT: `&amp;` for `&`, as the examples of DSUBm write."""
    found = [str(one.get("valueString", "")) for one in _extensions(sent.get("_criteria"), FILTER)]
    if len(found) > MAX_FILTERS:
        raise InvalidParameter(f"more than {MAX_FILTERS} filter criteria")
    split = [text.replace("&amp;", "&").partition("?") for text in found]
    return [(type_, query) for type_, _, query in split]


# -- the filter ------------------------------------------------------------------------------------------------------


def _filter(
    topic: Topic,
    criteria: Sequence[tuple[str, str]],
    services: DsubmServices,
    request: FhirRequest,
    scope: Scope,
    trace: Trace,
) -> Filter:
    """The filters of all criteria, ANDed, read as MHD reads a search."""
    given: list[tuple[str, str]] = []
    for type_, query in criteria:
        if type_ != topic.resource:
            raise InvalidParameter(f"filter criteria of this topic are written {topic.resource}?name=value")
        given += parse_form(query.encode())
    if any(name.startswith("_") for name, _ in given):
        raise InvalidParameter("filter criteria: a parameter that is no filter of the topic")
    asked = FhirRequest("GET", request.path, given, {"prefer": "handling=strict"}, b"", request.base)
    query_ = _mhd.read(asked, topic.resource, topic.filters, Trace())
    if "code" in topic.filters:
        _check_code(topic, query_)
    if query_.all("status") and _mhd.status(query_) != (APPROVED,):
        raise InvalidParameter("status: what is new is current")
    return Filter(
        topic.kind,
        _patient(topic, query_, services, request, scope, trace),
        _codes(topic, query_),
        sourceId=_sources(query_),
        names=_names(query_),
        ids=_ids(query_),
    )


def _check_code(topic: Topic, query: _mhd.Query) -> None:
    """The kind of List has to be named."""
    word = document_list.SUBMISSION if topic.kind == "submissionset" else document_list.FOLDER
    named = [_mhd.token("code", text)[1] for values in query.all("code") for text in values]
    if not named:
        raise MissingParameter(f"filter criteria: code={word} is required")
    if set(named) != {word}:
        raise InvalidParameter(f"filter criteria: code of this topic is {word}")


def _patient(
    topic: Topic, query: _mhd.Query, services: DsubmServices, request: FhirRequest, scope: Scope, trace: Trace
) -> str:
    """CX of the patient, "" for a topic without one."""
    if not topic.of_patient:
        return ""
    eid = _mhd.patient(query, request, services.mhd, scope, trace)
    known = services.broker.identities.identifiers(eid, scope) if eid else ()
    if not known:
        raise InvalidParameter("filter criteria: the patient is not known here")
    trace.patient = str(known[0])
    return trace.patient


def _codes(topic: Topic, query: _mhd.Query) -> tuple[tuple[str, CodeFilter], ...]:
    designation = "contentTypeCode" if topic.kind == "submissionset" else "codeList"
    names = _CODES if topic.kind == "document" else {"designationType": designation}
    return tuple(
        (attribute, _mhd.code_filter(name, values))
        for name, attribute in names.items()
        for values in query.all(name)
    )  # fmt: skip


def _sources(query: _mhd.Query) -> tuple[str, ...]:
    """sourceId; repetitions leave what all of them allow."""
    given = [{_mhd.token("sourceId", text)[1].removeprefix(OID) for text in values} for values in query.all("sourceId")]
    if given and not (kept := set.intersection(*given)):
        raise InvalidParameter("filter criteria: no sourceId fits")
    return tuple(sorted(kept)) if given else ()


def _names(query: _mhd.Query) -> tuple[tuple[int, tuple[str, ...]], ...]:
    return tuple(
        (at, tuple(fold(_mhd.plain(text)) for text in values))
        for prefix in ("author", "source")
        for part, at in _NAMES.items()
        for values in query.all(f"{prefix}.{part}")
    )


def _ids(query: _mhd.Query) -> tuple[str, ...]:
    found = []
    for text in query.one("identifier"):
        system, value = _mhd.token("identifier", text)
        uuid = entry_uuid(value.removeprefix(UUID))
        found += [one for one in (uuid, unique_id_of({"system": system or URI_SYSTEM, "value": value})) if one]
    if query.one("identifier") and not found:
        raise InvalidParameter("filter criteria: identifier is none")
    return tuple(found)


# -- attached to the server ------------------------------------------------------------------------------------------


def _takes(method: str, length: int, asked: str, path: Sequence[str]) -> bool:
    return asked == method and len(path) == length and path[0] == TYPE and path[-1] != "_search"


def transactions(services: DsubmServices) -> tuple[Attached, ...]:
    event = (RECORD, "C")
    capability = {
        TYPE: {
            "supportedProfile": [f"{_PROFILES}DSUBm-{name}-Subscription" for name in _KINDS],
            "interaction": [{"code": code} for code in ("create", "update", "delete")],
        }
    }
    return (
        Attached(NUMBER, event, partial(_takes, "POST", 1), partial(create, services), capability),
        Attached(NUMBER, event, partial(_takes, "PUT", 2), partial(update, services)),
        Attached(NUMBER, event, partial(_takes, "DELETE", 2), partial(delete, services)),
    )


_PROFILES: Final = "https://profiles.ihe.net/ITI/DSUBm/StructureDefinition/"
_KINDS: Final = (
    "DocumentReference-PatientDependent", "DocumentReference-MultiPatient", "SubmissionSet-PatientDependent",
    "SubmissionSet-MultiPatient", "Basic-Folder",
)  # fmt: skip
