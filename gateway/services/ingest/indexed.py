"""Reading a storage by its index (SSMIXIDX) instead of walking it: which files are new since the last complete run."""

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.codec import index_feed
from gateway.codec.index_feed import IndexRow
from gateway.errors import BadInput, ConfigurationError
from gateway.services.ingest.files import Deleted, Found, walk

_SQLITE: Final = b"SQLite format 3\x00"


@dataclass(slots=True)
class Indexed:
    """One index and the roots its paths count from.

    The watermark is the largest UpdateDatetime of a run that came to its end. Rows of that very moment are looked at
    again: others may have been written in it since, and the ledger knows the files of those that were read. Rows are
    taken in the order of the table, not sorted: what is stored does not depend on it, and memory stays flat.
    """

    index: Path
    roots: Sequence[str]
    watermark_ns: int
    ignored: Callable[[str], bool]
    newest_ns: int = 0
    """Of all rows seen so far."""
    issues: Counter[str] = field(default_factory=Counter)

    def found(self) -> Iterator[Found | None]:
        """Files and deletions that rows from the watermark on tell of; None for a row of which there is nothing to
        read. Raises BadInput, before the first answer, when this is no index."""
        self.newest_ns = self.watermark_ns
        roots = [os.path.realpath(root) for root in self.roots]
        for row in self._rows():
            if isinstance(row, BadInput):
                self.issues["index-row-unusable"] += 1
                yield None
                continue
            if row.updated_ns and row.updated_ns < self.watermark_ns:
                continue
            self.newest_ns = max(self.newest_ns, row.updated_ns)
            yield from self._of(row, roots)

    def _rows(self) -> Iterator[IndexRow | BadInput]:
        try:
            with self.index.open("rb") as file:
                beginning = file.read(len(_SQLITE))
            if beginning == _SQLITE:
                yield from _sqlite_rows(self.index)
                return
            with self.index.open(encoding=_charset(self.index), newline="", errors="replace") as lines:
                yield from index_feed.csv_rows(lines)
        except OSError as error:
            raise ConfigurationError(f"{self.index}: {error.strerror or type(error).__name__}") from None

    def _of(self, row: IndexRow, roots: Sequence[str]) -> Iterator[Found | None]:
        path = _existing(row.path, roots) if row.path else None
        if path is not None:
            yield from walk([path], self.ignored)
        elif row.name.flag == "0":
            name = row.name.name or "_".join(row.name[:6])
            place = os.path.join(roots[0], *row.path) if row.path else f"{roots[0]}/{name}"
            yield Found(os.fsencode(place), 0, row.updated_ns, deleted=Deleted(row.name, row.facility))
        else:
            # A superseded version may be gone by rule (retention); a valid one has to be there.
            self.issues["index-file-missing"] += row.name.flag == "1"
            yield None


def _existing(parts: tuple[str, ...], roots: Sequence[str]) -> str | None:
    """The file or content folder below one of the roots; also when only its flag is another by now. A link that leads
    out of the root is not followed."""
    flags = (parts[-1], *(parts[-1][:-1] + flag for flag in "120")) if parts[-1][-2:-1] == "_" else (parts[-1],)
    for name in flags:
        for root in roots:
            path = os.path.join(root, *parts[:-1], name)
            if os.path.lexists(path) and os.path.realpath(path).startswith(root.rstrip(os.sep) + os.sep):
                return path
    return None


def _charset(path: Path) -> str:
    """UTF-8, or CP932 as Japanese databases export: whichever the first megabyte is."""
    with path.open("rb") as file:
        piece = file.read(1024 * 1024)
    try:
        piece[: piece.rfind(b"\n") + 1 or len(piece)].decode("utf-8")
    except UnicodeDecodeError:
        return "cp932"
    return "utf-8-sig"


def _sqlite_rows(path: Path) -> Iterator[IndexRow | BadInput]:
    """Opened for reading only. Raises BadInput when there is no such table."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            cursor = connection.execute(f"SELECT * FROM {index_feed.TABLE}")
            columns = [column[0] for column in cursor.description]
            yield from index_feed.rows(cursor, columns)
    except sqlite3.Error as error:
        raise BadInput(f"the index cannot be read as SQLite ({type(error).__name__})") from None
