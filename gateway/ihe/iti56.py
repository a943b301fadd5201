"""ITI-56 Patient Location Query (ITI TF-2: 3.56): which communities hold data of a person.

Told are this community, when it knows the person, and those that asked for the person by XCPD and told their own id.
"""

from dataclasses import dataclass
from typing import Final

from lxml import etree

from gateway.codec import hl7v3, soap
from gateway.codec.hl7v3 import II
from gateway.codec.xml import escape
from gateway.ihe import _xcpd
from gateway.ihe._soap import SUCCESS, XCPD, Audited, WireResponse, envelope_response, record_of
from gateway.ihe._v3 import V3Services, deliver
from gateway.model.caller import Caller, Scope
from gateway.model.identity import PatientId
from gateway.translate import person_v3

REQUEST: Final = f"{{{XCPD}}}PatientLocationQueryRequest"
RESPONSE: Final = f"{{{XCPD}}}PatientLocationQueryResponse"


def read(body: etree._Element) -> PatientId:
    """The asked id. Raises SoapFault: the answer has no way to say what is wrong."""
    found = hl7v3.ii_of(body.find(f"{{{XCPD}}}RequestedPatientId"))
    if not found.root or not found.extension:
        raise soap.SoapFault("Sender", "RequestedPatientId needs root and extension")
    return person_v3.patient_id(found)


def locations(asked: PatientId, services: V3Services, scope: Scope) -> list[tuple[str, PatientId]]:
    """(homeCommunityId, id of the person there); none for a person nobody here knows."""
    record = next(iter(_xcpd.by_id(asked, services, scope)), None)
    if record is None:
        return []
    found = [(services.home, PatientId(record.enterprise_id, services.affinity_domain))]
    told = services.correlations.get(record.enterprise_id) or ()
    return found + [(one.home, one.id) for one in told if one.home != services.home]


def render(asked: PatientId, found: list[tuple[str, PatientId]]) -> bytes:
    wanted = _id("RequestedPatientId", asked)
    rows = "".join(
        f"<PatientLocationResponse><HomeCommunityId>{escape(home)}</HomeCommunityId>"
        f"{_id('CorrespondingPatientId', one)}{wanted}</PatientLocationResponse>"
        for home, one in found
    )
    return f'<PatientLocationQueryResponse xmlns="{XCPD}">{rows}</PatientLocationQueryResponse>'.encode()


def _id(element: str, value: PatientId) -> str:
    return hl7v3.ii(II(value.authority, value.value), element)


@dataclass(frozen=True, slots=True)
class LocationQuery:
    """An `Operation` (_soap.py)."""

    number: str = "ITI-56"
    section: str = "ITI TF-2: 3.56"
    name: str = "Patient Location Query"
    action: str = "urn:ihe:iti:2009:PatientLocationQuery"
    answer_action: str = "urn:ihe:iti:2009:PatientLocationQueryResponse"
    actors: tuple[str, str] = ("Initiating Gateway", "Responding Gateway")
    path: str = "/xcpd"
    elements: tuple[str, str] = (REQUEST, RESPONSE)
    event: tuple[str, str] = ("110112", "E")

    def respond(self, envelope: soap.Envelope, message_id: str, services: V3Services, caller: Caller) -> WireResponse:
        if envelope.body is None or str(envelope.body.tag) != REQUEST:
            raise soap.SoapFault("Sender", "the body is not the message of this action", relates_to=envelope.message_id)
        asked = read(envelope.body)
        found = locations(asked, services, services.scope_of(caller, self.number))
        services.audit.record(record_of(self, SUCCESS, caller, Audited(str(asked)), f"{len(found)} found"))
        to = envelope.reply_to or soap.ANONYMOUS
        data = soap.answer(self.answer_action, message_id, envelope.message_id, render(asked, found), to=to)
        if envelope.reply_to:
            deliver(services, to, self.answer_action, data, envelope.message_id)
            return WireResponse(202, [("Content-Length", "0")], ())
        return envelope_response(200, data, self.answer_action)


TRANSACTION: Final = LocationQuery()
