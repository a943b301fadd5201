"""One community asked end to end, however it can be asked (ITI TF-1: 18, 27): who it knows by ITI-55, what it holds by
FHIR or by ITI-38 and ITI-39.

communities.py hands what is made here to services/federation.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lxml import etree

from gateway.codec import ebxml, fhir
from gateway.codec.ebxml import RegistryError
from gateway.codec.hl7v3 import II
from gateway.codec.mtom import Part
from gateway.errors import DENIED, BadInput, Forbidden, GatewayError, Unavailable
from gateway.ihe import _discovery, _fhir_client, iti38, iti39
from gateway.ihe._client import Call, Finding, Peer
from gateway.ihe._discovery import Match, Own
from gateway.ihe._held import Held
from gateway.model.clock import Clock
from gateway.model.document import APPROVED, DEPRECATED, ON_DEMAND, STABLE, DocumentEntry
from gateway.model.identity import PatientId
from gateway.services.federation import documentary
from gateway.services.federation.discovery import Discover, Found, Whom, contradicts
from gateway.services.federation.fitting import fits, rendered
from gateway.services.federation.own import MAX_RESOURCES, MAX_TOTAL, TOO_MANY
from gateway.services.federation.question import DOCUMENT, ER7, FHIR_JSON, Ask, Given, Question, Resource, Wanted
from gateway.services.persons.patients import demographics_of
from gateway.services.search import SearchRules, plan
from gateway.translate.document_reference import home_of, of_community

MAX_DOCUMENTS: Final = 500
"""Documents fetched of one community for one question, newest first."""
MAX_MATCHES: Final = 8
_CAPABILITY_S: Final = 600.0
_BRIEF: Final = 2.0
"""A CapabilityStatement is waited for so many seconds at most: the question comes first."""
TRUST: Final = frozenset(
    {
        "foreign-home",
        "foreign-patient",
        "several-patients",
        "unasked-document",
        "hash-mismatch",
        "missing-document",
        "partial",
        TOO_MANY,
    }
)
"""Findings that make an answer less than whole. All others are the peer's manners."""

Translate = Callable[[bytes, DocumentEntry], list[dict[str, Any]]]
"""Bytes of an original message -> FHIR resources; empty for one that cannot be read."""

_LOG = logging.getLogger("gateway.ihe.initiating")


# -- who it knows ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Deferral:
    """How a community that cannot answer at once is asked to answer later (ITI TF-2: 3.55.6.2)."""

    respond_to: str
    """Our /xcpd."""
    waiting: Held[Callable[[etree._Element], None]]
    """By message id, for iti55.receive_deferred."""
    keep: Callable[[str, Whom, Found], None]
    """Remembers what it answers, so that the next question knows."""


def discover_by_xcpd(peer: Peer, own: Own, call: Call, deferral: Deferral | None = None) -> Discover:
    """ITI-55: with name, birth date, sex and the ids; with everything only when the community asks for more.

    One that is busy (AE) is asked to answer later: this question goes without it, the next one does not.
    """

    def discover(whom: Whom, left_s: float) -> Found:
        until = call.clock.monotonic() + left_s
        known = whom.demographics
        brief = type(known)(names=known.names, birth_date=known.birth_date, sex=known.sex)
        try:
            found = _discovery.ask(peer, _discovery.Question(brief, whom.ids), own, call, left_s)
            if found.outcome == "more" and known != brief:
                left = until - call.clock.monotonic()
                found = _discovery.ask(peer, _discovery.Question(known, whom.ids), own, call, left)
        except _discovery.NotAnswered as error:
            if error.busy and deferral is not None:
                _defer(peer, own, call, deferral, whom, until - call.clock.monotonic())
            raise Refused(str(error)) from None
        return chosen(peer, whom, found)

    return discover


def _defer(peer: Peer, own: Own, call: Call, deferral: Deferral, whom: Whom, left_s: float) -> None:
    message_id = II(own.device, str(call.chance.new_uuid()))

    def take(body: etree._Element) -> None:
        deferral.keep(peer.home, whom, chosen(peer, whom, _discovery.read(body, peer, message_id)))

    question = _discovery.Question(whom.demographics, whom.ids)
    # Before it is sent: the answer may be quicker than the receipt.
    deferral.waiting.put(message_id.extension, take)
    try:
        _discovery.ask_deferred(peer, question, own, call, left_s, deferral.respond_to, message_id)
    except (GatewayError, TimeoutError) as error:
        deferral.waiting.drop(message_id.extension)
        _LOG.warning("community %s takes no deferred question: %s", peer.home, type(error).__name__)


def chosen(peer: Peer, whom: Whom, found: _discovery.Discovery) -> Found:
    """The id of the one match that is this person. Several are one too many: nobody is guessed."""
    _report(peer, found.findings)
    fitting = [one for one in found.matches[:MAX_MATCHES] if not _another(whom, one)]
    if len(fitting) < len(found.matches):
        _report(peer, (Finding("foreign-patient", "a match that is somebody else was dropped"),))
    if len({one.patient for one in fitting}) > 1:
        best = max(one.degree or 0 for one in fitting)
        fitting = [one for one in fitting if (one.degree or 0) == best]
    ids = tuple(dict.fromkeys(one.patient for one in fitting))
    if len(ids) > 1:
        raise Refused("the community knows several persons who may be meant")
    if found.outcome == "more":
        raise BadInput("the community wants more demographics than there are")
    return Found(ids, found.ttl_s)


def _another(whom: Whom, match: Match) -> bool:
    ids = {one.authority: one.value for one in match.others}
    return contradicts(whom, match.demographics.birth_date, ids)


# -- what it holds -----------------------------------------------------------------------------------------------------


def capabilities(clock: Clock) -> Held[_fhir_client.Capability]:
    """Remembers what one community's server says of itself, whoever asks."""
    return Held(clock.monotonic, 1, _CAPABILITY_S)


def ask_of(
    peer: Peer,
    call: Call,
    translate: Translate,
    rules: SearchRules,
    said: Held[_fhir_client.Capability] | None = None,
) -> Ask:
    """How to ask `peer` for FHIR resources: by FHIR what its server has, the rest out of its documents."""
    server = _Server(peer, call, said or capabilities(call.clock))

    def ask(question: Question, whom: Whom, patient: PatientId, left_s: float) -> Given:
        until = call.clock.monotonic() + left_s
        by_fhir = [one for one in question.wanted if server.has(one.type, left_s)]
        by_documents = [one for one in question.wanted if one not in by_fhir and peer.xca]
        given: list[Given] = []
        if by_fhir:
            given.append(server.ask(by_fhir, whom, patient, until - call.clock.monotonic()))
        if by_documents:
            left = until - call.clock.monotonic()
            given.append(_documents(peer, call, translate, rules, Question(patient, tuple(by_documents)), whom, left))
        return Given(
            tuple(one for part in given for one in part.resources),
            tuple(one for part in given for one in part.patients),
            tuple(dict.fromkeys(one for part in given for one in part.alarms)),
        )

    return ask


@dataclass(frozen=True, slots=True)
class _Server:
    """A community's FHIR server."""

    peer: Peer
    call: Call
    _said: Held[_fhir_client.Capability]

    def has(self, type_: str, left_s: float) -> bool:
        """Whether it is to be asked for a type. One that does not say what it has is asked for everything it could."""
        if not self.peer.fhir:
            return False
        said = self.capability(left_s)
        if type_ == DOCUMENT and self.peer.xca:
            return said is not None and said.documents
        return said is None or said.has(type_)

    def capability(self, left_s: float) -> _fhir_client.Capability | None:
        said = self._said.get("capability")
        if said is None:
            try:
                said = _fhir_client.capability(self.peer.fhir, self.call, min(left_s / 2, _BRIEF))
            except (TimeoutError, Unavailable):
                raise
            except (GatewayError, AttributeError, TypeError):
                return None
            self._said.put("capability", said)
        return said

    def ask(self, wanted: Sequence[Wanted], whom: Whom, patient: PatientId, left_s: float) -> Given:
        until = self.call.clock.monotonic() + left_s
        said = self.capability(left_s)
        resources: list[Resource] = []
        patients: dict[str, Resource] = {}
        alarms: list[str] = []
        for one in wanted:
            matches = 0
            # A server may ignore what it does not know, and give more than was asked.
            holds = documentary.condition(one) if one.type == DOCUMENT else None
            for entry in self._entries(one, whom, patient, said, until):
                found = Resource(entry.resource, entry.url)
                if found.type == "Patient" and (entry.mode == "include" or one.type == "Patient"):
                    patients[found.id] = found
                if entry.mode != "match":
                    continue
                matches += 1
                if found.type != one.type:
                    alarms.append("unasked-document")
                elif holds is not None and not holds(found.body):
                    continue
                elif matches > MAX_RESOURCES or len(resources) >= MAX_TOTAL:
                    alarms.append(TOO_MANY)
                else:
                    resources.append(found)
        if any(one.type == "Patient" and not one.parameters for one in wanted):
            asked = {one.id for one in resources if one.type == "Patient"}
            resources += [one for id_, one in patients.items() if id_ not in asked]
        kept = []
        for resource in resources:
            reason = self._disbelieved(resource, whom, patient, patients)
            if reason is None:
                kept.append(resource)
            else:
                alarms.append(reason)
        return Given(tuple(kept), tuple(patients.values()), tuple(dict.fromkeys(alarms)))

    def _entries(
        self, wanted: Wanted, whom: Whom, patient: PatientId, said: _fhir_client.Capability | None, until: float
    ) -> Any:
        person = f"urn:oid:{patient.authority}|{patient.value}"
        name = "patient.identifier"
        if wanted.type == "Patient":
            # The id of an affinity domain stands in no Patient; the medical ID may.
            name = "identifier"
            person += f",urn:oid:{whom.shared.authority}|{whom.shared.value}" if whom.shared else ""
        given = [*wanted.parameters, (name, person), ("_count", "500")]
        if wanted.type == DOCUMENT and all(name != "status" for name, _ in wanted.parameters):
            given.append(("status", "current,superseded"))  # required (IHE MHD 2:3.67.4.1.2)
        if said is not None and f"{wanted.type}:patient" in said.includes:
            given.append(("_include", f"{wanted.type}:patient"))
        left = until - self.call.clock.monotonic()
        return _fhir_client.search(self.peer.fhir, wanted.type, given, self.call, left, MAX_RESOURCES)

    def _disbelieved(self, one: Resource, whom: Whom, patient: PatientId, patients: dict[str, Resource]) -> str | None:
        """Why a resource is not believed to be this person's, or this community's."""
        source = _dict(one.body.get("meta")).get("source")
        if (
            isinstance(source, str)
            and source.startswith("urn:oid:")
            and not self.peer.speaks_for(source.partition("#")[0])
        ):
            return "foreign-home"
        if one.type == DOCUMENT and not self.peer.speaks_for(home_of(one.body) or self.peer.home):
            return "foreign-home"
        about = one.body if one.type == "Patient" else None
        subject = _dict(one.body.get("subject") or one.body.get("patient") or one.body.get("beneficiary"))
        identifier = _dict(subject.get("identifier"))
        if identifier.get("system") == f"urn:oid:{patient.authority}" and identifier.get("value") != patient.value:
            return "foreign-patient"
        reference = str(subject.get("reference", "")).rpartition("/")[2]
        if about is None and reference in patients:
            about = patients[reference].body
        elif about is None and reference and patients:
            return "foreign-patient"  # the Patients of this answer came with it, and this one is not among them
        return "foreign-patient" if about is not None and _is_another(whom, about) else None


def _is_another(whom: Whom, patient: dict[str, Any]) -> bool:
    try:
        born = demographics_of(patient).birth_date
    except (AttributeError, KeyError, TypeError):
        return True
    ids = {
        str(one.get("system", "")).removeprefix("urn:oid:"): str(one.get("value", ""))
        for one in patient.get("identifier") or ()
        if isinstance(one, dict)
    }
    return contradicts(whom, born, ids)


def _documents(
    peer: Peer, call: Call, translate: Translate, rules: SearchRules, question: Question, whom: Whom, left_s: float
) -> Given:
    """ITI-38 for the entries, ITI-39 for those that hold FHIR or a message we translate; the searches applied here."""
    until = call.clock.monotonic() + left_s
    asked = iti38.FindDocuments(question.patient)
    if any(wanted.type == DOCUMENT for wanted in question.wanted):
        # What ITI-67 shows of a registry, ours too.
        asked = asked._replace(status=(APPROVED, DEPRECATED), objectType=(STABLE, ON_DEMAND))
    found = iti38.ask(peer, asked, call, left_s)
    alarms = _alarms(peer, found.findings, found.errors, bool(found.entries))
    resources: list[Resource] = []
    for wanted in question.wanted:
        if wanted.type == DOCUMENT:
            holds = documentary.condition(wanted)
            made = [Resource(of_community(entry, peer.home)) for entry in found.entries]
            resources += [one for one in made if holds(one.body)]
    clinical = [wanted for wanted in question.wanted if wanted.type != DOCUMENT]
    patients: list[Resource] = []
    readable = _readable(found.entries) if clinical else []
    fetched = _newest(readable)
    if len(fetched) < len(readable):
        alarms.append(TOO_MANY)
    if fetched:
        answer = iti39.retrieve(peer, fetched, call, until - call.clock.monotonic())
        alarms += _alarms(peer, answer.findings, answer.errors, bool(answer.documents))
        inside = [
            one
            for document in answer.documents
            for one in _resources(peer, document.entry, document.part, translate, alarms)
        ]
        patients = [one for one in inside if one.type == "Patient"]
        if any(_is_another(whom, one.body) for one in patients):
            alarms.append("foreign-patient")
            strangers = {one.id for one in patients if _is_another(whom, one.body)}
            inside = [one for one in inside if not _about(one, strangers)]
            patients = [one for one in patients if one.id not in strangers]
        resources += _fitting(inside, clinical, rules)
        if len(resources) > MAX_TOTAL:
            alarms.append(TOO_MANY)
            del resources[MAX_TOTAL:]
    return Given(tuple(resources), tuple(patients), tuple(dict.fromkeys(alarms)))


def _readable(entries: Sequence[DocumentEntry]) -> list[DocumentEntry]:
    """Documents in force that hold resources; of an original message and its translation the translation. What is made
    on demand says again what the others say."""
    entries = [one for one in entries if one.objectType != ON_DEMAND and one.availabilityStatus == APPROVED]
    translated = {_twin(one) for one in entries if one.mimeType == FHIR_JSON}
    return [
        one for one in entries if one.mimeType == FHIR_JSON or (one.mimeType in ER7 and _twin(one) not in translated)
    ]


def _twin(entry: DocumentEntry) -> tuple[str, str, str]:
    return entry.sourcePatientId, entry.creationTime, entry.typeCode.code


def _newest(entries: Sequence[DocumentEntry]) -> list[DocumentEntry]:
    return sorted(entries, key=lambda entry: (entry.creationTime, entry.uniqueId), reverse=True)[:MAX_DOCUMENTS]


def _resources(peer: Peer, entry: DocumentEntry, part: Part, translate: Translate, alarms: list[str]) -> list[Resource]:
    """A document that cannot be read is named, and harms no other."""
    try:
        if part.size > fhir.MAX_BYTES:
            raise BadInput(f"a document larger than {fhir.MAX_BYTES} bytes")
        if entry.mimeType == FHIR_JSON:
            bundle = fhir.parse(part.read())
            found = [one.get("resource") for one in bundle.get("entry") or () if isinstance(one, dict)]
        else:
            found = list(translate(part.read(), entry))
    except (GatewayError, TypeError, AttributeError) as error:
        _LOG.warning("community %s: a document could not be read: %s", peer.home, type(error).__name__)
        alarms.append("unreadable-document")
        return []
    return [Resource(one) for one in found if isinstance(one, dict) and one.get("id")]


def _about(one: Resource, strangers: set[str]) -> bool:
    subject = _dict(one.body.get("subject") or one.body.get("patient") or one.body.get("beneficiary"))
    return one.id in strangers or str(subject.get("reference", "")).rpartition("/")[2] in strangers


def _fitting(inside: Sequence[Resource], wanted: Sequence[Wanted], rules: SearchRules) -> list[Resource]:
    """What meets one of the searches, each resource once: the documents of a patient repeat some (Practitioner)."""
    plans = {one.type: plan(one.type, list(one.parameters), rules=rules, cursor_key=b"").plan for one in wanted}
    kept: dict[tuple[str, str], Resource] = {}
    for one in inside:
        search = plans.get(one.type)
        if search is not None and (one.type, one.id) not in kept:
            made = rendered(one.body)
            if made is not None and fits(search, made):
                kept[one.type, one.id] = one
    return list(kept.values())


def _alarms(peer: Peer, findings: Sequence[Finding], errors: Sequence[RegistryError], anything: bool) -> list[str]:
    """A community that gave nothing but errors has failed; one that gave something has answered in part."""
    _report(peer, findings)
    failures = [error.code for error in errors if error.severity == ebxml.ERROR]
    if failures and not anything:
        if any(error.context == DENIED for error in errors):
            raise Forbidden("the policy of the community does not permit the question")
        raise Refused("the community answered with an error instead of documents")
    return [one.code for one in findings if one.code in TRUST] + (["partial"] if failures else [])


class Refused(GatewayError):
    """The community answers, and its answer is an error: a matter of what was asked, not of the way there."""


def _report(peer: Peer, findings: Sequence[Finding]) -> None:
    for finding in findings:
        _LOG.warning("community %s: %s: %s", peer.home, finding.code, finding.text)


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
