"""HL7 v2.5 data types -> FHIR data types (JP Core 1.2.0), as converters for the field rows.

Each conversion is a pure function of the raw field and is cached: a hospital sends the same doctors, units and tests
over and over. A cached fragment may stand in many resources, so nothing changes one after it was made.
"""

import re
from decimal import Decimal, InvalidOperation
from functools import cache, lru_cache
from typing import Any, NamedTuple

from gateway import mapping_files
from gateway.codec.er7 import Segment, unescape
from gateway.translate import times
from gateway.translate.context import Context
from gateway.translate.ids import local_system
from gateway.translate.rules import NULL, converter, place, table

Fragment = dict[str, Any]

REPRESENTATION = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"
DATA_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
MERIT9 = "http://jpfhir.jp/fhir/core/mhlw/CodeSystem/MedicationUnitMERIT9Code"
UCUM = "http://unitsofmeasure.org"


def absent(reason: str = "unknown") -> Fragment:
    """An element that is mandatory and that the source does not give (FHIR data-absent-reason)."""
    return {"extension": [{"url": DATA_ABSENT, "valueCode": reason}]}


def component(raw: str, number: int) -> str:
    """Component `number` (from 1) of the first repetition, unescaped; empty when absent or an explicit null."""
    parts = raw.split("~", 1)[0].split("^")
    value = parts[number - 1] if number <= len(parts) else ""
    return "" if value == NULL else clean(value)


def clean(value: str) -> str:
    """Text as FHIR wants it: escapes undone, and nothing when only blanks are left."""
    text = unescape(value) if "\\" in value else value
    return text if text.strip() else ""


@converter(1)
def text(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
    """ST, TX, IS, ID: component 1."""
    return component(raw, 1) or None


@converter()
def date(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
    return _time(times.fhir_date(raw.split("^", 1)[0]), raw, fields, segment, context)


@converter()
def datetime(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
    return _time(times.fhir_datetime(raw.split("^", 1)[0], context.zone), raw, fields, segment, context)


@converter()
def instant(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
    """FHIR instants need seconds; a time without them is kept as residue, not padded."""
    return _time(times.fhir_instant(raw.split("^", 1)[0], context.zone), raw, fields, segment, context)


def _time(found: str | None, raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
    if found is None:
        bad_field(raw, fields, segment, context, "bad-date", "not a date or time that FHIR can carry")
    return found


def bad_field(raw: str, fields: list[str], segment: Segment, context: Context, code: str, words: str) -> None:
    """A value that fits no rule: reported, and kept as residue."""
    where = place(segment, field_number(raw, fields))
    context.issue("warning", code, where, words)
    context.keep(where, raw)


def field_number(raw: str, fields: list[str]) -> int:
    """The field a raw value came from; a converter is given the first repetition only."""
    return next(n for n, field in enumerate(fields) if field == raw or field.startswith(raw + "~"))


def decimal(raw: str) -> Decimal | None:
    """A number with its digits as written, or None."""
    if not re.fullmatch(r"[+-]?(\d{1,30}(\.\d{0,30})?|\.\d{1,30})", raw):
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
def code_systems() -> dict[str, CodeSystem]:
    """Coding-system names of HL7 v2 as senders write them (mappings/tables/code-systems.csv)."""
    rows = mapping_files.read_csv(mapping_files.path("tables", "code-systems.csv"))
    return {row["name"]: CodeSystem(row["system"], re.compile(row["pattern"]), row["published"] == "yes") for row in rows}


class Coded(NamedTuple):
    concept: Fragment | None
    problems: tuple[str, ...]
    """Issue codes; the field's place is added by the caller."""


@lru_cache(maxsize=65536)
def coded(raw: str, facility: str) -> Coded:
    """CWE/CE -> CodeableConcept (HL7 v2.5 2.A.13).

    Layouts that occur: local only, standard only, local then standard, standard then local, text only. So each
    triplet is judged by its own system name; standard codings stand first, both are kept, and text is the words
    the ward reads: those of the local triplet when it has some.
    """
    parts = [clean(p) if p != NULL else "" for p in raw.split("^")]
    parts += [""] * (9 - len(parts))
    standard: list[Fragment] = []
    local: list[Fragment] = []
    words: list[str] = []
    problems: list[str] = []
    for start in (0, 3):
        code, display, name = parts[start : start + 3]
        if display:
            words.insert(0 if name not in code_systems() else len(words), display)
        if not code:
            continue
        system, fits = _system(name, code, facility)
        if not fits:
            problems.append("code-label-mismatch")
        known = fits and name in code_systems()
        coding = {"system": system, "code": code} if system else {"code": code}
        if display and not (known and code_systems()[name].published):
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


def _system(name: str, code: str, facility: str) -> tuple[str, bool]:
    """System URI of a code, and whether the code looks like one of that system (True for local systems)."""
    known = code_systems().get(name)
    if known is None:
        return (local_system(facility, f"CodeSystem/{name}") if name else ""), True
    if known.pattern.fullmatch(code):
        return known.system, True
    return local_system(facility, f"CodeSystem/{name}"), False


@converter(1, 2, 3, 4, 5, 6, 9)
def cwe(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    found = coded(raw, context.facility.oid)
    for problem in found.problems:
        where = place(segment, field_number(raw, fields))
        context.issue("warning", problem, where, "the code does not have the form of the system it is labelled with")
    return found.concept


# -- persons ----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=16384)
def human_name(raw: str) -> Fragment | None:
    """One repetition of XPN -> JP_HumanName (HL7 v2.5 2.A.88).

    LENIENT: the representation code (I kanji, P kana, A romaji) belongs in component 8; one generator of SS-MIX2
    storages writes it and the name type one component early for kanji names, so it is looked for in 6 to 8.
    """
    parts = [clean(p.replace("&", " ")) if p != NULL else "" for p in raw.split("^")]
    parts += [""] * (8 - len(parts))
    family, given = parts[0], " ".join(p for p in parts[1:3] if p)
    if not family and not given:
        return None
    tail = parts[5:8]
    codes = table("name-representation")
    representation = next((codes[p] for p in reversed(tail) if p in codes), None)
    use = next((table("name-type")[p] for p in tail if p in table("name-type")), "")
    name: Fragment = {}
    if representation:
        name["extension"] = [{"url": REPRESENTATION, "valueCode": representation}]
    if use:
        name["use"] = use
    name["text"] = f"{family} {given}".strip()
    if family:
        name["family"] = family
    if given:
        name["given"] = [given]
    return name


@converter(1, 2, 3, 6, 7, 8, repeats=True)
def human_names(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    """XPN with its repetitions: kanji, kana and romaji are one name each."""
    return [name for repetition in raw.split("~") if (name := human_name(repetition))]


@lru_cache(maxsize=16384)
def address_of(raw: str) -> Fragment | None:
    """One repetition of XAD. Japan sends the whole address as one string in component 8 or in component 1."""
    parts = [clean(p) if p != NULL else "" for p in raw.split("^")]
    parts += [""] * (8 - len(parts))
    street, other, city, state, postcode, country, kind, whole = (p.replace("&", " ") for p in parts[:8])
    address: Fragment = {}
    if use := table("address-use").get(kind):
        address["use"] = use
    lines = [p for p in (street, other) if p]
    if words := whole or "".join(p for p in (state, city, *lines) if p):
        address["text"] = words
    if lines:
        address["line"] = lines
    for key, value in (("city", city), ("state", state), ("postalCode", postcode)):
        if value:
            address[key] = value
    if not address:
        return None
    if country:
        address["country"] = table("country").get(country, country)
    return address


@converter(1, 2, 3, 4, 5, 6, 7, 8, repeats=True)
def addresses(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    return [address for repetition in raw.split("~") if (address := address_of(repetition))]


@lru_cache(maxsize=16384)
def contact_point(raw: str) -> Fragment | None:
    """One repetition of XTN: the number in component 12 (SS-MIX2) or 1 (others), e-mail in 4."""
    parts = [clean(p) if p != NULL else "" for p in raw.split("^")]
    parts += [""] * (12 - len(parts))
    value = parts[11] or parts[0] or "".join(parts[4:8]) or parts[3]
    if not value:
        return None
    point: Fragment = {"system": table("telecom-system").get(parts[2], "email" if value == parts[3] else "phone")}
    point["value"] = value
    if use := table("telecom-use").get(parts[1]):
        point["use"] = use
    return point


@converter(1, 2, 3, 4, 5, 6, 7, 8, 12, repeats=True)
def contact_points(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    return [point for repetition in raw.split("~") if (point := contact_point(repetition))]


# -- quantities -------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=16384)
def merit9(raw: str, inner: bool = False) -> Fragment:
    """A unit `TAB^錠^MR9P` (or with `&` inside a component) -> unit, system and code of a Quantity."""
    code, words, name = ([*raw.split("&" if inner else "^"), "", "", ""])[:3]
    code, words = clean(code), clean(words)
    unit: Fragment = {"unit": words or code} if words or code else {}
    if code and name == "MR9P":
        unit |= {"system": MERIT9, "code": code}
    return unit


def quantity(amount: str, unit: Fragment) -> Fragment | None:
    """Quantity with the digits as written; None when the amount is not a plain number."""
    value = decimal(amount)
    return None if value is None else {"value": value, **unit}
