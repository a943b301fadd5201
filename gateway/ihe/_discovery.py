"""The initiating side of ITI-55 (ITI TF-2: 3.55.4.1): a question to another community, and its answer distrusted."""

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from lxml import etree

from gateway.codec import hl7v3
from gateway.codec.hl7v3 import II, Head, attribute, find, find_all, ii_of
from gateway.errors import BadInput, Forbidden, Unavailable
from gateway.ihe._client import Call, Finding, Peer, same_relation
from gateway.ihe._lifetime import time_to_live
from gateway.ihe.iti47 import QUERY, RESPONSE
from gateway.model.identity import PatientId
from gateway.model.person import Demographics
from gateway.translate import person_v3

_MAX_MATCHES: Final = 100
_PARTS: Final = ":CrossGatewayPatientDiscovery"
ACTION: Final = f"urn:hl7-org:v3:{QUERY}{_PARTS}"
DEFERRED_ACTION: Final = f"urn:hl7-org:v3:{QUERY}:Deferred{_PARTS}"


@dataclass(frozen=True, slots=True)
class Own:
    """What we say of ourselves."""

    home: str
    """homeCommunityId, `urn:oid:...`"""
    device: str
    affinity_domain: str
    """The authority to use for reverse questions (authorOrPerformer)."""


class Question(NamedTuple):
    """Whom we look for. Ids are told as they are: our own first, then shared ones."""

    demographics: Demographics
    ids: tuple[PatientId, ...] = ()
    minimum: int | None = None


class Match(NamedTuple):
    """One person of the other community."""

    patient: PatientId
    demographics: Demographics
    degree: int | None
    """0 to 100"""
    locator: bool
    """The community answers ITI-56."""
    others: tuple[PatientId, ...] = ()


class NotAnswered(Unavailable):
    """AE: the community is there, and could not answer. `busy`: it may be able to later."""

    def __init__(self, text: str, busy: bool = False) -> None:
        super().__init__(text)
        self.busy = busy


class Discovery(NamedTuple):
    outcome: Literal["found", "nothing", "more"]
    """`more`: the community wants to be asked again with the demographics in `requested`."""
    matches: tuple[Match, ...] = ()
    requested: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    ttl_s: float | None = None
    """How long the community lets us rely on it (CorrelationTimeToLive)."""


def ask(peer: Peer, question: Question, own: Own, call: Call, deadline_s: float) -> Discovery:
    """Asks one community at once; `deadline_s` is the time left.

    Raises TimeoutError, Unavailable (also for AE: the community could not answer), Forbidden, BadInput, LimitExceeded.
    """
    message_id = II(own.device, str(call.chance.new_uuid()))
    body = request(question, own, message_id, hl7v3.timestamp(call.clock.now()), peer)
    received = call.send(peer.xcpd, ACTION, body, deadline_s=deadline_s)
    found = read(received.body, peer, message_id)
    findings = (*same_relation(received), *found.findings)
    return found._replace(findings=findings, ttl_s=time_to_live(received.envelope))


def ask_deferred(
    peer: Peer,
    question: Question,
    own: Own,
    call: Call,
    deadline_s: float,
    respond_to: str,
    message_id: II | None = None,
) -> tuple[str, II]:
    """Asks for an answer that comes later to `respond_to` (our /xcpd). Returns the key that `iti55.receive_deferred`
    finds it by, and the message id that `read` wants. Raises as `ask`; Unavailable when the question is not accepted."""
    message_id = message_id or II(own.device, str(call.chance.new_uuid()))
    body = request(question, own, message_id, hl7v3.timestamp(call.clock.now()), peer, respond_to)
    received = call.send(peer.xcpd, DEFERRED_ACTION, body, deadline_s=deadline_s)
    if attribute(received.body, "code", "acknowledgement/typeCode") not in ("CA", "AA"):
        raise Unavailable("the community does not take the question")
    return message_id.extension, message_id


# -- question ------------------------------------------------------------------------------------------------------


def request(question: Question, own: Own, message_id: II, created: str, peer: Peer, respond_to: str = "") -> bytes:
    """PRPA_IN201305UV02; with `respond_to` a deferred one."""
    home = own.home.removeprefix("urn:oid:")
    theirs = peer.home.removeprefix("urn:oid:")
    head = Head(
        QUERY,
        message_id,
        created,
        own.device,
        II(theirs),
        organization=home,
        receiver_organization=theirs,
        accept="AL",
        respond_to=respond_to,
    )
    author = (
        '<authorOrPerformer typeCode="AUT"><assignedDevice classCode="ASSIGNED">'
        f"{hl7v3.ii(II(own.affinity_domain))}</assignedDevice></authorOrPerformer>"
    )
    degree = ""
    if question.minimum is not None:
        degree = (
            f'<matchCriterionList><minimumDegreeMatch><value xsi:type="INT" value="{question.minimum}"/>'
            "<semanticsText>Degree of match requested</semanticsText></minimumDegreeMatch></matchCriterionList>"
        )
    query = (
        f'<queryByParameter>{hl7v3.ii(message_id, "queryId")}<statusCode code="new"/>'
        f'<responseModalityCode code="R"/><responsePriorityCode code="{"D" if respond_to else "I"}"/>'
        f"{degree}<parameterList>{_parameters(question)}</parameterList></queryByParameter>"
    )
    return hl7v3.message(head, hl7v3.control_act("PRPA_TE201305UV02", author, query))


def _parameters(question: Question) -> str:
    """In the order of PRPA_MT201306UV02.ParameterList."""
    asked = question.demographics
    parts = [("livingSubjectAdministrativeGender", [person_v3.gender(asked.sex, "value")] if asked.sex else [])]
    born = [f'<value value="{asked.birth_date}"/>'] if asked.birth_date else []
    parts.append(("livingSubjectBirthTime", born))
    parts.append(("livingSubjectId", [hl7v3.ii(II(one.authority, one.value), "value") for one in question.ids]))
    parts.append(("livingSubjectName", [person_v3.name(one, "value") for one in asked.names]))
    mother = asked.mothers_maiden_name
    parts.append(("mothersMaidenName", [person_v3.name(mother, "value")] if mother else []))
    parts.append(("patientAddress", [person_v3.address(one, "value") for one in asked.addresses]))
    parts.append(("patientTelecom", [person_v3.telecom(one, "value") for one in asked.telecoms]))
    return "".join(_parameter(name, values) for name, values in parts if values)


def _parameter(name: str, values: list[str]) -> str:
    words = name[0].upper() + name[1:]
    return f"<{name}>{''.join(values)}<semanticsText>{words}</semanticsText></{name}>"


# -- answer ----------------------------------------------------------------------------------------------------------


def read(body: etree._Element, peer: Peer, message_id: II) -> Discovery:
    """What an answer says, after what cannot be trusted was taken out. Raises BadInput, Unavailable."""
    if str(body.tag) != f"{{{hl7v3.V3}}}{RESPONSE}":
        raise BadInput("the answer is no PRPA_IN201306UV02")
    target = ii_of(find(body, "acknowledgement/targetMessage/id"))
    if target[:2] != message_id[:2]:
        raise BadInput("the answer acknowledges another message")
    control = find(body, "controlActProcess")
    # Whatever the codes say: a request for more demographics stands in the detected issue.
    issue = "reasonOf/detectedIssueEvent"
    requested = [attribute(one, "code") for one in find_all(control, f"{issue}/triggerFor/actOrderRequired/code")]
    if attribute(body, "code", "acknowledgement/typeCode") in ("AE", "AR", "CE", "CR"):
        managed = find_all(control, f"{issue}/mitigatedBy/detectedIssueManagement/code")
        codes = {attribute(one, "code") for one in managed} & {"ResponderBusy", "AnswerNotAvailable", "InternalError"}
        if attribute(body, "code", "acknowledgement/typeCode") == "AR" and "AnswerNotAvailable" in codes:
            raise Forbidden("the policy of the community does not permit the question")
        reason = ", ".join(sorted(codes)) or "no reason given"
        raise NotAnswered(f"the community could not answer ({reason})", "ResponderBusy" in codes)
    findings: list[Finding] = []
    matches = [
        match
        for event in find_all(control, "subject/registrationEvent")[:_MAX_MATCHES]
        if (match := _match(event, peer, findings)) is not None
    ]
    if matches:
        return Discovery("found", tuple(matches), tuple(requested), tuple(findings))
    return Discovery("more" if requested else "nothing", (), tuple(requested), tuple(findings))


def _match(event: etree._Element, peer: Peer, findings: list[Finding]) -> Match | None:
    patient = find(event, "subject1/patient")
    own = ii_of(find(patient, "id"))
    custodian = find(event, "custodian/assignedEntity")
    home = ii_of(find(custodian, "id")).root
    if not own.root or not own.extension:
        findings.append(Finding("incomplete-match", "a match without an id was dropped"))
        return None
    if not home:
        findings.append(Finding("missing-home", "a match does not name its community"))
    elif not peer.speaks_for(f"urn:oid:{home}"):
        findings.append(Finding("foreign-home", "a match of another community was dropped"))
        return None
    value = attribute(patient, "value", "subjectOf1/queryMatchObservation/value")
    degree = int(value) if value.isascii() and value.isdigit() and len(value) <= 3 else None
    return Match(
        person_v3.patient_id(own),
        person_v3.demographics_of(patient),
        degree,
        attribute(custodian, "code", "code") == "SupportsHealthDataLocator",
        tuple(person_v3.patient_id(one) for one in person_v3.patient_ids(patient)[1:] if one.root and one.extension),
    )
