"""ITI-39 Cross Gateway Retrieve (ITI TF-2: 3.39): documents of another community, by home, repository and uniqueId."""

import hashlib
import io
from collections.abc import Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from gateway.codec import ebxml, ebxml_read
from gateway.codec.ebxml import RegistryError
from gateway.codec.ebxml_read import RetrievedDocument
from gateway.codec.mtom import Part
from gateway.errors import BadInput, GatewayError
from gateway.ihe import iti43
from gateway.ihe._client import Call, Finding, Peer, Received, same_relation
from gateway.ihe._soap import Payload, Result, Transaction, repository_error
from gateway.model.caller import Caller, Scope
from gateway.services.documents import DocumentServices

# -- responding gateway ------------------------------------------------------------------------------------------


def handle(wanted: iti43.Request, services: DocumentServices, caller: Caller, scope: Scope) -> Result:
    return iti43.run(wanted, services, scope, home_required=True)


def render(wanted: iti43.Request | None, result: Result, services: DocumentServices) -> Payload:
    """As ITI-43, with the community as the location of every error."""
    errors = tuple(error._replace(location=error.location or services.home) for error in result.errors)
    return iti43.render(wanted, result._replace(errors=errors), services)


TRANSACTION = Transaction(
    number="ITI-39",
    section="ITI TF-2: 3.39",
    name="Cross Gateway Retrieve",
    action="urn:ihe:iti:2007:CrossGatewayRetrieve",
    actors=("Initiating Gateway", "Responding Gateway"),
    path="/xca",
    elements=(f"{{{ebxml.XDS}}}RetrieveDocumentSetRequest", f"{{{ebxml.XDS}}}RetrieveDocumentSetResponse"),
    mtom=True,
    event=("110106", "R"),
    parse=iti43.parse,
    handle=handle,
    render=render,
    refuse=repository_error,
    audit=iti43.audit,
)


# -- initiating gateway ------------------------------------------------------------------------------------------


class Located(Protocol):
    """What has to be known of a document to ask for it; a DocumentEntry knows it. Without a hash none is compared."""

    @property
    def uniqueId(self) -> str: ...
    @property
    def repositoryUniqueId(self) -> str: ...
    @property
    def homeCommunityId(self) -> str: ...
    @property
    def hash(self) -> str: ...


L = TypeVar("L", bound=Located)


class Document(NamedTuple, Generic[L]):
    """One document as a peer gave it; its bytes match the hash of the entry we asked for."""

    entry: L
    mimeType: str
    part: Part


class Answer(NamedTuple, Generic[L]):
    documents: tuple[Document[L], ...]
    errors: tuple[RegistryError, ...]
    findings: tuple[Finding, ...]


def retrieve(peer: Peer, entries: Sequence[L], call: Call, deadline_s: float) -> Answer[L]:
    """Asks for the documents of the entries; `deadline_s` is the time left for all of them.

    A peer with `documents_per_request` gets several requests. Taken out and named in `findings`: documents nobody
    asked for, of another community, or with another hash than their entry. Raises TimeoutError, Unavailable,
    Forbidden, BadInput, LimitExceeded.
    """
    documents: list[Document[L]] = []
    errors: list[RegistryError] = []
    findings: list[Finding] = []
    started = call.clock.monotonic()
    step = peer.documents_per_request or len(entries) or 1
    for at in range(0, len(entries), step):
        left = deadline_s - (call.clock.monotonic() - started)
        try:
            answer = _retrieve_some(peer, entries[at : at + step], call, left)
        except (GatewayError, TimeoutError):
            if not documents:
                raise
            # What came by the requests before is not thrown away.
            findings.append(Finding("missing-document", "a later request for documents failed"))
            break
        documents += answer.documents
        errors += answer.errors
        findings += answer.findings
    return Answer(tuple(documents), tuple(errors), tuple(findings))


def _retrieve_some(peer: Peer, entries: Sequence[L], call: Call, deadline_s: float) -> Answer[L]:
    wanted = {(entry.repositoryUniqueId, entry.uniqueId): entry for entry in entries}
    body = ebxml.retrieve_request(
        (entry.homeCommunityId or peer.home, entry.repositoryUniqueId, entry.uniqueId) for entry in wanted.values()
    )
    received = call.send(peer.xca, TRANSACTION.action, body, deadline_s=deadline_s, packed=True)
    findings = list(same_relation(received))
    found = ebxml_read.read_retrieve_answer(received.body)
    referred = [response.cid for response in found.documents if response.cid]
    if len(referred) != len(set(referred)):
        raise BadInput("the answer refers to one part twice")
    documents: dict[tuple[str, str], Document[L]] = {}
    for response in found.documents:
        place = response.repositoryUniqueId, response.documentUniqueId
        entry = wanted.get(place)
        if entry is None:
            findings.append(Finding("unasked-document", "a document nobody asked for was dropped"))
        elif response.homeCommunityId and not peer.speaks_for(response.homeCommunityId):
            findings.append(Finding("foreign-home", "a document of another community was dropped"))
        elif (part := _bytes_of(response, received)) and entry.hash and _sha1(part) != entry.hash:
            findings.append(Finding("hash-mismatch", "a document whose bytes are not those of its entry was dropped"))
        else:
            documents.setdefault(place, Document(entry, response.mimeType, part))
    if found.status == ebxml.SUCCESS and len(documents) < len(wanted):
        findings.append(Finding("missing-document", "a document is missing though the answer says Success"))
    return Answer(tuple(documents.values()), found.errors, tuple(findings))


def _bytes_of(response: RetrievedDocument, received: Received) -> Part:
    """The document's part, or its inline bytes as one."""
    if not response.cid:
        return Part("", response.mimeType, len(response.inline), io.BytesIO(response.inline))
    part = received.parts.get(response.cid)
    if part is None:
        raise BadInput("the answer refers to a part it does not have")
    return part


def _sha1(part: Part) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    for chunk in part.chunks():
        digest.update(chunk)
    return digest.hexdigest()
