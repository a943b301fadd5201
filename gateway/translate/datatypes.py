"""HL7 v2.5 data types -> FHIR data types (JP Core 1.2.0), as converters for the field rows.

Each conversion is a pure function of the raw field and is cached: a hospital sends the same doctors, units and tests
over and over. A cached fragment may stand in many resources, so nothing changes one after it was made.
"""

import json
import re
from decimal import Decimal, InvalidOperation
from functools import cache, lru_cache
from typing import Any, NamedTuple

from gateway import mapping_files
from gateway.codec.er7 import Segment, unescape
from gateway.translate import lab_values, times
from gateway.translate.context import Context
from gateway.translate.dialect import system_of
from gateway.translate.ids import local_system
from gateway.translate.leavings import NULL, all_but, keep, place
from gateway.translate.numeric_text import FOLD
from gateway.translate.rules import converter

Fragment = dict[str, Any]

DATA_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
MERIT9 = "http://jpfhir.jp/fhir/core/mhlw/CodeSystem/MedicationUnitMERIT9Code"
UCUM = "http://unitsofmeasure.org"


def absent(reason: str = "unknown") -> Fragment:
    """An element that is mandatory and that the source does not give (FHIR data-absent-reason)."""
    return {"extension": [{"url": DATA_ABSENT, "valueCode": reason}]}


@lru_cache(maxsize=4096)
def component(raw: str, number: int) -> str:
    """Component `number` (from 1) of the first repetition, unescaped; empty when absent or an explicit null."""
    parts = raw.split("~", 1)[0].split("^")
    return plain(parts[number - 1]) if number <= len(parts) else ""


def plain(value: str) -> str:
    """The text of one component; empty when it is an explicit null."""
    return "" if value == NULL else clean(value)


def clean(value: str) -> str:
    """Text as FHIR wants it: escapes undone, and nothing when only blanks are left."""
    text = unescape(value) if "\\" in value else value
    return text if text.strip() else ""


def visible(raw: str) -> bool:
    """False when only blanks are left of a text with its escapes undone (`\\.br\\` alone is no value)."""
    return bool((unescape(raw) if "\\" in raw else raw).strip("^&~ \n\r\t\u3000"))


@converter(1)
def text(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
    """ST, TX, IS, ID: component 1."""
    return component(raw, 1) or None


TIME = all_but(1)
"""TS: the time; its degree of precision (component 2, HL7 v2.5 2.A.77) is what the digits say, and deprecated."""


@converter(rest=TIME)
def date(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
    """The day; a time of day sent with it (other than the zeros that fill a field up) is residue."""
    sent = raw.split("^", 1)[0]
    if sent[8:].strip("0. "):
        context.keep(place(segment, context.at), raw)
    return _time(times.fhir_date(sent), raw, segment, context)


@converter(rest=TIME)
def datetime(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
    return _time(times.fhir_datetime(raw.split("^", 1)[0], context.zone), raw, segment, context)


@converter(rest=TIME)
def instant(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
    """FHIR instants need seconds; a time without them is kept as residue, not padded."""
    sent = raw.split("^", 1)[0]
    found = times.fhir_instant(sent, context.zone)
    if found is None and times.fhir_datetime(sent, context.zone) is not None:
        where = place(segment, context.at)
        context.issue("information", "time-imprecise", where, "a time without seconds is no instant")
        context.keep(where, raw)
        return None
    return _time(found, raw, segment, context)


def _time(found: str | None, raw: str, segment: Segment, context: Context) -> str | None:
    if found is None and raw.strip(" "):
        bad_date(raw, segment, context)
    return found


def bad_date(raw: str, segment: Segment, context: Context, number: int = 0) -> None:
    bad_field(raw, segment, context, "bad-date", "not a date or time that FHIR can carry", number)


def bad_field(raw: str, segment: Segment, context: Context, code: str, words: str, number: int = 0) -> None:
    """A value that fits no rule: reported, and kept as residue. `number`: of another field than the row's own."""
    where = place(segment, number or context.at)
    context.issue("warning", code, where, words)
    context.keep(where, raw)


def decimal(raw: str) -> Decimal | None:
    """A number with its digits as written (LENIENT: full-width ones too, and blanks around it), or None."""
    raw = (raw if raw.isascii() else raw.translate(FOLD)).strip(" ")
    if not re.fullmatch(r"[+-]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})", raw):
        return None
    digits = raw.lstrip("+")
    if digits.startswith((".", "-.")):
        digits = digits.replace(".", "0.", 1)
    sign, digits = ("-", digits[1:]) if digits.startswith("-") else ("", digits)
    whole, point, fraction = digits.partition(".")
    try:
        return Decimal(sign + (whole.lstrip("0") or "0") + (point + fraction if fraction else ""))
    except InvalidOperation:  # pragma: no cover - the pattern above only lets numbers through
        return None


# -- coded values -----------------------------------------------------------------------------------------------------


class CodeSystem(NamedTuple):
    system: str
    pattern: re.Pattern[str]
    published: bool
    """Its displays are published: the sender's words go to CodeableConcept.text, where they may differ from them."""


@cache
def published_codes() -> dict[str, frozenset[str]]:
    """Codes of the systems in code-systems.csv that FHIR R4 or JP Core publish in full (mappings/profiles)."""
    wanted = {known.system for known in code_systems().values()}
    found: dict[str, frozenset[str]] = {}
    for name in ("r4-terminology.jsonl", "jp-core-terminology.jsonl"):
        with mapping_files.path("profiles", name).open(encoding="utf-8") as lines:
            for line in lines:
                start = line.partition('{"url":"')[2].partition('"')
                if start[0] in wanted and start[2].startswith(',"codes":'):
                    found[start[0]] = frozenset(json.loads(line)["codes"])
    return found


@cache
def code_systems() -> dict[str, CodeSystem]:
    """Coding-system names of HL7 v2 as senders write them (mappings/tables/code-systems.csv)."""
    rows = mapping_files.records("code-systems")
    return {
        row["name"]: CodeSystem(row["system"], re.compile(row["pattern"]), row["published"] == "yes") for row in rows
    }


@lru_cache(maxsize=1024)
def code_system(name: str) -> CodeSystem | None:
    """The system of a name as senders write it: ours, or an OID or URI of one that we know (translate/dialect.py)."""
    known = code_systems().get(name)
    if known is None and (uri := system_of(name)):
        return next((one for one in code_systems().values() if one.system == uri), None)
    return known


class Coded(NamedTuple):
    concept: Fragment | None
    problems: tuple[str, ...]
    """Issue codes; the field's place is added by the caller."""


@lru_cache(maxsize=8192)
def coded(raw: str, facility: str) -> Coded:
    """CWE/CE -> CodeableConcept (HL7 v2.5 2.A.13).

    Layouts that occur: local only, standard only, local then standard, standard then local, text only. So each
    triplet is judged by its own system name; standard codings stand first, both are kept, and text is the words
    the ward reads: those of the local triplet when it has some.
    """
    parts = [plain(p).strip(" ") for p in raw.split("^")]  # LENIENT: components filled up with blanks
    parts += [""] * (9 - len(parts))
    standard: list[Fragment] = []
    local: list[Fragment] = []
    words: list[str] = []
    spoken = 0  # words of the facility's own, which stand first
    problems: list[str] = []
    for start in (0, 3):
        code, display, name = parts[start : start + 3]
        if display:
            own = code_system(name) is None
            words.insert(spoken if own else len(words), display)
            spoken += own
        if not code:
            continue
        code = code.strip()
        if not _CODE.fullmatch(code):
            problems.append("code-label-mismatch")
            words.append(code)
            continue
        system, fits = _system(name, code, facility)
        if not fits:
            problems.append("code-label-mismatch")
        known = code_system(name) if fits else None
        coding = {"system": system, "code": code} if system else {"code": code}
        if display and not (known and known.published):
            coding["display"] = display
        (standard if known else local).append(coding)
    concept: Fragment = {}
    if standard or local:
        concept["coding"] = standard + local
    if parts[8] or words:
        concept["text"] = parts[8] or words[0]
        said = {concept["text"], *(c.get("display") for c in standard + local)}
        concept["text"] += "".join(f"（{other}）" for other in dict.fromkeys(words) if other not in said)
    return Coded(concept or None, tuple(problems))


def as_code(text: str) -> str:
    """The text as a FHIR code, or "" when it cannot be one."""
    code = text.strip()
    return code if _CODE.fullmatch(code) else ""


_CODE = re.compile(r"\S+( \S+)*")
"""What FHIR takes as a code (R4 2.24.0.1): no blanks around it and single ones inside."""


def _system(name: str, code: str, facility: str) -> tuple[str, bool]:
    """System URI of a code, and whether the code looks like one of that system (True for local systems)."""
    known = code_system(name)
    if known is None:
        return (system_of(name) or local_system(facility, f"CodeSystem/{name}") if name else ""), True
    if known.pattern.fullmatch(code) and code in published_codes().get(known.system, (code,)):
        return known.system, True
    return local_system(facility, f"CodeSystem/{name}"), False


def cwe_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    """What `coded` leaves: components other than the two triplets and the text, and a system name without a code."""
    parts = repetition.split("^")
    left = _BEYOND_CWE(repetition)
    for name, code in ((3, 1), (6, 4)):
        if len(parts) >= name and plain(parts[name - 1]) and not plain(parts[code - 1]):
            left += ((name, parts[name - 1]),)
    return left


_BEYOND_CWE = all_but(1, 2, 3, 4, 5, 6, 9)


def triplet_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    """What a reader of one triplet leaves (code, words, system)."""
    left = _BEYOND_TRIPLET(repetition)
    return left if component(repetition, 1) else left + tuple(p for p in _BEYOND_WORDS(repetition) if p[0] == 3)


_BEYOND_TRIPLET = all_but(1, 2, 3)
_BEYOND_WORDS = all_but(1, 2)


def concept_of(raw: str, segment: Segment, context: Context, number: int = 0) -> Fragment | None:
    """`coded`, with its problems reported at the row's field."""
    found = coded(raw, context.facility.oid)
    for problem in found.problems:
        where = place(segment, number or context.at)
        context.issue("warning", problem, where, "the code does not have the form of the system it is labelled with")
    return found.concept


def words_of(concept: Fragment) -> str:
    """A concept for people: its words, else those of its first code that has some."""
    return str(concept.get("text") or next((c["display"] for c in concept.get("coding", ()) if "display" in c), ""))


def reference_named(raw: str, segment: Segment, context: Context) -> Fragment | None:
    """A thing or company of which only a code and words are sent: a Reference by words and identifier."""
    concept = concept_of("^".join(raw.split("^")[:3]), segment, context)
    if concept is None:
        return None
    coding = concept.get("coding", [{}])[0]
    reference: Fragment = {"display": concept.get("text") or coding.get("code", "")}
    if "code" in coding:
        reference["identifier"] = {k: coding[s] for k, s in (("system", "system"), ("value", "code")) if s in coding}
    return reference


@converter(rest=cwe_rest)
def cwe(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    return concept_of(raw, segment, context)


# -- quantities -------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def merit9(raw: str, facility: str) -> Fragment:
    """A unit `TAB^錠^MR9P` -> unit, system and code of a Quantity. A code of another table stands under the system of
    that table, which is the facility's own; words alone are no code. LENIENT: `TAB&錠&MR9P`, as inside a CQ."""
    raw = unit_parts(raw)
    code, words, name = (component(raw, number) for number in (1, 2, 3))
    unit: Fragment = {"unit": words or code} if words or code else {}
    if code and name and _CODE.fullmatch(code):
        system = MERIT9 if name == "MR9P" else system_of(name) or local_system(facility, f"CodeSystem/{name}")
        unit |= {"system": system, "code": code}
    return unit


def unit_parts(raw: str) -> str:
    """A unit with its parts as components, also where they were sent as subcomponents."""
    return raw.replace("&", "^") if raw.count("&") == 2 and "^" not in raw else raw


def unit_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    """What `merit9` leaves of a unit field: a code without a table, and a table's name without a code."""
    repetition = unit_parts(repetition)
    code, words, name = (component(repetition, number) for number in (1, 2, 3))
    left = _BEYOND_UNIT(repetition)
    if code and name and _CODE.fullmatch(code):
        return left
    left += ((3, name),) if name else ()
    return left + (((1, code),) if words and code not in ("", words) else ())


_BEYOND_UNIT = all_but(1, 2, 3)


def words_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    """What is left of a unit of which only the words are shown."""
    repetition = unit_parts(repetition)
    code, words = component(repetition, 1), component(repetition, 2)
    left = _BEYOND_WORDS(repetition)
    return left + (((1, code),) if words and code not in ("", words) else ())


@lru_cache(maxsize=4096)
def ce_unit_rest(field: str) -> tuple[tuple[int, str], ...]:
    """What lab_values.unit leaves: a code or words that are neither shown nor mean the same as what is shown."""
    shown = lab_values.unit(field)
    left = []
    for number, part in enumerate(lab_values.unit_parts(field), start=1):
        words = plain(part)
        same = words == shown.text or (shown.code and lab_values.unit(part).code == shown.code)
        if words and not (number in (1, 2, 4, 5) and same):
            left.append((number, part))
    return tuple(left)


def keep_all(segment: Segment, context: Context, *numbers: int) -> None:
    """Fields that an unusable one needed: without it they mean nothing, so they are residue with it."""
    for number in numbers:
        keep(segment, number, context)


def quantity(amount: str, unit: Fragment) -> Fragment | None:
    """Quantity with the digits as written; None when the amount is not a plain number."""
    value = decimal(amount)
    return None if value is None else {"value": value, **unit}
