"""ADT^A60 (ADT-61, アレルギー情報): MSH EVN PID [PV1] {IAM} -> one AllergyIntolerance an IAM, the same one as the AL1 of
patient basics and prescriptions. SS-MIX2 1.2; HL7 v2.5 3.3.60, 3.4.7."""

from gateway.codec.er7 import Message, Segment
from gateway.translate import times
from gateway.translate.allergy import CLINICAL, VERIFICATION, add_allergy, substance
from gateway.translate.common import HEAD, Rules, leave
from gateway.translate.context import Context
from gateway.translate.datatypes import Fragment, bad_field, component
from gateway.translate.ids import local_system
from gateway.translate.leavings import all_but, keep, place, residue_of
from gateway.translate.rules import converter, table

RULES = Rules(**HEAD, EVN=("Event",), PV1=("None",), IAM=("AllergyIntolerance",), AL1=("AllergyIntolerance",))

REPLACES = frozenset({"U", "D"})
"""Actions on an allergy that is already known, also from an IAM before it in the same message."""


def translate(message: Message, context: Context) -> None:
    rest = []
    for segment in message.segments:
        match segment.name:
            case "EVN":
                RULES["EVN"].apply(segment, {"Event": {}}, context)
            case "MSH" | "PID" | "IAM" | "AL1":
                pass
            case _:
                rest.append(segment)
    told = message.all("IAM")
    for number, segment in enumerate(told):
        if any(_replaced(segment, later) for later in told[number + 1 :]):
            residue_of(segment, context)  # what it says of the allergy holds no longer
        else:
            add_allergy(segment, context, RULES["IAM"])
    for segment in message.all("AL1"):
        if any(substance(segment) == substance(other) for other in told):
            residue_of(segment, context)
        else:
            add_allergy(segment, context, RULES["AL1"])
    leave(rest, RULES, context)


def _replaced(segment: Segment, later: Segment) -> bool:
    return component(later[6], 1) in REPLACES and substance(segment) == substance(later)


# -- converters -------------------------------------------------------------------------------------------------------

_CODE_AND_WORDS = all_but(1, 2)


@converter(1)
def allergy_action(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """IAM-6: D takes the allergy back, A and U need no element."""
    status = table("allergy-action").get(component(raw, 1))
    if status is None:
        bad_field(raw, segment, context, "code-unknown", "the code is not in the table allergy-action")
        return None
    return {"verificationStatus": _status(VERIFICATION, status)} if status else {}


@converter(1)
def allergy_identifier(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """IAM-7, EI: the number is the facility's own."""
    value = component(raw, 1)
    return {"system": local_system(context.facility.oid, "allergy"), "value": value} if value else None


@converter(rest=_CODE_AND_WORDS)
def allergy_type(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """IAM-9: AL is an allergy and IN an intolerance; of the others the words stay, with their code."""
    code, words = component(raw, 1), component(raw, 2)
    kind = table("allergy-type").get(code)
    if kind is None:
        bad_field(raw, segment, context, "code-unknown", "the code is not in the table allergy-type")
        return None
    if kind:
        if words:
            context.keep(place(segment, 9, 2), words)
        return {"type": kind}
    return {"note": [{"text": f"{words} ({code})".strip()}]}


@converter(rest=_CODE_AND_WORDS)
def onset_words(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """IAM-12: 小学校低学年の頃. FHIR has one onset: where IAM-11 is a date, the words are a note."""
    words = component(raw, 1)
    if more := component(raw, 2):
        words = f"{words} {more}".strip()
    if not words:
        return None
    dated = times.fhir_datetime(component(segment[11], 1), context.zone) is not None
    return {"note": [{"text": words}]} if dated else {"onsetString": words}


@converter(rest=_CODE_AND_WORDS)
def allergy_verification(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """IAM-17, table 0438. After a deletion (IAM-6 D) the allergy stays entered in error."""
    code = component(raw, 1)
    status = table("allergy-verification").get(code)
    if status is None:
        bad_field(raw, segment, context, "code-unknown", "the code is not in the table allergy-verification")
        return None
    if table("allergy-action").get(component(segment[6], 1)):
        if status != "entered-in-error" or component(raw, 2):
            keep(segment, 17, context)
        return None
    concept = _status(VERIFICATION, status)
    if words := component(raw, 2):
        concept["text"] = words
    fragment = {"verificationStatus": concept}
    if inactive := table("allergy-inactive").get(code):
        fragment["clinicalStatus"] = _status(CLINICAL, inactive)
    return fragment


def _status(system: str, code: str) -> Fragment:
    return {"coding": [{"system": system, "code": code}]}
