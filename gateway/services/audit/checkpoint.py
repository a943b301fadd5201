"""Signed checkpoints of the audit trail: without one outside, a cut at the end of a chain cannot be seen.

A note as text, so that it can be kept anywhere and checked with any Ed25519:

    musubi audit <homeCommunityId>
    <size>
    <root, base64>
    <time, instant UTC>
    <empty line>
    signature <Ed25519 over everything above with its line feeds, base64>
"""

import base64
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.errors import BadInput
from gateway.model.audit import AuditRecord, Checkpoint
from gateway.model.clock import Clock
from gateway.ports import AuditLog, AuditTrail
from gateway.services.audit.tree import Peaks

_STEP: Final = 10_000


class Note(NamedTuple):
    home: str
    size: int
    root: bytes
    at: str
    text: str
    """What was signed."""
    signature: bytes


def write(home: str, size: int, root: bytes, at: str, key: Ed25519PrivateKey) -> str:
    text = f"musubi audit {home}\n{size}\n{base64.b64encode(root).decode()}\n{at}\n\n"
    return f"{text}signature {base64.b64encode(key.sign(text.encode())).decode()}\n"


def read(note: str) -> Note:
    """Raises BadInput."""
    lines = note.split("\n")
    try:
        head, size, root, at, empty, signed = lines[:6]
        if not head.startswith("musubi audit ") or empty or not signed.startswith("signature "):
            raise ValueError
        text = "\n".join(lines[:5]) + "\n"
        hash_ = base64.b64decode(root, validate=True)
        return Note(head[13:], int(size), hash_, at, text, base64.b64decode(signed[10:], validate=True))
    except ValueError:
        raise BadInput("this is no checkpoint of an audit trail") from None


def is_signed(note: Note, key: Ed25519PublicKey) -> bool:
    try:
        key.verify(note.signature, note.text.encode())
    except InvalidSignature:
        return False
    return True


def notes_in(text: str) -> Iterator[str]:
    """The notes of a checkpoint file, in order."""
    for part in text.split("musubi audit ")[1:]:
        yield f"musubi audit {part}"


def leaves(trail: AuditTrail, after: int = 0) -> Iterator[bytes]:
    while page := trail.hashes(after, _STEP):
        yield from (hash_ for _, hash_ in page)
        after = page[-1][0]


def faults(trail: AuditTrail, notes: Iterable[str], key: Ed25519PublicKey | None) -> Iterator[str]:
    """What these checkpoints say against the trail, in words; nothing when it is what was signed."""
    wanted: dict[int, list[Note]] = {}
    for text in notes:
        try:
            note = read(text)
        except BadInput as error:
            yield str(error)
            continue
        if key is not None and not is_signed(note, key):
            yield f"the checkpoint at {note.size} is not signed by this node"
            continue
        wanted.setdefault(note.size, []).append(note)
    peaks = Peaks()
    for leaf in leaves(trail):
        peaks.add((leaf,))
        for note in wanted.pop(peaks.size, ()):
            if note.root != peaks.root():
                yield f"records up to {note.size} are not those of the checkpoint of {note.at}"
    for size in sorted(wanted):
        yield f"the trail ends at {peaks.size}, but a checkpoint saw {size} records: its end was cut off"


@dataclass(slots=True)
class Checkpointer:
    """Makes a checkpoint when enough records or time have passed; one thread calls `run_once`."""

    trail: AuditTrail
    audit: AuditLog
    key: Ed25519PrivateKey
    home: str
    clock: Clock
    every_records: int = 1000
    every_minutes: int = 10
    publish: Callable[[str], None] = lambda note: None
    """Puts a note where it is kept outside; it also travels to every destination of the trail, in a record."""
    _peaks: Peaks = field(default_factory=Peaks)
    _last: int = -1
    _at: datetime | None = None

    def run_once(self) -> bool:
        now = self.clock.now().astimezone(UTC)
        if self._last < 0:
            self._last = max((one.size for one in self.trail.checkpoints()), default=0)
        grown = self.trail.size() - self._last
        waited = self._at is None or now - self._at >= timedelta(minutes=self.every_minutes)
        if grown <= 1 or (grown < self.every_records and not waited):
            return False  # one record alone is that of the last checkpoint
        self._peaks.add(leaves(self.trail, self._peaks.size))
        at = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        size, root = self._peaks.size, self._peaks.root()
        note = write(self.home, size, root, at, self.key)
        self.trail.keep(Checkpoint(size, at, root, note))
        self.publish(note)
        self.audit.record(AuditRecord("110113", "audit-checkpoint", "E", 0, self.home, object=str(size), detail=note))
        self._last, self._at = size, now
        return True
