"""Small blobs as the database keeps them (zlib, RFC 1950). Worker processes pack, storage unpacks."""

import zlib
from typing import Final

from gateway.errors import DamagedContent
from gateway.model.ingest import KeptBlob

SMALL: Final = 64 * 1024
"""Bytes before compression. A larger blob is a file."""


def pack(sha256: str, content: bytes) -> KeptBlob:
    """Compresses a small blob; a large one travels and is stored as it is."""
    if len(content) > SMALL:
        return KeptBlob(sha256, len(content), content, large=True)
    return KeptBlob(sha256, len(content), zlib.compress(content, 1))


def unpack(packed: bytes, size: int) -> bytes:
    """The content again. Raises DamagedContent when it is not what `pack` made of `size` bytes."""
    try:
        content = zlib.decompressobj().decompress(packed, size + 1)
    except zlib.error:
        raise DamagedContent("a stored document does not unpack") from None
    if len(content) != size:
        raise DamagedContent("a stored document has not the size it was stored with")
    return content
