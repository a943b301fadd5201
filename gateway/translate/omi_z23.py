"""OMI^Z23: examinations that were done (OMG-11 放射線, OMG-12 内視鏡).

    MSH PID [PV1] { ORC {TQ1} OBR [{NTE}] [{OBX}] [{ZE1 [{OBX}] [{ZE2}]}] [{IPC}] }

One Procedure a ZE1 (実施した手技); an order without any has one out of its OBR, unless it is only the head of its
parts. The orders themselves are told by OMG^O19, so they are referred to by number. OBX under ZE1 that say who took
part, when it began and ended, and what was used become parts of the Procedure (mappings/tables/examination-parts.csv),
all others Observations. A DiagnosticReport is made only when findings or an impression come with the message.
ZE2 (照射条件: kV, mA, time, distance) has no element in R4: its amounts stand in a note as they were sent. JAHIS radiology (HS016), endoscopy.
"""

from dataclasses import dataclass, field

from gateway.codec.er7 import Message, Segment
from gateway.model.outcome import Unmapped
from gateway.translate import times
from gateway.translate.common import HEAD, Rules, leave
from gateway.translate.context import Context
from gateway.translate.datatypes import TIME, Fragment, absent, bad_date, component, words_of
from gateway.translate.examination import (
    Order,
    Performed,
    Result,
    combine,
    grouped,
    order_reference,
    orders,
    span,
)
from gateway.translate.examination_result import finding, is_report
from gateway.translate.imaging_study import Studies, Study
from gateway.translate.leavings import NULL, keep, place
from gateway.translate.people import resource
from gateway.translate.performed import MATERIAL, PERFORMER, TIME_OF, add_part, part_of, settle_period
from gateway.translate.rules import converter, table
from gateway.translate.vital_signs import settle, vital_of

RULES = Rules(
    **HEAD,
    PV1=("None",),
    ORC=("Procedure",),
    TQ1=("Procedure",),
    OBR=("Procedure",),
    NTE=("Procedure",),
    OBX=("Examination",),
    ZE1=("Procedure",),
    ZE2=("Procedure",),
    IPC=("ImagingStudy",),
)
NOTES = Rules(NTE=("Observation",))
MORE = (NOTES, PERFORMER, MATERIAL, TIME_OF)

ENDOSCOPY = "OMG-12"
"""Data type of endoscopy; every other one is radiology."""
_CANCELLED = frozenset({"revoked", "entered-in-error"})
_FIELDS: dict[str, dict[str, tuple[int, ...]]] = {"OBR": {"code": (4,), "performed": (7, 8), "status": (25,)}}
"""Elements of which a Procedure has one -> the fields that say it."""
_INHERITED = ("identifier", "note", "reasonCode")
"""What the head of an order says of each of its parts."""
_REPORT_CODE = {
    "system": "http://jpfhir.jp/fhir/core/CodeSystem/JP_DocumentCodes_CS",
    "code": "18748-4",
    "display": "画像検査報告書",
}
_REPORT_CATEGORIES = {True: "LP7796-8", False: "LP29684-5"}
"""Endoscopy or not -> LOINC part code of DiagnosticReport.category."""


@dataclass(slots=True, eq=False)
class Done:
    """One order of the message and what was done for it."""

    order: Order
    ids: list[str]
    """Of the Procedures: one a ZE1, else one for the order."""
    head: "Done | None" = None
    parts: list["Done"] = field(default_factory=list)
    body: Fragment = field(default_factory=dict)
    studies: list[Study] = field(default_factory=list)
    inherited: list[Fragment] = field(default_factory=list)
    """When each of its parts was done."""
    reported: list[Fragment] = field(default_factory=list)
    """Findings and impressions."""

    @property
    def cancelled(self) -> bool:
        controls = table("examination-control")
        return any(controls.get(group.control) in _CANCELLED for group in self.order.groups)

    @property
    def obr(self) -> Segment | None:
        return next((group.obr for group in self.order.groups if group.obr is not None), None)


def translate(message: Message, context: Context) -> None:
    groups, rest = grouped(message)
    found = [Done(order, _ids(order, context)) for order in orders(groups)]
    known: dict[str, Done] = {}
    for done in found:
        for number in done.order.numbers:
            known.setdefault(number, done)
    for done in found:
        done.head = next((known[number] for number in done.order.parents if number in known), None)
        if done.head is not None:
            done.head.parts.append(done)
    studies = Studies(RULES["IPC"], context)
    for done in found:
        _read(done, studies, context)
    for done in found:
        _add(done, context)
    for done in found:
        _settle_head(done, context)
    studies.finish("" if context.data_type == ENDOSCOPY else "JP_ImagingStudy_Radiology")
    leave(rest, RULES, context)


def _ids(order: Order, context: Context) -> list[str]:
    """Identity of a Procedure: its order, what was done, and how often that occurs before."""
    codes = [component(one.ze1[3], 1) or component(one.ze1[3], 2) or order.code for one in order.performed]
    keys = [(order.number, code) for code in codes or [order.code]]
    return [context.id("Procedure", *context.key, *key, context.nth("ZE1", *key)) for key in keys]


def _read(done: Done, studies: Studies, context: Context) -> None:
    """What ORC, TQ1, OBR and NTE say of all Procedures of the order, and its studies."""
    shown = done.ids if done.order.performed or not done.parts else done.parts[0].ids
    for group in done.order.groups:
        for segment in (group.orc, *group.timings, group.obr, *group.notes):
            if segment is not None:
                extra: Fragment = {"id": shown[0]}
                RULES[segment.name].apply(segment, {"Procedure": extra}, context)
                del extra["id"]
                combine(done.body, extra, segment, _FIELDS.get(segment.name, {}), context)
        for ipc in group.studies:
            _join(studies.add(ipc, done.order.numbers), done)


def _join(study: Study, done: Done) -> None:
    if study not in done.studies:
        done.studies.append(study)
    study.cancelled = study.cancelled and done.cancelled
    study.times = study.times or {key: value for key, value in done.body.items() if key.startswith("performed")}
    study.words = study.words or words_of(done.body.get("code", {}))
    if done.order.performed or not done.parts:
        study.procedures |= dict.fromkeys(done.ids)


def _settle_head(done: Done, context: Context) -> None:
    """A time of the whole that is the time of no part is residue: an order's head has no Procedure of its own."""
    whole = {key: value for key, value in done.body.items() if key.startswith("performed")}
    if not whole or done.obr is None or done.order.performed or not done.inherited or whole in done.inherited:
        return
    parts = [str(value) for one in done.inherited for value in one.values()]
    if not any(whole.get("performedDateTime", "no time") in part for part in parts):
        for number in (7, 8):
            keep(done.obr, number, context)


def _add(done: Done, context: Context) -> None:
    """The Procedures, Observations and, where there are findings, the report of one order."""
    own = done.body.get("code")
    said = []
    for performed, id_ in zip(done.order.performed, done.ids, strict=False):
        said.append(_procedure(done, performed, id_, context).get("code"))
    if not done.order.performed and not done.parts:
        _procedure(done, None, done.ids[0], context)
    if said and own is not None and own not in said and done.head is not None and "code" in done.head.body:
        # Another examination than was ordered; `category` is taken by the kind that the head names.
        assert done.obr is not None
        keep(done.obr, 4, context)
    for result in done.order.results:
        made = _observation(result, done, "exam", "", context)
        context.add(made)
    _settle_report(done, context)


def _procedure(done: Done, performed: Performed | None, id_: str, context: Context) -> Fragment:
    head = done.head.body if done.head is not None else {}
    made = resource("Procedure", id_, "JP_Procedure")
    said: Fragment = {}
    observations: list[Fragment] = []
    if performed is not None:
        said = _performed(done, performed, id_, observations, context)
    own = {key: value for key, value in done.body.items() if key not in _INHERITED}
    body = {"code": own.get("code", {}), **said}
    if done.head is not None:
        own = {key: value for key, value in head.items() if key not in (*_INHERITED, "code")} | own
    for name in _INHERITED:
        parts = [one for source in (said, done.body, head) for one in source.get(name, ())]
        if parts:
            made[name] = [one for at, one in enumerate(parts) if one not in parts[:at]]
    if numbers := dict.fromkeys((*done.order.numbers, *done.order.parents, *_numbers_of(done.head))):
        made["basedOn"] = [order_reference(number) for number in numbers]
    made["status"] = _status(done, own)
    kind = head.get("code") or (own.get("code") if own.get("code") != body["code"] else None)
    if kind:
        made["category"] = kind
    if body["code"]:
        made["code"] = body["code"]
    made["subject"] = context.subject()
    times_of = body if any(key.startswith("performed") for key in body) else own
    for key in ("performedDateTime", "performedPeriod"):
        if key in times_of:
            made[key] = times_of[key]
    made |= {key: body[key] for key in ("performer", "usedCode") if body.get(key)}
    if done.head is not None:
        done.head.inherited.append({key: value for key, value in made.items() if key.startswith("performed")})
    context.add(made)
    for observation in observations:
        context.add(observation)
    return made


def _numbers_of(head: Done | None) -> list[str]:
    return [*head.order.numbers, *head.order.parents] if head is not None else []


def _status(done: Done, own: Fragment) -> str:
    """What OBR-25 says; OMI^Z23 itself says that it was done. A code of no table leaves it unknown."""
    if done.cancelled or (done.head is not None and done.head.cancelled):
        return "entered-in-error"
    unread = any(group.obr is not None and group.obr[25] not in ("", NULL) for group in done.order.groups)
    return str(own.get("status") or ("unknown" if unread else "completed"))


def _performed(done: Done, performed: Performed, id_: str, observations: list[Fragment], context: Context) -> Fragment:
    """What ZE1 and the segments under it say of the Procedure; the Observations among them join `observations`."""
    said: Fragment = {"id": id_}
    RULES["ZE1"].apply(performed.ze1, {"Procedure": said}, context)
    del said["id"]
    for nte in performed.notes:
        extra: Fragment = {"id": id_}
        RULES["NTE"].apply(nte, {"Procedure": extra}, context)
        said["note"] = said.get("note", []) + extra.get("note", [])
    ends = []
    for result in performed.results:
        part = part_of(result[0], context)
        if not part:
            made = _observation(result, done, "procedure", id_, context)
            if not is_report(result[0]):
                made["partOf"] = _references("Procedure", [id_])
            observations.append(made)
            continue
        if part == "end":
            ends.append(result[0])
        said["id"] = id_
        add_part(part, result[0], said, context)
        del said["id"]
        for nte in result[1]:
            extra = {"id": id_}
            RULES["NTE"].apply(nte, {"Procedure": extra}, context)
            said["note"] = said.get("note", []) + extra.get("note", [])
    for ze2 in performed.exposures:
        extra = {"id": id_}
        RULES["ZE2"].apply(ze2, {"Procedure": extra}, context)
        if amounts := extra.get("exposure"):
            said["note"] = [*said.get("note", ()), {"text": "照射条件 " + " ".join(amounts)}]
    times_of = {key: value for key, value in done.body.items() if key.startswith("performed")}
    settled = said | times_of
    settle_period(settled, done.obr, ends, context)
    return settled


def _observation(result: Result, done: Done, kind: str, within: str, context: Context) -> Fragment:
    made = finding(
        result, done.order.number, kind, RULES["OBX"], NOTES["NTE"], context, within=within or done.order.code
    )
    if done.order.numbers:
        made["basedOn"] = [order_reference(number) for number in done.order.numbers]
    if vital := vital_of(result[0]):
        settle(made, vital)
    if done.cancelled:
        made["status"] = "entered-in-error"
    if is_report(result[0]):
        made |= {"partOf": _references("ImagingStudy", [study.id for study in done.studies])} if done.studies else {}
        done.reported.append(made)
    if within or is_report(result[0]):
        # What was known before the examination has no time of its own: only what came of it has that of OBR-7.
        for key, name in (("performedDateTime", "effectiveDateTime"), ("performedPeriod", "effectivePeriod")):
            if key in done.body and "effectiveDateTime" not in made:
                made[name] = done.body[key]
    return made


def _references(type_: str, ids: list[str]) -> list[Fragment]:
    return [{"reference": f"{type_}/{id_}"} for id_ in ids]


# -- the report -------------------------------------------------------------------------------------------------------


def _settle_report(done: Done, context: Context) -> None:
    """A DiagnosticReport of findings and impressions. Without them there is none: OBR-25 then tells of the examination,
    and an empty report that is called final would mislead."""
    issuing = [g.obr for g in done.order.groups if g.obr is not None and g.obr[22] not in ("", NULL)]
    if not done.reported:
        reason = "time of the last change of state; no report comes with the message"
        context.unmapped += [Unmapped(place(obr, 22), reason) for obr in issuing]
        return
    endoscopy = context.data_type == ENDOSCOPY
    plain_time = "performedPeriod" not in done.body
    profile = "JP_DiagnosticReport_Radiology" if plain_time and not endoscopy else "JP_DiagnosticReport_Common"
    report = resource(
        "DiagnosticReport", context.id("DiagnosticReport", *context.key, done.order.number, done.order.code), profile
    )
    report["basedOn"] = [order_reference(number) for number in done.order.numbers]
    sent = next((g.obr[25] for g in done.order.groups if g.obr is not None and g.obr[25] not in ("", NULL)), "")
    report["status"] = table("diagnostic-report-status").get(component(sent, 1), "unknown")
    if done.cancelled:
        report["status"] = "entered-in-error"
    categories = [{"coding": [{"system": "http://loinc.org", "code": _REPORT_CATEGORIES[endoscopy]}]}]
    modalities = {coding["code"]: coding for study in done.studies for coding in study.body.get("modality", ())}
    report["category"] = categories + [{"coding": [coding]} for coding in modalities.values()]
    code = done.body.get("code", {})
    report["code"] = {**code, "coding": [*([] if endoscopy else [_REPORT_CODE]), *code.get("coding", ())]}
    if not report["code"]["coding"]:
        report["code"] = {k: v for k, v in code.items() if k != "coding"} or absent()
    report["subject"] = context.subject()
    for key, name in (("performedDateTime", "effectiveDateTime"), ("performedPeriod", "effectivePeriod")):
        if key in done.body:
            report[name] = done.body[key]
    _issued(report, issuing, context)
    report["result"] = _references("Observation", [made["id"] for made in done.reported])
    if done.studies:
        report["imagingStudy"] = _references("ImagingStudy", [study.id for study in done.studies])
    if not report["basedOn"]:
        del report["basedOn"]
    if report["status"] == "unknown":
        where = place(done.obr, 25) if done.obr is not None else "OBR"
        context.issue("warning", "no-status", where, "OBR-25 does not tell the state of the report")
    context.add(report)


def _issued(report: Fragment, issuing: list[Segment], context: Context) -> None:
    for obr in issuing:
        found = times.fhir_instant(component(obr[22], 1), context.zone)
        if found is None:
            bad_date(obr[22], obr, context, 22)
        elif report.setdefault("issued", found) != found:
            keep(obr, 22, context)


# -- converters -------------------------------------------------------------------------------------------------------


@converter(rest=TIME)
def performed(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """OBR-7 and OBR-8: when the examination was done."""
    return span("performed", raw, segment, 8, context)


@converter(rest=TIME)
def report_time(raw: str, fields: list[str], segment: Segment, context: Context) -> bool:
    """OBR-22: read by `_settle_report`."""
    return True
