"""Telling other systems that the ids of a person changed (ITI-10, ITI-46): one queue, read by each consumer in order.

The jobs stand in the outbox, stored in the commit that changed the ids. How far a consumer has come is a row of the
ledger, so a restart goes on where it was, and a message may come twice but never not at all. A consumer that is away
keeps its place and is asked again later; one that refuses a message three times gets the next one (it is parked: the
audit trail says which), so that one message cannot stop all others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import orjson

from gateway.errors import Forbidden, Unavailable, UnknownPatient
from gateway.model.audit import AuditRecord
from gateway.model.caller import UNRESTRICTED, Scope
from gateway.model.clock import Clock
from gateway.model.identity import PatientId
from gateway.model.ingest import Seen
from gateway.ports import AuditLog, Job, Keeping, Outbox

CHANGED: Final = "identity-changed"
MOVED: Final = "xad-pid-changed"
"""Kinds of the jobs (storage/keep_ties.py): the ids of a person changed; numbers have another enterprise id."""
REFUSALS: Final = 3
"""So often a consumer may refuse one message before it gets the next."""
_AT_ONCE: Final = 100
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0

CrossReference = Callable[[PatientId, tuple[str, ...], Scope], tuple[PatientId, ...]]


class Change(NamedTuple):
    """What became of one person's ids."""

    number: str
    """Of the job: the same when it is sent again."""
    ids: tuple[PatientId, ...]
    """All the person has now."""
    retired: tuple[PatientId, ...]
    """Ids that lead nowhere any more."""
    moved: tuple[tuple[PatientId, str, str], ...] = ()
    """Of a job MOVED: (number, old enterprise id, new one)."""


@dataclass(slots=True)
class Consumer:
    """A system that is told."""

    name: str
    transaction: str
    """`ITI-10`, `ITI-46`"""
    domains: frozenset[str]
    """OIDs of the domains whose ids it wants; empty: all."""
    send: Callable[[Change], None]
    """Delivers one change. Raises Unavailable and TimeoutError when nobody is there, Forbidden when it is refused."""
    refusals: int = 0
    pause_s: float = 0.0
    not_before: datetime | None = None

    @property
    def mark(self) -> bytes:
        """Path of its row in the ledger."""
        return b"notify:" + self.name.encode()


@dataclass(slots=True)
class Notifier:
    """Put together by gateway.app; one thread calls `run_once`."""

    outbox: Outbox
    keeping: Keeping
    audit: AuditLog
    cross_reference: CrossReference
    clock: Clock
    consumers: Sequence[Consumer]
    kind: str = CHANGED
    _done: dict[str, int] = field(default_factory=dict)

    def run_once(self) -> bool:
        """Sends what is due. Returns whether anything was delivered or parked."""
        marks = self.keeping.seen([consumer.mark for consumer in self.consumers])
        for consumer in self.consumers:
            seen = marks.get(consumer.mark)
            # Another process may have gone on meanwhile.
            self._done[consumer.name] = max(self._done.get(consumer.name, 0), seen.size if seen else 0)
        worked = False
        for consumer in self.consumers:
            worked |= self._serve(consumer)
        self._finish()
        return worked

    def _serve(self, consumer: Consumer) -> bool:
        """One consumer's jobs in their order, up to the first it does not take."""
        if consumer.not_before is not None and self.clock.now() < consumer.not_before:
            return False
        worked = False
        for job in self.outbox.pending(self.kind, _AT_ONCE, after=self._done[consumer.name]):
            change = self._change(job)
            if not _concerns(change, consumer):
                self._done[consumer.name] = job.n
                continue
            if not self._deliver(consumer, change):
                break
            worked = True
            self._done[consumer.name] = job.n
            self.keeping.note(consumer.mark, Seen(job.n, 0, "ingested", ""))
        return worked

    def _deliver(self, consumer: Consumer, change: Change) -> bool:
        """Whether the consumer is done with this change: it has it, or it is parked."""
        try:
            consumer.send(change)
        except Forbidden:
            consumer.refusals += 1
            if consumer.refusals < REFUSALS:
                return self._later(consumer)
            self._record(consumer, change, 8, "parked: the consumer refuses it")
        except (Unavailable, TimeoutError):
            return self._later(consumer)
        else:
            self._record(consumer, change, 0, "sent")
        consumer.refusals, consumer.pause_s, consumer.not_before = 0, 0.0, None
        return True

    def _later(self, consumer: Consumer) -> bool:
        consumer.pause_s = min(_LONGEST_PAUSE_S, consumer.pause_s * 2 or _FIRST_PAUSE_S)
        consumer.not_before = self.clock.now() + timedelta(seconds=consumer.pause_s)
        return False

    def _change(self, job: Job) -> Change:
        """The ids as they are now: a message that is sent late tells no old story."""
        payload = orjson.loads(job.payload)
        if self.kind == MOVED:
            # Each step counts: a registry moves documents from one id to the next.
            moved = tuple((PatientId(value, oid), old, new) for value, oid, old, new in payload["moved"])
            return Change(str(job.n), tuple(id_ for id_, _, _ in moved), (), moved)
        retired = tuple(PatientId(*one) for one in payload["retired"])
        for own in (PatientId(*one) for one in payload["ids"]):
            try:
                return Change(str(job.n), (own, *self.cross_reference(own, (), UNRESTRICTED)), retired)
            except UnknownPatient:
                retired = (*retired, own)
        return Change(str(job.n), (), retired)

    def _finish(self) -> None:
        """Jobs every consumer is done with leave the queue."""
        least = min(self._done.values(), default=0)
        done = [job.n for job in self.outbox.pending(self.kind, 10 * _AT_ONCE) if job.n <= least or not self.consumers]
        if done:
            self.outbox.finish(*done)

    def _record(self, consumer: Consumer, change: Change, outcome: int, detail: str) -> None:
        """110110 Patient Record (ITI TF-2: 3.10.5.1)."""
        patient = str(change.ids[0]) if change.ids else ""
        self.audit.record(
            AuditRecord(
                "110110",
                consumer.transaction,
                "R",
                outcome,
                consumer.name,
                patient=patient,
                object=change.number,
                detail=detail,
            )
        )


def _concerns(change: Change, consumer: Consumer) -> bool:
    if not consumer.domains:
        return True
    return any(id_.authority in consumer.domains for id_ in (*change.ids, *change.retired))
