"""Patient Demographics Query (ITI TF-2: 3.21): QBP^Q22^QBP_Q21 -> RSP^K22^RSP_K21, and its cancel QCN^J01.

| case | MSA-1 | QAK-2 | ERR-2 |
| hits; QAK-4 to 6 total, this answer, remaining; DSC when more | AA | OK | |
| none | AA | NF | |
| unknown domain in QPD-8 | AE | AE | QPD^1^8^n |
| unknown pointer in DSC-1 | AE | AE | DSC^1^1 |
| malformed QPD-3; a parameter that is not supported | AE | AE | QPD^1^3; QPD^1^3^n |
"""

from collections.abc import Sequence
from typing import Final

from gateway.codec import charset, er7
from gateway.codec.head import Head
from gateway.errors import BadInput
from gateway.ihe._demographics import Parameter
from gateway.ihe._pdq import answer, confidence, person_segments
from gateway.ihe._qbp import owner_of, read_query, record, refused, respond
from gateway.ihe._transaction import Response, V2Services, V2Transaction
from gateway.model.person import PersonQuery, PersonRecord
from gateway.services.feed import Problem, Receipt, Refused
from gateway.translate.datatypes import component
from gateway.translate.person_v2 import BadField

NUMBER: Final = "ITI-21"
STRUCTURE: Final = "RSP^K22^RSP_K21"
EVENTS: Final = frozenset({"QBP^Q22"})
CANCEL: Final = frozenset({"QCN^J01"})


def takes(head: Head) -> bool:
    return f"{head.type}^{head.trigger}" in EVENTS


def handle(message: bytes, head: Head, address: str, services: V2Services) -> Response:
    """Raises Refused for a message without QPD, and what the storage raises."""
    assert services.persons is not None
    query = read_query(message, head, services.feed.clock.now(), address, services.node)

    def write(one: PersonRecord, asked: PersonQuery, _: Sequence[Parameter]) -> list[Sequence[str]]:
        return [(*person_segments(one, asked, services.find), confidence(one))]

    try:
        found = answer(query, services, services.persons, write)
    except BadField as error:
        found = refused(error)
    record(services, query, NUMBER, found)
    return respond(query, found, STRUCTURE)


def takes_cancel(head: Head) -> bool:
    return f"{head.type}^{head.trigger}" in CANCEL


def cancel(message: bytes, head: Head, address: str, services: V2Services) -> Receipt:
    """Query cancel (HL7 v2.5 5.4.6): the pointers of the query in QID-1 are forgotten. A query that has no open ones is
    over, so cancelling it is no error. Raises Refused without QID-1."""
    try:
        parsed = er7.parse(charset.decode(message))
    except BadInput as error:
        raise Refused("AE", Problem("102", "", str(error))) from None
    qid = parsed.first("QID")
    tag = component(qid[1], 1) if qid is not None else ""
    if not tag:
        raise Refused("AE", Problem("101", "QID^1^1", "QID-1 names the query to cancel"))
    services.continuations.cancel(owner_of(head, tag, services.node))
    return Receipt("AA", services.feed.clock.now())


TRANSACTION: Final = V2Transaction(NUMBER, lambda: EVENTS, takes, handle)
CANCELLATION: Final = V2Transaction(NUMBER, lambda: CANCEL, takes_cancel, cancel)
