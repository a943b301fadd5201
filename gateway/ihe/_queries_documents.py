"""Stored queries that lead to documents (ITI TF-2: 3.18.4.1.2.3.7)."""

from collections.abc import Iterable
from typing import Final

from gateway.ihe import _stored_query as q
from gateway.ihe._stored_query import Asked, Found, Given, Parameter, StoredQuery
from gateway.model.document import DOCUMENT_TYPES, STABLE, DocumentQuery, StoredEntry
from gateway.model.registry_query import ContentQuery

D: Final = "$XDSDocumentEntry"
_UUID, _UNIQUE, _LOGICAL = f"{D}EntryUUID", f"{D}UniqueId", f"{D}LogicalID"
_SECTION: Final = "ITI TF-2: 3.18.4.1.2.3.7"

FILTERS: Final = (
    Parameter(f"{D}ClassCode", q.codes),
    Parameter(f"{D}TypeCode", q.codes),
    Parameter(f"{D}PracticeSettingCode", q.codes),
    Parameter(f"{D}CreationTimeFrom", q.time, many=False),
    Parameter(f"{D}CreationTimeTo", q.time, many=False),
    Parameter(f"{D}ServiceStartTimeFrom", q.time, many=False),
    Parameter(f"{D}ServiceStartTimeTo", q.time, many=False),
    Parameter(f"{D}ServiceStopTimeFrom", q.time, many=False),
    Parameter(f"{D}ServiceStopTimeTo", q.time, many=False),
    Parameter(f"{D}HealthcareFacilityTypeCode", q.codes),
    Parameter(f"{D}EventCodeList", q.codes, anded=True),
    Parameter(f"{D}ConfidentialityCode", q.codes, anded=True),
    Parameter(f"{D}AuthorPerson", q.texts),
    Parameter(f"{D}FormatCode", q.codes),
    Parameter(f"{D}Status", q.status, required=True),
    Parameter(f"{D}Type", q.entry_type),
    Parameter(f"{D}DocumentAvailability", q.availability),
    q.METADATA_LEVEL,
)
"""What FindDocuments asks of a document beside its patient."""
CONTENT_FILTERS: Final = (
    Parameter(f"{D}FormatCode", q.codes),
    Parameter(f"{D}ConfidentialityCode", q.codes, anded=True),
    Parameter(f"{D}Type", q.entry_type),
)
"""What may be asked of the documents in a SubmissionSet or Folder."""
_PATIENT: Final = Parameter(f"{D}PatientId", q.patient, required=True, many=False)
_REFERENCES: Final = f"{D}ReferenceIdList"
_TITLE: Final = f"{D}Title"


def document_query(given: Given, enterprise_id: str, limit: int, *, references: bool = False) -> DocumentQuery:
    """All parameters of FindDocuments and its kin but the patient."""
    return DocumentQuery(
        patient=enterprise_id,
        status=given[f"{D}Status"],
        classCode=given.get(f"{D}ClassCode"),
        typeCode=given.get(f"{D}TypeCode"),
        formatCode=given.get(f"{D}FormatCode"),
        practiceSettingCode=given.get(f"{D}PracticeSettingCode"),
        healthcareFacilityTypeCode=given.get(f"{D}HealthcareFacilityTypeCode"),
        confidentialityCode=given.get(f"{D}ConfidentialityCode", ()),
        eventCodeList=given.get(f"{D}EventCodeList", ()),
        creationTime=q.period(given, f"{D}CreationTime"),
        serviceStartTime=q.period(given, f"{D}ServiceStartTime"),
        serviceStopTime=q.period(given, f"{D}ServiceStopTime"),
        authorPerson=given.get(f"{D}AuthorPerson", ()),
        objectType=given.get(f"{D}Type", (STABLE,)),
        referenceIdList=given.get(_REFERENCES, ()),
        title=given.get(_TITLE, ()),
        availability=given.get(f"{D}DocumentAvailability", ()),
        limit=limit,
        references=references,
    )


def find_documents(asked: Asked) -> Found:
    """FindDocuments, FindDocumentsByReferenceId and FindDocumentsByTitle.

    LENIENT: the patient may be named by any id the exact cross-reference knows, not only by that of the affinity
    domain: who has a hospital's number at hand can ask with it.
    """
    patient = asked.given[_PATIENT.name]
    wanted = document_query(asked.given, "", asked.limit, references=asked.references)
    found = asked.services.documents.shown(patient, wanted, asked.scope)
    return Found(tuple(found or ()), patient=str(patient), known=found is not None)


def named_documents(asked: Asked) -> list[StoredEntry]:
    """The documents that entryUUID, uniqueId or logicalID name."""
    given, objects = asked.given, asked.services.objects
    if _UUID in given:
        return objects.by_entry_uuid(given[_UUID], asked.scope, DOCUMENT_TYPES)
    if _LOGICAL in given:
        return objects.by_logical_id(given[_LOGICAL], asked.scope, DOCUMENT_TYPES)
    found = objects.by_unique_id(given[_UNIQUE], asked.scope, DOCUMENT_TYPES)
    return found if q.all_versions(given) else q.last_versions(found)


def get_documents(asked: Asked) -> Found:
    """By uniqueId, who does not say a level gets every version there is, as of every registry that has no versions but
    several submissions of one document; who says 1 gets the last one."""
    given = asked.given
    if _UNIQUE in given and q.METADATA_LEVEL.name not in given:
        return q.of_one_patient(asked, asked.services.objects.by_unique_id(given[_UNIQUE], asked.scope, DOCUMENT_TYPES))
    return q.of_one_patient(asked, named_documents(asked))


def get_documents_and_associations(asked: Asked) -> Found:
    """The documents, and every association that touches them."""
    found = named_documents(asked)
    touching = asked.services.objects.associations([one.entryUUID for one in found], asked.scope)
    return q.of_one_patient(asked, found, q.of_status(asked.given, touching))


def get_related_documents(asked: Asked) -> Found:
    """The document, those it is tied to by the associations asked for, and these. Nothing related: nothing at all."""
    start = {one.entryUUID for one in named_documents(asked)}
    touching = asked.services.objects.associations(sorted(start), asked.scope)
    wanted = set(asked.given["$AssociationTypes"])
    ties = [one for one in q.of_status(asked.given, touching) if one.associationType in wanted]
    ends = {end for one in ties for end in (one.sourceObject, one.targetObject)}
    found = asked.services.objects.by_entry_uuid(sorted(ends), asked.scope, DOCUMENT_TYPES)
    types = asked.given.get(f"{D}Type", (STABLE,))
    seen = {one.entryUUID for one in found if one.objectType in types or one.entryUUID in start}
    ties = q.between(ties, seen)
    tied = {end for one in ties for end in (one.sourceObject, one.targetObject)}
    return q.of_one_patient(asked, [one for one in found if one.entryUUID in tied], ties)


def contents(asked: Asked, uuids: Iterable[str]) -> list[StoredEntry]:
    """Those of these objects that are documents and meet CONTENT_FILTERS."""
    wanted = ContentQuery(
        objectType=asked.given.get(f"{D}Type", (STABLE,)),
        formatCode=asked.given.get(f"{D}FormatCode"),
        confidentialityCode=asked.given.get(f"{D}ConfidentialityCode", ()),
    )
    return asked.services.objects.contents(tuple(uuids), wanted, asked.scope)


QUERIES: Final = (
    StoredQuery(
        "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d", "FindDocuments", f"{_SECTION}.1",
        (_PATIENT, *FILTERS), find_documents, by_patient=True,
    ),
    StoredQuery(
        "urn:uuid:12941a89-e02e-4be5-967c-ce4bfc8fe492", "FindDocumentsByReferenceId", f"{_SECTION}.14",
        (_PATIENT, Parameter(_REFERENCES, q.texts, required=True, anded=True), *FILTERS), find_documents,
        by_patient=True,
    ),
    StoredQuery(
        "urn:uuid:ab474085-82b5-402d-8115-3f37cb1e2405", "FindDocumentsByTitle", "national extension (DE)",
        (
            _PATIENT, Parameter(_TITLE, q.texts, required=True), Parameter(f"{D}AuthorInstitution", q.refused),
            *FILTERS,
        ),
        find_documents, by_patient=True,
    ),
    StoredQuery(
        "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4", "GetDocuments", f"{_SECTION}.5",
        (*(Parameter(name, q.texts) for name in (_UUID, _UNIQUE, _LOGICAL)), q.METADATA_LEVEL), get_documents,
        one_of=(_UUID, _UNIQUE, _LOGICAL),
    ),
    StoredQuery(
        "urn:uuid:bab9529a-4a10-40b3-a01f-f68a615d247a", "GetDocumentsAndAssociations", f"{_SECTION}.8",
        (Parameter(_UUID, q.texts), Parameter(_UNIQUE, q.texts), q.ASSOCIATION_STATUS, q.METADATA_LEVEL),
        get_documents_and_associations, one_of=(_UUID, _UNIQUE),
    ),
    StoredQuery(
        "urn:uuid:d90e5407-b356-4d91-a89f-873917b4b0e6", "GetRelatedDocuments", f"{_SECTION}.13",
        (
            Parameter(_UUID, q.texts, many=False), Parameter(_UNIQUE, q.texts, many=False),
            Parameter("$AssociationTypes", q.texts, required=True), Parameter(f"{D}Type", q.entry_type),
            q.ASSOCIATION_STATUS, q.METADATA_LEVEL,
        ),
        get_related_documents, one_of=(_UUID, _UNIQUE),
    ),
)  # fmt: skip
