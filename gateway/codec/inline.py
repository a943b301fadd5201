"""Documents that stand inside a message as base64 are cut out before it is parsed (ITI TF-2: 3.41; XOP 1.0 the other way
round): the envelope stays small whatever it carries, and the bytes go to a file.

libxml2 ends text nodes at 10 MB and a tree costs many times its text, so this is done on bytes. Between the start tag of
an element `Document` and the next `<` only base64 is taken; anything else is left where it is, for the reader to judge.
What it makes of `<!-- <Document>...` is a comment with other content and a part that nobody asks for.
"""

import binascii
import io
import re
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, Final

from gateway.codec.mtom import XOP, Part
from gateway.errors import BadInput, LimitExceeded

LEAST: Final = 32 * 1024
"""Shorter content stays in the message."""
_START = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?Document(?:\s[^<>]*)?(?<!/)>")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/=\s]")
_BLANK = re.compile(rb"\s+")
_TAG: Final = 64 * 1024
"""Bytes a start tag may have that is cut by the end of a piece."""


class Cutter:
    """Pieces of a message in, the same message without its large documents out. `parts` are the documents."""

    def __init__(self, spool: Callable[[], BinaryIO], max_envelope: int, max_document: int) -> None:
        self._spool, self._max_envelope, self._max_document = spool, max_envelope, max_document
        self._out = bytearray()
        self._rest = b""
        self._held = b""
        """Base64 of the document at hand that may still turn out to be short or none."""
        self._file: BinaryIO | None = None
        self._open = False
        self.parts: dict[str, Part] = {}

    def feed(self, piece: bytes) -> None:
        """Raises LimitExceeded, BadInput."""
        data = self._rest + piece
        self._rest = b""
        while data:
            data = self._inside(data) if self._open else self._outside(data)

    def close(self) -> bytes:
        """The message."""
        self._end_document()
        self._write(self._rest)
        return bytes(self._out)

    def _write(self, data: bytes) -> None:
        self._out += data
        if len(self._out) > self._max_envelope:
            raise LimitExceeded(f"an envelope larger than {self._max_envelope} bytes")

    def _outside(self, data: bytes) -> bytes:
        found = _START.search(data)
        if found:
            self._write(data[: found.end()])
            self._open = True
            return data[found.end() :]
        # A start tag may be cut by the end of this piece.
        at = data.rfind(b"<")
        if at < 0 or len(data) - at > _TAG or b">" in data[at:]:
            at = len(data)
        self._write(data[:at])
        self._rest = data[at:]
        return b""

    def _inside(self, data: bytes) -> bytes:
        end = data.find(b"<")
        content = data if end < 0 else data[:end]
        bad = _NOT_BASE64.search(content)
        if bad and self._file is None:
            self._write(self._held + content)
            self._held, self._open = b"", False
            return data[len(content) :]
        if bad:
            raise BadInput("a document inside the message that is not base64")
        self._held += _BLANK.sub(b"", content)
        if self._file is None and len(self._held) > LEAST:
            self._begin_document()
        if self._file is not None:
            self._decode(final=end >= 0)
        if end < 0:
            return b""
        self._end_document()
        return data[end:]

    def _begin_document(self) -> None:
        cid = f"inline-{len(self.parts) + 1}@musubi"
        part = Part(cid, "", body=self._spool())
        self.parts[cid] = part
        self._file = part.body
        self._write(b'<xop:Include xmlns:xop="%s" href="cid:%s"/>' % (XOP.encode(), cid.encode()))

    def _decode(self, *, final: bool) -> None:
        take = len(self._held) if final else len(self._held) // 4 * 4
        text, self._held = self._held[:take], self._held[take:]
        if b"=" in text and not final:
            text, self._held = b"", text + self._held  # the padding has to be the end
            if len(self._held) > LEAST * 64:
                raise BadInput("a document inside the message that is not base64")
        try:
            data = binascii.a2b_base64(text, strict_mode=True) if text else b""
        except binascii.Error:
            raise BadInput("a document inside the message that is not base64") from None
        part = self.parts[next(reversed(self.parts))]
        part.body.write(data)
        part.size += len(data)
        if part.size > self._max_document:
            raise LimitExceeded(f"a document larger than {self._max_document} bytes")

    def _end_document(self) -> None:
        if self._open and self._file is None:
            self._write(self._held)
        self._held, self._file, self._open = b"", None, False


def cut(
    pieces: Iterable[bytes], spool: Callable[[], BinaryIO], *, max_envelope: int, max_document: int
) -> tuple[bytes, dict[str, Part]]:
    """(the message, its documents by the Content-ID of the xop:Include that stands for each)."""
    cutter = Cutter(spool, max_envelope, max_document)
    for piece in pieces:
        cutter.feed(piece)
    return cutter.close(), cutter.parts


def pieces_of(stream: BinaryIO | io.BufferedIOBase, size: int = 64 * 1024) -> Iterator[bytes]:
    return iter(lambda: stream.read(size), b"")
