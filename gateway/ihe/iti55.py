"""ITI-55 Cross Gateway Patient Discovery (ITI TF-2: 3.55): does another community know this person, and by which id.

Responding gateway: at once, asynchronous (ReplyTo) and deferred (respondTo). Initiating gateway: `ask`, and the answers
to questions that were not answered at once.
"""

from typing import Final

from gateway.codec import hl7v3, soap
from gateway.codec.hl7v3 import II, Detail
from gateway.errors import Forbidden, GatewayError, InvalidParameter, MissingParameter, TooManyResults, Unavailable
from gateway.ihe import _discovery, _xcpd, iti47
from gateway.ihe._client import Call, Peer
from gateway.ihe._discovery import Discovery, Own, Question
from gateway.ihe._soap import MINOR, XCPD
from gateway.ihe._v3 import (
    ACK,
    Answered,
    Asked,
    Refusal,
    V3Services,
    V3Transaction,
    accept,
    action_of,
    details_of,
    element,
    head,
    refuse_feed,
)
from gateway.ihe._xcpd import Candidates
from gateway.ihe.iti47 import QUERY, RESPONSE, TRIGGER
from gateway.model.identity import PatientId
from gateway.model.person import PersonRecord
from gateway.translate import person_query_v3, person_v3
from gateway.translate.person_query_v3 import BadParameter, Wanted

_QUERY_PATH: Final = "controlActProcess/queryByParameter"
_AUTHOR: Final = "controlActProcess/authorOrPerformer/assignedDevice/id"
_LOCATOR: Final = '<code code="SupportsHealthDataLocator" codeSystem="1.3.6.1.4.1.19376.1.2.27.2"/>'
_TIME_TO_LIVE: Final = f'<xcpd:CorrelationTimeToLive xmlns:xcpd="{XCPD}">PT{{seconds}}S</xcpd:CorrelationTimeToLive>'
_PARTS: Final = ":CrossGatewayPatientDiscovery"


# -- responding gateway --------------------------------------------------------------------------------------------


def answer(asked: Asked, services: V3Services) -> Answered:
    query = hl7v3.find(asked.body, _QUERY_PATH)
    wanted = person_query_v3.wanted(hl7v3.find(query, "parameterList"))
    found = _xcpd.find(wanted, person_query_v3.minimum_degree(query), services, asked.scope)
    authority = hl7v3.ii_of(hl7v3.find(asked.body, _AUTHOR)).root
    for record in found.records if len(found.records) == 1 else ():
        _xcpd.remember(asked, wanted, authority, record, services)
    query_id = hl7v3.ii_of(hl7v3.find(query, "queryId"))
    if found.undecided:
        raise Undecided("several persons fit, and people have to look")
    body = _message(
        asked,
        services,
        hl7v3.acknowledgement("AA", asked.wrapper.id),
        *(_subject(wanted, record, services) for record in found.records),
        hl7v3.detected_issue(requested=found.requested) if found.requested else "",
        hl7v3.query_ack(query_id, _code(found)),
        hl7v3.verbatim(query),
    )
    patient, headers = "", ""
    if found.records:
        patient = str(PatientId(found.records[0].enterprise_id, services.affinity_domain))
        headers = _TIME_TO_LIVE.format(seconds=services.correlation_s)
    name = query_id.extension or query_id.root
    return Answered(body, patient=patient, object=name, detail=_words(found), headers=headers)


class Undecided(InvalidParameter):
    """Several persons meet everything a request says."""


def _code(found: Candidates) -> str:
    """A request for more demographics is no error, and something was found (ITI TF-2: 3.55.4.2.3, case 3)."""
    return "OK" if found.records or found.requested else "NF"


def _words(found: Candidates) -> str:
    return "more demographics requested" if found.requested else f"{len(found.records)} found"


def _message(asked: Asked, services: V3Services, acknowledgement: str, *parts: str) -> bytes:
    return hl7v3.message(
        head(asked, RESPONSE, services, community=True), acknowledgement, hl7v3.control_act(TRIGGER, *parts)
    )


def _subject(wanted: Wanted, record: PersonRecord, services: V3Services) -> str:
    """The person by the id of our affinity domain, which ITI-38 answers to."""
    ids = tuple(II(one.authority, one.value) for one in _xcpd.shared(wanted, record))
    role = person_v3.role(
        (II(services.affinity_domain, record.enterprise_id),),
        person_v3.person(record.demographics, ids),
        record.active,
        iti47.degree(record),
    )
    return hl7v3.registration(role, II(services.community), _LOCATOR)


def refuse(asked: Asked, refusal: Refusal, services: V3Services) -> Answered:
    """AE with the reason as a detectedIssueManagement (ITI TF-2: 3.55.4.2.2.7)."""
    query = hl7v3.find(asked.body, _QUERY_PATH)
    query_id = hl7v3.ii_of(hl7v3.find(query, "queryId"))
    body = _message(
        asked,
        services,
        hl7v3.acknowledgement(f"A{refusal.letter}", asked.wrapper.id, refusal.details),
        hl7v3.detected_issue(managements=(_management(refusal.error),)),
        hl7v3.query_ack(query_id, "AE"),
        hl7v3.verbatim(query),
    )
    words = " ".join(detail.code for detail in refusal.details)
    return Answered(body, MINOR, object=query_id.extension or query_id.root, detail=f"refused {words}")


def _management(error: GatewayError) -> str:
    if isinstance(error, Unavailable):
        return "ResponderBusy"
    if isinstance(error, (InvalidParameter, MissingParameter, TooManyResults, Forbidden)):
        return "AnswerNotAvailable"
    return "InternalError"


def locate(asked: Asked, error: GatewayError) -> tuple[Detail, ...]:
    if isinstance(error, (BadParameter, MissingParameter)):
        return iti47.locate(asked, error)
    return ()


# -- deferred --------------------------------------------------------------------------------------------------------


class NotDeliverable(InvalidParameter):
    """Where the answer should go is no address of a configured community."""


def defer(asked: Asked, services: V3Services) -> Answered:
    """The receipt of a deferred question; its answer goes to respondTo as a message of its own."""
    address = asked.wrapper.respond_to
    if not services.may_reply(address):
        raise NotDeliverable("respondTo is no address that answers are delivered to")
    answered = NOW.answered(asked, services)
    # Not an answer of the same exchange: it asks for a receipt itself.
    body = answered.body.replace(b'<acceptAckCode code="NE"/>', b'<acceptAckCode code="AL"/>', 1)
    message_id = f"urn:uuid:{services.chance.new_uuid()}"
    data = soap.request(DEFERRED_ANSWER_ACTION, message_id, address, body)
    if services.later is None or not services.later.put(address, DEFERRED_ANSWER_ACTION, data):
        raise Unavailable("too many answers wait to be delivered")
    return answered._replace(body=accept(asked, "A", services), headers="")


def locate_respond_to(asked: Asked, error: GatewayError) -> tuple[Detail, ...]:
    if isinstance(error, NotDeliverable):
        return (details_of(error, f"/{QUERY}/respondTo/telecom/@value"),)
    return locate(asked, error)


# -- initiating gateway --------------------------------------------------------------------------------------------


def ask(peer: Peer, question: Question, own: Own, call: Call, deadline_s: float) -> Discovery:
    """Asks one community (`_discovery.ask`). Raises TimeoutError, Unavailable, Forbidden, BadInput, LimitExceeded."""
    return _discovery.ask(peer, question, own, call, deadline_s)


# -- what comes back later ---------------------------------------------------------------------


class NotAsked(InvalidParameter):
    """An answer to a question that nobody here asked."""


def receive(asked: Asked, services: V3Services) -> Answered:
    """An asynchronous answer: related by wsa:RelatesTo, answered with nothing."""
    _take(asked.envelope.relates_to, asked, services)
    return Answered(b"", detail="asynchronous answer")


def receive_deferred(asked: Asked, services: V3Services) -> Answered:
    """A deferred answer: related by targetMessage, and acknowledged."""
    target = asked.wrapper.target
    _take(target.extension or target.root, asked, services)
    return Answered(accept(asked, "A", services), detail="deferred answer")


def _take(key: str, asked: Asked, services: V3Services) -> None:
    waiting = services.discoveries.get(key) if key else None
    if waiting is None:
        raise NotAsked("the answer belongs to no question of this node")
    services.discoveries.drop(key)
    waiting(asked.body)


def locate_target(asked: Asked, error: GatewayError) -> tuple[Detail, ...]:
    if isinstance(error, NotAsked):
        return (details_of(error, f"/{RESPONSE}/acknowledgement/targetMessage/id"),)
    return ()


def not_taken(asked: Asked, refusal: Refusal, services: V3Services) -> Answered:
    """Nobody waits for a word about an asynchronous answer: a fault tells the sender that it went nowhere."""
    raise soap.SoapFault("Sender", refusal.details[0].text, relates_to=asked.envelope.message_id)


_ACTORS: Final = ("Initiating Gateway", "Responding Gateway")
DEFERRED_ACTION: Final = f"{action_of(QUERY)}:Deferred{_PARTS}"
DEFERRED_ANSWER_ACTION: Final = f"{action_of(RESPONSE)}:Deferred{_PARTS}"

NOW: Final = V3Transaction(
    number="ITI-55",
    section="ITI TF-2: 3.55",
    name="Cross Gateway Patient Discovery",
    action=action_of(QUERY) + _PARTS,
    answer_action=action_of(RESPONSE) + _PARTS,
    actors=_ACTORS,
    path="/xcpd",
    elements=(element(QUERY), element(RESPONSE)),
    event=("110112", "E"),
    answer=answer,
    refuse=refuse,
    locate=locate,
)
DEFERRED: Final = V3Transaction(
    number="ITI-55",
    section="ITI TF-2: 3.55.6",
    name="Cross Gateway Patient Discovery Deferred",
    action=DEFERRED_ACTION,
    answer_action=action_of(ACK),
    actors=_ACTORS,
    path="/xcpd",
    elements=(element(QUERY), element(ACK)),
    event=("110112", "E"),
    answer=defer,
    refuse=refuse_feed,
    locate=locate_respond_to,
)
ASYNCHRONOUS_ANSWER: Final = V3Transaction(
    number="ITI-55",
    section="ITI TF-2: 3.55.6",
    name="Cross Gateway Patient Discovery Asynchronous Answer",
    action=action_of(RESPONSE) + _PARTS,
    answer_action=action_of(ACK),
    actors=("Responding Gateway", "Initiating Gateway"),
    path="/xcpd",
    elements=(element(RESPONSE), element(ACK)),
    event=("110112", "E"),
    answer=receive,
    refuse=not_taken,
)
DEFERRED_ANSWER: Final = V3Transaction(
    number="ITI-55",
    section="ITI TF-2: 3.55.6",
    name="Cross Gateway Patient Discovery Deferred Answer",
    action=DEFERRED_ANSWER_ACTION,
    answer_action=action_of(ACK),
    actors=("Responding Gateway", "Initiating Gateway"),
    path="/xcpd",
    elements=(element(RESPONSE), element(ACK)),
    event=("110112", "E"),
    answer=receive_deferred,
    refuse=refuse_feed,
    locate=locate_target,
)
