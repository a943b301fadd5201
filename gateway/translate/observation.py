"""OBX -> Observation: laboratory results (検体検査結果) and the measures in patient basics."""

import re
from decimal import Decimal
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
from gateway.translate.documents import LONGEST_STRING, embedded, long_text, pointed_at
from gateway.translate.leavings import NULL, all_but, keep, left_over, place, spare
from gateway.translate.people import CORE
from gateway.translate.rules import SegmentRules, converter, table

OBSERVATION_CATEGORY = "http://jpfhir.jp/fhir/core/CodeSystem/JP_SimpleObservationCategory_CS"
JLAC10 = "http://medis.or.jp/CodeSystem/master-JLAC10-17digits"
COMMON: Fragment = {"profile": [CORE + "JP_Observation_Common"]}
LAB_RESULT: Fragment = {"profile": [CORE + "JP_Observation_LabResult"]}
"""`meta` of results: one object each, so that asking which profile a result claims is quick."""
NOT_IN_LAB_RESULT = frozenset({"valueRange", "valueRatio", "valueDateTime", "valueTime", "valueInteger"})
"""What a value may be in JP_Observation_Common, but not in JP_Observation_LabResult or JP_Observation_Microbiology."""
HELD = NOT_IN_LAB_RESULT | {
    *("valueQuantity", "valueCodeableConcept", "valueString", "component", "derivedFrom", "dataAbsentReason")
}
"""An Observation with none of these says that a test was done, and nothing of its result."""
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


def lab_result(
    segment: Segment, specimen: str, specimen_key: str, context: Context, rules: SegmentRules, within: str = ""
) -> Fragment:
    """An OBX of a laboratory report. Its identity is specimen, test and OBX-4, not its position; `within` is the
    result it belongs to (OBR-26): the same drug is tested against every organism."""
    test = segment[3]
    key = (specimen_key, test.split("^", 1)[0] or test, segment[4], *((within,) if within else ()))
    id_ = context.id("Observation", *context.key, *key, context.nth("OBX", context.key[3], *key))
    observation: Fragment = {
        "resourceType": "Observation",
        "id": id_,
        "meta": LAB_RESULT,
        "status": "unknown",
        "category": _LABORATORY,
    }
    _fill(observation, segment, context, rules)
    if specimen:
        observation["specimen"] = {"reference": f"Specimen/{specimen}"}
    return observation


def settle_profile(observation: Fragment) -> None:
    """JP_Observation_LabResult asks for a specimen, a coded test and its words, and takes a quantity, a code or a
    string. Another result is a plain JP_Observation_Common: nothing is made up or bent to look conformant."""
    code = observation["code"]
    if (
        "specimen" not in observation
        or "coding" not in code
        or "text" not in code
        or not NOT_IN_LAB_RESULT.isdisjoint(observation)
    ):
        observation["meta"] = COMMON


_LABORATORY = [{"coding": [{"system": OBSERVATION_CATEGORY, "code": "laboratory"}]}]


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
    status = observation["status"]
    if status == "unknown" and not segment[11]:
        context.issue("warning", "no-status", place(segment, 11), "OBX-11 is empty; the status is unknown")
    elif status == "cancelled":
        _not_obtained(observation)
    observation["subject"] = context.subject()


def _not_obtained(observation: Fragment) -> None:
    """OBX-11 X: no result can be had. Words sent instead of one are the reason, never a finding (HL7 table 0085)."""
    if "valueString" in observation:
        words = observation.pop("valueString")
        observation.pop("_valueString", None)
        observation["dataAbsentReason"] = {**_absent_reason("unknown"), "text": words}
        observation["note"] = [*observation.get("note", ()), {"text": words}]
    elif HELD.isdisjoint(observation):
        observation["dataAbsentReason"] = _absent_reason("not-performed")


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
    if context.lineage is None and (number := _plain_number(fields[2], raw, segment[6])):
        return number
    parts = raw.split("~") if "~" in raw and segment[2] not in ("TX", "FT") else [raw]
    found = [part for repetition in parts if (part := _value(repetition, segment, context))]
    _unit(found, segment, context)
    if not found:
        keep(segment, 2, context)
        return None
    documents = [reference for part in found for reference in part.pop("derivedFrom", ())]
    found = [part for part in found if part]
    fragment: Fragment = {"derivedFrom": documents} if documents else {}
    if len(found) <= 1:
        return fragment | (found[0] if found else {})
    code = coded(segment[3], context.facility.oid).concept or absent()
    notes = [note for part in found for note in part.pop("note", ())]
    fragment |= {"note": notes} if notes else {}
    return fragment | {"component": [{"code": code, **part} for part in found]}


_PLAIN_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,8})(\.[0-9]{1,8})?", re.ASCII)


@lru_cache(maxsize=16_384)
def _plain_number(value_type: str, raw: str, unit: str) -> Fragment | None:
    """The value nine results in ten have, a number with a unit that says nothing else; None for every other one.
    A short cut to what `_value` gives for it."""
    if (value_type != "NM" and value_type != "ST") or (found := _PLAIN_NUMBER.fullmatch(raw)) is None:
        return None
    amount = _plain_amount(unit)
    if amount is None:
        return None
    return {"valueQuantity": {"value": Decimal(raw) if found[1] else int(raw), **amount}}


@lru_cache(maxsize=4096)
def _plain_amount(unit: str) -> Fragment | None:
    """What a unit adds to a Quantity; None when it leaves something that is residue."""
    if unit and (not visible(unit) or unit == NULL or left_over("OBX", 6, unit, ce_unit_rest)):
        return None
    found = lab_values.observation_value("NM", "1", unit)
    return {key: value for key, value in found.fhir.items() if key != "value"} if found else None


def _unit(values: list[Fragment], segment: Segment, context: Context) -> None:
    """A unit beside a value that is no number has no element: it is residue."""
    if segment[6] and any("valueQuantity" in value or "valueRange" in value for value in values):
        spare(segment, 6, ce_unit_rest, context)
    else:
        keep(segment, 6, context)


def _value(raw: str, segment: Segment, context: Context) -> Fragment | None:
    unit = segment[6] if segment[6] != NULL and visible(segment[6]) else ""
    if (kind := segment[2].strip().upper()) in _DOCUMENTS and (document := _document(kind, raw, segment, context)):
        return document
    counts = "/" in raw and _counts(segment[3])
    found = lab_values.observation_value(segment[2], raw, unit, counts) if visible(raw) else None
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
        if concept and "text" not in concept and not any("system" in coding for coding in concept["coding"]):
            # A code of no system is all the words there are (`陽性` or `1+` alone under CWE).
            concept = {**concept, "text": concept["coding"][0]["code"]}
        return {"valueCodeableConcept": concept} if concept else None
    if found.element == "valueDateTime" and "^" in raw:
        for number, spared in TIME(raw):
            context.keep(place(segment, 5, number), spared)
    if found.element == "valueString" and len(found.fhir) > LONGEST_STRING:
        return {"derivedFrom": [long_text(found.fhir, coded(segment[3], context.facility.oid).concept, context)]}
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


_DOCUMENTS = {"ED": embedded, "RP": pointed_at}


def _document(kind: str, raw: str, segment: Segment, context: Context) -> Fragment | None:
    """The document in or behind a value, in a resource of its own. A pointer that is no URL is shown as text."""
    code = coded(segment[3], context.facility.oid).concept
    if reference := _DOCUMENTS[kind](raw, code, segment, context):
        return {"derivedFrom": [reference]}
    if kind == "RP" and visible(raw):
        context.issue("information", "pointer-not-url", place(segment, 5), "the pointer is no URL; shown as text")
        return {"valueString": clean(raw)}
    return None


def _counts(code: str) -> bool:
    """Whether `a/b` is a count in a count for this test: elsewhere a stroke may mean anything."""
    known = table("count-tests")
    return any(code[:size] in known for size in (5, 17))


@converter(repeats=True)
def reference_ranges(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    """OBX-7. LENIENT: the field does not repeat, so in `3.5~5.0` the tilde that nobody escaped is the sender's own."""
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


@converter(1)
def performing_organization(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """OBX-23 XON, the laboratory that did the test: its name."""
    words = component(raw, 1)
    return {"display": words} if words else None
