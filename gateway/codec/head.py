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


def order_key(message: bytes) -> bytes:
    """What messages of one patient have in common: PID-3.1 as bytes (its characters are ASCII), else nothing. Cheap,
    for choosing who works on a message; two patients may share it."""
    found = _PID.search(message)
    if found is None:
        return b""
    fields = message[found.start() : found.start() + 2048].split(found[1], 4)
    component = message.lstrip(_BEFORE)[4:5]
    return fields[3].split(component, 1)[0].strip() if len(fields) > 3 and component else b""


def _line(message: bytes, start: int) -> bytes:
    end = _LINE_END.search(message, start)
    return message[start : end.start() if end else len(message)]


def _codec(msh18: list[str], found: str) -> str:
    declared = (charset.declared_charsets(msh18[0]) if msh18 else frozenset()) or found.split("+")
    return next((codec for name, codec in _CODECS.items() if name in declared), "ascii")
