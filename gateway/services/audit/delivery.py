"""Sends the trail on, in order and at least once, to each destination at its own pace.

The trail itself is the spool: how far a destination has come is a row of the ledger, so nothing is lost by a restart, an
hour without the repository, or a connection that breaks in the middle. Where the protocol has no answer (syslog), what
was sent counts only after the connection has outlived it; after a broken one everything since is sent again, marked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from gateway.errors import Unavailable
from gateway.model.audit import StoredRecord
from gateway.model.clock import Clock
from gateway.model.ingest import Seen
from gateway.ports import AuditTrail, Keeping

SURE_S: Final = 30.0
"""Seconds a connection has to outlive a record before the record counts as taken."""
_AT_ONCE: Final = 200
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0


class Sender(Protocol):
    """One way to a repository."""

    @property
    def confirms(self) -> bool:
        """Whether a sent record is a taken one."""

    def check(self) -> None:
        """Raises Unavailable when what was sent may be lost."""

    def send(self, stored: StoredRecord, *, again: bool) -> None:
        """Raises Unavailable."""


@dataclass(slots=True)
class Destination:
    """A repository, and how far it has come."""

    name: str
    sender: Sender
    sure: int = -1
    """Last record that was taken; -1: not read yet."""
    sent: int = 0
    highest: int = 0
    """Last record that was ever sent: what is sent below it is sent again."""
    marks: list[tuple[datetime, int]] = field(default_factory=list)
    """(when, last record sent then), of what is not sure yet."""
    pause_s: float = 0.0
    not_before: datetime | None = None

    @property
    def mark(self) -> bytes:
        """Path of its row in the ledger."""
        return b"audit:" + self.name.encode()


@dataclass(slots=True)
class Delivery:
    """Put together by gateway.app; one thread calls `run_once`."""

    trail: AuditTrail
    keeping: Keeping
    clock: Clock
    destinations: Sequence[Destination]

    def run_once(self) -> bool:
        """Sends what is there. Returns whether anything was sent."""
        worked = False
        for one in self.destinations:
            worked |= self._serve(one)
        return worked

    def waiting(self) -> dict[str, int]:
        """Records each destination has not taken."""
        size = self.trail.size()
        return {one.name: size - max(one.sure, 0) for one in self.destinations}

    def _serve(self, to: Destination) -> bool:
        now = self.clock.now()
        if to.not_before is not None and now < to.not_before:
            return False
        if to.sure < 0:
            seen = self.keeping.seen([to.mark]).get(to.mark)
            to.sure = to.sent = seen.size if seen else 0
            # After a restart nobody knows what else was sent: the next ones may be doubles.
            to.highest = seen.mtime_ns if seen else 0
        worked = False
        try:
            to.sender.check()
            self._settle(to, now)
            while page := self.trail.after(to.sent, _AT_ONCE):
                if not to.sender.confirms:
                    self._note(to, highest=page[-1].n)  # before they leave, so that a crash sends them marked
                for stored in page:
                    to.sender.send(stored, again=stored.n <= to.highest)
                    to.sent = stored.n
                    worked = True
                to.marks.append((now, to.sent))
                to.highest = max(to.highest, to.sent)
                self._settle(to, now)
        except Unavailable:
            # A record that has an answer is taken at once; of the others everything since the last sure one goes again.
            if to.sender.confirms:
                to.marks.append((now, to.sent))
                self._settle(to, now)
            to.highest = max(to.highest, to.sent)
            to.sent, to.marks = to.sure, []
            to.pause_s = min(_LONGEST_PAUSE_S, to.pause_s * 2 or _FIRST_PAUSE_S)
            to.not_before = now + timedelta(seconds=to.pause_s)
            return worked
        to.pause_s, to.not_before = 0.0, None
        return worked

    def _settle(self, to: Destination, now: datetime) -> None:
        old = now - timedelta(seconds=0 if to.sender.confirms else SURE_S)
        taken = [n for when, n in to.marks if when <= old]
        if taken and taken[-1] > to.sure:
            to.sure = taken[-1]
            to.marks = [(when, n) for when, n in to.marks if n > to.sure]
            self._note(to, highest=to.highest)

    def _note(self, to: Destination, highest: int) -> None:
        self.keeping.note(to.mark, Seen(to.sure, max(highest, to.highest), "ingested", ""))
