"""Symbolic ids of a submission become entryUUIDs (ITI TF-3: 4.2.3.2.7)."""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

from gateway.codec.ebxml_submit import Metadata
from gateway.errors import MetadataError
from gateway.services.registry.checks import is_entry_uuid


def named(metadata: Metadata, new_uuid: Callable[[], UUID]) -> tuple[Metadata, dict[str, str]]:
    """The submission with entryUUIDs for all its objects, and which id became which. An id that already is a UUID stays;
    references to objects outside the submission stay as they are. Raises MetadataError for a broken `urn:uuid:`."""
    names: dict[str, str] = {}
    ids = [one.entryUUID for one in metadata.submissionSets]
    ids += [one.entryUUID for one in metadata.documents]
    ids += [one.entryUUID for one in metadata.folders]
    ids += [one.entryUUID for one in metadata.associations]
    for id_ in ids:
        if id_.startswith("urn:uuid:") and not is_entry_uuid(id_):
            raise MetadataError("an id that begins with urn:uuid: and is no UUID")
        if id_ and id_ not in names:
            names[id_] = id_ if is_entry_uuid(id_) else f"urn:uuid:{new_uuid()}"

    def entry_uuid(id_: str) -> str:
        return names[id_] if id_ else f"urn:uuid:{new_uuid()}"

    renamed = Metadata(
        tuple(replace(one, entryUUID=entry_uuid(one.entryUUID)) for one in metadata.submissionSets),
        tuple(replace(one, entryUUID=entry_uuid(one.entryUUID)) for one in metadata.documents),
        tuple(replace(one, entryUUID=entry_uuid(one.entryUUID)) for one in metadata.folders),
        tuple(
            replace(
                one,
                entryUUID=entry_uuid(one.entryUUID),
                sourceObject=names.get(one.sourceObject, one.sourceObject),
                targetObject=names.get(one.targetObject, one.targetObject),
            )
            for one in metadata.associations
        ),
        metadata.unsaved,
    )
    return renamed, names
