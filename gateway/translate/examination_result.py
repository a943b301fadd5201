"""OBX of examinations (放射線・内視鏡・生理検査) -> Observation: what was known before, found, measured or said.

One Observation an OBX, of JP_Observation_Common; findings and impressions of radiology have profiles of their own.
"""

from gateway.codec.er7 import Segment
from gateway.translate.context import Context
from gateway.translate.datatypes import Fragment
from gateway.translate.examination import Result
from gateway.translate.observation import OBSERVATION_CATEGORY, lab_result
from gateway.translate.people import CORE
from gateway.translate.rules import SegmentRules, table

LOINC = "http://loinc.org"


def category(code: str) -> list[Fragment]:
    """Observation.category of JP_SimpleObservationCategory_CS."""
    return [{"coding": [{"system": OBSERVATION_CATEGORY, "code": code}]}]


def finding(
    result: Result, number: str, kind: str, rules: SegmentRules, notes: SegmentRules, context: Context, within: str = ""
) -> Fragment:
    """The Observation of one OBX, not added yet. `number` is that of its order, `kind` its category, `within` what
    else it belongs to (a ZE1): the same item is said of every one."""
    obx, ntes = result
    made = lab_result(obx, "", number, context, rules, within=within)
    made["meta"] = {"profile": [CORE + (report_profile(made, obx) or "JP_Observation_Common")]}
    made["category"] = category("imaging" if is_report(obx) else kind)
    for nte in ntes:
        notes.apply(nte, {"Observation": made}, context)
    return made


def is_report(obx: Segment) -> bool:
    """Whether an OBX is a part of a radiology report (読影所見, 診断) by its LOINC."""
    codes = table("radiology-report-items")
    parts = obx[3].split("~", 1)[0].split("^")
    return any(part in codes and parts[at + 2 : at + 3] == ["LN"] for at, part in enumerate(parts) if at in (0, 3))


def report_profile(made: Fragment, obx: Segment) -> str:
    """The profile of a finding or impression, whose only code is that LOINC; "" for every other Observation."""
    codings = made["code"].get("coding", ())
    if len(codings) != 1 or codings[0].get("system") != LOINC:
        return ""
    return table("radiology-report-items").get(codings[0]["code"], "")
