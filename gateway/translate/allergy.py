"""AL1 -> AllergyIntolerance (アレルギー), in patient basics and again at the head of every prescription."""

from gateway.codec.er7 import Segment
from gateway.translate.context import Context
from gateway.translate.datatypes import Fragment, absent, bad_field, clean, coded, component
from gateway.translate.people import CORE
from gateway.translate.rules import SegmentRules, converter, table

CLINICAL = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
JFAGY = {
    "F": "http://jpfhir.jp/fhir/core/CodeSystem/JP_JfagyFoodAllergen_CS",
    "M": "http://jpfhir.jp/fhir/core/CodeSystem/JP_JfagyMedicationAllergen_CS",
    "N": "http://jpfhir.jp/fhir/core/CodeSystem/JP_JfagyNonFoodNonMedicationAllergen_CS",
}
"""J-FAGY writes the kind of allergen as the third character of its code: J9F food, J9M medication, J9N other."""


def add_allergy(segment: Segment, context: Context, rules: SegmentRules) -> None:
    """The id is made of patient, category and substance: the AL1 of a prescription is the same allergy as that of
    the patient basics, and two equal AL1 of one message stay two."""
    substance = "^".join(segment[3].split("^")[:3])
    key = (context.key[0], component(segment[2], 1), substance)
    allergy: Fragment = {
        "resourceType": "AllergyIntolerance",
        "id": context.id("AllergyIntolerance", *key, context.nth("AL1", *key)),
        "meta": {"profile": [CORE + "JP_AllergyIntolerance"]},
    }
    rules.apply(segment, {"AllergyIntolerance": allergy}, context)
    # ait-1 asks for a clinicalStatus; a list of the allergies a patient has is a list of active ones.
    allergy["clinicalStatus"] = {"coding": [{"system": CLINICAL, "code": "active"}]}
    allergy["patient"] = context.subject()
    reaction = allergy.get("reaction")
    if reaction and "manifestation" not in reaction[0]:
        reaction[0]["manifestation"] = [absent()]
    context.add(allergy)


@converter(1, 2, 3)
def allergy_category(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """Table 0127. MA and MC (miscellaneous) are known and say no category; their words are kept with the code."""
    code = component(raw, 1)
    category = table("allergy-category").get(code)
    if category is None:
        bad_field(raw, fields, segment, context, "code-unknown", "the code is not in the table allergy-category")
        return None
    fragment: Fragment = {"category": [category]} if category else {}
    kind = coded(raw if raw.count("^") >= 2 else f"{code}^^HL70127", context.facility.oid).concept
    if kind and not category:
        fragment["note"] = [{"text": clean(f"{kind.get('text', '')} ({code})".strip())}]
    return fragment


@converter(1, 2, 3, 4, 5, 6, 9)
def allergen(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    concept = coded(raw, context.facility.oid).concept
    parts = raw.split("^")
    if concept is None or len(parts) < 3 or parts[2] != "J-FAGY":
        return concept
    system = JFAGY.get(parts[0][2:3])
    if system is None:
        return concept
    codings = [c for c in concept["coding"] if c["code"] != clean(parts[0])]
    return {**concept, "coding": [{"system": system, "code": clean(parts[0])}, *codings]}


@converter(1)
def allergy_severity(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    severity = table("allergy-severity").get(component(raw, 1))
    if severity is None:
        bad_field(raw, fields, segment, context, "code-unknown", "the code is not in the table allergy-severity")
        return None
    # One reaction holds both: where AL1-5 names it, its converter adds the severity.
    return None if clean(segment[5]) else {"reaction": [{"severity": severity}]}


@converter(repeats=True)
def allergy_reaction(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """AL1-5: words of the reaction. They join the severity of AL1-4 in one reaction."""
    words = [{"text": text} for part in raw.split("~") if (text := clean(part.replace("^", " ")))]
    severity = table("allergy-severity").get(component(segment[4], 1)) if segment[4] else None
    if not words:
        return None
    reaction: Fragment = {"manifestation": words}
    return {"reaction": [reaction]} if severity is None else {"reaction": [reaction | {"severity": severity}]}
