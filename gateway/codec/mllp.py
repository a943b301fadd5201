"""MLLP block framing: `0x0B data 0x1C 0x0D` (HL7 v2.5 appendix C, Minimal Lower Layer Protocol, Release 1).

Knows no socket, charset or HL7. The same stream gives the same blocks however it is cut into pieces. 0x0B and 0x1C
are never part of a character, in none of the charsets of HL7 in Japan, but stray ones occur inside texts, so a block
ends only where 0x1C stands before a carriage return (or before the next block).
"""

import re
from typing import Final, Literal, NamedTuple

START: Final = b"\x0b"
END: Final = b"\x1c\r"

HEAD_BYTES: Final = 4096
"""Of a block that is too large as much is kept: its MSH, so that the refusal can name the message."""

_END_OR_NEXT = re.compile(rb"\x1c[\r\n\x0b]|\x0bMSH")
_BETWEEN: Final = b"\r\n\x00 \t"

Problem = Literal["", "no-end", "too-large"]


class Block(NamedTuple):
    """What stood between the frame bytes."""

    data: bytes
    problem: Problem = ""
    """`no-end`: the next block began before this one ended. `too-large`: `data` is its beginning only."""


class Decoder:
    """Bytes of one connection in, blocks out. Holds one block at most, and never more of it than `max_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        self._buffer = bytearray()
        self._max = max_bytes
        self._searched = 0
        self._inside = False
        self._clean = True
        self.skipped = 0
        """Bytes that stood outside of any block, line ends and blanks not counted."""
        self.broken = False
        """A block was too large: where the next one begins cannot be known, so nothing more is read."""

    @property
    def inside(self) -> bool:
        """A block has begun and not ended."""
        return self._inside

    @property
    def buffered(self) -> int:
        return len(self._buffer)

    @property
    def may_be_whole(self) -> bool:
        """The stream so far ends in 0x1C: a block, if its sender leaves out the carriage return (see `pause`)."""
        return self._inside and self._buffer.endswith(b"\x1c")

    def feed(self, data: bytes) -> list[Block]:
        """The blocks that are complete now."""
        if self.broken:
            return []
        self._buffer += data
        blocks: list[Block] = []
        while self._buffer and (self._take(blocks) if self._inside else self._begin()):
            pass
        return blocks

    def pause(self) -> list[Block]:
        """To be called when nothing more came for a while, and at the end of the stream.

        LENIENT: senders that end a block in 0x1C alone and wait for the answer.
        """
        if not self.may_be_whole:
            return []
        blocks: list[Block] = []
        self._cut(len(self._buffer) - 1, len(self._buffer), "", blocks)
        return blocks

    def _begin(self) -> bool:
        """Drops what stands before the next block. True when one begins."""
        buffer = self._buffer
        start = buffer.find(START)
        # LENIENT: a block without its first byte, as some serial-line converters send it; only where nothing else
        # stands before it, so that the rest of a broken block is never taken for a message.
        blank = len(buffer) - len(buffer.lstrip(_BETWEEN))
        if self._clean and b"MSH".startswith(buffer[blank : blank + 3]) and (start < 0 or blank < start):
            del buffer[:blank]
            if len(buffer) < 3:
                return False
            self._inside, self._searched = True, 0
            return True
        end = start if start >= 0 else len(buffer)
        dropped = len(bytes(buffer[:end]).translate(None, _BETWEEN))
        self.skipped += dropped
        self._clean = self._clean and not dropped
        del buffer[: end + 1]
        self._inside, self._searched = start >= 0, 0
        return self._inside

    def _take(self, blocks: list[Block]) -> bool:
        """Takes a block off the front. False when it needs more bytes."""
        buffer = self._buffer
        found = _END_OR_NEXT.search(buffer, self._searched)
        length = found.start() if found else len(buffer) - 1
        if length > self._max:
            blocks.append(Block(bytes(buffer[:HEAD_BYTES]), "too-large"))
            self.broken = True
            buffer.clear()
            self._inside = False
            return False
        if found is None:
            self._searched = max(0, len(buffer) - 3)  # do not look at the same bytes twice: pictures come in pieces
            return False
        if buffer[length] == 0x0B:
            self._cut(length, length, "no-end", blocks)
        else:
            self._cut(length, length + (1 if buffer[length + 1] == 0x0B else 2), "", blocks)
        return True

    def _cut(self, end: int, next_: int, problem: Problem, blocks: list[Block]) -> None:
        # A second 0x0B before the first byte of a message is no block of its own.
        if end or problem != "no-end":
            blocks.append(Block(bytes(self._buffer[:end]), problem))
        del self._buffer[:next_]
        self._inside, self._clean, self._searched = False, True, 0


def frame(data: bytes) -> bytes:
    """A block as it goes over the wire."""
    return START + data + END
