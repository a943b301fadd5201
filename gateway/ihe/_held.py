"""What a face remembers between two messages: bounded in number and time, so that no asker holds memory.

`Held` is of this process; `Remembered` stands in the database and outlives a restart. Which is which: continuation
pointers and XCPD correlations are remembered (a consumer goes on where it was, and a correlation holds for the time the
answer named), our own open questions are held (who asked is gone with the process).
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

from gateway.model.clock import Clock
from gateway.ports import Memory

V = TypeVar("V")


class Holding(Protocol[V]):
    """Values by key, each for a while. A key is one text or several; `drop` drops also all it begins."""

    def put(self, key: "Key", value: V, seconds: float | None = None) -> None: ...
    def get(self, key: "Key") -> V | None: ...
    def drop(self, key: "Key") -> bool:
        """Whether it was there."""


Key = str | Sequence[str]


class Held(Generic[V]):
    """In this process. The oldest goes when there are too many; each is gone after its time. Safe for many threads."""

    def __init__(self, monotonic: Callable[[], float], most: int = 1000, seconds: float = 600.0) -> None:
        self._monotonic, self._most, self._seconds = monotonic, most, seconds
        self._values: OrderedDict[tuple[str, ...], tuple[float, V]] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, key: Key, value: V, seconds: float | None = None) -> None:
        until = self._monotonic() + min(seconds if seconds is not None else self._seconds, self._seconds)
        with self._lock:
            self._values.pop(_parts(key), None)
            self._values[_parts(key)] = (until, value)
            while len(self._values) > self._most:
                self._values.popitem(last=False)

    def get(self, key: Key) -> V | None:
        with self._lock:
            until, value = self._values.get(_parts(key), (0.0, None))
            if value is not None and until <= self._monotonic():
                del self._values[_parts(key)]
                value = None
            return value

    def drop(self, key: Key) -> bool:
        begin = _parts(key)
        with self._lock:
            found = [one for one in self._values if one[: len(begin)] == begin]
            for one in found:
                del self._values[one]
        return bool(found)

    def __len__(self) -> int:
        return len(self._values)


class Remembered(Generic[V]):
    """In the database. `write` and `read` make a text of a value and the value again; one that cannot be read, because
    another version wrote it, is forgotten."""

    def __init__(
        self,
        memory: Memory,
        clock: Clock,
        kind: str,
        forms: tuple[Callable[[V], str], Callable[[str], V]],
        most: int = 1000,
        seconds: float = 600.0,
    ) -> None:
        self._memory, self._clock, self._kind = memory, clock, kind
        self._write, self._read = forms
        self._most, self._seconds = most, seconds

    def put(self, key: Key, value: V, seconds: float | None = None) -> None:
        now = self._clock.now()
        until = now + timedelta(seconds=min(seconds if seconds is not None else self._seconds, self._seconds))
        words = self._write(value)
        self._memory.put(self._kind, _parts(key), words, now.isoformat(), until.isoformat(), self._most)

    def get(self, key: Key) -> V | None:
        found = self._memory.get(self._kind, _parts(key), self._clock.now().isoformat())
        if found is None:
            return None
        try:
            return self._read(found)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    def drop(self, key: Key) -> bool:
        return self._memory.drop(self._kind, _parts(key))


def _parts(key: Key) -> tuple[str, ...]:
    return (key,) if isinstance(key, str) else tuple(key)
