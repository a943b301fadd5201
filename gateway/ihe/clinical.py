"""Clinical messages over MLLP (JAHIS, SS-MIX2): orders, results, prescriptions, injections, stays, diseases.

Not an IHE transaction: every message type that translation knows (mappings/tables/message-types.csv), read, stored as
FHIR and as documents, and answered after the commit. Transactions with the same MSH-9 stand before it in `_v2.py`.
"""

from functools import cache

from gateway.codec.head import Head
from gateway.ihe._transaction import V2Services
from gateway.services.feed import Receipt
from gateway.translate.rules import table
from gateway.translate.structures import STRUCTURES


@cache
def message_types() -> frozenset[str]:
    """MSH-9.1^MSH-9.2 of all messages that are taken."""
    return frozenset((*table("message-types"), *(name for name in STRUCTURES if name.count("^") == 1)))


def takes(head: Head) -> bool:
    return f"{head.type}^{head.trigger}" in message_types()


def handle(message: bytes, head: Head, address: str, services: V2Services) -> Receipt:
    return services.feed.receive(message, head, address)
