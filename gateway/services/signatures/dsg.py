"""Document Digital Signature (DSG; ITI TF-3: 5.5): a detached XAdES signature over other documents of the registry, itself
a document that an association of type `signs` ties to them."""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from gateway.codec.xml import escape
from gateway.codec.xmldsig import DS
from gateway.errors import BadInput
from gateway.model.signature import SignatureReport
from gateway.services.signatures import xades
from gateway.services.signatures.signing import Signer, sign_manifest
from gateway.services.signatures.trust import Trust

FORMAT_CODE: Final = "urn:ihe:iti:dsg:detached:2014"
MIME_TYPE: Final = "text/xml"
MANIFEST_ID: Final = "IHEManifest"
MAX_DOCUMENTS: Final = 64


def uri_of(unique_id: str) -> str:
    """How a manifest names a document: `urn:oid:` and its uniqueId, what is a URI already as it is."""
    return unique_id if unique_id.startswith("urn:") else f"urn:oid:{unique_id}"


def sign(documents: Mapping[str, bytes], signer: Signer, now: datetime) -> bytes:
    """The signature document over documents by uniqueId. Raises BadInput for none and for too many."""
    if not 1 <= len(documents) <= MAX_DOCUMENTS:
        raise BadInput(f"a signature is over 1 to {MAX_DOCUMENTS} documents")
    references = "".join(
        f'<ds:Reference URI="{escape(uri_of(unique_id))}"><ds:DigestMethod '
        f'Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue>{_b64(content)}</ds:DigestValue></ds:Reference>'
        for unique_id, content in documents.items()
    )
    return sign_manifest(f'<ds:Manifest xmlns:ds="{DS}" Id="{MANIFEST_ID}">{references}</ds:Manifest>', signer, now)


def check(
    signature: bytes, content_of: Callable[[str], bytes | None], trust: Trust, now: datetime
) -> tuple[SignatureReport, ...]:
    """One report a signature. `content_of`: uniqueId -> the document's bytes, None when it is not here (the report is
    INDETERMINATE then). Raises BadInput, LimitExceeded for what is no XML we read."""

    def fetch(uri: str) -> bytes | None:
        return content_of(uri.removeprefix("urn:oid:") if uri.startswith("urn:oid:") else uri)

    return xades.check(signature, trust, now.astimezone(UTC), fetch)


def _b64(content: bytes) -> str:
    return b64encode(hashlib.sha256(content).digest()).decode("ascii")
