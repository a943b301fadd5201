"""PIX Update Notification (ITI TF-2: 3.10): ADT^A31^ADT_A05, HL7 2.5, to the systems of `[[notify]]`.

PID-3 holds every id the person has in the consumer's domains; none at all says that all of them are gone. PID-5 is one
blank name.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

from gateway.codec.er7 import escape
from gateway.ihe._ack import JST
from gateway.ihe._mllp_client import Wrap, plain, send
from gateway.model.clock import Clock
from gateway.model.identity import Authority
from gateway.services.notify import Change, Consumer
from gateway.translate.person_v2 import cx

NUMBER: Final = "ITI-10"


class Receiver(NamedTuple):
    """Where a consumer listens, and what it is called."""

    name: str
    host: str
    port: int
    application: str
    facility: str
    domains: frozenset[str]
    timeout_s: float


def message(
    change: Change, receiver: Receiver, at: datetime, community: str, find: Callable[[str], Authority | None]
) -> bytes:
    """`community`: OID by which this node names itself in MSH-4."""
    shown = [id_ for id_ in change.ids if not receiver.domains or id_.authority in receiver.domains]
    time = at.astimezone(JST).strftime("%Y%m%d%H%M%S%z")
    ids = "~".join(cx(id_, find) for id_ in shown)
    names = f"{escape(receiver.application)}|{escape(receiver.facility)}"
    body = f"EVN||{time}\rPID|||{ids}|| \rPV1||N\r"
    charset = "" if (names + body).isascii() else "UNICODE UTF-8"
    head = f"MSH|^~\\&|MUSUBI|^{community}^ISO|{names}|{time}||ADT^A31^ADT_A05|{control_id(change, receiver)}|P|2.5"
    return (f"{head}||||||{charset}".rstrip("|") + "\r" + body).encode("utf-8")


def control_id(change: Change, receiver: Receiver) -> str:
    """The same when the same change is sent again, so that a receiver that had it knows it."""
    return hashlib.sha256(f"{receiver.name}\x1f{change.number}".encode()).hexdigest()[:20].upper()


def consumer(
    receiver: Receiver,
    clock: Clock,
    community: str,
    find: Callable[[str], Authority | None],
    wrap: Wrap = plain,
) -> Consumer:
    """What services/notify delivers by; `wrap` makes TLS of its connections."""

    def deliver(change: Change) -> None:
        made = message(change, receiver, clock.now(), community, find)
        send(receiver.host, receiver.port, made, receiver.timeout_s, wrap)

    return Consumer(receiver.name, NUMBER, receiver.domains, deliver)
