"""ITI-43 Retrieve Document Set (ITI TF-2: 3.43): documents by repository and uniqueId, always as an MTOM package."""

from typing import Final

from lxml import etree

from gateway.codec import ebxml, ebxml_read
from gateway.codec.ebxml import DocumentResponse, RegistryError
from gateway.codec.mtom import OutPart
from gateway.errors import GatewayError
from gateway.ihe._soap import Audited, Payload, Result, Transaction, repository_error
from gateway.model.caller import Caller, Scope
from gateway.services.documents import DocumentServices, Wanted, retrieve

_AUDITED: Final = 100
"""UniqueIds named in one audit record; the count of all is in its detail."""

Request = tuple[Wanted, ...]


def parse(body: etree._Element) -> Request:
    """Raises BadInput, LimitExceeded."""
    return tuple(Wanted(*request) for request in ebxml_read.read_retrieve(body))


def handle(wanted: Request, services: DocumentServices, caller: Caller, scope: Scope) -> Result:
    return run(wanted, services, scope, home_required=False)


def run(wanted: Request, services: DocumentServices, scope: Scope, *, home_required: bool) -> Result:
    """Shared with ITI-39, where every request has to name the community."""
    retrieved = retrieve(services, wanted, scope, home_required=home_required)
    errors = tuple(_error(request, error) for request, error in retrieved.failed)
    patients = {held.entry.patientId for held in retrieved.found}
    return Result(errors, retrieved.found, patients.pop() if len(patients) == 1 else "")


def _error(request: Wanted, error: GatewayError) -> RegistryError:
    """The uniqueId is the asker's own word and tells which of several documents is meant."""
    named = repository_error(error)
    return named._replace(context=f"{named.context} (DocumentUniqueId {request.documentUniqueId[:128]})")


def render(wanted: Request | None, result: Result, services: DocumentServices) -> Payload:
    """The answer and its parts; PartialSuccess when some came and some did not (ITI TF-2: 3.43.5)."""
    documents: list[DocumentResponse] = []
    parts: list[OutPart] = []
    for number, held in enumerate(result.found, start=1):
        cid = f"document-{number}@musubi"
        entry = held.entry
        made = (held.made.repositoryUniqueId, held.made.uniqueId) if held.made else ()
        documents.append(
            DocumentResponse(services.home, entry.repositoryUniqueId, entry.uniqueId, entry.mimeType, cid, *made)
        )
        parts.append(OutPart(cid, entry.mimeType, held.chunks()))
    status = ebxml.status_of(result.errors, bool(documents))
    return Payload(ebxml.retrieve_response(status, result.errors, documents), tuple(parts))


def audit(wanted: Request) -> Audited:
    return Audited(object=" ".join(request.documentUniqueId[:128] for request in wanted[:_AUDITED]))


TRANSACTION = Transaction(
    number="ITI-43",
    section="ITI TF-2: 3.43",
    name="Retrieve Document Set",
    action="urn:ihe:iti:2007:RetrieveDocumentSet",
    actors=("Document Consumer", "Document Repository"),
    path="/xds/repository",
    elements=(f"{{{ebxml.XDS}}}RetrieveDocumentSetRequest", f"{{{ebxml.XDS}}}RetrieveDocumentSetResponse"),
    mtom=True,
    event=("110106", "R"),
    parse=parse,
    handle=handle,
    render=render,
    refuse=repository_error,
    audit=audit,
)
