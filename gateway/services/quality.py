"""Data quality (データ品質) of a storage, a feed or a node, counted: `musubi report`.

Counts only: types, character sets, how many codes are standard, which codes nobody maps, what is missing. Codes are not
patient data and are shown; words, names, numbers and times of the messages are never kept. What a report holds is bounded.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Final

from gateway import mapping_files
from gateway.codec import charset, er7
from gateway.codec.er7 import Message, Segment
from gateway.errors import BadInput
from gateway.services.ingest.files import Changed, Found, Gone, TooLarge, Unreadable, read_steadily
from gateway.services.ingest.messages import ReadingRules
from gateway.services.ingest.summary import field_of
from gateway.translate.context import Facilities
from gateway.translate.converted import Converted
from gateway.translate.datatypes import code_system
from gateway.translate.lab_values import unit
from gateway.translate.sources import read_file
from gateway.translate.structures import compile_all

MOST: Final = 50_000
"""Different codes remembered; above it the rarest are forgotten, and the report says so."""
_LONGEST: Final = 40
_PRINTABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+*%()\[\]{}-]*")
_KIND = re.compile(r"[A-Za-z0-9^_-]{1,20}")
_HIDDEN: Final = "(words)"
_STANDARD: Final = frozenset({"MR9P", "JAMISDP01", "ISO+"})
"""Names that stand for several systems, of which the field tells the one: MERIT-9, JAMI usage, units of HL7 chapter 7."""
_JLAC10: Final = frozenset({"JC10", "JLAC10"})
_CODED_TYPES = frozenset({"CE", "CWE", "CNE"})


@dataclass
class Quality:
    """Everything counted. Adding two gives what both files together would have given."""

    files: int = 0
    messages: int = 0
    forgotten: int = 0
    """Codes that did not fit any more."""
    types: Counter[str] = field(default_factory=Counter)
    """Messages by data type."""
    charsets: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(MSH-18 as declared, what the bytes are) -> messages"""
    coded: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(field, standard | local | text) -> repetitions"""
    unmapped: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(field, code system as sent, code) without a standard code beside it -> how often"""
    no_unit: Counter[str] = field(default_factory=Counter)
    """Code of a test whose number came without a unit -> how often"""
    numbers: int = 0
    """Numeric results, with and without unit."""
    words: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    """(field, system, code, hash of its words) -> how often; the words themselves are not kept"""
    jlac10: Counter[int] = field(default_factory=Counter)
    """Length of an OBX-3 code labelled JC10 or JLAC10, which has 17 characters -> how often"""
    issues: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(severity, code) -> how often"""
    residue: Counter[str] = field(default_factory=Counter)
    """Field -> how often it was valued and nobody read it"""
    rejected: Counter[str] = field(default_factory=Counter)
    """Code of the reason -> files or messages that could not be used"""

    def add(self, other: "Quality") -> None:
        """Takes the other's counts in."""
        for one in fields(self):
            mine, theirs = getattr(self, one.name), getattr(other, one.name)
            if isinstance(mine, Counter):
                mine.update(theirs)
            else:
                setattr(self, one.name, mine + theirs)
        for name in ("unmapped", "words", "no_unit", "residue"):
            counter: Counter[Any] = getattr(self, name)
            if len(counter) > MOST:
                kept = counter.most_common(MOST // 2)
                self.forgotten += len(counter) - len(kept)
                setattr(self, name, Counter(dict(kept)))

    def conflicts(self) -> Counter[tuple[str, str, str]]:
        """(field, system, code) that came with different words -> how many different ones."""
        found = Counter((place, system, code) for place, system, code, _ in self.words)
        return Counter({key: count for key, count in found.items() if count > 1})

    def as_dict(self, top: int) -> dict[str, Any]:
        """The report as JSON; lists are ordered by count and end after `top` lines."""
        places = sorted({place for place, _ in self.coded}, key=_place)
        return {
            "files": self.files,
            "messages": self.messages,
            "rejected": dict(_ranked(self.rejected)),
            "types": dict(_ranked(self.types)),
            "charsets": [
                {"declared": declared, "found": found, "count": count}
                for (declared, found), count in _ranked(self.charsets)
            ],
            "coded": [{"field": place, "name": coded_fields()[place], **self._shares(place)} for place in places],
            "unmapped": [
                {"field": place, "system": system, "code": code, "count": count}
                for (place, system, code), count in _ranked(self.unmapped)[:top]
            ],
            "units": {
                "numbers": self.numbers,
                "without": sum(self.no_unit.values()),
                "codes": [{"code": code, "count": count} for code, count in _ranked(self.no_unit)[:top]],
            },
            "conflicts": [
                {"field": place, "system": system, "code": code, "words": count}
                for (place, system, code), count in _ranked(self.conflicts())[:top]
            ],
            "jlac10": {str(length): count for length, count in sorted(self.jlac10.items())},
            "issues": [
                {"severity": severity, "code": code, "count": count} for (severity, code), count in _ranked(self.issues)
            ],
            "residue": [{"field": place, "count": count} for place, count in _ranked(self.residue)[:top]],
            "forgotten": self.forgotten,
        }

    def _shares(self, place: str) -> dict[str, int]:
        return {kind: self.coded[place, kind] for kind in ("standard", "local", "text")}


def _ranked(counter: Counter[Any]) -> list[tuple[Any, int]]:
    """By count, then by name: the same input gives the same report."""
    return sorted(counter.items(), key=lambda pair: (-pair[1], str(pair[0])))


def _place(name: str) -> tuple[str, int]:
    segment, _, number = name.partition("-")
    return segment, int(number)


@cache
def coded_fields() -> dict[str, str]:
    """Field -> what it codes (mappings/tables/coded-fields.csv)."""
    return {row["field"]: row["name"] for row in mapping_files.records("coded-fields")}


@cache
def _numbers_of(segment: str) -> tuple[int, ...]:
    return tuple(int(name.partition("-")[2]) for name in coded_fields() if name.startswith(f"{segment}-"))


class QualityReader:
    """Looks at files for counting only; one a process."""

    def __init__(self, rules: ReadingRules) -> None:
        self._rules = rules
        self._facilities = Facilities(rules.authorities, exchange=rules.exchange)

    def read(self, found: Found) -> Quality:
        """Never raises for what a file holds."""
        if found.error:
            return Quality(files=1, rejected=Counter(["unreadable"]))
        try:
            content = read_steadily(found.path, self._rules.max_file_bytes)
        except Gone:
            return Quality()
        except Unreadable:
            return Quality(files=1, rejected=Counter(["unreadable"]))
        except TooLarge:
            return Quality(files=1, rejected=Counter(["too-large"]))
        except Changed:
            return Quality(files=1, rejected=Counter(["changed-while-read"]))
        try:
            made = self.count(content.data, found.path.decode("utf-8", "replace"))
        except Exception:  # noqa: BLE001 - an error of ours in one file must not end a report over a million
            return Quality(files=1, rejected=Counter(["internal-error"]))
        made.files = 1
        return made

    def count(self, data: bytes, path: str) -> Quality:
        """The messages of one file."""
        made = Quality()
        for one in read_file(data, path, self._facilities, facility=self._rules.facility):
            _count_converted(made, one)
            # Only HL7 messages have fields; of other sources the outcome is counted.
            if one.source == "ss-mix2" and one.error is None:
                _count_fields(made, one.original)
        return made


def make_quality_reader(rules: ReadingRules) -> QualityReader:
    """The reader of one process, built in each worker."""
    mapping_files.configure(rules.overlay)
    compile_all()
    return QualityReader(rules)


def merged(many: Iterable[Quality]) -> Quality:
    total = Quality()
    for one in many:
        total.add(one)
    return total


def _count_converted(made: Quality, one: Converted) -> None:
    if one.error is None:
        made.messages += 1
        kind = one.data_type or one.source
        made.types[kind if _KIND.fullmatch(kind) else _HIDDEN] += 1
    if (reason := one.rejected) is not None:
        made.rejected[reason.code] += 1
    found = [*([one.error] if one.error else []), *one.translated.issues]
    made.issues.update((issue.severity, issue.code) for issue in found)
    made.residue.update(field_of(kept.where) for kept in one.translated.residue)


# -- fields -----------------------------------------------------------------------------------------------------------


def _count_fields(made: Quality, data: bytes) -> None:
    try:
        message = er7.parse(charset.decode(data))
    except BadInput:
        return
    made.charsets[_declared(message), message.charset] += 1
    for segment in message.segments:
        if segment.name == "OBX":
            _count_result(made, segment)
        for number in _numbers_of(segment.name):
            raw = segment[number]
            if not raw or raw == '""' or ((segment.name, number) == ("OBX", 5) and segment[2] not in _CODED_TYPES):
                continue
            for repetition in raw.split("~"):
                _count_code(made, f"{segment.name}-{number}", repetition)


def _declared(message: Message) -> str:
    """The character sets that MSH-18 names; a name nobody knows may be anything, and is not repeated."""
    raw = message.segments[0][18]
    known = "~".join(sorted(charset.declared_charsets(raw)))
    return known or ("(unknown)" if raw.strip("~ ") else "(none)")


def _count_result(made: Quality, segment: Segment) -> None:
    if segment[2] != "NM" or segment[5] in ("", '""'):
        return
    made.numbers += 1
    if segment[6] in ("", '""'):
        made.no_unit[_shown(segment[3].split("^", 1)[0])] += 1


def _count_code(made: Quality, place: str, raw: str) -> None:
    """One repetition of a coded field: what kind it is, and which of its codes nobody maps."""
    # TQ1-3 is a repeat pattern whose first component is the code, in subcomponents (HL7 v2.5 2.A.66).
    parts = raw.split("^", 1)[0].split("&") if place == "TQ1-3" and "&" in raw else raw.split("^")
    parts += [""] * (6 - len(parts))
    local: list[tuple[str, str, str]] = []
    standard = False
    for start in (0, 3):
        code, words, name = (part.strip() for part in parts[start : start + 3])
        if not code or code == '""':
            continue
        if name in _JLAC10 and place == "OBX-3":
            made.jlac10[len(code)] += 1
        if _is_standard(place, code, name):
            standard = True
        else:
            local.append((place, _shown(name), _shown(code)))
        if words and _shown(code) != _HIDDEN:
            digest = hashlib.blake2b(words.encode("utf-8", "replace"), digest_size=8).hexdigest()
            made.words[place, _shown(name), code, digest] += 1
    if standard or local:
        made.coded[place, "standard" if standard else "local"] += 1
        if not standard:
            made.unmapped.update(local)
    elif any(part.strip() for part in parts):
        made.coded[place, "text"] += 1


def _is_standard(place: str, code: str, name: str) -> bool:
    """A result's unit is one when it has a safe UCUM code; else the system's name decides, and the code's form."""
    if place == "OBX-6" and unit(code).code:
        return True
    if place == "SPM-4" and name in _JLAC10:
        return len(code) == 3  # the material alone, one part of the 17 characters
    known = code_system(name)
    return name in _STANDARD if known is None else known.pattern.fullmatch(code) is not None


def _shown(code: str) -> str:
    """A code as it may be printed; what looks like words instead is only counted."""
    if not code:
        return ""
    return code if len(code) <= _LONGEST and _PRINTABLE.fullmatch(code) else _HIDDEN
