"""ITI-51 Multi-Patient Stored Query (ITI TF-2: 3.51): FindDocuments and FindFolders of many patients at once.

The wire is that of ITI-18; the queries have ids of their own, and their answers may hold objects of several patients.
"""

from typing import Final

from gateway.codec import ebxml
from gateway.codec.ebxml_read import AdhocQuery
from gateway.ihe import iti18
from gateway.ihe._soap import Result, Transaction, registry_error
from gateway.ihe._stored_queries import MULTI_PATIENT, audited, run
from gateway.model.caller import Caller, Scope
from gateway.services.documents import DocumentServices


def handle(query: AdhocQuery, services: DocumentServices, caller: Caller, scope: Scope) -> Result:
    return run(MULTI_PATIENT, query, services, scope)


TRANSACTION: Final = Transaction(
    number="ITI-51",
    section="ITI TF-2: 3.51",
    name="Multi-Patient Stored Query",
    action="urn:ihe:iti:2009:MultiPatientStoredQuery",
    actors=("Document Consumer", "Document Registry"),
    path="/xds/registry",
    elements=(f"{{{ebxml.QUERY}}}AdhocQueryRequest", f"{{{ebxml.QUERY}}}AdhocQueryResponse"),
    mtom=False,
    event=("110112", "E"),
    parse=iti18.parse,
    handle=handle,
    render=iti18.render,
    refuse=registry_error,
    audit=audited,
)
