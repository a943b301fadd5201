"""ITI-57 Update Document Set (ITI TF-2: 3.57): new versions of metadata, changes of status, associations."""

from collections.abc import Sequence

from gateway.codec.ebxml import RegistryError
from gateway.codec.ebxml_submit import SUBMIT, Metadata, read_submit
from gateway.ihe._registering import (
    RESPONSE,
    Asked,
    Changing,
    about_submission,
    detail_of,
    digest_of,
    warnings_of,
)
from gateway.services.registry.service import Submission
from gateway.services.registry.updating import update


def perform(asked: Asked) -> Sequence[RegistryError]:
    return change(asked, read_submit(asked.body), restricted=False)


def change(asked: Asked, metadata: Metadata, *, restricted: bool) -> Sequence[RegistryError]:
    """Shared with ITI-92."""
    about = about_submission(asked.body)
    submission = Submission(
        metadata,
        audit=lambda submitted: asked.record(about, detail_of(submitted, metadata)),
        message_id=asked.envelope.message_id,
        digest=digest_of(asked.body, "update"),
    )
    return warnings_of(update(asked.registry, submission, restricted=restricted))


TRANSACTION = Changing(
    number="ITI-57",
    section="ITI TF-2: 3.57",
    name="Update Document Set",
    action="urn:ihe:iti:2010:UpdateDocumentSet",
    actors=("Document Administrator", "Document Registry"),
    path="/xds/registry",
    elements=(SUBMIT, RESPONSE),
    event=("110107", "U"),
    perform=perform,
    about=about_submission,
)
