"""Original bytes by SHA-256. Implements ports.Blobs.

A blob of at most SMALL bytes is a row (zlib): one file of a storage is then one transaction and not three fsyncs. A
larger one is a file `ab/cd/<sha256>` below the blob directory, written beside, synced, renamed, and its folder synced,
before the transaction that mentions it begins. A crash in between leaves a file nobody mentions; reading the same
source again adopts it.
"""

import hashlib
import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from sqlalchemy import Engine, select

from gateway.codec.packing import unpack
from gateway.errors import DamagedContent, SourceChanged, Unavailable, UnknownDocument
from gateway.model.ingest import KeptBlob
from gateway.storage.schema import blob

_PIECE: Final = 256 * 1024


class BlobStore:
    """ports.Blobs, and the writing of large ones."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        self._engine, self._directory = engine, directory

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
            raw = self._path(sha256).open("rb")
        except OSError:
            raise DamagedContent("a stored document is missing from the blob directory") from None
        return io.BufferedReader(_Checked(raw, address, row.size), _PIECE)

    def put_large(self, blobs: Iterable[KeptBlob]) -> None:
        """Makes the files of large blobs durable; one that is there already is left alone. Raises Unavailable when the
        directory cannot take them: that is no fault of the file that is being stored; SourceChanged when a file that is
        copied is no longer the one that was read."""
        for one in blobs:
            path = self._path(one.sha256)
            try:
                if not path.exists():
                    self._write(path, _pieces(one))
            except OSError as error:
                raise Unavailable(f"[blobs] the blob directory cannot be written: {error.strerror}") from None

    def files(self) -> Iterator[str]:
        """Addresses of all files in the directory, for the check that none is without a row."""
        for path in sorted(self._directory.glob("??/??/*")):
            yield path.name

    def _path(self, sha256: str) -> Path:
        return self._directory / sha256[:2] / sha256[2:4] / sha256

    def _write(self, path: Path, pieces: Iterable[bytes]) -> None:
        folders = [folder for folder in path.parents if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                file.writelines(pieces)
                file.flush()
                os.fsync(file.fileno())
        except SourceChanged:
            part.unlink(missing_ok=True)
            raise
        part.replace(path)
        for folder in {path.parent, *(folder.parent for folder in folders)}:
            _sync_folder(folder)
        _sweep(path)


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
        while piece := source.read(_PIECE):
            digest.update(piece)
            yield piece
    if digest.hexdigest() != one.sha256:
        raise SourceChanged("the file was changed after it was read")


def _sweep(path: Path) -> None:
    """Takes away what a process that was killed left of this blob."""
    for part in path.parent.glob(f"{path.name}.*.part"):
        if not _alive(part.suffixes[-2][1:] if len(part.suffixes) > 1 else ""):
            part.unlink(missing_ok=True)


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (ValueError, PermissionError, OverflowError):
        return True
    return True


def _sync_folder(folder: Path) -> None:
    """The name of a new file is durable only with its folder (fsync(2)); Windows has no such call and no such need."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unpack(content: bytes, size: int, address: bytes) -> bytes:
    data = unpack(content, size)
    if hashlib.sha256(data).digest() != address:
        raise DamagedContent("a stored document no longer matches its hash")
    return data


class _Checked(io.RawIOBase):
    """Reads a file once from front to back and refuses its end when the hash is another."""

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
