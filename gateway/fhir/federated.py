"""Federated FHIR: a search, ITI-67 or Patient/$everything with `_federated=true` (or the header X-Musubi-Federated),
answered by all communities as one Bundle (docs/federation.md).

What is asked is a `Federated` question; `answer` makes the Bundle, `stream` the lines of `$federated-stream`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode
from uuid import UUID

from gateway.codec import fhir
from gateway.errors import GatewayError, InvalidParameter, MissingParameter, UnknownPatient, codes_for
from gateway.fhir import federated_summary as summaries
from gateway.fhir.formats import Render, in_xml
from gateway.fhir.messages import FhirRequest, FhirResponse, Refused, error_answer, json_answer, outcome, wants_xml
from gateway.fhir.search import parameters, searchset
from gateway.model.audit import AuditRecord
from gateway.model.caller import Caller, Scope
from gateway.model.clock import Chance
from gateway.model.identity import PatientId
from gateway.services.federation import documentary
from gateway.services.federation.facts import Fact, merge, provenance
from gateway.services.federation.fanout import Busy
from gateway.services.federation.outcomes import Outcome
from gateway.services.federation.question import DOCUMENT, Question, Wanted
from gateway.services.federation.service import Federation, Part, Parts
from gateway.services.federation.snapshots import Line, Snapshot, Snapshots
from gateway.services.persons import Persons
from gateway.services.search import PARAMETERS, TYPES, SearchRules, cursor, plan
from gateway.services.search.plan import CURSOR
from gateway.services.search.values import FHIR_ID, split

PARAMETER: Final = "_federated"
HEADER: Final = "x-musubi-federated"
STREAM: Final = "$federated-stream"
NDJSON: Final = "application/x-ndjson"
_CONTROL: Final = frozenset({PARAMETER, "_count", "_sort", "_total", "_summary", "_format", "_pretty", CURSOR, "_type"})
_NOT_JOINED: Final = frozenset({"_include", "_revinclude", "_include:iterate", "_revinclude:iterate"})
_PERSON: Final = ("patient.identifier", "patient:identifier", "subject.identifier", "subject:identifier",
                  "patient:Patient.identifier", "subject:Patient.identifier")  # fmt: skip
_LOCAL: Final = ("patient", "subject", "patient:Patient", "subject:Patient")
_ANYWHERE: Final = frozenset({"_id", "_lastUpdated"})
_SHARED: Final = frozenset({"Organization", "Practitioner", "PractitionerRole", "Location", "Provenance"})
"""Types that are about no one person; `$everything` does not ask for them by themselves."""


@dataclass(frozen=True, slots=True)
class FederatedServices:
    federation: Federation
    persons: Persons
    rules: SearchRules
    cursor_key: bytes
    snapshots: Snapshots
    render_xml: Render
    chance: Chance


class Federated(NamedTuple):
    """A request as it was understood."""

    question: Question
    size: int
    """Of a page."""
    sort: str
    total_only: bool
    ignored: tuple[str, ...]
    used: tuple[tuple[str, str], ...]
    """Of the self link."""
    address: str
    """URL without its query."""
    transaction: str
    cursor: str
    wait_s: float | None


def is_federated(request: FhirRequest) -> bool:
    """Whether all communities are meant. A read stays a read, whatever header a client sends with everything."""
    parts = [part for part in request.path.split("/") if part]
    if (parts[-1:] not in (["$everything"], ["$summary"], ["_search"]) and len(parts) != 1) or parts == ["metadata"]:
        return False
    if request.headers.get(HEADER, "").strip().lower() == "true":
        return True
    return any(name == PARAMETER and value == "true" for name, value in request.query)


def handle(request: FhirRequest, services: FederatedServices, caller: Caller, scope: Scope) -> FhirResponse:
    """The Bundle, its audit record stored."""
    try:
        asked = understand(request, services, scope)
        response = answer(request, asked, services, caller, scope)
        return in_xml(response, services.render_xml) if wants_xml(request) else response
    except GatewayError as error:
        response = error_answer(error)
        if isinstance(error, Busy):
            response.headers.append(("Retry-After", "1"))
        refused(services, caller, error)
        return response


def refused(services: FederatedServices, caller: Caller, error: GatewayError) -> None:
    """The audit record of a question that was not asked; of many refused under load one a second, with their number."""
    status, number = codes_for(error).http, 1
    if isinstance(error, Busy) and not (number := services.federation.admission.to_tell()):
        return
    services.federation.audit.record(
        AuditRecord(
            "110112", "federated-query", "E", 4 if status < 500 else 8, caller.user or caller.node, caller.address,
            object="federated", detail=f"refused {status}" + (f" x{number}" if number > 1 else ""),
        )
    )  # fmt: skip


# -- the question ------------------------------------------------------------------------------------------------------


def understand(request: FhirRequest, services: FederatedServices, scope: Scope) -> Federated:
    """Raises GatewayError with the words for the caller."""
    if request.malformed:
        raise InvalidParameter(request.malformed)
    if request.method not in ("GET", "HEAD", "POST"):
        raise Refused(405, "not-supported", "a federated question is a search", [("Allow", "GET, HEAD, POST")])
    given = parameters(request) if request.method == "POST" else request.query
    types, local = _what(request, given)
    patient, person = _whom(given, types, local, services, scope)
    rest = [(name, value) for name, value in given if name not in _CONTROL and (name, value) not in person]
    ignored = [name for name, _ in rest if name in _NOT_JOINED]
    rest = [(name, value) for name, value in rest if name not in _NOT_JOINED]
    wanted = tuple(_wanted(type_, rest, len(types) == 1, services.rules, ignored) for type_ in types)
    control = {name: value for name, value in given if name in _CONTROL}
    prefer = request.headers.get("prefer", "").lower().replace(";", ",").split(",")
    strict = "handling=strict" in (one.strip() for one in prefer)
    if strict and ignored:
        raise InvalidParameter("a parameter that a federated search does not know")
    used = [(name, value) for name, value in given if name not in (CURSOR, PARAMETER) and name not in ignored]
    return Federated(
        Question(patient, wanted),
        _count(control.get("_count"), services.rules),
        _sort(control.get("_sort")),
        control.get("_summary") == "count" or control.get("_count") == "0",
        tuple(dict.fromkeys(ignored)),
        (*used, (PARAMETER, "true")),
        f"{request.base}{request.path.removesuffix('/_search')}",
        {DOCUMENT: "ITI-67", "Patient": "ITI-78"}.get(types[0] if len(types) == 1 else "", "rest"),
        control.get(CURSOR, ""),
        _wait(request),
    )


def _what(request: FhirRequest, given: list[tuple[str, str]]) -> tuple[tuple[str, ...], str]:
    """(types asked for, logical id of the Patient in the path)"""
    parts = [part for part in request.path.split("/") if part]
    known = (*TYPES, *(() if DOCUMENT in TYPES else (DOCUMENT,)))
    chosen = tuple(dict.fromkeys(one for name, value in given if name == "_type" for one in value.split(",") if one))
    if any(one not in known for one in chosen):
        raise InvalidParameter("_type: a type that this server does not have")
    match parts:
        case [type_] | [type_, "_search"] if type_ in known:
            return (type_,), ""
        case ["Patient", id_, "$everything"] if FHIR_ID.fullmatch(id_):
            return chosen or _all_types(known), id_
        case ["Patient", id_, "$summary"] if FHIR_ID.fullmatch(id_):
            return ("Patient", *(one for one in summaries.TYPES if one in known)), id_
        case ["Patient", "$everything"]:
            return chosen or _all_types(known), ""
        case [operation] if operation == STREAM:
            if not chosen:
                raise MissingParameter("_type: which types are wanted")
            return chosen, ""
    raise Refused(404, "not-supported", "searches of one type, $everything and $summary are asked of all communities")


def _all_types(known: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(one for one in known if one not in _SHARED)


def _whom(
    given: list[tuple[str, str]], types: tuple[str, ...], local: str, services: FederatedServices, scope: Scope
) -> tuple[PatientId, list[tuple[str, str]]]:
    """The patient, and the parameters that said so."""
    names = (*_PERSON, "identifier") if types == ("Patient",) else _PERSON
    said = [(name, value) for name, value in given if name in names]
    places = [(name, value) for name, value in given if name in (_LOCAL if types != ("Patient",) else ("_id",))]
    ids = [local] if local else [value.rpartition("/")[2] for _, value in places]
    if len(said) + len(ids) != 1:
        raise MissingParameter(
            "one patient: patient.identifier=urn:oid:<OID>|<id>, or patient=Patient/<id> of this node"
        )
    if said:
        return _identifier(said[0][1], services.rules), said
    record = services.persons.read(ids[0], scope) if FHIR_ID.fullmatch(ids[0]) else None
    if record is None:
        raise UnknownPatient("no such Patient here")
    return record.id, places


def _identifier(value: str, rules: SearchRules) -> PatientId:
    parts = split(value, "|")
    if len(parts) != 2 or not all(parts) or len(split(value, ",")) > 1:
        raise InvalidParameter("patient.identifier: one urn:oid:<OID>|<id>")
    names = (parts[0], *rules.aliases.get(parts[0], ()))
    # Of the names of one system the shortest OID is that of the authority; the others are made from it.
    oids = sorted((name.removeprefix("urn:oid:") for name in names if name.startswith("urn:oid:")), key=len)
    if not oids:
        raise InvalidParameter("patient.identifier: the system is no OID and of no authority known here")
    return PatientId(parts[1], oids[0])


def _wanted(type_: str, rest: list[tuple[str, str]], alone: bool, rules: SearchRules, ignored: list[str]) -> Wanted:
    """The parameters that this type has; of several types each gets its own."""
    kept = []
    for name, value in rest:
        base = name.partition(":")[0].partition(".")[0]
        if type_ == DOCUMENT or base in PARAMETERS.get(type_, {}) or base in _ANYWHERE:
            kept.append((name, value))
        elif alone:
            ignored.append(base)
    wanted = Wanted(type_, tuple(kept))
    if type_ == DOCUMENT:
        if not alone:
            wanted = Wanted(type_, tuple(one for one in kept if one[0] == "status"))
        documentary.condition(wanted)
    else:
        plan(type_, kept, rules=rules, cursor_key=b"")
    return wanted


def _count(text: str | None, rules: SearchRules) -> int:
    if text is None:
        return rules.default_count
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise InvalidParameter("_count is a number from 0")
    return min(int(text), rules.max_count)


def _sort(text: str | None) -> str:
    if text is None:
        return "-date"
    if text.removeprefix("-") not in ("date", "_lastUpdated", "authored", "authoredon", "recorded-date", "onset-date"):
        raise InvalidParameter("_sort: date or _lastUpdated over all communities, with - for newest first")
    sign = "-" if text.startswith("-") else ""
    return f"{sign}_lastUpdated" if text.endswith("_lastUpdated") else f"{sign}date"


def _wait(request: FhirRequest) -> float | None:
    """`Prefer: wait=N` in seconds (RFC 7240 4.3)."""
    for one in request.headers.get("prefer", "").replace(";", ",").split(","):
        name, _, value = one.strip().partition("=")
        if name.strip().lower() == "wait":
            try:
                seconds = float(value.strip().strip('"'))
            except ValueError:
                return None
            return seconds if 0 < seconds < 3600 else None
    return None


# -- the answer --------------------------------------------------------------------------------------------------------


def answer(
    request: FhirRequest, asked: Federated, services: FederatedServices, caller: Caller, scope: Scope
) -> FhirResponse:
    bound_to = "|".join((caller.node, caller.user, caller.purpose))
    digest = cursor.digest(asked.address, [pair for pair in asked.used if pair[0] not in ("_format", "_pretty")])
    if asked.cursor:
        key, start = _place(asked.cursor, digest, bound_to, services)
        held = services.snapshots.get(key)
        if held is None:
            raise Refused(410, "not-found", "this answer is held no longer; ask again")
        services.federation.record(asked.question, caller, (), asked.transaction)
        return _page(request, asked, services, held, key, start, (digest, bound_to), ())
    parts = ask(asked, services, caller, scope)
    outcomes = [part.outcome for part in parts]
    services.federation.record(asked.question, caller, outcomes, asked.transaction)
    if request.path.endswith("/$summary"):
        return _summary(request, services, parts, outcomes)
    snapshot = _snapshot(request, asked, services, parts)
    key = str(services.chance.new_uuid())
    if len(snapshot.lines) > asked.size and not asked.total_only:
        services.snapshots.put(key, snapshot)
    return _page(request, asked, services, snapshot, key, 0, (digest, bound_to), outcomes)


def ask(asked: Federated, services: FederatedServices, caller: Caller, scope: Scope) -> list[Part]:
    """All parts, in the order of homes, our own first. Raises Busy."""
    federation = services.federation
    parts = list(federation.begin(asked.question, caller, scope, deadline_s=_deadline(asked, services)))
    return sorted(parts, key=lambda one: (one.outcome.community != federation.home, one.outcome.community))


def _deadline(asked: Federated, services: FederatedServices) -> float:
    usual = services.federation.deadline_s
    return min(asked.wait_s, usual) if asked.wait_s else usual


def _place(text: str, digest: str, bound_to: str, services: FederatedServices) -> tuple[str, int]:
    found = cursor.unseal(text, query=digest, caller=bound_to, key=services.cursor_key)
    return str(found[0]), int(found[1])


def _snapshot(request: FhirRequest, asked: Federated, services: FederatedServices, parts: list[Part]) -> Snapshot:
    own = services.federation.home
    answers = [(one.outcome.community, one.outcome.name, one.given.resources) for one in parts]
    names = {one.outcome.community: one.outcome.name for one in parts}
    facts = merge(own, answers, asked.sort)
    recorded = services.federation.clock.now().isoformat(timespec="seconds")
    return Snapshot(tuple(_line(one, names, own, request.base) for one in facts), recorded)


def _summary(
    request: FhirRequest, services: FederatedServices, parts: list[Part], outcomes: list[Outcome]
) -> FhirResponse:
    own = services.federation.home
    facts = merge(own, [(one.outcome.community, one.outcome.name, one.given.resources) for one in parts])
    placed = [(one, _address(one, own, request.base)) for one in facts]
    # The Patient of this node stands for the person: it is the one that was asked about.
    people = [(one, url) for one, url in placed if one.resource.type == "Patient" and one.home == own]
    if not people:
        raise UnknownPatient("no such Patient here")
    person = next(((one, url) for one, url in people if one.resource.id == request.path.split("/")[2]), people[0])
    rest = [(one, url) for one, url in placed if one.resource.type != "Patient"]
    name = next(one.name for one in outcomes if one.community == own) or own
    now = services.federation.clock.now().isoformat(timespec="seconds")
    made = summaries.summary(rest, (person[0].tagged(), person[1]), outcomes, now, name)
    return json_answer(200, fhir.render(made))


def _line(fact: Fact, names: dict[str, str], own: str, base: str) -> Line:
    url = _address(fact, own, base)
    entry = fhir.render({"fullUrl": url, "resource": fact.tagged(), "search": {"mode": "match"}})
    return Line(fact.home, names.get(fact.home, ""), url, entry)


def _address(fact: Fact, own: str, base: str) -> str:
    """fullUrl: where it stands in its own server; for what came inside a document its UUID as a URN."""
    resource = fact.resource
    url = resource.url
    if fact.home == own and resource.type in TYPES:
        url = f"{base}/{resource.type}/{resource.id}"
    if not url:
        url = f"urn:uuid:{resource.id}" if _is_uuid(resource.id) else f"{fact.home}/{resource.type}/{resource.id}"
    return url


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _page(
    request: FhirRequest,
    asked: Federated,
    services: FederatedServices,
    snapshot: Snapshot,
    key: str,
    start: int,
    binding: tuple[str, str],
    outcomes: list[Outcome] | tuple[()],
) -> FhirResponse:
    total = len(snapshot.lines)
    page = () if asked.total_only else snapshot.lines[start : start + asked.size]
    links = [("self", _url(asked.address, asked.used))]
    end = start + len(page)
    if page and end < total:
        mark = cursor.seal((key, end), query=binding[0], caller=binding[1], key=services.cursor_key)
        links.append(("next", _url(asked.address, (*asked.used, (CURSOR, mark)))))
    entries = [one.entry for one in page]
    by_home: dict[tuple[str, str], list[str]] = {}
    for one in page:
        by_home.setdefault((one.home, one.name), []).append(one.reference)
    for (home, name), targets in by_home.items():
        made = provenance(home, name, targets, snapshot.recorded)
        entries.append(
            fhir.render({"fullUrl": f"urn:uuid:{made['id']}", "resource": made, "search": {"mode": "include"}})
        )
    entries += [_told(issue) for one in outcomes for issue in _issues(one)]
    if asked.ignored and not start:
        text = f"not known to a federated search and ignored: {', '.join(asked.ignored)}"
        entries.append(_told(outcome("warning", "not-supported", text)))
    return json_answer(200, searchset(total, links, entries))


def _told(issue: bytes) -> bytes:
    return b'{"resource":%b,"search":{"mode":"outcome"}}' % issue


def _issues(one: Outcome) -> Iterator[bytes]:
    """What a reader has to know of a community: it is silent, or its answer is not whole."""
    who = f"{one.community} {one.name}".strip()
    if not one.answered:
        yield outcome("warning", one.issue, f"{who}: {one.outcome}")
    elif one.alarms:
        yield outcome("warning", "processing", f"{who}: its answer is not whole ({', '.join(one.alarms)})")


def _url(address: str, pairs: tuple[tuple[str, str], ...]) -> str:
    return f"{address}?{urlencode(pairs, quote_via=quote, safe='/:|,')}"


# -- as they come ------------------------------------------------------------------------------------------------------


def stream(
    request: FhirRequest, services: FederatedServices, caller: Caller, scope: Scope
) -> tuple[FhirResponse | None, Iterator[bytes]]:
    """A refusal, or the lines: {community, name, outcome, ms} and {community, resource}, each community's as they come.

    The audit record of the question is stored before the first line.
    """
    try:
        if request.method != "GET":
            raise Refused(405, "not-supported", "a stream is read", [("Allow", "GET")])
        asked = understand(request, services, scope)
        federation = services.federation
        parts = federation.begin(asked.question, caller, scope, deadline_s=_deadline(asked, services))
    except GatewayError as error:
        response = error_answer(error)
        if isinstance(error, Busy):
            response.headers.append(("Retry-After", "1"))
        refused(services, caller, error)
        return response, iter(())
    try:
        federation.record(asked.question, caller, (), asked.transaction)
    except BaseException:
        parts.close()
        raise
    return None, Lines(parts, federation.home)


class Lines:
    """The lines of a stream; closed when its reader goes away."""

    def __init__(self, parts: Parts, own: str) -> None:
        self._parts, self._lines = parts, _lines(parts, own)

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> bytes:
        return next(self._lines)

    def close(self) -> None:
        self._parts.close()


def _lines(parts: Parts, own: str) -> Iterator[bytes]:
    for part in parts:
        one = part.outcome
        for fact in merge(own, [(one.community, one.name, part.given.resources)]):
            yield _json({"community": one.community, "resource": fact.tagged()})
        said: dict[str, Any] = one.as_json()
        if one.alarms:
            said["alarms"] = list(one.alarms)
        yield _json(said)


def _json(value: dict[str, Any]) -> bytes:
    return fhir.render(value) + b"\n"
