"""Removal of metadata (ITI TF-2: 3.62, Remove Metadata) and of documents (3.86, Remove Documents). All or nothing."""

from collections.abc import Callable, Collection, Sequence

from gateway.errors import (
    ReferencesExist,
    RemoveDocuments,
    UnknownRepository,
    UnreferencedObject,
    UnresolvedReference,
)
from gateway.model.audit import AuditRecord
from gateway.model.document import DOCUMENT_TYPES, FOLDER, HAS_MEMBER, SUBMISSION_SET, Association
from gateway.ports import ObjectRow, RegistryWork
from gateway.services.registry.service import RegistryServices


def remove_metadata(services: RegistryServices, ids: Sequence[str], audit: Callable[[], AuditRecord]) -> None:
    """Removes objects and associations (ITI TF-2: 3.62.4.1.3). Raises UnresolvedReference for an id nobody has,
    ReferencesExist when an association that stays has one of them as an end, UnreferencedObject when an object that
    stays would be tied to nothing, or a document or Folder would be in no SubmissionSet."""

    def act(work: RegistryWork) -> None:
        rows, links = work.objects(ids), work.associations_by_id(ids)
        if len(rows) + len(links) < len(set(ids)):
            raise UnresolvedReference("an object to remove is not registered")
        if any(one.entryUUID not in links for one in work.associations([*rows, *links])):
            raise ReferencesExist("an association that is not removed refers to an object that is")
        _check_kept(work, rows, links.values())
        # What points at an association goes before it.
        work.remove([*links, *rows])
        work.record(audit())

    services.registering.run(act)


def _check_kept(work: RegistryWork, rows: dict[str, ObjectRow], links: Collection[Association]) -> None:
    """What stays of the ends of the associations that go: a SubmissionSet with nothing in it is no submission, a
    document or Folder comes from one (ITI TF-2: 3.62.4.1.3; ITI TF-3: 4.2.1.1)."""
    gone = {one.entryUUID for one in links}
    ends = dict.fromkeys(end for one in links for end in (one.sourceObject, one.targetObject) if end not in rows)
    for uuid, row in work.objects(ends).items():
        kept = [one for one in work.associations([uuid]) if one.entryUUID not in gone]
        if not kept:
            raise UnreferencedObject("an object would be left that nothing refers to")
        if row.objectType not in (*DOCUMENT_TYPES, FOLDER):
            continue
        holders = [one.sourceObject for one in kept if one.associationType == HAS_MEMBER and one.targetObject == uuid]
        if not any(one.objectType == SUBMISSION_SET for one in work.objects(holders).values()):
            raise UnreferencedObject("a document or Folder would be left without a SubmissionSet")


def remove_documents(
    services: RegistryServices, wanted: Sequence[tuple[str, str]], audit: Callable[[], AuditRecord]
) -> None:
    """Takes away the bytes of (repositoryUniqueId, uniqueId) (ITI TF-2: 3.86.4.1.3). Their metadata stay; who asks for
    such a document is told that there is none. Bytes that nothing stands on any more are swept from the store."""
    for repository, _ in wanted:
        if repository.removeprefix("urn:oid:") != services.repository:
            raise UnknownRepository("repositoryUniqueId is not that of this repository")
    unique_ids = [unique_id for _, unique_id in wanted]

    def act(work: RegistryWork) -> None:
        held = {row.uniqueId for row in work.of_unique_id(unique_ids) if row.blob}
        if missing := len(set(unique_ids) - held):
            raise RemoveDocuments(f"{missing} of the documents are not here")
        work.release(unique_ids)
        work.record(audit())

    services.registering.run(act)
