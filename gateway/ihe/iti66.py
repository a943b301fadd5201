"""ITI-66 Find Document Lists (IHE MHD 4.2, 2:3.66): SubmissionSets and Folders of the registry as List, by GET and POST
_search, and the read of one.

Asked as FindSubmissionSets and FindFolders are; parameters of the one are silently without effect for the other (note 3 of
table 2:3.66.4.1.3.1-2). LENIENT: a search by `identifier` or `_id` needs neither patient, code nor status.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from gateway.codec import fhir
from gateway.codec.ebxml_read import read_object
from gateway.errors import InvalidParameter, MissingParameter
from gateway.fhir.messages import FhirRequest, FhirResponse, check_acceptable, json_answer
from gateway.fhir.transactions import QUERY, Attached, Trace
from gateway.ihe import _mhd, iti67
from gateway.ihe._mhd import MhdServices, Query
from gateway.model.caller import Caller, Scope
from gateway.model.document import (
    APPROVED,
    DEPRECATED,
    FOLDER,
    HAS_MEMBER,
    SUBMISSION_SET,
    Association,
    Folder,
    StoredEntry,
    SubmissionSet,
)
from gateway.model.registry_query import FolderQuery, SubmissionSetQuery
from gateway.services import document_references
from gateway.services.search import cursor
from gateway.translate import document_list
from gateway.translate.document_reference import OID, URI_SYSTEM, UUID, Json, entry_uuid, unique_id_of

NUMBER: Final = "ITI-66"
TYPE: Final = "List"
_KINDS: Final = {document_list.SUBMISSION: SUBMISSION_SET, document_list.FOLDER: FOLDER}
_PARAMETERS: Final = (
    "patient", "patient.identifier", "code", "status", "date", "designationType", "identifier", "source.given",
    "source.family", "sourceId", "targetCommunityIdList",
)  # fmt: skip
_INCLUDES: Final = ("List:item", "List:patient", "List:subject")
_MOST: Final = 10_000


def search(services: MhdServices, request: FhirRequest, caller: Caller, scope: Scope, trace: Trace) -> FhirResponse:
    query = _mhd.read(request, TYPE, _PARAMETERS, trace)
    if [one for one in query.includes if one not in _INCLUDES]:
        raise InvalidParameter(f"_include: supported are {', '.join(_INCLUDES)}")
    _mhd.check_communities(query, services.documents.home)
    found = sorted(_found(query, request, services, scope, trace), key=lambda one: one.entryUUID)
    found.sort(key=lambda one: one.time, reverse=True)
    after = _mhd.after(query, services, caller)
    ahead = [one for one in found if not after or _comes_after(one, after)] if not query.total_only else []
    rows = ahead[: query.page]
    matches = shown(rows, request.base, services, scope)
    last: cursor.Key = (rows[-1].time, rows[-1].entryUUID) if len(ahead) > len(rows) > 0 else ()
    included = list(_included(query, matches, request, services, scope))
    return _mhd.answer(
        request, TYPE, query, services, caller, total=len(found), matches=matches, included=included, last=last
    )


def read(
    services: MhdServices, request: FhirRequest, caller: Caller, scope: Scope, trace: Trace
) -> FhirResponse | None:
    """One List by its UUID."""
    check_acceptable(request)
    id_ = request.path.strip("/").split("/")[1]
    uuid = entry_uuid(id_)
    found = services.documents.objects.by_entry_uuid((uuid,), scope, tuple(_KINDS.values())) if uuid else []
    if not found:
        return None
    trace.object, trace.patient = f"{TYPE}/{id_}", found[0].patientId
    return json_answer(200, fhir.render(shown(found, request.base, services, scope)[0]))


# -- the question ----------------------------------------------------------------------------------------------------


def _found(query: Query, request: FhirRequest, services: MhdServices, scope: Scope, trace: Trace) -> list[StoredEntry]:
    named = _named(query, services, scope)
    kinds = _kinds(query, required=named is None)
    statuses = _mhd.status(query) if named is None or query.all("status") else (APPROVED, DEPRECATED)
    by_patient = query.all("patient") or query.all("patient.identifier")
    if named is not None and not by_patient:
        eids = {_mhd.enterprise_id(one.patientId, services, scope) for one in named}
    else:
        eids = {_mhd.patient(query, request, services, scope, trace)}
    found: list[StoredEntry] = []
    for eid in eids:
        if eid and statuses and SUBMISSION_SET in kinds:
            found += _sets(eid, statuses, query, services, scope)
        if eid and statuses and FOLDER in kinds:
            found += _folders(eid, statuses, query, services, scope)
    if named is None:
        return found
    known = {one.entryUUID for one in named}
    return [one for one in found if one.entryUUID in known]


def _kinds(query: Query, *, required: bool) -> frozenset[str]:
    """objectTypes that `code` names."""
    if not query.all("code"):
        if required:
            raise MissingParameter("code is required")
        return frozenset(_KINDS.values())
    kinds = frozenset(_KINDS.values())
    for values in query.all("code"):
        mine = set()
        for text in values:
            system, code = _mhd.token("code", text)
            if (system or "").replace("http://", "https://") in ("", document_list.LIST_TYPES) and code in _KINDS:
                mine.add(_KINDS[code])
        kinds &= mine
    return kinds


def _sets(eid: str, statuses: tuple[str, ...], query: Query, services: MhdServices, scope: Scope) -> list[StoredEntry]:
    designations = [_mhd.code_filter("designationType", values) for values in query.all("designationType")]
    sources = [
        {value.removeprefix(OID) for _, value in (_mhd.token("sourceId", text) for text in values)}
        for values in query.all("sourceId")
    ]
    wanted = SubmissionSetQuery(
        patient=eid,
        status=statuses,
        sourceId=tuple(sorted(set.intersection(*sources))) if sources else (),
        submissionTime=_mhd.both("date", query),
        contentType=designations[0] if designations else None,
        limit=_MOST,
    )
    if sources and not wanted.sourceId:
        return []
    found = services.documents.objects.find_submission_sets(wanted, scope)
    if len(designations) > 1:
        found = [one for one in found if all(_of_type(one, services, filter_.values) for filter_ in designations[1:])]
    if _mhd.asks_names(query, "source"):
        fits = _mhd.names(query, "source")
        found = [one for one in found if fits(author.person for author in _set(one, services).author)]
    return found


def _folders(
    eid: str, statuses: tuple[str, ...], query: Query, services: MhdServices, scope: Scope
) -> list[StoredEntry]:
    wanted = FolderQuery(
        patients=(eid,),
        status=statuses,
        lastUpdateTime=_mhd.both("date", query),
        codeList=tuple(_mhd.code_filter("designationType", values) for values in query.all("designationType")),
        limit=_MOST,
    )
    return services.documents.objects.find_folders(wanted, scope)


def _of_type(row: StoredEntry, services: MhdServices, values: Sequence[tuple[str, str]]) -> bool:
    code = _set(row, services).contentTypeCode
    return any(code.code == value and scheme in ("", code.scheme) for value, scheme in values)


def _set(row: StoredEntry, services: MhdServices) -> SubmissionSet:
    found = read_object(row, services.documents.home)
    assert isinstance(found, SubmissionSet), "asked for submission sets alone"
    return found


def _named(query: Query, services: MhdServices, scope: Scope) -> list[StoredEntry] | None:
    """The lists that `identifier` and `_id` name; None when neither is asked."""
    found: list[StoredEntry] | None = None
    registry, types = services.documents.objects, tuple(_KINDS.values())
    for name in ("identifier", "_id"):
        for values in query.all(name):
            uuids, unique_ids = [], []
            for text in values:
                system, value = _mhd.token(name, text)
                if name == "_id" or value.startswith(UUID):
                    uuids.append(entry_uuid(value.removeprefix(UUID)))
                if name == "identifier":
                    unique_ids.append(unique_id_of({"system": system or URI_SYSTEM, "value": value}))
            mine = registry.by_entry_uuid(tuple(filter(None, uuids)), scope, types)
            mine += registry.by_unique_id(tuple(filter(None, unique_ids)), scope, types)
            known = {one.entryUUID for one in mine}
            found = mine if found is None else [one for one in found if one.entryUUID in known]
    return found


def _comes_after(one: StoredEntry, after: cursor.Key) -> bool:
    time, uuid = str(after[0]), str(after[1])
    return one.time < time or (one.time == time and one.entryUUID > uuid)


# -- the answer ------------------------------------------------------------------------------------------------------


def shown(rows: Sequence[StoredEntry], base: str, services: MhdServices, scope: Scope) -> list[Json]:
    """The packages as Lists with their members, as far as the scope shows these."""
    uuids = tuple(row.entryUUID for row in rows)
    members: dict[str, list[Association]] = {}
    for one in services.documents.objects.associations(uuids, scope) if uuids else ():
        if one.associationType == HAS_MEMBER and one.availabilityStatus == APPROVED:
            members.setdefault(one.sourceObject, []).append(one)
    targets = tuple(dict.fromkeys(one.targetObject for ties in members.values() for one in ties))
    types = {one.entryUUID: one.objectType for one in services.documents.objects.by_entry_uuid(targets, scope)}
    made = []
    for row in rows:
        found = read_object(row, services.documents.home)
        ties = [one.targetObject for one in members.get(row.entryUUID, ()) if one.targetObject in types]
        documents = [uuid for uuid in ties if types[uuid] not in (FOLDER, SUBMISSION_SET)]
        folders = [uuid for uuid in ties if types[uuid] == FOLDER]
        place = document_references.place(services.documents, base, row.patientId, "", scope)
        if isinstance(found, SubmissionSet):
            made.append(document_list.submission_list(found, place, documents, folders))
        elif isinstance(found, Folder):
            made.append(document_list.folder_list(found, place, documents))
    return made


def _included(
    query: Query, matches: Sequence[Json], request: FhirRequest, services: MhdServices, scope: Scope
) -> Iterator[Json]:
    if "List:item" in query.includes:
        items = [entry["item"]["reference"] for one in matches for entry in one.get("entry", ())]
        ids = {
            type_: [item.split("/")[1] for item in items if item.startswith(f"{type_}/")]
            for type_ in (iti67.TYPE, TYPE)
        }
        documents = tuple(dict.fromkeys(map(entry_uuid, ids[iti67.TYPE])))
        rows = services.documents.documents.by_entry_uuid(documents, scope)
        yield from document_references.shown(rows, request.base, services.documents, scope)
        here = {one["id"] for one in matches}
        folders = tuple(dict.fromkeys(entry_uuid(id_) for id_ in ids[TYPE] if id_ not in here))
        yield from shown(
            services.documents.objects.by_entry_uuid(folders, scope, (FOLDER,)), request.base, services, scope
        )
    if {"List:patient", "List:subject"} & set(query.includes):
        yield from _mhd.subjects(matches, services, scope)


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
        f"https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.{level}.{kind}"
        for kind in ("SubmissionSet", "Folder")
        for level in ("Minimal", "Comprehensive")
    ],
    "interaction": [{"code": "read"}, {"code": "search-type"}],
    "searchInclude": list(_INCLUDES),
    "searchParam": [
        {"name": name, "definition": url, "type": kind}
        for name, kind, url in (
            ("patient", "reference", f"{_R4}clinical-patient"),
            ("code", "token", f"{_R4}clinical-code"),
            ("status", "token", f"{_R4}List-status"),
            ("date", "date", f"{_R4}clinical-date"),
            ("identifier", "token", f"{_R4}clinical-identifier"),
            ("source", "reference", f"{_R4}List-source"),
            ("designationType", "token", f"{_MHD}List-DesignationType"),
            ("sourceId", "token", f"{_MHD}List-SourceId"),
            ("targetCommunityIdList", "uri", f"{_MHD}IHE-TargetCommunityIdList"),
        )
    ],
}
