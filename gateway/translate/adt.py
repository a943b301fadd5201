"""ADT: patient basics (ADT-00, 患者基本情報), outpatient reception (ADT-12, 外来受付), admission and discharge (ADT-22,
ADT-52). HL7 v2.5 chapter 3; SS-MIX2 1.2."""

from gateway.codec.er7 import Message, Segment
from gateway.model.outcome import StayEvent
from gateway.translate.allergy import add_allergy
from gateway.translate.common import HEAD, Rules, leave, settle_period
from gateway.translate.context import Context
from gateway.translate.coverage import add_coverage
from gateway.translate.datatypes import Fragment, bad_field, component, concept_of, cwe_rest, plain
from gateway.translate.leavings import residue_of
from gateway.translate.observation import OBSERVATION_CATEGORY, add_basic_observation
from gateway.translate.people import add_contact, further_people, practitioner, resource, xcn_rest
from gateway.translate.rules import aim, converter, mark, table
from gateway.translate.stay import project

BASICS = Rules(
    **HEAD,
    EVN=("Event",),
    NK1=("Contact",),
    PV1=("None",),
    DB1=("Patient",),
    OBX=("Observation",),
    AL1=("AllergyIntolerance",),
    IN1=("Coverage",),
)
VISIT = Rules(**HEAD, EVN=("Event",), PV1=("Encounter",))

ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"

__all__ = ["BASICS", "OBSERVATION_CATEGORY", "VISIT", "basics", "stay_event", "visit"]


def basics(message: Message, context: Context) -> None:
    """ADT-00: fills the Patient and adds what hangs on it; the insured-person ids of IN1 belong to the person."""
    patient = context.person
    rest = []
    for segment in message.segments:
        match segment.name:
            case "EVN" | "DB1" | "PV1":
                BASICS[segment.name].apply(segment, {"Patient": patient}, context)
            case "NK1":
                add_contact(segment, context, patient, BASICS["NK1"])
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


def visit(message: Message, context: Context) -> None:
    """ADT-12: one outpatient Encounter a file."""
    encounter = resource("Encounter", context.id("Encounter", *context.key), "JP_Encounter")
    encounter["status"] = "arrived"
    fill_encounter(message, encounter, context)
    if "class" not in encounter:
        encounter["class"] = {"system": ACT_CODE, "code": "AMB"}
    encounter["subject"] = context.subject()
    context.add(encounter)


def stay_event(message: Message, context: Context) -> None:
    """ADT-22 or ADT-52: one event of a stay; translate/stay.py makes the Encounter of all of them."""
    fragment: Fragment = {}
    since = mark(context)
    fill_encounter(message, fragment, context)
    period = fragment.get("period", {})
    occurred = period.get("start" if context.data_type == "ADT-22" else "end", "")
    if not occurred:
        field = 44 if context.data_type == "ADT-22" else 45
        context.issue("warning", "no-event-time", f"PV1[1]-{field}", "the event has no time; it joins no other event")
    msh = message.first("MSH")
    trigger = component(msh[9], 2) if msh else ""
    event = StayEvent(
        patient=context.patient,
        data_type=context.data_type,
        occurred_at=occurred,
        source_time=context.version_time,
        source=context.source,
        cancelled=trigger in table("adt-cancel-triggers"),
        fragment=fragment,
    )
    if context.lineage is not None:
        aim(context, since, "Encounter/", f"Encounter/{project([event])[0]['id']}")
    context.events.append(event)


def fill_encounter(message: Message, encounter: Fragment, context: Context) -> None:
    """EVN and PV1 of a visit or stay message into an Encounter; everything else stays residue."""
    for segment in message.segments:
        if segment.name == "EVN":
            VISIT["EVN"].apply(segment, {}, context)
        elif segment.name == "PV1" and segment.ordinal == 1:
            VISIT["PV1"].apply(segment, {"Encounter": encounter}, context)
        elif segment.name not in ("MSH", "PID"):
            residue_of(segment, context)
    if (pv1 := message.first("PV1")) is not None:
        settle_period(encounter, pv1, 45, context)


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
def attending(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    return _participant(raw, "ATND", segment, context)


@converter(repeats=True, rest=xcn_rest)
def admitting(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    return _participant(raw, "ADM", segment, context)


def _participant(raw: str, role: str, segment: Segment, context: Context) -> Fragment | None:
    further_people(raw, segment, context)
    person = practitioner(raw, context)
    return person and {"type": [{"coding": [{"system": PARTICIPATION, "code": role}]}], "individual": person}


@converter(rest=cwe_rest)
def discharge_disposition(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """PV1-36, user table 0112 (転帰・退院先): the code as sent, under the v2 table."""
    return concept_of(raw if "^" in raw else f"{raw}^^HL70112", segment, context)
