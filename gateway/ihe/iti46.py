"""ITI-46 PIXV3 Update Notification (ITI TF-2: 3.46): a consumer is told the ids of a person whose links changed.

The message carries every id of the person in the domains the consumer is interested in; none left is an id with a
nullFlavor. services/notify works on the queue.
"""

import hashlib
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from gateway.codec import hl7v3, soap
from gateway.codec.hl7v3 import II, Head, attribute
from gateway.errors import BadInput, Forbidden, Unavailable
from gateway.ihe._client import Call
from gateway.ihe._v3 import action_of
from gateway.model.identity import PatientId
from gateway.services.notify import Change, Consumer
from gateway.translate import person_v3

NUMBER: Final = "ITI-46"
NOTIFICATION: Final = "PRPA_IN201302UV02"
ACTION: Final = action_of(NOTIFICATION)


def message(
    ids: Sequence[PatientId], domains: Collection[str], device: str, receiver: str, head_id: II, created: str
) -> bytes:
    """The notification; `domains` () means every domain."""
    shown = tuple(II(one.authority, one.value) for one in ids if not domains or one.authority in domains)
    head = Head(NOTIFICATION, head_id, created, device, II(receiver), accept="AL")
    # An empty list says that all links are gone; the schema wants one id, which then is none.
    role = person_v3.role(shown or (II(""),), person_v3.NAMELESS)
    return hl7v3.message(head, hl7v3.control_act("PRPA_TE201302UV02", hl7v3.registration(role, II(device))))


class Receiver(NamedTuple):
    """A consumer, and where its PIXv3 endpoint is."""

    name: str
    url: str
    device: str
    """OID"""
    domains: frozenset[str]
    """OIDs of the domains it wants ids of; empty: all."""
    timeout_s: float


def consumer(receiver: Receiver, call: Call, home: str) -> Consumer:
    """What services/notify delivers by; `home` is our homeCommunityId."""
    device = home.removeprefix("urn:oid:")

    def deliver(change: Change) -> None:
        # The same id when it is sent again, so that a receiver that had it knows it.
        number = hashlib.sha256(f"{receiver.name}\x1f{change.number}".encode()).hexdigest()[:32]
        send(receiver, change.ids, call, device, number)

    return Consumer(receiver.name, NUMBER, receiver.domains, deliver)


def send(receiver: Receiver, ids: Sequence[PatientId], call: Call, device: str, number: str) -> None:
    """One notification and its receipt. Raises TimeoutError and Unavailable when nobody is there, Forbidden when the
    consumer does not take it."""
    created = hl7v3.timestamp(call.clock.now())
    body = message(ids, receiver.domains, device, receiver.device, II(device, number), created)
    try:
        received = call.send(receiver.url, ACTION, body, deadline_s=receiver.timeout_s)
    except soap.SoapFault as fault:
        if fault.code == "Sender":
            raise Forbidden("the consumer refuses the message") from None
        raise Unavailable("the consumer answers with a fault") from None
    except BadInput:
        raise Unavailable("what the consumer answers is no receipt") from None
    if attribute(received.body, "code", "acknowledgement/typeCode") not in ("CA", "AA"):
        raise Forbidden("the consumer does not accept the notification")
