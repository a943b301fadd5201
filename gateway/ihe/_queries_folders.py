"""Stored queries that lead to folders (ITI TF-2: 3.18.4.1.2.3.7)."""

from typing import Final

from gateway.ihe import _stored_query as q
from gateway.ihe._queries_documents import CONTENT_FILTERS, D, contents, named_documents
from gateway.ihe._stored_query import Asked, Found, Given, Parameter, StoredQuery
from gateway.model.document import FOLDER, HAS_MEMBER, StoredEntry
from gateway.model.registry_query import FolderQuery

F: Final = "$XDSFolder"
_SECTION: Final = "ITI TF-2: 3.18.4.1.2.3.7"
_UUID, _UNIQUE, _LOGICAL = f"{F}EntryUUID", f"{F}UniqueId", f"{F}LogicalID"

FILTERS: Final = (
    Parameter(f"{F}LastUpdateTimeFrom", q.time, many=False),
    Parameter(f"{F}LastUpdateTimeTo", q.time, many=False),
    Parameter(f"{F}CodeList", q.codes, anded=True),
    Parameter(f"{F}Status", q.status, required=True),
    q.METADATA_LEVEL,
)
"""What FindFolders asks of a folder beside its patient."""


def folder_query(
    given: Given, patients: tuple[str, ...] | None, limit: int, *, references: bool = False
) -> FolderQuery:
    return FolderQuery(
        patients=patients,
        status=given[f"{F}Status"],
        lastUpdateTime=q.period(given, f"{F}LastUpdateTime"),
        codeList=given.get(f"{F}CodeList", ()),
        limit=limit,
        references=references,
    )


def find_folders(asked: Asked) -> Found:
    patient = asked.given[f"{F}PatientId"]
    enterprise_id = asked.enterprise_id(patient)
    if enterprise_id is None:
        return Found(patient=str(patient), known=False)
    wanted = folder_query(asked.given, (enterprise_id,), asked.limit, references=asked.references)
    return Found(tuple(asked.services.registry.find_folders(wanted, asked.scope)), patient=str(patient))


def named_folders(asked: Asked) -> list[StoredEntry]:
    """The folders that entryUUID, uniqueId or logicalID name."""
    given, registry = asked.given, asked.services.registry
    if _UUID in given:
        return registry.by_entry_uuid(given[_UUID], asked.scope, (FOLDER,))
    if _LOGICAL in given:
        return registry.by_logical_id(given[_LOGICAL], asked.scope, (FOLDER,))
    found = registry.by_unique_id(given[_UNIQUE], asked.scope, (FOLDER,))
    return found if q.all_versions(given) else q.last_versions(found)


def get_folders(asked: Asked) -> Found:
    return q.of_one_patient(asked, named_folders(asked))


def get_folder_and_contents(asked: Asked) -> Found:
    """The folder, its documents, and the HasMember between."""
    found = named_folders(asked)
    folders = {one.entryUUID for one in found}
    touching = asked.services.registry.associations(sorted(folders), asked.scope)
    ties = [
        one
        for one in q.of_status(asked.given, touching)
        if one.associationType == HAS_MEMBER and one.sourceObject in folders
    ]
    objects = [*found, *contents(asked, dict.fromkeys(one.targetObject for one in ties))]
    return q.of_one_patient(asked, objects, q.between(ties, {one.entryUUID for one in objects}))


def get_folders_for_document(asked: Asked) -> Found:
    """The folders the document is in."""
    documents = {one.entryUUID for one in named_documents(asked)}
    touching = q.of_status(asked.given, asked.services.registry.associations(sorted(documents), asked.scope))
    ties = [one for one in touching if one.associationType == HAS_MEMBER and one.targetObject in documents]
    sources = dict.fromkeys(one.sourceObject for one in ties)
    return q.of_one_patient(asked, asked.services.registry.by_entry_uuid(tuple(sources), asked.scope, (FOLDER,)))


QUERIES: Final = (
    StoredQuery(
        "urn:uuid:958f3006-baad-4929-a4de-ff1114824431", "FindFolders", f"{_SECTION}.3",
        (Parameter(f"{F}PatientId", q.patient, required=True, many=False), *FILTERS), find_folders, by_patient=True,
    ),
    StoredQuery(
        "urn:uuid:5737b14c-8a1a-4539-b659-e03a34a5e1e4", "GetFolders", f"{_SECTION}.6",
        (*(Parameter(name, q.texts) for name in (_UUID, _UNIQUE, _LOGICAL)), q.METADATA_LEVEL), get_folders,
        one_of=(_UUID, _UNIQUE, _LOGICAL),
    ),
    StoredQuery(
        "urn:uuid:b909a503-523d-4517-8acf-8e5834dfc4c7", "GetFolderAndContents", f"{_SECTION}.11",
        (
            Parameter(_UUID, q.texts, many=False), Parameter(_UNIQUE, q.texts, many=False),
            *CONTENT_FILTERS, q.ASSOCIATION_STATUS, q.METADATA_LEVEL,
        ),
        get_folder_and_contents, one_of=(_UUID, _UNIQUE),
    ),
    StoredQuery(
        "urn:uuid:10cae35a-c7f9-4cf5-b61e-fc3278ffb578", "GetFoldersForDocument", f"{_SECTION}.12",
        (
            Parameter(f"{D}EntryUUID", q.texts, many=False), Parameter(f"{D}UniqueId", q.texts, many=False),
            q.ASSOCIATION_STATUS, q.METADATA_LEVEL,
        ),
        get_folders_for_document, one_of=(f"{D}EntryUUID", f"{D}UniqueId"),
    ),
)  # fmt: skip
