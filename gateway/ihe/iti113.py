"""ITI-113 Resource Subscription Search (IHE DSUBm 1.0, 2:3.113): search and read of one's own Subscriptions, `$status` and
`$events` of the Subscriptions R5 Backport IG. Another node's subscriptions are as unknown as none."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from gateway.codec import fhir
from gateway.errors import BadInput, InvalidParameter, LimitExceeded
from gateway.fhir.formats import resource_in
from gateway.fhir.messages import FhirRequest, FhirResponse, check_acceptable, json_answer
from gateway.fhir.transactions import QUERY, Attached, Trace
from gateway.ihe import _dsubm, _mhd, iti112
from gateway.ihe._dsubm import BACKPORT, CONTENT, CONTENTS, FILTER, TYPE, DsubmServices, mine, shown
from gateway.model.caller import Caller, Scope
from gateway.model.subscription import Subscription
from gateway.translate.document_reference import Json

NUMBER: Final = "ITI-113"
MOST_EVENTS: Final = 100
_PARAMETERS: Final = (
    "status", "type", "url", "criteria", "topic", "filter-criteria", "payload", "payload-type", "contact",
)  # fmt: skip


def search(services: DsubmServices, request: FhirRequest, caller: Caller, scope: Scope, trace: Trace) -> FhirResponse:
    query = _mhd.read(request, TYPE, _PARAMETERS, trace)
    after = _mhd.after(query, services.mhd, caller)
    found = [one for one in _own(services, caller) if _fits(query, one)]
    found.sort(key=lambda one: one.id)
    ahead = [one for one in found if not after or one.id > str(after[0])] if not query.total_only else []
    page = ahead[: query.page]
    last = (page[-1].id,) if len(ahead) > len(page) > 0 else ()
    return _mhd.answer(
        request, TYPE, query, services.mhd, caller, total=len(found), matches=[shown(one) for one in page], last=last
    )


def read(services: DsubmServices, request: FhirRequest, caller: Caller, scope: Scope, trace: Trace) -> FhirResponse:
    check_acceptable(request)
    found = mine(services, _id(request), caller)
    trace.object, trace.patient = f"{TYPE}/{found.id}", found.filter.patient
    return json_answer(200, fhir.render(shown(found)))


def status(services: DsubmServices, request: FhirRequest, caller: Caller, scope: Scope, trace: Trace) -> FhirResponse:
    """Of one, or of all one's own (`id`, `status`)."""
    check_acceptable(request)
    trace.object = f"{TYPE}/$status"
    given = _given(services, request)
    if request.path.strip("/").count("/") == 2:
        found = [mine(services, _id(request), caller)]
    else:
        ids, states = given.get("id", ()), given.get("status", ())
        found = [
            one for one in _own(services, caller) if (not ids or one.id in ids) and (not states or one.status in states)
        ]
    base = request.base
    entries: list[Json] = [
        {
            "fullUrl": f"urn:uuid:{made['id']}",
            "resource": made,
            "search": {"mode": "match"},
        }
        for made in (_dsubm.status(one, "query-status", base) for one in found)
    ]
    return json_answer(200, _bundle("searchset", entries, total=len(entries)))


def events(services: DsubmServices, request: FhirRequest, caller: Caller, scope: Scope, trace: Trace) -> FhirResponse:
    """What a subscriber may have missed: at most MOST_EVENTS of those still kept, the oldest of the numbers asked for."""
    check_acceptable(request)
    one = mine(services, _id(request), caller)
    trace.object, trace.patient = f"{TYPE}/{one.id}/$events", one.filter.patient
    given = _given(services, request)
    first, last = _number(given, "eventsSinceNumber", 1), _number(given, "eventsUntilNumber", one.events)
    content = _single(given, "content") or one.content
    if content not in CONTENTS:
        raise InvalidParameter(f"content is one of {', '.join(CONTENTS)}")
    found = services.broker.subscriptions.since(one.id, first, last)[:MOST_EVENTS]
    parts, entries = [], []
    for told in iti112.past(one, found, services, scope):
        event, more = iti112.about(told, content, services, request.base, scope)
        parts.append(event)
        entries += more
    head = _dsubm.status(one, "query-event", request.base, parts)
    id_ = str(services.broker.chance.new_uuid())
    return json_answer(200, fhir.render(_dsubm.bundle(id_, head, one, request.base, entries)))


# -- the question ----------------------------------------------------------------------------------------------------


def _own(services: DsubmServices, caller: Caller) -> list[Subscription]:
    return [one for one in services.broker.subscriptions.all("fhir") if one.owner == caller.node]


def _id(request: FhirRequest) -> str:
    return request.path.strip("/").split("/")[1]


def _fits(query: _mhd.Query, one: Subscription) -> bool:
    held = _held(one)
    return all(
        any(_equal(name, _mhd.plain(text), held[name]) for text in values)
        for name in (*_PARAMETERS, "_id")
        for values in query.all(name)
    )


def _held(one: Subscription) -> dict[str, list[str]]:
    source = fhir.parse(one.source.encode())
    channel = source["channel"]
    return {
        "_id": [one.id],
        "status": [one.status],
        "type": [str(channel["type"])],
        "url": [one.address],
        "criteria": [one.topic],
        "topic": [one.topic],
        "filter-criteria": _texts(source.get("_criteria"), FILTER),
        "payload": [str(channel.get("payload", ""))],
        "payload-type": _texts(channel.get("_payload"), CONTENT),
        "contact": [str(contact.get("value", "")) for contact in source.get("contact", ())],
    }


def _texts(element: Json | None, url: str) -> list[str]:
    extensions = (element or {}).get("extension", ())
    return [str(one.get("valueString", one.get("valueCode", ""))) for one in extensions if one.get("url") == url]


def _equal(name: str, wanted: str, held: Sequence[str]) -> bool:
    """A string begins so, case aside; a URI is the same; of a token the code counts."""
    if name in ("filter-criteria", "criteria"):
        return any(one.lower().startswith(wanted.lower()) for one in held)
    if name in ("url", "topic", "_id", "payload"):
        return wanted in held
    return wanted.rpartition("|")[2] in held


def _given(services: DsubmServices, request: FhirRequest) -> dict[str, list[str]]:
    """Parameters of an operation: of the URL, or of a posted Parameters."""
    found: dict[str, list[str]] = {}
    for name, value in request.query:
        found.setdefault(name, []).append(value)
    if request.method == "POST" and request.body:
        body = resource_in(request, services.mhd.parse_xml)
        if body["resourceType"] != "Parameters":
            raise BadInput("the body is Parameters")
        for one in body.get("parameter", ()):
            value = next((text for key, text in one.items() if key.startswith("value")), "")
            found.setdefault(str(one.get("name", "")), []).append(str(value))
    if sum(map(len, found.values())) > _mhd.MAX_VALUES:
        raise LimitExceeded(f"more than {_mhd.MAX_VALUES} parameters")
    return found


def _single(given: dict[str, list[str]], name: str) -> str:
    values = given.get(name, [])
    if len(values) > 1:
        raise InvalidParameter(f"{name} stands more than once")
    return values[0] if values else ""


def _number(given: dict[str, list[str]], name: str, default: int) -> int:
    text = _single(given, name)
    if text and not (text.isascii() and text.isdigit() and len(text) < 16):
        raise InvalidParameter(f"{name} is a whole number")
    return int(text) if text else default


def _bundle(type_: str, entries: Sequence[Json], **more: int) -> bytes:
    made: Json = {"resourceType": "Bundle", "type": type_, **more}
    return fhir.render(made | {"entry": list(entries)} if entries else made)


# -- attached to the server ------------------------------------------------------------------------------------------


def _operation(name: str, lengths: tuple[int, ...], method: str, path: Sequence[str]) -> bool:
    return method in ("GET", "POST") and len(path) in lengths and path[0] == TYPE and path[-1] == name


def _is_read(method: str, path: Sequence[str]) -> bool:
    return _mhd.is_read(TYPE, method, path) and not path[1].startswith("$")


Takes = Callable[[str, Sequence[str]], bool]


def transactions(services: DsubmServices) -> tuple[Attached, ...]:
    event = (QUERY, "E")
    takes_status: Takes = partial(_operation, "$status", (2, 3))
    takes_events: Takes = partial(_operation, "$events", (3,))
    return (
        Attached(NUMBER, event, takes_status, partial(status, services)),
        Attached(NUMBER, event, takes_events, partial(events, services)),
        Attached(NUMBER, event, partial(_mhd.is_search, TYPE), partial(search, services), {TYPE: _CAPABILITY}),
        Attached(NUMBER, event, _is_read, partial(read, services)),
    )


_R4: Final = "http://hl7.org/fhir/SearchParameter/"
_CAPABILITY: Final = {
    "interaction": [{"code": "read"}, {"code": "search-type"}],
    "searchParam": [
        {"name": name, "definition": definition, "type": kind}
        for name, definition, kind in (
            ("_id", f"{_R4}Resource-id", "token"),
            ("status", f"{_R4}Subscription-status", "token"),
            ("type", f"{_R4}Subscription-type", "token"),
            ("url", f"{_R4}Subscription-url", "uri"),
            ("criteria", f"{_R4}Subscription-criteria", "string"),
            ("payload", f"{_R4}Subscription-payload", "token"),
            ("contact", f"{_R4}Subscription-contact", "token"),
            ("topic", f"{BACKPORT}/SearchParameter/Subscription-topic", "uri"),
            ("filter-criteria", f"{BACKPORT}/SearchParameter/Subscription-filter-criteria", "string"),
            ("payload-type", f"{BACKPORT}/SearchParameter/Subscription-payload-type", "string"),
        )
    ],
    "operation": [
        {"name": name, "definition": f"{BACKPORT}/OperationDefinition/backport-subscription-{name}"}
        for name in ("status", "events")
    ],
}
