"""AL1 -> AllergyIntolerance (アレルギー), in patient basics and again at the head of every prescription."""

from gateway.codec.er7 import Segment
from gateway.translate.context import Context
from gateway.translate.datatypes import Fragment, absent, bad_field, clean, component, concept_of, cwe_rest, plain
from gateway.translate.leavings import all_but, place
from gateway.translate.people import CORE
from gateway.translate.rules import SegmentRules, converter, table

CLINICAL = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
VERIFICATION = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
JFAGY = {
    "F": "http://jpfhir.jp/fhir/core/CodeSystem/JP_JfagyFoodAllergen_CS",
    "M": "http://jpfhir.jp/fhir/core/CodeSystem/JP_JfagyMedicationAllergen_CS",
    "N": "http://jpfhir.jp/fhir/core/CodeSystem/JP_JfagyNonFoodNonMedicationAllergen_CS",
}
"""J-FAGY writes the kind of allergen as the third character of its code: J9F food, J9M medication, J9N other."""


def add_allergy(segment: Segment, context: Context, rules: SegmentRules) -> Fragment:
    """Reads AL1 or IAM, whose fields 2 to 5 are the same, and adds the resource. A message lists what a patient has, so
    an allergy is active where nothing says otherwise (ait-1 asks for a clinicalStatus)."""
    key = (context.key[0], *substance(segment))
    allergy: Fragment = {
        "resourceType": "AllergyIntolerance",
        "id": context.id("AllergyIntolerance", *key, context.nth("allergy", *key)),
        "meta": {"profile": [CORE + "JP_AllergyIntolerance"]},
    }
    rules.apply(segment, {"AllergyIntolerance": allergy}, context)
    if "code" not in allergy:
        context.issue("warning", "unnamed", place(segment, 3), "neither code nor words say what the allergy is against")
    settle_status(allergy)
    allergy["patient"] = context.subject()
    reaction = allergy.get("reaction")
    if reaction and "manifestation" not in reaction[0]:
        reaction[0]["manifestation"] = [absent()]
    return context.add(allergy)


def substance(segment: Segment) -> tuple[str, ...]:
    """What makes an allergy the same one in patient basics, in ADT-61 and at the head of a prescription: the code of the
    substance, whatever category the one or the other writes; without a code its words, without words the category.
    Two equal segments of one message stay two."""
    code, words, system = (component(segment[3], number) for number in (1, 2, 3))
    if code:
        return ("code", code, system)
    return ("words", words) if words else ("category", component(segment[2], 1))


def settle_status(allergy: Fragment) -> None:
    """ait-1 and ait-2: an allergy has a clinicalStatus unless it was entered in error."""
    if said(allergy, "verificationStatus") == "entered-in-error":
        allergy.pop("clinicalStatus", None)
    else:
        allergy.setdefault("clinicalStatus", {"coding": [{"system": CLINICAL, "code": "active"}]})


def said(allergy: Fragment, element: str) -> str:
    """The code of a status element, or ""."""
    return str(allergy[element]["coding"][0]["code"]) if element in allergy else ""


def _category_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    """What `allergy_category` leaves: the words of a category that has a code in FHIR, and foreign table names."""
    words = (2,) if table("allergy-category").get(component(repetition, 1)) == "" else ()
    return tuple(pair for pair in _BEYOND_CODE(repetition) if pair[0] not in words)


_BEYOND_CODE = all_but(1, words=((3, frozenset({"HL70127"})),))


@converter(rest=_category_rest)
def allergy_category(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """Table 0127. MA and MC (miscellaneous) are known and say no category; their words are kept with the code."""
    code = component(raw, 1)
    category = table("allergy-category").get(code)
    if category is None:
        bad_field(raw, segment, context, "code-unknown", "the code is not in the table allergy-category")
        return None
    fragment: Fragment = {"category": [category]} if category else {}
    if not category:
        fragment["note"] = [{"text": f"{component(raw, 2)} ({code})".strip()}]
    return fragment


@converter(rest=cwe_rest)
def allergen(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    concept = concept_of(raw, segment, context)
    parts = raw.split("^")
    if concept is None or len(parts) < 3 or parts[2] not in ("J-FAGY", "JFAGY"):
        return concept
    system = JFAGY.get(parts[0][2:3])
    if system is None:
        return concept
    code = clean(parts[0])
    codings = [c for c in concept["coding"] if c["code"] != code]
    # The displays of J-FAGY are published, so the sender's words stand in the text (ADR 0006).
    words = dict.fromkeys(c["display"] for c in concept["coding"] if c["code"] == code and "display" in c)
    said = concept.get("text", "")
    if local := [c["display"] for c in codings if "display" in c and not component(raw, 9)]:
        said = local[0]  # the words of the facility's own code, which the ward reads
    more = "".join(f"（{other}）" for other in words if other not in said)
    text = {"text": said + more} if said + more else {}
    return {**concept, "coding": [{"system": system, "code": code}, *codings], **text}


@converter(1)
def allergy_severity(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    severity = table("allergy-severity").get(component(raw, 1))
    if severity is None:
        bad_field(raw, segment, context, "code-unknown", "the code is not in the table allergy-severity")
        return None
    # One reaction holds both: where AL1-5 names it, its converter adds the severity.
    return {} if _reactions(segment[5]) else {"reaction": [{"severity": severity}]}


@converter(repeats=True)
def allergy_reaction(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """AL1-5: words of the reaction. They join the severity of AL1-4 in one reaction."""
    words = _reactions(raw)
    severity = table("allergy-severity").get(component(segment[4], 1)) if segment[4] else None
    if not words:
        return None
    reaction: Fragment = {"manifestation": words}
    return {"reaction": [reaction]} if severity is None else {"reaction": [reaction | {"severity": severity}]}


def _reactions(raw: str) -> list[Fragment]:
    return [{"text": text} for part in raw.split("~") if (text := plain(part.replace("^", " ")))]
