"""What orders, administrations and dispenses of drugs share: RP numbers, codes and amounts of the drug, ingredients.

The RP group (RP番号) and the place of the drug in it are identifiers. An injection names its drugs in a contained
JP_Medication, as the injection profiles of JP Core 1.2.0 take no medicationCodeableConcept.
"""

import re
from collections.abc import Sequence
from decimal import Decimal

from gateway.codec.er7 import Segment
from gateway.translate.common import ORDER_NUMBER
from gateway.translate.context import Context
from gateway.translate.datatypes import (
    MERIT9,
    Fragment,
    absent,
    bad_field,
    coded,
    component,
    concept_of,
    cwe_rest,
    merit9,
    quantity,
    unit_parts,
    unit_rest,
    words_of,
    words_rest,
)
from gateway.translate.ids import local_system
from gateway.translate.leavings import NULL, keep, place, spare
from gateway.translate.people import CORE
from gateway.translate.rules import SegmentRules, aim, converter, mark, table

RP_NUMBER = "http://jpfhir.jp/fhir/core/mhlw/IdSystem/Medication-RPGroupNumber"
ORDER_IN_RP = "http://jpfhir.jp/fhir/core/mhlw/IdSystem/MedicationAdministrationIndex"
DRUG_NUMBER = "http://jpfhir.jp/fhir/core/Extension/StructureDefinition/JP_Medication_Ingredient_DrugNo"
STRENGTH_TYPE = "http://jpfhir.jp/fhir/core/mhlw/CodeSystem/MedicationIngredientStrengthStrengthType"
STRENGTH_TYPE_EXTENSION = (
    "http://jpfhir.jp/fhir/core/Extension/StructureDefinition/JP_Medication_IngredientStrength_StrengthType"
)
CATEGORY_TABLES = frozenset({"MR9P", "JHSP0007", "JHSI0001", "99I01"})
"""System names under which RXE-21 says a category of the table merit9-category."""
FORM = "http://jpfhir.jp/fhir/core/CodeSystem/JP_MedicationFormMERIT9_CS"
INJECTION_KINDS = frozenset({"99I02", "JHSI0002"})
"""System names under which RXE-2 says the kind of injection instead of a drug."""
VACCINATION = "06"
"""予防接種 in JHSI0002."""
SUBSTITUTION = "http://terminology.hl7.org/CodeSystem/v2-0167"
_STRENGTH_TYPES = {"1": "製剤量", "2": "原薬量"}
_STRENGTH_IN_NAME = re.compile(r"倍散|[%％]")
_HOT_BY_LENGTH = {7: "HOT7", 9: "HOT9", 13: "HOT13"}


# -- RP number and place in it ----------------------------------------------------------------------------------------


def group_identifiers(orc: Segment | None, counts: dict[str, int], context: Context, rp: str = "") -> list[Fragment]:
    """RP number and place inside the RP out of ORC-4: `order_rp_place`, `order_rp` or the bare RP number.

    A message without ORC-4 has its drugs numbered as they stand; that is reported, as it says nothing of RP groups.
    `counts`: how many drugs of each RP came before. `rp`: the number that an order without one was given before.
    """
    raw = component(orc[4], 1) if orc is not None else ""
    parts = raw.split("_")
    rp = (parts[1] if len(parts) > 1 else parts[0]) or rp
    if orc is not None and _unread_group(parts, orc):
        context.keep(place(orc, 4), raw)
    if not rp:
        rp = str(next(n for n in range(len(counts) + 1, 2 * len(counts) + 2) if str(n) not in counts))
        where = place(orc, 4) if orc is not None else "ORC-4"
        context.issue("warning", "no-rp-number", where, "no RP number; the drugs are numbered as they stand")
    rp = rp.lstrip("0") or rp
    counts[rp] = counts.get(rp, 0) + 1
    number = (parts[2].lstrip("0") or parts[2]) if len(parts) > 2 else ""
    # In an injection the third part of ORC-4 counts administrations; it stands at the same place.
    return [{"system": RP_NUMBER, "value": rp}, {"system": ORDER_IN_RP, "value": number or str(counts[rp])}]


def _unread_group(parts: list[str], orc: Segment) -> bool:
    """Whether ORC-4 says more than RP and place: another order number than ORC-2, or a fourth part."""
    order = parts[0].lstrip("0") if len(parts) > 1 else ""
    return len(parts) > 3 or (order != "" and order != component(orc[2], 1).lstrip("0"))


@converter(1)
def order_number(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    number = component(raw, 1)
    return {"system": ORDER_NUMBER, "value": number} if number else None


@converter(1)
def group_number(raw: str, fields: list[str], segment: Segment, context: Context) -> bool:
    """ORC-4 is read by `group_identifiers`, which also counts the drugs of an RP."""
    return True


@converter(1)
def prescription_number(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXE-15, RXD-7. The JP Core system needs the institution number; without it the number is the facility's own."""
    number = component(raw, 1)
    if not number:
        return None
    institution = context.facility.institution
    system = f"urn:oid:1.2.392.100495.20.3.11.1{institution}" if institution else ""
    return {"system": system or local_system(context.facility.oid, "prescription-number"), "value": number}


def once(identifiers: list[Fragment]) -> list[Fragment]:
    """ORC-2 and RXE-15 often carry one number; an identifier is said once."""
    return [one for n, one in enumerate(identifiers) if one not in identifiers[:n]]


def drug_key(concept: Fragment, raw: str) -> str:
    """What tells a drug from the others of its RP in an id: its first code, else its words, else as it was sent."""
    codings = concept.get("coding") or [{}]
    return str(codings[0].get("code") or concept.get("text") or raw)


# -- the drug ---------------------------------------------------------------------------------------------------------


def _hot_by_length(raw: str) -> str:
    """`HOT` alone names a family of codes that differ in length: 7, 9 (also called HOT) or 13 digits."""
    if "HOT" not in raw:
        return raw
    parts = raw.split("^")
    for code, name in ((0, 2), (3, 5)):
        if len(parts) > name and parts[name] == "HOT":
            longer = _HOT_BY_LENGTH.get(len(parts[code].strip()), "HOT")
            parts[name] = "HOT" if longer == "HOT9" else longer
    return "^".join(parts)


def drug_of(raw: str, segment: Segment, context: Context, further: int = 0) -> Fragment | None:
    """A drug's CWE, and the field of that number with more codes of the same drug (YJ, MYAK ...)."""
    concept = concept_of(_hot_by_length(raw), segment, context)
    if not further or segment[further] in ("", NULL):
        return concept
    codings = _further_codes(segment, further, context)
    return {**(concept or {}), "coding": [*(concept or {}).get("coding", ()), *codings]} if codings else concept


def _further_codes(segment: Segment, number: int, context: Context) -> list[Fragment]:
    """The codings of a repeating field; words without a code are residue, as the drug has words already."""
    spare(segment, number, cwe_rest, context, repeats=True)
    codings = []
    for part in segment[number].split("~"):
        other = concept_of(_hot_by_length(part), segment, context, number) if part and part != NULL else None
        codings += (other or {}).get("coding", ())
        said = {coding.get("display") for coding in (other or {}).get("coding", ())}
        if other and "text" in other and other["text"] not in said:
            context.keep(place(segment, number), part)
    return codings


@converter(rest=cwe_rest)
def drug(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXE-2, with RXE-31."""
    return drug_of(raw, segment, context, 31)


@converter(rest=cwe_rest)
def ingredient_drug(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXC-2, with RXC-7."""
    return drug_of(raw, segment, context, 7)


@converter(rest=cwe_rest)
def given_drug(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXA-5."""
    return drug_of(raw, segment, context)


@converter(rest=cwe_rest)
def dispensed_drug(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXD-2, with RXD-25."""
    return drug_of(raw, segment, context, 25)


@converter(rest=cwe_rest)
def injection_kind(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXE-2 of an injection is its kind (00 general, 05 TPN ...); a sender that names a drug there is understood."""
    if is_kind(raw):
        concept = concept_of(raw, segment, context)
        return {"category": [concept]} if concept else None
    concept = drug_of(raw, segment, context, 31)
    return {"medicationCodeableConcept": concept} if concept else None


def is_kind(raw: str) -> bool:
    """Whether RXE-2 says a kind of injection (注射種別, JHSI0002) and not a drug."""
    return any(name in INJECTION_KINDS for name in raw.split("~", 1)[0].split("^")[2:6:3])


def is_vaccination(raw: str) -> bool:
    """Whether RXE-2 says 06 予防接種."""
    parts = [*raw.split("~", 1)[0].split("^"), *[""] * 6]
    return any(parts[at] == VACCINATION and parts[at + 2] in INJECTION_KINDS for at in (0, 3))


@converter(rest=cwe_rest)
def drug_form(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXE-6, RXA-8: 剤形. Its MERIT-9 code stands under the code system that JP Core gives forms."""
    concept = coded(raw, context.facility.oid).concept
    if concept is None:
        return None
    codings = [
        {"system": FORM, "code": coding["code"]} if _is_form(raw, coding["code"]) else coding
        for coding in concept.get("coding", ())
    ]
    return {**concept, "coding": codings} if codings else concept


def _is_form(raw: str, code: str) -> bool:
    return code in table("medication-forms") and _says(raw, code, "MR9P")


def _says(raw: str, code: str, name: str) -> bool:
    """Whether one of the two triplets has this code and this name of a table."""
    return any((component(raw, at), component(raw, at + 2)) == (code, name) for at in (1, 4))


@converter(repeats=True, rest=cwe_rest)
def medication_category(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    """RXE-21: 外来処方 OHP, 院内処方 OHI, 入院処方 IHP, 定時処方 FTP ... under the code system JP Core gives them."""
    found = []
    for part in raw.split("~"):
        concept = coded(part, context.facility.oid).concept
        if concept is None:
            continue
        code, name = component(part, 1), component(part, 3)
        if (system := table("merit9-category").get(code)) and (name in CATEGORY_TABLES or name in ("", system)):
            codings = [{**c, "system": system} if c["code"] == code else c for c in concept.get("coding", ())]
            concept = {**concept, "coding": codings}
        found.append(concept)
    return found


# -- amounts ----------------------------------------------------------------------------------------------------------


@converter(1)
def substitution_status(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXE-9 (table 0167): whether another product may be dispensed, as JP Core wants it: coded."""
    code = component(raw, 1)
    if code not in table("dispense-substitution"):
        bad_field(raw, segment, context, "code-unknown", "the code is not in the table dispense-substitution")
        return None
    return {"coding": [{"system": SUBSTITUTION, "code": code}]}


@converter(1)
def dispense_quantity(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXE-10/11. What JP_MedicationSimpleQuantity does not take is `words`, for the text of the dosage."""
    found, words = coded_amount(raw, 11, segment, context)
    if found:
        return found
    return {"words": f"全量{words}"} if words else None


def coded_amount(raw: str, unit: int, segment: Segment, context: Context) -> tuple[Fragment | None, str]:
    """The amount with its unit out of the field of that number, or its words where it is no positive number of a coded
    unit, which JP_MedicationSimpleQuantity wants."""
    said, sent = component(raw, 1), unit_parts(segment[unit]) if segment[unit] != NULL else ""
    if not said:
        keep(segment, unit, context)
        return None, ""
    found = quantity(said, merit9(sent, context.facility.oid) if sent else {})
    if found is None:
        context.issue("warning", "not-a-number", place(segment, context.at), "an amount that is not a number")
    elif "code" not in found:
        context.issue("information", "unit-uncoded", place(segment, unit), "no coded unit; the amount is kept in words")
    elif found["value"] < 0:
        context.issue("warning", "amount-not-positive", place(segment, context.at), "an amount below zero")
    else:
        spare(segment, unit, unit_rest, context)
        return found, ""
    spare(segment, unit, words_rest, context)
    words = component(sent, 2) or component(sent, 1)
    return None, said if words and said.endswith(words) else said + words


def strength_type(amount: Fragment, form: str, strength: str, words: str) -> Fragment | None:
    """1 製剤量 for a unit that counts or measures the product; 2 原薬量 for a weight of which a strength (RXE-25) or
    the name of a powder (10倍散, 50%) says that the substance is weighed; else nobody says which."""
    kind = table("strength-type-units").get(amount.get("code", ""), "") if amount.get("system") == MERIT9 else ""
    if kind == "weight":
        by_name = form == "PWD" and amount["code"] == "MG" and _STRENGTH_IN_NAME.search(words)
        kind = "2" if strength or by_name else ""
    if not kind:
        return None
    return {"coding": [{"system": STRENGTH_TYPE, "code": kind, "display": _STRENGTH_TYPES[kind]}]}


@converter(1)
def strength(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXC-3/4: the amount of one ingredient in one administration (denominator 1 TIME, JP_Medication)."""
    numerator, words = coded_amount(raw, 4, segment, context)
    if numerator is None:
        return {"words": words} if words else None
    found: Fragment = {
        "numerator": numerator,
        "denominator": {"value": 1, "unit": "回", "system": MERIT9, "code": "TIME"},
    }
    if kind := strength_type(numerator, "", "", ""):
        found = {"extension": [{"url": STRENGTH_TYPE_EXTENSION, "valueCodeableConcept": kind}], **found}
    return found


# -- a Medication inside another resource -----------------------------------------------------------------------------


def contained(owner: Fragment, medication: Fragment) -> Fragment:
    """Puts a JP_Medication into its owner and returns the reference to it."""
    head = {"resourceType": "Medication", "id": "medication", "meta": {"profile": [CORE + "JP_Medication"]}}
    owner.setdefault("contained", []).append(head | medication)
    return {"reference": "#medication"}


def ingredients(
    segments: Sequence[Segment], rules: SegmentRules, owner: Fragment, context: Context
) -> tuple[list[Fragment], list[str]]:
    """RXC -> ingredients with the number of the drug (薬剤番号), and words for the amounts that have no coded unit or
    are no numbers. RXC-1 says base or additive: that the base comes first keeps it, and any other order makes it
    residue."""
    since = mark(context)
    made: list[Fragment] = []
    words: list[str] = []
    for number, rxc in enumerate(segments, start=1):
        ingredient: Fragment = {"extension": [{"url": DRUG_NUMBER, "valueInteger": number}]}
        rules.apply(rxc, {"Ingredient": ingredient}, context)
        if "itemCodeableConcept" not in ingredient:
            ingredient["itemCodeableConcept"] = absent()
        if "numerator" not in ingredient.get("strength", {}):
            if amount := ingredient.pop("strength", {}).get("words", ""):
                words.append(f"{_named(ingredient['itemCodeableConcept'])} {amount}")
            ingredient["strength"] = absent()
        made.append(ingredient)
    kinds = "".join(component(rxc[1], 1)[:1] or "-" for rxc in segments)
    if not re.fullmatch(r"B?A*", kinds):
        for rxc in segments:
            keep(rxc, 1, context)
    aim(context, since, "Ingredient/.", f"{owner['resourceType']}/{owner['id']}.contained.ingredient.")
    return made, words


def compounded(rxc: Segment, context: Context) -> Fragment:
    """RXC of a prescription (調合) as a note. In how much of the drug the amount is, nobody says: no Ratio can hold it."""
    unit = component(rxc[4], 2) or component(rxc[4], 1)
    concept = coded(rxc[2], context.facility.oid).concept or {}
    return {"text": " ".join(filter(None, ("配合", _named(concept), component(rxc[3], 1) + unit)))}


def _named(drug: Fragment) -> str:
    """A drug for people: its words, else its code."""
    return words_of(drug) or drug_key(drug, "")


def same_amount(one: Fragment, other: Fragment) -> bool | None:
    """Whether two amounts are equal; None when their units differ."""
    if one.get("code") != other.get("code") or one.get("system") != other.get("system"):
        return None
    return Decimal(one["value"]) == Decimal(other["value"])
