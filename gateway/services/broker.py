"""The notification broker: new documents to those who subscribed, over DSUB and DSUBm alike.

The jobs stand in the outbox, stored in the commit that registered a document. `fan_out` makes of each one notification a
subscriber, in the commit that finishes the job, so that nothing is told twice or not at all to the queue; `deliver` sends
what is due, one subscriber's notifications in their order. Who is away is asked again after a pause that doubles; after
`ATTEMPTS` tries a notification is parked, where an operator sees it and may queue it again.

A subscriber is told of what whoever subscribed may see at that moment (Scope), and nothing else: a consent withdrawn
between the registration and the sending counts.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from gateway.codec.ebxml_read import read_object
from gateway.errors import Forbidden, GatewayError, Unavailable, UnknownResource
from gateway.model.audit import AuditRecord
from gateway.model.caller import Caller, Scope
from gateway.model.clock import Chance, Clock
from gateway.model.code import Code
from gateway.model.document import (
    FOLDER,
    HAS_MEMBER,
    CodeFilter,
    DocumentEntry,
    RegistryObject,
    StoredEntry,
    SubmissionSet,
    kind_of,
)
from gateway.model.identity import PatientId
from gateway.model.subscription import PULL_POINT, Event, Filter, Notification, Subscription
from gateway.ports import AuditLog, Identities, Job, Outbox, Registry, Subscriptions
from gateway.services.policy.access import ScopeOf
from gateway.services.registry.service import NOTIFY_DOCUMENT, NOTIFY_SUBMISSION
from gateway.services.search.text import fold

ATTEMPTS: Final = 8
"""Tries before a notification is parked: about an hour and a half in all."""
REFUSALS: Final = 3
"""The same when the receiver answers that it does not want it."""
HANDSHAKES: Final = 3
FIRST_PAUSE_S: Final = 10.0
LONGEST_PAUSE_S: Final = 3600.0
_AT_ONCE: Final = 200


class Told(NamedTuple):
    """One notification with what it is about, for a face to write and send."""

    subscription: Subscription
    notification: Notification
    stored: StoredEntry | None
    """None for what is no event, and for what a publisher sent."""
    objects: tuple[StoredEntry, ...] = ()


Send = Callable[[Told], None]
"""Raises Unavailable, TimeoutError (nobody there), Forbidden (refused)."""


@dataclass(slots=True)
class Broker:
    """Put together by gateway.app. `subscribe`, `end` and `publish` may be called from any thread, `run_once` from one."""

    subscriptions: Subscriptions
    outbox: Outbox
    registry: Registry
    identities: Identities
    audit: AuditLog
    scope_of: ScopeOf
    may_send: Callable[[str], bool]
    """Whether notifications may go to this address: no other is ever called."""
    base: str
    """URL under which this node is reached."""
    clock: Clock = field(default_factory=Clock)
    chance: Chance = field(default_factory=Chance)
    send: Mapping[str, Send] = field(default_factory=dict)
    """Face -> how it is told."""

    # -- who wants to know

    def subscribe(self, one: Subscription, *first: Event) -> Subscription:
        """Stores it, with an id and the time."""
        made = replace(one, id=str(self.chance.new_uuid()), created=self.now())
        self.subscriptions.add(made, *(event._replace(subscription=made.id) for event in first))
        return made

    def mine(self, id_: str, caller: Caller) -> Subscription:
        """A subscription of the caller's node; another's is as unknown as none. Raises UnknownResource."""
        found = self.subscriptions.get(id_)
        if found is None or found.owner != caller.node:
            raise UnknownResource("no such subscription here")
        return found

    def now(self) -> str:
        return instant(self.clock.now())

    # -- what is new

    def run_once(self) -> bool:
        """Whether anything was done."""
        done = self._expire()
        done |= self._beat()
        done |= self.fan_out()
        return self.deliver() or done

    def fan_out(self) -> bool:
        """Outbox jobs become notifications."""
        worked = False
        for kind in (NOTIFY_DOCUMENT, NOTIFY_SUBMISSION):
            while jobs := self.outbox.pending(kind, _AT_ONCE):
                worked = True
                self.subscriptions.queue([job.n for job in jobs], list(self._events(jobs)))
        return worked

    def _events(self, jobs: Sequence[Job]) -> Iterator[Event]:
        """Per subscriber in the order of the jobs; each object once a job."""
        for caller, wanted in self._active().items():
            try:
                scope = self.scope_of(caller, "ITI-52")
            except Forbidden:  # a grant or agreement that is no more
                continue
            for job in jobs:
                for stored in self._new(job, scope):
                    made = read_object(stored)
                    yield from (
                        Event(one.id, object=stored.entryUUID)
                        for one in wanted
                        if one.filter.kind == kind_of(stored.objectType) and self.fits(one.filter, made, scope)
                    )

    def _active(self) -> dict[Caller, list[Subscription]]:
        found: dict[Caller, list[Subscription]] = {}
        for one in self.subscriptions.all():
            if one.status == "active" and one.topic != PULL_POINT:
                found.setdefault(one.caller, []).append(one)
        return found

    def _new(self, job: Job, scope: Scope) -> list[StoredEntry]:
        """What one job is about; of a submission the set and the folders it made or filled."""
        found = self.registry.by_entry_uuid((job.payload,), scope)
        if job.kind != NOTIFY_SUBMISSION or not found:
            return found
        members = [
            one.targetObject
            for one in self.registry.associations((job.payload,), scope)
            if one.associationType == HAS_MEMBER
        ]
        holding = [
            one.sourceObject for one in self.registry.associations(members, scope) if one.associationType == HAS_MEMBER
        ]
        return found + self.registry.by_entry_uuid(tuple(dict.fromkeys((*members, *holding))), scope, (FOLDER,))

    def fits(self, wanted: Filter, made: RegistryObject, scope: Scope) -> bool:
        return matches(wanted, made) and self.same_patient(wanted.patient, made.patientId, scope)

    def same_patient(self, one: str, other: str, scope: Scope) -> bool:
        """Whether two CX are one person; `one` empty: anybody is meant."""
        if not one or one == other:
            return True
        try:
            eids = {self.identities.enterprise_id(PatientId.parse(cx), scope) for cx in (one, other)}
        except ValueError:
            return False
        return len(eids) == 1 and None not in eids

    # -- telling

    def deliver(self) -> bool:
        """Sends what is due. A subscriber whose first notification waits gets none of the later ones before it."""
        worked = False
        for one in self.subscriptions.due(self.now(), _AT_ONCE):
            subscription = self.subscriptions.get(one.subscription)
            worked |= subscription is not None and self._deliver(subscription, one)
        return worked

    def _deliver(self, subscription: Subscription, one: Notification) -> bool:
        """Whether it is out of the queue: told, gone or parked."""
        told = self._told(subscription, one)
        if told is None:
            self.subscriptions.delivered(one.n)  # hidden from this subscriber since, or removed
            return True
        refused = False
        try:
            if not self.may_send(subscription.address):
                raise Forbidden("the address is not one that notifications may go to")
            self.send[subscription.face](told)
        except Forbidden:
            refused = True
        except (Unavailable, TimeoutError, GatewayError):
            pass
        else:
            self.subscriptions.delivered(one.n)
            self._record(told, 0, one.happening)
            if one.happening == "handshake" or (subscription.status == "error" and one.happening != "deactivation"):
                self.subscriptions.change(replace(subscription, status="active", error=""))
            return True
        return self._again(told, refused)

    def _again(self, told: Told, refused: bool) -> bool:
        one, attempts = told.notification, told.notification.attempts + 1
        most = REFUSALS if refused else HANDSHAKES if one.happening == "handshake" else ATTEMPTS
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (attempts - 1))
        parked = attempts >= most
        self.subscriptions.failed(one.n, instant(self.clock.now() + timedelta(seconds=pause_s)), parked=parked)
        if parked:
            self._record(told, 8, f"{one.happening} parked: {'refused' if refused else 'nobody there'}")
            if told.subscription.face == "fhir" and one.happening != "deactivation":
                words = "the endpoint refuses notifications" if refused else "the endpoint cannot be reached"
                self.subscriptions.change(replace(told.subscription, status="error", error=words))
                self.subscriptions.stop(told.subscription.id)
        return parked

    def _told(self, subscription: Subscription, one: Notification) -> Told | None:
        if one.happening != "event" or one.published:
            return Told(subscription, one, None)
        try:
            scope = self.scope_of(subscription.caller, "ITI-52")
        except Forbidden:
            return None
        found = self.registry.by_entry_uuid((one.object,), scope)
        return Told(subscription, one, found[0]) if found else None

    def fetched(self, notifications: Iterable[Notification]) -> list[Told]:
        """What a pull point gives away, with what each is about; it is in the queue no more."""
        found = []
        for one in notifications:
            subscription = self.subscriptions.get(one.subscription)
            if subscription is not None and (told := self._told(subscription, one)) is not None:
                found.append(told)
            self.subscriptions.delivered(one.n)
        return found

    def _expire(self) -> bool:
        now, worked = self.now(), False
        for one in self.subscriptions.all():
            if one.expires and one.expires <= now and one.status in ("active", "requested"):
                worked = True
                if one.face == "dsub":
                    self.subscriptions.remove(one.id)
                else:
                    self.subscriptions.change(replace(one, status="off"), Event(one.id, "deactivation"))
        return worked

    def _beat(self) -> bool:
        """Heartbeats to whom nothing was queued for long enough."""
        now = self.clock.now()
        silent = [
            Event(one.id, "heartbeat")
            for one in self.subscriptions.all("fhir")
            if one.status == "active" and one.heartbeat_s
            and self.subscriptions.youngest(one.id) <= instant(now - timedelta(seconds=one.heartbeat_s))
        ]  # fmt: skip
        if silent:
            self.subscriptions.queue((), silent)
        return bool(silent)

    def _record(self, told: Told, outcome: int, detail: str) -> None:
        """110106 Export (ITI TF-2: 3.53.5.1)."""
        number = "ITI-53" if told.subscription.face == "dsub" else "ITI-112"
        patient = told.stored.patientId if told.stored else ""
        self.audit.record(
            AuditRecord("110106", number, "R", outcome, told.subscription.owner, patient=patient,
                        object=told.notification.object or told.subscription.id, detail=detail)
        )  # fmt: skip


def parked(subscriptions: Subscriptions) -> list[dict[str, object]]:
    """What an operator sees of the parked notifications, oldest first; nothing of the patient."""
    found: list[dict[str, object]] = []
    known: dict[str, Subscription | None] = {}
    for one in subscriptions.parked():
        if one.subscription not in known:
            known[one.subscription] = subscriptions.get(one.subscription)
        of = known[one.subscription]
        found.append({
            "number": one.n, "subscription": one.subscription, "face": of.face if of else "",
            "address": of.address if of else "", "owner": of.owner if of else "", "happening": one.happening,
            "event": one.number, "created": one.created, "attempts": one.attempts,
        })  # fmt: skip
    return found


def instant(moment: datetime) -> str:
    """UTC, milliseconds: text order is time order."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


# -- does it fit -----------------------------------------------------------------------------------------------------


def matches(wanted: Filter, made: RegistryObject) -> bool:
    """Everything of a filter but the patient."""
    if any(not _has_code(made, attribute, one) for attribute, one in wanted.codes):
        return False
    if wanted.authorPerson and isinstance(made, DocumentEntry | SubmissionSet):
        persons = [author.person for author in made.author]
        if not any(_like(pattern, person) for pattern in wanted.authorPerson for person in persons):
            return False
    if wanted.names and not _named(made, wanted.names):
        return False
    if wanted.ids and made.entryUUID not in wanted.ids and made.uniqueId not in wanted.ids:
        return False
    if wanted.sourceId and not (isinstance(made, SubmissionSet) and made.sourceId in wanted.sourceId):
        return False
    held = made.referenceIdList if isinstance(made, DocumentEntry) else ()
    return all(any(value in held for value in values) for values in wanted.referenceIdList)


def _has_code(made: RegistryObject, attribute: str, wanted: CodeFilter) -> bool:
    value: Code | tuple[Code, ...] = getattr(made, attribute, ())
    codes = value if isinstance(value, tuple) else (value,)
    return any(code.code == word and scheme in ("", code.scheme) for code in codes for word, scheme in wanted.values)


def _named(made: RegistryObject, wanted: tuple[tuple[int, tuple[str, ...]], ...]) -> bool:
    """Whether one author has parts that begin so, case and width aside (MHD author.given, author.family)."""
    if not isinstance(made, DocumentEntry | SubmissionSet):
        return False
    persons = [author.person.split("^") for author in made.author]
    return any(
        all(at <= len(parts) and fold(parts[at - 1]).startswith(values) for at, values in wanted) for parts in persons
    )


def _like(pattern: str, text: str) -> bool:
    """SQL LIKE, case aside."""
    parts = (".*" if letter == "%" else "." if letter == "_" else re.escape(letter) for letter in pattern)
    return re.fullmatch("".join(parts), text, re.IGNORECASE | re.DOTALL) is not None
