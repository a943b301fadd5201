"""SSMIXIDX, the index database (インデックスデータベース) of an SS-MIX2 storage, as rows: which files came, went or changed.

One table for standardised and extended storage. Whoever has it open gives the rows as text: from an export (CSV) or a
copy in SQLite; ODBC itself is not spoken. Sans-IO.
"""

import calendar
import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from gateway.codec.ssmix2 import FileName, parse_name
from gateway.errors import BadInput

COLUMNS: Final = (
    "VolumeLabel",
    "FacilityID",
    "PatientID",
    "OrderDate",
    "DataKind",
    "OrderNo",
    "ProcessingType",
    "EnterOrgCD",
    "TransactionDatetime",
    "OutRelDirectory",
    "FileName",
    "UpdateDatetime",
)
"""In the order of the table (NHO doc/index_db.md)."""
TABLE: Final = "SSMIXIDX"
_MAX_CELL: Final = 2_000
_COMPACT = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})(?:([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{0,9}))?")
_APART = re.compile(
    r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})(?:[ T-]+([0-9]{1,2})[:.]([0-9]{1,2})(?:[:.]([0-9]{1,2})(?:[.,]([0-9]{1,9}))?)?)?"
    r"(?: ?(?:Z|[+-][0-9]{2}:?[0-9]{2}))?"
)


class IndexRow(NamedTuple):
    """One row that says where a document lies, or that it was deleted."""

    facility: str
    name: FileName
    """Of the document; flag 0 for a deletion, else that of the file name."""
    deletion: bool
    """ProcessingType DEL."""
    path: tuple[str, ...]
    """Folders below the storage root, then the name; () when the row names no file. Never `..`."""
    updated_ns: int
    """UpdateDatetime as nanoseconds since 1970, on the database's own clock without a zone; 0 when unreadable."""


def rows(table: Iterable[Sequence[object]], columns: Sequence[str] = COLUMNS) -> Iterator[IndexRow | BadInput]:
    """One a row of the table, in its order; BadInput (returned, not raised) for a row that cannot be used."""
    wanted = [column.lower() for column in columns]
    at = [wanted.index(column.lower()) if column.lower() in wanted else -1 for column in COLUMNS]
    for cells in table:
        texts = [_text(cells[n]) if 0 <= n < len(cells) else "" for n in at]
        if not any(texts):
            continue
        try:
            yield _row(*texts)
        except BadInput as error:
            yield error


def csv_rows(lines: Iterable[str]) -> Iterator[IndexRow | BadInput]:
    """The same from CSV or TSV, with or without a line of column names. Raises BadInput when the first line has neither
    the names nor the number of the columns."""
    source = iter(lines)
    first = next(source, "")
    delimiter = "\t" if first.count("\t") >= len(COLUMNS) - 2 else ","
    head = [cell.strip() for cell in next(csv.reader([first.lstrip("\ufeff")], delimiter=delimiter), [])]
    names = {column.lower() for column in COLUMNS}
    if "filename" in {cell.lower() for cell in head} and len(names & {cell.lower() for cell in head}) >= 6:
        yield from rows(csv.reader(source, delimiter=delimiter), head)
    elif len(head) == len(COLUMNS):
        yield from rows([head])
        yield from rows(csv.reader(source, delimiter=delimiter))
    else:
        raise BadInput("not an export of SSMIXIDX: neither its column names nor twelve columns")


def _text(value: object) -> str:
    """Databases give blanks behind char columns, and numbers where all is digits."""
    text = "" if value is None else str(value).strip()
    return text if len(text) <= _MAX_CELL else ""


def _row(
    _volume: str,
    facility: str,
    patient: str,
    date: str,
    kind: str,
    order_no: str,
    action: str,
    department: str,
    timestamp: str,
    directory: str,
    file: str,
    updated: str,
) -> IndexRow:
    action = action.upper()
    if action not in ("INS", "DEL"):
        raise BadInput("ProcessingType is neither INS nor DEL")
    made = re.sub("[^0-9]", "", timestamp)[:17].ljust(17, "0")
    parts = _path(directory, file)
    try:
        name = parse_name(file)
    except BadInput:
        if not (patient and kind and order_no and timestamp):
            raise BadInput("neither FileName nor the columns name a document") from None
        flag = "0" if action == "DEL" else "1"
        date = re.sub("[-/]", "", date) or "-"
        name = FileName(patient, date, kind, order_no, made, department or "-", flag, file)
    if action == "DEL":
        name = name._replace(flag="0", timestamp=made if timestamp else name.timestamp)
    return IndexRow(facility, name, action == "DEL", parts, nanoseconds(updated))


def _path(directory: str, file: str) -> tuple[str, ...]:
    """OutRelDirectory and FileName as parts. Raises BadInput for a path that would leave the root."""
    if not file:
        return ()
    parts = [part for part in re.split(r"[\\/]+", f"{directory}/{file}") if part not in ("", ".")]
    if any(part == ".." or "\x00" in part for part in parts) or re.match(r"[A-Za-z]:", next(iter(parts), "")):
        raise BadInput("the path of an index row leads out of the storage")
    if len(parts) > 1 and parts[-1] == parts[-2]:  # LENIENT: OutRelDirectory with the name already behind it
        parts.pop()
    return tuple(parts)


def nanoseconds(text: str) -> int:
    """`20240601120000123`, `2024-06-01 12:00:00.123`, `2024/6/1 12:00:00` ...; 0 for anything else. A zone is not
    looked at: all times of one database have the same."""
    match = _COMPACT.fullmatch(text) or _APART.fullmatch(text)
    if match is None:
        return 0
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    fraction = int((match[7] or "").ljust(9, "0"))
    if not (year >= 1970 and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1] and year < 2200):
        return 0
    if hour > 23 or minute > 59 or second > 59:
        return 0
    return calendar.timegm((year, month, day, hour, minute, second)) * 1_000_000_000 + fraction
