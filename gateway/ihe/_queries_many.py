"""Stored queries about many patients, or none in particular (Multi-Patient Queries, ITI TF-2: 3.51.4.1.2)."""

from typing import Final

from gateway.ihe import _queries_documents as documents
from gateway.ihe import _queries_folders as folders
from gateway.ihe import _stored_query as q
from gateway.ihe._queries_documents import D
from gateway.ihe._queries_folders import F
from gateway.ihe._stored_query import Asked, Found, Parameter, StoredQuery
from gateway.model.identity import PatientId

_SECTION: Final = "ITI TF-2: 3.51.4.1.2"


def find_documents(asked: Asked) -> Found:
    wanted = documents.document_query(asked.given, "", asked.limit, references=asked.references)
    patients = _people(asked, f"{D}PatientId")
    return Found(tuple(asked.services.documents.find_of_many(wanted, patients, asked.scope)))


def find_folders(asked: Asked) -> Found:
    patients = _people(asked, f"{F}PatientId")
    wanted = folders.folder_query(asked.given, patients, asked.limit, references=asked.references)
    return Found(tuple(asked.services.registry.find_folders(wanted, asked.scope)))


def _people(asked: Asked, name: str) -> tuple[str, ...] | None:
    """Enterprise ids of those who are known; None when nobody is named."""
    named: tuple[PatientId, ...] | None = asked.given.get(name)
    if named is None:
        return None
    known = [asked.enterprise_id(patient) for patient in named]
    return tuple(dict.fromkeys(eid for eid in known if eid is not None))


_PATIENTS: Final = Parameter(f"{D}PatientId", q.patients)

QUERIES: Final = (
    StoredQuery(
        "urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f", "FindDocumentsForMultiplePatients", f"{_SECTION}.1",
        (_PATIENTS, *documents.FILTERS), find_documents, by_patient=True,
        any_of=(f"{D}PatientId", f"{D}ClassCode", f"{D}EventCodeList", f"{D}HealthcareFacilityTypeCode"),
    ),
    StoredQuery(
        "urn:uuid:50d3f5ac-39a2-11de-a1ca-b366239e58df", "FindFoldersForMultiplePatients", f"{_SECTION}.2",
        (Parameter(f"{F}PatientId", q.patients), *folders.FILTERS), find_folders, by_patient=True,
        any_of=(f"{F}PatientId", f"{F}CodeList"),
    ),
    StoredQuery(
        "urn:uuid:1191642d-86c4-42d8-b784-f95445f9f0d5", "FindDocumentsByReferenceIdForMultiplePatients", _SECTION,
        (_PATIENTS, Parameter(f"{D}ReferenceIdList", q.texts, required=True, anded=True), *documents.FILTERS),
        find_documents, by_patient=True,
    ),
)  # fmt: skip
