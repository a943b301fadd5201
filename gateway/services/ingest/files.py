"""Walking storage roots, one scandir a folder and memory by depth only; and reading a file that others may be writing."""

import os
from collections.abc import Callable, Iterator, Sequence
from io import FileIO
from typing import NamedTuple

from gateway.codec.document import PIECE
from gateway.codec.ssmix2 import CONTENT_DEPTH, FileName, may_be_document, place, text_of
from gateway.codec.transaction_storage import is_transaction_file, is_year


class Deleted(NamedTuple):
    """A deletion that only an index tells of."""

    name: FileName
    facility: str
    """As the index names it."""


class Found(NamedTuple):
    """One regular file, or a path that could not even be looked at (`error`), or one that is gone (`deleted`)."""

    path: bytes
    size: int
    mtime_ns: int
    error: str = ""
    deleted: Deleted | None = None


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
        transactions = _holds_transactions(root, folder, names)
        for entry in names:
            name = os.fsdecode(entry.name)
            if ignored(name) and not (transactions and is_transaction_file(name)) and not _filed(folder, name):
                if not entry.is_dir(follow_symlinks=False):
                    yield None
            elif entry.is_dir(follow_symlinks=False):
                below.append(entry.path)
            elif (found := _file(entry)) is not None:
                yield found
        stack += reversed(below)


def _filed(folder: bytes, name: str) -> bool:
    """Whether a file of a name that is left out elsewhere lies in a content folder of the extended storage."""
    return may_be_document(name) and bool(place(f"{text_of(folder)}/{name}").inside)


def _holds_transactions(root: bytes, folder: bytes, names: Sequence[os.DirEntry[bytes]]) -> bool:
    """Whether files of the transaction storage in this folder are read: where it is the root that was named (or one of
    its years) and no standardised storage. Inside a storage they repeat what stands there, and are left out."""
    if folder == root:
        return not any(len(entry.name) <= 3 and entry.is_dir(follow_symlinks=False) for entry in names)
    return os.path.dirname(folder) == root and is_year(os.fsdecode(os.path.basename(folder)))


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


def renamed(path: bytes, is_document: Callable[[str], bool]) -> bytes | None:
    """Where a file is now of which the name, or its content folder's, got another condition flag since it was seen."""
    head, below = path, b""
    for _ in range(CONTENT_DEPTH + 1):
        folder, name = os.path.split(head)
        if is_document(os.fsdecode(name)):
            for flag in (b"2", b"0", b"1"):
                moved = os.path.join(folder, name[:-1] + flag) + below
                if moved != path and os.path.isfile(moved):
                    return moved
        head, below = folder, b"/" + name + below
    return None


def beginning(path: bytes, size: int) -> bytes:
    """The first bytes of a file. Raises Gone and Unreadable."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(size) or b""
    except FileNotFoundError:
        raise Gone from None
    except OSError as error:
        raise Unreadable(error.strerror or type(error).__name__) from None


class Content(NamedTuple):
    data: bytes
    size: int
    mtime_ns: int


def read_steadily(path: bytes, max_bytes: int) -> Content:
    """A file as it was at one moment: size and time are the same before and after. Once more when they are not.

    A hospital system writes into the storage while we read it, and renames a file when its successor comes.
    """
    taken: list[bytes] = []

    def begin() -> Callable[[bytes], object]:
        taken.clear()
        return taken.append

    size, mtime_ns = pass_steadily(path, max_bytes, begin)
    return Content(b"".join(taken), size, mtime_ns)


def pass_steadily(path: bytes, max_bytes: int, begin: Callable[[], Callable[[bytes], object]]) -> tuple[int, int]:
    """The same for a file that is not held whole: its pieces go to what `begin` gives, which is asked anew for the
    second attempt. Returns (size, mtime_ns)."""
    for _ in range(2):
        try:
            with open(path, "rb", buffering=0) as file:
                before = os.fstat(file.fileno())
                if before.st_size > max_bytes:
                    raise TooLarge
                count = _all(file, before.st_size, begin())
                after = os.fstat(file.fileno())
        except FileNotFoundError:
            raise Gone from None
        except OSError as error:
            raise Unreadable(error.strerror or type(error).__name__) from None
        if (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns) and count == after.st_size:
            return after.st_size, after.st_mtime_ns
    raise Changed


def _all(file: FileIO, size: int, take: Callable[[bytes], object]) -> int:
    """The whole file, by raw reads that may come in pieces; a little more than `size` when it has grown."""
    left = size + 1
    while left > 0 and (piece := file.read(min(left, PIECE))):
        take(piece)
        left -= len(piece)
    return size + 1 - left
