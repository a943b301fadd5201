"""The head of an HTTP request, read once and in one way (RFC 9112).

Two readers that take the end of a request for two different places let one message carry another past the first of
them. waitress refuses most of what makes them differ; here stands what it lets through and a proxy may read otherwise.
"""

from typing import Any, Final

from waitress.parser import HTTPRequestParser, ParsingError  # type: ignore[import-untyped]
from waitress.utilities import BadRequest, RequestHeaderFieldsTooLarge  # type: ignore[import-untyped]

MAX_HEADERS: Final = 100
"""Lines, whether or not they bear the same name."""
_TOO_MANY: Final = f"more than {MAX_HEADERS} headers"
_MAX_LENGTH_DIGITS: Final = 18
_BLANKS: Final = b" \t"
_ONCE: Final = frozenset({b"host", b"content-length", b"transfer-encoding", b"authorization", b"content-type"})


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """waitress's, stricter. What it refuses is answered 400 (431 for too many headers) and the connection ends."""

    error: Any  # waitress says no type

    def received(self, data: bytes) -> int:
        taken = int(super().received(data))
        if isinstance(self.error, BadRequest) and self.error.body == _TOO_MANY:
            self.error = RequestHeaderFieldsTooLarge(_TOO_MANY)
        return taken

    def parse_header(self, header_plus: bytes) -> None:
        if problem := fault_of(header_plus):
            raise ParsingError(problem)
        super().parse_header(header_plus)


def fault_of(head: bytes) -> str:
    """Why a request with this head is not read; empty when it is. `head` ends with the blank line."""
    first, *lines = head.split(b"\r\n")
    version = first.rpartition(b" ")[2]
    if version not in (b"HTTP/1.1", b"HTTP/1.0"):
        return "HTTP/1.1 is spoken here"
    lines = [line for line in lines if line]
    if len(lines) > MAX_HEADERS:
        return _TOO_MANY
    if any(line[:1] in (b" ", b"\t") for line in lines):
        return "a header that goes on in the next line"
    found: dict[bytes, bytes] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        name = name.lower()
        if name in _ONCE and name in found:
            return f"{name.decode()} stands twice"
        found[name] = value.strip(_BLANKS)
    return _framing(found, version)


def _framing(found: dict[bytes, bytes], version: bytes) -> str:
    """Where the body ends: said in one way, or not at all (RFC 9112, 6)."""
    if version == b"HTTP/1.1" and b"host" not in found:
        return "no host"
    coding, length = found.get(b"transfer-encoding"), found.get(b"content-length")
    if coding is not None and (length is not None or version == b"HTTP/1.0"):
        return "two ways to say where the body ends"
    if coding is not None and b"," in coding:
        return "a transfer coding that is not read"
    if length is not None and len(length) > _MAX_LENGTH_DIGITS:
        return "a length that is none"
    return ""
