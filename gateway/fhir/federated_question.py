"""What a federated FHIR request asks: which types with which parameters, of whom, in what order and for how long."""

from typing import Final, NamedTuple

from gateway.errors import InvalidParameter, MissingParameter, UnknownPatient
from gateway.fhir import federated_summary as summaries
from gateway.fhir.messages import FhirRequest, Refused
from gateway.fhir.search import parameters
from gateway.model.caller import Scope
from gateway.model.identity import PatientId
from gateway.services.federation import documentary
from gateway.services.federation.question import DOCUMENT, Question, Wanted
from gateway.services.persons import Persons
from gateway.services.search import PARAMETERS, TYPES, SearchRules, plan
from gateway.services.search.plan import CURSOR
from gateway.services.search.values import FHIR_ID, split

PARAMETER: Final = "_federated"
HEADER: Final = "x-musubi-federated"
STREAM: Final = "$federated-stream"
_CONTROL: Final = frozenset({PARAMETER, "_count", "_sort", "_total", "_summary", "_format", "_pretty", CURSOR, "_type"})
_NOT_JOINED: Final = frozenset({"_include", "_revinclude", "_include:iterate", "_revinclude:iterate"})
_PERSON: Final = ("patient.identifier", "patient:identifier", "subject.identifier", "subject:identifier",
                  "patient:Patient.identifier", "subject:Patient.identifier")  # fmt: skip
_LOCAL: Final = ("patient", "subject", "patient:Patient", "subject:Patient")
_ANYWHERE: Final = frozenset({"_id", "_lastUpdated"})
_SHARED: Final = frozenset({"Organization", "Practitioner", "PractitionerRole", "Location", "Provenance"})
"""Types that are about no one person; `$everything` does not ask for them by themselves."""


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
    # A posted search has its parameters in its form.
    if request.method == "POST" and f"{PARAMETER}=true".encode() in request.body.split(b"&"):
        return True
    if request.headers.get(HEADER, "").strip().lower() == "true":
        return True
    return any(name == PARAMETER and value == "true" for name, value in request.query)


def understand(request: FhirRequest, persons: Persons, rules: SearchRules, scope: Scope) -> Federated:
    """Raises GatewayError with the words for the caller."""
    if request.malformed:
        raise InvalidParameter(request.malformed)
    if request.method not in ("GET", "HEAD", "POST"):
        raise Refused(405, "not-supported", "a federated question is a search", [("Allow", "GET, HEAD, POST")])
    given = parameters(request) if request.method == "POST" else request.query
    types, local = _what(request, given)
    patient, person = _whom(given, types, local, persons, rules, scope)
    rest = [(name, value) for name, value in given if name not in _CONTROL and (name, value) not in person]
    ignored = [name for name, _ in rest if name in _NOT_JOINED]
    rest = [(name, value) for name, value in rest if name not in _NOT_JOINED]
    wanted = tuple(_wanted(type_, rest, len(types) == 1, rules, ignored) for type_ in types)
    control = {name: value for name, value in given if name in _CONTROL}
    prefer = request.headers.get("prefer", "").lower().replace(";", ",").split(",")
    strict = "handling=strict" in (one.strip() for one in prefer)
    if strict and ignored:
        raise InvalidParameter("a parameter that a federated search does not know")
    used = [(name, value) for name, value in given if name not in (CURSOR, PARAMETER) and name not in ignored]
    return Federated(
        Question(patient, wanted),
        _count(control.get("_count"), rules),
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
    given: list[tuple[str, str]], types: tuple[str, ...], local: str, persons: Persons, rules: SearchRules, scope: Scope
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
        return _identifier(said[0][1], rules), said
    record = persons.read(ids[0], scope) if FHIR_ID.fullmatch(ids[0]) else None
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
