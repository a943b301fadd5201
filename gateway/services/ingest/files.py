"""Walking storage roots, one scandir a folder and memory by depth only; and reading a file that others may be writing."""

import os
from collections.abc import Callable, Iterator, Sequence
from io import FileIO
from typing import NamedTuple


class Found(NamedTuple):
    """One regular file, or a path that could not even be looked at (`error`)."""

    path: bytes
    size: int
    mtime_ns: int
    error: str = ""


def walk(roots: Sequence[str], ignored: Callable[[str], bool]) -> Iterator[Found | None]:
    """Every file below the roots, in order of name; None stands for a file that is ignored by its name.

    Links to folders are not followed: a link to a parent would never end. A file named twice (overlapping roots)
    comes twice; the ledger makes the second one `unchanged`.
    """
    for root in roots:
        path = os.fsencode(os.path.abspath(root))
        try:
            status = os.stat(path)
        except OSError as error:
            yield Found(path, 0, 0, error.strerror or type(error).__name__)
            continue
        if os.path.isdir(path):
            yield from _folder(path, ignored)
        else:
            yield Found(path, status.st_size, status.st_mtime_ns)


def _folder(root: bytes, ignored: Callable[[str], bool]) -> Iterator[Found | None]:
    """Depth first without recursion. The names of one folder at a time are in memory, and its siblings still to do."""
    stack = [root]
    while stack:
        folder = stack.pop()
        try:
            with os.scandir(folder) as entries:
                names = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield Found(folder, 0, 0, error.strerror or type(error).__name__)
            continue
        below: list[bytes] = []
        for entry in names:
            if ignored(os.fsdecode(entry.name)):
                if not entry.is_dir(follow_symlinks=False):
                    yield None
            elif entry.is_dir(follow_symlinks=False):
                below.append(entry.path)
            else:
                found = _file(entry)
                if found is not None:
                    yield found
        stack += reversed(below)


def _file(entry: os.DirEntry[bytes]) -> Found | None:
    """None for what is no file: sockets, devices, links to folders."""
    try:
        status = entry.stat()
    except OSError as error:
        return Found(entry.path, 0, 0, error.strerror or type(error).__name__)
    return Found(entry.path, status.st_size, status.st_mtime_ns) if entry.is_file() else None


class Unreadable(Exception):
    """The file system refuses; the text is its own."""


class Gone(Exception):
    """Renamed or removed since the walk saw it, as SS-MIX2 does when a successor comes."""


class TooLarge(Exception):
    """More bytes than are read."""


class Changed(Exception):
    """Somebody writes the file while we read it."""


class Content(NamedTuple):
    data: bytes
    size: int
    mtime_ns: int


def read_steadily(path: bytes, max_bytes: int) -> Content:
    """A file as it was at one moment: size and time are the same before and after. Once more when they are not.

    A hospital system writes into the storage while we read it, and renames a file when its successor comes.
    """
    for _ in range(2):
        try:
            with open(path, "rb", buffering=0) as file:
                before = os.fstat(file.fileno())
                if before.st_size > max_bytes:
                    raise TooLarge
                data = _all(file, before.st_size)
                after = os.fstat(file.fileno())
        except FileNotFoundError:
            raise Gone from None
        except OSError as error:
            raise Unreadable(error.strerror or type(error).__name__) from None
        if (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns) and len(data) == after.st_size:
            return Content(data, after.st_size, after.st_mtime_ns)
    raise Changed


def _all(file: FileIO, size: int) -> bytes:
    """The whole file, by raw reads that may come in pieces; a little more than `size` when it has grown."""
    pieces: list[bytes] = []
    left = size + 1
    while left > 0 and (piece := file.read(left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)
