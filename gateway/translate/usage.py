"""Usage (用法): TQ1 with its JAMI codes -> Timing, days, periods and occasions, as converters and what settles them.

They return fragments under the key `dosage`. What was sent in words is always kept in words. JP Core 1.2.0
JP_MedicationDosage; JAHIS prescriptions (HS022); HL7 v2.5 4.5.4.
"""

import re
import unicodedata
from decimal import Decimal
from typing import Any

from gateway.codec.er7 import Segment
from gateway.codec.fhir import number
from gateway.translate import jami_usage, lab_values, times
from gateway.translate.common import reversed_period
from gateway.translate.context import Context
from gateway.translate.datatypes import (
    TIME,
    UCUM,
    Fragment,
    bad_field,
    component,
    concept_of,
    cwe_rest,
    decimal,
    plain,
)
from gateway.translate.ids import local_system
from gateway.translate.leavings import all_but, keep, place, spare
from gateway.translate.people import EXTENSION
from gateway.translate.rules import converter, table

USAGE = "http://jami.jp/CodeSystem/MedicationUsage"
SUPPLEMENT = "http://jami.jp/CodeSystem/MedicationUsageAdditional"
BODY_SITE = "http://jami.jp/CodeSystem/MedicationBodySiteExternal"
BASIC_METHOD = "http://jami.jp/CodeSystem/MedicationMethodBasicUsage"
METHOD = "http://jami.jp/CodeSystem/MedicationMethodDetailUsage"
JAMI = "JAMISDP01"
DAY = {"unit": "日", "system": UCUM, "code": "d"}
INJECTIONS = frozenset({"OMP-02", "OMP-12"})
"""Data types whose dosages follow JP_MedicationDosage_Injection."""


def dosage_of(**elements: Any) -> Fragment:
    return {"dosage": elements}


# -- JAMI codes -------------------------------------------------------------------------------------------------------


def jami_concept(raw: str, segment: Segment, context: Context) -> Fragment | None:
    """A CWE whose JAMISDP01 codes get the system of their kind: usages have 16 characters, supplements (V uneven dose,
    I every other day, W weekdays) 8, body sites 3, methods 2 or 1. A code of another form stays the facility's own and is reported."""
    concept = concept_of(raw, segment, context)
    if concept is None or JAMI not in raw or "coding" not in concept:
        return concept
    local = local_system(context.facility.oid, f"CodeSystem/{JAMI}")
    codings = []
    for coding in concept["coding"]:
        if coding.get("system") == local:
            system = _JAMI_SYSTEMS.get(len(coding["code"])) if _JAMI_CODE.fullmatch(coding["code"]) else None
            if system is None:
                text = "the code does not have the form of the system it is labelled with"
                context.issue("warning", "code-label-mismatch", place(segment, context.at), text)
            coding = {**coding, "system": system or local}
        codings.append(coding)
    return {**concept, "coding": codings}


_JAMI_SYSTEMS = {16: USAGE, 8: SUPPLEMENT, 3: BODY_SITE, 2: METHOD, 1: BASIC_METHOD}
_JAMI_CODE = re.compile(r"[0-9A-Z.]+")


def _usage_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    """What `usage` leaves of an RPT: its other components, and what the CWE in its first has beyond its code."""
    inner = _usage_cwe(repetition)
    if inner == repetition:
        return cwe_rest(inner)
    return _BEYOND_RPT(repetition) + tuple((1, value) for _, value in cwe_rest(inner))


_BEYOND_RPT = all_but(1)


def _usage_cwe(repetition: str) -> str:
    """The CWE in RPT.1. LENIENT: `code^words^JAMISDP01`, a CWE where the RPT should be, is read as one: RPT.3 is a
    number, so the name of a table there says what was meant."""
    first, *others = repetition.split("^")
    return repetition if JAMI in others[1:2] else first.replace("&", "^")


@converter(repeats=True, rest=_usage_rest)
def usage(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """TQ1-3: the first repetition is the usage, the following ones supplement it. Code and words stand in
    sub-components (`1013044400000000&内服・経口・１日３回朝昼夕食後&JAMISDP01`). LENIENT: a supplement may stand first."""
    found = [jami_concept(_usage_cwe(part), segment, context) for part in raw.split("~")]
    if found[0] and _of(found[0], SUPPLEMENT):
        found.sort(key=lambda concept: not (concept and _of(concept, USAGE)))
    elements: Fragment = {"timing": {"code": found[0]}} if found[0] else {}
    if supplements := [concept for concept in found[1:] if concept]:
        elements["additionalInstruction"] = supplements
    return {"dosage": elements} if elements else None


def _of(concept: Fragment, system: str) -> bool:
    return any(coding.get("system") == system for coding in concept.get("coding", ()))


def instructed(dosage: Fragment, system: str) -> list[Fragment]:
    """The codings of one system among the additional instructions."""
    if "additionalInstruction" not in dosage:
        return []
    return [
        coding
        for instruction in dosage.get("additionalInstruction", ())
        for coding in instruction.get("coding", ())
        if coding.get("system") == system
    ]


def uneven_doses(dosage: Fragment) -> dict[int, Decimal]:
    """Which dose of the day -> its amount, out of the V codes (不均等) of RXE-7 and TQ1-3."""
    found = [jami_usage.decode_supplement(coding["code"]) for coding in instructed(dosage, SUPPLEMENT)]
    return {one.dose: one.amount for one in found if one and one.dose is not None and one.amount is not None}


def derive_timing(dosage: Fragment, tq1: Segment, context: Context) -> None:
    """Timing.repeat out of a JAMI usage code and all its supplements (RXE-7 and TQ1-3): every other day and weekdays
    change it. Nothing is derived where code and words disagree, or from a code that cannot be read for sure."""
    usage_code = dosage.get("timing", {}).get("code", {})
    coding = next((c for c in usage_code.get("coding", ()) if c.get("system") == USAGE), None)
    if coding is None:
        return
    decoded = jami_usage.decode(coding["code"])
    if decoded is None:
        context.issue("information", "usage-undecoded", place(tq1, 3), "the usage code is kept, but not decoded")
        return
    # The words of a code of the facility's own beside it are what the doctor chose: they count like its own.
    words = {usage_code.get("text"), *(c.get("display") for c in usage_code["coding"])} - {None}
    if any(jami_usage.agrees(decoded, said) is False for said in words):
        text = "the usage code and its words say different things; both are kept and no time of day is derived"
        context.issue("warning", "usage-conflict", place(tq1, 3), text)
        return
    for problem in decoded.problems:
        context.issue("information", "usage-incomplete", place(tq1, 3), problem)
    if decoded.as_needed:
        dosage["asNeededBoolean"] = True
    if any(other["code"] != coding["code"] for other in instructed(dosage, USAGE)):
        text = "a second usage code stands beside the first; neither alone is the timing"
        context.issue("information", "usage-incomplete", place(tq1, 3), text)
        return
    _compare_supplements(dosage, tq1, context)
    supplements = tuple(coding["code"] for coding in instructed(dosage, SUPPLEMENT))
    if repeat := jami_usage.timing_repeat(decoded, supplements):
        timing = dosage["timing"]
        said = timing.get("repeat", {})
        if "timeOfDay" in said:  # FHIR tim-10: a time of day on the clock has no `when` beside it
            repeat = {key: value for key, value in repeat.items() if key not in ("when", "offset")}
        dosage["timing"] = {**timing, "repeat": _bounds(dosage, repeat, said) | repeat | said}


_DAY_NAMES = dict(zip("日月火水木金土", ("sun", "mon", "tue", "wed", "thu", "fri", "sat"), strict=True))
_DAYS_ALONE = re.compile(r"[毎週日月火水木金土・、,\s]+")
_DOSE_NUMBER = re.compile(r"([1-9])回目")
_DOSE_AMOUNT = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,4})?)単位量")


def _compare_supplements(dosage: Fragment, tq1: Segment, context: Context) -> None:
    """Reports a supplement whose words name other days or another dose. The words published beside these codes are
    partly wrong, so the code decides, and both are kept."""
    for coding in instructed(dosage, SUPPLEMENT):
        words = unicodedata.normalize("NFKC", coding.get("display", ""))
        found = jami_usage.decode_supplement(coding["code"])
        if found is None or not words:
            continue
        named = "曜" in words or _DAYS_ALONE.fullmatch(words)
        days = {_DAY_NAMES[c] for c in words.replace("曜日", "曜") if c in _DAY_NAMES} if named else set()
        numbers = {int(digit) for digit in _DOSE_NUMBER.findall(words)}
        amounts = {Decimal(digits) for digits in _DOSE_AMOUNT.findall(words)}
        if (
            (days and days != set(found.days_of_week))
            or (numbers and numbers != {found.dose})
            or (amounts and found.amount is not None and amounts != {found.amount})
        ):
            text = "the code of a supplement and its words say different things; both are kept"
            context.issue("warning", "usage-conflict", place(tq1, 3), text)


def _bounds(dosage: Fragment, repeat: Fragment, said: Fragment) -> Fragment:
    """The days of TQ1-6 bound a timing only where every day counts: days of intake of every other day or of some
    weekdays are fewer than the days that pass."""
    every_day = repeat.get("periodUnit") == "h" or (repeat.get("period") == 1 and "dayOfWeek" not in repeat)
    if not every_day or dosage.get("asNeededBoolean") or "boundsPeriod" in said:
        return {}
    days = [e["valueDuration"] for e in dosage.get("extension", ()) if e["url"] == _USAGE_DURATION]
    return {"boundsDuration": days[0]} if days else {}


def supplement_words(dosage: Fragment, unit: str) -> list[str]:
    """What instructions add to the text: each dose of an uneven day by its number, all others in the sender's words."""
    words = [f"{dose}回目{number(amount)}{unit}" for dose, amount in sorted(uneven_doses(dosage).items())]
    for instruction in dosage.get("additionalInstruction", ()):
        codes = [c["code"] for c in instruction.get("coding", ()) if c.get("system") == SUPPLEMENT]
        found = [jami_usage.decode_supplement(code) for code in codes]
        if not any(one and one.kind == "uneven" for one in found):
            words.append(instruction.get("text") or next((one.words for one in found if one), ""))
    return list(dict.fromkeys(words))


# -- days, periods, occasions -----------------------------------------------------------------------------------------

_USAGE_DURATION = EXTENSION + "JP_MedicationDosage_UsageDuration"
_BEYOND_CQ = all_but(1, 2)
_DAYS_IN = dict.fromkeys(("d", "day", "days", "日", "日間", "日分"), 1) | dict.fromkeys(("w", "wk", "週", "週間"), 7)
"""Units of TQ1-6 (ISO+, UCUM, the W of HL7 v2.5 4.3.2.3, and words), in small letters -> days."""


def _duration_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    """What `service_duration` leaves: in CQ.2 anything but the day, its words and its table."""
    unit, *words = repetition.split("^")[1].split("&") if "^" in repetition else [""]
    if unit.lower() not in _DAYS_IN:
        return _BEYOND_CQ(repetition)  # then the whole field is residue already
    known = frozenset({"日", "日間", "日分", "週", "週間", "ISO+", "UCUM", "ISO"})
    return _BEYOND_CQ(repetition) + tuple((2, part) for part in words if plain(part) and part not in known)


@converter(rest=_duration_rest)
def service_duration(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """TQ1-6 `5^d` or `3^D&日&ISO+`: days of intake (投与日数). JP Core has them in days, so weeks are counted out; what
    is no number of days stands in the text."""
    unit, words = [*([*raw.split("^"), ""])[1].split("&"), ""][:2]
    value, each = decimal(component(raw, 1)), _DAYS_IN.get(unit.lower())
    if value is None or each is None:
        bad_field(raw, segment, context, "not-a-number", "a duration that is not a number of days")
        said = component(raw, 1)
        return dosage_of(daysWords=f"期間{said}{plain(words) or plain(unit)}") if said else None
    if value < 0:
        bad_field(raw, segment, context, "amount-not-positive", "a duration below zero")
        return None
    days = {"value": value if each == 1 else value * each, **DAY}
    extension = {"url": _USAGE_DURATION, "valueDuration": days}
    return {"dosage": {"extension": [extension]}, "dispenseRequest": {"expectedSupplyDuration": days}}


@converter(rest=TIME)
def period_of_use(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """TQ1-7/8: a prescription's period of use (extension), an injection's bounds."""
    period: Fragment = {}
    for key, number_ in (("start", 7), ("end", 8)):
        sent = component(segment[number_], 1)
        when = times.fhir_datetime(sent, context.zone) if sent else None
        if when:
            period[key] = when
        elif sent:
            context.issue("warning", "bad-date", place(segment, number_), "not a date or time that FHIR can carry")
            context.keep(place(segment, number_), segment[number_])
    spare(segment, 8, TIME, context)
    if "start" in period and "end" in period and reversed_period(period["start"], period["end"]):
        context.issue("warning", "period-reversed", place(segment, 8), "the end lies before the beginning")
        context.keep(place(segment, 8), segment[8])
        del period["end"]
    if not period:
        return None
    if context.data_type in INJECTIONS:
        return dosage_of(timing={"repeat": {"boundsPeriod": period}})
    if "start" not in period:
        keep(segment, 8, context)  # JP_MedicationDosage_PeriodOfUse has a start
        return None
    return dosage_of(extension=[{"url": EXTENSION + "JP_MedicationDosage_PeriodOfUse", "valuePeriod": period}])


@converter(repeats=True)
def explicit_times(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """TQ1-4 (TM): the hours of the clock at which it is given -> Timing.repeat.timeOfDay."""
    found = []
    for part in raw.split("~"):
        clock = re.fullmatch(r"([01][0-9]|2[0-3])([0-5][0-9])?([0-5][0-9])?", part.strip())
        if clock:
            found.append(":".join(group or "00" for group in clock.groups()))
        elif plain(part):
            context.issue("warning", "bad-date", place(segment, 4), "not a date or time that FHIR can carry")
            context.keep(place(segment, 4), part)
    return dosage_of(timing={"repeat": {"timeOfDay": found}}) if found else None


def _occurrence_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    """What `occurrence_duration` leaves: words of the unit that are no unit of time, other tables than ISO+ and UCUM."""
    unit = repetition.split("^")[1].split("&") if "^" in repetition else []
    left = [part for part in unit[:2] if plain(part) and lab_values.unit(plain(part)).code not in _TIME_UNITS]
    left += [part for part in unit[2:] if part not in ("ISO+", "UCUM")]
    return _BEYOND_CQ(repetition) + tuple((2, part) for part in left)


@converter(rest=_occurrence_rest)
def occurrence_duration(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """TQ1-13 `5^hr`: how long one administration takes -> Timing.repeat.duration."""
    unit = ([*raw.split("^"), ""])[1].split("&")
    value = decimal(component(raw, 1))
    codes = {code for part in unit[:2] if part and (code := lab_values.unit(plain(part)).code) in _TIME_UNITS}
    if value is None or value < 0 or len(codes) != 1:
        bad_field(raw, segment, context, "not-a-number", "a duration that is no number of a unit of time")
        return None
    return dosage_of(timing={"repeat": {"duration": value, "durationUnit": codes.pop()}})


_TIME_UNITS = frozenset({"s", "min", "h", "d", "wk", "mo", "a"})
"""http://hl7.org/fhir/ValueSet/units-of-time."""


@converter(1)
def condition_text(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """TQ1-10: on which condition it is given. JP_MedicationDosage has asNeededBoolean only, so the words instruct."""
    words = component(raw, 1)
    return dosage_of(additionalInstruction=[{"text": words}]) if words else None


@converter(1)
def priority(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
    found = table("request-priority").get(component(raw, 1))
    if found is None:
        bad_field(raw, segment, context, "code-unknown", "the code is not in the table request-priority")
    return found


@converter(1)
def text_instruction(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    words = component(raw, 1)
    return dosage_of(patientInstruction=words) if words else None


@converter(1)
def occurrences(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """TQ1-14: number of occasions (回数)."""
    words = component(raw, 1)
    if not words.isdecimal() or len(words) > 6:
        bad_field(raw, segment, context, "not-a-number", "a count that is not a whole number")
        return None
    url = EXTENSION + "JP_MedicationRequest_DispenseRequest_ExpectedRepeatCount"
    return {"dispenseRequest": {"extension": [{"url": url, "valueInteger": int(words)}]}}
