"""A flat CSV file with the records of one type (ours, 2): header row of physical names, one record a line -> the envelope
that says the same, so that everything after is one path.

    consortium_id,person_id,send_time,observation_time,body_weight,...,update_time
    TST001,P0000001,20171005210000123,20171001070000,72.50,...,20171005093000000

UTF-8 or CP932. `send_time` and `format_version` may be missing: then the newest update time, and 1.0. An empty cell is an
item that was not measured.
"""

import codecs
import csv
import io
import re
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.codec.eight_bit import cp932
from gateway.model.outcome import Issue
from gateway.translate.exchange_spec import exact
from gateway.translate.exchange_spec.envelope import MAX_BYTES, Refused, real_time
from gateway.translate.exchange_spec.findings import finding
from gateway.translate.exchange_spec.items import RecordType, aliases, record_types

_HEAD: Final = 4096
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?", re.ASCII)
_OF_FILE: Final = ("format_version", "send_time", "consortium_id")
_POINTER = re.compile(r"(/person_information/[0-9]+)(/[^/]+/[^/]+/[0-9]+)?(?:/(.*))?")


@dataclass(frozen=True, slots=True)
class Flat:
    document: dict[str, Any]
    """The envelope."""
    issues: list[Issue]
    lines: dict[str, int]
    """Pointer of a person (its first line) or record -> line of the file."""
    columns: dict[str, int]
    """Name -> column, both counted from 1."""

    def located(self, where: str) -> str:
        """Line and column instead of a JSON pointer."""
        if where.startswith("line "):
            return where
        found = _POINTER.fullmatch(where)
        if found is None:
            return f"line 1{self._column(where.removeprefix('/'))}"
        line = self.lines.get(found[1] + (found[2] or ""), self.lines.get(found[1], 1))
        return f"line {line}{self._column(found[3] or '')}"

    def _column(self, name: str) -> str:
        return f", column {self.columns[name]}" if name in self.columns else ""


def recognises(data: bytes) -> bool:
    """A first line with the names of a person and of what every record has."""
    line = data[:_HEAD].removeprefix(codecs.BOM_UTF8).partition(b"\n")[0]
    if line.count(b",") < 2:  # nearly every file of the other sources
        return False
    return {"consortium_id", "person_id", "observation_time"} <= set(_names(line.decode("ascii", "replace")))


def _names(line: str) -> list[str]:
    """Canonical names of a header row."""
    given = [name.strip(' "\r') for name in line.split(",")]
    return [known.name if (known := aliases().get(name)) else name for name in given]


def parse(data: bytes) -> Flat:
    """The file as an envelope. Raises Refused for bytes that are no text, a header row that tells no type of records
    (E-HEADER), or files of several consortia."""
    text, issues = _text(data)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = [name.strip() for name in next(reader, [])]
        rows = []
        line = reader.line_num + 1
        for row in reader:
            if any(row):
                rows.append((line, row))
            line = reader.line_num + 1
    except csv.Error:
        raise Refused(*issues, finding("E-HEADER", "line 1")) from None
    type_ = _type(header)
    if type_ is None or len(set(header)) != len(header):
        raise Refused(*issues, finding("E-HEADER", "line 1"))
    columns = {name: number for number, name in enumerate(header, start=1)}
    columns |= {known.name: columns[name] for name in header if (known := aliases().get(name))}
    return _document(type_, header, rows, Flat({}, issues, {}, columns))


def _text(data: bytes) -> tuple[str, list[Issue]]:
    if len(data) > MAX_BYTES:
        raise Refused(finding("E-LIMIT", ""))
    issues = [finding("W-BOM", "line 1")] if data.startswith(codecs.BOM_UTF8) else []
    try:
        return data.decode("utf-8-sig"), issues
    except UnicodeDecodeError:
        if (text := cp932(data)) is None:
            raise Refused(finding("E-ENCODING", "line 1")) from None
        return text, issues


def _type(header: list[str]) -> RecordType | None:
    """The type with the most items in the header row, when it is one alone."""
    names = set(_names(",".join(header)))
    ranked = sorted(record_types().values(), key=lambda one: len(names & one.items.keys()), reverse=True)
    first, second = (len(names & one.items.keys()) for one in ranked[:2])
    return ranked[0] if first > second else None


def _document(type_: RecordType, header: list[str], rows: list[tuple[int, list[str]]], flat: Flat) -> Flat:
    of_file: dict[str, str] = {}
    persons: dict[str, dict[str, Any]] = {}
    places: dict[str, str] = {}
    for line, row in rows:
        if len(row) > len(header):
            raise Refused(*flat.issues, finding("E-HEADER", f"line {line}"))
        cells = dict(zip(header, row, strict=False))
        for name in _OF_FILE:
            if (value := cells.pop(name, "")) and of_file.setdefault(name, value) != value:
                raise Refused(*flat.issues, finding("E-HEADER", f"line {line}{flat._column(name)}"))
        name = next((name for name in ("person_id", "participant_id") if name in cells), "person_id")
        id_ = cells.pop(name, "")
        person = persons.setdefault(id_, {name: id_, type_.group: {type_.array: []}})
        records = person[type_.group][type_.array]
        where = places.setdefault(id_, f"/person_information/{len(places)}")
        flat.lines.setdefault(where, line)
        flat.lines[f"{where}/{type_.group}/{type_.array}/{len(records)}"] = line
        records.append({key: _cell(type_, key, value) for key, value in cells.items() if value})
    document: dict[str, Any] = {"format_version": of_file.get("format_version", "1.0")}
    if sent := of_file.get("send_time") or _newest(persons.values(), type_):
        document["send_time"] = sent
    if "consortium_id" in of_file:
        document["consortium_id"] = of_file["consortium_id"]
    return replace(flat, document={**document, "person_information": list(persons.values())})


def _cell(type_: RecordType, name: str, value: str) -> Any:
    """Numbers as numbers; what is none stays as it is, and is refused where a number has to be."""
    item = type_.items.get(name)
    numeric = item is not None and item.kind in ("integer", "number") and _NUMBER.fullmatch(value)
    return exact.loads(value) if numeric and len(value) <= exact.MAX_DIGITS else value


def _newest(persons: Any, type_: RecordType) -> str:
    times = [str(record.get("update_time", "")) for one in persons for record in one[type_.group][type_.array]]
    return max((time.ljust(17, "0") for time in times if real_time(time)), default="")
