"""The envelope of an exchange file (2.1): bytes -> header, persons and their records as they came.

Pure and strict: numbers keep their digits (exact.py), a key given twice, NaN and half a surrogate pair are refused. Groups come
as an object or as an array of objects (2.1); both are read.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from gateway.codec.fhir import deeper
from gateway.model.outcome import Issue
from gateway.translate import times
from gateway.translate.exchange_spec import exact
from gateway.translate.exchange_spec.findings import finding, of_person, pointer
from gateway.translate.exchange_spec.items import GROUPS, RecordType, aliases, arrays
from gateway.translate.exchange_spec.registers import Registers

MAX_BYTES: Final = 32 * 1024 * 1024
MAX_DEPTH: Final = 16
"""The format itself needs seven; unknown keys may hold a little more."""

_ID = re.compile(r"[0-9A-Za-z]+", re.ASCII)
CONSORTIUM_DIGITS: Final = 6
PERSON_DIGITS: Final = 20
SEND_TIME_DIGITS: Final = 17

HEADER = ("format_version", "send_time", "consortium_id", "person_information")


class Refused(Exception):
    """The whole file is refused."""

    def __init__(self, *issues: Issue) -> None:
        super().__init__(issues[0].code)
        self.issues = issues


@dataclass(slots=True)
class RawRecord:
    """One record as it came."""

    type: RecordType
    where: str
    value: dict[str, Any]


@dataclass(slots=True)
class Person:
    index: int
    where: str
    person_id: str
    raw: dict[str, Any] = field(repr=False)
    records: list[RawRecord] = field(default_factory=list)
    unknown: dict[str, Any] = field(default_factory=dict)
    """What the convention does not know, by pointer below the person."""
    empty: list[str] = field(default_factory=list)
    """Groups, and arrays in a group that is an object, that came with nothing in them."""
    arrays: dict[str, list[list[str]]] = field(default_factory=dict)
    """Groups that came as arrays: of each of their objects the arrays with nothing in them."""
    issues: list[Issue] = field(default_factory=list)
    refused: bool = False


@dataclass(slots=True)
class Envelope:
    format_version: str
    send_time: str
    consortium_id: str
    persons: list[Person] = field(default_factory=list)
    unknown: dict[str, Any] = field(default_factory=dict)
    """Keys beside the header's own, by pointer."""
    issues: list[Issue] = field(default_factory=list)


# -- bytes ------------------------------------------------------------------------------------------------------------


def parse(data: bytes) -> tuple[dict[str, Any], list[Issue]]:
    """The file as one JSON object. Raises Refused (E-LIMIT, E-ENCODING, E-JSON)."""
    issues = []
    if len(data) > MAX_BYTES:
        raise Refused(finding("E-LIMIT", ""))
    if data.startswith(codecs.BOM_UTF8):
        data = data[3:]  # LENIENT: RFC 8259 8.1 lets a reader ignore it
        issues.append(finding("W-BOM", ""))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(*issues, finding("E-ENCODING", "")) from None
    try:
        shape = orjson.loads(data)  # strict and fast: refuses NaN, lone surrogates, raw control characters
    except orjson.JSONDecodeError:
        raise Refused(*issues, finding("E-JSON", "")) from None
    if not isinstance(shape, dict):
        raise Refused(*issues, finding("E-JSON", ""))
    if deeper(shape, MAX_DEPTH):
        raise Refused(*issues, finding("E-LIMIT", ""))
    try:
        value: dict[str, Any] = exact.loads(text)
    except (ValueError, RecursionError):
        raise Refused(*issues, finding("E-JSON", "")) from None
    return value, issues


# -- header -----------------------------------------------------------------------------------------------------------


def read(value: dict[str, Any], issues: list[Issue], registers: Registers) -> Envelope:
    """Header and persons of an object; `issues`: what was found so far. Raises Refused when nothing of the file may be
    read (E-HEADER, E-VERSION, ...)."""
    bad = list(_header(value, registers))
    if bad:
        raise Refused(*bad, *issues)
    persons = value["person_information"]
    made = Envelope(value["format_version"], value["send_time"], value["consortium_id"], issues=issues)
    if missing := registers.missing():
        made.issues.append(finding("W-NO-LIST", "", ", ".join(missing)))
    for key, content in value.items():
        if key not in HEADER:
            made.unknown[pointer(key)] = content
            made.issues.append(finding("W-UNKNOWN-KEY", pointer(key)))
    made.persons = [_person(n, raw, made.consortium_id, registers) for n, raw in enumerate(persons)]
    return made


def _header(value: dict[str, Any], registers: Registers) -> Iterator[Issue]:
    version, sent, consortium = (value.get(name) for name in HEADER[:3])
    if not isinstance(version, str) or not version:
        yield finding("E-HEADER", "/format_version")
    elif version not in registers.versions:
        yield finding("E-VERSION", "/format_version")
    if not (isinstance(sent, str) and len(sent) == SEND_TIME_DIGITS and real_time(sent)):
        yield finding("E-HEADER", "/send_time")
    if not _is_id(consortium, CONSORTIUM_DIGITS):
        yield finding("E-HEADER", "/consortium_id")
    elif registers.has("consortia") and registers.row("consortia", str(consortium)) is None:
        yield finding("E-CONSORTIUM", "/consortium_id")
    persons = value.get("person_information")
    if persons is None or persons == []:
        yield finding("E-NO-PERSON", "/person_information")
    elif not isinstance(persons, list):
        yield finding("E-HEADER", "/person_information")


def _is_id(value: object, digits: int) -> bool:
    """Half-width letters and digits, at most that many."""
    return isinstance(value, str) and len(value) <= digits and _ID.fullmatch(value) is not None


def real_time(digits: str) -> bool:
    """14 or 17 digits of a time that exists; 24:00:00 does not."""
    return digits.isascii() and digits.isdigit() and len(digits) in (14, 17) and times.fhir_datetime(digits) is not None


# -- persons ----------------------------------------------------------------------------------------------------------


def _person(index: int, raw: Any, consortium: str, registers: Registers) -> Person:
    where = pointer("person_information", index)
    if not isinstance(raw, dict):
        return Person(index, where, "", {}, issues=[of_person(finding("E-HEADER", where))], refused=True)
    made = Person(index, where, "", raw)
    names = {key: found.name for key in raw if (found := aliases().get(key)) and found.name == "person_id"}
    said = [raw[key] for key in ("person_id", *names) if raw.get(key) not in (None, "")]
    if any(one != said[0] for one in said[1:]):
        return _refuse(made, finding("E-CONFLICT", f"{where}/person_id"))
    if not said or not _is_id(said[0], PERSON_DIGITS):
        return _refuse(made, of_person(finding("E-HEADER", f"{where}/person_id")))
    made.person_id = said[0]
    if registers.has("participants") and registers.row("participants", consortium, made.person_id) is None:
        return _refuse(made, finding("E-PERSON", f"{where}/person_id"))
    for key, content in raw.items():
        if key in GROUPS:
            _group(made, key, content)
        elif key != "person_id" and key not in names:
            made.unknown[pointer(key)] = content
            made.issues.append(finding("W-UNKNOWN-KEY", where + pointer(key)))
    return made


def _refuse(person: Person, issue: Issue) -> Person:
    person.issues.append(issue)
    person.refused = True
    return person


def _group(person: Person, group: str, content: Any) -> None:
    where = person.where + pointer(group)
    if content is None:
        person.issues.append(finding("W-EMPTY", where, group))
        return
    if isinstance(content, dict):
        pieces = [(where, content, person.empty)]
        if not content:
            person.empty.append(group)
    elif isinstance(content, list):
        person.arrays[group] = [[] for _ in content]
        pieces = [(f"{where}/{n}", piece, person.arrays[group][n]) for n, piece in enumerate(content)]
    else:
        person.issues.append(finding("E-TYPE", where, group))
        return
    for place, piece, empty in pieces:
        if not isinstance(piece, dict):
            person.issues.append(finding("E-TYPE", place, group))
            continue
        for key, records in piece.items():
            if records == [] and (found := arrays().get((group, key))):
                empty.append(f"{group}/{found.array}" if empty is person.empty else found.array)
            _array(person, group, key, records, place + pointer(key))


def _array(person: Person, group: str, key: str, records: Any, where: str) -> None:
    found = arrays().get((group, key))
    if found is None:
        place = where[len(person.where) :]
        person.unknown[place] = records
        code = "W-UNKNOWN-TYPE" if isinstance(records, list) else "W-UNKNOWN-KEY"
        person.issues.append(finding(code, where))
    elif records is None:
        person.issues.append(finding("W-EMPTY", where, key))
    elif not isinstance(records, list):
        person.issues.append(finding("E-TYPE", where, key))
    else:
        for n, value in enumerate(records):
            if isinstance(value, dict):
                person.records.append(RawRecord(found, f"{where}/{n}", value))
            else:
                person.issues.append(finding("E-TYPE", f"{where}/{n}", key))
