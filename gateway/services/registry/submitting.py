"""One submission into the registry (ITI TF-2: 3.41.4.1.3, 3.42.4.1.3, 3.61.4.1.3): the rules that need what is there.

Order of checks: what the submission is by itself (checks.py), its documents' bytes, whose it is, known uniqueIds and
ids, associations. The first that fails is the answer, and nothing is stored.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from gateway.codec.ebxml_objects import NO_SIZE
from gateway.codec.ebxml_packages import render_object
from gateway.codec.ebxml_submit import Metadata
from gateway.errors import (
    DeprecatedObject,
    DuplicateUniqueId,
    MetadataError,
    MissingDocument,
    MissingDocumentMetadata,
    NonIdenticalHash,
    NonIdenticalSize,
    PatientMismatch,
    UnknownPatient,
    UnresolvedReference,
)
from gateway.model.document import (
    APND,
    APPROVED,
    DEPRECATED,
    DOCUMENT_TYPES,
    FOLDER,
    HAS_MEMBER,
    IS_SNAPSHOT_OF,
    ON_DEMAND,
    ORIGINAL,
    REFERENCE,
    RELATIONSHIPS,
    RPLC,
    SUBMISSION_SET,
    SUBMISSION_SET_STATUS,
    XFRM,
    XFRM_RPLC,
    Association,
    DocumentEntry,
    RegistryObject,
)
from gateway.model.identity import PatientId
from gateway.model.ingest import KeptObject
from gateway.ports import ObjectRow, Person, RegistryWork
from gateway.services.registry.checks import check_submission
from gateway.services.registry.naming import named
from gateway.services.registry.service import (
    NOTIFY_DOCUMENT,
    NOTIFY_SUBMISSION,
    RegistryServices,
    Submission,
    Submitted,
)

_REPLACING: Final = (RPLC, XFRM_RPLC)
_FOLLOWING: Final = (APND, XFRM)
"""What goes with a document when it is replaced (ITI TF-2: 3.42.4.1.3.5)."""


def submit(services: RegistryServices, submission: Submission) -> Submitted:
    """Stores all of it, or raises one of errors.py and stores nothing. Returns after the commit."""
    metadata = submission.metadata
    provided = submission.documents is not None
    check_submission(metadata, object_type=submission.object_type, hashed=not provided)
    if provided:
        metadata = _with_bytes(services, metadata, submission)
    _one_patient(metadata)
    metadata, names = named(metadata, services.chance.new_uuid)
    now = services.now()
    metadata = replace(metadata, folders=tuple(replace(one, lastUpdateTime=now) for one in metadata.folders))
    submitted = Submitted(
        metadata.submissionSets[0].entryUUID, metadata.submissionSets[0].patientId, names, metadata.unsaved
    )
    kept = [_kept(one) for one in objects_of(metadata)]

    def act(work: RegistryWork) -> Submitted:
        if submission.message_id and work.accepted(submission.message_id, submission.digest):
            again = submitted._replace(repeated=True)
            work.record(submission.audit(again))
            return again
        _Storing(services, work, metadata, now).store(kept)
        work.hold(received.blob for received in (submission.documents or {}).values())
        work.record(submission.audit(submitted))
        for entry in metadata.documents:
            work.notify(NOTIFY_DOCUMENT, entry.entryUUID)
        work.notify(NOTIFY_SUBMISSION, submitted.submissionSet)
        return submitted

    return services.registering.run(act)


def objects_of(metadata: Metadata) -> list[RegistryObject]:
    return [*metadata.submissionSets, *metadata.documents, *metadata.folders]


def _kept(made: RegistryObject) -> KeptObject:
    """Raises MetadataError for what ebRIM cannot carry."""
    try:
        return KeptObject.of("", made, render_object(made))
    except ValueError as error:
        raise MetadataError(str(error)) from None


def _with_bytes(services: RegistryServices, metadata: Metadata, submission: Submission) -> Metadata:
    """The entries as this repository completes them (ITI TF-2: 3.41.4.1.3): its id, and hash and size, which have to be
    those of the bytes when they were given."""
    documents = submission.documents or {}
    entries: list[DocumentEntry] = []
    ids = {entry.entryUUID for entry in metadata.documents}
    if not documents.keys() <= ids:
        raise MissingDocumentMetadata("a Document without a DocumentEntry")
    for entry in metadata.documents:
        received = documents.get(entry.entryUUID)
        if received is None:
            raise MissingDocument("a DocumentEntry without its Document")
        if entry.hash not in ("", received.sha1):
            raise MetadataError("DocumentEntry.hash is not that of the document")
        if entry.size not in (NO_SIZE, received.size):
            raise MetadataError("DocumentEntry.size is not that of the document")
        if entry.repositoryUniqueId not in ("", services.repository):
            raise MetadataError("DocumentEntry.repositoryUniqueId is another repository's")
        entries.append(
            replace(
                entry,
                hash=received.sha1,
                size=received.size,
                blob=received.blob.sha256,
                repositoryUniqueId=services.repository,
            )
        )
    return replace(metadata, documents=tuple(entries))


def _one_patient(metadata: Metadata) -> None:
    """ITI TF-2: 3.42.4.1.3.2. What is only referred to is compared inside the transaction."""
    patient = PatientId.parse(metadata.submissionSets[0].patientId)
    others = [entry.patientId for entry in metadata.documents] + [folder.patientId for folder in metadata.folders]
    for other in others:
        if PatientId.parse(other) != patient:
            raise PatientMismatch("patientId of an object is not that of its SubmissionSet")


class _Storing:
    """One submission inside its transaction."""

    def __init__(self, services: RegistryServices, work: RegistryWork, metadata: Metadata, now: str) -> None:
        self._services, self._work, self._metadata, self._now = services, work, metadata, now
        self._set = metadata.submissionSets[0]
        self._new: dict[str, RegistryObject] = {one.entryUUID: one for one in objects_of(metadata)}
        self._links = {one.entryUUID: one for one in metadata.associations}
        ends = {end for one in metadata.associations for end in (one.sourceObject, one.targetObject)}
        outside = [end for end in sorted(ends) if end not in self._new and end not in self._links]
        self._there = work.objects(outside)
        self._there_links = work.associations_by_id([end for end in outside if end not in self._there])

    def store(self, kept: Sequence[KeptObject]) -> None:
        person = self._person()
        self._check_known()
        for one in self._metadata.associations:
            self._check(one, person)
        for made in kept:
            self._work.add(made, APPROVED, person)
        for one in self._in_order():
            self._work.link(replace(one, availabilityStatus=APPROVED, logicalID="", version=1))
        self._replace_documents()
        filled = {one.sourceObject for one in self._metadata.associations if one.associationType == HAS_MEMBER}
        self._work.touch(sorted(filled & self._there.keys()), self._now)

    def _in_order(self) -> list[Association]:
        """An association that is a member itself has to be there before what points at it."""
        return sorted(self._metadata.associations, key=lambda one: one.targetObject in self._links)

    def _person(self) -> Person:
        patient = PatientId.parse(self._set.patientId)
        sources = [entry.sourcePatientId for entry in self._metadata.documents if entry.sourcePatientId]
        person = self._work.person(patient, PatientId.parse(sources[0]) if sources else None)
        if person is None:
            raise UnknownPatient("the patient id is not known here")
        return person

    def _check_known(self) -> None:
        """uniqueIds and ids that are taken (ITI TF-2: 3.42.4.1.3.3)."""
        by_unique_id = {one.uniqueId: one for one in self._new.values()}
        for there in self._work.of_unique_id(by_unique_id):
            made = by_unique_id[there.uniqueId]
            if not isinstance(made, DocumentEntry) or there.objectType != made.objectType:
                raise DuplicateUniqueId("the uniqueId of an object is that of a registered one")
            if made.objectType == ON_DEMAND:
                raise DuplicateUniqueId("the uniqueId of an on-demand entry is that of a registered one")
            if there.hash.lower() != made.hash:
                raise NonIdenticalHash("a document of this uniqueId is registered with another hash")
            if there.size != made.size:
                raise NonIdenticalSize("a document of this uniqueId is registered with another size")
        ids = [*self._new, *self._links]
        if self._work.objects(ids) or self._work.associations_by_id(ids):
            raise MetadataError("the id of an object is that of a registered one")

    # -- associations (ITI TF-3: 4.2.2)

    def _check(self, one: Association, person: Person) -> None:
        for end in (one.sourceObject, one.targetObject):
            there = self._there.get(end)
            known = there or end in self._new or end in self._links or end in self._there_links
            if not known:
                raise UnresolvedReference("an Association has an end that is not registered")
            if there is not None and there.person.eid != person.eid:
                raise PatientMismatch("an Association joins objects of two patients")
        if one.associationType in RELATIONSHIPS:
            self._check_relationship(one)
        elif one.associationType == HAS_MEMBER:
            self._check_member(one)
        else:
            raise MetadataError("an Association that is for metadata updates only")

    def _check_relationship(self, one: Association) -> None:
        source, target = self._new.get(one.sourceObject), self._object_type(one.targetObject)
        if not isinstance(source, DocumentEntry):
            raise MetadataError("the source of a relationship is no document of the submission")
        if target not in DOCUMENT_TYPES:
            raise MetadataError("the target of a relationship is no document")
        if one.associationType == IS_SNAPSHOT_OF and (target != ON_DEMAND or source.objectType == ON_DEMAND):
            raise MetadataError("IsSnapshotOf is from a stable document to an on-demand one")
        if one.associationType == RPLC and target != source.objectType:
            raise MetadataError("a stable and an on-demand document do not replace each other")
        there = self._there.get(one.targetObject)
        if there is not None and there.status != APPROVED:
            raise DeprecatedObject("the target of a relationship is deprecated")
        if there is None and one.associationType in _REPLACING:
            raise MetadataError("a document replaces one of its own submission")

    def _check_member(self, one: Association) -> None:
        if one.sourceObject == self._set.entryUUID:
            self._check_set_member(one)
            return
        if self._object_type(one.sourceObject) != FOLDER or self._object_type(one.targetObject) not in DOCUMENT_TYPES:
            raise MetadataError("HasMember is from the SubmissionSet, or from a Folder to a document")
        folder = self._there.get(one.sourceObject)
        if folder is not None and folder.status != APPROVED:
            raise DeprecatedObject("a document is put into a deprecated Folder")

    def _check_set_member(self, one: Association) -> None:
        type_ = self._object_type(one.targetObject)
        if type_ == SUBMISSION_SET:
            raise MetadataError("a SubmissionSet has a SubmissionSet as its member")
        if type_ not in DOCUMENT_TYPES:
            return
        here = one.targetObject in self._new
        if one.slot(SUBMISSION_SET_STATUS) != (ORIGINAL if here else REFERENCE):
            raise MetadataError("SubmissionSetStatus is Original for what is submitted and Reference for what is there")

    def _object_type(self, id_: str) -> str:
        made, there = self._new.get(id_), self._there.get(id_)
        if made is not None:
            kinds = {"DocumentEntry": getattr(made, "objectType", ""), "Folder": FOLDER}
            return kinds.get(type(made).__name__, SUBMISSION_SET)
        return there.objectType if there is not None else ""

    def _replace_documents(self) -> None:
        """RPLC and XFRM_RPLC: the old document is deprecated with what hangs on it, and the new one takes its place in
        every Folder (ITI TF-2: 3.42.4.1.3.5)."""
        for one in self._metadata.associations:
            if one.associationType not in _REPLACING:
                continue
            self._work.set_status(deprecated_with(self._work, one.targetObject), DEPRECATED)
            self._into_folders(one.targetObject, one.sourceObject)

    def _into_folders(self, old: str, new: str) -> None:
        links = self._work.associations([old, new])
        present = {one.sourceObject for one in links if one.targetObject == new}
        holding = [
            one.sourceObject
            for one in links
            if one.associationType == HAS_MEMBER and one.targetObject == old and one.availabilityStatus == APPROVED
        ]
        folders = [
            uuid
            for uuid, row in self._work.objects(holding).items()
            if row.objectType == FOLDER and row.status == APPROVED and uuid not in present
        ]
        for folder in sorted(folders):
            made = f"urn:uuid:{self._services.chance.new_uuid()}"
            self._work.link(Association(made, HAS_MEMBER, folder, new))
        self._work.touch(sorted(folders), self._now)


def deprecated_with(work: RegistryWork, uuid: str) -> list[str]:
    """A document, and the approved ones that are its addenda and transformations, and theirs."""
    found = [uuid]
    for each in found:
        links = [
            one.sourceObject
            for one in work.associations([each])
            if one.associationType in _FOLLOWING and one.targetObject == each and one.sourceObject not in found
        ]
        found += _approved(work.objects(links).values())
    return found


def _approved(rows: Iterable[ObjectRow]) -> list[str]:
    return [row.entryUUID for row in rows if row.status == APPROVED]
