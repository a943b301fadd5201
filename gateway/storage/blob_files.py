"""Large blobs as files `ab/cd/<sha256>` of a folder: written beside, renamed, and synced with their folders."""

import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import file_digest
from itertools import count
from pathlib import Path
from typing import BinaryIO, Final

from gateway.errors import Unavailable
from gateway.storage.blobs import Object

_INCOMING: Final = "incoming"
_SWEPT: Final = ".swept"
_HOST: Final = socket.gethostname().replace(".", "-")
_numbers = count()


class FileObjects:
    """storage.blobs.Objects in a folder of one file system."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._tidy = False

    def open(self, address: str) -> BinaryIO:
        try:
            return self._path(address).open("rb", buffering=0)
        except OSError:
            raise FileNotFoundError(address) from None

    def put(self, address: str, pieces: Iterable[bytes], size: int) -> None:
        if self._adopt(address, size):
            return
        incoming = self.incoming()
        try:
            for piece in pieces:
                incoming.write(piece)
            incoming.keep(address, size)
        except BaseException:
            incoming.drop()
            raise

    def incoming(self) -> "_IncomingFile":
        try:
            folder = self._directory / _INCOMING
            folder.mkdir(parents=True, exist_ok=True)
            if not self._tidy:
                self._tidy = True
                _take_away_dead(folder)
            return _IncomingFile(self, folder / f"{_HOST}.{os.getpid()}.{next(_numbers)}.part")
        except OSError as error:
            raise _unavailable(error) from None

    def __iter__(self) -> Iterator[Object]:
        for pattern in ("??/??/*", f"{_INCOMING}/*"):
            for path in sorted(self._directory.glob(pattern)):
                with suppress(FileNotFoundError):
                    yield Object(path.name, _modified(path))

    def remove(self, name: str, before: datetime) -> bool:
        """A writer that adopts the file makes it young first. So it is moved aside, looked at again, and put back when
        it was adopted in between; a writer that comes later finds none and writes its own."""
        path = self._path(name) if len(name) == 64 else self._place(name)
        aside = path.with_name(path.name + _SWEPT)
        try:
            path.rename(aside)
            if _modified(aside) >= before:
                aside.rename(path)
                return False
            aside.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _unavailable(error) from None
        return True

    def keep(self, part: Path, address: str, descriptor: int) -> None:
        """A written file becomes the object of an address. It is renamed first and synced then: one commit of the file
        system's journal holds both, and the folders cost little more. Nobody relies on the name before: `_adopt`."""
        path = self._path(address)
        folders = [folder for folder in path.parents if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        part.replace(path)
        os.fsync(descriptor)
        for folder in dict.fromkeys((path.parent, *(folder.parent for folder in folders))):
            _sync_folder(folder)

    def _adopt(self, address: str, size: int) -> bool:
        """Whether the object is there already, whole and durable. Another process may be about to sync it, or have been
        killed before it did, so it is read and synced once more; one that is damaged is written anew."""
        path = self._path(address)
        try:
            os.utime(path)
            with path.open("rb", buffering=0) as file:
                if os.fstat(file.fileno()).st_size != size or file_digest(file, "sha256").hexdigest() != address:
                    return False
                os.fsync(file.fileno())
            _sync_folder(path.parent)
        except OSError:
            return False  # none there, or none that can be taken over: then it is written
        return True

    def _path(self, address: str) -> Path:
        return self._directory / address[:2] / address[2:4] / address

    def _place(self, name: str) -> Path:
        """Of a file that is no object: what a write that came to no end left."""
        incoming = self._directory / _INCOMING / name
        return incoming if incoming.exists() else self._path(name)


class _IncomingFile:
    def __init__(self, objects: FileObjects, part: Path) -> None:
        self._objects, self._part = objects, part
        self._file = part.open("wb")

    def write(self, piece: bytes) -> None:
        try:
            self._file.write(piece)
        except OSError as error:
            raise _unavailable(error) from None

    def keep(self, address: str, size: int) -> None:
        try:
            self._file.flush()
            self._objects.keep(self._part, address, self._file.fileno())
            self._file.close()
        except OSError as error:
            raise _unavailable(error) from None

    def drop(self) -> None:
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._part.unlink(missing_ok=True)


def _take_away_dead(folder: Path) -> None:
    """What processes of this machine that were killed left half written."""
    for part in folder.glob(f"{_HOST}.*.*.part"):
        if not _alive(part.name.split(".")[1]):
            part.unlink(missing_ok=True)


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (ValueError, PermissionError, OverflowError):
        return True
    return True


def _unavailable(error: OSError) -> Unavailable:
    return Unavailable(f"[blobs] the blob directory cannot be written: {error.strerror}")


def _modified(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _sync_folder(folder: Path) -> None:
    """The name of a new file is durable only with its folder (fsync(2)); Windows has no such call and no such need."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
