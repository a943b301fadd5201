"""What the HL7 v3 transactions share (ITI TF-2: appendix O): services, the way of a message in and its answer out.

A message that is no message of the endpoint gets a SOAP fault; everything else is answered in v3, with an
acknowledgementDetail per error. `V3Transaction.respond` is the only way in, so no transaction forgets the audit record.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, Final, NamedTuple, Protocol

from lxml import etree

from gateway.codec import hl7v3, soap
from gateway.codec.hl7v3 import II, Detail, Head, Wrapper
from gateway.errors import BadInput, Forbidden, GatewayError, UnknownAuthority, codes_for
from gateway.ihe._held import Held, Holding
from gateway.ihe._soap import (
    MAJOR,
    MINOR,
    QUERY,
    SUCCESS,
    Audited,
    WireResponse,
    asked_in,
    denial,
    envelope_response,
    log_failure,
    record_of,
)
from gateway.ihe._transaction import Sender
from gateway.model.caller import NOTHING, Caller, Scope
from gateway.model.clock import Chance, Clock
from gateway.model.identity import Authority, PatientId
from gateway.model.person import Demographics, Fed, PersonFeed, PersonPage, PersonQuery, PersonRecord
from gateway.ports import AuditLog
from gateway.services.documents import spool
from gateway.services.policy.access import ScopeOf
from gateway.translate.person_query_v3 import BadParameter

ACK: Final = "MCCI_IN000002UV01"
CORRELATION_S: Final = 86_400
"""Seconds that what an XCPD question or answer told is remembered."""
_URN: Final = "urn:hl7-org:v3:"


class Persons(Protocol):
    """The part of services/persons that v3 needs."""

    def feed(self, event: PersonFeed, caller: Caller) -> Fed: ...
    def cross_reference(self, id: PatientId, domains: tuple[str, ...], scope: Scope) -> tuple[PatientId, ...]: ...
    def search(self, query: PersonQuery, scope: Scope) -> PersonPage: ...
    def match(
        self,
        demographics: Demographics,
        ids: tuple[PatientId, ...],
        scope: Scope,
        *,
        certain_only: bool = False,
        count: int = 0,
    ) -> tuple[PersonRecord, ...]: ...
    def domains(self) -> tuple[Authority, ...]: ...


class Later(Protocol):
    """Where answers wait that do not go back on the same connection."""

    def put(self, address: str, action: str, envelope: bytes, content_type: str = "") -> bool:
        """Whether there was room."""


class Continuation(NamedTuple):
    """A PDQ question of which only a part was answered."""

    criteria: Any
    page: int
    offset: int
    minimum: int | None
    echo: str
    """queryByParameter as it came."""


class Correlation(NamedTuple):
    """Who else knows a person of ours: a community that asked, and the id it has for the person."""

    home: str
    id: PatientId


@dataclass(frozen=True, slots=True)
class V3Services:
    """The parts the v3 transactions work with; gateway.app fills it in."""

    persons: Persons
    audit: AuditLog
    home: str
    """homeCommunityId of this node (`urn:oid:...`)."""
    affinity_domain: str
    """OID of the enterprise patient ids."""
    device: str
    """OID of this node as a device."""
    scope_of: ScopeOf
    continuations: Holding[Continuation]
    correlations: Holding[tuple[Correlation, ...]]
    """By enterprise id: what XCPD questions told (ITI TF-2: 3.55.4.1.2.4)."""
    discoveries: Held[Callable[[etree._Element], None]]
    """Our own deferred and asynchronous questions by their message id: what to do with the answer."""
    later: Later | None = None
    may_reply: Callable[[str], bool] = soap.nowhere
    """Addresses answers may be delivered to."""
    senders: tuple[Sender, ...] = ()
    """Who may assign ids where; their application is a device id here, their facility the organization's OID."""
    strict_receiver: bool = False
    processing: frozenset[str] = frozenset({"P", "T", "D"})
    correlation_s: int = CORRELATION_S
    """How long an answer to XCPD may be relied on (CorrelationTimeToLive)."""
    max_results: int = 1000
    """Persons of one answer at most."""
    clock: Clock = field(default_factory=Clock)
    chance: Chance = field(default_factory=Chance)
    spool: Callable[[], BinaryIO] = spool

    @property
    def community(self) -> str:
        """The home community as a bare OID."""
        return self.home.removeprefix("urn:oid:")


class Asked(NamedTuple):
    """One message and who sent it."""

    wrapper: Wrapper
    body: etree._Element
    envelope: soap.Envelope
    caller: Caller
    scope: Scope


class Answered(NamedTuple):
    body: bytes
    """Empty: nothing is answered but HTTP 202."""
    outcome: int = SUCCESS
    patient: str = ""
    """CX, for the audit record."""
    object: str = ""
    detail: str = ""
    headers: str = ""
    """SOAP header blocks."""
    recorded: bool = False
    """The audit record went in with the commit."""


class Refusal(NamedTuple):
    """Why there is no proper answer."""

    letter: str
    """E or R: AE or AR, CE or CR."""
    details: tuple[Detail, ...]
    error: GatewayError


@dataclass(frozen=True, slots=True)
class V3Transaction:
    """An `Operation` (_soap.py) whose body is an HL7 v3 message."""

    number: str
    section: str
    name: str
    action: str
    answer_action: str
    actors: tuple[str, str]
    path: str
    elements: tuple[str, str]
    event: tuple[str, str]
    answer: Callable[[Asked, V3Services], Answered]
    """Raises GatewayError."""
    refuse: Callable[[Asked, Refusal, V3Services], Answered]
    locate: Callable[[Asked, GatewayError], tuple[Detail, ...]] = lambda asked, error: ()
    """acknowledgementDetails that know where in the message the error is; none: `details_of`."""
    also: frozenset[str] = frozenset()
    """Further elements that are taken as the body."""

    def respond(self, envelope: soap.Envelope, message_id: str, services: V3Services, caller: Caller) -> WireResponse:
        body = envelope.body
        if body is None or str(body.tag) not in {self.elements[0], *self.also}:
            raise soap.SoapFault("Sender", "the body is not the message of this action", relates_to=envelope.message_id)
        try:
            wrapper = hl7v3.read(body)
            scope, denied = self._permitted(services, caller)
            asked = Asked(wrapper, body, envelope, caller, scope)
            answered = self.answered(asked, services, denied)
        except BadInput as error:
            if isinstance(error, soap.SoapFault):
                raise
            raise soap.SoapFault("Sender", str(error), relates_to=envelope.message_id) from error
        if not answered.recorded:
            about = Audited(answered.patient, answered.object)
            record = record_of(self, answered.outcome, caller, about, denial(denied) or answered.detail)
            if record.event == QUERY:
                record = replace(record, objects=asked_in(body, answered.object))
            services.audit.record(record)
        if not answered.body:
            return WireResponse(202, [("Content-Length", "0")], ())
        to = envelope.reply_to or soap.ANONYMOUS
        data = soap.answer(
            self.answer_action, message_id, envelope.message_id, answered.body, to=to, headers=answered.headers
        )
        if envelope.reply_to:
            deliver(services, to, self.answer_action, data, envelope.message_id)
            return WireResponse(202, [("Content-Length", "0")], ())
        return envelope_response(200, data, self.answer_action)

    def _permitted(self, services: V3Services, caller: Caller) -> tuple[Scope, Forbidden | None]:
        try:
            return services.scope_of(caller, self.number), None
        except Forbidden as error:
            return NOTHING, error

    def answered(self, asked: Asked, services: V3Services, denied: Forbidden | None = None) -> Answered:
        try:
            if denied is not None:
                raise denied
            if refused := _check(asked.wrapper, services):
                return self.refuse(asked, refused, services)
            return self.answer(asked, services)
        except BadInput:
            raise
        except GatewayError as error:
            details = self.locate(asked, error) or (details_of(error),)
            return self.refuse(asked, Refusal(codes_for(error).msa1[1], details, error), services)
        except Exception as error:  # noqa: BLE001 - an error of ours is an ordinary answer with code 207
            reference = str(services.chance.new_uuid())
            log_failure(error, reference, self)
            failure = GatewayError(f"an error of this node; reference {reference}")
            answered = self.refuse(asked, Refusal("E", (details_of(failure),), failure), services)
            return answered._replace(outcome=MAJOR)


def deliver(services: V3Services, to: str, action: str, envelope: bytes, relates_to: str) -> None:
    """Hands an answer to the worker. Raises SoapFault when it has no room."""
    if services.later is None or not services.later.put(to, action, envelope):
        raise soap.SoapFault("Receiver", "too many answers wait to be delivered", relates_to=relates_to)


def _check(wrapper: Wrapper, services: V3Services) -> Refusal | None:
    """The header: what cannot be worked with at all is a reject."""
    root = f"/{wrapper.name}"
    if wrapper.interaction != wrapper.name.removesuffix("_Cancel"):
        found = Detail("200", "the interactionId is not that of the message", (f"{root}/interactionId/@extension",))
    elif wrapper.processing not in services.processing:
        found = Detail("202", "this processingCode is not taken", (f"{root}/processingCode/@code",))
    elif services.strict_receiver and not any(
        one.root in (services.device, services.community) for one in wrapper.receivers
    ):
        found = Detail("207", "the receiver is another device", (f"{root}/receiver/device/id",))
    elif wrapper.control is None:
        found = Detail("101", "the message has no controlActProcess", (f"{root}/controlActProcess",))
    else:
        return None
    return Refusal("R", (found,), GatewayError(found.text))


def details_of(error: GatewayError, *locations: str) -> Detail:
    code = error.code if isinstance(error, BadParameter) else codes_for(error).err3
    return Detail(code, str(error) or type(error).__name__, locations)


def domain_details(error: GatewayError, places: list[str]) -> tuple[Detail, ...]:
    """One detail a domain that nobody knows (ITI TF-2: 3.45.4.2.3 case 5; 3.47.4.2.3 case 3)."""
    bad = error.bad if isinstance(error, UnknownAuthority) else ()
    return tuple(details_of(error, f"{places[number]}/@root") for number in bad if number < len(places))


# -- writing -----------------------------------------------------------------------------------------------------


def head(asked: Asked, interaction: str, services: V3Services, *, community: bool = False) -> Head:
    """The wrapper of an answer; with `community` it names the home communities of both sides (XCPD)."""
    return Head(
        interaction,
        II(services.device, str(services.chance.new_uuid())),
        hl7v3.timestamp(services.clock.now()),
        services.device,
        asked.wrapper.sender,
        organization=services.community if community else "",
        receiver_organization=asked.wrapper.organization if community else "",
        processing=asked.wrapper.processing if asked.wrapper.processing in ("P", "T", "D") else "P",
    )


def accept(asked: Asked, letter: str, services: V3Services, details: Iterable[Detail] = ()) -> bytes:
    """MCCI_IN000002UV01: CA, CE or CR."""
    return hl7v3.message(
        head(asked, ACK, services), hl7v3.acknowledgement(f"C{letter}", asked.wrapper.id, tuple(details))
    )


def refuse_feed(asked: Asked, refusal: Refusal, services: V3Services) -> Answered:
    body = accept(asked, refusal.letter, services, refusal.details)
    return Answered(body, MINOR, detail=_words(refusal))


def refuse_query(
    interaction: str, trigger: str, patient: Callable[[Asked], str] = lambda asked: ""
) -> Callable[[Asked, Refusal, V3Services], Answered]:
    """AE or AR, queryResponseCode AE, the question echoed. `patient`: CX of whom it was about, for the audit record."""

    def refuse(asked: Asked, refusal: Refusal, services: V3Services) -> Answered:
        query = hl7v3.find(asked.wrapper.control, "queryByParameter")
        query_id = hl7v3.ii_of(hl7v3.find(query, "queryId"))
        if query is None:
            query_id = hl7v3.ii_of(hl7v3.find(asked.wrapper.control, "queryContinuation/queryId"))
        body = hl7v3.message(
            head(asked, interaction, services),
            hl7v3.acknowledgement(f"A{refusal.letter}", asked.wrapper.id, refusal.details),
            hl7v3.control_act(trigger, hl7v3.query_ack(query_id, "AE"), hl7v3.verbatim(query)),
        )
        name = query_id.extension or query_id.root
        return Answered(body, MINOR, patient(asked), object=name, detail=_words(refusal))

    return refuse


def _words(refusal: Refusal) -> str:
    return f"refused {' '.join(detail.code for detail in refusal.details)}"


def action_of(interaction: str) -> str:
    return _URN + interaction


def element(interaction: str) -> str:
    return f"{{{hl7v3.V3}}}{interaction}"


def written(ids: Iterable[PatientId], services: V3Services) -> tuple[II, ...]:
    """Ids with the namespace of their authority, where we know one."""
    names = {authority.oid: authority.namespace for authority in services.persons.domains()}
    return tuple(II(one.authority, one.value, names.get(one.authority, "")) for one in ids)
