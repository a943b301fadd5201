"""What the MHD transactions share: their services, and the reading of a search (IHE MHD 4.2; ITI TF-2: Z.2).

A parameter that nobody knows is ignored and named in the answer (refused with `Prefer: handling=strict`); a modifier,
prefix or value that is wrong on a known one is always refused, since ignoring it would widen the answer.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from gateway.codec import fhir
from gateway.codec.er7 import unescape
from gateway.errors import (
    BadInput,
    InvalidParameter,
    LimitExceeded,
    MissingParameter,
    ParameterNumber,
    UnknownCommunity,
)
from gateway.fhir import search as searching
from gateway.fhir.messages import FhirRequest, FhirResponse, json_answer, outcome, wants_xml
from gateway.fhir.pixm import authority_of
from gateway.fhir.transactions import Trace
from gateway.model.caller import Caller, Scope
from gateway.model.document import APPROVED, DEPRECATED, CodeFilter
from gateway.model.identity import PatientId
from gateway.ports import Resources
from gateway.profiles.finding import Finding
from gateway.services.documents import DocumentServices, same_community
from gateway.services.persons import Persons
from gateway.services.search import cursor
from gateway.services.search.text import fold
from gateway.services.search.values import FHIR_ID, SearchRules, split
from gateway.translate import code_system
from gateway.translate.document_reference import OID, Json
from gateway.translate.times import utc_range

PATIENT, PATIENT_IDENTIFIER = "patient", "patient.identifier"
CONTROLS: Final = frozenset(
    {"_format", "_pretty", "_count", "_sort", "_summary", "_total", "_cursor", "_include", "_id"}
)
CURSOR: Final = "_cursor"
DEFAULT_COUNT: Final = 50
MAX_COUNT: Final = 1000
MAX_PARAMETERS: Final = 50
MAX_VALUES: Final = 100
MAX_CHARACTERS: Final = 2048
_PREFIXED = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.*)", re.DOTALL)
_NOWHERE: Final = "\x00"
"""A scheme no code has: of a token that asks for a code without a system."""
_PRINTABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.:\-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class MhdServices:
    """What the MHD transactions work with; gateway.app fills it."""

    documents: DocumentServices
    persons: Persons
    resources: Resources
    rules: SearchRules
    """Of the ordinary search, which knows the DocumentReferences that are no documents of the registry."""
    cursor_key: bytes
    parse_xml: Callable[[bytes], dict[str, Any]]
    render_xml: Callable[[dict[str, Any]], bytes]
    check: Callable[[dict[str, Any]], Sequence[Finding]] = lambda _: ()
    """Of a resource that somebody sends."""


# -- reading a search ------------------------------------------------------------------------------------------------


class Query(NamedTuple):
    """A search as it was asked. `terms`: parameter -> its repetitions (ANDed), each the values between commas (ORed)."""

    terms: Mapping[str, tuple[tuple[str, ...], ...]]
    used: tuple[tuple[str, str], ...]
    """What took effect, in the order given, without the cursor: the self link."""
    ignored: tuple[str, ...]
    page: int
    """Matches of one page at most."""
    total_only: bool
    with_total: bool
    includes: tuple[str, ...]
    digest: str

    def all(self, name: str) -> tuple[tuple[str, ...], ...]:
        return self.terms.get(name, ())

    def one(self, name: str) -> tuple[str, ...]:
        """The values of a parameter that stands once; () without it. Raises ParameterNumber."""
        found = self.terms.get(name, ())
        if len(found) > 1:
            raise ParameterNumber(f"{name} stands more than once")
        return found[0] if found else ()


def read(request: FhirRequest, type_: str, known: Iterable[str], trace: Trace) -> Query:
    """The search of a GET or a POST _search. Raises InvalidParameter, ParameterNumber, LimitExceeded, Refused."""
    given = searching.parameters(request)
    with_query = FhirRequest(request.method, request.path, given, request.headers, b"", request.base)
    trace.xml = wants_xml(with_query if request.method == "POST" else request)
    if len(given) > MAX_PARAMETERS:
        raise InvalidParameter(f"more than {MAX_PARAMETERS} parameters")
    names = {*known, *CONTROLS}
    terms: dict[str, list[tuple[str, ...]]] = {}
    used: list[tuple[str, str]] = []
    ignored: list[str] = []
    for name, value in given:
        base, _, modifier = name.partition(":")
        if name in names:
            terms.setdefault(name, []).append(_values(name, value))
        elif base in names and modifier:
            raise InvalidParameter(f"{base}: this modifier is not supported here")
        else:
            ignored.append(name if _PRINTABLE.fullmatch(name) else "(a name that is none)")
            continue
        if name != CURSOR:
            used.append((name, value))
    if ignored and _strict(request):
        raise InvalidParameter(f"parameters this server does not know on {type_}: {', '.join(dict.fromkeys(ignored))}")
    trace.object = f"{type_}?{'&'.join(name for name, _ in used)}"
    single = {name: _once(terms, name) for name in CONTROLS - {"_include", "_id", "_format"}}
    count, summary = single["_count"] or str(DEFAULT_COUNT), single["_summary"] or "false"
    if not (count.isascii() and count.isdigit() and len(count) <= 9):
        raise InvalidParameter("_count is a number from 0")
    if summary not in ("count", "false"):
        raise InvalidParameter("_summary: count and false are supported")
    if single["_total"] not in ("", "none", "estimate", "accurate"):
        raise InvalidParameter("_total is none, estimate or accurate")
    if single["_sort"] not in ("", "-date"):
        raise InvalidParameter("_sort: -date is supported")
    lasting = [pair for pair in used if pair[0] not in ("_format", "_pretty")]
    return Query(
        {name: tuple(values) for name, values in terms.items()},
        tuple(used),
        tuple(dict.fromkeys(ignored)),
        min(int(count), MAX_COUNT),
        summary == "count" or int(count) == 0,
        single["_total"] != "none",
        tuple(value for values in terms.get("_include", ()) for value in values),
        cursor.digest(type_, lasting),
    )


def _values(name: str, value: str) -> tuple[str, ...]:
    values = split(value, ",") if name not in (CURSOR, "_format") else [value]
    if len(values) > MAX_VALUES:
        raise InvalidParameter(f"{name}: more than {MAX_VALUES} values")
    if any(not one.strip() or "\0" in one for one in values):
        # An empty value is not "everything": the client lost what it wanted to ask for.
        raise InvalidParameter(f"{name}: an empty value")
    if any(len(one) > MAX_CHARACTERS for one in values):
        raise LimitExceeded(f"{name}: a value of more than {MAX_CHARACTERS} characters")
    return tuple(values)


def _once(terms: Mapping[str, Sequence[tuple[str, ...]]], name: str) -> str:
    found = [value for values in terms.get(name, ()) for value in values]
    if len(found) > 1:
        raise ParameterNumber(f"{name} has more than one value")
    return found[0] if found else ""


def _strict(request: FhirRequest) -> bool:
    return "handling=strict" in {
        one.strip().lower() for one in request.headers.get("prefer", "").replace(";", ",").split(",")
    }


def plain(text: str) -> str:
    return re.sub(r"\\([,|$\\])", r"\1", text)


def token(name: str, text: str) -> tuple[str | None, str]:
    """(system, code) of `system|code`, `|code` or `code`; the system is None when none is said."""
    parts = [plain(part) for part in split(text, "|")]
    if len(parts) > 2 or not parts[-1]:
        raise InvalidParameter(f"{name}: write code, system|code or |code")
    return (parts[0] if len(parts) == 2 else None), parts[-1]


def code_filter(name: str, values: Sequence[str]) -> CodeFilter:
    """A code of a named system is looked for in every form in which the system may have been registered."""
    pairs: list[tuple[str, str]] = []
    for text in values:
        system, code = token(name, text)
        if system is None:
            pairs.append((code, ""))
        else:
            pairs += [(code, scheme) for scheme in (code_system.schemes_of(system) if system else (_NOWHERE,))]
    return CodeFilter(tuple(dict.fromkeys(pairs)))


STATUS: Final = {"current": (APPROVED,), "superseded": (DEPRECATED,), "retired": (DEPRECATED,), "entered-in-error": ()}
_STATUS_SYSTEMS: Final = ("http://hl7.org/fhir/document-reference-status", "http://hl7.org/fhir/list-status")


def status(query: Query) -> tuple[str, ...]:
    """availabilityStatus of the words of `status`, which is required. LENIENT: the system, which MHD says shall not be
    given, may be that of FHIR."""
    if not query.all("status"):
        raise MissingParameter("status is required")
    found: set[str] | None = None
    for values in query.all("status"):
        mine: set[str] = set()
        for text in values:
            system, code = token("status", text)
            if code not in STATUS or system not in (None, "", *_STATUS_SYSTEMS):
                raise InvalidParameter("status is current or superseded")
            mine |= set(STATUS[code])
        found = mine if found is None else found & mine
    return tuple(sorted(found or ()))


# -- dates -----------------------------------------------------------------------------------------------------------


class Span(NamedTuple):
    """From <= t < To as DTM of 14 digits in UTC, "" where it is open."""

    start: str = ""
    end: str = ""

    def within(self, other: "Span") -> "Span":
        """Both hold."""
        ends = [end for end in (self.end, other.end) if end]
        return Span(max(self.start, other.start), min(ends, default=""))


def spans(name: str, query: Query) -> tuple[Span, Span]:
    """What the repetitions of a date parameter ask of (start of a period, end of it) (R4 3.1.1.4.7). For a single time
    both have to hold: `both`."""
    first, last = Span(), Span()
    for values in query.all(name):
        if len(values) > 1:
            raise ParameterNumber(f"{name} has more than one value between commas")
        found = _PREFIXED.fullmatch(plain(values[0]).strip())
        prefix, date = (found[1] or "eq", found[2]) if found else ("eq", "")
        try:
            # A `+` of a zone that was not percent-encoded arrives as a blank.
            low, high = map(_dtm, utc_range(re.sub(r" (\d\d:\d\d)$", r"+\1", date)))
        except BadInput:
            raise InvalidParameter(f"{name}: a value is not a FHIR date or time") from None
        match prefix:
            case "eq":
                first, last = first.within(Span(low)), last.within(Span(end=high))
            case "ge":
                last = last.within(Span(low))
            case "gt":
                last = last.within(Span(high))
            case "le":
                first = first.within(Span(end=high))
            case "lt":
                first = first.within(Span(end=low))
            case "sa":
                first = first.within(Span(high))
            case "eb":
                last = last.within(Span(end=low))
            case _:
                raise InvalidParameter(f"{name}: the prefix {prefix} is not supported here")
    return first, last


def both(name: str, query: Query) -> Span:
    """Of a parameter over a single time."""
    first, last = spans(name, query)
    return first.within(last)


def _dtm(instant: str) -> str:
    """DTM of 14 digits; a fraction of a second is rounded up, since a registered time has none."""
    moment = datetime.fromisoformat(instant.removesuffix("Z"))
    if moment.microsecond and moment.year < 9999:
        moment += timedelta(seconds=1)
    return moment.strftime("%Y%m%d%H%M%S").zfill(14)


# -- the patient -----------------------------------------------------------------------------------------------------


def patient(query: Query, request: FhirRequest, services: MhdServices, scope: Scope, trace: Trace) -> str | None:
    """Enterprise id of the patient of the query; None when nobody is known by it, which is an empty answer. Raises
    MissingParameter, ParameterNumber, InvalidParameter."""
    reference, identifier = query.one(PATIENT), query.one(PATIENT_IDENTIFIER)
    if not reference and not identifier:
        raise MissingParameter("patient or patient.identifier is required")
    if len(reference) > 1 or len(identifier) > 1:
        raise ParameterNumber("a query is about one patient")
    found: set[str | None] = set()
    if reference:
        found.add(by_reference(plain(reference[0]), request.base, services, scope, trace))
    if identifier:
        system, value = token(PATIENT_IDENTIFIER, identifier[0])
        if not system:
            raise InvalidParameter(f"{PATIENT_IDENTIFIER}: write system|value, both parts")
        found.add(by_identifier(system, value, services, scope, trace))
    return found.pop() if len(found) == 1 else None


def by_reference(text: str, base: str, services: MhdServices, scope: Scope, trace: Trace) -> str | None:
    """`id`, `Patient/id` or an absolute URL below our base."""
    id_ = text.removeprefix(f"{base}/").removeprefix("Patient/")
    if "://" in id_ or id_.startswith("urn:"):
        return None
    if not FHIR_ID.fullmatch(id_):
        raise InvalidParameter("patient: write id, Patient/id or an absolute URL")
    trace.patient = f"Patient/{id_}"
    row = services.persons.index.by_patient(id_, scope)
    return row.enterprise_id if row is not None else None


def by_identifier(system: str, value: str, services: MhdServices, scope: Scope, trace: Trace) -> str | None:
    """An id of any authority known here, the affinity domain's own included."""
    oid = authority_of(system, services.persons) or (system.removeprefix(OID) if system.startswith(OID) else "")
    if not oid:
        return None
    id_ = PatientId(value, oid)
    trace.patient = str(id_)
    return services.documents.identities.enterprise_id(id_, scope)


def enterprise_id(cx: str, services: MhdServices, scope: Scope) -> str | None:
    """Behind the CX of a registered object; None for ""."""
    return services.documents.identities.enterprise_id(PatientId.parse(cx), scope) if cx else None


# -- other parameters --------------------------------------------------------------------------------------------------


def check_communities(query: Query, home: str) -> None:
    """targetCommunityIdList (MHD 1:33.2.7): only this community can be asked here. Raises UnknownCommunity."""
    for values in query.all("targetCommunityIdList"):
        if not any(same_community(plain(value), home) for value in values):
            raise UnknownCommunity("targetCommunityIdList does not name this community")


def names(query: Query, prefix: str) -> Callable[[Iterable[str]], bool]:
    """Whether one of some XCN fits `author.family` and `author.given` (or `source.`): each is the beginning of that part,
    case and width aside."""
    wanted = [
        (component, tuple(fold(plain(value)) for value in values))
        for part, component in ((f"{prefix}.family", 1), (f"{prefix}.given", 2))
        for values in query.all(part)
    ]

    def fits(xcns: Iterable[str]) -> bool:
        return any(all(_part(xcn, n).startswith(values) for n, values in wanted) for xcn in xcns)

    return fits


def asks_names(query: Query, prefix: str) -> bool:
    return bool(query.all(f"{prefix}.family") or query.all(f"{prefix}.given"))


def _part(xcn: str, component: int) -> str:
    parts = xcn.split("^")
    return fold(unescape(parts[component])) if component < len(parts) else ""


# -- answering -------------------------------------------------------------------------------------------------------


def bound_to(caller: Caller) -> str:
    return "|".join((caller.node, caller.user, caller.purpose))


def after(query: Query, services: MhdServices, caller: Caller) -> cursor.Key:
    """The key of the last row of the page before, of `_cursor`; () for the first page."""
    given = query.one(CURSOR)
    if not given:
        return ()
    return cursor.unseal(given[0], query=query.digest, caller=bound_to(caller), key=services.cursor_key)


def answer(
    request: FhirRequest,
    type_: str,
    query: Query,
    services: MhdServices,
    caller: Caller,
    *,
    total: int | None,
    matches: Sequence[Json] = (),
    included: Sequence[Json] = (),
    last: cursor.Key = (),
) -> FhirResponse:
    """The searchset. `last`: key of the last match when there are more."""
    address = f"{request.base}/{type_}"
    links = [("self", searching.url(address, query.used))]
    if last:
        mark = cursor.seal(last, query=query.digest, caller=bound_to(caller), key=services.cursor_key)
        links.append(("next", searching.url(address, [*query.used, (CURSOR, mark)])))
    entries = [_entry(request.base, one, b"match") for one in matches]
    entries += [_entry(request.base, one, b"include") for one in included]
    if query.ignored:
        text = f"not known on {type_} and ignored: {', '.join(query.ignored)}"
        issue = outcome("warning", "not-supported", text)
        entries.append(b'{"resource":%b,"search":{"mode":"outcome"}}' % issue)
    return json_answer(200, searching.searchset(total if query.with_total else None, links, entries))


def _entry(base: str, one: Json, mode: bytes) -> bytes:
    url = f"{base}/{one['resourceType']}/{one['id']}".encode("ascii")
    return b'{"fullUrl":"%b","resource":%b,"search":{"mode":"%b"}}' % (url, fhir.render(one), mode)


def subjects(matches: Sequence[Json], services: MhdServices, scope: Scope) -> Iterator[Json]:
    """The Patients of these resources, each once."""
    references = dict.fromkeys(one.get("subject", {}).get("reference", "") for one in matches)
    for reference in filter(None, references):
        row = services.resources.read("Patient", reference.removeprefix("Patient/"), scope)
        if row is not None and not row.deleted:
            yield fhir.parse(row.body)


def is_search(type_: str, method: str, path: Sequence[str]) -> bool:
    return (method in ("GET", "HEAD") and list(path) == [type_]) or (
        method == "POST" and list(path) == [type_, "_search"]
    )


def is_read(type_: str, method: str, path: Sequence[str]) -> bool:
    return method in ("GET", "HEAD") and len(path) == 2 and path[0] == type_ and path[1] != "_search"
