"""Stored queries that lead to submission sets, and those about everything of a patient or any object (ITI TF-2:
3.18.4.1.2.3.7)."""

from typing import Final

from gateway.ihe import _stored_query as q
from gateway.ihe._queries_documents import CONTENT_FILTERS, D, contents
from gateway.ihe._stored_query import Asked, Found, Parameter, StoredQuery
from gateway.model.document import (
    FOLDER,
    HAS_MEMBER,
    STABLE,
    SUBMISSION_SET,
    Association,
    DocumentQuery,
    StoredEntry,
)
from gateway.model.registry_query import FolderQuery, SubmissionSetQuery

S: Final = "$XDSSubmissionSet"
_SECTION: Final = "ITI TF-2: 3.18.4.1.2.3.7"
_UUID, _UNIQUE = f"{S}EntryUUID", f"{S}UniqueId"


def find_submission_sets(asked: Asked) -> Found:
    given, patient = asked.given, asked.given[f"{S}PatientId"]
    enterprise_id = asked.enterprise_id(patient)
    if enterprise_id is None:
        return Found(patient=str(patient), known=False)
    wanted = SubmissionSetQuery(
        patient=enterprise_id,
        status=given[f"{S}Status"],
        sourceId=given.get(f"{S}SourceId", ()),
        submissionTime=q.period(given, f"{S}SubmissionTime"),
        authorPerson=given.get(f"{S}AuthorPerson", ()),
        contentType=given.get(f"{S}ContentType"),
        limit=asked.limit,
        references=asked.references,
    )
    return Found(tuple(asked.services.registry.find_submission_sets(wanted, asked.scope)), patient=str(patient))


def get_submission_sets(asked: Asked) -> Found:
    """The sets that hold these documents or folders, and the HasMember that say so."""
    wanted = asked.given["$uuid"]
    named = set(wanted)
    touching = q.of_status(asked.given, asked.services.registry.associations(wanted, asked.scope))
    ties = [one for one in touching if one.associationType == HAS_MEMBER and one.targetObject in named]
    sources = dict.fromkeys(one.sourceObject for one in ties)
    found = asked.services.registry.by_entry_uuid(tuple(sources), asked.scope, (SUBMISSION_SET,))
    sets = {one.entryUUID for one in found}
    return q.of_one_patient(asked, found, [one for one in ties if one.sourceObject in sets])


def get_submission_set_and_contents(asked: Asked) -> Found:
    """The set, its documents and folders, and the associations that lie between these."""
    found = _named(asked)
    if not found:
        return Found()
    touching = q.of_status(asked.given, _touching(asked, [one.entryUUID for one in found]))
    sets = {one.entryUUID for one in found}
    members = {one.targetObject for one in touching if one.sourceObject in sets and one.associationType == HAS_MEMBER}
    objects = [*found, *contents(asked, sorted(members)), *_folders(asked, sorted(members))]
    inside = [one.entryUUID for one in objects]
    around = q.of_status(asked.given, _touching(asked, inside))
    return q.of_one_patient(asked, objects, q.between(around, set(inside)))


def _named(asked: Asked) -> list[StoredEntry]:
    registry, given = asked.services.registry, asked.given
    if _UUID in given:
        return registry.by_entry_uuid(given[_UUID], asked.scope, (SUBMISSION_SET,))
    return q.last_versions(registry.by_unique_id(given[_UNIQUE], asked.scope, (SUBMISSION_SET,)))


def _folders(asked: Asked, uuids: list[str]) -> list[StoredEntry]:
    return asked.services.registry.by_entry_uuid(uuids, asked.scope, (FOLDER,))


def _touching(asked: Asked, uuids: list[str]) -> list[Association]:
    """Associations of these objects, and those that have one of these associations as an end."""
    registry = asked.services.registry
    near = registry.associations(uuids, asked.scope)
    known = {one.entryUUID for one in near}
    far = registry.associations(sorted(known), asked.scope)
    return [*near, *(one for one in far if one.entryUUID not in known)]


def get_associations(asked: Asked) -> Found:
    """Associations with one of these objects on either end."""
    found = asked.services.registry.associations(asked.given["$uuid"], asked.scope)
    return q.of_one_patient(asked, (), q.of_status(asked.given, found))


def get_all(asked: Asked) -> Found:
    """Everything of a patient that has the status asked for, and the associations that lie between."""
    given, patient, services = asked.given, asked.given["$patientId"], asked.services
    enterprise_id = asked.enterprise_id(patient)
    if enterprise_id is None:
        return Found(patient=str(patient), known=False)
    limit, references = asked.limit, asked.references
    documents = DocumentQuery(
        patient=enterprise_id,
        status=given[f"{D}Status"],
        formatCode=given.get(f"{D}FormatCode"),
        confidentialityCode=given.get(f"{D}ConfidentialityCode", ()),
        objectType=given.get(f"{D}Type", (STABLE,)),
        limit=limit,
        references=references,
    )
    sets = SubmissionSetQuery(enterprise_id, given[f"{S}Status"], limit=limit, references=references)
    folders = FolderQuery((enterprise_id,), given["$XDSFolderStatus"], limit=limit, references=references)
    objects = [
        *services.registry.find_submission_sets(sets, asked.scope),
        *services.registry.find_folders(folders, asked.scope),
        *services.documents.find(documents, asked.scope),
    ]
    inside = [one.entryUUID for one in objects]
    ties = q.between(q.of_status(given, _touching(asked, inside)), set(inside))
    return q.of_one_patient(asked, objects, ties)._replace(patient=str(patient))


QUERIES: Final = (
    StoredQuery(
        "urn:uuid:f26abbcb-ac74-4422-8a30-edb644bbc1a9", "FindSubmissionSets", f"{_SECTION}.2",
        (
            Parameter(f"{S}PatientId", q.patient, required=True, many=False),
            Parameter(f"{S}SourceId", q.texts),
            Parameter(f"{S}SubmissionTimeFrom", q.time, many=False),
            Parameter(f"{S}SubmissionTimeTo", q.time, many=False),
            Parameter(f"{S}AuthorPerson", q.texts, many=False),
            Parameter(f"{S}ContentType", q.codes),
            Parameter(f"{S}Status", q.status, required=True),
            q.METADATA_LEVEL,
        ),
        find_submission_sets, by_patient=True,
    ),
    StoredQuery(
        "urn:uuid:10b545ea-725c-446d-9b95-8aeb444eddf3", "GetAll", f"{_SECTION}.4",
        (
            Parameter("$patientId", q.patient, required=True, many=False),
            Parameter(f"{D}Status", q.status, required=True),
            Parameter(f"{S}Status", q.status, required=True),
            Parameter("$XDSFolderStatus", q.status, required=True),
            *CONTENT_FILTERS, q.ASSOCIATION_STATUS, q.METADATA_LEVEL,
        ),
        get_all, by_patient=True,
    ),
    StoredQuery(
        "urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155", "GetAssociations", f"{_SECTION}.7",
        (Parameter("$uuid", q.texts, required=True), q.ASSOCIATION_STATUS, q.METADATA_LEVEL), get_associations,
    ),
    StoredQuery(
        "urn:uuid:51224314-5390-4169-9b91-b1980040715a", "GetSubmissionSets", f"{_SECTION}.9",
        (Parameter("$uuid", q.texts, required=True), q.ASSOCIATION_STATUS, q.METADATA_LEVEL), get_submission_sets,
    ),
    StoredQuery(
        "urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83", "GetSubmissionSetAndContents", f"{_SECTION}.10",
        (
            Parameter(_UUID, q.texts, many=False), Parameter(_UNIQUE, q.texts, many=False),
            *CONTENT_FILTERS, q.ASSOCIATION_STATUS, q.METADATA_LEVEL,
        ),
        get_submission_set_and_contents, one_of=(_UUID, _UNIQUE),
    ),
)  # fmt: skip
