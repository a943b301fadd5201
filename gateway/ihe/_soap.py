"""What the SOAP transactions share: the shape of a transaction, and the way of one message in and its answer out.

`answer` is the only place that turns a request into a response, so no transaction can forget the audit record: it is
stored before the first byte of the answer is given away.
"""

import logging
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Final, NamedTuple, Protocol

from lxml import etree

from gateway.codec import mtom, soap, xml
from gateway.codec.ebxml import RegistryError
from gateway.codec.inline import cut
from gateway.codec.mtom import OutPart
from gateway.codec.saml_fault import SecurityFault
from gateway.errors import BadInput, Forbidden, GatewayError, LimitExceeded, Unavailable, codes_for
from gateway.model.audit import AuditObject, AuditRecord
from gateway.model.caller import Caller, Scope
from gateway.model.clock import Chance
from gateway.ports import AuditLog
from gateway.services.documents import DocumentServices

_CHUNK: Final = 64 * 1024
LATER_BYTES: Final = 64 * 1024 * 1024
"""Of an answer that is delivered later, and kept until then."""
_LOG = logging.getLogger("gateway.ihe")

QUERY: Final = "110112"
SUCCESS, MINOR, SERIOUS, MAJOR = 0, 4, 8, 12
"""EventOutcomeIndicator (DICOM PS3.15 A.5)."""

XCPD: Final = "urn:ihe:iti:xcpd:2009"

_UNDERSTOOD: Final = frozenset({f"{{{soap.WSSE}}}Security", f"{{{XCPD}}}CorrelationTimeToLive"})
# LENIENT: open mode decides nothing by an assertion, so one that must be understood does no harm when it is not read;
# clients built for ITI-40 always send it. In enforced mode an `Asker` reads it, and refuses the message without it.


class Asker(Protocol):
    """How the one who asks is known in enforced mode: a node, and a person by the assertion of the message."""

    def person(self, envelope: soap.Envelope) -> Caller:
        """Raises SecurityFault."""

    def may(self, transaction: str) -> bool:
        """Whether the node may do this transaction at all."""


class Payload(NamedTuple):
    """What a transaction answers with: the element inside soap:Body (a large one in pieces), and document parts for
    MTOM."""

    body: bytes | Sequence[bytes]
    parts: tuple[OutPart, ...] = ()


class Audited(NamedTuple):
    """What the audit record names: CX of the patient when the request holds one; the query id or uniqueIds."""

    patient: str = ""
    object: str = ""


class Result(NamedTuple):
    """What `handle` found, in the form `render` and `audit` need."""

    errors: tuple[RegistryError, ...]
    found: tuple[Any, ...]
    patient: str = ""
    """CX of the patient whose data these are, when the request itself did not name one."""


class SoapServices(Protocol):
    """What every SOAP endpoint needs of its services, whatever its transactions do."""

    @property
    def audit(self) -> AuditLog: ...
    @property
    def chance(self) -> Chance: ...
    @property
    def spool(self) -> Callable[[], BinaryIO]: ...


class Operation(Protocol):
    """What the envelope, `?wsdl` and the documentation have to know of a transaction."""

    @property
    def number(self) -> str: ...
    @property
    def section(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def answer_action(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def elements(self) -> tuple[str, str]: ...
    @property
    def event(self) -> tuple[str, str]: ...
    def respond(self, envelope: soap.Envelope, message_id: str, services: Any, caller: Caller) -> "WireResponse": ...


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction of documents (ebXML)."""

    number: str
    """ITI-18"""
    section: str
    name: str
    action: str
    """SOAP action of the request; that of the answer has `Response` behind it."""
    actors: tuple[str, str]
    """Initiator, responder."""
    path: str
    """Where it is mounted."""
    elements: tuple[str, str]
    """Body elements of request and response as {namespace}local."""
    mtom: bool
    """The answer is always a multipart message."""
    event: tuple[str, str]
    """EventID and action of the responder's audit record (ITI TF-2: 3.20)."""
    parse: Callable[[etree._Element], Any]
    handle: Callable[[Any, DocumentServices, Caller, Scope], Result]
    render: Callable[[Any, Result, DocumentServices], Payload]
    refuse: Callable[[GatewayError], RegistryError]
    """The one error of an answer that is nothing else."""
    audit: Callable[[Any], Audited]
    """What the audit record says of a request; never query values."""

    @property
    def answer_action(self) -> str:
        return f"{self.action}Response"

    def respond(
        self, envelope: soap.Envelope, message_id: str, services: DocumentServices, caller: Caller
    ) -> "WireResponse":
        return _respond(self, envelope, message_id, services, caller)


class WireResponse(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: Iterable[bytes]


def answer(
    transactions: Sequence[Operation],
    content_type: str,
    body: BinaryIO,
    services: SoapServices,
    caller: Caller,
    may_reply: Callable[[str], bool] = soap.nowhere,
    asker: Asker | None = None,
) -> WireResponse:
    """One message in, one answer out. `transactions` are those of the path it came in on; `may_reply` allows addresses
    for answers that are delivered later; `asker` knows the person who asks (None: `caller` is all there is). Raises
    nothing of ours."""
    message_id = f"urn:uuid:{services.chance.new_uuid()}"
    transaction: Operation | None = None
    try:
        try:
            envelope, stated = read(transactions, content_type, body, services, may_reply)
            if asker is not None:
                caller = _person(asker, envelope)
            transaction = _transaction_of(transactions, envelope, stated)
            if asker is not None and not asker.may(transaction.number):
                raise soap.SoapFault(
                    "Sender",
                    "this node may not do this transaction",
                    subcodes=("wsse:FailedAuthentication",),
                    relates_to=envelope.message_id,
                )
            response = transaction.respond(envelope, message_id, services, caller)
        except soap.SoapFault as fault:
            response = _fault(fault, message_id, transaction or transactions[0], services, caller)
        except GatewayError as error:
            code = "Sender" if isinstance(error, BadInput) else "Receiver"
            response = _fault(
                soap.SoapFault(code, str(error)), message_id, transaction or transactions[0], services, caller
            )
    except Exception as error:  # noqa: BLE001 - the edge of SOAP: whatever went wrong, the peer gets a fault
        reference = services.chance.new_uuid()
        log_failure(error, str(reference), transaction)
        failure = soap.SoapFault("Receiver", f"an error of this node; reference {reference}")
        response = envelope_response(500, soap.fault(failure, message_id))
    return response


def read(
    transactions: Sequence[Operation],
    content_type: str,
    body: BinaryIO,
    services: SoapServices,
    may_reply: Callable[[str], bool] = soap.nowhere,
) -> tuple[soap.Envelope, str]:
    """Takes the message out of its packaging (plain or MTOM): the envelope, and the action its Content-Type states.
    Raises SoapFault, BadInput."""
    media, parameters = mtom.parse_media_type(content_type or soap.MEDIA_TYPE)
    # Documents may stand inside the envelope: they are cut out before it is parsed.
    largest = max((getattr(one, "max_document_bytes", 0) for one in transactions), default=0)
    attachments: dict[str, mtom.Part] = {}
    if media == mtom.MULTIPART:
        limits = mtom.DEFAULT
        if largest:
            limits = replace(limits, part_bytes=largest, total_bytes=2 * largest)
        package = mtom.collect(iter(lambda: body.read(_CHUNK), b""), content_type, services.spool, limits)
        attachments.update(package.parts)
        data = _envelope(package.root.chunks(), services, largest, attachments)
        _, root_parameters = mtom.parse_media_type(package.root.content_type or soap.MEDIA_TYPE)
        stated = parameters.get("action") or root_parameters.get("action", "")
    elif media in (soap.MEDIA_TYPE, "text/xml", "application/xml"):
        # LENIENT: text/xml is SOAP 1.1's type; the envelope itself decides, and a 1.1 one gets VersionMismatch.
        data = _envelope(iter(lambda: body.read(_CHUNK), b""), services, largest, attachments)
        stated = parameters.get("action", "")
    else:
        raise soap.SoapFault("Sender", "the Content-Type is neither application/soap+xml nor multipart/related")
    envelope = soap.read(data, xml.REQUEST, understood=_UNDERSTOOD, may_reply=may_reply)
    return replace(envelope, attachments=attachments), stated


def _person(asker: Asker, envelope: soap.Envelope) -> Caller:
    try:
        return asker.person(envelope)
    except soap.SoapFault as fault:
        fault.relates_to = envelope.message_id
        raise


def _transaction_of(transactions: Sequence[Operation], envelope: soap.Envelope, stated: str) -> Operation:
    """Raises SoapFault."""
    # LENIENT: what is no URI counts as not stated; zeep writes action="None" when the WSDL names no soapAction.
    if ":" in stated and stated != envelope.action:
        raise soap.SoapFault(
            "Sender",
            "the action of the Content-Type is not that of wsa:Action",
            subcodes=("wsa:InvalidAddressingHeader", "wsa:ActionMismatch"),
            relates_to=envelope.message_id,
        )
    for transaction in transactions:
        if transaction.action == envelope.action:
            return transaction
    raise soap.SoapFault(
        "Sender",
        "no transaction with this wsa:Action is answered here",
        subcodes=("wsa:ActionNotSupported",),
        relates_to=envelope.message_id,
    )


def _envelope(
    pieces: Iterable[bytes], services: SoapServices, largest: int, attachments: dict[str, mtom.Part]
) -> bytes:
    """The envelope's bytes; its documents, of at most `largest` bytes each, go to `attachments`."""
    if largest:
        data, inside = cut(pieces, services.spool, max_envelope=xml.REQUEST.max_bytes, max_document=largest)
        attachments.update(inside)
        return data
    whole = bytearray()
    for piece in pieces:
        whole += piece
        if len(whole) > xml.REQUEST.max_bytes:
            raise LimitExceeded(f"an envelope larger than {xml.REQUEST.max_bytes} bytes")
    return bytes(whole)


def _respond(
    transaction: Transaction, envelope: soap.Envelope, message_id: str, services: DocumentServices, caller: Caller
) -> WireResponse:
    if envelope.body is None:
        raise soap.SoapFault("Sender", "soap:Body is empty", relates_to=envelope.message_id)
    parsed: Any = None
    refused: GatewayError | None = None
    try:
        parsed = transaction.parse(envelope.body)
        scope = services.scope_of(caller, transaction.number)
        result = transaction.handle(parsed, services, caller, scope)
        outcome = SUCCESS if not result.errors else MINOR if result.found else SERIOUS
    except BadInput as error:
        raise soap.SoapFault("Sender", str(error), relates_to=envelope.message_id) from error
    except GatewayError as error:
        result, outcome = Result((transaction.refuse(error),), ()), SERIOUS
        refused = error
    except Exception as error:  # noqa: BLE001 - an error of ours is an ordinary answer with XDSRegistryError
        reference = str(services.chance.new_uuid())
        log_failure(error, reference, transaction)
        failure = GatewayError(f"an error of this node; reference {reference}")
        result, outcome = Result((transaction.refuse(failure),), ()), MAJOR
    payload = transaction.render(parsed, result, services)
    detail = " ".join(error.code for error in result.errors) or f"{len(result.found)} found"
    about = Audited() if parsed is None else transaction.audit(parsed)
    about = about._replace(patient=about.patient or result.patient)
    detail = denial(refused) or detail
    record = record_of(transaction, outcome, caller, about, detail)
    services.audit.record(_whole(transaction, envelope.body, result, record))
    to = envelope.reply_to or soap.ANONYMOUS
    data = soap.answer(transaction.answer_action, message_id, envelope.message_id, payload.body, to=to)
    if transaction.mtom:
        response = package_response(data, payload.parts, transaction.answer_action, services)
    else:
        response = envelope_response(200, data, transaction.answer_action)
    return delivered(response, transaction.answer_action, envelope, services.deliver) if envelope.reply_to else response


def delivered(
    response: WireResponse,
    action: str,
    envelope: soap.Envelope,
    deliver: "Callable[[str, str, bytes, str], bool] | None",
) -> WireResponse:
    """WS-Addressing ReplyTo: the answer is a message of its own (ITI TF-2: V.3), and this one gets a 202. Raises SoapFault
    when there is no room for it."""
    data, media = bytearray(), dict(response.headers)["Content-Type"]
    for piece in response.body:
        data += piece
        if len(data) > LATER_BYTES:
            raise soap.SoapFault("Receiver", "too much to be delivered later", relates_to=envelope.message_id)
    if deliver is None or not deliver(envelope.reply_to, action, bytes(data), media):
        raise soap.SoapFault("Receiver", "too many answers wait to be delivered", relates_to=envelope.message_id)
    return WireResponse(202, [("Content-Length", "0")], ())


def record_of(transaction: Operation, outcome: int, caller: Caller, about: Audited, detail: str) -> AuditRecord:
    event, action = transaction.event
    actor = f"{caller.user}@{caller.node}" if caller.user else caller.node
    return AuditRecord(
        event,
        transaction.number,
        action,
        outcome,
        actor,
        caller.address,
        patient=about.patient,
        object=about.object,
        detail=detail,
    ).by(caller)


def asked_in(message: etree._Element, id_: str) -> tuple[AuditObject, ...]:
    """The question whole, for the trail (ITI TF-2: 3.18.5.1: ParticipantObjectQuery)."""
    return (AuditObject("query", id_, etree.tostring(message, with_tail=False), (("QueryEncoding", "UTF-8"),)),)


def denial(error: GatewayError | None) -> str:
    """Which rule of policy said no; the caller is not told."""
    return f"denied {error.reason}".strip() if isinstance(error, Forbidden) else ""


def _whole(transaction: Transaction, body: etree._Element, result: Result, record: AuditRecord) -> AuditRecord:
    """The record with the question in it, or with the documents that were asked for: one record a request."""
    if record.event == QUERY:
        return replace(record, objects=asked_in(body, record.object))
    if not transaction.mtom:
        return record
    given = {held.entry.uniqueId: held.entry.repositoryUniqueId for held in result.found}
    return replace(record, objects=tuple(_document(id_, given.get(id_, "")) for id_ in record.object.split()))


def _document(unique_id: str, repository: str = "") -> AuditObject:
    details = (("Repository Unique Id", repository),) if repository else ()
    return AuditObject("document", unique_id, details=details)


def _fault(
    fault: soap.SoapFault, message_id: str, transaction: Operation, services: SoapServices, caller: Caller
) -> WireResponse:
    """A message that was not understood is still one that somebody sent: it is recorded under the path's first."""
    detail = f"fault {fault.code}"
    if isinstance(fault, SecurityFault):
        detail = f"{' '.join(fault.subcodes)}: {fault.finding}"
    services.audit.record(record_of(transaction, SERIOUS, caller, Audited(), detail))
    data = soap.fault(fault, message_id)
    if fault.soap11:
        return WireResponse(500, [("Content-Type", "text/xml; charset=UTF-8"), _length(data)], (data,))
    # SOAP 1.2 part 2, 7.5.2.2: a fault of the sender is 400; who asks without being known gets that, as testers expect.
    refused = fault.subcodes[:1] and fault.subcodes[0].startswith(("wsse:", "wsu:"))
    return envelope_response(400 if refused else 500, data)


def envelope_response(status: int, data: bytes, action: str = "") -> WireResponse:
    parameter = f'; action="{action}"' if action else ""
    content_type = f"{soap.MEDIA_TYPE}; charset=UTF-8{parameter}"
    return WireResponse(status, [("Content-Type", content_type), _length(data)], (data,))


def package_response(data: bytes, parts: tuple[OutPart, ...], action: str, services: SoapServices) -> WireResponse:
    boundary, root = f"uuid_{services.chance.new_uuid()}", f"{services.chance.new_uuid()}@musubi"
    headers = [("Content-Type", mtom.content_type(boundary, root, action))]
    return WireResponse(200, headers, mtom.write(boundary, root, data, parts))


def _length(data: bytes) -> tuple[str, str]:
    return ("Content-Length", str(len(data)))


def log_failure(error: BaseException, reference: str, transaction: Operation | None) -> None:
    """Type and place only: the text of a foreign error may hold what the message held."""
    frame = traceback.extract_tb(error.__traceback__)[-1:]
    place = f"{frame[0].name}:{frame[0].lineno}" if frame else "?"
    number = transaction.number if transaction else "-"
    _LOG.error("soap failure %s in %s: %s at %s", reference, number, type(error).__name__, place)


def registry_error(error: GatewayError) -> RegistryError:
    """The error as a Document Registry names it (ITI TF-3: 4.2.4)."""
    # Here it is a part of this node that is missing, not a community behind it.
    code = "XDSRegistryBusy" if isinstance(error, Unavailable) else codes_for(error).xds
    return RegistryError(code, str(error) or type(error).__name__)


def repository_error(error: GatewayError) -> RegistryError:
    """The same as a Document Repository names it."""
    named = registry_error(error)
    return named._replace(code=named.code.replace("XDSRegistry", "XDSRepository"))
