"""電子版お薬手帳 (electronic medication notebook), header JAHISTC01 to 08: its records read, checked, joined and written.

    JAHISTC08,1                     version and direction: 1 provider -> patient, 2 patient -> provider
    1,架空 一郎,1,S450102,...        record number, then its items; no quoting, so no comma inside an item
    ...
    911,20250610000001,2,1          last line of a part: data id, number of parts, number of this part

Bytes are Shift_JIS (CP932 is understood), lines end with CRLF, an EOF mark (1A) may follow. What an item is called, how
long it may be and when it has to be there stands in `mappings/jahistc/records.csv`. Cite: JAHIS 24-104 (Ver.2.6).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Final, NamedTuple

from gateway import mapping_files
from gateway.codec.eight_bit import cp932
from gateway.codec.iso2022 import FOLD
from gateway.errors import BadInput, LimitExceeded
from gateway.model.outcome import Issue

MAX_BYTES: Final = 4 * 1024 * 1024
MAX_RECORDS: Final = 20_000
MAX_ITEMS: Final = 64
"""Items of one line; no record has more than ten."""
NEWEST: Final = 8
SPLIT: Final = "911"
RP_RECORDS: Final = frozenset({"201", "281", "291", "301", "311", "391"})
_HEADER = re.compile(r"JAHISTC([0-9]{2})(?:,(.*))?")
_WESTERN = re.compile(r"[0-9]{8}")
_ERA = re.compile(r"([A-Za-z])([0-9]{2})([0-9]{2})([0-9]{2})")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f]")
"""What FHIR cannot hold in a string."""
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")


class NotebookError(BadInput):
    """Why a notebook is refused, in the words of its records; `where` is line and column."""

    def __init__(self, text: str, where: str = "line 1") -> None:
        super().__init__(text)
        self.where = where


class Record(NamedTuple):
    """One line. `items` are what stands behind the record number, as sent."""

    number: str
    items: tuple[str, ...]
    line: int = 0
    """Counted from 1 in the file it came from; 0 for a record that came from none."""

    def item(self, name: str) -> str:
        """The item of that name without blanks around it, or "" when the line does not have it."""
        at = _positions(self.number).get(name)
        return self.items[at].strip(" \u3000") if at is not None and at < len(self.items) else ""

    def text(self) -> str:
        return ",".join((self.number, *self.items))


class Item(NamedTuple):
    """One row of the table of items."""

    name: str
    kind: str
    size: int
    must: str


@dataclass(frozen=True, slots=True)
class Notebook:
    version: int
    direction: str
    """"1" or "2"; another value stays as it was sent."""
    records: tuple[Record, ...]
    issues: tuple[Issue, ...] = ()
    charset: str = "Shift_JIS"

    @property
    def part(self) -> Record | None:
        """The 911 record of one part of a split notebook."""
        return next((record for record in self.records if record.number == SPLIT), None)


@cache
def layout() -> dict[str, tuple[str, tuple[Item, ...]]]:
    """Record number -> where it may stand, and its items in order."""
    found: dict[str, tuple[str, tuple[Item, ...]]] = {}
    for row in mapping_files.read_csv(mapping_files.path("jahistc", "records.csv")):
        _, items = found.get(row["record"], ("", ()))
        one = Item(row["name"], row["type"], int(row["size"]), row["must"])
        found[row["record"]] = (row["place"], (*items, one))
    return found


@cache
def _positions(number: str) -> dict[str, int]:
    return {item.name: at for at, item in enumerate(layout().get(number, ("", ()))[1])}


# -- reading ----------------------------------------------------------------------------------------------------------


def recognises(data: bytes) -> bool:
    """Whether the bytes begin like a notebook."""
    return data[:16].lstrip(b"\xef\xbb\xbf\r\n \t").startswith(b"JAHISTC")


def parse(data: bytes) -> Notebook:
    """The records of one file, checked. Raises NotebookError for what cannot be trusted (no header, no such date, a drug
    outside a dispensing block, a code that is missing), LimitExceeded for what is too long."""
    if len(data) > MAX_BYTES:
        raise LimitExceeded(f"a notebook of {len(data)} bytes; at most {MAX_BYTES} are read")
    text, charset, issues = _decode(data)
    text = text.split("\x1a", 1)[0]
    if _CONTROL.search(text):
        issues.append(Issue("warning", "control-character", "line 1", "control characters were taken out"))
        text = _CONTROL.sub("", text)
    lines = re.split(r"\r\n|\r|\n", text)
    header = _HEADER.fullmatch(lines[0].strip(" \u3000,"))
    if header is None:
        raise NotebookError("first line is not JAHISTCnn")
    version, direction = int(header[1]), (header[2] or "").strip()
    if version > NEWEST:
        text = f"version {version} is newer than {NEWEST}; its records are read by their position"
        issues.append(Issue("warning", "jahistc-version", "line 1", text))
    if direction not in ("1", "2"):
        text = "the second item of the header is neither 1 (from a provider) nor 2 (from the patient)"
        issues.append(Issue("warning", "jahistc-direction", "line 1, column 2", text))
    records = tuple(_records(lines[1:]))
    checker = _Checker(direction, issues)
    for record in records:
        checker.check(record)
    if not any(record.number == "1" for record in records):
        raise NotebookError("record 1 (the patient) is missing")
    return Notebook(version, direction, records, tuple(issues), charset)


def _decode(data: bytes) -> tuple[str, str, list[Issue]]:
    """Shift_JIS. LENIENT: some apps write UTF-8; it is read with a warning. Bytes that are sound UTF-8 with a character of
    three bytes are no Japanese text in Shift_JIS, though they often decode as one."""
    if b"\x1b" in data:
        return _seven_bit(data)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = ""
    if any(char > "\u07ff" for char in text):
        words = "the file is UTF-8; the standard asks for Shift_JIS"
        return text, "UTF-8", [Issue("warning", "charset-mismatch", "line 1", words)]
    found = cp932(data)
    if found is None:
        raise NotebookError("neither Shift_JIS nor UTF-8 text")
    return found, "Shift_JIS", []


def _seven_bit(data: bytes) -> tuple[str, str, list[Issue]]:
    """LENIENT: ISO-2022-JP, as HL7 messages have it. Without its escapes it would be read as other words."""
    try:
        text = data.decode("iso2022_jp_ext")
    except UnicodeDecodeError:
        raise NotebookError("neither Shift_JIS nor UTF-8 text") from None
    words = "the file is ISO-2022-JP; the standard asks for Shift_JIS"
    return text, "ISO-2022-JP", [Issue("warning", "charset-mismatch", "line 1", words)]


def _records(lines: Sequence[str]) -> Iterator[Record]:
    count = 0
    for number, line in enumerate(lines, start=2):
        if not line.strip(" \u3000\x00"):
            continue
        count += 1
        if count > MAX_RECORDS:
            raise LimitExceeded(f"more than {MAX_RECORDS} records")
        head, *items = line.split(",", MAX_ITEMS + 1)
        if len(items) > MAX_ITEMS:
            raise LimitExceeded(f"a record with more than {MAX_ITEMS} items")
        yield Record(head.strip(" \u3000"), tuple(items), number)


class _Checker:
    """Goes through the records in order: what is wrong with one is an error when no reader could know what was meant,
    else a warning. The standard's own examples have short records and blanks at the end."""

    def __init__(self, direction: str, issues: list[Issue]) -> None:
        self._direction, self._issues = direction, issues
        self._in_block = self._ended = False
        self._seen: set[str] = set()

    def check(self, record: Record) -> None:
        place, items = layout().get(record.number, ("", ()))
        where = f"line {record.line}"
        if self._ended:
            self._warn("record-order", where, "records after 911, which ends a part")
        if not items:
            self._warn("record-unknown", where, f"record {_shown(record.number)} is not in the standard; it is kept")
            return
        self._order(record, place, where)
        if len(record.items) > len(items):
            text = f"record {record.number} has {len(record.items)} items; {len(items)} are known, all are kept"
            self._warn("record-length", where, text)
        for number, item in enumerate(items, start=1):
            self._item(record, number, item)
        _codes(record)

    def _order(self, record: Record, place: str, where: str) -> None:
        number = record.number
        if place == "head" and number in self._seen:
            raise NotebookError(f"record {number} comes twice", where)
        if number == "5":
            self._in_block = True
        elif place in ("block", "rp") and not self._in_block:
            raise NotebookError(f"record {number} outside a dispensing block", where)
        elif place == "last":
            self._ended = True
        self._seen.add(number)

    def _item(self, record: Record, number: int, item: Item) -> None:
        sent = record.items[number - 1] if number <= len(record.items) else ""
        value = sent.strip(" \u3000")
        where = f"line {record.line}, column {number + 1}"
        if not value:
            if item.must == "B" or (item.must == "P" and self._direction == "1"):
                self._warn("item-missing", where, f"record {record.number} item {number} ({item.name}) has to be there")
            return
        if value != sent:
            self._warn("item-blanks", where, f"record {record.number} item {number} has blanks around it")
        if len(encoded(value)) > item.size:
            text = f"record {record.number} item {number} is longer than {item.size} bytes; it is kept whole"
            self._warn("item-too-long", where, text)
        if item.kind == "9" and not _NUMBER.fullmatch(value):
            self._warn("not-a-number", where, f"record {record.number} item {number} has to be a number")
        if item.name in _DATES:
            self._date(record, number, item, value, where)

    def _date(self, record: Record, number: int, item: Item, value: str, where: str) -> None:
        found = day(value)
        if found is None:
            text = f"record {record.number} item {number}: no such date"
            if item.must == "B":
                raise NotebookError(text, where)
            self._warn("bad-date", where, text)
        elif found.slipped:
            text = f"record {record.number} item {number}: the day is not in the era it is written in"
            self._warn("era-slip", where, text)

    def _warn(self, code: str, where: str, text: str) -> None:
        self._issues.append(Issue("warning", code, where, text))


_DATES: Final = frozenset({"birth", "date", "start", "end"})
_CODED: Final = (("201", "kind", "code", 6), ("301", "kind", "code", 7), ("31", "kind", "code", 4))


def _codes(record: Record) -> None:
    """A kind of code other than 1 (none) has to have its code."""
    for number, kind, code, at in _CODED:
        if record.number == number and record.item(kind) not in ("", "1") and not record.item(code):
            text = f"record {number} item {at}: code missing for code kind {_shown(record.item(kind))}"
            raise NotebookError(text, f"line {record.line}, column {at + 1}")


def _shown(value: str) -> str:
    """A record number or kind for an error text; anything longer may be a patient's."""
    return value if len(value) <= 4 and value.isalnum() and value.isascii() else "?"


class Day(NamedTuple):
    iso: str
    slipped: bool
    """The era does not hold the day (H310501 for R010501); the day is sure all the same."""


@cache
def _eras() -> dict[str, tuple[date, date]]:
    rows = list(mapping_files.read_csv(mapping_files.path("tables", "eras.csv")))
    days = [date.fromisoformat(row["first_day"]) for row in rows]
    return {row["letter"]: (first, after) for row, first, after in zip(rows, days, [*days[1:], date.max], strict=True)}


def day(value: str) -> Day | None:
    """Eight western digits, or era letter (M T S H R) and YYMMDD, to an ISO date. None when there is no such day."""
    value = value.strip(" \u3000")
    try:
        if _WESTERN.fullmatch(value):
            return Day(date(int(value[:4]), int(value[4:6]), int(value[6:])).isoformat(), False)
        found = _ERA.fullmatch(value)
        era = _eras().get(found[1].upper()) if found else None
        if found is None or era is None or found[2] == "00":
            return None
        first, after = era
        when = date(first.year + int(found[2]) - 1, int(found[3]), int(found[4]))
    except ValueError:
        return None
    return Day(when.isoformat(), not first <= when < after)


# -- writing ----------------------------------------------------------------------------------------------------------

LOST: Final = "■"
"""What the standard puts for a character outside JIS X 0208 (外字)."""
_TO_MICROSOFT: Final = str.maketrans({after: before for before, after in FOLD.items()})


class Written(NamedTuple):
    data: bytes
    lost: tuple[str, ...]
    """`record 201 item 2` for each item with a character that JIS X 0208 does not have; ■ stands for it."""


def render(records: Iterable[Record], *, version: int = NEWEST, direction: str = "1") -> Written:
    """The file: Shift_JIS of JIS X 0208 only, CRLF, no EOF mark. A comma in an item becomes the full-width one, because
    the format has no way to write it; control characters become blanks."""
    lines = [f"JAHISTC{version:02},{direction}".encode("ascii")]
    lost: list[str] = []
    for record in records:
        items = []
        for number, value in enumerate(record.items, start=1):
            data, missing = _strict(_tidy(value))
            items.append(data)
            if missing:
                lost.append(f"record {_shown(record.number)} item {number}")
        lines.append(b",".join((_strict(_tidy(record.number))[0], *items)))
    return Written(b"\r\n".join(lines) + b"\r\n", tuple(lost))


def encoded(text: str) -> bytes:
    """The bytes an item takes in the file."""
    return text.translate(_TO_MICROSOFT).encode("cp932", "replace")


def _tidy(value: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]", " ", value.replace(",", "，"))


def _strict(text: str) -> tuple[bytes, bool]:
    try:
        data = text.translate(_TO_MICROSOFT).encode("cp932")
        data.decode("shift_jis")
    except UnicodeError:
        return b"".join(_one(char) for char in text), True
    return data, False


def _one(char: str) -> bytes:
    try:
        data = char.translate(_TO_MICROSOFT).encode("cp932")
        data.decode("shift_jis")
    except UnicodeError:
        return LOST.encode("cp932")
    return data
