"""OBX -> Observation: laboratory results (検体検査結果) and the measures in patient basics."""

from functools import lru_cache
from typing import Any

from gateway.codec.er7 import Segment
from gateway.translate import lab_values
from gateway.translate.context import Context
from gateway.translate.datatypes import (
    TIME,
    Fragment,
    absent,
    ce_unit_rest,
    clean,
    coded,
    component,
    concept_of,
    cwe_rest,
    triplet_rest,
    visible,
)
from gateway.translate.leavings import NULL, all_but, keep, left_over, place, spare
from gateway.translate.people import CORE
from gateway.translate.rules import SegmentRules, converter, table

OBSERVATION_CATEGORY = "http://jpfhir.jp/fhir/core/CodeSystem/JP_SimpleObservationCategory_CS"
JLAC10 = "http://medis.or.jp/CodeSystem/master-JLAC10-17digits"
_NOT_IN_LAB_RESULT = frozenset({"valueRange", "valueRatio", "valueDateTime", "valueTime", "valueInteger"})
ORIGINAL_TEXT = "http://hl7.org/fhir/StructureDefinition/originalText"


def add_basic_observation(segment: Segment, context: Context, rules: SegmentRules) -> None:
    """An OBX of ADT-00: height and weight are body measures, blood groups and the rest are category `exam`."""
    code = segment[3].split("^", 1)[0]
    kind = table("basic-observations").get(code[:5], "exam")
    profile = "JP_Observation_BodyMeasurement" if kind == "body-measurement" else "JP_Observation_Common"
    key = (segment[3].split("^", 1)[0] or segment[3], segment[4])
    observation = _start(context.id("Observation", *context.key, *key, context.nth("OBX", *key)), profile, kind)
    _fill(observation, segment, context, rules)
    context.add(observation)


def lab_result(segment: Segment, specimen: str, specimen_key: str, context: Context, rules: SegmentRules) -> Fragment:
    """An OBX of a laboratory report. Its identity is specimen, test and OBX-4, not its position."""
    key = (specimen_key, segment[3].split("^", 1)[0] or segment[3], segment[4])
    id_ = context.id("Observation", *context.key, *key, context.nth("OBX", *key))
    observation = _start(id_, "JP_Observation_LabResult", "laboratory")
    _fill(observation, segment, context, rules)
    if "valueQuantity" not in observation:
        _as_the_laboratory_wrote(observation, segment)
    if specimen:
        observation["specimen"] = {"reference": f"Specimen/{specimen}"}
    return observation


def _as_the_laboratory_wrote(observation: Fragment, segment: Segment) -> None:
    """The profile takes a quantity, a code or a string; a range, ratio or time is kept in the laboratory's words."""
    for element in _NOT_IN_LAB_RESULT.intersection(observation):
        del observation[element]
        observation.pop(f"_{element}", None)
        observation["valueString"] = clean(segment[5].split("~", 1)[0].replace("^", " ").strip())


def settle_profile(observation: Fragment) -> None:
    """JP_Observation_LabResult asks for a specimen, a coded test and its words. A result without them is a plain
    JP_Observation_Common: nothing is made up to look conformant."""
    code = observation["code"]
    if "specimen" not in observation or "coding" not in code or "text" not in code:
        observation["meta"] = {"profile": [CORE + "JP_Observation_Common"]}


def _start(id_: str, profile: str, category: str) -> Fragment:
    meta, categories = _kind(profile, category)
    return {
        "resourceType": "Observation",
        "id": id_,
        "meta": meta,
        "status": "unknown",
        "category": categories,
    }


@lru_cache(maxsize=64)
def _kind(profile: str, category: str) -> tuple[Fragment, list[Fragment]]:
    return {"profile": [CORE + profile]}, [{"coding": [{"system": OBSERVATION_CATEGORY, "code": category}]}]


def _fill(observation: Fragment, segment: Segment, context: Context, rules: SegmentRules) -> None:
    """Runs the rows, then what FHIR makes mandatory and the source left out is said to be absent."""
    rules.apply(segment, {"Observation": observation}, context)
    if "code" not in observation:
        observation["code"] = absent()
        context.issue("warning", "no-test-code", place(segment, 3), "OBX-3 names no test")
    if not segment[11]:
        context.issue("warning", "no-status", place(segment, 11), "OBX-11 is empty; the status is unknown")
    if observation["status"] == "cancelled" and not any(key.startswith("value") for key in observation):
        observation.setdefault("dataAbsentReason", _absent_reason("not-performed"))
    observation["subject"] = context.subject()


@lru_cache(maxsize=64)
def _absent_reason(code: str) -> Fragment:
    return {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": code}]}


@converter(rest=cwe_rest)
def observation_code(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """OBX-3. A JC10 code that has not 17 characters is kept as the facility's own and reported."""
    return concept_of(raw, segment, context)


@converter(repeats=True)
def value(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """OBX-5 under OBX-2 and OBX-6. Several repetitions are several values, so that none becomes part of a string: each
    is a component with the code of the test, and then the Observation itself has no value (FHIR obs-7)."""
    if context.lineage is None and (number := _plain_number(segment[2], raw, segment[6])):
        return number
    parts = raw.split("~") if "~" in raw and segment[2] not in ("TX", "FT") else [raw]
    found = [part for repetition in parts if (part := _value(repetition, segment, context))]
    _unit(found, segment, context)
    if not found:
        keep(segment, 2, context)
        return None
    if len(found) == 1:
        return found[0]
    code = coded(segment[3], context.facility.oid).concept or absent()
    notes = [note for part in found for note in part.pop("note", ())]
    fragment: Fragment = {"note": notes} if notes else {}
    return fragment | {"component": [{"code": code, **part} for part in found]}


@lru_cache(maxsize=4096)
def _plain_number(value_type: str, raw: str, unit: str) -> Fragment | None:
    """The value nine results in ten have, a number with a unit that says nothing else; None for every other one."""
    if "~" in raw or "^" in raw or not visible(unit) or NULL in (raw, unit) or left_over("OBX", 6, unit, ce_unit_rest):
        return None
    found = lab_values.observation_value(value_type, raw, unit) if visible(raw) else None
    if found is None or found.element != "valueQuantity" or found.issues or found.changed:
        return None
    return {"valueQuantity": found.fhir}


def _unit(values: list[Fragment], segment: Segment, context: Context) -> None:
    """A unit beside a value that is no number has no element: it is residue."""
    if segment[6] and any("valueQuantity" in value or "valueRange" in value for value in values):
        spare(segment, 6, ce_unit_rest, context)
    else:
        keep(segment, 6, context)


def _value(raw: str, segment: Segment, context: Context) -> Fragment | None:
    unit = segment[6] if segment[6] != NULL and visible(segment[6]) else ""
    found = lab_values.observation_value(segment[2], raw, unit) if visible(raw) else None
    if found is None:
        return None
    for severity, code, words in found.issues:
        context.issue(severity, code, place(segment, 5), words)
        if code == "value-type-unknown":
            context.keep(place(segment, 2), segment[2])
    if not found.element:
        context.keep(place(segment, 5), raw)
        return None
    if found.element == "valueCodeableConcept" and found.fhir is None:
        for number, spared in cwe_rest(raw):
            context.keep(place(segment, 5, number), spared)
        concept = concept_of(raw, segment, context)
        return {"valueCodeableConcept": concept} if concept else None
    if found.element == "valueDateTime" and "^" in raw:
        for number, spared in TIME(raw):
            context.keep(place(segment, 5, number), spared)
    fragment: dict[str, Any] = {found.element: found.fhir}
    if found.element == "dataAbsentReason":
        fragment["note"] = [{"text": found.original}]
    elif found.changed:
        original = [{"url": ORIGINAL_TEXT, "valueString": found.original}]
        if isinstance(found.fhir, dict):
            fragment[found.element] = {"extension": original, **found.fhir}
        else:
            fragment[f"_{found.element}"] = {"extension": original}
    return fragment


@converter()
def reference_ranges(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    unit = lab_values.unit(segment[6]) if segment[6] not in ("", NULL) and visible(segment[6]) else None
    ranges, issues = lab_values.reference_range(raw, unit) if visible(raw) else ([], ())
    if unit and segment[5] in ("", NULL):
        # Without a value only the range shows the unit, when it has numbers.
        if any("low" in one or "high" in one for one in ranges):
            spare(segment, 6, ce_unit_rest, context)
        else:
            keep(segment, 6, context)
    for severity, code, words in issues:
        context.issue(severity, code, place(segment, 7), words)
    return ranges


def _flag_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    """What an interpretation leaves: a flag of no table when words stand beside it, and the table's name."""
    left = _BEYOND_FLAG(repetition)
    shown = lab_values.interpretation(repetition)[0] or {}
    flag = component(repetition, 1)
    return left if "coding" in shown or flag in ("", shown.get("text")) else (*left, (1, flag))


_BEYOND_FLAG = all_but(1, 2, words=((3, frozenset({"HL70078"})),))


@converter(repeats=True, rest=_flag_rest)
def interpretations(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    found = []
    for part in raw.split("~"):
        fragment, issues = lab_values.interpretation(part) if visible(part) else (None, ())
        for severity, code, words in issues:
            context.issue(severity, code, place(segment, 8), words)
        if fragment:
            found.append(fragment)
    return found


@converter(rest=triplet_rest)
def performer_display(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """OBX-15, the laboratory: a name without a record of ours, so a reference that only says it."""
    concept = coded("^".join(raw.split("^")[:3]), context.facility.oid).concept or {}
    words = concept.get("text") or component(raw, 1)
    if not words:
        return None
    reference: Fragment = {"display": clean(words)}
    if "coding" in concept:
        coding = concept["coding"][0]
        reference["identifier"] = {k: coding[s] for k, s in (("system", "system"), ("value", "code")) if s in coding}
    return reference
