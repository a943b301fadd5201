"""How much one node may ask: a bucket of requests that fills at a steady rate."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil

from gateway.errors import TooManyRequests


@dataclass(slots=True)
class Rate:
    """Buckets by name; a name that was full again is forgotten."""

    per_second: float
    burst: int
    monotonic: Callable[[], float]
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Name -> (requests left, when that was counted)"""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, name: str) -> None:
        """Raises TooManyRequests."""
        now = self.monotonic()
        with self._lock:
            left, since = self._buckets.get(name, (float(self.burst), now))
            left = min(float(self.burst), left + (now - since) * self.per_second)
            if left < 1:
                self._buckets[name] = (left, now)
                raise TooManyRequests("more requests than this node answers to one", ceil((1 - left) / self.per_second))
            self._buckets[name] = (left - 1, now)
            if len(self._buckets) > 10_000:
                self._buckets = {key: value for key, value in self._buckets.items() if value[0] < self.burst - 1}
