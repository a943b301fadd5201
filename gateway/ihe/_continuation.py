"""Continuation pointers of queries (HL7 v2.5 5.6.3, DSC): which question goes on where. Bounded; safe for many threads."""

import hashlib
import threading
from collections import OrderedDict
from typing import Final

from gateway.model.person import PersonQuery

KEPT: Final = 1000
"""Pointers that are remembered; the oldest is forgotten, and its query has to be asked again."""


class Continuations:
    """Pointer -> the query, with the offset of its next page. A pointer may be used again: an answer can get lost."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept, self._lock = kept, threading.Lock()
        self._open: OrderedDict[str, tuple[str, PersonQuery]] = OrderedDict()

    def keep(self, owner: str, query: PersonQuery) -> str:
        """`owner`: who asks and under which tag; the pointer is worth nothing to others."""
        pointer = hashlib.sha256(repr((owner, query)).encode("utf-8", "surrogatepass")).hexdigest()[:24].upper()
        with self._lock:
            self._open[pointer] = (owner, query)
            self._open.move_to_end(pointer)
            while len(self._open) > self._kept:
                self._open.popitem(last=False)
        return pointer

    def find(self, owner: str, pointer: str) -> PersonQuery | None:
        with self._lock:
            known = self._open.get(pointer)
        return known[1] if known is not None and known[0] == owner else None

    def cancel(self, owner: str) -> bool:
        """Forgets everything that was open under this tag; False when nothing was."""
        with self._lock:
            found = [pointer for pointer, (whose, _) in self._open.items() if whose == owner]
            for pointer in found:
                del self._open[pointer]
        return bool(found)
