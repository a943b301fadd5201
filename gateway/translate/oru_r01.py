"""ORU^R01 of physiology (OMG-13, 生理検査結果) and ORU^R30 of vital signs (バイタル, extended storage).

    MSH PID [PV1] { [ORC] OBR [{NTE}] [TQ1] [{OBX [{NTE}]}] }

One DiagnosticReport an OBR, one Observation an OBX. OBX-4 groups results of one OBR where it has several values: a
result without a value is the head of its group, else an Observation with the examination's code is; both say their
members (hasMember). Waveforms and documents in OBX-5 (ED, RP) are DocumentReferences. What is of the laboratory is read
by oul_r22.py. JAHIS physiology; HL7 v2.5 7.3.1, 7.3.5.
"""

from dataclasses import dataclass

from gateway.codec.er7 import Message, Segment
from gateway.translate import oul_r22, routing
from gateway.translate.common import HEAD, Rules, leave, order_key
from gateway.translate.context import Context
from gateway.translate.datatypes import TIME, Fragment, absent, component, plain
from gateway.translate.examination import Group, grouped, order_reference, span
from gateway.translate.examination_result import category, finding
from gateway.translate.leavings import place, residue_of
from gateway.translate.people import practitioner, resource
from gateway.translate.rules import converter, table
from gateway.translate.vital_signs import Reading, paired, settle, vital_of

RULES = Rules(
    **HEAD,
    PV1=("None",),
    ORC=("DiagnosticReport",),
    OBR=("PhysiologyReport",),
    NTE=("DiagnosticReport",),
    TQ1=("Procedure",),
    OBX=("Examination",),
)
NOTES = Rules(NTE=("Observation",))

_FARTHEST = ("unknown", "registered", "preliminary", "corrected", "final")
"""States of results, the one that decides over what holds them first."""


@dataclass(slots=True)
class Report:
    """One OBR with its results; without OBR the results alone."""

    group: Group
    body: Fragment
    """Elements of the DiagnosticReport."""
    results: list[tuple[Segment, Fragment]]
    """Each OBX with its Observation."""
    timed: bool
    """It holds vital signs, which recur: the time is a part of its identity."""


def translate(message: Message, context: Context) -> None:
    if routing.of_laboratory(message):
        oul_r22.lab_groups(message, context)
        return
    groups, rest = grouped(message)
    readings: list[Reading] = []
    reports = []
    whole = context.key
    for group in groups:
        if not context.filed:
            day = component(group.obr[7], 1) if group.obr is not None else ""
            context.key = order_key(group.orc, group.obr, day, whole)
        reports.append(_read(group, readings, context))
    context.key = whole
    sure = [reading for reading in readings if settle(reading.made, reading.vital)]
    pressures = {made["id"]: made for made in paired(sure, context)}
    for report in reports:
        heads = _members(report, context)
        for _, made in report.results:
            context.add(pressures.get(made["id"], made))
        for head in heads:
            context.add(head)
        if report.group.obr is not None:
            _finish(report, heads, report.group.obr, context)
    leave(rest, RULES, context)


def _read(group: Group, readings: list[Reading], context: Context) -> Report:
    """The Observations of a group and what ORC, OBR and NTE say of its report."""
    results = group.results + [result for done in group.performed for result in done.results]
    vitals = [vital_of(obx) for obx, _ in results]
    report = Report(group, {}, [], any(vitals))
    # Segments of other messages, which have no place in this one.
    strange = [one for done in group.performed for one in (done.ze1, *done.exposures, *done.notes)]
    for segment in (*group.studies, *strange):
        residue_of(segment, context)
    for tq1 in group.timings:
        RULES["TQ1"].apply(tq1, {"Procedure": {}}, context)
    id_ = _report_id(report, context)
    said: Fragment = {"resourceType": "DiagnosticReport", "id": id_}
    for head in (group.orc, group.obr):
        if head is not None:
            RULES[head.name].apply(head, {"DiagnosticReport": said}, context)
    report.body = said
    _conclude(report, context)
    day = group.obr[7] if group.obr is not None else ""
    for result, vital in zip(results, vitals, strict=True):
        obx = result[0]
        within = "|".join((group.code, component(obx[14] or day, 1))) if vital else group.code
        kind = "exam" if report.timed or context.data_type == routing.VITAL_SIGNS else "procedure"
        made = finding(result, group.number, kind, RULES["OBX"], NOTES["NTE"], context, within=within)
        _settle(made, report, obx, context)
        report.results.append((obx, made))
        if vital:
            readings.append(Reading(obx, made, vital, id_))
    return report


def _report_id(report: Report, context: Context) -> str:
    group = report.group
    day = component(group.obr[7], 1) if report.timed and group.obr is not None else ""
    key = (group.number, group.code, day)
    return context.id("DiagnosticReport", *context.key, *key, context.nth("OBR", *key))


def _conclude(report: Report, context: Context) -> None:
    """NTE under the OBR: the conclusion, a line each."""
    for nte in report.group.notes:
        if report.group.obr is None:
            residue_of(nte, context)
            continue
        comment: Fragment = {"resourceType": "DiagnosticReport", "id": report.body["id"]}
        RULES["NTE"].apply(nte, {"DiagnosticReport": comment}, context)
        if "conclusion" in comment:
            parts = [one["conclusion"] for one in (report.body, comment) if "conclusion" in one]
            report.body["conclusion"] = "\n".join(parts)


def _settle(made: Fragment, report: Report, obx: Segment, context: Context) -> None:
    """When a result was true, which order it answers, and whether it was withdrawn with it."""
    if "effectiveDateTime" not in made:
        if when := [key for key in ("effectiveDateTime", "effectivePeriod") if key in report.body]:
            made |= {key: report.body[key] for key in when}
        else:
            context.issue("warning", "no-observation-time", place(obx, 14), "neither OBX-14 nor OBR-7 has a time")
    if report.group.number:
        made["basedOn"] = [order_reference(number) for number in report.group.numbers]
    if (withdrawn := _withdrawn(report.group)) and made["status"] != "cancelled":
        made["status"] = withdrawn


def _withdrawn(group: Group) -> str | None:
    return table("result-order-control").get(group.control)


# -- OBX-4 ------------------------------------------------------------------------------------------------------------


def _members(report: Report, context: Context) -> list[Fragment]:
    """Heads of the groups that OBX-4 makes, where it makes several: added Observations that say their members."""
    groups: dict[str, list[tuple[Segment, Fragment]]] = {}
    for obx, made in report.results:
        if name := component(obx[4], 1):
            groups.setdefault(name, []).append((obx, made))
    added = []
    for name, results in groups.items() if len(groups) > 1 else ():
        ids = list(dict.fromkeys(made["id"] for _, made in results))
        if len(ids) < 2:
            continue
        empty = [made for obx, made in results if _no_value(made)]
        head = empty[0] if len(empty) == 1 else _head(name, results, report, context)
        if head is None:
            continue
        head["hasMember"] = [{"reference": f"Observation/{id_}"} for id_ in ids if id_ != head["id"]]
        if head not in empty:
            added.append(head)
    return added


def _no_value(made: Fragment) -> bool:
    return not any(key.startswith(("value", "component", "derivedFrom", "dataAbsentReason")) for key in made)


def _head(name: str, results: list[tuple[Segment, Fragment]], report: Report, context: Context) -> Fragment | None:
    """The Observation of a group that has none of its own; its code is that of the examination."""
    if "code" not in report.body:
        return None
    first = results[0][1]
    head = resource("Observation", context.id("Observation", report.body["id"], "OBX-4", name), "JP_Observation_Common")
    head["status"] = _state([made for _, made in results])
    head["category"] = category("procedure")
    head["code"] = report.body["code"]
    head |= {key: first[key] for key in ("subject", "basedOn") if key in first}
    head |= {key: report.body[key] for key in ("effectiveDateTime", "effectivePeriod") if key in report.body}
    return head


def _state(results: list[Fragment]) -> str:
    """As far as the results are; withdrawn only when all are."""
    found = {made["status"] for made in results}
    standing = found - {"cancelled", "entered-in-error"}
    if not standing:
        return next(iter(found)) if len(found) == 1 else "unknown"
    return next(status for status in _FARTHEST if status in standing)


# -- DiagnosticReport -------------------------------------------------------------------------------------------------


def _finish(report: Report, heads: list[Fragment], obr: Segment, context: Context) -> None:
    said = report.body
    made = resource("DiagnosticReport", said.pop("id"), "JP_DiagnosticReport_Common")
    del said["resourceType"]
    results = [one for _, one in report.results]
    made["status"] = said.pop("status", None) or _report_state(results)
    if withdrawn := _withdrawn(report.group):
        made["status"] = withdrawn if results else "cancelled"
    section = table("physiology-sections").get(report.group.code[:2])
    if section and "JC10" in obr[4]:
        made["category"] = [{"coding": [{"system": "http://loinc.org", "code": section}]}]
    made["code"] = said.pop("code", None) or absent()
    made |= said
    made["subject"] = context.subject()
    if ids := dict.fromkeys(one["id"] for one in (*results, *heads)):
        made["result"] = [{"reference": f"Observation/{id_}"} for id_ in ids]
    if made["status"] == "unknown":
        context.issue("warning", "no-status", place(obr, 25), "neither OBR-25 nor the results tell the status")
    context.add(made)


def _report_state(results: list[Fragment]) -> str:
    """Without OBR-25 a report is as far as its results are."""
    found = {made["status"] for made in results} - {"cancelled", "entered-in-error"}
    if found & {"preliminary", "registered"} and found & {"final", "corrected"}:
        return "partial"
    return _state(results) if found else "unknown"


# -- converters -------------------------------------------------------------------------------------------------------


@converter(rest=TIME)
def examined(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """OBR-7 and OBR-8."""
    return span("effective", raw, segment, 8, context)


def _ndl_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    """What `named_persons` leaves of an NDL: all but number, family and given name of the person."""
    first, *others = repetition.split("^")
    left = [(1, one) for one in first.split("&")[3:] if plain(one)]
    return (*left, *((number, one) for number, one in enumerate(others, start=2) if plain(one)))


@converter(rest=_ndl_rest)
def named_person(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """OBR-32 (NDL: CNN in subcomponents of component 1)."""
    return _named(raw, context)


@converter(repeats=True, rest=_ndl_rest)
def named_persons(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    """OBR-34, one a repetition."""
    return [person for part in raw.split("~") if (person := _named(part, context))]


def _named(raw: str, context: Context) -> Fragment | None:
    return practitioner("^".join(raw.split("^", 1)[0].split("&")[:3]), context)
