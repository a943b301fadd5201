"""SS-MIX2 transaction storage (トランザクションストレージ): files TR_YYYYMMDDHHMMSSFFF_nnnnn.DAT full of records.

    <root>/<year>/TR_20240601000000000_00001.DAT
    record = head line (facility, patient, care date, type, order no, timestamp, department, INS | DEL), HL7 message

Records stand in the order in which things happened; the standardised storage can be made of them again: an INS
supersedes what the key had (flag 2), a DEL deletes it (flag 0). How the fields of the head are set apart is not
published; mappings/ssmix2/transaction-record.toml lists the forms we take. Sans-IO; time is linear in the bytes.
"""

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

from gateway import mapping_files
from gateway.codec.ssmix2 import FileName, padded, text_of
from gateway.errors import BadInput

_FILE = re.compile(r"TR_[0-9]{17}_[0-9]+\.DAT", re.I)
_YEAR = re.compile(r"[0-9]{4}")
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n|\Z)")
MAX_HEAD: Final = 600
"""Bytes of a line that is looked at as a head."""
MAX_RECORDS: Final = 500_000
"""Records of one file."""


class Record(NamedTuple):
    """One INS or DEL."""

    facility: str
    name: FileName
    """As the file of this record is named in the standardised storage when all records of this file have happened."""
    message: bytes
    """Empty for a DEL that came without a message (extended storage: 拡張ストレージ has none)."""
    offset: int
    """Of the message; of the head where there is none. Bytes."""


def is_transaction_file(name: str) -> bool:
    return _FILE.fullmatch(name) is not None


def is_year(name: str) -> bool:
    """The folder that files lie in below the root; the first folders of a storage have three characters."""
    return _YEAR.fullmatch(name) is not None


def records(data: bytes) -> list[Record]:
    """All records in order. Raises BadInput when not one head is found, or when bytes stand before the first."""
    found: list[tuple[dict[str, str], int, int]] = []
    """(fields, where the head begins, where the message begins)"""
    at, size = 0, len(data)
    while at < size:
        line = _LINE.match(data, at)
        assert line is not None
        if (head := _head(line[0])) is not None:
            fields, length = head
            found.append((fields, at, at + length))
            if len(found) > MAX_RECORDS:
                raise BadInput(f"more than {MAX_RECORDS} records")
        at = line.end()
    if not found or data[: found[0][1]].strip(b"\xef\xbb\xbf\r\n\t \x00"):
        raise BadInput("no head of a record where the file begins (mappings/ssmix2/transaction-record.toml)")
    ends = [start for _, start, _ in found[1:]] + [size]
    made = [
        Record(fields["facility"], _name(fields), body, begin if body else start)
        for (fields, start, begin), end in zip(found, ends, strict=True)
        for body in (_message(data[begin:end]),)
    ]
    return list(_happened(made))


def _head(line: bytes) -> tuple[dict[str, str], int] | None:
    """(fields, bytes of the head with its line end). A message may follow in the same line."""
    begin = line.find(b"MSH|")
    text = line if begin < 0 else line[:begin]
    if len(text) > MAX_HEAD or text[3:4] == b"|" or (b"INS" not in text and b"DEL" not in text):
        return None  # a segment of HL7, or a line of one
    readable = text_of(text).strip("\ufeff\x0b \t\r\n\"',;|\x1a")
    for pattern in _layouts():
        if (match := pattern.fullmatch(readable)) is not None:
            return {key: value.strip() for key, value in match.groupdict().items()}, len(text)
    return None


def _name(fields: dict[str, str]) -> FileName:
    """Flag 1 or 0; `_happened` sets it to what became of the file. `timestamp` is filled up to 17 digits."""
    flag = "0" if fields["action"] == "DEL" else "1"
    department = fields["department"] or "-"
    parts = (fields["patient"], fields["care_date"], fields["data_type"], fields["order_no"])
    return FileName(
        *parts,
        fields["timestamp"].ljust(17, "0"),
        department,
        flag,
        "_".join((*parts, fields["timestamp"], department)),
    )


def _message(body: bytes) -> bytes:
    """The HL7 message of a record: without the line end that only sets it apart from the next head, so that it has the
    bytes (and with them the hash and the ids) of its file in the standardised storage."""
    body = body.lstrip(b"\r\n\t \x0b").rstrip(b"\x00\x1a\x1c \t")
    inner = body.rstrip(b"\r\n")
    end = body[len(inner) :]
    if not inner:
        return b""
    if b"\r" in inner and b"\n" not in inner:
        return inner + b"\r" * end.startswith(b"\r")
    if b"\r\n" in inner:
        return inner + b"\r\n" * end.startswith(b"\r\n")
    return inner + b"\n" * end.startswith(b"\n")


def _happened(made: list[Record]) -> Iterator[Record]:
    """Records with the flag their file has in the end: an INS renames what was there to 2, a DEL to 0."""
    flags = [record.name.flag for record in made]
    alive: dict[tuple[str, ...], list[int]] = {}
    for at, record in enumerate(made):
        key = (record.facility, *record.name.key[:3], padded(record.name.order_no))
        known = alive.setdefault(key, [])
        deleted = flags[at] == "0"
        for older in known if deleted else known[-1:]:
            flags[older] = "0" if deleted or flags[older] == "0" else "2"
        known.append(at)
    for record, flag in zip(made, flags, strict=True):
        yield record._replace(name=record.name._replace(flag=flag, name=f"{record.name.name}_{flag}"))


@cache
def _layouts() -> tuple[re.Pattern[str], ...]:
    with mapping_files.path("ssmix2", "transaction-record.toml").open("rb") as file:
        known = tomllib.load(file)
    forms = known["fields"] | known["fields_of_layouts"]
    return tuple(
        re.compile(layout["between"].join(f"(?P<{_field(name)}>{forms[name]})" for name in layout["order"]))
        for layout in known["layout"]
    )


def _field(name: str) -> str:
    """`data_type_fixed` and `facility10` are forms of `data_type` and `facility`."""
    return name.removesuffix("_fixed").rstrip("0123456789")
