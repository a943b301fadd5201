"""Patient Identity Management (ITI TF-2: 3.30), HL7 2.5: ADT^A28 A31, A40 merge, A47 change of number; with the option
Link/Unlink A24 and A37."""

from typing import Final

from gateway.codec.head import Head
from gateway.ihe import _feed
from gateway.ihe._transaction import V2Services, V2Transaction
from gateway.services.feed import Receipt

NUMBER: Final = "ITI-30"
EVENTS: Final = frozenset({"ADT^A28", "ADT^A31", "ADT^A40", "ADT^A47", "ADT^A24", "ADT^A37"})


def takes(head: Head) -> bool:
    return f"{head.type}^{head.trigger}" in EVENTS


def handle(message: bytes, head: Head, address: str, services: V2Services) -> Receipt:
    """Raises Refused, and what the storage raises."""
    return _feed.receive(message, head, address, services, NUMBER, strict=True)


TRANSACTION: Final = V2Transaction(NUMBER, lambda: EVENTS, takes, handle)
