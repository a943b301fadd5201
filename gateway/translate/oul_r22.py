"""OUL^R22 (OML-11, 検体検査結果) and ORU^R01 of laboratories: one DiagnosticReport an OBR, one Observation an OBX.

What belongs to an OBR: laboratory_groups.py. Specimens: specimen.py. Microbiology and panels: microbiology.py.
HL7 v2.5 7.3.1, 7.3.2; JAHIS laboratory.
"""

from functools import lru_cache

from gateway.codec.er7 import Message, Segment
from gateway.translate import times
from gateway.translate.common import HEAD, ORDER_NUMBER, Rules, leave, order_key, reversed_period
from gateway.translate.context import Context
from gateway.translate.datatypes import (
    TIME,
    Fragment,
    absent,
    bad_date,
    coded,
    component,
    concept_of,
    cwe_rest,
    plain,
)
from gateway.translate.ids import local_system
from gateway.translate.laboratory_groups import Group, grouped
from gateway.translate.leavings import NULL, keep, place, residue_of, spare
from gateway.translate.microbiology import (
    MICROBIOLOGY,
    Result,
    area,
    classify,
    identity_of_parent,
    join_group,
    join_parents,
    reports_microbiology,
)
from gateway.translate.observation import LAB_RESULT, lab_result, settle_profile
from gateway.translate.people import resource
from gateway.translate.rules import aim, converter, mark, table
from gateway.translate.specimen import NONE, Taken, add_specimen, from_source, from_test_code, source_rest, when_taken
from gateway.translate.split_results import parts_of

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

_DOCUMENT_CODES = "http://jpfhir.jp/fhir/core/CodeSystem/JP_DocumentCodes_CS"
REPORT_CODE = {"system": _DOCUMENT_CODES, "code": "11502-2", "display": "検体検査報告書"}
_LABORATORY = {"coding": [{"system": "http://loinc.org", "code": "LP29693-6"}]}
_MICROBIOLOGY_CODE = {"system": _DOCUMENT_CODES, "code": "18725-2", "display": "微生物学的検査報告書"}
_MICROBIOLOGY = {"coding": [{"system": "http://loinc.org", "code": "LP7819-8"}]}


def translate(message: Message, context: Context) -> None:
    """Adds Specimens, DiagnosticReports and Observations of a message of results."""
    groups, rest = grouped(message)
    whole = context.key
    known: dict[int, Taken] = {}
    results: list[Result] = []
    children: list[tuple[Segment, str, list[Fragment]]] = []
    for group in groups:
        if not context.filed:
            taken = component(group.specimens[0][17], 1) if group.specimens else ""
            context.key = order_key(group.orc, group.obr, taken, whole)
        for segment in group.specimens:
            if segment.line not in known:
                known[segment.line] = add_specimen(segment, context, RULES["SPM"])
        made = _report(group, [known[segment.line] for segment in group.specimens], context)
        results += made
        if group.obr is not None and identity_of_parent(group.obr):
            children.append((group.obr, made[0].specimen if made else "", [result.made for result in made]))
    context.key = whole
    join_parents(children, results, context)
    for segment in rest:
        if segment.name == "NTE":
            _ownerless(segment, context)
    leave(rest, RULES, context)


def lab_groups(message: Message, context: Context) -> None:
    """The laboratory content of an ORU^R01, whose specimens may follow their results or stand in OBR-15."""
    translate(message, context)


def _ownerless(nte: Segment, context: Context) -> None:
    context.issue("warning", "comment-without-owner", place(nte, 3), "the NTE follows no order and no result")


def _report(group: Group, specimens: list[Taken], context: Context) -> list[Result]:
    """One group -> DiagnosticReport and its Observations."""
    report: Fragment = {}
    since = mark(context)
    if group.orc is not None:
        RULES["ORC"].apply(group.orc, {"DiagnosticReport": report}, context)
    if group.obr is not None:
        RULES["OBR"].apply(group.obr, {"DiagnosticReport": report}, context)
        specimens = _source(group.obr, specimens, context)
    if "issued" not in report and (issued := _changed(group.orc, context)) is not None:
        report["issued"] = issued
    for segment in group.timings:
        residue_of(segment, context)
    _conclude(report, group, context)
    results = _results(group, specimens[0] if specimens else NONE, report, context)
    withdrawn = group.orc is not None and table("result-order-control").get(component(group.orc[1], 1))
    if withdrawn:
        for result in results:
            if result.made["status"] != "cancelled":
                result.made["status"] = withdrawn
    if group.obr is not None:
        if withdrawn:
            report["status"] = withdrawn if results else "cancelled"
        id_ = _finish_report(report, group.obr, specimens, results, context)
        aim(context, since, "DiagnosticReport/.", f"DiagnosticReport/{id_}.")
    for result in results:
        context.add(result.made)
    return results


def _changed(orc: Segment | None, context: Context) -> str | None:
    """ORC-9 of a result: when its status changed (JAHIS laboratory, section 2). Of an order it is when it was typed."""
    if orc is None or component(orc[1], 1) not in ("SC", "RE", ""):
        return None
    return times.fhir_instant(component(orc[9], 1), context.zone)


def _source(obr: Segment, specimens: list[Taken], context: Context) -> list[Taken]:
    """The specimens of a group: those of SPM, else the one in OBR-15; beside an SPM that field is residue."""
    if obr[15] in ("", NULL):
        return specimens
    if specimens:
        keep(obr, 15, context)
        return specimens
    taken = from_source(obr, context)
    return [taken] if taken.id else []


def _conclude(report: Fragment, group: Group, context: Context) -> None:
    """NTE under the OBR: the conclusion, a line each."""
    for nte in group.notes:
        if group.obr is None:
            _ownerless(nte, context)
            residue_of(nte, context)
            continue
        comment: Fragment = {}
        RULES["NTE"].apply(nte, {"DiagnosticReport": comment}, context)
        if comment:
            report["conclusion"] = "\n".join(c["conclusion"] for c in (report, comment) if "conclusion" in c)


def _results(group: Group, specimen: Taken, report: Fragment, context: Context) -> list[Result]:
    """The Observations of a group, with what they take from it: specimen, time, kind, and one another."""
    obr, rules = group.obr, RULES["OBX"]
    when = when_taken(specimen, report, context)
    within = identity_of_parent(obr)
    section = microbiology = reports_microbiology(obr)
    results: list[Result] = []
    for obx, ntes in group.results:
        made = lab_result(obx, specimen.id, specimen.key, context, rules, within)
        if not specimen.id:
            from_test_code(made, obx, context)
        for nte in ntes:
            NOTES["NTE"].apply(nte, {"Observation": made}, context)
        if "effectiveDateTime" not in made:
            _effective(made, when, obx, context)
        for part in parts_of(made, obx, context) if "valueString" in made else (made,):
            result = Result(obx, part, specimen.key, obr)
            if section or area(obx[3]):
                classify(result, context)
                microbiology = True
            else:
                settle_profile(part)
            results.append(result)
    join_group(results, microbiology, context)
    return results


def _finish_report(
    report: Fragment, obr: Segment, specimens: list[Taken], results: list[Result], context: Context
) -> str:
    """Adds the DiagnosticReport and returns its id."""
    key: tuple[str, ...] = (specimens[0].key if specimens else "", obr[4].split("^", 1)[0])
    if within := identity_of_parent(obr):
        key += (within,)
    id_ = context.id("DiagnosticReport", *context.key, *key, context.nth("OBR", context.key[3], *key))
    made = [result.made for result in results]
    microbiology = reports_microbiology(obr) or (bool(made) and all(one["meta"] is MICROBIOLOGY for one in made))
    head = resource("DiagnosticReport", id_, _profile(report, made, microbiology))
    head["status"] = report.pop("status", None) or _report_status(made)
    head["category"] = [_MICROBIOLOGY if microbiology else _LABORATORY, *report.pop("category", ())]
    head["code"] = _code(report.pop("code", {"coding": [REPORT_CODE]}), microbiology)
    head |= report
    head["subject"] = context.subject()
    if references := [{"reference": f"Specimen/{one.id}"} for one in specimens if one.id]:
        head["specimen"] = references
    if made:
        head["result"] = [{"reference": f"Observation/{result['id']}"} for result in made]
    if head["status"] == "unknown":
        context.issue("warning", "no-status", place(obr, 25), "neither OBR-25 nor the results tell the status")
    context.add(head)
    return id_


def _profile(report: Fragment, results: list[Fragment], microbiology: bool) -> str:
    """Each report profile takes only results of its own profile, and that of microbiology no period."""
    kind = "Microbiology" if microbiology else "LabResult"
    claimed = MICROBIOLOGY if microbiology else LAB_RESULT
    if any(result["meta"] is not claimed for result in results) or (microbiology and "effectivePeriod" in report):
        return "JP_DiagnosticReport_Common"
    return f"JP_DiagnosticReport_{kind}"


def _code(code: Fragment, microbiology: bool) -> Fragment:
    """The document code that the profile asks for stands before the sender's."""
    return {**code, "coding": [_MICROBIOLOGY_CODE, *code["coding"][1:]]} if microbiology else code


_NO_RESULTS = frozenset({"cancelled", "entered-in-error"})


def _report_status(results: list[Fragment]) -> str:
    """SS-MIX2 leaves OBR-25 empty: a report is as far as its results are. Nothing known stays unknown."""
    every: set[str] = {result["status"] for result in results}
    if len(every) == 1 and every <= _NO_RESULTS:
        return every.pop()
    found = every - _NO_RESULTS
    if not found or "unknown" in found:
        return "unknown"
    if found == {"registered"}:
        return "registered"
    if found & {"preliminary", "registered"}:
        return "partial" if found & {"final", "corrected"} else "preliminary"
    return "corrected" if "corrected" in found else "final"


def _effective(result: Fragment, when: Fragment, obx: Segment, context: Context) -> None:
    """When the value was true. Where nothing says so, when the message was written: the result was there by then, and
    that is reported."""
    result |= when
    if when:
        return
    if context.message_time:
        result["effectiveDateTime"] = context.message_time
    else:
        result["_effectiveDateTime"] = absent()
    context.issue(
        "warning", "no-observation-time", place(obx, 14), "neither OBX-14, SPM-17 nor OBR-7 has a time; MSH-7 stands in"
    )


# -- converters -------------------------------------------------------------------------------------------------------


@converter(1)
def placer_number(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """OBR-2: the order this report answers. The ServiceRequest itself is told by the order message."""
    number = component(raw, 1)
    if not number:
        return None
    identifier = {"system": ORDER_NUMBER, "value": number}
    return {
        "identifier": [{"type": identifier_type("PLAC"), **identifier}],
        "basedOn": [{"type": "ServiceRequest", "identifier": identifier}],
    }


@converter(1)
def filler_number(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    number = component(raw, 1)
    system = local_system(context.facility.oid, "filler-order-number")
    return {"type": identifier_type("FILL"), "system": system, "value": number} if number else None


@lru_cache(maxsize=8)
def identifier_type(code: str) -> Fragment:
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


@converter(1)
def diagnostic_section(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """OBR-24, the section of the laboratory, as a further category."""
    code = component(raw, 1)
    return concept_of(f"{code}^^HL70074", segment, context) if code else None


@converter(rest=source_rest)
def specimen_source(raw: str, fields: list[str], segment: Segment, context: Context) -> bool:
    """OBR-15 is read where no SPM stands (`_source`)."""
    return True


@converter(1, 2, 3)
def parent_result(raw: str, fields: list[str], segment: Segment, context: Context) -> bool:
    """OBR-26 is read when all results of the message are there (microbiology.join_parents)."""
    return True


@converter(repeats=True)
def conclusion(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """NTE-3 under an order group. Several comments stand on lines of their own."""
    words = "\n".join(text for part in raw.split("~") if (text := plain(part)))
    return {"conclusion": words} if words else None
