"""What came before: ids of assertions and of client assertions, kept for as long as they could be used again."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from gateway.errors import Unavailable
from gateway.ports import Memory

MOST: Final = 1_000_000
"""Ids held. An assertion lives for an hour and most for minutes; more than this in one hour is an attack."""


@dataclass(slots=True)
class Seen:
    """Who brought an id first. With a memory all processes of a node agree on it, and a restart forgets nothing; what
    this process has seen it knows without asking."""

    kind: str = "assertion"
    memory: Memory | None = None
    most: int = MOST
    _ids: "OrderedDict[tuple[str, str], tuple[str, datetime]]" = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def accept(self, issuer: str, id_: str, by: str, until: datetime, now: datetime, *, once: bool = False) -> bool:
        """False when (issuer, id) came from another sender, or at all with `once`. Raises Unavailable when full: an id
        that could not be remembered could come twice."""
        with self._lock:
            found = self._ids.get((issuer, id_))
            if found is not None and found[1] > now:
                return not once and found[0] == by
            self._make_room(now)
            if self.memory is None:
                self._ids[issuer, id_] = by, until
                return True
        # Not under the lock: it waits for a commit. Of two that come here at once the memory takes one.
        key = sha256(f"{issuer}\n{id_}".encode()).hexdigest()
        first, fresh = self.memory.claim(self.kind, (key,), by, _instant(now), _instant(until))
        with self._lock:
            self._ids[issuer, id_] = first, until
        return fresh or (not once and first == by)

    def _make_room(self, now: datetime) -> None:
        if len(self._ids) < self.most:
            return
        for key in [key for key, (_, until) in self._ids.items() if until <= now]:
            del self._ids[key]
        if len(self._ids) >= self.most:
            raise Unavailable("too many assertions at once")


def _instant(at: datetime) -> str:
    """Whole seconds, in the form in which the memory compares."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
