"""What came before: ids of assertions and of client assertions, kept for as long as they could be used again."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from gateway.errors import Unavailable

MOST: Final = 1_000_000
"""Ids held. An assertion lives for an hour and most for minutes; more than this in one hour is an attack."""


@dataclass(slots=True)
class Seen:
    """Ids of this process, in the order they came. A node of several processes has one each (docs/enforced.md)."""

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
            if len(self._ids) >= self.most:
                self._forget(now)
                if len(self._ids) >= self.most:
                    raise Unavailable("too many assertions at once")
            self._ids[issuer, id_] = (by, until)
            return True

    def _forget(self, now: datetime) -> None:
        for key in [key for key, (_, until) in self._ids.items() if until <= now]:
            del self._ids[key]
