"""What a face remembers between two messages: bounded in number and time, so that no asker holds memory."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Held(Generic[V]):
    """Values by key. The oldest goes when there are too many; each is gone after its time. Safe for many threads."""

    def __init__(self, monotonic: Callable[[], float], most: int = 1000, seconds: float = 600.0) -> None:
        self._monotonic, self._most, self._seconds = monotonic, most, seconds
        self._values: OrderedDict[Hashable, tuple[float, V]] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, key: Hashable, value: V, seconds: float | None = None) -> None:
        until = self._monotonic() + min(seconds if seconds is not None else self._seconds, self._seconds)
        with self._lock:
            self._values.pop(key, None)
            self._values[key] = (until, value)
            while len(self._values) > self._most:
                self._values.popitem(last=False)

    def get(self, key: Hashable) -> V | None:
        with self._lock:
            until, value = self._values.get(key, (0.0, None))
            if value is not None and until <= self._monotonic():
                del self._values[key]
                value = None
            return value

    def drop(self, key: Hashable) -> bool:
        """Whether it was there."""
        with self._lock:
            return self._values.pop(key, None) is not None

    def __len__(self) -> int:
        return len(self._values)
