"""Dosage (用量): doses, rates and instructions of RXE and RXA, as converters; and the text of a dosage.

They return fragments under the key `dosage`, which the structures make into dosageInstruction or dosage. What was sent
in words is always kept in words: the text is what the ward reads. JP Core 1.2.0 JP_MedicationDosage.
"""

import re
import unicodedata
from decimal import Decimal

from gateway.codec.er7 import Segment
from gateway.codec.fhir import number
from gateway.translate import lab_values
from gateway.translate.context import Context
from gateway.translate.datatypes import (
    MERIT9,
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
    quantity,
    unit_rest,
    visible,
    words_of,
    words_rest,
)
from gateway.translate.leavings import NULL, all_but, keep, place, spare
from gateway.translate.medication import same_amount, strength_type
from gateway.translate.people import EXTENSION
from gateway.translate.rules import converter, table
from gateway.translate.usage import DAY, JAMI, dosage_of, jami_concept, supplement_words, uneven_doses

# -- RXE: how much ----------------------------------------------------------------------------------------------------


@converter(1)
def dose(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXE-3 (least) and RXE-4 (most). Two different amounts are an uneven dose: the least must not stand as the dose.

    An amount that is no number (`1/2`) or has no coded unit stands in the text, as JP_MedicationSimpleQuantity takes
    neither.
    """
    least, most = component(raw, 1), component(segment[4], 1)
    if not least:
        keep_all(segment, context, 4, 5)
        return None
    unit = merit9(segment[5], context.facility.oid) if segment[5] != NULL else {}
    amount = quantity(least, unit)
    spare(segment, 4, all_but(1), context)
    words = unit.get("unit", "")
    uneven = most not in ("", least) and (amount is None or decimal(most) != amount["value"])
    coded = amount is not None and not uneven and amount["value"] >= 0 and "code" in amount
    spare(segment, 5, unit_rest if coded else words_rest, context)
    if amount is None:
        context.issue("warning", "not-a-number", place(segment, 3), "an amount that is not a number; kept in words")
    elif amount["value"] <= 0:
        context.issue("warning", "amount-not-positive", place(segment, 3), "a dose that is not above zero")
    if uneven:
        text = "an uneven dose is kept in words, not as one dose"
        context.issue("information", "uneven-dose", place(segment, 4), text)
        return dosage_of(doseWords=f"1回{least}～{most}{words}", doseUnit=words)
    if amount is None or not coded:
        if amount is not None and "code" not in amount:
            text = "the dose has no MERIT-9 unit; kept as text"
            context.issue("information", "unit-uncoded", place(segment, 5), text)
        return dosage_of(doseWords=f"1回{least}{words}", doseUnit=words)
    found: Fragment = {"doseQuantity": amount}
    form, strength = component(segment[6], 1), component(segment[25], 1)
    if kind := strength_type(amount, form, strength, component(segment[2], 2)):
        found = {"type": kind, **found}
    return dosage_of(doseAndRate=[found], doseUnit=words)


def _dose_per_day_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    unit = repetition.split("^")[1] if "^" in repetition else ""
    return _BEYOND_CQ(repetition) + tuple((2, value) for _, value in unit_rest(unit.replace("&", "^")))


_BEYOND_CQ = all_but(1, 2)


@converter(rest=_dose_per_day_rest)
def dose_per_day(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXE-19 `3^TAB&錠&MR9P` -> rateRatio 3 TAB / 1 日 (JP_MedicationRatio_DosePerDay)."""
    unit = raw.split("^")[1] if "^" in raw else ""
    amount = quantity(component(raw, 1), merit9(unit.replace("&", "^"), context.facility.oid))
    if amount is None or amount["value"] < 0:
        code = "not-a-number" if amount is None else "amount-not-positive"
        bad_field(raw, segment, context, code, "a daily dose that is no number, or below zero")
        return None
    if "code" not in amount:
        context.issue(
            "information", "unit-uncoded", place(segment, 19), "the daily dose has no MERIT-9 unit; kept as text"
        )
        return dosage_of(dayWords=f"1日{component(raw, 1)}{amount.get('unit', '')}")
    ratio = {"numerator": amount, "denominator": {"value": 1, **DAY}}
    return dosage_of(doseAndRate=[{"rateRatio": ratio}])


@converter(1)
def give_strength(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXE-25/26: the strength (規格) of the drug. Dosage has no element for it: it stands in the text."""
    unit = segment[26] if segment[26] != NULL else ""
    spare(segment, 26, words_rest, context)
    words = component(raw, 1)
    return dosage_of(strengthWords=f"規格{words}{component(unit, 2) or component(unit, 1)}") if words else None


@converter(rest=words_rest)
def form_words(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXE-6 of a prescription: the dose form (剤形) in words; a medicationCodeableConcept has no form."""
    words = component(raw, 2) or component(raw, 1)
    return dosage_of(formWords=words) if words else None


@converter(rest=_dose_per_day_rest)
def service_quantity(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """TQ1-2 (CQ): the amount at each time of this TQ1, for `settle_dose`."""
    unit = raw.split("^")[1] if "^" in raw else ""
    amount = quantity(component(raw, 1), merit9(unit.replace("&", "^"), context.facility.oid))
    if amount is None or amount["value"] < 0:
        code = "not-a-number" if amount is None else "amount-not-positive"
        bad_field(raw, segment, context, code, "an amount that is no number, or below zero")
        return None
    return dosage_of(serviceQuantity=amount)


# -- rates ------------------------------------------------------------------------------------------------------------

_PER_TIME = re.compile(r"([SMHDWL])([1-9][0-9]{0,3})")
_TIME_UNITS = {"S": ("s", "秒"), "M": ("min", "分"), "H": ("h", "時間"), "D": ("d", "日"), "W": ("wk", "週")}
"""RXE-22 `H1`: HL7 v2.5 4.14.4.22; L (lunar month) has no unit in UCUM."""
_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?) *([^0-9 .].*)")


@converter(1)
def rate(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXE-23/24: amount a time of an infusion. Where the unit has no time in it, RXE-22 says the time."""
    words = component(raw, 1)
    sent = segment[24] if segment[24] not in ("", NULL) and visible(segment[24]) else ""
    value, per = decimal(words), component(segment[22], 1)
    if value is None and not sent and (found := rate_quantity(words)):
        _period_stated(per, found, segment, context)
        return dosage_of(doseAndRate=[{"rateQuantity": found}])
    if value is None or value < 0:
        code = "not-a-number" if value is None else "amount-not-positive"
        bad_field(raw, segment, context, code, "a rate that is no number, or below zero")
        keep(segment, 24, context)
        keep(segment, 22, context)
        return None
    unit = lab_values.unit(sent) if sent else None
    coded = merit9(sent, context.facility.oid) if sent else {}
    if coded.get("system") == MERIT9 and (period := _period(per)):
        spare(segment, 24, unit_rest, context)
        return dosage_of(doseAndRate=[{"rateRatio": {"numerator": {"value": value, **coded}, "denominator": period}}])
    spare(segment, 24, ce_unit_rest, context)
    found = {"value": value}
    if unit and unit.text:
        found["unit"] = unit.text
    if unit and unit.code:
        found |= {"system": UCUM, "code": unit.code}
    if "unit" not in found:
        context.issue("information", "unit-uncoded", place(segment, context.at), "a rate without a unit")
    _period_stated(per, found, segment, context)
    return dosage_of(doseAndRate=[{"rateQuantity": found}])


def _period(per: str) -> Fragment | None:
    """RXE-22 as the denominator of a rate."""
    found = _PER_TIME.fullmatch(per)
    if found is None or found.group(1) not in _TIME_UNITS:
        return None
    code, words = _TIME_UNITS[found.group(1)]
    return {"value": Decimal(found.group(2)), "unit": words, "system": UCUM, "code": code}


def _period_stated(per: str, rate_: Fragment, segment: Segment, context: Context) -> None:
    """RXE-22 that the unit of the rate says already (`H1` and mL/h) adds nothing; any other is residue."""
    period = _period(per)
    if per and not (period and period["value"] == 1 and str(rate_.get("code", "")).endswith("/" + period["code"])):
        keep(segment, 22, context)


@converter(1)
def rate_per_time(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXE-22 without RXE-23: the dose of RXE-3/5 is given in that time (`H8`: 1000 mL over 8 hours)."""
    if component(segment[23], 1):
        return None  # read with RXE-23
    period, value = _period(component(raw, 1)), decimal(component(segment[3], 1))
    unit = merit9(segment[5], context.facility.oid) if segment[5] != NULL else {}
    if period is None or value is None or value < 0 or "code" not in unit or component(segment[4], 1):
        keep(segment, 22, context)
        return None
    return dosage_of(doseAndRate=[{"rateRatio": {"numerator": {"value": value, **unit}, "denominator": period}}])


def rate_quantity(words: str) -> Fragment | None:
    """`102ml/hr` in one text -> a quantity in UCUM; None when number or unit are not sure."""
    found = _RATE.fullmatch(unicodedata.normalize("NFKC", words).strip())
    value = decimal(found.group(1)) if found else None
    if found is None or value is None:
        return None
    unit = lab_values.unit(found.group(2))
    return {"value": value, "unit": unit.text, "system": UCUM, "code": unit.code} if "/" in unit.code else None


# -- RXE: how ---------------------------------------------------------------------------------------------------------


@converter(repeats=True, rest=cwe_rest)
def provider_instruction(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXE-7: supplements of the usage (JAMISDP01 V codes, JHSP0005) go to the dosage, the rest to the dispenser."""
    instructions, dispense = [], []
    for part in raw.split("~"):
        names = [*part.split("^"), *[""] * 6][2:6:3]
        if JAMI in names or "JHSP0005" in names:
            if supplement := jami_concept(part, segment, context):
                instructions.append(supplement)
        elif concept := concept_of(part, segment, context):
            url = EXTENSION + "JP_MedicationRequest_DispenseRequest_InstructionForDispense"
            dispense.append({"url": url, "valueCodeableConcept": concept})
    found: Fragment = {}
    if instructions:
        found |= dosage_of(additionalInstruction=instructions)
    if dispense:
        found["dispenseRequest"] = {"extension": dispense}
    return found or None


@converter(repeats=True, rest=cwe_rest)
def injection_comment(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    concepts = [c for part in raw.split("~") if (c := jami_concept(part, segment, context))]
    return dosage_of(additionalInstruction=concepts) if concepts else None


@converter(rest=cwe_rest)
def give_instruction(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXE-27, JHSP0003: 21 内服, 23 外用, 24 自己注射 say the method; 22 頓服 says as needed."""
    concept = concept_of(raw, segment, context)
    if concept is None:
        return None
    kind = ""
    if component(raw, 3) in ("", "JHSP0003"):
        kind = table("give-instructions").get(component(raw, 1), "")
    if kind == "method":
        return dosage_of(giveMethod=concept)
    elements: Fragment = {"additionalInstruction": [concept]}
    return {"dosage": elements | ({"asNeededBoolean": True} if kind == "as-needed" else {})}


# -- words ------------------------------------------------------------------------------------------------------------


def settle_dose(dosage: Fragment) -> Fragment | None:
    """Dose and rate of one order are one doseAndRate; an uneven day (V codes) has no one dose, so it is returned and
    only its words stay; RXE-27 is the method where RXR-4 says none."""
    if method := dosage.pop("giveMethod", None):
        if "method" in dosage:
            dosage["additionalInstruction"] = [*dosage.get("additionalInstruction", ()), method]
        else:
            dosage["method"] = method
    merged = {key: value for part in dosage.get("doseAndRate", ()) for key, value in part.items()}
    if each := dosage.pop("serviceQuantity", None):
        _dose_of_this_time(dosage, merged, each)
    folded: Fragment | None = merged.pop("doseQuantity", None) if uneven_doses(dosage) else None
    if folded is not None:
        merged.pop("type", None)
        dosage["doseWords"] = f"1回{number(folded['value'])}{folded.get('unit', '')}（不均等）"
    dosage.pop("doseAndRate", None)
    if merged:
        dosage["doseAndRate"] = [merged]
    return folded


def _ratio_words(ratio: Fragment) -> str:
    """`2mL/1時間`; the daily dose (RXE-19) is left to its element."""
    if not ratio or (ratio["denominator"].get("code") == "d" and number(ratio["denominator"]["value"]) == "1"):
        return ""
    parts = (f"{number(ratio[key]['value'])}{ratio[key].get('unit', '')}" for key in ("numerator", "denominator"))
    return "/".join(parts)


def _duration_words(repeat: Fragment) -> str:
    """TQ1-13 `5^hr` -> `5時間で`."""
    unit = dict(_TIME_UNITS.values()).get(repeat.get("durationUnit", ""))
    return f"{number(repeat['duration'])}{unit}で" if unit else ""


def _dose_of_this_time(dosage: Fragment, merged: Fragment, each: Fragment) -> None:
    """TQ1-2 is the dose at the times of its own TQ1, whatever RXE-3 says of all of them."""
    if same_amount(each, merged.get("doseQuantity", {"value": -1})):
        return
    merged.pop("doseQuantity", None)
    merged.pop("type", None)
    dosage.pop("doseWords", None)
    if "code" in each:
        merged["doseQuantity"] = each
    else:
        dosage["doseWords"] = f"1回{number(each['value'])}{each.get('unit', '')}"


_WORDS = ("doseWords", "dayWords", "strengthWords", "formWords", "daysWords", "supplyWords")


def dosage_text(dosage: Fragment, request: Fragment) -> str:
    """dosageInstruction.text: the usage in the sender's words, then dose, days and occasions as they were sent."""
    per_day: Fragment = next((part["rateRatio"] for part in dosage.get("doseAndRate", ()) if "rateRatio" in part), {})
    unit = dosage.pop("doseUnit", "") or per_day.get("numerator", {}).get("unit", "")
    said = {key: dosage.pop(key, "") for key in _WORDS}
    words = [words_of(dosage.get("timing", {}).get("code", {})), *supplement_words(dosage, unit)]
    words += [said["doseWords"], said["dayWords"]]
    for part in dosage.get("doseAndRate", ()):
        if amount := part.get("doseQuantity"):
            words.append(f"1回{number(amount['value'])}{amount.get('unit', '')}")
        if speed := part.get("rateQuantity"):
            words.append(
                f"{number(speed['value'])}{speed['unit']}" if "unit" in speed else f"速度{number(speed['value'])}"
            )
        words.append(_ratio_words(part.get("rateRatio", {})))
    words.append(_duration_words(dosage.get("timing", {}).get("repeat", {})))
    words += [said["strengthWords"], said["formWords"]]
    durations = (one["valueDuration"] for one in dosage.get("extension", ()) if "valueDuration" in one)
    words += [*(f"{number(days['value'])}日分" for days in durations), said["daysWords"]]
    for extension in request.get("dispenseRequest", {}).get("extension", ()):
        if "valueInteger" in extension:
            words.append(f"{extension['valueInteger']}回分")
    words.append(said["supplyWords"])
    if not any(words):
        words = [words_of(dosage.get("route", {}))]
    return " ".join(word for word in words if word)
