"""ITI-44 Patient Identity Feed HL7 V3 (ITI TF-2: 3.44): a person was added, revised, or two records were one."""

from dataclasses import replace
from typing import Final

from lxml import etree

from gateway.codec import hl7v3
from gateway.codec.hl7v3 import II, Detail, Wrapper
from gateway.errors import GatewayError, InvalidParameter, MissingParameter, UnknownAuthority, UnknownPatient
from gateway.ihe._soap import SUCCESS, Audited, record_of
from gateway.ihe._v3 import (
    ACK,
    Answered,
    Asked,
    V3Services,
    V3Transaction,
    accept,
    action_of,
    details_of,
    element,
    refuse_feed,
)
from gateway.model.person import FeedKind, PersonFeed
from gateway.services.persons.feeding import MissingName, TooMuch
from gateway.translate import person_v3

_KINDS: Final[dict[str, FeedKind]] = {
    "PRPA_IN201301UV02": "add",
    "PRPA_IN201302UV02": "revise",
    "PRPA_IN201304UV02": "merge",
}
_ELEMENTS: Final = {"name": "name", "address": "addr", "telecom": "telecom"}
_EVENT: Final = "controlActProcess/subject/registrationEvent"
_PRIOR: Final = "replacementOf/priorRegistration/subject1/priorRegisteredRole/id"


class BadFeed(MissingParameter):
    """`location` is the XPath of what is missing."""

    def __init__(self, text: str, location: str) -> None:
        super().__init__(text)
        self.location = location


def read(asked: Asked) -> PersonFeed:
    """The feed a message is. Raises BadFeed, InvalidParameter."""
    wrapper = asked.wrapper
    root, kind = f"/{wrapper.name}", _KINDS[wrapper.name]
    events = hl7v3.find_all(asked.body, _EVENT)
    if len(events) != 1:
        # One receipt can stand for one event only: a second one could fail after the first was stored.
        raise BadFeed("a message is about one registration event", f"{root}/{_EVENT}")
    patient = hl7v3.find(events[0], "subject1/patient")
    ids = person_v3.patient_ids(patient)
    _need_ids(ids, f"{root}/{_EVENT}/subject1/patient/id")
    prior = tuple(hl7v3.ii_of(one) for one in hl7v3.find_all(events[0], _PRIOR))
    if kind == "merge":
        _need_ids(prior, f"{root}/{_EVENT}/{_PRIOR}")
    return PersonFeed(
        kind,
        ids=tuple(map(person_v3.patient_id, ids)),
        prior=tuple(map(person_v3.patient_id, prior)) if kind == "merge" else (),
        demographics=person_v3.demographics_of(patient),
        event_time=_event_time(wrapper.control, wrapper.created),
        sender=_device(wrapper.sender),
        control_id=_device(wrapper.id),
        transaction="ITI-44",
        nameless=any(hl7v3.attribute(one, "nullFlavor") for one in hl7v3.find_all(patient, "patientPerson/name")),
    )


def _need_ids(ids: tuple[II, ...], place: str) -> None:
    if not ids:
        raise BadFeed("the patient has no id", place)
    for number, one in enumerate(ids, 1):
        if not one.root or not one.extension:
            missing = "@extension" if one.root else "@root"
            raise BadFeed("an id without its authority or its value", f"{place}[{number}]/{missing}")


def _event_time(control: etree._Element | None, created: str) -> str:
    """When it happened (EVN-2 of v2): the time of the control act, else that of the message."""
    told = hl7v3.find(control, "effectiveTime")
    for found in (hl7v3.attribute(told, "value"), hl7v3.attribute(told, "value", "low"), created):
        if time := hl7v3.seventeen(found):
            return time
    raise InvalidParameter("neither effectiveTime nor creationTime can be read")


def _device(device: II) -> str:
    return "|".join(part for part in (device.root, device.extension) if part)


def answer(asked: Asked, services: V3Services) -> Answered:
    event = read(asked)
    _check_authorities(asked, event, services)
    _check_sender(asked.wrapper, event, services)
    fed = services.persons.feed(event, asked.caller)
    if fed.changed:
        # A merge is an update of the survivor, recorded with its commit, and the end of the others (3.44.5.1).
        ended = (Audited(str(prior), event.control_id) for prior in event.prior)
        records = [record_of(_ENDED, SUCCESS, asked.caller, about, "merged") for about in ended]
        if records:
            services.audit.record(*records)
    # A feed that changes nothing is not committed, so its record is ours to write.
    return Answered(
        accept(asked, "A", services),
        patient=str(event.ids[0]),
        object=event.control_id,
        detail=f"{event.kind} unchanged",
        recorded=fed.changed,
    )


def _check_authorities(asked: Asked, event: PersonFeed, services: V3Services) -> None:
    """Every id of the role is of an authority that is known here, as in PID-3; of OtherIDs (a licence, an insurance)
    it need not be. Raises UnknownAuthority, also for a merge across domains, as ITI-8 does."""
    known = {one.oid for one in services.persons.domains()}
    own = len(dict.fromkeys(map(hl7v3.ii_of, hl7v3.find_all(asked.body, f"{_EVENT}/subject1/patient/id"))))
    for at, id_ in enumerate(event.ids[:own]):
        if id_.authority not in known:
            raise UnknownAuthority("the assigning authority of a patient's id is not known here", at=at)
    domains = {id_.authority for id_ in event.ids}
    for at, id_ in enumerate(event.prior, len(event.ids)):
        if id_.authority not in domains:
            text = "a merge stays inside one domain" if id_.authority in known else "the authority is not known here"
            raise UnknownAuthority(text, at=at)


def _check_sender(wrapper: Wrapper, event: PersonFeed, services: V3Services) -> None:
    """`[[senders]]`: who may assign in which domain. Raises UnknownAuthority, as an unknown domain does."""
    if not services.senders:
        return
    names = ("", wrapper.sender.root, wrapper.sender.extension)
    mine = [one for one in services.senders if one.application in names and one.facility in ("", wrapper.organization)]
    allowed = frozenset().union(*(one.authorities for one in mine))
    for at, id_ in enumerate((*event.ids, *event.prior)):
        if id_.authority not in allowed:
            raise UnknownAuthority("this sender may not assign numbers in this domain", at=at)


def locate(asked: Asked, error: GatewayError) -> tuple[Detail, ...]:
    """Which id of the message an error is about."""
    root = f"/{asked.wrapper.name}/{_EVENT}"
    if isinstance(error, MissingName | TooMuch):
        part = _ELEMENTS[error.part] if isinstance(error, TooMuch) else "name"
        return (details_of(error, f"{root}/subject1/patient/patientPerson/{part}"),)
    if isinstance(error, BadFeed):
        return (details_of(error, error.location),)
    if isinstance(error, InvalidParameter) and _KINDS.get(asked.wrapper.name) == "merge":
        return (details_of(error, f"{root}/{_PRIOR}[1]"),)
    if not isinstance(error, UnknownPatient):
        return ()
    patient = hl7v3.find(asked.body, f"{_EVENT}/subject1/patient")
    own = _places(patient, f"{root}/subject1/patient")
    prior = [f"{root}/{_PRIOR}[{n}]" for n in range(1, len(hl7v3.find_all(asked.body, f"{_EVENT}/{_PRIOR}")) + 1)]
    places, at = own + prior, error.at
    if at < 0:
        at = 0 if isinstance(error, UnknownAuthority) else len(own)
    part = "@root" if isinstance(error, UnknownAuthority) else "@extension"
    return (details_of(error, f"{places[at]}/{part}"),) if at < len(places) else ()


def _places(patient: etree._Element | None, root: str) -> list[str]:
    """XPaths of the ids in the order of `person_v3.patient_ids`."""
    found = [(hl7v3.ii_of(one), f"{root}/id[{n}]") for n, one in enumerate(hl7v3.find_all(patient, "id"), 1)]
    for n, other in enumerate(hl7v3.find_all(patient, "patientPerson/asOtherIDs"), 1):
        inside = f"{root}/patientPerson/asOtherIDs[{n}]"
        found += [(hl7v3.ii_of(one), f"{inside}/id[{k}]") for k, one in enumerate(hl7v3.find_all(other, "id"), 1)]
    first: dict[II, str] = {}
    for one, place in found:
        first.setdefault(one, place)
    return list(first.values())


def _transaction(interaction: str, name: str, action: str) -> V3Transaction:
    return V3Transaction(
        number="ITI-44",
        section="ITI TF-2: 3.44",
        name=name,
        action=action_of(interaction),
        answer_action=action_of(ACK),
        actors=("Patient Identity Source", "Patient Identifier Cross-reference Manager"),
        path="/pixv3",
        elements=(element(interaction), element(ACK)),
        event=("110110", action),
        answer=answer,
        refuse=refuse_feed,
        locate=locate,
    )


ADD: Final = _transaction("PRPA_IN201301UV02", "Patient Registry Record Added", "C")
REVISE: Final = _transaction("PRPA_IN201302UV02", "Patient Registry Record Revised", "U")
MERGE: Final = _transaction("PRPA_IN201304UV02", "Patient Registry Duplicates Resolved", "U")
_ENDED: Final = replace(MERGE, event=("110110", "D"))
