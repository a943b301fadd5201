"""Laboratory values (検査結果値): OBX-5 to value[x], OBX-6 to a unit, OBX-7 to referenceRange, OBX-8 to interpretation.

A text becomes a number only when the whole of it matches one of the forms below; everything else stays the text that
was sent. Whenever the FHIR fragment alone would not show what was sent, `changed` is True and `original` holds it,
so that the caller can keep it beside the value. HL7 v2.5 2.A (data types), 7.4.2 (OBX); JAHIS laboratory, section 3.

    below     `<0.1` `＜0.1` `<^0.1` `0.1未満` `0.1ミマン` `L0.1` `0.1>`     above    `>100` `100超過` `U100` `100<`
    at most   `≦400` `<=400` `400以下` `400イカ` `↓400` `400≧`             at least `≧200` `200以上` `200～` `↑200` `200≦`
    range     `1-4` `0.5～2` `≧10＜20`                                     titre    `1:64`, SN `^1^:^128`
    power     `50×10^2` `1.3E+2` `10**2` (written out)                     none     `測定不能` `検体不足` `未検査`
"""

import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any, NamedTuple

from gateway import mapping_files
from gateway.codec.er7 import unescape
from gateway.translate.numeric_text import FOLD, LONGEST, MAX_DIGITS, RANGE, decimal, parse
from gateway.translate.times import fhir_date, fhir_datetime

UCUM = "http://unitsofmeasure.org"
INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
DATA_ABSENT_REASON = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
GENDER = "http://hl7.org/fhir/administrative-gender"

Issues = tuple[tuple[str, str, str], ...]
"""(severity, code, text); texts never hold the value."""


class Value(NamedTuple):
    """One value of OBX-5."""

    element: str
    """valueQuantity, valueString, valueCodeableConcept, valueRange, valueRatio, valueDateTime, valueTime or
    dataAbsentReason; "" when OBX-2 names a type whose content is no text (ED, RP): the caller decides."""
    fhir: Any
    """The fragment for that element; numbers are Decimal with the digits as sent. None for valueCodeableConcept."""
    original: str
    """What was sent, escapes undone, fit for a FHIR string."""
    issues: Issues = ()
    changed: bool = False
    """The fragment does not show the text as sent: keep `original` beside it."""


class Unit(NamedTuple):
    """OBX-6: the words as sent and the UCUM code, "" when no safe one is known."""

    text: str
    code: str


_NO_RESULT = mapping_files.table("no-result-words")
_UNITS = mapping_files.table("ucum-units")


@cache
def _flags() -> dict[str, dict[str, str]]:
    rows = mapping_files.records("observation-interpretation")
    return {
        row["source"]: {"system": INTERPRETATION, "code": row["target"]}
        | ({"display": row["display"]} if row["display"] else {})
        for row in rows
    }


# ---------------------------------------------------------------------------------------------------- value fragments


def _amount(number: Decimal, unit: Unit | None, comparator: str = "") -> dict[str, Any]:
    """A Quantity; the elements stand in the order of the specification."""
    fragment: dict[str, Any] = {"value": plain(number)}
    if comparator:
        fragment["comparator"] = comparator
    if unit is not None and unit.text:
        fragment["unit"] = unit.text
        if unit.code:
            fragment["system"] = UCUM
            fragment["code"] = unit.code
    return fragment


def plain(number: Decimal) -> Decimal | int:
    """A whole number written without point or exponent is an int, as codec/fhir.py reads it; -0 keeps its sign."""
    whole = number.as_tuple().exponent == 0 and not (number.is_signed() and number.is_zero())
    return int(number) if whole else number


_UNIT_LOST: Issues = (("information", "unit-without-number", "OBX-6 gives a unit but the value is no quantity"),)


def quantity(text: str, unit: Unit | None, counts: bool = False) -> Value:
    """A numeric string as valueQuantity, valueRange or valueRatio; what is none of them stays a valueString.

    `text` has its escapes undone. `counts`: the test is known to report a count per count (白血球分画など), so `52/3` is
    a ratio; without that knowledge it stays text. Blank text is dataAbsentReason unknown.
    """
    safe, issues = _safe(text)
    if not safe.strip(" \u3000"):
        return Value("dataAbsentReason", _absent("unknown", ""), safe)
    parsed = parse(text)
    if parsed.low is not None and parsed.kind == "number":
        shown = parsed.comparator + format(parsed.low, "f")
        return Value("valueQuantity", _amount(parsed.low, unit, parsed.comparator), safe, issues, shown != text)
    if parsed.low is not None and parsed.high is not None:
        if parsed.kind == "range":
            shown = f"{parsed.low:f}-{parsed.high:f}"
            fragment = {"low": _amount(parsed.low, unit), "high": _amount(parsed.high, unit)}
            return Value("valueRange", fragment, safe, issues, shown != text)
        if parsed.kind == "ratio" or (counts and parsed.high):
            separator = ":" if parsed.kind == "ratio" else "/"
            return _ratio(parsed.low, parsed.high, separator, safe, unit, issues)
    if unit is not None and unit.text:
        issues += _UNIT_LOST
    if (reason := _NO_RESULT.get(text.translate(FOLD).strip(" ") if len(text) <= LONGEST else "")) is not None:
        return Value("dataAbsentReason", _absent(reason, safe), safe, issues)
    return Value("valueString", safe, safe, issues, safe != text)


def _ratio(first: Decimal, second: Decimal, separator: str, sent: str, unit: Unit | None, issues: Issues) -> Value:
    """A titre or a count per count. A unit sent with it belongs to neither number and is reported."""
    fragment = {"numerator": _amount(first, None), "denominator": _amount(second, None)}
    shown = f"{first:f}{separator}{second:f}"
    return Value("valueRatio", fragment, sent, issues + (_UNIT_LOST if unit and unit.text else ()), shown != sent)


def _absent(code: str, text: str) -> dict[str, Any]:
    fragment: dict[str, Any] = {"coding": [{"system": DATA_ABSENT_REASON, "code": code}]}
    if text:
        fragment["text"] = text
    return fragment


_NOT_STRING = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def _safe(text: str) -> tuple[str, Issues]:
    """The text as a FHIR string: a control character (R4 2.24.0.1 forbids it) is shown by its picture, ESC as ␛."""
    if _NOT_STRING.search(text) is None:
        return text, ()
    shown = _NOT_STRING.sub(lambda found: _picture(ord(found.group())), text)
    return shown, (("warning", "control-character", "characters that FHIR forbids are shown as control pictures"),)


def _picture(code: int) -> str:
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else "\ufffd"


# ------------------------------------------------------------------------------------------------- dispatch on OBX-2

_NM = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)", re.ASCII)
# SN: comparator ^ number ^ separator ^ number (HL7 v2.5 2.A.71); an ST may carry the same with its carets.
_SN = re.compile(r"(<=|>=|<|>|=|)\^([^^]*)(?:\^(\+-|[-+/.:]?)(?:\^([^^]*))?)?\^*")


_NOT_A_NUMBER: Issues = (("warning", "not-a-number", "OBX-2 is NM but the value is not a plain number; read as ST"),)
_NO_TIME: Issues = (("warning", "not-a-time", "the value is not a real date or time; kept as text"),)
_TYPE_MISSING: Issues = (("warning", "value-type-missing", "OBX-2 is empty; the value is read as ST"),)
_TYPE_UNKNOWN: Issues = (("warning", "value-type-unknown", "no rule for the data type in OBX-2; kept as text"),)
_TYPE_BINARY: Issues = (("warning", "value-type-not-text", "OBX-2 names a type whose content is no text"),)
_SN_SHAPE: Issues = (("warning", "not-a-structured-number", "the value does not have the form of SN; kept as text"),)


def observation_value(value_type: str, raw: str, unit_field: str, counts: bool = False) -> Value | None:
    """One repetition of OBX-5 by the type in OBX-2; None when nothing was sent (empty, blanks only or `""`).

    CWE and CE answer valueCodeableConcept without a fragment; ED and RP answer element "": both are the caller's.
    A type without a rule is kept as text with an issue.
    """
    if raw == '""' or not raw.strip(" \u3000^&"):
        return None
    kind = value_type.strip(" ").upper()
    read = _READERS.get(kind)
    if read is not None:
        return read(raw, unit(unit_field) if unit_field else None, counts)
    if kind in ("ED", "RP"):
        return Value("", None, "", _TYPE_BINARY)
    if not kind:
        return _plus(_st(raw, unit(unit_field) if unit_field else None, counts), _TYPE_MISSING)
    return _plus(_tx(raw, None, counts), _TYPE_UNKNOWN)


def _plus(value: Value, issues: Issues) -> Value:
    return value._replace(issues=issues + value.issues)


def _nm(raw: str, unit: Unit | None, counts: bool) -> Value:
    """NM (2.A.46). A trailing point and a leading + are allowed there and not in FHIR."""
    text = raw.strip(" ")
    if _NM.fullmatch(text) and sum(map(str.isdigit, text)) <= MAX_DIGITS:
        number = Decimal(text.rstrip("."))
        return Value("valueQuantity", _amount(number, unit), text, (), format(number, "f") != text)
    return _plus(_st(raw, unit, counts), _NOT_A_NUMBER)


def _st(raw: str, unit: Unit | None, counts: bool) -> Value:
    """ST. NHO writes an SN into it, with its carets or with blanks for them; leading blanks are kept in a text."""
    if "^" in raw and (found := _SN.fullmatch(raw)):
        return _sn_value(found, raw, unit)
    text = unescape(raw)
    if _CODE_LIKE.match(text):
        # `007` is a code or a bed, not seven: a number in an ST is only read when it is written like one.
        return _text(text, unit)
    return quantity(text, unit, counts)


_CODE_LIKE = re.compile(r"[\s\u3000]*[0０][0-9０-９]")


def _text(text: str, unit: Unit | None) -> Value:
    safe, issues = _safe(text)
    lost = _UNIT_LOST if unit is not None and unit.text else ()
    return Value("valueString", safe, safe, issues + lost, safe != text)


def _tx(raw: str, unit: Unit | None, counts: bool) -> Value:
    """TX, FT: sentences, never read as numbers."""
    return _text(unescape(raw), unit)


def _sn(raw: str, unit: Unit | None, counts: bool) -> Value:
    if found := _SN.fullmatch(raw.translate(FOLD)):
        return _sn_value(found, raw, unit)
    # LENIENT: a bare number or `<5` under SN, without the carets, is read like an ST.
    if "^" not in raw:
        return quantity(unescape(raw), unit, counts)
    return _plus(_text(unescape(raw), unit), _SN_SHAPE)


def _sn_value(found: re.Match[str], raw: str, unit: Unit | None) -> Value:
    """The components of an SN; `original` keeps the carets, `changed` disregards them because they are syntax."""
    comparator, first, separator, second = (part or "" for part in found.groups())
    whole, issues = _safe(unescape(raw))
    low, high = decimal(first.translate(FOLD).strip(" ")), decimal(second.translate(FOLD).strip(" "))
    joined = raw.replace("^", "")
    if low is not None and not separator and not second:
        comparator = "" if comparator == "=" else comparator
        changed = comparator + format(low, "f") != joined
        return Value("valueQuantity", _amount(low, unit, comparator), whole, issues, changed)
    if low is not None and high is not None and not comparator:
        if separator == "-" and low <= high:
            fragment = {"low": _amount(low, unit), "high": _amount(high, unit)}
            return Value("valueRange", fragment, whole, issues, f"{low:f}-{high:f}" != joined)
        if separator in (":", "/") and high:
            return _ratio(low, high, separator, joined, unit, issues)._replace(original=whole)
    value = _text(unescape(joined), unit)
    # `^2^+` and `^^-` read 2+ and - without their carets; with an unknown form these are all a reader has, so they stay.
    grade = not second and ((low is not None and separator == "+") or (not first and separator in ("-", "+", "+-")))
    value = value if grade else _plus(value, _SN_SHAPE)
    return value._replace(original=whole) if grade else value._replace(fhir=whole, original=whole)


def _date(raw: str, unit: Unit | None, counts: bool) -> Value:
    return _moment("valueDateTime", fhir_date(raw), raw, unit)


def _timestamp(raw: str, unit: Unit | None, counts: bool) -> Value:
    return _moment("valueDateTime", fhir_datetime(raw), raw, unit)


def _moment(element: str, fhir: str | None, raw: str, unit: Unit | None) -> Value:
    """`changed` when the digits of the fragment, its zone aside, are not the digits sent (seconds were padded)."""
    if fhir is None:
        return _plus(_text(unescape(raw), unit), _NO_TIME)
    safe, issues = _safe(raw)
    digits = re.sub(r"[^0-9.]", "", re.sub(r"(?<=:\d\d)(\.\d+)?[+-]\d\d:\d\d$", r"\1", fhir))
    sent = re.sub(r"(?:[+-]\d{4})?(?:\^.*)?$", "", safe.strip(" "))
    return Value(element, fhir, safe, issues, digits != sent)


_TM = re.compile(r"([01][0-9]|2[0-3])([0-5][0-9])?(?:(?<=[0-9]{4})([0-5][0-9])(\.[0-9]{1,9})?)?", re.ASCII)


def _time(raw: str, unit: Unit | None, counts: bool) -> Value:
    """TM (2.A.75): HH[MM[SS[.S]]]. With an offset it stays text: a FHIR time has no zone."""
    found = _TM.fullmatch(raw.strip(" "))
    if found is None:
        return _moment("valueTime", None, raw, unit)
    hour, minute, second, fraction = found.groups()
    return _moment("valueTime", f"{hour}:{minute or '00'}:{second or '00'}{fraction or ''}", raw, unit)


def _coded(raw: str, unit: Unit | None, counts: bool) -> Value:
    return Value("valueCodeableConcept", None, raw)


_READERS: dict[str, Callable[[str, Unit | None, bool], Value]] = {
    "NM": _nm, "ST": _st, "SN": _sn, "TX": _tx, "FT": _tx, "CWE": _coded, "CE": _coded, "CNE": _coded,
    "DT": _date, "TM": _time, "TS": _timestamp, "DTM": _timestamp,
}  # fmt: skip


# ------------------------------------------------------------------------------------------------------ OBX-6, 7, 8

_UNIT_FOLD = FOLD | {ord("μ"): "u", ord("µ"): "u", ord(" "): None, 0x3000: None, ord("−"): "-"}
_UNIT_SYSTEMS = frozenset({"ISO+", "UCUM", "ANS+"})


@lru_cache(maxsize=4_096)
def unit(obx6: str) -> Unit:
    """OBX-6 (CE): `mg/dL^mg/dL^99XYZ`, `ug/mL^μg/mL^ISO+` or bare text. Words are component 2, else 1.

    The UCUM code comes only from mappings/tables/ucum-units.csv: through the words, or through component 1 or 4 when
    that is a code of ISO+ or UCUM. Where these disagree there is no code.
    """
    parts = [unescape(part).strip(" ") for part in unit_parts(obx6)]
    parts = ["" if part == '""' else _safe(part)[0] for part in parts] + [""] * 5
    text = next((part for part in (parts[1], parts[0], parts[4], parts[3]) if part.strip(" \u3000")), "")
    candidates = [text]
    candidates += [parts[at] for at in (0, 3) if parts[at + 2].strip(" ").upper() in _UNIT_SYSTEMS and parts[at]]
    codes = {code for part in candidates if (code := _UNITS.get(part.translate(_UNIT_FOLD)))}
    return Unit(text, codes.pop() if len(codes) == 1 else "")


_POWER = re.compile(r"[^^]*(?:10|(?<![A-Za-z])[cdm]?m)\^[0-9]{1,2}(?:/[^^]*)?", re.ASCII)


def unit_parts(obx6: str) -> list[str]:
    """The components of OBX-6. LENIENT: in `×10^3/μL` and `mL/min/1.73m^2` the caret that nobody escaped is a power and
    divides nothing."""
    return [obx6] if _POWER.fullmatch(obx6) else obx6.split("^")


_SEXES = re.compile(
    r" *(?P<a>[(（]?(?P<sex_a>M|F|男性?|女性?) *[:：)） ] *(?P<range_a>[^MF男女]+?))"
    r"[ 　,、;/~]*(?P<b>[(（]?(?P<sex_b>M|F|男性?|女性?) *[:：)） ] *(?P<range_b>[^MF男女]+?)) *"
)
_SEX = {"M": "male", "男": "male", "男性": "male", "F": "female", "女": "female", "女性": "female"}


def reference_range(obx7: str, unit: Unit | None) -> tuple[list[dict[str, Any]], Issues]:
    """OBX-7 as Observation.referenceRange: the text always; low and high only when the whole text is a range.

    FHIR counts both ends as inside; that `<85` leaves 85 out is said by the text alone. `M:… F:…` gives two entries
    that say for whom (appliesTo), if both are ranges; otherwise one entry with the text.
    """
    found, issues = _reference_range(obx7, unit)
    return list(found), issues


@lru_cache(maxsize=4_096)
def _reference_range(obx7: str, unit: Unit | None) -> tuple[list[dict[str, Any]], Issues]:
    """A laboratory sends the same few hundred ranges over and over; nothing changes a fragment after it was made."""
    text, issues = _safe(unescape(obx7).strip(" "))
    if obx7 == '""' or not text.strip("\u3000 "):
        return [], issues
    if len(text) <= 2 * LONGEST and (found := _SEXES.fullmatch(text)):
        first, second = (_SEX[found.group(name)] for name in ("sex_a", "sex_b"))
        sides = [_side(found.group(f"range_{name}"), unit) for name in "ab"]
        if first != second and all(sides):
            words = [found.group(f"sex_{name}") for name in "ab"]
            return [
                side
                | {
                    "appliesTo": [{"coding": [{"system": GENDER, "code": sex}], "text": word}],
                    "text": found.group(name),
                }
                for side, sex, word, name in zip(sides, (first, second), words, "ab", strict=True)
            ], issues
    reversed_range = RANGE.fullmatch(text.translate(FOLD).strip(" ")) if len(text) <= LONGEST else None
    if reversed_range and Decimal(reversed_range.group(1)) > Decimal(reversed_range.group(2)):
        issues += (("warning", "range-reversed", "the lower end in OBX-7 is above the upper end; kept as text only"),)
    return [_side(text, unit) | {"text": text}], issues


def _side(text: str, unit: Unit | None) -> dict[str, Any]:
    """low and high of one range text; empty when it is not surely one."""
    if unit is not None and unit.text and text.endswith(unit.text):
        text = text.removesuffix(unit.text)
    if (folded := text.translate(FOLD).strip(" ") if len(text) <= LONGEST else "").startswith("~"):
        # `～5.0` has no lower end. In a value the same sign before a number would say nothing sure.
        highest = decimal(folded[1:].strip(" "))
        return {} if highest is None else {"high": _amount(highest, unit)}
    parsed = parse(text)
    if parsed.low is None:
        return {}
    if parsed.kind == "range" and parsed.high is not None:
        return {"low": _amount(parsed.low, unit), "high": _amount(parsed.high, unit)}
    if parsed.kind == "number" and parsed.comparator:
        return {"high" if parsed.comparator.startswith("<") else "low": _amount(parsed.low, unit)}
    return {}


@lru_cache(maxsize=4_096)
def interpretation(obx8: str) -> tuple[dict[str, Any] | None, Issues]:
    """One repetition of OBX-8 as a CodeableConcept; a flag outside table 0078 is kept as text with an issue.

    The words are given too where the code says less than was sent (MS and VS become S).
    """
    parts = [_safe(unescape(part))[0].strip(" ") for part in obx8.split("^")]
    flag = parts[0]
    words = parts[1] if len(parts) > 1 and parts[1].strip(" \u3000") else parts[0]
    if obx8 == '""' or not words.strip(" \u3000"):
        return None, ()
    coding = _flags().get(flag) or _flags().get(flag.translate(FOLD))
    if coding is None:
        return {"text": words}, (("warning", "code-unknown", "OBX-8 is not in table 0078; kept as text"),)
    return {"coding": [dict(coding)]} | ({} if words == coding["code"] else {"text": words}), ()
