"""ADT: patient basics (ADT-00, 患者基本情報) and outpatient reception (ADT-12, 外来受付). HL7 v2.5 chapter 3; SS-MIX2
1.2. The events of stays are read in adt_movement.py, the allergies of ADT-61 in adt_allergy.py."""

from typing import Any

from gateway.codec.er7 import Message, Segment
from gateway.translate import times
from gateway.translate.allergy import VERIFICATION as ALLERGY_VERIFICATION
from gateway.translate.allergy import add_allergy, settle_status
from gateway.translate.common import HEAD, Rules, leave, settle_period
from gateway.translate.context import Context
from gateway.translate.coverage import add_coverage
from gateway.translate.datatypes import Fragment, bad_field, component, concept_of, cwe_rest, plain
from gateway.translate.leavings import residue_of
from gateway.translate.observation import OBSERVATION_CATEGORY, add_basic_observation
from gateway.translate.people import add_next_of_kin, persons, practitioner, resource, xcn_rest
from gateway.translate.rules import converter, table

BASICS = Rules(
    **HEAD,
    EVN=("Event",),
    NK1=("Contact",),
    PV1=("None",),
    MRG=("None",),
    DB1=("Patient",),
    OBX=("Observation",),
    AL1=("AllergyIntolerance",),
    IN1=("Coverage",),
)
SELF = Rules(NK1=("Patient",))
"""NK1 of the patient himself (SEL)."""
VISIT = Rules(**HEAD, EVN=("Event",), PV1=("Encounter",), DB1=("Patient",))

WITHDRAWN = {"Observation": "entered-in-error", "Coverage": "entered-in-error"}
"""Status of what a deletion of the patient basics (ADT^A23) takes back."""

ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"

__all__ = ["BASICS", "OBSERVATION_CATEGORY", "SELF", "VISIT", "basics", "cancels", "visit", "visit_segments"]


def basics(message: Message, context: Context) -> None:
    """ADT-00: fills the Patient and adds what hangs on it; the insured-person ids of IN1 belong to the person."""
    patient = context.person
    rest = []
    measured = _known_at(message, context)
    for segment in message.segments:
        match segment.name:
            case "EVN" | "DB1" | "PV1" | "MRG":
                BASICS[segment.name].apply(segment, {"Patient": patient}, context)
            case "NK1":
                add_next_of_kin(segment, context, patient, BASICS["NK1"], SELF["NK1"])
            case "OBX":
                add_basic_observation(segment, context, BASICS["OBX"])
            case "AL1":
                add_allergy(segment, context, BASICS["AL1"])
            case "IN1":
                context.insured += add_coverage(segment, context, BASICS["IN1"])
            case "MSH" | "PID":
                pass
            case _:
                rest.append(segment)
    leave(rest, BASICS, context)
    for (type_, _), made in context.resources.items():
        if type_ == "Observation" and measured and not _TIMES & made.keys():
            made["effectiveDateTime"] = measured
    if cancels(message):
        _withdraw(context)


_TIMES = frozenset({"effectiveDateTime", "effectivePeriod", "effectiveInstant"})


def _known_at(message: Message, context: Context) -> str:
    """Time of measures that have none of their own: SS-MIX2 sends the present height, weight and blood group as they
    stood when the basics were recorded (EVN-2, else PID-33)."""
    evn, pid = message.first("EVN"), message.first("PID")
    sent = [component(segment[number], 1) for segment, number in ((evn, 2), (pid, 33)) if segment is not None]
    return next((found for raw in sent if (found := times.fhir_datetime(raw, context.zone))), "")


def cancels(message: Message) -> bool:
    """Whether the trigger event takes another one back (mappings/tables/adt-cancel-triggers.csv)."""
    msh = message.first("MSH")
    return msh is not None and component(msh[9], 2) in table("adt-cancel-triggers")


def _withdraw(context: Context) -> None:
    """ADT^A23: the basics are deleted. Without a storage's flag 0 they stay, and say that they are void."""
    context.person["active"] = False
    for (type_, _), made in context.resources.items():
        if type_ in WITHDRAWN:
            made["status"] = WITHDRAWN[type_]
        elif type_ == "AllergyIntolerance":
            made["verificationStatus"] = {"coding": [{"system": ALLERGY_VERIFICATION, "code": "entered-in-error"}]}
            settle_status(made)


def visit(message: Message, context: Context) -> None:
    """ADT-12: one outpatient Encounter a file."""
    encounter = resource("Encounter", context.id("Encounter", *context.key), "JP_Encounter")
    encounter["status"] = "cancelled" if cancels(message) else "arrived"
    read = visit_segments(message, context, VISIT, {"Encounter": encounter, "Event": {}, "Patient": context.person})
    if "PV1" in read:
        settle_period(encounter, read["PV1"], 45, context)
    if "location" in encounter:
        status = table("stay-location-status")[context.data_type]
        encounter["location"] = [{**entry, "status": status} for entry in encounter["location"]]
    if "class" not in encounter:
        encounter["class"] = {"system": ACT_CODE, "code": "AMB"}
    encounter["subject"] = context.subject()
    context.add(encounter)


def visit_segments(message: Message, context: Context, rules: Rules, targets: dict[str, Any]) -> dict[str, Segment]:
    """Runs the rows over the first segment of each name they know (every DB1), and returns these; everything else is
    residue."""
    read: dict[str, Segment] = {}
    for segment in message.segments:
        if segment.name in ("MSH", "PID"):
            continue
        if segment.name in rules and (segment.ordinal == 1 or segment.name == "DB1"):
            rules[segment.name].apply(segment, targets, context)
            read[segment.name] = segment
        else:
            residue_of(segment, context)
    return read


@converter(1)
def encounter_class(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    code = table("encounter-class").get(component(raw, 1))
    if code is None:
        bad_field(raw, segment, context, "code-unknown", "the code is not in the table encounter-class")
        return None
    return {"system": ACT_CODE, "code": code}


@converter(1, 2, 3, 4, 5, 6, 7, 8, 9)
def encounter_location(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """PL (病棟 ward, 病室 room, 病床 bed; or a clinic) as words; there is no Location master to refer to."""
    parts = [plain(p) for p in raw.split("^")]
    words = "-".join(p for p in parts[:3] if p)
    if len(parts) > 8 and parts[8]:
        words = f"{words} {parts[8]}".strip()
    if not words:
        return None
    system = f"https://musubi.invalid/{context.facility.oid}/location"
    identifier = {"system": system, "value": "^".join(parts).rstrip("^")}
    return {"location": {"identifier": identifier, "display": words}}


@converter(repeats=True, rest=xcn_rest)
def attending(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    return _participants(raw, "ATND", context)


@converter(repeats=True, rest=xcn_rest)
def admitting(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    return _participants(raw, "ADM", context)


def _participants(raw: str, role: str, context: Context) -> list[Fragment]:
    type_ = [{"coding": [{"system": PARTICIPATION, "code": role}]}]
    found = [practitioner(one, context) for one in persons(raw)]
    return [{"type": type_, "individual": person} for person in found if person]


@converter(rest=cwe_rest)
def discharge_disposition(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """PV1-36, user table 0112 (転帰・退院先): the code as sent, under the v2 table."""
    return concept_of(raw if "^" in raw else f"{raw}^^HL70112", segment, context)
