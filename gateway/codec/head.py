"""The head of an HL7 v2 message: MSH, and the fields of its first PID, read without decoding the rest.

An answer needs MSH also of messages that cannot be read, and who the patient is decides the order of work before
anything is translated.
"""

import re
from dataclasses import dataclass
from typing import Final

from gateway.codec import charset, er7
from gateway.codec.eight_bit import EUC_JP, SHIFT_JIS, UTF_8
from gateway.errors import BadInput

_BEFORE: Final = b"\xef\xbb\xbf\x0b\r\n\x00 \t"
_LINE_END = re.compile(rb"[\r\n]")
_PID = re.compile(rb"[\r\n]PID(.)")
_NUMBERED = re.compile(rb"[\r\n](PID|MRG|QPD)(.)")
_NEAR: Final = 64 * 1024
"""Bytes in which the patients of a message stand; a document behind them is not searched."""
_HEAD_OF_LINE: Final = 2048
MAX_KEYS: Final = 8
"""Numbers by which one message is ordered; whoever has more is ordered by the first ones."""
_CODECS: Final = {charset.ISO_2022_JP: "iso2022_jp", UTF_8: "utf-8", SHIFT_JIS: "cp932", EUC_JP: "euc_jp"}


@dataclass(frozen=True, slots=True)
class Head:
    """Fields as text with the standard delimiters, escape sequences as sent."""

    msh: er7.Segment
    pid: er7.Segment | None
    charset: str
    """Python codec in which MSH-18 says the message is written; when it says nothing, in which its MSH and PID are."""
    readable: bool
    """MSH-1 and MSH-2 are delimiters one can read a message with. Else the fields are what stands between MSH-1s."""

    def field(self, number: int, component: int = 0) -> str:
        """MSH-`number`; one component of it, or the whole field."""
        value = self.msh[number]
        if not component:
            return value
        parts = value.split("~", 1)[0].split("^")
        return parts[component - 1] if component <= len(parts) else ""

    @property
    def type(self) -> str:
        return self.field(9, 1)

    @property
    def trigger(self) -> str:
        return self.field(9, 2)

    @property
    def control_id(self) -> str:
        return self.field(10)

    @property
    def version(self) -> str:
        return self.field(12, 1)


def read_head(message: bytes) -> Head:
    """Raises BadInput when no MSH stands at the beginning."""
    message = message.lstrip(_BEFORE)
    line = _line(message, 0)
    if not line.startswith(b"MSH") or len(line) < 5:
        raise BadInput("no MSH at the beginning")
    found = _PID.search(message)
    pid = _line(message, found.start() + 1) if found and found[1] == line[3:4] else b""
    decoded = charset.decode(b"".join((line, b"\r", pid, b"\r" if pid else b"")))
    try:
        parsed = er7.parse(decoded)
    except BadInput:
        text = decoded.segments[0]
        fields = ["MSH", text[3], *text[4:].split(text[3])]
        return Head(er7.Segment("MSH", fields, 1, 0, 0), None, _codec(fields[18:19], decoded.charset), readable=False)
    msh = parsed.segments[0]
    return Head(msh, parsed.first("PID"), _codec(msh.fields[18:19], decoded.charset), readable=True)


def order_keys(message: bytes) -> tuple[bytes, ...]:
    """What messages of one patient have in common: the numbers in PID-3, and of a merge or a link those of the other
    patient (MRG-1, the second PID), as bytes (their characters are ASCII); of a query by an id, that id. Cheap, for
    choosing who works on a message and what it waits for; two patients may share one."""
    message = message[:_NEAR].lstrip(_BEFORE)
    separators = message[4:6]
    if len(separators) < 2:
        return ()
    keys: dict[bytes, None] = {}
    for found in _NUMBERED.finditer(message):
        line = _line(message, found.start() + 1)[:_HEAD_OF_LINE]
        number = 1 if found[1] == b"MRG" else 3
        fields = line.split(found[2], number + 1)
        for one in fields[number].split(separators[1:2]) if len(fields) > number else ():
            key = one.split(separators[:1], 1)[0].strip()
            if key and not key.startswith(b"@"):  # a parameter of a demographics query
                keys[key] = None
        if len(keys) >= MAX_KEYS:
            break
    return tuple(keys)[:MAX_KEYS]


def _line(message: bytes, start: int) -> bytes:
    end = _LINE_END.search(message, start)
    return message[start : end.start() if end else len(message)]


def _codec(msh18: list[str], found: str) -> str:
    declared = (charset.declared_charsets(msh18[0]) if msh18 else frozenset()) & _CODECS.keys() or found.split("+")
    return next((codec for name, codec in _CODECS.items() if name in declared), "ascii")
