"""Dosage (用法・用量): JAMI usage codes, doses, days and routes of a prescription, as converters.

They return fragments under the key `dosage`, which rde_o11.py makes into dosageInstruction. What was sent in words is
always kept in words: the text is what the ward reads. JP Core 1.2.0 JP_MedicationDosage.
"""

import re
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
    ce_unit_rest,
    component,
    concept_of,
    cwe_rest,
    decimal,
    keep_all,
    merit9,
    plain,
    quantity,
    triplet_rest,
    unit_rest,
    visible,
)
from gateway.translate.ids import local_system
from gateway.translate.leavings import NULL, all_but, keep, place, spare
from gateway.translate.people import EXTENSION
from gateway.translate.rules import converter, table

USAGE = "http://jami.jp/CodeSystem/MedicationUsage"
SUPPLEMENT = "http://jami.jp/CodeSystem/MedicationUsageAdditional"
BODY_SITE = "http://jami.jp/CodeSystem/MedicationBodySiteExternal"
JAMI = "JAMISDP01"
DAY = {"unit": "日", "system": UCUM, "code": "d"}


def _dosage(**elements: Any) -> Fragment:
    return {"dosage": elements}


# -- RXE: how much ----------------------------------------------------------------------------------------------------


@converter(1)
def dose(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXE-3 (least) and RXE-4 (most). Two different amounts are an uneven dose: the least must not stand as the dose."""
    least, most = component(raw, 1), component(segment[4], 1)
    amount = quantity(least, merit9(segment[5], context.facility.oid) if segment[5] != NULL else {})
    if amount is None:
        bad_field(raw, segment, context, "not-a-number", "an amount that is not a number")
        keep_all(segment, context, 4, 5)
        return None
    spare(segment, 4, all_but(1), context)
    uneven = bool(most) and decimal(most) != decimal(least)
    spare(segment, 5, _words_rest if uneven else unit_rest, context)
    if uneven:
        context.issue(
            "information", "uneven-dose", place(segment, 4), "an uneven dose is kept in words, not as one dose"
        )
        unit = amount.get("unit", "")
        words = f"1回{least}～{most}{unit}"
        return _dosage(doseWords=words)
    if "code" not in amount:
        # JP_MedicationSimpleQuantity wants a coded unit; without one the amount stands in the text.
        context.issue("information", "unit-uncoded", place(segment, 5), "the dose has no MERIT-9 unit; kept as text")
        return _dosage(doseWords=f"1回{least}{amount.get('unit', '')}")
    return _dosage(doseAndRate=[{"doseQuantity": amount}])


def _words_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    """What is left of a unit of which only the words are shown."""
    code, words = component(repetition, 1), component(repetition, 2)
    left = _BEYOND_CQ(repetition)
    return left + (((1, code),) if words and code not in ("", words) else ())


def _dose_per_day_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    unit = repetition.split("^")[1] if "^" in repetition else ""
    return _BEYOND_CQ(repetition) + tuple((2, value) for _, value in unit_rest(unit.replace("&", "^")))


_BEYOND_CQ = all_but(1, 2)


@converter(rest=_dose_per_day_rest)
def dose_per_day(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXE-19 `3^TAB&錠&MR9P` -> rateRatio 3 TAB / 1 日 (JP_MedicationRatio_DosePerDay)."""
    unit = raw.split("^")[1] if "^" in raw else ""
    amount = quantity(component(raw, 1), merit9(unit.replace("&", "^"), context.facility.oid))
    if amount is None:
        bad_field(raw, segment, context, "not-a-number", "an amount that is not a number")
        return None
    if "code" not in amount:
        context.issue(
            "information", "unit-uncoded", place(segment, 19), "the daily dose has no MERIT-9 unit; kept as text"
        )
        return _dosage(dayWords=f"1日{component(raw, 1)}{amount.get('unit', '')}")
    ratio = {"numerator": amount, "denominator": {"value": 1, **DAY}}
    return _dosage(doseAndRate=[{"rateRatio": ratio}])


@converter(1)
def rate(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXE-23/24: amount a time of an infusion."""
    value = decimal(component(raw, 1))
    if value is None:
        bad_field(raw, segment, context, "not-a-number", "a rate that is not a number")
        keep(segment, 24, context)
        return None
    unit = lab_values.unit(segment[24]) if segment[24] not in ("", NULL) and visible(segment[24]) else None
    spare(segment, 24, ce_unit_rest, context)
    found: Fragment = {"value": value}
    if unit and unit.text:
        found["unit"] = unit.text
    if unit and unit.code:
        found |= {"system": UCUM, "code": unit.code}
    return _dosage(doseAndRate=[{"rateQuantity": found}])


@converter(repeats=True, rest=cwe_rest)
def provider_instruction(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXE-7: supplements of the usage (JAMISDP01 V codes, JHSP0005) go to the dosage, the rest to the dispenser."""
    instructions, dispense = [], []
    for part in raw.split("~"):
        name = ([*part.split("^"), "", "", ""])[2]
        if name in (JAMI, "JHSP0005"):
            if supplement := _jami(part, segment, context):
                instructions.append(supplement)
        elif concept := concept_of(part, segment, context):
            url = EXTENSION + "JP_MedicationRequest_DispenseRequest_InstructionForDispense"
            dispense.append({"url": url, "valueCodeableConcept": concept})
    found: Fragment = {}
    if instructions:
        found |= _dosage(additionalInstruction=instructions)
    if dispense:
        found["dispenseRequest"] = {"extension": dispense}
    return found or None


@converter(repeats=True, rest=cwe_rest)
def injection_comment(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    concepts = [c for part in raw.split("~") if (c := concept_of(part, segment, context))]
    return _dosage(additionalInstruction=concepts) if concepts else None


@converter(rest=cwe_rest)
def give_instruction(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXE-27, JHSP0003: 21 内服, 22 頓服 (as needed), 23 外用, 24 自己注射."""
    concept = concept_of(raw, segment, context)
    if concept is None:
        return None
    elements: Fragment = {"additionalInstruction": [concept]}
    if component(raw, 1) == "22" and component(raw, 3) in ("", "JHSP0003"):
        elements["asNeededBoolean"] = True
    return {"dosage": elements}


# -- TQ1: when --------------------------------------------------------------------------------------------------------


def _usage_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    """What `usage` leaves of an RPT: its other components, and what the CWE in its first has beyond its code."""
    inner = repetition.split("^", 1)[0].replace("&", "^")
    return _BEYOND_RPT(repetition) + tuple((1, value) for _, value in cwe_rest(inner))


_BEYOND_RPT = all_but(1)


@converter(repeats=True, rest=_usage_rest)
def usage(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """TQ1-3: the first repetition is the usage, the following ones supplement it. Code and words stand in
    sub-components (`1013044400000000&内服・経口・１日３回朝昼夕食後&JAMISDP01`)."""
    elements: Fragment = {}
    for index, part in enumerate(raw.split("~")):
        concept = _jami(part.split("^", 1)[0].replace("&", "^"), segment, context)
        if concept is None:
            continue
        if index:
            elements.setdefault("additionalInstruction", []).append(concept)
        else:
            elements["timing"] = {"code": concept}
    return {"dosage": elements} if elements else None


def derive_timing(dosage: Fragment, tq1: Segment, context: Context) -> None:
    """Timing.repeat out of a JAMI usage code and all its supplements (RXE-7 and TQ1-3): every other day and weekdays
    change it. Nothing is derived where code and words disagree, or from a code that cannot be read for sure."""
    codings = dosage.get("timing", {}).get("code", {}).get("coding", ())
    coding = next((c for c in codings if c.get("system") == USAGE), None)
    if coding is None:
        return
    decoded = jami_usage.decode(coding["code"])
    if decoded is None:
        context.issue("information", "usage-undecoded", place(tq1, 3), "the usage code is kept, but not decoded")
        return
    if coding.get("display") and jami_usage.agrees(decoded, coding["display"]) is False:
        text = "the usage code and its words say different things; both are kept and no time of day is derived"
        context.issue("warning", "usage-conflict", place(tq1, 3), text)
        return
    for problem in decoded.problems:
        context.issue("information", "usage-incomplete", place(tq1, 3), problem)
    supplements = [
        c["code"]
        for instruction in dosage.get("additionalInstruction", ())
        for c in instruction.get("coding", ())
        if c.get("system") == SUPPLEMENT
    ]
    if repeat := jami_usage.timing_repeat(decoded, tuple(supplements)):
        dosage["timing"] = {**dosage["timing"], "repeat": repeat | dosage["timing"].get("repeat", {})}
    if decoded.as_needed:
        dosage["asNeededBoolean"] = True


def _jami(raw: str, segment: Segment, context: Context) -> Fragment | None:
    """A CWE whose JAMISDP01 codes get the system of their kind: usages have 16 characters, supplements (V uneven dose,
    I every other day, W weekdays) 8, body sites 3. A code of another form stays the facility's own and is reported."""
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


_JAMI_SYSTEMS = {16: USAGE, 8: SUPPLEMENT, 3: BODY_SITE}
_JAMI_CODE = re.compile(r"[0-9A-Z.]+")


def _duration_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    """What `service_duration` leaves: in CQ.2 anything but the day, its words and its table."""
    unit, *words = repetition.split("^")[1].split("&") if "^" in repetition else [""]
    if unit.lower() != "d":
        return _BEYOND_CQ(repetition)  # then the whole field is residue already
    known = frozenset({"日", "ISO+", "UCUM", "ISO"})
    return _BEYOND_CQ(repetition) + tuple((2, part) for part in words if plain(part) and part not in known)


@converter(rest=_duration_rest)
def service_duration(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """TQ1-6 `5^d` or `3^D&日&ISO+`: days of intake (投与日数)."""
    unit = ([*raw.split("^"), ""])[1].split("&", 1)[0]
    value = decimal(component(raw, 1))
    if value is None or unit.lower() != "d":
        bad_field(raw, segment, context, "not-a-number", "a duration that is not a number of days")
        return None
    days = {"value": value, **DAY}
    extension = {"url": EXTENSION + "JP_MedicationDosage_UsageDuration", "valueDuration": days}
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
    if "start" not in period and context.data_type != "OMP-02":
        keep(segment, 8, context)  # JP_MedicationDosage_PeriodOfUse has a start
        return None
    if context.data_type == "OMP-02":
        return _dosage(timing={"repeat": {"boundsPeriod": period}})
    return _dosage(extension=[{"url": EXTENSION + "JP_MedicationDosage_PeriodOfUse", "valuePeriod": period}])


@converter(1)
def priority(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
    found = table("request-priority").get(component(raw, 1))
    if found is None:
        bad_field(raw, segment, context, "code-unknown", "the code is not in the table request-priority")
    return found


@converter(1)
def text_instruction(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    words = component(raw, 1)
    return _dosage(patientInstruction=words) if words else None


@converter(1)
def occurrences(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """TQ1-14: number of occasions (回数)."""
    words = component(raw, 1)
    if not words.isdecimal() or len(words) > 6:
        bad_field(raw, segment, context, "not-a-number", "a count that is not a whole number")
        return None
    url = EXTENSION + "JP_MedicationRequest_DispenseRequest_ExpectedRepeatCount"
    return {"dispenseRequest": {"extension": [{"url": url, "valueInteger": int(words)}]}}


# -- RXR: by which way ------------------------------------------------------------------------------------------------


@converter(rest=cwe_rest)
def route(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    concept = concept_of(raw, segment, context)
    return _dosage(route=concept) if concept else None


@converter(rest=cwe_rest)
def site(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    concept = _jami(raw, segment, context)
    return _dosage(site=concept) if concept else None


@converter(rest=triplet_rest)
def administration_device(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    concept = concept_of("^".join(raw.split("^")[:3]), segment, context)
    if concept is None:
        return None
    coding = concept.get("coding", [{}])[0]
    reference: Fragment = {"display": concept.get("text") or coding.get("code", "")}
    if "code" in coding:
        reference["identifier"] = {k: coding[s] for k, s in (("system", "system"), ("value", "code")) if s in coding}
    return _dosage(extension=[{"url": EXTENSION + "JP_MedicationDosage_Device", "valueReference": reference}])


@converter(rest=cwe_rest)
def administration_method(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    concept = concept_of(raw, segment, context)
    return _dosage(method=concept) if concept else None


@converter(rest=cwe_rest)
def line(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    concept = concept_of(raw, segment, context)
    url = EXTENSION + "JP_MedicationDosage_Line"
    return _dosage(extension=[{"url": url, "valueCodeableConcept": concept}]) if concept else None


# -- words ------------------------------------------------------------------------------------------------------------


def dosage_text(dosage: Fragment, request: Fragment) -> str:
    """dosageInstruction.text: the usage in the sender's words, then dose, days and occasions as they were sent."""
    code = dosage.get("timing", {}).get("code", {})
    words = [code.get("text") or next((c.get("display", "") for c in code.get("coding", ())), "")]
    words += [text for key in ("doseWords", "dayWords") if (text := dosage.pop(key, ""))]
    parts = dosage.get("doseAndRate", [])
    if len(parts) > 1:  # dose and rate of one order are one doseAndRate
        dosage["doseAndRate"] = [{k: v for part in parts for k, v in part.items()}]
    for part in parts:
        if amount := part.get("doseQuantity"):
            words.append(f"1回{number(amount['value'])}{amount.get('unit', '')}")
    supply = request.get("dispenseRequest", {})
    if days := supply.get("expectedSupplyDuration"):
        words.append(f"{number(days['value'])}日分")
    for extension in supply.get("extension", ()):
        if "valueInteger" in extension:
            words.append(f"{extension['valueInteger']}回分")
    if not any(words):
        words = [dosage.get("route", {}).get("text", "")]
    return " ".join(word for word in words if word)
