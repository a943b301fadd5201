"""ITI-41 Provide and Register Document Set-b (ITI TF-2: 3.41): documents into the repository, metadata into the registry.

The documents stand in MIME parts (MTOM) or inline as base64. Their bytes are durable in the blob store before the
transaction of the metadata begins; a submission that is refused after that leaves bytes nobody mentions, which the
store sweeps.
"""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable, Mapping, Sequence

from lxml import etree

from gateway.codec import mtom, xml
from gateway.codec.ebxml import XDS, RegistryError
from gateway.codec.ebxml_submit import PROVIDE, SUBMIT, Metadata, read_submit
from gateway.errors import BadInput, MetadataError, MissingDocument, MissingDocumentMetadata
from gateway.ihe._registering import (
    RESPONSE,
    Asked,
    Changing,
    about_submission,
    detail_of,
    digest_of,
    submission_error,
    warnings_of,
)
from gateway.ports import Received
from gateway.services.registry.checks import check_submission
from gateway.services.registry.service import Submission
from gateway.services.registry.submitting import submit

Pieces = Mapping[str, Iterable[bytes]]
"""Id of the entry -> the document's bytes in pieces."""


def perform(asked: Asked) -> Sequence[RegistryError]:
    request, documents = read(asked.body, asked.envelope.attachments)
    metadata = read_submit(request)
    # Before any byte is stored; `submit` looks at it again with what the bytes say.
    check_submission(metadata, hashed=False)
    _check_pairs(metadata, documents)
    received = {
        id_: asked.registry.blobs.receive(pieces, asked.registry.max_document_bytes)
        for id_, pieces in documents.items()
    }
    about = about_submission(asked.body)
    submission = Submission(
        metadata,
        audit=lambda submitted: asked.record(about, detail_of(submitted, metadata)),
        documents=received,
        message_id=asked.envelope.message_id,
        digest=digest_of(request, *_addresses(received)),
    )
    return warnings_of(submit(asked.registry, submission))


def read(body: etree._Element, attachments: Mapping[str, mtom.Part]) -> tuple[etree._Element, Pieces]:
    """(the SubmitObjectsRequest, its documents). Raises BadInput for a reference to a part that did not come, and for
    base64 that is none; MetadataError when an id stands twice."""
    request = body.find(SUBMIT) if body.tag == PROVIDE else None
    if request is None:
        raise BadInput("the body is not xds:ProvideAndRegisterDocumentSetRequest with a lcm:SubmitObjectsRequest")
    documents: dict[str, Iterable[bytes]] = {}
    for node in body.findall(f"{{{XDS}}}Document"):
        id_ = str(node.get("id", "")).strip()
        if not id_ or id_ in documents:
            raise MetadataError("a Document without an id, or two with one id")
        documents[id_] = _pieces(node, attachments)
    return request, documents


def _pieces(node: etree._Element, attachments: Mapping[str, mtom.Part]) -> Iterable[bytes]:
    include = node.find(f"{{{mtom.XOP}}}Include")
    if include is not None:
        part = attachments.get(mtom.content_id(str(include.get("href", ""))))
        if part is None:
            raise BadInput("an xop:Include refers to a part that is not in the message")
        return part.chunks()
    try:
        return (b64decode("".join(xml.text_of(node).split()), validate=True),)
    except (Base64Error, ValueError):
        raise BadInput("a document in the message is not base64") from None


def _check_pairs(metadata: Metadata, documents: Pieces) -> None:
    entries = {entry.entryUUID for entry in metadata.documents}
    if documents.keys() - entries:
        raise MissingDocumentMetadata("a Document without a DocumentEntry")
    if entries - documents.keys():
        raise MissingDocument("a DocumentEntry without its Document")


def _addresses(received: Mapping[str, Received]) -> list[str]:
    return [f"{id_} {one.blob.sha256}" for id_, one in sorted(received.items())]


TRANSACTION = Changing(
    number="ITI-41",
    section="ITI TF-2: 3.41",
    name="Provide and Register Document Set-b",
    action="urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b",
    actors=("Document Source", "Document Repository"),
    path="/xds/repository",
    elements=(PROVIDE, RESPONSE),
    event=("110107", "C"),
    perform=perform,
    about=about_submission,
    refuse=submission_error,
    max_document_bytes=2 * 1024 * 1024 * 1024,  # of the wire; what may be stored is the node's to say
)
