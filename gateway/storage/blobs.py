"""Original bytes by SHA-256. Implements ports.Blobs.

A blob of at most SMALL bytes is a row (zlib): one file of a storage is then one transaction and not three fsyncs. The
bytes of a larger one are an object of their own under its address, in a folder (blob_files.py) or an S3-compatible
store (blob_s3.py), durable before the transaction that mentions it begins. A crash in between leaves an object nobody
mentions: storing the same bytes again adopts it, and `sweep` takes away what was never adopted.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import BinaryIO, Final, NamedTuple, Protocol

from sqlalchemy import Engine, select

from gateway.codec.packing import SMALL, pack, unpack
from gateway.errors import DamagedContent, LimitExceeded, SourceChanged, UnknownDocument
from gateway.model.ingest import KeptBlob
from gateway.ports import Received
from gateway.storage.engines import CHUNK
from gateway.storage.schema import blob

PIECE: Final = 256 * 1024
"""Bytes read or written at once."""
GRACE: Final = timedelta(hours=24)
"""Age before an object that no row names is swept. A writer makes its object first and its row after that, and no
request takes a day; an object it finds there and adopts is made young again."""


class Object(NamedTuple):
    """Something the object store holds."""

    name: str
    """Its address, or another name for what a broken write left."""
    modified: datetime


class Objects(Protocol):
    """Where the bytes of large blobs are: by address, whole or not at all."""

    def open(self, address: str) -> BinaryIO:
        """Unchecked bytes, in pieces. Raises FileNotFoundError when there are none, Unavailable when the store cannot
        be asked."""

    def put(self, address: str, pieces: Iterable[bytes], size: int) -> None:
        """Durable when it returns. What is there already stays, and is young again. An error of `pieces` leaves
        nothing. Raises Unavailable."""

    def incoming(self) -> "Incoming":
        """Takes bytes whose address is known only at their end. Raises Unavailable."""

    def __iter__(self) -> Iterator[Object]: ...

    def remove(self, name: str, before: datetime) -> bool:
        """Takes an object away that is older than `before`, and says whether it did."""


class Incoming(Protocol):
    """Bytes on their way in; nothing of them is left when `keep` was not called."""

    def write(self, piece: bytes) -> None:
        """Raises Unavailable when the place is full or gone."""

    def keep(self, address: str, size: int) -> None:
        """Durable under this address when it returns. Raises Unavailable."""

    def drop(self) -> None: ...


class BlobStore:
    """ports.Blobs, and the writing of large ones."""

    def __init__(self, engine: Engine, objects: Objects) -> None:
        self._engine, self._objects = engine, objects

    def open(self, sha256: str) -> BinaryIO:
        """A stream that checks what it reads; DamagedContent comes at the latest with the last byte."""
        try:
            address = bytes.fromhex(sha256)
        except ValueError:
            raise UnknownDocument("no blob of this address") from None
        with self._engine.connect() as connection:
            row = connection.execute(select(blob.c.size, blob.c.content).where(blob.c.sha256 == address)).first()
        if row is None:
            raise UnknownDocument("no blob of this address")
        if row.content is not None:
            return io.BytesIO(_unpack(row.content, row.size, address))
        try:
            raw = self._objects.open(address.hex())
        except FileNotFoundError:
            raise DamagedContent("a stored document is missing from the blob store") from None
        return io.BufferedReader(_Checked(raw, address, row.size), PIECE)

    def receive(self, pieces: Iterable[bytes], max_bytes: int) -> Received:
        """Takes a document of unknown size. Memory holds a small one or a piece of a large one, never more."""
        sha256, sha1 = hashlib.sha256(), hashlib.sha1(usedforsecurity=False)
        head, size = bytearray(), 0
        large: Incoming | None = None
        try:
            for piece in pieces:
                size += len(piece)
                if size > max_bytes:
                    raise LimitExceeded(f"a document larger than {max_bytes} bytes")
                sha256.update(piece)
                sha1.update(piece)
                if large is None and size > SMALL:
                    large = self._objects.incoming()
                    large.write(bytes(head))
                    head.clear()
                if large is None:
                    head += piece
                else:
                    large.write(piece)
            address = sha256.hexdigest()
            if large is None:
                return Received(pack(address, bytes(head)), sha1.hexdigest())
            large.keep(address, size)
            return Received(KeptBlob(address, size, b"", large=True), sha1.hexdigest())
        except BaseException:
            if large is not None:
                large.drop()
            raise

    def put_large(self, blobs: Iterable[KeptBlob]) -> None:
        """Makes the objects of large blobs durable; one that is there already is left alone. Raises Unavailable when
        the store cannot take them: that is no fault of the file that is being stored; SourceChanged when a file that is
        copied is no longer the one that was read."""
        for one in blobs:
            if one.content or one.file or not one.size:  # else `receive` made it
                self._objects.put(one.sha256, _pieces(one), one.size)

    def files(self) -> Iterator[str]:
        """Names of all objects, for the check that none is without a row."""
        for one in self._objects:
            yield one.name

    def sweep(self, now: datetime, grace: timedelta = GRACE) -> int:
        """Takes away the objects no row names that are older than `grace`: what a writer is about to name is younger.
        Returns how many. Raises Unavailable."""
        removed, old, before = 0, list[str](), now - grace
        for one in self._objects:
            if one.modified < before:
                old.append(one.name)
            if len(old) == CHUNK:
                removed += self._sweep(old, before)
                old.clear()
        return removed + self._sweep(old, before)

    def _sweep(self, names: list[str], before: datetime) -> int:
        addresses = [address for name in names if (address := _address(name))]
        with self._engine.connect() as connection:
            known = set(connection.scalars(select(blob.c.sha256).where(blob.c.sha256.in_(addresses))))
        orphans = [name for name in names if _address(name) not in known]
        return sum(self._objects.remove(name, before) for name in orphans)


def _address(name: str) -> bytes:
    """Empty for what is no address: the rest of a write that came to no end."""
    try:
        return bytes.fromhex(name)
    except ValueError:
        return b""


def _pieces(one: KeptBlob) -> Iterator[bytes]:
    """The blob's bytes; of a file in pieces, and refused at its end when they are others than were read."""
    if not one.file:
        yield one.content
        return
    digest = hashlib.sha256()
    try:
        source = open(one.file, "rb", buffering=0)  # noqa: SIM115 - what fails here is the source, not our disk
    except OSError:
        raise SourceChanged("the file is gone or cannot be read any more") from None
    with source:
        while piece := source.read(PIECE):
            digest.update(piece)
            yield piece
    if digest.hexdigest() != one.sha256:
        raise SourceChanged("the file was changed after it was read")


def _unpack(content: bytes, size: int, address: bytes) -> bytes:
    data = unpack(content, size)
    if hashlib.sha256(data).digest() != address:
        raise DamagedContent("a stored document no longer matches its hash")
    return data


class _Checked(io.RawIOBase):
    """Reads an object once from front to back and refuses its end when the hash is another."""

    def __init__(self, file: BinaryIO, address: bytes, size: int) -> None:
        self._file, self._address, self._left, self._hash = file, address, size, hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._file.read(len(buffer))
        self._hash.update(data)
        self._left -= len(data)
        # Checked together with the last piece, not after it: who stops at the announced size has seen the refusal.
        if self._left < 0 or (not data and self._left) or (self._left == 0 and self._hash.digest() != self._address):
            raise DamagedContent("a stored document no longer matches its hash")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()
