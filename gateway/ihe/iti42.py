"""ITI-42 Register Document Set-b (ITI TF-2: 3.42): metadata of documents that are in a repository."""

from collections.abc import Sequence

from gateway.codec.ebxml import RegistryError
from gateway.codec.ebxml_submit import SUBMIT, read_submit
from gateway.ihe._registering import (
    RESPONSE,
    Asked,
    Changing,
    about_submission,
    detail_of,
    digest_of,
    warnings_of,
)
from gateway.model.document import STABLE
from gateway.services.registry.service import Submission
from gateway.services.registry.submitting import submit


def perform(asked: Asked) -> Sequence[RegistryError]:
    return register(asked, STABLE)


def register(asked: Asked, object_type: str) -> Sequence[RegistryError]:
    """Shared with ITI-61, whose entries are on-demand."""
    metadata = read_submit(asked.body)
    about = about_submission(asked.body)
    submission = Submission(
        metadata,
        audit=lambda submitted: asked.record(about, detail_of(submitted, metadata)),
        object_type=object_type,
        message_id=asked.envelope.message_id,
        digest=digest_of(asked.body, object_type),
    )
    return warnings_of(submit(asked.registry, submission))


TRANSACTION = Changing(
    number="ITI-42",
    section="ITI TF-2: 3.42",
    name="Register Document Set-b",
    action="urn:ihe:iti:2007:RegisterDocumentSet-b",
    actors=("Document Repository", "Document Registry"),
    path="/xds/registry",
    elements=(SUBMIT, RESPONSE),
    event=("110107", "C"),
    perform=perform,
    about=about_submission,
)
