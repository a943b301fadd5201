"""Notify XAD-PID Link Change (IHE ITI supplement XPID, 3.64): ADT^A43^ADT_A43, HL7 2.5. A patient's number at a facility
belongs to another enterprise id (XAD-PID) from now on.

PID-3 holds the new XAD-PID and the numbers that move, MRG-1 the old XAD-PID; without a number everything of the old one
moves. As a registry we take it: the numbers are linked with the records of the new XAD-PID and held apart from those of
the old one, and their documents follow. As a PIX manager we send it to the registries of `[[notify]]`.
"""

import hashlib
from collections.abc import Callable
from typing import Final

from gateway.codec import charset, er7
from gateway.codec.er7 import escape
from gateway.codec.head import Head
from gateway.errors import BadInput
from gateway.ihe._ack import JST
from gateway.ihe._mllp_client import Wrap, plain, send
from gateway.ihe._transaction import V2Services, V2Transaction
from gateway.ihe.iti10 import Receiver
from gateway.model.caller import UNRESTRICTED
from gateway.model.clock import Clock
from gateway.model.identity import Authority, PatientId, Statement, StatementKind
from gateway.model.ingest import KeptMessage
from gateway.model.person import PersonFeed
from gateway.services.feed import Act, Problem, Receipt, Refused
from gateway.services.notify import Change, Consumer
from gateway.services.persons import feeding
from gateway.translate import times
from gateway.translate.datatypes import component
from gateway.translate.person_v2 import BadField, cx, patient_ids

NUMBER: Final = "ITI-64"
EVENTS: Final = frozenset({"ADT^A43"})


def takes(head: Head) -> bool:
    return f"{head.type}^{head.trigger}" in EVENTS


# -- as a registry -----------------------------------------------------------------------------------------------------


def handle(message: bytes, head: Head, address: str, services: V2Services) -> Receipt:
    """Raises Refused, and what the storage raises."""

    def said(facility: str, act: Act) -> tuple[KeptMessage, ...]:
        try:
            event, statements = _read(message, head, services)
        except BadField as error:
            raise Refused("AE", Problem(error.code, error.place, str(error))) from None
        act.patient = str(event.ids[0])
        return (feeding.bare(event, statements),)

    return services.feed.receive(message, head, address, Act(NUMBER, "U", said, translated=False))


def _read(message: bytes, head: Head, services: V2Services) -> tuple[PersonFeed, tuple[Statement, ...]]:
    """What is said of whom. Raises BadField."""
    try:
        parsed = er7.parse(charset.decode(message))
    except BadInput as error:
        raise BadField("102", "", str(error)) from None
    pids, mrgs = parsed.all("PID"), parsed.all("MRG")
    for name, found in (("PID^1^3", pids), ("MRG^1^1", mrgs)):
        if len(found) != 1:
            raise BadField("101" if not found else "100", name, f"the message has one {name[:3]}")
    given = patient_ids(pids[0][3], "PID^1^3", services.find)
    old = patient_ids(mrgs[0][1], "MRG^1^1", services.find)
    assert services.persons is not None
    domain = services.persons.affinity_domain
    new, *numbers = sorted(given, key=lambda id_: id_.authority != domain)
    if new.authority != domain or len(old) != 1 or old[0].authority != domain:
        place = "PID^1^3^1^4" if new.authority != domain else "MRG^1^1^1^4"
        raise BadField("204", place, "an XAD-PID is an id of the affinity domain")
    if new == old[0] or any(one.authority == domain for one in numbers):
        raise BadField(
            "102", "MRG^1^1" if new == old[0] else "PID^1^3", "the message names one new and one old XAD-PID"
        )
    evn = parsed.first("EVN")
    sent = [component(evn[2], 1)] if evn is not None else []
    time = next((one for one in sent if len(one) >= 12 and times.fhir_datetime(one)), head.field(7, 1))
    sender = f"{head.field(3, 1)}|{head.field(4, 1)}"[:200]
    event = PersonFeed("link", (new, *numbers), old, event_time=time, sender=sender, transaction=NUMBER)
    here = _records(new, services, "PID^1^3^1^1")
    there = _records(old[0], services, "MRG^1^1^1^1")
    moving = [_records(one, services, f"PID^1^3^{at}^1")[0] for at, one in enumerate(numbers, 2)] or list(there)

    def say(kind: StatementKind, one: PatientId, other: PatientId) -> Statement:
        return feeding.statement(kind, one, other, time, sender, NUMBER, head.control_id)

    statements = [say("link", here[0], one) for one in moving if one not in here]
    if numbers:
        statements += [say("unlink", one, other) for one in moving for other in there if other not in moving]
    if not statements:
        raise BadField("102", "PID^1^3", "the numbers belong to the new XAD-PID already")
    return event, tuple(statements)


def _records(id_: PatientId, services: V2Services, place: str) -> tuple[PatientId, ...]:
    """Raises BadField for an id nobody knows here."""
    assert services.persons is not None
    found = services.persons.records_of(id_, UNRESTRICTED)
    if not found:
        raise BadField("204", place, "the id is not known here")
    return found


TRANSACTION: Final = V2Transaction(NUMBER, lambda: EVENTS, takes, handle)


# -- as a PIX manager ----------------------------------------------------------------------------------------------------


def messages(
    change: Change,
    receiver: Receiver,
    clock: Clock,
    community: str,
    domain: str,
    find: Callable[[str], Authority | None],
) -> list[bytes]:
    """One a number that moved. `domain`: OID of the affinity domain; `community`: ours, for MSH-4."""
    time = clock.now().astimezone(JST).strftime("%Y%m%d%H%M%S%z")
    made = []
    for at, (id_, old, new) in enumerate(change.moved):
        name = f"{receiver.name}\x1f{change.number}\x1f{at}"
        control_id = hashlib.sha256(name.encode()).hexdigest()[:20].upper()
        ids = "~".join(cx(one, find) for one in (PatientId(new, domain), id_))
        text = (
            f"MSH|^~\\&|MUSUBI|^{community}^ISO|{escape(receiver.application)}|{escape(receiver.facility)}|{time}||ADT^A43^ADT_A43|"
            f"{control_id}|P|2.5||||||UNICODE UTF-8\rEVN||{time}\rPID|||{ids}|| \r"
            f"MRG|{cx(PatientId(old, domain), find)}\r"
        )
        made.append(text.encode("utf-8"))
    return made


def consumer(
    receiver: Receiver,
    clock: Clock,
    community: str,
    domain: str,
    find: Callable[[str], Authority | None],
    wrap: Wrap = plain,
) -> Consumer:
    """What services/notify delivers by: a change again when one of its messages did not arrive. `wrap` makes TLS of its
    connections."""

    def deliver(change: Change) -> None:
        for made in messages(change, receiver, clock, community, domain, find):
            send(receiver.host, receiver.port, made, receiver.timeout_s, wrap)

    return Consumer(receiver.name, NUMBER, receiver.domains, deliver)
