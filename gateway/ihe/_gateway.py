"""The initiating gateway (ITI TF-1: 18.1): what its transactions share. A question comes in as ITI-18 or ITI-43, goes out as
ITI-38 or ITI-39, and one answer goes back.

Success says that everybody answered. Each community that did not is one XDSUnavailableCommunity with its home as the
location, also while its breaker is open; one that was not believed in part is named too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Final, NamedTuple

from lxml import etree

from gateway.codec import ebxml, soap
from gateway.codec.ebxml import RegistryError
from gateway.errors import BadInput, GatewayError
from gateway.ihe._client import Finding
from gateway.ihe._soap import (
    MAJOR,
    MINOR,
    SERIOUS,
    SUCCESS,
    Audited,
    Payload,
    WireResponse,
    delivered,
    envelope_response,
    log_failure,
    package_response,
    record_of,
    registry_error,
)
from gateway.ihe._v3 import Later
from gateway.ihe.communities import Communities
from gateway.ihe.initiating import TRUST
from gateway.model.caller import Caller, Scope
from gateway.model.clock import Chance, Clock
from gateway.ports import AuditLog
from gateway.services.documents import DocumentServices
from gateway.services.federation.fanout import Busy
from gateway.services.federation.outcomes import word_of

PATH: Final = "/xca/initiating"
UNAVAILABLE: Final = "XDSUnavailableCommunity"


@dataclass(frozen=True, slots=True)
class GatewayServices:
    """What the initiating gateway works with; gateway.app fills it."""

    documents: DocumentServices
    communities: Communities
    later: Later | None = None
    may_reply: Callable[[str], bool] = soap.nowhere
    """Addresses answers may be delivered to."""

    @property
    def audit(self) -> AuditLog:
        return self.documents.audit

    @property
    def chance(self) -> Chance:
        return self.documents.chance

    @property
    def clock(self) -> Clock:
        return self.documents.clock

    @property
    def spool(self) -> Callable[[], BinaryIO]:
        return self.documents.spool


class Joined(NamedTuple):
    """One answer made of many."""

    payload: Payload
    errors: tuple[RegistryError, ...]
    answered: bool
    """Whether anybody did."""
    found: int
    busy: bool = False
    """The question was refused under load."""


@dataclass(frozen=True, slots=True)
class GatewayTransaction:
    """An `Operation` (_soap.py) that is answered by many communities."""

    number: str
    section: str
    name: str
    action: str
    elements: tuple[str, str]
    mtom: bool
    event: tuple[str, str]
    ask: Callable[[soap.Envelope, GatewayServices, Caller, Scope], Joined]
    """Of a message whose soap:Body is there."""
    refuse: Callable[[RegistryError], Payload]
    about: Callable[[etree._Element], Audited]
    actors: tuple[str, str] = ("Document Consumer", "Initiating Gateway")
    path: str = PATH
    max_document_bytes: int = 0
    """Above 0: its messages carry documents, none larger than this."""

    @property
    def answer_action(self) -> str:
        return f"{self.action}Response"

    def respond(
        self, envelope: soap.Envelope, message_id: str, services: GatewayServices, caller: Caller
    ) -> WireResponse:
        if envelope.body is None:
            raise soap.SoapFault("Sender", "soap:Body is empty", relates_to=envelope.message_id)
        try:
            joined = self._ask(envelope, services, caller)
        except BadInput as error:
            raise soap.SoapFault("Sender", str(error), relates_to=envelope.message_id) from error
        errors = joined.errors
        outcome = SUCCESS if not errors else MINOR if joined.answered else SERIOUS
        if any(error.code == "XDSRegistryError" and "reference" in error.context for error in errors):
            outcome = MAJOR
        detail = " ".join(dict.fromkeys(error.code for error in errors)) or f"{joined.found} found"
        if not joined.busy or services.communities.federation.admission.to_tell():
            services.audit.record(record_of(self, outcome, caller, self.about(envelope.body), detail))
        to = envelope.reply_to or soap.ANONYMOUS
        data = soap.answer(self.answer_action, message_id, envelope.message_id, joined.payload.body, to=to)
        if self.mtom:
            response = package_response(data, joined.payload.parts, self.answer_action, services)
        else:
            response = envelope_response(200, data, self.answer_action)
        deliver = services.later.put if services.later is not None else None
        return delivered(response, self.answer_action, envelope, deliver) if envelope.reply_to else response

    def _ask(self, envelope: soap.Envelope, services: GatewayServices, caller: Caller) -> Joined:
        leave: Callable[[], None] = lambda: None  # noqa: E731
        busy = False
        try:
            leave = services.communities.federation.admission.enter()
            return self.ask(envelope, services, caller, services.documents.scope_of(caller, self.number))
        except BadInput:
            raise
        except GatewayError as error:
            named, busy = registry_error(error), isinstance(error, Busy)
        except Exception as error:  # noqa: BLE001 - an error of ours is an ordinary answer with XDSRegistryError
            reference = str(services.chance.new_uuid())
            log_failure(error, reference, self)
            named = registry_error(GatewayError(f"an error of this node; reference {reference}"))
        finally:
            leave()
        return Joined(self.refuse(named), (named,), False, 0, busy)


def silent(home: str, name: str, error: BaseException) -> RegistryError:
    """A community that did not answer."""
    return RegistryError(UNAVAILABLE, f"{name or home}: {word_of(error)}", location=home)


def disbelieved(home: str, findings: tuple[Finding, ...]) -> list[RegistryError]:
    """What was taken out of an answer, or should have been in it: the answer is not whole."""
    codes = dict.fromkeys(one.code for one in findings if one.code in TRUST)
    return [
        RegistryError("XDSRegistryError", f"{code} in the answer of the community", location=home) for code in codes
    ]


def located(errors: tuple[RegistryError, ...], home: str) -> list[RegistryError]:
    """Every error says whose it is (ITI TF-2: 3.38.4.2.3)."""
    return [error if error.location.startswith("urn:oid:") else error._replace(location=home) for error in errors]


def status(errors: tuple[RegistryError, ...], answered: bool) -> str:
    """Success only when all answered; a community that holds nothing has answered too."""
    return ebxml.status_of(errors, answered)
