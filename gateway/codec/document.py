"""A document as it passes by in pieces: size, hashes, MIME type, and whose it is when it is a CDA. Never held whole."""

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from gateway import mapping_files
from gateway.codec.cda import CdaHead, CdaReader

PIECE: Final = 1024 * 1024
"""Bytes read at a time."""
_HEAD: Final = 512
UNKNOWN: Final = "application/octet-stream"
CDA: Final = "text/xml"
"""MIME type of a CDA R2 document in XDS (IHE PCC TF-2: 4.1.1, XDSDocumentEntry.mimeType)."""


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """What one file is."""

    size: int
    sha256: str
    sha1: str
    mime: str
    disguised: bool = False
    """The extension belongs to another type than the bytes."""
    cda: CdaHead | None = None


class DocumentReader:
    """`feed` every piece, then ask for `facts`."""

    def __init__(self) -> None:
        self._sha256, self._sha1 = hashlib.sha256(), hashlib.sha1(usedforsecurity=False)
        self._size, self._head = 0, b""
        self._cda = CdaReader()

    def feed(self, piece: bytes) -> None:
        if len(self._head) < _HEAD:
            self._head += piece[: _HEAD - len(self._head)]
        self._size += len(piece)
        self._sha256.update(piece)
        self._sha1.update(piece)
        self._cda.feed(piece)

    def facts(self, name: str) -> DocumentFacts:
        """`name`: of the file, for its extension."""
        self._cda.close()
        mime, disguised = (CDA, False) if self._cda.head is not None else mime_type(self._head, name)
        return DocumentFacts(
            self._size, self._sha256.hexdigest(), self._sha1.hexdigest(), mime, disguised, self._cda.head
        )


def facts_of(data: bytes, name: str) -> DocumentFacts:
    """Of a document that is in memory anyway."""
    reader = DocumentReader()
    reader.feed(data)
    return reader.facts(name)


def mime_type(head: bytes, name: str) -> tuple[str, bool]:
    """(MIME type, whether the extension claims another). The bytes decide; see mappings/ssmix2/mime-types.csv."""
    extension = name.rpartition(".")[2].lower() if "." in name else ""
    if head[128:132] == b"DICM":
        return "application/dicom", extension not in ("", "dcm")
    by_bytes = [(extensions, mime) for magic, extensions, mime in _types() if magic is not None and magic.match(head)]
    for extensions, mime in by_bytes:
        if extension in extensions:
            return mime, False
    claimed = next((mime for _, extensions, mime in _types() if extension in extensions), "")
    if by_bytes:
        family = next((mime for extensions, mime in by_bytes if not extensions), by_bytes[0][1])
        return family, bool(claimed)
    if _XML.match(head):
        return (claimed, False) if "xml" in claimed else ("text/xml", bool(claimed) and not claimed.startswith("text/"))
    if claimed and not _has_magic(claimed):
        return claimed, False
    return UNKNOWN, bool(claimed)


_XML = re.compile(rb"(?:\xef\xbb\xbf)?\s*<\?xml\s|(?:\xff\xfe<\x00|\xfe\xff\x00<)")


def _has_magic(mime: str) -> bool:
    """Whether every file of this type begins with known bytes, so that one that does not is no such file."""
    return all(magic is not None for magic, _, known in _types() if known == mime)


@cache
def _types() -> tuple[tuple[re.Pattern[bytes] | None, frozenset[str], str], ...]:
    """(pattern of the first bytes, extensions, MIME type)"""
    rows = mapping_files.read_csv(mapping_files.path("ssmix2", "mime-types.csv"))
    return tuple((_pattern(row["magic"]), frozenset(row["extension"].split()), row["mime"]) for row in rows)


def _pattern(magic: str) -> re.Pattern[bytes] | None:
    if not magic:
        return None
    pairs = [magic[at : at + 2] for at in range(0, len(magic), 2)]
    return re.compile(b"".join(b"." if pair == ".." else re.escape(bytes.fromhex(pair)) for pair in pairs), re.DOTALL)
