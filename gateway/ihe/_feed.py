"""Feeds of patient identity over HL7 v2: what ITI-8 and ITI-30 have in common.

A feed is an ADT like any other: it is translated and stored, and in the same commit the identity index learns what it
says of who is who. What is refused is told in the place of ERR-2.
"""

from typing import Final

from gateway.codec import charset, er7
from gateway.codec.er7 import Message, Segment
from gateway.codec.head import Head
from gateway.errors import BadInput, InvalidParameter, UnknownAuthority, UnknownPatient
from gateway.ihe._transaction import V2Services
from gateway.model.identity import PatientId
from gateway.model.ingest import KeptMessage
from gateway.model.person import PersonFeed
from gateway.services import my_number
from gateway.services.feed import Act, Problem, Receipt, Refused, no_my_number
from gateway.services.persons.feeding import MissingName, TooMuch, check_name, event_time
from gateway.translate import times
from gateway.translate.datatypes import component
from gateway.translate.hl7 import feed_time
from gateway.translate.leavings import NULL
from gateway.translate.person_v2 import BadField, authority_of, cx_of, demographics, patient_id
from gateway.translate.rules import table

MAX_IDS: Final = 100
"""Numbers of one person in one field."""
_PLACES: Final = {"name": "PID^1^5", "address": "PID^1^11", "telecom": "PID^1^13"}
_TWO_PIDS: Final = frozenset({"link", "unlink"})


def kind_of(head: Head) -> str:
    """Of the table identity-feeds; "" for another message."""
    return table("identity-feeds").get(f"{head.type}^{head.trigger}", "")


def receive(
    message: bytes, head: Head, address: str, services: V2Services, transaction: str, *, strict: bool
) -> Receipt:
    """Stores a feed. `strict`: every id names its authority, and the patient has a name (IHE); otherwise a number
    without an authority is the sender's (SS-MIX2). Raises Refused, and what the storage raises."""
    kind = kind_of(head)

    def said(facility: str, act: Act) -> tuple[KeptMessage, ...]:
        try:
            event = _event(message, head, facility, services, transaction, strict=strict)
        except BadField as error:
            raise Refused("AE", Problem(error.code, error.place, str(error))) from None
        act.patient = str(event.ids[0])
        act.retired = tuple(map(str, event.prior)) if kind in ("merge", "change-id") else ()
        return _kept(event, services)

    act = Act(transaction, "C" if kind == "add" else "U", said, kind not in _TWO_PIDS)
    return services.feed.receive(message, head, address, act)


def _kept(event: PersonFeed, services: V2Services) -> tuple[KeptMessage, ...]:
    """Raises Refused in the words of ERR."""
    assert services.persons is not None

    def place(at: int) -> str:
        if at < len(event.ids):
            return f"PID^1^3^{max(at, 0) + 1}"
        number = at - len(event.ids) + 1
        return f"PID^2^3^{number}" if event.kind in _TWO_PIDS else f"MRG^1^1^{number}"

    try:
        return services.persons.messages(event)
    except my_number.MyNumberRefused:
        raise no_my_number("PID^1^3") from None
    except UnknownAuthority as error:
        raise Refused("AE", Problem("204", f"{place(error.at)}^4", str(error))) from None
    except UnknownPatient as error:
        raise Refused("AE", Problem("204", f"{place(error.at)}^1", str(error))) from None
    except TooMuch as error:
        raise Refused("AE", Problem("102", _PLACES[error.part], str(error))) from None
    except InvalidParameter as error:
        where = "MRG^1^1" if event.kind in ("merge", "change-id") else "PID^1^3"
        raise Refused("AE", Problem("102", where, str(error))) from None


def _event(
    message: bytes, head: Head, facility: str, services: V2Services, transaction: str, *, strict: bool
) -> PersonFeed:
    """Raises BadField, and Refused for a My Number."""
    try:
        parsed = er7.parse(charset.decode(message))
    except BadInput as error:
        raise BadField("102", "", str(error)) from None
    kind = kind_of(head)
    _refuse_my_number(parsed, head, services)
    if b"\x00" in message.strip(b"\x00\r\n"):
        # Left out, as elsewhere, it would make one patient's number of another's.
        raise BadField("102", "", "the message holds NUL characters")
    pids = parsed.all("PID")
    if not pids:
        raise BadField("101", "PID^1^3", "the message has no PID segment")
    wanted = 2 if kind in _TWO_PIDS else 1
    if len(pids) != wanted:
        raise BadField("100", f"PID^{min(len(pids), wanted) + 1}", f"this event has {wanted} PID")
    ids = _ids(pids[0][3], "PID^1^3", head, services, strict=strict)
    ids = tuple(sorted(ids, key=lambda id_: id_.authority != facility))
    prior = _prior(kind, parsed, pids, ids, head, services)
    _check_sender(head, services, pids[0][3], strict=strict)
    evn = parsed.first("EVN")
    sent = [component(evn[2], 1)] if evn is not None else []
    # An EVN-2 that is a day says less of the order of events than MSH-7 does.
    time = next((one for one in sent if len(one) >= 12 and times.fhir_datetime(one)), head.field(7, 1))
    event = PersonFeed(
        kind=kind,  # type: ignore[arg-type]  # the table holds nothing else
        ids=ids,
        prior=prior,
        demographics=demographics(pids[0]),
        event_time=feed_time(event_time(time), kind) if time else "",
        sender=f"{head.field(3, 1)}|{head.field(4, 1)}"[:200],
        control_id=head.control_id,
        transaction=transaction,
        nameless=_nameless(pids[0], parsed),
    )
    if strict:
        try:
            check_name(event)
        except MissingName as error:
            raise BadField("101", "PID^1^5", str(error)) from None
    return event


def _refuse_my_number(parsed: Message, head: Head, services: V2Services) -> None:
    """Before anything else is found wrong with the message: what is refused is kept as bytes, and this is not."""
    sender = services.find(head.field(4, 1)) or services.find(head.field(4, 2))
    for segment in parsed.segments:
        for number in _NUMBERS.get(segment.name, ()):
            for cx in cx_of(segment[number]):
                known = authority_of(cx.hd, services.find) if cx.hd.strip("&") else sender
                if known is None and my_number.is_my_number(cx.value):
                    place = f"{segment.name}^{segment.ordinal}^{number}^{cx.number}^1"
                    raise no_my_number(place)


_NUMBERS: Final = {"PID": (2, 3, 4, 21), "MRG": (1, 4)}
"""Fields that hold patients' numbers."""


def _ids(raw: str, place: str, head: Head, services: V2Services, *, strict: bool) -> tuple[PatientId, ...]:
    """Ids of a CX field. Not strict: those of authorities nobody knows are left out (a warning says so), and one
    without an authority is the sender's. Raises BadField."""
    if raw.count("~") >= MAX_IDS:
        raise BadField("102", place, "nobody has so many numbers")
    found: list[PatientId] = []
    sender = services.find(head.field(4, 1)) or services.find(head.field(4, 2))
    for cx in cx_of(raw):
        if not strict and cx.value and not cx.hd.strip("&") and sender is not None:
            found.append(PatientId(cx.value, sender.oid))
            continue
        try:
            found.append(patient_id(cx, place, services.find))
        except BadField as error:
            if strict or error.code == "102":  # a wrong check digit is never passed over
                raise
    if not found:
        raise BadField("101", place, "the patient number is missing")
    return tuple(dict.fromkeys(found))


def _prior(
    kind: str, parsed: Message, pids: list[Segment], ids: tuple[PatientId, ...], head: Head, services: V2Services
) -> tuple[PatientId, ...]:
    """The retired ids of a merge, the old number of a change, the other record of a link. Raises BadField."""
    if kind in _TWO_PIDS:
        return _ids(pids[1][3], "PID^2^3", head, services, strict=True)[:1]
    if kind not in ("merge", "change-id"):
        return ()
    found = parsed.all("MRG")
    if len(found) != 1:
        raise BadField("101" if not found else "100", f"MRG^{max(1, len(found))}^1", "the event has one MRG")
    prior = _ids(found[0][1], "MRG^1^1", head, services, strict=True)
    domains = {id_.authority for id_ in ids}
    for number, id_ in enumerate(prior, 1):
        if id_.authority not in domains:
            text = "a merge or a change of number stays inside one domain"
            raise BadField("204", f"MRG^1^1^{number}^4", text)
    return prior


def _check_sender(head: Head, services: V2Services, raw: str, *, strict: bool) -> None:
    """`[[senders]]`: who may assign in which domain. Raises BadField."""
    if not services.senders:
        return
    allowed = frozenset().union(*(one.authorities for one in services.senders if one.matches(head)))
    for number, repetition in enumerate(raw.split("~"), 1):
        for id_ in _ids(repetition, "PID^1^3", head, services, strict=strict):
            if id_.authority not in allowed:
                raise BadField("204", f"PID^1^3^{number}^4", "this sender may not assign numbers in this domain")


def _nameless(pid: Segment, parsed: Message) -> bool:
    """The sender means that there is no name: PID-5 says so, or the patient was born here (PV1-4, table 0007)."""
    pv1 = parsed.first("PV1")
    born_here = pv1 is not None and component(pv1[4], 1) == "N"
    return born_here or pid[5] == NULL or component(pid[5], 7) in ("S", "U")
