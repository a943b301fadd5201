"""OUL^R22 (OML-11, 検体検査結果): MSH [PID] [PV1] { SPM { OBR [ORC] [NTE] [TQ1] [{OBX [{NTE}]}] } }.

ORC may stand before or after its OBR, an OBR may have no OBX, and SPM may be missing altogether (HL7 v2.5 7.3.2,
JAHIS laboratory). One Specimen an SPM, one DiagnosticReport an OBR, one Observation an OBX.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from gateway.codec.er7 import Message, Segment
from gateway.translate import times
from gateway.translate.common import HEAD, ORDER_NUMBER, Rules, leave, reversed_period
from gateway.translate.context import Context
from gateway.translate.datatypes import (
    TIME,
    Fragment,
    absent,
    bad_date,
    bad_field,
    coded,
    component,
    cwe_rest,
    plain,
)
from gateway.translate.ids import local_system
from gateway.translate.leavings import NULL, all_but, keep, place, residue_of, spare
from gateway.translate.observation import JLAC10, lab_result, settle_profile
from gateway.translate.people import CORE, resource
from gateway.translate.rules import aim, converter, mark

RULES = Rules(
    **HEAD,
    PV1=("None",),
    SPM=("Specimen",),
    OBR=("DiagnosticReport",),
    ORC=("DiagnosticReport",),
    OBX=("Observation",),
    NTE=("DiagnosticReport",),
)
NOTES = Rules(NTE=("Observation",))

MATERIAL = "https://musubi.invalid/CodeSystem/JLAC10-material"
"""The material part of JLAC10 (characters 10 to 12) has no published system of its own; the 17-character system would
be wrong for it."""
LAB_RESULT = CORE + "JP_Observation_LabResult"
REPORT_CODE = {
    "system": "http://jpfhir.jp/fhir/core/CodeSystem/JP_DocumentCodes_CS",
    "code": "11502-2",
    "display": "検体検査報告書",
}
REPORT_CATEGORY = {"coding": [{"system": "http://loinc.org", "code": "LP29693-6"}]}


@dataclass(slots=True)
class Group:
    """One OBR with what belongs to it."""

    specimen: Segment | None
    obr: Segment | None = None
    orc: Segment | None = None
    notes: list[Segment] = field(default_factory=list)
    results: list[tuple[Segment, list[Segment]]] = field(default_factory=list)
    """Each OBX with its NTEs."""


def translate(message: Message, context: Context) -> None:
    groups, rest = grouped(message)
    specimens: dict[int, tuple[str, str]] = {}
    for group in groups:
        if group.specimen is not None and group.specimen.line not in specimens:
            specimens[group.specimen.line] = _specimen(group.specimen, context)
        _report(group, specimens.get(group.specimen.line) if group.specimen else None, context)
    leave(rest, RULES, context)


def grouped(message: Message) -> tuple[list[Group], list[Segment]]:
    """Segments -> groups, and the segments that belong to none.

    A group ends where the next OBR (or the next ORC before an OBR, or the next SPM) begins: groups without OBX must
    not swallow the results of the following one.
    """
    groups: list[Group] = []
    rest: list[Segment] = []
    specimen: Segment | None = None
    current: Group | None = None
    for segment in message.segments:
        match segment.name:
            case "MSH" | "PID":
                continue
            case "SPM":
                specimen, current = segment, Group(segment)
                groups.append(current)
            case "OBR":
                if current is None or current.obr is not None or current.results:
                    current = Group(specimen)
                    groups.append(current)
                current.obr = segment
            case "ORC":
                if current is None or current.orc is not None or current.results:
                    current = Group(specimen)
                    groups.append(current)
                current.orc = segment
            case "OBX":
                if current is None:
                    current = Group(specimen)
                    groups.append(current)
                current.results.append((segment, []))
            case "NTE" if current is not None and (current.obr or current.orc or current.results):
                (current.results[-1][1] if current.results else current.notes).append(segment)
            case _:
                rest.append(segment)
    return groups, rest


def _specimen(segment: Segment, context: Context) -> tuple[str, str]:
    """Adds the Specimen; returns its id and the key its results are identified by."""
    key = component(segment[2], 1) or component(segment[2], 2) or f"SPM-1={segment[1]}"
    key += context.nth("SPM", key)
    specimen = resource("Specimen", context.id("Specimen", *context.key, key), "JP_Specimen_Common")
    RULES["SPM"].apply(segment, {"Specimen": specimen}, context)
    specimen["subject"] = context.subject()
    context.add(specimen)
    return specimen["id"], key


def _report(group: Group, specimen: tuple[str, str] | None, context: Context) -> None:
    """One group -> DiagnosticReport and its Observations."""
    specimen_id, specimen_key = specimen or ("", "")
    report: Fragment = {}
    since = mark(context)
    if group.orc is not None:
        RULES["ORC"].apply(group.orc, {"DiagnosticReport": report}, context)
    if group.obr is not None:
        RULES["OBR"].apply(group.obr, {"DiagnosticReport": report}, context)
    for nte in group.notes:
        if group.obr is None:
            residue_of(nte, context)
            continue
        comment: Fragment = {}
        RULES["NTE"].apply(nte, {"DiagnosticReport": comment}, context)
        if comment:
            report["conclusion"] = "\n".join(c["conclusion"] for c in (report, comment) if "conclusion" in c)
    made = []
    for obx, ntes in group.results:
        result = lab_result(obx, specimen_id, specimen_key, context, RULES["OBX"])
        if not specimen_id:
            _synthesised_specimen(result, obx, context)
        for nte in ntes:
            NOTES["NTE"].apply(nte, {"Observation": result}, context)
        _effective(result, specimen_id, report, obx, context)
        settle_profile(result)
        made.append(result)
    if group.obr is not None:
        id_ = _finish_report(report, group, specimen, made, context)
        aim(context, since, "DiagnosticReport/.", f"DiagnosticReport/{id_}.")
    for result in made:
        context.add(result)


def _finish_report(
    report: Fragment, group: Group, specimen: tuple[str, str] | None, results: list[Fragment], context: Context
) -> str:
    """Adds the DiagnosticReport and returns its id."""
    assert group.obr is not None
    specimen_id, specimen_key = specimen or ("", "")
    key = (specimen_key, group.obr[4].split("^", 1)[0])
    head = resource(
        "DiagnosticReport",
        context.id("DiagnosticReport", *context.key, *key, context.nth("OBR", *key)),
        "JP_DiagnosticReport_LabResult",
    )
    head["status"] = report.pop("status", None) or _report_status(results)
    head["category"] = [REPORT_CATEGORY]
    head["code"] = report.pop("code", {"coding": [REPORT_CODE]})
    head |= report
    head["subject"] = context.subject()
    if specimen_id:
        head["specimen"] = [{"reference": f"Specimen/{specimen_id}"}]
    if results:
        head["result"] = [{"reference": f"Observation/{result['id']}"} for result in results]
    if any(LAB_RESULT not in result["meta"]["profile"] for result in results):
        # JP_DiagnosticReport_LabResult takes only results of JP_Observation_LabResult.
        head["meta"] = {"profile": [CORE + "JP_DiagnosticReport_Common"]}
    if head["status"] == "unknown":
        context.issue("warning", "no-status", place(group.obr, 25), "neither OBR-25 nor the results tell the status")
    return str(context.add(head)["id"])


def _report_status(results: list[Fragment]) -> str:
    """SS-MIX2 leaves OBR-25 empty: a report is as far as its results are. Nothing known stays unknown."""
    found = {result["status"] for result in results} - {"cancelled", "entered-in-error"}
    if not found or "unknown" in found:
        return "unknown"
    if found == {"registered"}:
        return "registered"
    if found & {"preliminary", "registered"}:
        return "partial" if found & {"final", "corrected"} else "preliminary"
    return "corrected" if "corrected" in found else "final"


def _effective(result: Fragment, specimen_id: str, report: Fragment, obx: Segment, context: Context) -> None:
    """When the value was true: OBX-14, else when the specimen was taken, else OBR-7; else it is not known."""
    if "effectiveDateTime" in result:
        return
    collection = context.resources.get(("Specimen", specimen_id), {}).get("collection", {})
    for element, period in (("collectedDateTime", "collectedPeriod"), ("effectiveDateTime", "effectivePeriod")):
        source = collection if element.startswith("collected") else report
        if element in source:
            result["effectiveDateTime"] = source[element]
            return
        if period in source:
            result["effectivePeriod"] = source[period]
            return
    result["_effectiveDateTime"] = absent()
    context.issue("warning", "no-observation-time", place(obx, 14), "neither OBX-14, SPM-17 nor OBR-7 has a time")


def _synthesised_specimen(result: Fragment, obx: Segment, context: Context) -> None:
    """Without SPM the material is still said by characters 10 to 12 of a 17-character JLAC10 code."""
    material = next((c["code"][9:12] for c in result["code"].get("coding", ()) if c.get("system") == JLAC10), "")
    if not material:
        return
    specimen = _material_specimen(context.id("Specimen", *context.key, "JLAC10", material), material)
    context.add({**specimen, "subject": context.subject()})
    result["specimen"] = {"reference": f"Specimen/{specimen['id']}"}
    context.issue(
        "information", "specimen-from-code", place(obx, 3), "no SPM: the specimen is the material in the code"
    )


@lru_cache(maxsize=4096)
def _material_specimen(id_: str, material: str) -> dict[str, Any]:
    specimen = resource("Specimen", id_, "JP_Specimen_Common")
    specimen["type"] = {"coding": [{"system": MATERIAL, "code": material}]}
    return specimen


# -- converters -------------------------------------------------------------------------------------------------------


@converter(1)
def placer_number(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """OBR-2: the order this report answers. The ServiceRequest itself is told by the order message."""
    number = component(raw, 1)
    if not number:
        return None
    identifier = {"system": ORDER_NUMBER, "value": number}
    return {
        "identifier": [{"type": _identifier_type("PLAC"), **identifier}],
        "basedOn": [{"type": "ServiceRequest", "identifier": identifier}],
    }


@converter(1)
def filler_number(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    number = component(raw, 1)
    system = local_system(context.facility.oid, "filler-order-number")
    return {"type": _identifier_type("FILL"), "system": system, "value": number} if number else None


@lru_cache(maxsize=8)
def _identifier_type(code: str) -> Fragment:
    return {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": code}]}


@converter(rest=cwe_rest)
def report_code(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment:
    """OBR-4 beside the document code that JP_DiagnosticReport_LabResult asks for; text is the sender's words."""
    concept = coded(raw, context.facility.oid).concept or {}
    return {**concept, "coding": [REPORT_CODE, *concept.get("coding", ())]}


@converter(rest=TIME)
def effective(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """OBR-7 and OBR-8: one time, or a period when they differ."""
    first = times.fhir_datetime(component(raw, 1), context.zone)
    last = times.fhir_datetime(component(segment[8], 1), context.zone) if segment[8] not in ("", NULL) else None
    if first is None:
        bad_date(raw, segment, context)
        keep(segment, 8, context)
        return None
    if segment[8] not in ("", NULL) and last is None:
        bad_date(segment[8], segment, context, 8)
    if last is None:
        return {"effectiveDateTime": first}
    spare(segment, 8, TIME, context)
    if last == first:
        return {"effectiveDateTime": first}
    if reversed_period(first, last):
        context.issue("warning", "period-reversed", place(segment, 8), "the end lies before the beginning")
        context.keep(place(segment, 8), segment[8])
        return {"effectiveDateTime": first}
    return {"effectivePeriod": {"start": first, "end": last}}


@converter(1, 2)
def collected(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """SPM-17 is a date range (DR): one time, or a period."""
    parts = list(raw.split("^")[:2])
    found = [times.fhir_datetime(p, context.zone) if p and p != NULL else None for p in parts]
    for part, when in zip(parts, found, strict=True):
        if part and part != NULL and when is None:
            bad_date(raw, segment, context)
            return None
    if len(found) == 2 and found[0] and found[1] and reversed_period(found[0], found[1]):
        bad_field(raw, segment, context, "period-reversed", "the end lies before the beginning")
        found.pop()
    if len(found) == 2 and found[0] and found[1] and found[0] != found[1]:
        return {"collection": {"collectedPeriod": {"start": found[0], "end": found[1]}}}
    if len(found) == 2 and found[1] and not found[0]:
        return {"collection": {"collectedPeriod": {"end": found[1]}}}
    return {"collection": {"collectedDateTime": found[0]}} if found[0] else None


@converter(rest=cwe_rest)
def material(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """SPM-4: the label JC10 means the 3-character material part there, not the whole test code."""
    concept = coded(raw, context.facility.oid).concept
    code, _, label = ([*raw.split("^"), "", ""])[:3]
    if concept is None or label not in ("JC10", "JLAC10") or len(code) != 3:
        return concept
    own = [{**c, "system": MATERIAL} for c in concept["coding"] if c["code"] == code]
    return {**concept, "coding": own + [c for c in concept["coding"] if c["code"] != code]}


def _eip_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    """What `specimen_number` leaves: the authorities of the two numbers, and components an EIP has not."""
    others = tuple(
        (number, other)
        for number, part in enumerate(repetition.split("^")[:2], start=1)
        for other in part.split("&")[1:]
        if plain(other)
    )
    return others + _BEYOND_EIP(repetition)


_BEYOND_EIP = all_but(1, 2)


@converter(rest=_eip_rest)
def specimen_number(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    """SPM-2 EIP: placer and filler number of the specimen."""
    numbers = [plain(part.split("&", 1)[0]) for part in raw.split("^")[:2]]
    system = local_system(context.facility.oid, "specimen-number")
    return [{"system": system, "value": number} for number in dict.fromkeys(numbers) if number]


@converter(repeats=True)
def conclusion(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """NTE-3 under an order group. Several comments stand on lines of their own."""
    words = "\n".join(text for part in raw.split("~") if (text := plain(part)))
    return {"conclusion": words} if words else None
