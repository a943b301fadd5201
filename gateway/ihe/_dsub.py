"""What the DSUB transactions share: services, names of WS-BaseNotification 1.3, faults, and the shape of an operation
(ITI TF-2: 3.52, 3.53, 3.54)."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO, Final, NamedTuple

from lxml import etree

from gateway.codec import soap, xml
from gateway.codec.xml import escape
from gateway.errors import BadInput, GatewayError
from gateway.ihe._soap import SUCCESS, Audited, WireResponse, envelope_response, record_of
from gateway.model.caller import Caller
from gateway.model.clock import Chance
from gateway.ports import AuditLog
from gateway.services.broker import Broker
from gateway.services.documents import spool
from gateway.services.policy.access import ScopeOf

WSNT: Final = "http://docs.oasis-open.org/wsn/b-2"
RESOURCE: Final = "http://docs.oasis-open.org/wsrf/r-2"
RF: Final = "http://docs.oasis-open.org/wsrf/bf-2"
WSA: Final = "http://www.w3.org/2005/08/addressing"
IHE: Final = "urn:ihe:iti:dsub:2009"
SIMPLE: Final = "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Simple"
ACTIONS: Final = "http://docs.oasis-open.org/wsn/bw-2/"
NOTIFY: Final = f"{ACTIONS}NotificationConsumer/Notify"
PATH: Final = "/dsub"
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class DsubServices:
    """What /dsub works with; gateway.app fills it."""

    broker: Broker
    audit: AuditLog
    scope_of: ScopeOf
    chance: Chance = field(default_factory=Chance)
    spool: Callable[[], BinaryIO] = spool


class Asked(NamedTuple):
    """One request."""

    body: etree._Element
    to: str
    """wsa:To"""
    services: DsubServices
    caller: Caller


class Answered(NamedTuple):
    body: bytes
    """Empty: a one-way message, answered HTTP 202."""
    patient: str = ""
    object: str = ""


def fault(name: str, reason: str, when: str, namespace: str = WSNT) -> soap.SoapFault:
    """A fault of WS-BaseNotification by its name, in soap:Detail."""
    detail = (
        f'<f:{name} xmlns:f="{namespace}" xmlns:wsrf-bf="{RF}"><wsrf-bf:Timestamp>{when}</wsrf-bf:Timestamp>'
        f'<wsrf-bf:Description xml:lang="en">{escape(reason)}</wsrf-bf:Description></f:{name}>'
    )
    return soap.SoapFault("Sender", f"{name}: {reason}", detail=detail.encode())


@dataclass(frozen=True, slots=True)
class DsubOperation:
    """An `Operation` (_soap.py) of the broker."""

    number: str
    section: str
    name: str
    action: str
    elements: tuple[str, str]
    event: tuple[str, str]
    answer: Callable[[Asked], Answered]
    """Raises SoapFault, BadInput."""
    actors: tuple[str, str] = ("Document Metadata Subscriber", "Document Metadata Notification Broker")
    path: str = PATH

    @property
    def answer_action(self) -> str:
        return re.sub(r"Request$", "", self.action) + "Response"

    def respond(self, envelope: soap.Envelope, message_id: str, services: DsubServices, caller: Caller) -> WireResponse:
        body = envelope.body
        if body is None or str(body.tag) != self.elements[0]:
            raise soap.SoapFault("Sender", "the body is not the message of this action", relates_to=envelope.message_id)
        try:
            answered = self.answer(Asked(body, envelope.to, services, caller))
        except soap.SoapFault as found:
            found.relates_to = envelope.message_id
            raise
        except BadInput as error:
            raise soap.SoapFault("Sender", str(error), relates_to=envelope.message_id) from error
        except GatewayError as error:
            raise soap.SoapFault("Receiver", str(error), relates_to=envelope.message_id) from error
        services.audit.record(record_of(self, SUCCESS, caller, Audited(answered.patient, answered.object), self.name))
        if not answered.body:
            return WireResponse(202, [("Content-Length", "0")], ())
        data = soap.answer(self.answer_action, message_id, envelope.message_id, answered.body)
        return envelope_response(200, data, self.answer_action)


def child(element: etree._Element, *path: str) -> str:
    """Text below, by local names of the WS-N and WS-A namespaces; "" when it is not there."""
    found = element.find("/".join(f"{{*}}{name}" for name in path))
    return xml.text_of(found).strip()


def id_of(address: str) -> str:
    """The UUID in an address that we gave out; ""."""
    found = _UUID.search(address)
    return found[0] if found else ""


def address_of(base: str, kind: str, id_: str) -> str:
    """`kind`: subscription, pullpoint."""
    return f"{base}{PATH}?{kind}={id_}"
