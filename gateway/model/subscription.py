"""Who wants to be told of new documents, and what they are told (ITI TF-2: 3.52, 3.53; IHE DSUBm 2:3.110, 3.112)."""

from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple

from gateway.model.caller import Caller
from gateway.model.document import CodeFilter, ObjectKind

Face = Literal["dsub", "fhir"]
Status = Literal["requested", "active", "error", "off"]
"""Of http://hl7.org/fhir/subscription-status; a DSUB subscription is active until it ends."""
Happening = Literal["handshake", "heartbeat", "event", "deactivation"]
State = Literal["open", "held", "done", "parked"]
"""held: waits in a pull point until it is fetched; parked: refused or undeliverable, for an operator to see."""

PULL_POINT: Final = "pull-point"
"""Topic of a row that is no subscription but a place to fetch notifications from (ITI-69)."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What a new object has to be. Everything that is given has to hold."""

    kind: ObjectKind
    patient: str = ""
    """CX, as it was named; empty: any patient."""
    codes: tuple[tuple[str, CodeFilter], ...] = ()
    """(attribute, its codes ORed), ANDed."""
    authorPerson: tuple[str, ...] = ()
    """SQL LIKE patterns, ORed."""
    referenceIdList: tuple[tuple[str, ...], ...] = ()
    """CXi; the inner ones ORed, the outer ones ANDed."""
    sourceId: tuple[str, ...] = ()
    names: tuple[tuple[int, tuple[str, ...]], ...] = ()
    """(component of the author's XCN from 1, beginnings of it, ORed), ANDed over one author."""
    ids: tuple[str, ...] = ()
    """entryUUID or uniqueId, ORed."""


@dataclass(frozen=True, slots=True)
class Subscription:
    id: str
    """UUID"""
    face: Face
    status: Status
    topic: str
    filter: Filter
    address: str
    """URL notifications go to; `pull-point:ID` for one of our own pull points."""
    content: str
    """DSUB: full, minimal. FHIR: empty, id-only, full-resource."""
    owner: str
    """Node that subscribed: who may end it, and whose view the notifications keep to."""
    created: str
    """Instant, UTC."""
    expires: str = ""
    """Instant, UTC; empty: never."""
    source: str = ""
    """FHIR: the Subscription as it was sent, JSON."""
    events: int = 0
    """Events since it began."""
    error: str = ""
    """Why it is in error, in our own words."""
    claims: Caller | None = None
    """Who subscribed, as it was checked then; what may be told is decided by it anew each time."""
    heartbeat_s: int = 0
    """FHIR: after so much silence it is told that we are still here; 0: never."""

    @property
    def caller(self) -> Caller:
        """In whose name it is told. An emergency access ends with its hour, so it is no part of it."""
        return replace(self.claims, break_glass="") if self.claims else Caller(node=self.owner)


class Event(NamedTuple):
    """One thing that has to be told to one subscriber."""

    subscription: str
    happening: Happening = "event"
    object: str = ""
    """entryUUID of what is new here."""
    published: bytes = b""
    """DSUB: what a publisher sent (ITI-54), in place of an object of this registry."""


class Notification(NamedTuple):
    """An event in the queue."""

    n: int
    subscription: str
    number: int
    """Of the event, counted by subscription from 1; 0 for what is no event."""
    happening: Happening
    object: str
    published: bytes
    created: str
    attempts: int
    due: str
    """Instant before which it is not tried."""
    state: State
