"""Patient Identity Feed (ITI TF-2: 3.8), HL7 2.3.1: ADT^A01 A04 A05 A08, A40. The same events in 2.5 are those of SS-MIX2
and feed as well; there a number without an authority is the sender's."""

from typing import Final

from gateway.codec.head import Head
from gateway.ihe import _feed
from gateway.ihe._transaction import V2Services, V2Transaction
from gateway.services.feed import Receipt

NUMBER: Final = "ITI-8"
EVENTS: Final = frozenset({"ADT^A01", "ADT^A04", "ADT^A05", "ADT^A08", "ADT^A40"})
_OLD: Final = frozenset({"2.3", "2.3.1"})


def takes(head: Head) -> bool:
    return f"{head.type}^{head.trigger}" in EVENTS and (head.trigger != "A40" or head.version in _OLD)


def handle(message: bytes, head: Head, address: str, services: V2Services) -> Receipt:
    """Raises Refused, and what the storage raises."""
    return _feed.receive(message, head, address, services, NUMBER, strict=head.version in _OLD)


TRANSACTION: Final = V2Transaction(NUMBER, lambda: EVENTS, takes, handle)
