"""ITI-18 Registry Stored Query (ITI TF-2: 3.18). The queries and their parameters are in `_stored_queries.py`, which
ITI-38 (Cross Gateway Query) and ITI-51 (many patients) share."""

from typing import Final

from lxml import etree

from gateway.codec import ebxml, ebxml_read
from gateway.codec.ebxml_read import AdhocQuery
from gateway.ihe._soap import Payload, Result, Transaction, registry_error
from gateway.ihe._stored_queries import STORED_QUERIES, audited, run
from gateway.model.caller import Caller, Scope
from gateway.services.documents import DocumentServices

FIND_DOCUMENTS: Final = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
GET_DOCUMENTS: Final = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"


def parse(body: etree._Element) -> AdhocQuery:
    """Raises BadInput (not an AdhocQueryRequest), InvalidParameter."""
    return ebxml_read.read_query(body)


def handle(query: AdhocQuery, services: DocumentServices, caller: Caller, scope: Scope) -> Result:
    """An unknown patient is Success with nothing found: a registry may not tell whom it knows."""
    return run(STORED_QUERIES, query, services, scope)


def render(query: AdhocQuery | None, result: Result, services: DocumentServices) -> Payload:
    """query:AdhocQueryResponse of stored bytes, each object with the home community (ITI TF-2: 3.18.4.1.3.3)."""
    home = services.home
    if query is not None and query.returnType == "ObjectRef":
        objects = [ebxml.render_object_ref(found.entryUUID, home=home) for found in result.found]
    else:
        objects = ebxml.complete_all(result.found, home)
    status = ebxml.status_of(result.errors, bool(objects))
    return Payload(ebxml.adhoc_query_pieces(status, result.errors, objects))


TRANSACTION = Transaction(
    number="ITI-18",
    section="ITI TF-2: 3.18",
    name="Registry Stored Query",
    action="urn:ihe:iti:2007:RegistryStoredQuery",
    actors=("Document Consumer", "Document Registry"),
    path="/xds/registry",
    elements=(f"{{{ebxml.QUERY}}}AdhocQueryRequest", f"{{{ebxml.QUERY}}}AdhocQueryResponse"),
    mtom=False,
    event=("110112", "E"),
    parse=parse,
    handle=handle,
    render=render,
    refuse=registry_error,
    audit=audited,
)
