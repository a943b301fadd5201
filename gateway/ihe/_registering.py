"""What the transactions share that change the registry: one request, one rs:RegistryResponse.

The audit record of a success is stored in the transaction of the change itself; that of a refusal before the answer is
given. A metadata error is an answer with HTTP 200; only what is no such request is a fault.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from lxml import etree

from gateway.codec import ebxml, soap
from gateway.codec.ebxml import WARNING, RegistryError
from gateway.codec.ebxml_submit import Metadata, registry_response
from gateway.errors import BadInput, DamagedContent, GatewayError, LimitExceeded, UnknownPatient
from gateway.ihe._soap import (
    MAJOR,
    SERIOUS,
    SUCCESS,
    Audited,
    WireResponse,
    delivered,
    envelope_response,
    log_failure,
    record_of,
    registry_error,
)
from gateway.model.audit import AuditRecord
from gateway.model.caller import Caller
from gateway.services.documents import DocumentServices
from gateway.services.registry.service import RegistryServices, Submitted

_AUDITED: Final = 100
"""Objects named in one audit record."""

RESPONSE: Final = f"{{{ebxml.RS}}}RegistryResponse"


class Asked(NamedTuple):
    """One request and what belongs to it."""

    envelope: soap.Envelope
    registry: RegistryServices
    services: DocumentServices
    record: Callable[[Audited, str], AuditRecord]
    """(what it is about, detail) -> the audit record of its success."""

    @property
    def body(self) -> etree._Element:
        assert self.envelope.body is not None
        return self.envelope.body


@dataclass(frozen=True, slots=True)
class Changing:
    """A transaction that changes the registry or repository; an Operation as `_soap.py` has it."""

    number: str
    section: str
    name: str
    action: str
    actors: tuple[str, str]
    path: str
    elements: tuple[str, str]
    event: tuple[str, str]
    perform: Callable[[Asked], Sequence[RegistryError]]
    """Does it and returns warnings. Raises GatewayError; BadInput for what is no such request."""
    about: Callable[[etree._Element], Audited]
    """What the audit record of a refusal names."""
    refuse: Callable[[GatewayError], RegistryError] = registry_error
    answered: str = ""
    """Action of the answer where it is not the request's with `Response`."""
    max_document_bytes: int = 0
    """Above 0: its messages carry documents, none larger than this."""

    @property
    def answer_action(self) -> str:
        return self.answered or f"{self.action}Response"

    def respond(
        self, envelope: soap.Envelope, message_id: str, services: DocumentServices, caller: Caller
    ) -> WireResponse:
        if envelope.body is None:
            raise soap.SoapFault("Sender", "soap:Body is empty", relates_to=envelope.message_id)
        registry = services.changing
        if registry is None:
            raise soap.SoapFault("Receiver", "nothing can be submitted to this node", relates_to=envelope.message_id)

        def record(about: Audited, detail: str) -> AuditRecord:
            return record_of(self, SUCCESS, caller, about, detail)

        outcome = SUCCESS
        try:
            errors = tuple(self.perform(Asked(envelope, registry, services, record)))
        except LimitExceeded as error:
            errors, outcome = (self.refuse(error),), SERIOUS
        except BadInput as error:
            raise soap.SoapFault("Sender", str(error), relates_to=envelope.message_id) from error
        except GatewayError as error:
            outcome = MAJOR if isinstance(error, DamagedContent) else SERIOUS
            errors = (self._explained(error, envelope.body),)
        except Exception as error:  # noqa: BLE001 - an error of ours is an ordinary answer with XDSRegistryError
            reference = str(services.chance.new_uuid())
            log_failure(error, reference, None)
            errors, outcome = (self.refuse(GatewayError(f"an error of this node; reference {reference}")),), MAJOR
        if outcome != SUCCESS:
            detail = " ".join(error.code for error in errors)
            services.audit.record(record_of(self, outcome, caller, self.about(envelope.body), detail))
        status = ebxml.status_of(errors, any_result=False)
        body = registry_response(status, errors)
        to = envelope.reply_to or soap.ANONYMOUS
        data = soap.answer(self.answer_action, message_id, envelope.message_id, body, to=to)
        response = envelope_response(200, data, self.answer_action)
        return delivered(response, self.answer_action, envelope, services.deliver) if envelope.reply_to else response

    def _explained(self, error: GatewayError, body: etree._Element) -> RegistryError:
        """An unknown patient id stands in codeContext (ITI TF-3: table 4.2.4.1-2): it is the asker's own word."""
        named = self.refuse(error)
        if isinstance(error, UnknownPatient) and (patient := self.about(body).patient):
            return named._replace(context=f"{named.context}: {patient}")
        return named


def submission_error(error: GatewayError) -> RegistryError:
    """As a Document Repository names it that is told by the registry behind it: what the repository sees itself has its
    own code, the registry's rules keep theirs (ITI TF-3: table 4.2.4.1-2)."""
    named = registry_error(error)
    codes = {
        f"XDSRegistry{name}": f"XDSRepository{name}"
        for name in ("MetadataError", "DuplicateUniqueIdInMessage", "Error", "Busy", "OutOfResources")
    }
    return named._replace(code=codes.get(named.code, named.code))


def warnings_of(submitted: Submitted) -> list[RegistryError]:
    """XDSExtraMetadataNotSaved for what was left out (ITI TF-3: 4.2.3.1.6)."""
    if not submitted.warnings:
        return []
    names = ", ".join(name[:128] for name in submitted.warnings[:20])
    return [RegistryError("XDSExtraMetadataNotSaved", f"not kept: {names}", WARNING)]


def about_submission(body: etree._Element) -> Audited:
    """The patient and the SubmissionSet a request names (ITI TF-2: 3.42.5.1), whatever else is wrong with it."""
    patient = unique_id = ""
    for node in body.iter(f"{{{ebxml.RIM}}}ExternalIdentifier"):
        name = str(node.get("identificationScheme", ""))
        if name == "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446":
            patient = str(node.get("value", ""))[:256]
        elif name == "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8":
            unique_id = str(node.get("value", ""))[:128]
    return Audited(patient, unique_id)


def about_objects(ids: Sequence[str]) -> Audited:
    return Audited(object=" ".join(id_[:128] for id_ in ids[:_AUDITED]))


def detail_of(submitted: Submitted, metadata: Metadata) -> str:
    """Counts for the audit record."""
    if submitted.repeated:
        return "repeated"
    return f"{submitted.submissionSet} {len(metadata.documents)} documents, {len(metadata.folders)} folders"


def digest_of(body: etree._Element, *others: str) -> bytes:
    """SHA-256 over a request in canonical form and what came beside it."""
    digest = hashlib.sha256(etree.tostring(body, method="c14n"))
    for other in others:
        digest.update(b"\x00" + other.encode())
    return digest.digest()
