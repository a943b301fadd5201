"""ITI-38 Cross Gateway Query (ITI TF-2: 3.38): the stored queries of ITI-18 between communities.

As responding gateway the patient id may be of any authority this node knows (a medical ID, 医療等ID, say): the exact
cross-reference resolves it. As initiating gateway: `ask`.
"""

from dataclasses import replace
from typing import Final, NamedTuple

from gateway.codec import ebxml, ebxml_read
from gateway.codec.ebxml import RegistryError
from gateway.codec.ebxml_read import AdhocQuery
from gateway.errors import BadInput, UnknownPatient
from gateway.ihe import iti18
from gateway.ihe._client import Call, Finding, Peer, same_relation
from gateway.ihe._soap import Payload, Result, Transaction, registry_error
from gateway.ihe._stored_queries import STORED_QUERIES, audited, run
from gateway.model.caller import Caller, Scope
from gateway.model.document import APPROVED, DocumentEntry
from gateway.model.identity import PatientId
from gateway.services.documents import DocumentServices

# -- responding gateway ------------------------------------------------------------------------------------------


def handle(query: AdhocQuery, services: DocumentServices, caller: Caller, scope: Scope) -> Result:
    """As ITI-18, but an unknown patient is XDSUnknownPatientId: a gateway that asked the wrong community may know."""
    return run(STORED_QUERIES, query, services, scope, home_required=True, unknown_patient_is_error=True)


def render(query: AdhocQuery | None, result: Result, services: DocumentServices) -> Payload:
    """As ITI-18, with the community as the location of every error."""
    errors = tuple(error._replace(location=error.location or services.home) for error in result.errors)
    return iti18.render(query, result._replace(errors=errors), services)


TRANSACTION = Transaction(
    number="ITI-38",
    section="ITI TF-2: 3.38",
    name="Cross Gateway Query",
    action="urn:ihe:iti:2007:CrossGatewayQuery",
    actors=("Initiating Gateway", "Responding Gateway"),
    path="/xca",
    elements=(f"{{{ebxml.QUERY}}}AdhocQueryRequest", f"{{{ebxml.QUERY}}}AdhocQueryResponse"),
    mtom=False,
    event=("110112", "E"),
    parse=iti18.parse,
    handle=handle,
    render=render,
    refuse=registry_error,
    audit=audited,
)


# -- initiating gateway ------------------------------------------------------------------------------------------


class FindDocuments(NamedTuple):
    """What is asked of a peer: the documents of one patient, optionally of some codes only."""

    patient: PatientId
    status: tuple[str, ...] = (APPROVED,)
    classCode: tuple[str, ...] = ()
    """`code^^scheme`"""
    formatCode: tuple[str, ...] = ()
    objectType: tuple[str, ...] = ()
    """Empty: stable documents, as the standard has it."""


class Answer(NamedTuple):
    """What a peer said, after what cannot be trusted was taken out."""

    entries: tuple[DocumentEntry, ...]
    errors: tuple[RegistryError, ...]
    findings: tuple[Finding, ...]


_UNKNOWN_PATIENT: Final = "XDSUnknownPatientId"


def ask(peer: Peer, question: FindDocuments, call: Call, deadline_s: float) -> Answer:
    """Asks one community and checks its answer (ITI TF-2: 3.38.4.2.3); `deadline_s` is the time left.

    Taken out and named in `findings`: objects of another community, of another patient, entries given twice. An object
    without home gets the peer's. Raises TimeoutError, Unavailable, Forbidden, BadInput, LimitExceeded, and
    UnknownPatient when that is the peer's answer.
    """
    slots = [
        ("$XDSDocumentEntryPatientId", (str(question.patient),), False),
        ("$XDSDocumentEntryStatus", question.status, True),
        ("$XDSDocumentEntryType", question.objectType, True),
        ("$XDSDocumentEntryClassCode", question.classCode, True),
        ("$XDSDocumentEntryFormatCode", question.formatCode, True),
    ]
    body = ebxml.adhoc_query_request(iti18.FIND_DOCUMENTS, peer.home, "LeafClass", [slot for slot in slots if slot[1]])
    received = call.send(peer.xca, TRANSACTION.action, body, deadline_s=deadline_s)
    findings = list(same_relation(received))
    found = ebxml_read.read_query_answer(received.body)
    if any(error.code == _UNKNOWN_PATIENT for error in found.errors) and not found.entries:
        raise UnknownPatient("the community does not know the patient")
    if found.status == ebxml.FAILURE and found.entries:
        raise BadInput("the answer is a Failure that holds documents")
    entries = _trusted(peer, question, found.entries, findings)
    return Answer(entries, found.errors, tuple(findings))


def _trusted(
    peer: Peer, question: FindDocuments, entries: tuple[DocumentEntry, ...], findings: list[Finding]
) -> tuple[DocumentEntry, ...]:
    kept: dict[str, DocumentEntry] = {}
    for entry in entries:
        if not entry.homeCommunityId:
            findings.append(Finding("XDSMissingHomeCommunityId", "an ExtrinsicObject without home"))
        elif not peer.speaks_for(entry.homeCommunityId):
            findings.append(Finding("foreign-home", "an ExtrinsicObject of another community was dropped"))
            continue
        if _contradicts(entry.patientId, question.patient):
            findings.append(Finding("foreign-patient", "an ExtrinsicObject of another patient was dropped"))
            continue
        if not entry.uniqueId or not entry.repositoryUniqueId:
            findings.append(Finding("incomplete-entry", "an ExtrinsicObject that cannot be retrieved was dropped"))
            continue
        kept.setdefault(entry.uniqueId, replace(entry, homeCommunityId=_whole(entry.homeCommunityId) or peer.home))
    if len({entry.patientId for entry in kept.values()}) > 1:
        # Asked by an id of another authority we cannot tell which of the two is meant: none is the safe choice.
        findings.append(Finding("several-patients", "the documents belong to several patients; all were dropped"))
        return ()
    return tuple(kept.values())


def _whole(home: str) -> str:
    """LENIENT: a homeCommunityId without `urn:oid:` is one with it."""
    return f"urn:oid:{home.removeprefix('urn:oid:')}" if home else ""


def _contradicts(cx: str, asked: PatientId) -> bool:
    """Whether the entry names another id of the authority we asked by. Ids of other authorities prove nothing."""
    try:
        found = PatientId.parse(cx)
    except ValueError:
        return True
    return found.authority == asked.authority and found.value != asked.value
