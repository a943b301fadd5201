"""Patient/[id]/$everything (FHIR R4, OperationDefinition Patient-everything) in pages, and Patient/[id]/$summary (IPS), the
document that XDS gives on demand. Both are about the person: the Patients of all facilities."""

import re
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import quote, urlencode

from gateway.codec import fhir
from gateway.errors import InvalidParameter, UnknownResource
from gateway.fhir.messages import FhirRequest, FhirResponse, json_answer
from gateway.fhir.search import searchset
from gateway.model.caller import Scope
from gateway.model.resource import Clause, DateClause, ReferenceClause, SearchPlan, StoredResource
from gateway.ports import Resources
from gateway.services.ondemand import bundle
from gateway.services.ondemand.gathering import ALONG, gather, references
from gateway.services.ondemand.kinds import kinds
from gateway.services.persons import Persons
from gateway.services.search import TYPES
from gateway.services.search import cursor as cursors

EVERYTHING: Final = "$everything"
SUMMARY: Final = "$summary"
_KNOWN: Final = frozenset({"_count", "_type", "_since", "_cursor", "_format", "_pretty"})
_COUNT, _MOST = 100, 1000
_OF_PERSON: Final = tuple(type_ for type_ in TYPES if type_ not in ALONG - {"Encounter", "Specimen", "Device"})
_START: Final[cursors.Key] = ()
_INSTANT: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?Z", re.ASCII)


def person(id_: str, resources: Resources, persons: Persons | None, scope: Scope) -> tuple[str, ...]:
    """Logical ids of the person's Patients, the one asked for first. Raises UnknownResource."""
    asked = resources.read("Patient", id_, scope)
    if asked is None or asked.deleted:
        raise UnknownResource("no such Patient here")
    row = persons.index.by_patient(id_, scope) if persons is not None else None
    if row is None or persons is None:
        return (id_,)
    others = {one.patient for one in persons.index.members((row.enterprise_id,), scope)} - {id_, ""}
    return (id_, *sorted(others))


def summary(
    request: FhirRequest, patients: Sequence[str], resources: Resources, scope: Scope, author: str
) -> FhirResponse:
    gathered = gather(resources, patients, kinds()["summary"], scope)
    return json_answer(200, bundle.document(gathered, author, request.base))


def everything(
    request: FhirRequest, patients: Sequence[str], resources: Resources, scope: Scope, key: bytes, caller: str
) -> FhirResponse:
    """A searchset: the person's resources type by type, and what those of the page refer to."""
    asked = _parameters(request)
    types = _types(asked)
    count = _count(asked)
    clauses: list[Clause] = []
    if since := asked.get("_since"):
        if not _INSTANT.fullmatch(since):
            raise InvalidParameter("_since is an instant in UTC: YYYY-MM-DDThh:mm:ssZ")
        clauses.append(DateClause("_lastUpdated", (("ge", since, since),)))
    kept = [pair for pair in asked.items() if pair[0] not in ("_cursor", "_format", "_pretty")]
    query = cursors.digest(f"{patients[0]}/{EVERYTHING}", kept)
    at, after = 0, _START
    if "_cursor" in asked:
        place = cursors.unseal(asked["_cursor"], query=query, caller=caller, key=key)
        at, after = int(place[0]), place[1:]
    rows: list[StoredResource] = []
    while at < len(types) and len(rows) < count:
        mine = ReferenceClause("patient", tuple(patients))
        ids = tuple(patients) if types[at] == "Patient" else None
        wanted = tuple(clauses) if ids else (mine, *clauses)
        plan = SearchPlan(types[at], ids, wanted, count - len(rows), after=after, with_total=False)
        page = resources.search(plan, scope)
        rows += page.rows
        at, after = (at, page.next_after) if page.next_after else (at + 1, ())
    address = f"{request.base}/Patient/{patients[0]}/{EVERYTHING}"
    links = [("self", _url(address, kept))]
    if at < len(types):
        mark = cursors.seal((at, *after), query=query, caller=caller, key=key)
        links.append(("next", _url(address, [*kept, ("_cursor", mark)])))
    entries = [_entry(request.base, one, b"match") for one in rows]
    entries += [_entry(request.base, one, b"include") for one in _included(rows, resources, scope)]
    return json_answer(200, searchset(None, links, entries))


def _parameters(request: FhirRequest) -> dict[str, str]:
    asked: dict[str, str] = {}
    for name, value in request.query:
        if name not in _KNOWN or name in asked:
            raise InvalidParameter("parameters are _count, _type and _since, each once")
        asked[name] = value
    return asked


def _types(asked: dict[str, str]) -> tuple[str, ...]:
    """In an order of their own, the Patient first."""
    wanted = asked["_type"].split(",") if "_type" in asked else _OF_PERSON
    if unknown := [type_ for type_ in wanted if type_ not in _OF_PERSON]:
        raise InvalidParameter(f"_type: {len(unknown)} of the types are none of a person's here")
    return tuple(sorted(set(wanted), key=lambda type_: (type_ != "Patient", type_)))


def _count(asked: dict[str, str]) -> int:
    text = asked.get("_count", str(_COUNT))
    if not re.fullmatch("[1-9][0-9]{0,5}", text, re.ASCII):
        raise InvalidParameter("_count is a number of 1 or more")
    return min(int(text), _MOST)


def _included(rows: Sequence[StoredResource], resources: Resources, scope: Scope) -> list[StoredResource]:
    have = {f"{one.type}/{one.id}" for one in rows}
    wanted = {reference for one in rows for reference in references(fhir.parse(one.body))} - have
    pairs = (reference.split("/") for reference in sorted(wanted))
    found = (resources.read(type_, id_, scope) for type_, id_ in pairs if type_ in ALONG and type_ not in _OF_PERSON)
    return [one for one in found if one is not None and not one.deleted]


def _entry(base: str, one: StoredResource, mode: bytes) -> bytes:
    url = f"{base}/{one.type}/{one.id}".encode("ascii")
    return b'{"fullUrl":"%b","resource":%b,"search":{"mode":"%b"}}' % (url, one.body, mode)


def _url(address: str, pairs: Iterable[tuple[str, str]]) -> str:
    query = urlencode(list(pairs), quote_via=quote, safe="/:|,")
    return f"{address}?{query}" if query else address
