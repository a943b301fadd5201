"""ITI-67 Find Document References (IHE MHD 4.2, 2:3.67): GET and POST _search on DocumentReference, and its read.

The registry answers, as to ITI-18 FindDocuments; its entries are shown as DocumentReferences (services/
document_references.py). After them come the DocumentReferences that are no documents of the registry: documents inside a
message (OBX-5 of type ED), which the ordinary search knows. LENIENT: a search by `identifier` or `_id` needs neither
patient nor status, as GetDocuments needs none.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple

from gateway.codec import fhir
from gateway.errors import InvalidParameter
from gateway.fhir.messages import FhirRequest, FhirResponse, check_acceptable, json_answer
from gateway.fhir.transactions import QUERY, Attached, Trace
from gateway.ihe import _mhd
from gateway.ihe._mhd import MhdServices, Query
from gateway.model.caller import Caller, Scope
from gateway.model.document import (
    APPROVED,
    DEPRECATED,
    ON_DEMAND,
    STABLE,
    CodeFilter,
    DocumentEntry,
    DocumentQuery,
    StoredEntry,
)
from gateway.model.resource import SearchPlan, TokenClause
from gateway.services.document_references import entry_of, shown
from gateway.services.search import cursor, plan
from gateway.translate.document_reference import (
    OID,
    URI_SYSTEM,
    UUID,
    Json,
    entry_uuid,
    unique_id_of,
)

NUMBER: Final = "ITI-67"
TYPE: Final = "DocumentReference"
_CODES: Final = {
    "category": "classCode",
    "type": "typeCode",
    "format": "formatCode",
    "setting": "practiceSettingCode",
    "facility": "healthcareFacilityTypeCode",
}
_ANDED: Final = {"event": "eventCodeList", "security-label": "confidentialityCode"}
_PARAMETERS: Final = (
    "patient", "patient.identifier", "status", "author.given", "author.family", *_CODES, *_ANDED, "date", "creation",
    "period", "identifier", "related", "related:identifier", "targetCommunityIdList",
)  # fmt: skip
_INCLUDES: Final = ("DocumentReference:patient", "DocumentReference:subject", "DocumentReference:relatesto")
_MOST: Final = 10_000
"""Documents of one patient; more are TooManyResults."""
Sieve = Callable[[DocumentEntry], bool]


def search(services: MhdServices, request: FhirRequest, caller: Caller, scope: Scope, trace: Trace) -> FhirResponse:
    query = _mhd.read(request, TYPE, _PARAMETERS, trace)
    if unknown := [one for one in query.includes if one not in _INCLUDES]:
        raise InvalidParameter(f"_include: supported are {', '.join(_INCLUDES)} ({len(unknown)} are not)")
    _mhd.check_communities(query, services.documents.home)
    wanted, sieve = understand(query, request, services, scope, trace)
    after = _mhd.after(query, services, caller)
    page = _registry(wanted, sieve, query, services, scope, after) if wanted else _Page((), 0, ())
    matches: list[Json] = shown(page.rows, request.base, services.documents, scope)
    others = _Others(request, query, services, scope, after)
    last = page.last
    if not last and not query.total_only:
        found, last = others.fill(query.page - len(page.rows))
        matches += found
    included = list(_included(query, matches, request, services, scope))
    return _mhd.answer(
        request, TYPE, query, services, caller, total=page.total + others.total, matches=matches, included=included,
        last=last,
    )  # fmt: skip


def read(
    services: MhdServices, request: FhirRequest, caller: Caller, scope: Scope, trace: Trace
) -> FhirResponse | None:
    """One entry by its UUID; None for an id that is none of the registry's: it may be another DocumentReference."""
    check_acceptable(request)
    id_ = request.path.strip("/").split("/")[1]
    uuid = entry_uuid(id_)
    found = services.documents.documents.by_entry_uuid((uuid,), scope) if uuid else []
    if not found:
        return None
    trace.object, trace.patient = f"{TYPE}/{id_}", found[0].patientId
    return json_answer(200, fhir.render(shown(found, request.base, services.documents, scope)[0]))


# -- the question ----------------------------------------------------------------------------------------------------


def understand(
    query: Query, request: FhirRequest, services: MhdServices, scope: Scope, trace: Trace
) -> tuple[DocumentQuery | None, Sieve | None]:
    """(what the registry is asked, what its hits have to fit besides). None for nobody and nothing known here."""
    named = _named(query, services, scope)
    if named is not None and not query.all("patient") and not query.all("patient.identifier"):
        patients = {one.patientId for one in named}
        trace.patient = patients.pop() if len(patients) == 1 else ""
        eid = _mhd.enterprise_id(trace.patient, services, scope)
    else:
        eid = _mhd.patient(query, request, services, scope, trace)
    statuses = _mhd.status(query) if named is None or query.all("status") else (APPROVED, DEPRECATED)
    if not eid or not statuses or named == []:
        return None, None
    first, last = _mhd.spans("period", query)
    codes: dict[str, Any] = {attribute: _single(name, query) for name, attribute in _CODES.items() if query.all(name)}
    codes |= {
        attribute: tuple(_mhd.code_filter(name, values) for values in query.all(name))
        for name, attribute in _ANDED.items()
    }
    wanted = DocumentQuery(
        patient=eid,
        status=statuses,
        creationTime=_mhd.both("creation", query).within(_mhd.both("date", query)),
        serviceStartTime=first,
        serviceStopTime=last,
        openPeriod=True,
        objectType=(STABLE, ON_DEMAND),
        **codes,
    )
    return wanted, _sieve(query, named)


def _single(name: str, query: Query) -> CodeFilter:
    """An entry has one of these codes, so that two repetitions leave what both allow."""
    filters = [_mhd.code_filter(name, values) for values in query.all(name)]
    kept = [pair for pair in filters[0].values if all(_allows(one, pair) for one in filters[1:])]
    return CodeFilter(tuple(kept) or (("\x00", ""),))


def _allows(wanted: CodeFilter, pair: tuple[str, str]) -> bool:
    return any(code == pair[0] and scheme in ("", pair[1]) for code, scheme in wanted.values)


def _named(query: Query, services: MhdServices, scope: Scope) -> list[StoredEntry] | None:
    """The entries that `identifier` and `_id` name; None when neither is asked."""
    found: list[StoredEntry] | None = None
    documents = services.documents.documents
    for name in ("identifier", "_id"):
        for values in query.all(name):
            uuids, unique_ids = [], []
            for text in values:
                system, value = _mhd.token(name, text)
                if name == "_id" or value.startswith(UUID):
                    uuids.append(entry_uuid(value.removeprefix(UUID)))
                if name == "identifier":
                    unique_ids.append(_unique_id(system, value))
            mine = documents.by_entry_uuid(tuple(filter(None, uuids)), scope)
            mine += documents.by_unique_id(tuple(filter(None, unique_ids)), scope)
            known = {one.entryUUID for one in mine}
            found = mine if found is None else [one for one in found if one.entryUUID in known]
    return found


def _unique_id(system: str | None, value: str) -> str:
    return unique_id_of({"system": system or URI_SYSTEM, "value": value if ":" in value or system else OID + value})


def _sieve(query: Query, named: list[StoredEntry] | None) -> Sieve | None:
    """What SQL does not decide: names exactly, and references."""
    tests: list[Sieve] = []
    if named is not None:
        known = {one.entryUUID for one in named}
        tests.append(lambda entry: entry.entryUUID in known)
    if _mhd.asks_names(query, "author"):
        fits = _mhd.names(query, "author")
        tests.append(lambda entry: fits(author.person for author in entry.author))
    for name in ("related", "related:identifier"):
        for values in query.all(name):
            wanted = [_mhd.token(name, text) for text in values]
            tests.append(partial(_refers, wanted))
    return (lambda entry: all(test(entry) for test in tests)) if tests else None


def _refers(wanted: Sequence[tuple[str | None, str]], entry: DocumentEntry) -> bool:
    """Whether an entry's referenceIdList has one of these."""
    for cxi in entry.referenceIdList:
        parts = cxi.split("^")
        oid = parts[3].split("&")[1] if len(parts) > 3 and parts[3].count("&") == 2 else ""
        if any(value == parts[0] and (system is None or system.removeprefix(OID) == oid) for system, value in wanted):
            return True
    return False


# -- the answer ------------------------------------------------------------------------------------------------------


class _Page(NamedTuple):
    rows: Sequence[StoredEntry]
    total: int
    last: cursor.Key
    """Of the last row when the registry has more."""


def _registry(
    wanted: DocumentQuery, sieve: Sieve | None, query: Query, services: MhdServices, scope: Scope, after: cursor.Key
) -> _Page:
    """One page, newest first. What a patient has is bounded, so that ids are listed and only a page is read."""
    documents = services.documents.documents
    found = documents.find(replace(wanted, limit=_MOST, references=sieve is None), scope)
    if sieve is not None:
        found = [one for one in found if sieve(entry_of(one, services.documents))]
    at = (str(after[1]), str(after[2])) if len(after) == 3 and after[0] == "r" else None
    done = query.total_only or (bool(after) and at is None)
    ahead = [] if done else [one for one in found if at is None or _comes_after(one, at)]
    rows = ahead[: query.page]
    last: cursor.Key = ("r", rows[-1].time, rows[-1].entryUUID) if len(ahead) > len(rows) > 0 else ()
    if sieve is None:
        rows = documents.by_entry_uuid(tuple(one.entryUUID for one in rows), scope)
    return _Page(rows, len(found), last)


def _comes_after(one: StoredEntry, at: tuple[str, str]) -> bool:
    """Newest first, then by entryUUID, as the registry orders."""
    return one.time < at[0] or (one.time == at[0] and one.entryUUID > at[1])


class _Others:
    """DocumentReferences that stand for no document of the registry, by the ordinary search. A parameter it does not
    know asks for an element that such a one never has."""

    def __init__(
        self, request: FhirRequest, query: Query, services: MhdServices, scope: Scope, after: cursor.Key
    ) -> None:
        self._services, self._scope = services, scope
        self._after = after[1:] if after and after[0] == "s" else ()
        self._plan: SearchPlan | None = None
        rules = replace(services.rules, base=request.base)
        given = [(name, value) for name, value in query.used if name != "_include"]
        try:
            found = plan(TYPE, given, rules=rules, cursor_key=services.cursor_key, strict=True).plan
        except InvalidParameter:
            self.total = 0
            return
        unregistered = TokenClause("identifier", ((URI_SYSTEM, None),), negated=True)
        self._plan = replace(found, clauses=(*found.clauses, unregistered))
        self.total = services.resources.search(replace(self._plan, total_only=True, with_total=True), scope).total

    def fill(self, room: int) -> tuple[list[Json], cursor.Key]:
        """What fills up a page, and the key of the next one."""
        if self._plan is None or not self.total:
            return [], ()
        if room <= 0:
            return [], ("s", *self._after)
        wanted = replace(self._plan, count=room, after=self._after, with_total=False)
        page = self._services.resources.search(wanted, self._scope)
        last: cursor.Key = ("s", *page.next_after) if page.next_after else ()
        return [fhir.parse(row.body) for row in page.rows], last


def _included(
    query: Query, matches: Sequence[Json], request: FhirRequest, services: MhdServices, scope: Scope
) -> Iterator[Json]:
    if {"DocumentReference:patient", "DocumentReference:subject"} & set(query.includes):
        yield from _mhd.subjects(matches, services, scope)
    if "DocumentReference:relatesto" in query.includes:
        here = {one["id"] for one in matches}
        targets = dict.fromkeys(
            relation["target"]["reference"].removeprefix(f"{TYPE}/")
            for one in matches
            for relation in one.get("relatesTo", ())
        )
        uuids = tuple(filter(None, (entry_uuid(id_) for id_ in targets if id_ not in here)))
        rows = services.documents.documents.by_entry_uuid(uuids, scope)
        yield from shown(rows, request.base, services.documents, scope)


# -- attached to the server ------------------------------------------------------------------------------------------


def transactions(services: MhdServices) -> tuple[Attached, ...]:
    """The search by both methods, and the read."""
    return (
        Attached(NUMBER, (QUERY, "E"), partial(_mhd.is_search, TYPE), partial(search, services), {TYPE: _CAPABILITY}),
        Attached(NUMBER, (QUERY, "E"), partial(_mhd.is_read, TYPE), partial(read, services)),
    )


_R4: Final = "http://hl7.org/fhir/SearchParameter/"
_MHD: Final = "https://profiles.ihe.net/ITI/MHD/SearchParameter/"
_CAPABILITY: Final = {
    "supportedProfile": [
        f"https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.{level}.DocumentReference"
        for level in ("Minimal", "Comprehensive")
    ],
    "searchInclude": list(_INCLUDES),
    "searchParam": [
        {"name": name, "definition": url, "type": kind}
        for name, kind, url in (
            ("patient", "reference", f"{_R4}clinical-patient"),
            ("status", "token", f"{_R4}DocumentReference-status"),
            ("category", "token", f"{_R4}DocumentReference-category"),
            ("type", "token", f"{_R4}clinical-type"),
            ("setting", "token", f"{_R4}DocumentReference-setting"),
            ("facility", "token", f"{_R4}DocumentReference-facility"),
            ("event", "token", f"{_R4}DocumentReference-event"),
            ("security-label", "token", f"{_R4}DocumentReference-security-label"),
            ("format", "token", f"{_R4}DocumentReference-format"),
            ("date", "date", f"{_R4}DocumentReference-date"),
            ("period", "date", f"{_R4}DocumentReference-period"),
            ("identifier", "token", f"{_R4}clinical-identifier"),
            ("related", "reference", f"{_R4}DocumentReference-related"),
            ("author", "reference", f"{_R4}DocumentReference-author"),
            ("creation", "date", f"{_MHD}DocumentReference-Creation"),
            ("targetCommunityIdList", "uri", f"{_MHD}IHE-TargetCommunityIdList"),
        )
    ],
}
