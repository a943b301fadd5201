"""Vital signs (バイタル) and body measures among results: their profiles, their LOINC, and blood pressure as one.

Codes are matched by their beginning and length (mappings/tables/vital-signs.csv): JLAC10 has 17 characters, a storage
in use writes 16, and an order may name the analyte with five. A code that is none of these is an Observation without
LOINC. LOINC is added only where HL7's own vital-signs profiles would agree: a quantity in their unit, and a time.
Systolic and diastolic pressure of one time, place and reading are one Observation with two components; what stands
alone, or contradicts its partner in state, method or device, stays by itself. JP_Observation_VitalSigns,
JP_Observation_BodyMeasurement; FHIR R4 vital signs.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from gateway import mapping_files
from gateway.codec.er7 import Segment
from gateway.model.outcome import Lineage
from gateway.translate.context import Context
from gateway.translate.datatypes import UCUM, Fragment, component
from gateway.translate.examination_result import LOINC, category
from gateway.translate.people import CORE, resource

BLOOD_PRESSURE = "85354-9"
HL7_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
_BODY_CATEGORY = "http://jpfhir.jp/fhir/core/CodeSystem/JP_ObservationBodyMeasurementCategory_CS"
_PROFILES = {"vital-signs": "JP_Observation_VitalSigns", "body-measurement": "JP_Observation_BodyMeasurement"}
_LENGTHS = (5, 16, 17)
_OF_COMPONENT = ("valueQuantity", "dataAbsentReason", "interpretation", "referenceRange")
"""What each half of a blood pressure says for itself; all else must agree or is joined."""
_JOINED = ("performer", "note")


class Vital(NamedTuple):
    """One row of mappings/tables/vital-signs.csv."""

    loinc: str
    kind: str
    units: tuple[str, ...]
    part: str
    reading: str
    """Which reading, and where taken: characters 5 to 9 of JLAC10 (`10000` first, `11701` first at home)."""


@dataclass(slots=True)
class Reading:
    """One OBX and what it became; `group` names its OBR."""

    obx: Segment
    made: Fragment
    vital: Vital
    group: str


@cache
def _known() -> dict[str, dict[str, str]]:
    return {row["source"]: row for row in mapping_files.records("vital-signs")}


def vital_of(obx: Segment) -> Vital | None:
    """The vital sign or body measure that OBX-3 names, or None."""
    parts = obx[3].split("~", 1)[0].split("^")
    for at in (0, 3):
        code, label = parts[at] if len(parts) > at else "", parts[at + 2] if len(parts) > at + 2 else ""
        if label in ("JC10", "JLAC10") and len(code) in _LENGTHS:
            row = _known().get(code[:5])
        else:
            row = _known().get(code if label == "LN" else f"{label} {code}")
        if row is not None:
            reading = code[4:9] if label in ("JC10", "JLAC10") else ""
            return Vital(row["target"], row["kind"], tuple(row["units"].split()), row["part"], reading)
    return None


def settle(made: Fragment, vital: Vital) -> bool:
    """Profile, category and LOINC of a vital sign; False when LOINC could not be added."""
    made["meta"] = {"profile": [CORE + _PROFILES[vital.kind]]}
    categories = category(vital.kind)
    if vital.kind == "body-measurement" and vital.part:
        categories.append({"coding": [{"system": _BODY_CATEGORY, "code": vital.part}]})
    sure = _measured(made, vital)
    codings = [coding for coding in made["code"].get("coding", ()) if coding.get("system") != LOINC]
    if sure:
        categories.append({"coding": [{"system": HL7_CATEGORY, "code": "vital-signs"}]})
        codings.append({"system": LOINC, "code": vital.loinc})
        made["code"] = {**made["code"], "coding": codings}
    made["category"] = categories
    return sure


def _measured(made: Fragment, vital: Vital) -> bool:
    """Whether this is a quantity in a unit of the vital sign, or the said absence of one, at a known time."""
    if not ("effectiveDateTime" in made or "effectivePeriod" in made) or "component" in made:
        return False
    quantity = made.get("valueQuantity")
    if quantity is not None:
        return quantity.get("system") == UCUM and quantity.get("code") in vital.units
    return "dataAbsentReason" in made and not any(key.startswith("value") for key in made)


def paired(readings: list[Reading], context: Context) -> list[Fragment]:
    """The blood pressures among the readings, each made of two; those two are no longer Observations of their own
    and have their `made["id"]` changed to that of the pair."""
    waiting: dict[tuple[str, ...], dict[str, list[Reading]]] = defaultdict(lambda: {"systolic": [], "diastolic": []})
    for reading in readings:
        if reading.vital.part in ("systolic", "diastolic"):
            waiting[_moment(reading)][reading.vital.part].append(reading)
    moved: dict[str, str] = {}
    pairs = []
    for key, halves in waiting.items():
        for systolic, diastolic in _matches(halves["systolic"], halves["diastolic"]):
            made = _join(systolic, diastolic, key, context)
            for half in (systolic.made, diastolic.made):
                moved[half["id"]] = made["id"]
                half["id"] = made["id"]
            pairs.append(made)
    if context.lineage:
        context.lineage[:] = [_moved(entry, moved) for entry in context.lineage]
    return pairs


def _moved(entry: Lineage, moved: dict[str, str]) -> Lineage:
    """The lineage of a half is that of a component of the pair."""
    old, _, element = entry.target.removeprefix("Observation/").partition(".")
    new = moved.get(old) if entry.target.startswith("Observation/") else None
    return entry._replace(target=f"Observation/{new}.component.{element}") if new else entry


def _moment(reading: Reading) -> tuple[str, ...]:
    """What both halves of a pair have in common: time (without one, the OBR), which reading, and the state."""
    made = reading.made
    when = made.get("effectiveDateTime") or str(made.get("effectivePeriod", reading.group))
    return (when, reading.vital.reading, made["status"], str(made.get("method")), str(made.get("device")))


def _matches(systolic: list[Reading], diastolic: list[Reading]) -> list[tuple[Reading, Reading]]:
    """By OBX-4 where it names each half once, else in the order in which they stand."""
    pairs = {component(one.obx[4], 1): one for one in diastolic}
    names = [component(one.obx[4], 1) for one in systolic]
    if len(pairs) == len(diastolic) and len(set(names)) == len(names) and set(names) == set(pairs):
        return [(one, pairs[name]) for one, name in zip(systolic, names, strict=True)]
    return list(zip(systolic, diastolic, strict=False))


def _join(systolic: Reading, diastolic: Reading, key: tuple[str, ...], context: Context) -> Fragment:
    codes = (systolic.obx[3].split("^", 1)[0], diastolic.obx[3].split("^", 1)[0])
    nth = context.nth("blood-pressure", *key, *codes)
    made = resource(
        "Observation",
        context.id("Observation", *context.key, BLOOD_PRESSURE, *key[:2], *codes, nth),
        "JP_Observation_VitalSigns",
    )
    first, second = systolic.made, diastolic.made
    made["status"] = first["status"]
    made["category"] = [*category("vital-signs"), {"coding": [{"system": HL7_CATEGORY, "code": "vital-signs"}]}]
    made["code"] = {"coding": [{"system": LOINC, "code": BLOOD_PRESSURE}], "text": "血圧"}
    made |= {key: value for key, value in first.items() if key not in (*made, *_OF_COMPONENT, *_JOINED)}
    for name in _JOINED:
        said = [*first.get(name, ()), *(one for one in second.get(name, ()) if one not in first.get(name, ()))]
        if said:
            made[name] = said
    halves = [{"code": one["code"], **{k: one[k] for k in _OF_COMPONENT if k in one}} for one in (first, second)]
    made["component"] = halves
    return made
