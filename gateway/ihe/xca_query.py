"""ITI-18 at the initiating gateway (ITI TF-2: 3.18.4.1.3.3; 3.38): a stored query asked of every community that knows the
patient, our own registry first; a query by ids asked of the community it names.

The query itself is not looked into: its slots go out as they came, but for the patient's id, which is another one in each
community, and home.
"""

import re
from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from typing import Final, NamedTuple

from lxml import etree

from gateway.codec import ebxml, ebxml_parts, ebxml_read, soap
from gateway.codec.ebxml import QUERY, RIM, RegistryError
from gateway.codec.ebxml_read import AdhocQuery
from gateway.errors import (
    DENIED,
    BadInput,
    Forbidden,
    GatewayError,
    MissingHomeCommunity,
    UnknownCommunity,
    UnknownPatient,
)
from gateway.ihe import iti18, iti38
from gateway.ihe._client import Call, Finding, Peer, same_relation
from gateway.ihe._gateway import (
    GatewayServices,
    GatewayTransaction,
    Joined,
    disbelieved,
    located,
    silent,
    status,
)
from gateway.ihe._soap import Audited, Payload
from gateway.ihe.communities import Asked
from gateway.model.caller import Caller, Scope
from gateway.model.identity import PatientId
from gateway.services.documents import patient_of, same_community
from gateway.services.federation.fanout import Task, ask_all

PATIENTS: Final = frozenset(
    {"$XDSDocumentEntryPatientId", "$XDSSubmissionSetPatientId", "$XDSFolderPatientId", "$patientId"}
)
"""Slots that name the patient: such a query is asked of everybody."""
_PATIENT_SCHEMES: Final = {
    ebxml_parts.PATIENT_ID: ebxml_parts.UNIQUE_ID,
    "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446": "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8",
    "urn:uuid:f64ffdf0-4b97-4e06-b79f-a52b38ec2f8a": "urn:uuid:75df8f67-9973-4fbe-a900-df66cefecc5a",
}
"""patientId -> uniqueId of DocumentEntry, SubmissionSet and Folder."""
_UNIQUE: Final = frozenset(_PATIENT_SCHEMES.values())
_OBJECTS = re.compile(rb"<rim:RegistryObjectList>(.*)</rim:RegistryObjectList>", re.DOTALL)
_UNKNOWN_PATIENT: Final = "XDSUnknownPatientId"


class Told(NamedTuple):
    """One community's answer, after what is not believed was taken out."""

    objects: tuple[tuple[str, str, bytes], ...]
    """(home, uniqueId or id, the object as bytes)"""
    errors: tuple[RegistryError, ...]
    findings: tuple[Finding, ...]


def ask(envelope: soap.Envelope, services: GatewayServices, caller: Caller, scope: Scope) -> Joined:
    body = envelope.body
    assert body is not None
    query = iti18.parse(body)
    patient = _patient(query)
    home = query.home or next(
        (one.values[0] for one in query.slots if one.name == "$homeCommunityId" and one.values), ""
    )
    if patient is None and not home:
        raise MissingHomeCommunity("a query by ids has to name homeCommunityId")
    ours = not home or same_community(home, services.documents.home)
    peers = [one for one in services.communities.peers if one.peer.xca] if not home else []
    if home and not ours:
        named = services.communities.peer(home)
        if named is None or not named.peer.xca:
            raise UnknownCommunity("no community of this homeCommunityId is known here")
        peers = [named]
    # Our own registry comes first: a question that it finds wrong is nobody else's business.
    objects, errors = _own(query, services, caller, scope) if ours else ([], [])
    told, silent_ = _peers(body, query, patient, home, peers, services, caller, scope)
    merged = sorted((one for part in told for one in part.objects), key=lambda one: (one[0], one[1]))
    objects += [data for _, _, data in merged]
    errors += [error for part in told for error in part.errors] + silent_
    everything, answered = tuple(errors), ours or bool(told)
    payload = Payload(ebxml.adhoc_query_response(status(everything, answered), everything, objects))
    return Joined(payload, everything, answered, len(objects))


def _patient(query: AdhocQuery) -> PatientId | None:
    values = [value for slot in query.slots if slot.name in PATIENTS for value in slot.values]
    return patient_of(values[0]) if values else None


def _own(
    query: AdhocQuery, services: GatewayServices, caller: Caller, scope: Scope
) -> tuple[list[bytes], list[RegistryError]]:
    """What our registry answers to the same query, as the bytes it would send."""
    result = iti18.TRANSACTION.handle(query, services.documents, caller, scope)
    body = iti18.TRANSACTION.render(query, result, services.documents).body
    found = _OBJECTS.search(body if isinstance(body, bytes) else b"".join(body))
    return ([found[1]] if found and found[1] else []), located(result.errors, services.documents.home)


def _peers(
    body: etree._Element,
    query: AdhocQuery,
    patient: PatientId | None,
    home: str,
    peers: Sequence[Asked],
    services: GatewayServices,
    caller: Caller,
    scope: Scope,
) -> tuple[list[Told], list[RegistryError]]:
    federation = services.communities.federation
    until = services.clock.monotonic() + federation.deadline_s
    memory = None
    if patient is not None and peers:
        memory = federation.discovery.memory(federation.discovery.whom(patient, scope))

    call = services.communities.call.by(caller)

    def work(one: Asked, left_s: float) -> Told:
        def put(id_: PatientId | None, left: float) -> Told:
            return _ask_one(one.peer, body, query, id_, home, call, left)

        if memory is None:
            return put(None, left_s)
        return federation.discovery.asked(one.peer.home, memory, one.community.by(caller).discover, put, left_s)

    told: list[Told] = []
    errors: list[RegistryError] = []
    for reply in ask_all([Task(one.channel, partial(work, one)) for one in peers], until, services.clock):
        one = peers[reply.place]
        if reply.value is not None:
            if alarms := disbelieved(one.peer.home, reply.value.findings):
                one.channel.alarm(tuple(error.context for error in alarms))
            told.append(reply.value._replace(errors=(*reply.value.errors, *alarms)))
        elif isinstance(reply.error, UnknownPatient):
            told.append(Told((), (), ()))  # it knows nobody: that is an answer
        elif reply.error is not None:
            errors.append(silent(one.peer.home, one.peer.name, reply.error))
    return told, errors


# -- one peer ----------------------------------------------------------------------------------------------------------


def _ask_one(
    peer: Peer,
    body: etree._Element,
    query: AdhocQuery,
    patient: PatientId | None,
    home: str,
    call: Call,
    left_s: float,
) -> Told:
    data = _outgoing(body, patient, home or peer.home)
    received = call.send(peer.xca, iti38.TRANSACTION.action, data, deadline_s=left_s)
    found = ebxml_read.read_query_answer(received.body)
    listed = received.body.find(f"{{{RIM}}}RegistryObjectList")
    elements = [] if listed is None else [one for one in listed if isinstance(one.tag, str)]
    if any(error.code == _UNKNOWN_PATIENT for error in found.errors) and not elements:
        raise UnknownPatient("the community does not know the patient")
    if not elements and any(error.context == DENIED for error in found.errors):
        raise Forbidden("the policy of the community does not permit the question")
    if found.status == ebxml.FAILURE and elements:
        raise BadInput("the answer is a Failure that holds objects")
    findings = list(same_relation(received))
    kept = _believed(peer, query, patient, elements, findings)
    errors = located(found.errors, peer.home)
    if any(one.code == "XDSMissingHomeCommunityId" for one in findings):
        text = "an object of the answer does not name its community"
        errors.append(RegistryError("XDSMissingHomeCommunityId", text, location=peer.home))
    return Told(tuple(kept), tuple(errors), tuple(findings))


def _outgoing(body: etree._Element, patient: PatientId | None, home: str) -> bytes:
    """The same request to another community."""
    request = deepcopy(body)
    asked = request.find(f"{{{RIM}}}AdhocQuery")
    assert asked is not None
    asked.set("home", home)
    for slot in asked.findall(f"{{{RIM}}}Slot"):
        if patient is not None and str(slot.get("name", "")).strip() in PATIENTS:
            for value in slot.iterfind(f"{{{RIM}}}ValueList/{{{RIM}}}Value"):
                value.text = "'" + str(patient).replace("'", "''") + "'"
    return etree.tostring(request)


def _believed(
    peer: Peer,
    query: AdhocQuery,
    patient: PatientId | None,
    elements: list[etree._Element],
    findings: list[Finding],
) -> list[tuple[str, str, bytes]]:
    kept: dict[str, tuple[str, str, bytes]] = {}
    patients: set[str] = set()
    for element in elements:
        home = str(element.get("home", "")).strip()
        if not home:
            findings.append(Finding("XDSMissingHomeCommunityId", "an object without home"))
            home = peer.home
        elif not peer.speaks_for(home):
            findings.append(Finding("foreign-home", "an object of another community was dropped"))
            continue
        if not home.startswith("urn:oid:"):
            home = f"urn:oid:{home}"
        ids = _identifiers(element)
        whose = next((ids[scheme] for scheme in _PATIENT_SCHEMES if scheme in ids), "")
        if patient is not None and whose and _is_another(whose, patient):
            findings.append(Finding("foreign-patient", "an object of another patient was dropped"))
            continue
        unique = next((ids[scheme] for scheme in _UNIQUE if scheme in ids), "")
        id_ = str(element.get("id", "")).strip()
        if query.id == iti18.GET_DOCUMENTS and not _asked_for(query, id_, unique, element):
            findings.append(Finding("unasked-document", "an object nobody asked for was dropped"))
            continue
        if whose:
            patients.add(whose)
        element.set("home", home)
        kept.setdefault(id_ or unique, (home, unique or id_, etree.tostring(element, with_tail=False)))
    if patient is not None and len(patients) > 1:
        # Asked by an id of another authority we cannot tell which of them is meant: none is the safe choice.
        findings.append(Finding("several-patients", "the objects belong to several patients; all were dropped"))
        return []
    return list(kept.values())


def _asked_for(query: AdhocQuery, id_: str, unique: str, element: etree._Element) -> bool:
    wanted = {value for slot in query.slots for value in slot.values}
    return bool({id_, unique, str(element.get("lid", ""))} & wanted)


def _identifiers(element: etree._Element) -> dict[str, str]:
    return {
        str(one.get("identificationScheme", "")).strip(): str(one.get("value", "")).strip()
        for one in element.findall(f"{{{RIM}}}ExternalIdentifier")
    }


def _is_another(cx: str, asked: PatientId) -> bool:
    try:
        found = PatientId.parse(cx)
    except ValueError:
        return True
    return found.authority == asked.authority and found.value != asked.value


def refuse(error: RegistryError) -> Payload:
    return Payload(ebxml.adhoc_query_response(ebxml.FAILURE, (error,), ()))


def about(body: etree._Element) -> Audited:
    try:
        return iti18.TRANSACTION.audit(iti18.parse(body))
    except GatewayError:
        return Audited()


TRANSACTION = GatewayTransaction(
    number="ITI-18",
    section="ITI TF-2: 3.18, 3.38",
    name="Registry Stored Query of all communities",
    action=iti18.TRANSACTION.action,
    elements=(f"{{{QUERY}}}AdhocQueryRequest", f"{{{QUERY}}}AdhocQueryResponse"),
    mtom=False,
    event=("110112", "E"),
    ask=ask,
    refuse=refuse,
    about=about,
)
