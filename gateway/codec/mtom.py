"""multipart/related as MTOM uses it (RFC 2387, RFC 2046 5.1, XOP 1.0, SOAP MTOM): split as a stream, written as one.

Parts of XDS have no Content-Disposition, so form parsers refuse them; and a retrieved set may be larger than memory.
`Splitter` takes bytes in pieces of any size and gives events; `collect` puts events into parts, with bodies above a
megabyte in a file the caller provides. Line ends between parts are CRLF, as the RFC has it.
"""

import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final, NamedTuple
from urllib.parse import unquote

from gateway.errors import BadInput, LimitExceeded

XOP: Final = "http://www.w3.org/2004/08/xop/include"
XOP_TYPE: Final = "application/xop+xml"
MULTIPART: Final = "multipart/related"


@dataclass(frozen=True, slots=True)
class MtomLimits:
    """Bounds of one multipart message; sizes in bytes."""

    boundary: int = 70
    parts: int = 256
    headers: int = 32
    header_bytes: int = 8 * 1024
    """All headers of one part together."""
    preamble: int = 1024
    """Bytes before the first and after the last boundary, each."""
    part_bytes: int = 64 * 1024 * 1024
    total_bytes: int = 256 * 1024 * 1024
    memory_bytes: int = 1024 * 1024
    """A part larger than this goes to a file."""


DEFAULT: Final = MtomLimits()

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'\s*;\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))', re.ASCII)
_TYPE = re.compile(rf"\s*({_TOKEN}/{_TOKEN})", re.ASCII)
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]*[0-9A-Za-z'()+_,./:=?-]", re.ASCII)


def parse_media_type(value: str) -> tuple[str, dict[str, str]]:
    """`type/subtype; a=b; c="d"` -> (lower-case type, parameters by lower-case name). RFC 2045 5.1.

    LENIENT: an unquoted value may hold characters a token may not (`<root@x>`, `/`), as senders write them.
    Raises BadInput for anything else.
    """
    if len(value) > 4096:
        raise LimitExceeded("a Content-Type longer than 4096 characters")
    found = _TYPE.match(value)
    if not found:
        raise BadInput("a Content-Type without a media type")
    parameters: dict[str, str] = {}
    at = found.end()
    while parameter := _PARAMETER.match(value, at):
        name, quoted, bare = parameter.groups()
        text = bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        if parameters.setdefault(name.lower(), text) != text:
            raise BadInput("a Content-Type that gives one parameter twice")
        at = parameter.end()
    if value[at:].strip(" \t;"):
        raise BadInput("a Content-Type that cannot be read")
    return found[1].lower(), parameters


class PartBegin(NamedTuple):
    headers: dict[str, str]
    """By lower-case name."""


class PartData(NamedTuple):
    data: bytes


class PartEnd(NamedTuple):
    pass


Event = PartBegin | PartData | PartEnd


class Splitter:
    """Bytes in, events out. `close` at the end of input raises BadInput when the closing boundary never came."""

    def __init__(self, boundary: str, limits: MtomLimits = DEFAULT) -> None:
        if not 0 < len(boundary) <= limits.boundary or not _BOUNDARY.fullmatch(boundary):
            raise BadInput("a multipart boundary that is empty, too long or has forbidden characters")
        self._mark = b"\r\n--" + boundary.encode("ascii")
        self._limits = limits
        # As if a line had ended before the first byte: then the first boundary looks like all others.
        self._buffer = bytearray(b"\r\n")
        self._state = self._preamble
        self._total = self._parts = self._size = self._skipped = self._lead = 0
        self._done = False

    def feed(self, data: bytes) -> Iterator[Event]:
        self._total += len(data)
        if self._total > self._limits.total_bytes:
            raise LimitExceeded(f"a multipart message larger than {self._limits.total_bytes} bytes")
        self._buffer += data
        while True:
            events, more = self._state()
            yield from events
            if not more:
                return

    def close(self) -> None:
        if not self._done:
            raise BadInput("a multipart message whose body does not end with the boundary its Content-Type names")

    def _preamble(self) -> tuple[list[Event], bool]:
        at = self._buffer.find(self._mark)
        if at < 0:
            self._skip(max(0, len(self._buffer) - len(self._mark)))
            return [], False
        self._skip(at)
        del self._buffer[: len(self._mark)]
        self._state = self._after_mark
        return [], True

    def _skip(self, count: int) -> None:
        self._skipped += count
        if self._skipped > self._limits.preamble + 2:  # the two we put in front
            raise BadInput("a multipart message that does not begin with the boundary its Content-Type names")
        del self._buffer[:count]

    def _after_mark(self) -> tuple[list[Event], bool]:
        """After a boundary: `--` ends the message, blanks and CRLF begin a part."""
        if self._buffer[:2] == b"--":
            self._done = True
            self._skipped = 0
            self._state = self._epilogue
            return [], True
        end = self._buffer.find(b"\r\n")
        if end < 0:
            if len(self._buffer) > 64:
                raise BadInput("a multipart boundary line that does not end")
            return [], False
        if self._buffer[:end].strip(b" \t"):
            raise BadInput("a multipart boundary followed by other text")
        self._parts += 1
        if self._parts > self._limits.parts:
            raise LimitExceeded(f"a multipart message with more than {self._limits.parts} parts")
        del self._buffer[:end]  # the CRLF stays: a part without headers has the blank line at once
        self._state = self._headers
        return [], True

    def _headers(self) -> tuple[list[Event], bool]:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or end > self._limits.header_bytes:
            if len(self._buffer) > self._limits.header_bytes:
                raise LimitExceeded(f"part headers larger than {self._limits.header_bytes} bytes")
            return [], False
        headers = _read_headers(bytes(self._buffer[2:end]), self._limits.headers)
        del self._buffer[: end + 2]  # again one CRLF stays, so that an empty body meets its boundary
        self._size, self._lead = 0, 2
        self._state = self._body
        return [PartBegin(headers)], True

    def _body(self) -> tuple[list[Event], bool]:
        at = self._buffer.find(self._mark)
        # What could be the beginning of a boundary waits for the next piece.
        count = at if at >= 0 else len(self._buffer) - len(self._mark) + 1
        if at < 0 and count < self._lead:
            return [], False
        data = bytes(self._buffer[self._lead : count])
        if count:
            self._lead = 0
            del self._buffer[:count]
        self._size += len(data)
        if self._size > self._limits.part_bytes:
            raise LimitExceeded(f"a part larger than {self._limits.part_bytes} bytes")
        events: list[Event] = [PartData(data)] if data else []
        if at < 0:
            return events, False
        del self._buffer[: len(self._mark)]
        self._state = self._after_mark
        return [*events, PartEnd()], True

    def _epilogue(self) -> tuple[list[Event], bool]:
        self._skipped += len(self._buffer)
        if self._skipped > self._limits.preamble + 2:  # the two dashes
            raise BadInput("a multipart message that goes on after its last boundary")
        self._buffer.clear()
        return [], False


def _read_headers(block: bytes, limit: int) -> dict[str, str]:
    headers: dict[str, str] = {}
    lines: list[str] = []
    for line in block.decode("latin-1").split("\r\n") if block else []:
        if line[:1] in (" ", "\t") and lines:
            lines[-1] += " " + line.strip()  # folded, RFC 5322 2.2.3
        else:
            lines.append(line)
    if len(lines) > limit:
        raise LimitExceeded(f"a part with more than {limit} headers")
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not re.fullmatch(_TOKEN, name, re.ASCII):
            raise BadInput("a part header that cannot be read")
        if headers.setdefault(name.lower(), value.strip()) != value.strip():
            raise BadInput("a part that gives one header twice")
    return headers


@dataclass(slots=True)
class Part:
    """One part with its body in memory or in the file the caller provided."""

    content_id: str
    """Without angle brackets; empty when the part has none."""
    content_type: str
    size: int = 0
    body: BinaryIO = field(default_factory=io.BytesIO)

    def read(self) -> bytes:
        self.body.seek(0)
        return self.body.read()

    def chunks(self, size: int = 64 * 1024) -> Iterator[bytes]:
        self.body.seek(0)
        while chunk := self.body.read(size):
            yield chunk


@dataclass(frozen=True, slots=True)
class Package:
    """A message taken apart: the root (the SOAP envelope) and the other parts by Content-ID."""

    root: Part
    parts: dict[str, Part]


def collect(
    chunks: Iterable[bytes], content_type: str, spool: Callable[[], BinaryIO], limits: MtomLimits = DEFAULT
) -> Package:
    """Reads a whole multipart/related message. `spool` makes an empty file for a part above `memory_bytes`.

    The root is the part `start` names, else the first (RFC 2387 3.2). Raises BadInput, LimitExceeded.
    """
    media, parameters = parse_media_type(content_type)
    if media != MULTIPART or not parameters.get("boundary"):
        raise BadInput("not multipart/related with a boundary")
    splitter = Splitter(parameters["boundary"], limits)
    parts: list[Part] = []
    for chunk in chunks:
        for event in splitter.feed(chunk):
            _take(event, parts, spool, limits)
    splitter.close()
    if not parts:
        raise BadInput("a multipart message without a part")
    by_id = {part.content_id: part for part in parts if part.content_id}
    if len(by_id) != sum(1 for part in parts if part.content_id):
        raise BadInput("a multipart message with one Content-ID twice")
    start = parameters.get("start", "")
    root = by_id.get(_bare_id(start)) if start else parts[0]
    if root is None:
        raise BadInput("a multipart message without the part its start parameter names")
    _check_encodings(root)
    return Package(root, {key: part for key, part in by_id.items() if part is not root})


def _take(event: Event, parts: list[Part], spool: Callable[[], BinaryIO], limits: MtomLimits) -> None:
    if isinstance(event, PartBegin):
        encoding = event.headers.get("content-transfer-encoding", "binary").lower()
        if encoding not in ("binary", "8bit", "7bit"):
            raise BadInput("a part whose Content-Transfer-Encoding is not binary, 8bit or 7bit")
        parts.append(Part(_bare_id(event.headers.get("content-id", "")), event.headers.get("content-type", "")))
    elif isinstance(event, PartData):
        part = parts[-1]
        if part.size <= limits.memory_bytes < part.size + len(event.data):
            file = spool()
            file.write(part.read())
            part.body = file
        part.body.write(event.data)
        part.size += len(event.data)


def _check_encodings(root: Part) -> None:
    if root.content_type and parse_media_type(root.content_type)[0] not in (XOP_TYPE, "application/soap+xml"):
        raise BadInput("a multipart message whose root is not application/xop+xml")


def _bare_id(value: str) -> str:
    value = value.strip()
    return value[1:-1] if value[:1] == "<" and value[-1:] == ">" else value


def content_id(href: str) -> str:
    """The Content-ID an xop:Include refers to: `cid:` and the id URL-encoded (RFC 2392). Raises BadInput."""
    if href[:4].lower() != "cid:":
        raise BadInput("an xop:Include that does not refer to a part of its message")
    return unquote(href[4:])


# -- writing -----------------------------------------------------------------------------------------------------


class OutPart(NamedTuple):
    content_id: str
    content_type: str
    chunks: Iterable[bytes]


def content_type(boundary: str, root_id: str, action: str = "") -> str:
    """The Content-Type of a message made by `write`."""
    end = f'; action="{action}"' if action else ""
    return (
        f'{MULTIPART}; type="{XOP_TYPE}"; start="<{root_id}>"; start-info="application/soap+xml";'
        f' boundary="{boundary}"{end}'
    )


def write(boundary: str, root_id: str, envelope: bytes, parts: Iterable[OutPart]) -> Iterator[bytes]:
    """The message in pieces: the envelope, then each part as its chunks come, so no document stands in memory whole.

    `boundary` has to be one that occurs in no document; callers make it of 122 random bits.
    """
    root = f'{XOP_TYPE}; charset=UTF-8; type="application/soap+xml"'
    yield _part_head(boundary, root_id, root)
    yield envelope
    for part in parts:
        yield b"\r\n" + _part_head(boundary, part.content_id, part.content_type)
        yield from part.chunks
    yield f"\r\n--{boundary}--\r\n".encode("ascii")


def _part_head(boundary: str, part_id: str, media_type: str) -> bytes:
    safe_type = re.sub(r"[\r\n]", "", media_type)
    return (
        f"--{boundary}\r\nContent-Type: {safe_type}\r\nContent-Transfer-Encoding: binary\r\n"
        f"Content-ID: <{part_id}>\r\n\r\n"
    ).encode()
