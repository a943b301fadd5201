"""Answers that are longer than a page: held as they were, so that the second page belongs to the first.

Asking everybody again for each page would give another answer. Bounded in number, bytes and time; an answer that is gone
has to be asked for again.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

MOST_BYTES: Final = 128 * 1024 * 1024
MOST: Final = 500
LASTS_S: Final = 600.0


class Line(NamedTuple):
    """One match, rendered."""

    home: str
    name: str
    reference: str
    """Its fullUrl, for the Provenance."""
    entry: bytes


@dataclass(frozen=True, slots=True)
class Snapshot:
    lines: tuple[Line, ...]
    recorded: str

    @property
    def size(self) -> int:
        return sum(len(one.entry) + 200 for one in self.lines)


class Snapshots:
    """Safe for many threads. `most_bytes` of all of them together; the oldest goes first."""

    def __init__(self, monotonic: Callable[[], float], most_bytes: int = MOST_BYTES) -> None:
        self._monotonic, self._most_bytes = monotonic, most_bytes
        self._held: OrderedDict[str, tuple[float, Snapshot, int]] = OrderedDict()
        self._bytes, self._lock = 0, threading.Lock()

    def put(self, key: str, snapshot: Snapshot) -> None:
        size = snapshot.size
        with self._lock:
            self._held[key] = (self._monotonic() + LASTS_S, snapshot, size)
            self._bytes += size
            while len(self._held) > MOST or (self._bytes > self._most_bytes and len(self._held) > 1):
                self._drop(next(iter(self._held)))

    def get(self, key: str) -> Snapshot | None:
        with self._lock:
            until, snapshot, _ = self._held.get(key, (0.0, None, 0))
            if snapshot is not None and until <= self._monotonic():
                self._drop(key)
                return None
            return snapshot

    def _drop(self, key: str) -> None:
        _, _, size = self._held.pop(key)
        self._bytes -= size
