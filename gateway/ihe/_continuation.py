"""Continuation pointers of queries (HL7 v2.5 5.6.3, DSC): which question goes on where. Bounded; safe for many threads."""

import hashlib
from typing import Final

from gateway.ihe._held import Held, Holding
from gateway.model.person import PersonQuery

KEPT: Final = 1000
"""Pointers that are remembered; the oldest is forgotten, and its query has to be asked again."""
KEPT_S: Final = 3600.0
"""Seconds a pointer is remembered at most."""


class Continuations:
    """Pointer -> the query, with the offset of its next page. A pointer may be used again: an answer can get lost."""

    def __init__(self, open_: Holding[PersonQuery] | None = None) -> None:
        self._open: Holding[PersonQuery] = open_ if open_ is not None else Held(lambda: 0.0, KEPT)

    def keep(self, owner: str, query: PersonQuery) -> str:
        """`owner`: who asks and under which tag; the pointer is worth nothing to others."""
        pointer = hashlib.sha256(repr((owner, query)).encode("utf-8", "surrogatepass")).hexdigest()[:24].upper()
        self._open.put((owner, pointer), query)
        return pointer

    def find(self, owner: str, pointer: str) -> PersonQuery | None:
        return self._open.get((owner, pointer))

    def cancel(self, owner: str) -> bool:
        """Forgets everything that was open under this tag; False when nothing was."""
        return self._open.drop((owner,))
