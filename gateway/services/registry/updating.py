"""Metadata updates (ITI TF-2: 3.57, Update Document Set; 3.92, Restricted Update Document Set).

What a submission does follows from the associations of its SubmissionSet:

    HasMember with PreviousVersion      the member is a new version of the object whose logicalID it has
    UpdateAvailabilityStatus            the status of an object or association changes
    SubmitAssociation                   an association between objects that are there

They are done in this order, whatever order they stand in, so that a submitted association may have a new version as its
end. The last two are words to the registry and not stored themselves; the SubmissionSet is, with its new versions.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from gateway.codec.ebxml_packages import render_object
from gateway.codec.ebxml_read import read_stored
from gateway.codec.ebxml_submit import Metadata
from gateway.errors import (
    MetadataError,
    UnknownPatient,
    UnmodifiableMetadata,
    UnresolvedReference,
    UpdateAnnotation,
    UpdateError,
    UpdateIdentifier,
    UpdateObjectType,
    UpdateOperation,
    UpdatePatient,
    UpdateRequest,
    UpdateVersion,
)
from gateway.model.document import (
    APPROVED,
    DEPRECATED,
    DOCUMENT_TYPES,
    FOLDER,
    HAS_MEMBER,
    RELATIONSHIPS,
    RPLC,
    SUBMISSION_SET,
    SUBMIT_ASSOCIATION,
    UPDATE_STATUS,
    XFRM_RPLC,
    Association,
    DocumentEntry,
    Folder,
    SubmissionSet,
)
from gateway.model.identity import PatientId
from gateway.model.ingest import KeptObject
from gateway.ports import ObjectRow, Person, RegistryWork
from gateway.services.registry.checks import check_members, check_objects
from gateway.services.registry.naming import named
from gateway.services.registry.service import (
    NOTIFY_DOCUMENT,
    NOTIFY_SUBMISSION,
    RegistryServices,
    Submission,
    Submitted,
)

PREVIOUS_VERSION: Final = "PreviousVersion"
PROPAGATION: Final = "AssociationPropagation"
ORIGINAL_STATUS: Final = "OriginalStatus"
NEW_STATUS: Final = "NewStatus"

_FIXED: Final = ("uniqueId", "objectType", "hash", "size", "repositoryUniqueId")
"""What the versions of a document have in common (ITI TF-2: 3.57.4.1.3.3.1)."""
_UNMODIFIABLE: Final = (*_FIXED, "mimeType", "documentAvailability", "limitedMetadata")
"""The same for a restricted update (ITI TF-2: 3.92)."""


def update(services: RegistryServices, submission: Submission, *, restricted: bool = False) -> Submitted:
    """Stores all of it, or raises one of errors.py and stores nothing. `restricted`: only new versions of documents,
    and only what may be modified there."""
    metadata = submission.metadata
    if len(metadata.submissionSets) != 1:
        raise MetadataError(f"{len(metadata.submissionSets)} SubmissionSets where there has to be one")
    check_objects(metadata, hashed=True)
    check_members(metadata)
    metadata, names = named(metadata, services.chance.new_uuid)
    made = metadata.submissionSets[0]
    submitted = Submitted(made.entryUUID, made.patientId, names, metadata.unsaved)

    def act(work: RegistryWork) -> Submitted:
        if submission.message_id and work.accepted(submission.message_id, submission.digest):
            again = submitted._replace(repeated=True)
            work.record(submission.audit(again))
            return again
        _Updating(services, work, metadata, restricted).store()
        work.record(submission.audit(submitted))
        for entry in metadata.documents:
            work.notify(NOTIFY_DOCUMENT, entry.entryUUID)
        work.notify(NOTIFY_SUBMISSION, submitted.submissionSet)
        return submitted

    return services.registering.run(act)


class _Updating:
    """One update inside its transaction."""

    def __init__(self, services: RegistryServices, work: RegistryWork, metadata: Metadata, restricted: bool) -> None:
        self._services, self._work, self._metadata, self._restricted = services, work, metadata, restricted
        self._set: SubmissionSet = metadata.submissionSets[0]
        self._members: dict[str, DocumentEntry | Folder] = {one.entryUUID: one for one in metadata.documents}
        self._members |= {one.entryUUID: one for one in metadata.folders}
        self._links = {one.entryUUID: one for one in metadata.associations}
        self._now = services.now()
        self._done: set[str] = set()
        """Ids of the submission that an operation took up."""
        self._propagated: set[str] = set()
        """Objects, old versions and new, whose associations this update propagates."""

    def store(self) -> None:
        person = self._work.person(PatientId.parse(self._set.patientId), None)
        if person is None:
            raise UnknownPatient("the patient id is not known here")
        taken = [self._set.entryUUID, *self._members, *self._links]
        if self._work.objects(taken) or self._work.associations_by_id(taken):
            raise MetadataError("the id of an object is that of a registered one")
        if self._work.of_unique_id([self._set.uniqueId]):
            raise UpdateError("the uniqueId of the SubmissionSet is that of a registered object")
        self._work.add(KeptObject.of("", self._set, _rendered(self._set)), APPROVED, person)
        orders: dict[str, Callable[[Association, Person], None]] = {
            HAS_MEMBER: self._new_version,
            UPDATE_STATUS: self._new_status,
            SUBMIT_ASSOCIATION: self._new_association,
        }
        mine = [one for one in self._metadata.associations if one.sourceObject == self._set.entryUUID]
        if not mine:
            raise UpdateOperation("the SubmissionSet orders nothing")
        if any(one.associationType not in orders for one in mine):
            raise UpdateOperation("the SubmissionSet orders what is not done here")
        if self._restricted and any(one.associationType != HAS_MEMBER for one in mine):
            raise UnmodifiableMetadata("a restricted update changes no status and submits no association")
        for type_, order in orders.items():
            for one in mine:
                if one.associationType == type_:
                    order(one, person)
                    self._done.add(one.entryUUID)
        if self._done < self._members.keys() | self._links.keys():
            raise UpdateOperation("an object of the submission is no part of any order")

    # -- new versions

    def _new_version(self, link: Association, person: Person) -> None:
        made = self._members.get(link.targetObject)
        if made is None:
            raise UpdateOperation("HasMember of an update points at no object of it")
        if not isinstance(made, DocumentEntry) and self._restricted:
            raise UpdateObjectType("a restricted update is for documents only")
        previous = self._previous(made, link, person)
        if isinstance(made, DocumentEntry):
            self._check_unchanged(made, previous)
        elif made.uniqueId != previous.uniqueId:
            raise UpdateError("the versions of a Folder have one uniqueId")
        made = replace(made, version=previous.version + 1, logicalID=previous.logicalID)
        if isinstance(made, DocumentEntry):
            made = replace(made, blob=previous.blob)
        else:
            made = replace(made, lastUpdateTime=self._now)
        self._work.add(KeptObject.of("", made, _rendered(made)), previous.status, previous.person)
        self._work.set_status([previous.entryUUID], DEPRECATED)
        self._work.link(replace(link, availabilityStatus=APPROVED, logicalID="", version=1))
        if link.slot(PROPAGATION).lower() != "no":
            self._propagated |= {previous.entryUUID, made.entryUUID}
            self._propagate(previous.entryUUID, made.entryUUID)
        self._done.add(made.entryUUID)

    def _previous(self, made: DocumentEntry | Folder, link: Association, person: Person) -> ObjectRow:
        if not made.logicalID:
            raise self._refusal(UpdateRequest, "a new version has to have the logicalID of the object")
        previous = self._work.newest([made.logicalID]).get(made.logicalID)
        if previous is None:
            raise self._refusal(UpdateIdentifier, "no object has this logicalID")
        wanted = FOLDER if isinstance(made, Folder) else ""
        if (previous.objectType == FOLDER) != (wanted == FOLDER) or previous.objectType == SUBMISSION_SET:
            raise self._refusal(UpdateObjectType, "the logicalID is that of another kind of object")
        stated = link.slot(PREVIOUS_VERSION)
        if not stated:
            raise self._refusal(UpdateAnnotation, "HasMember of a new version has no PreviousVersion")
        if stated != str(previous.version):
            raise UpdateVersion("PreviousVersion is not the latest version")
        patient = self._work.person(PatientId.parse(made.patientId), None)
        if previous.person.eid != person.eid or patient is None or patient.eid != person.eid:
            raise UpdatePatient("a metadata update does not move an object to another patient")
        return previous

    def _refusal(self, error: type[UpdateError], text: str) -> UpdateError:
        """A restricted update has codes of its own, ITI-57 one for all of these (ITI TF-2: 3.57.4.1.3.3.1.3)."""
        return (error if self._restricted else UpdateError)(text)

    def _check_unchanged(self, made: DocumentEntry, previous: ObjectRow) -> None:
        before = read_stored(previous.xml, home="", patient_id="", status=previous.status)
        names = _UNMODIFIABLE if self._restricted else _FIXED
        changed = [name for name in names if getattr(made, name) != getattr(before, name)]
        if made.objectType not in DOCUMENT_TYPES or (changed and not self._restricted):
            raise UpdateError(f"the versions of a document have one {', '.join(changed) or 'objectType'}")
        if changed:
            raise UnmodifiableMetadata(f"a restricted update does not change {', '.join(changed)}")

    def _propagate(self, old: str, new: str) -> None:
        """Associations of the old version hold for the new one too (ITI TF-2: 3.57.4.1.3.3.1.4); what is submitted
        together is not among them."""
        links = [one for one in self._work.associations([old]) if one.availabilityStatus == APPROVED]
        packages = self._work.objects([one.sourceObject for one in links])
        touched: list[str] = []
        for one in links:
            source = packages.get(one.sourceObject)
            if source is not None and source.objectType == SUBMISSION_SET:
                continue
            swap = {old: new}
            made = replace(
                one,
                entryUUID=f"urn:uuid:{self._services.chance.new_uuid()}",
                sourceObject=swap.get(one.sourceObject, one.sourceObject),
                targetObject=swap.get(one.targetObject, one.targetObject),
                logicalID="",
                version=1,
            )
            self._work.link(made)
            if one.associationType == HAS_MEMBER and one.targetObject == old:
                touched.append(one.sourceObject)
        self._work.touch(touched, self._now)

    # -- status

    def _new_status(self, link: Association, person: Person) -> None:
        before, after = link.slot(ORIGINAL_STATUS), link.slot(NEW_STATUS)
        if before not in (APPROVED, DEPRECATED) or after not in (APPROVED, DEPRECATED):
            raise UpdateError("UpdateAvailabilityStatus has no OriginalStatus or NewStatus that is one")
        id_ = link.targetObject
        row = self._work.objects([id_]).get(id_)
        association = self._work.associations_by_id([id_]).get(id_)
        if row is None and association is None:
            raise UnresolvedReference("the object whose status is to change is not registered")
        if row is None and association is not None:
            row = self._work.objects([association.sourceObject]).get(association.sourceObject)
            if row is None or (association.associationType == HAS_MEMBER and row.objectType != FOLDER):
                raise UpdateError("the status of what a SubmissionSet has as its member does not change")
            status = association.availabilityStatus
        else:
            assert row is not None
            status = row.status
            if row.objectType == SUBMISSION_SET:
                raise UpdateOperation("the status of a SubmissionSet does not change")
            if self._work.newest([row.logicalID])[row.logicalID].entryUUID != id_:
                raise UpdateError("the object whose status is to change is not the latest version")
        if row.person.eid != person.eid:
            raise UpdatePatient("the object whose status is to change is another patient's")
        if status != before:
            raise UpdateError("OriginalStatus is not the status of the object")
        self._work.set_status([id_], after)

    # -- associations

    def _new_association(self, link: Association, person: Person) -> None:
        made = self._links.get(link.targetObject)
        if made is None:
            raise UpdateOperation("SubmitAssociation points at no Association of the submission")
        if made.associationType in (RPLC, XFRM_RPLC) or made.associationType not in (HAS_MEMBER, *RELATIONSHIPS):
            raise UpdateOperation("an Association of this type is not submitted in an update")
        if self._propagated & {made.sourceObject, made.targetObject}:
            raise UpdateOperation("an Association is submitted for a document whose associations are propagated")
        ends = self._work.objects([made.sourceObject, made.targetObject])
        if ends.keys() != {made.sourceObject, made.targetObject}:
            raise UnresolvedReference("an Association has an end that is not registered")
        if any(one.person.eid != person.eid for one in ends.values()):
            raise UpdatePatient("an Association joins objects of two patients")
        source, target = ends[made.sourceObject], ends[made.targetObject]
        if target.objectType not in DOCUMENT_TYPES or (source.objectType == FOLDER) != (
            made.associationType == HAS_MEMBER
        ):
            raise MetadataError("HasMember is from a Folder to a document, a relationship from document to document")
        if DEPRECATED in (source.status, target.status):
            raise UpdateError("an Association with a deprecated end")
        key = (made.associationType, made.sourceObject, made.targetObject)
        for one in self._work.associations([made.sourceObject]):
            if (one.associationType, one.sourceObject, one.targetObject) == key and one.availabilityStatus == APPROVED:
                raise UpdateError("the same Association is there already")
        self._work.link(replace(made, availabilityStatus=APPROVED, logicalID="", version=1))
        if made.associationType == HAS_MEMBER:
            self._work.touch([made.sourceObject], self._now)
        self._done.add(made.entryUUID)


def _rendered(made: DocumentEntry | SubmissionSet | Folder) -> bytes:
    try:
        return render_object(made)
    except ValueError as error:
        raise MetadataError(str(error)) from None
