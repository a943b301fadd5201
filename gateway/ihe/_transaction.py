"""What an HL7 v2 transaction is to the dispatcher of `_v2.py`, and what it is given to work with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from gateway.codec.head import Head
from gateway.ihe._continuation import Continuations
from gateway.model.caller import UNRESTRICTED, Caller, Scope
from gateway.model.identity import Authority, PatientId
from gateway.model.ingest import KeptMessage
from gateway.model.person import PersonFeed, PersonPage, PersonQuery
from gateway.ports import AuditLog
from gateway.services.feed import Feed, Problem, Receipt
from gateway.services.policy.access import ScopeOf


class PersonIndex(Protocol):
    """What the HL7 v2 faces need of the identity index (services/persons)."""

    def messages(self, event: PersonFeed) -> tuple[KeptMessage, ...]:
        """What a feed adds to its message. Raises UnknownAuthority, UnknownPatient, InvalidParameter."""

    def cross_reference(self, id: PatientId, domains: tuple[str, ...], scope: Scope) -> tuple[PatientId, ...]:
        """Raises UnknownAuthority, UnknownPatient."""

    def search(self, query: PersonQuery, scope: Scope) -> PersonPage:
        """Raises UnknownAuthority, TooManyResults."""

    def domains(self) -> tuple[Authority, ...]: ...

    @property
    def affinity_domain(self) -> str: ...

    def records_of(self, id: PatientId, scope: Scope) -> tuple[PatientId, ...]:
        """The records an id stands for; () for an unknown one."""


def caller_of(head: Head, address: str, node: str = "") -> Caller:
    """Who sends a message over MLLP: the `node` of the certificate. In open mode, where there is none, what the message
    says of itself."""
    return Caller(node=node or f"{head.field(3, 1)}|{head.field(4, 1)}"[:200], address=address)


class Replies(NamedTuple):
    """What goes back on the connection."""

    messages: list[bytes]
    close: bool = False
    """The connection cannot go on: its sender speaks something else, or where its next block begins is unknown."""
    kind: str = "(other)"
    """MSH-9 in short for counters, of a closed set: what a stranger sends is never a label."""
    answer: str = ""
    """AA AE AR, `again` for a message that was stored before, or empty where nothing was answered."""
    problems: tuple[str, ...] = ()
    """ERR-3 of what was wrong or odd (table 0357)."""


class Response(NamedTuple):
    """The answer to a query: a message of its own instead of an acknowledgement."""

    messages: list[bytes]
    answer: str
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class V2Services:
    """What gateway.app gives."""

    feed: Feed
    processing_ids: frozenset[str]
    """MSH-11.1 that are taken: P production, T training, D debugging (table 0103)."""
    persons: PersonIndex | None = None
    """None: a node without the identity index; its transactions are not taken then."""
    audit: AuditLog | None = None
    senders: "tuple[Sender, ...]" = ()
    visits: Callable[[str, Scope], Sequence[Mapping[str, Any]]] = lambda patient, scope: ()
    """(logical id of a Patient, scope) -> its Encounters, oldest first."""
    scope_of: ScopeOf = lambda caller, transaction: UNRESTRICTED
    may: Callable[[str], bool] = lambda transaction: True
    """Whether the node at the other end may do a transaction (ITI-8, clinical ...)."""
    continuations: Continuations = field(default_factory=Continuations)
    node: str = ""
    """Who is at the other end, by the certificate; empty in open mode."""

    def find(self, name: str) -> Authority | None:
        """An authority by OID, namespace or alias."""
        return self.feed.facilities.find(name)


@dataclass(frozen=True, slots=True)
class Sender:
    """Who may assign ids where (`[[senders]]`). With one of them configured nobody else may feed."""

    application: str
    """MSH-3.1; empty: any."""
    facility: str
    """MSH-4.1; empty: any."""
    authorities: frozenset[str]
    """OIDs of the domains in which it may assign."""

    def matches(self, head: Head) -> bool:
        return self.application in ("", head.field(3, 1)) and self.facility in ("", head.field(4, 1))


@dataclass(frozen=True, slots=True)
class V2Transaction:
    """One kind of message that is taken over MLLP."""

    name: str
    """`ITI-9`, or `clinical`."""
    events: Callable[[], frozenset[str]]
    """MSH-9.1^MSH-9.2 of the messages it is asked about."""
    takes: Callable[[Head], bool]
    """By the head of the message alone."""
    handle: Callable[[bytes, Head, str, V2Services], Receipt | Response]
    """(message, its head, sender's address, services) -> what to answer. Raises GatewayError."""
