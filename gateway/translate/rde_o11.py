"""RDE^O11: prescriptions (OMP-01, 処方オーダ) and injections (OMP-02, 注射オーダ).

MSH [PID [PV1] [{AL1}]] { ORC RXE [{NTE}] {TQ1} {RXR} [{RXC}] } -> one MedicationRequest an RXE; the RP group and the
place of the drug inside it are identifiers. JAHIS prescriptions (HS022), injections (17-009).
"""

from dataclasses import dataclass, field

from gateway.codec.er7 import Message, Segment
from gateway.translate.allergy import add_allergy
from gateway.translate.assembling import merge
from gateway.translate.common import HEAD, ORDER_NUMBER, Rules, leave
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
    keep_all,
    merit9,
    quantity,
    unit_rest,
)
from gateway.translate.dosage import derive_timing, dosage_text
from gateway.translate.ids import local_system
from gateway.translate.leavings import NULL, keep, place, residue_of, spare
from gateway.translate.people import CORE, resource
from gateway.translate.rules import aim, converter, mark, table

RP_NUMBER = "http://jpfhir.jp/fhir/core/mhlw/IdSystem/Medication-RPGroupNumber"
ORDER_IN_RP = "http://jpfhir.jp/fhir/core/mhlw/IdSystem/MedicationAdministrationIndex"
DRUG_NUMBER = "http://jpfhir.jp/fhir/core/Extension/StructureDefinition/JP_Medication_Ingredient_DrugNo"
CATEGORY_TABLES = frozenset({"MR9P", "JHSP0007", "JHSI0001", "99I01"})
"""System names under which RXE-21 says a category of the table merit9-category."""
INJECTION_KINDS = frozenset({"99I02", "JHSI0002"})
"""System names under which RXE-2 says the kind of injection instead of a drug."""

_SHARED = {
    **HEAD,
    "PV1": ("None",),
    "AL1": ("AllergyIntolerance",),
    "ORC": ("MedicationRequest",),
    "TQ1": ("MedicationRequest",),
    "RXR": ("MedicationRequest",),
    "NTE": ("MedicationRequest",),
}
ORAL = Rules(**_SHARED, RXE=("MedicationRequest",))
INJECTION = Rules(**_SHARED, RXE=("Injection",), RXC=("Ingredient",))


@dataclass(slots=True)
class Order:
    """One RXE with what belongs to it."""

    orc: Segment | None = None
    rxe: Segment | None = None
    timings: list[Segment] = field(default_factory=list)
    routes: list[Segment] = field(default_factory=list)
    ingredients: list[Segment] = field(default_factory=list)
    notes: list[Segment] = field(default_factory=list)


def translate(message: Message, context: Context) -> None:
    injection = context.data_type == "OMP-02"
    rules = INJECTION if injection else ORAL
    orders, rest = grouped(message, injection)
    for segment in message.all("AL1"):
        add_allergy(segment, context, rules["AL1"])
    counts: dict[str, int] = {}
    for order in orders:
        if order.rxe is None:
            parts = (order.orc, *order.timings, *order.routes, *order.ingredients, *order.notes)
            leave([segment for segment in parts if segment], rules, context)
            context.issue("warning", "no-drug", place(order.orc, 1) if order.orc else "ORC", "an order without RXE")
            continue
        context.add(_request(order, rules, injection, counts, context))
    leave(rest, rules, context)


def grouped(message: Message, injection: bool) -> tuple[list[Order], list[Segment]]:
    """Segments -> orders, and the segments that belong to none."""
    orders: list[Order] = []
    rest: list[Segment] = []
    for segment in message.segments:
        current = orders[-1] if orders else None
        match segment.name:
            case "MSH" | "PID" | "AL1":
                continue
            case "ORC":
                orders.append(Order(orc=segment))
            case "RXE":
                if current is None or current.rxe is not None:
                    current = Order()
                    orders.append(current)
                current.rxe = segment
            case "TQ1" if current is not None:
                current.timings.append(segment)
            case "RXR" if current is not None:
                current.routes.append(segment)
            case "RXC" if current is not None and injection:
                current.ingredients.append(segment)
            case "NTE" if current is not None:
                current.notes.append(segment)
            case _:
                rest.append(segment)
    return orders, rest


def _request(order: Order, rules: Rules, injection: bool, counts: dict[str, int], context: Context) -> Fragment:
    assert order.rxe is not None
    body: Fragment = {"identifier": _group(order, counts, context)}
    target = {"MedicationRequest": body}
    since = mark(context)
    if order.orc is not None:
        rules["ORC"].apply(order.orc, target, context)
    typed = body.get("authoredOn")
    rules["RXE"].apply(order.rxe, target, context)
    if order.orc is not None and typed and body["authoredOn"] != typed:
        keep(order.orc, 9, context)  # RXE-32, the time of the first order, stands instead
    for note in order.notes:
        rules["NTE"].apply(note, target, context)
    if order.routes:
        rules["RXR"].apply(order.routes[0], target, context)
    for further in order.routes[1:]:
        residue_of(further, context)
    dosages = _dosages(order, body, rules, context)
    rp = "|".join(i["value"] for i in body["identifier"][:2])
    profile = "JP_MedicationRequest_Injection" if injection else "JP_MedicationRequest"
    made = resource("MedicationRequest", context.id("MedicationRequest", *context.key, rp, context.nth("RXE", rp)))
    made["meta"] = {"profile": [CORE + profile]}
    aim(context, since, "MedicationRequest/.", f"MedicationRequest/{made['id']}.")
    if injection:
        _contained_medication(made, body, order, rules, context)
    # ORC-2 and RXE-15 often carry one number; an identifier is said once.
    made["identifier"] = [i for n, i in enumerate(body["identifier"]) if i not in body["identifier"][:n]]
    made["status"] = body.pop("status", "unknown")
    made["intent"] = "order"
    made |= {key: value for key, value in body.items() if key != "identifier"}
    if "medicationCodeableConcept" not in made and "medicationReference" not in made:
        made["medicationCodeableConcept"] = absent()
        context.issue("warning", "no-drug", place(order.rxe, 2), "RXE-2 names no drug")
    made["subject"] = context.subject()
    if "authoredOn" not in made:
        made["_authoredOn"] = absent()
    if dosages:
        made["dosageInstruction"] = dosages
    return made


def _dosages(order: Order, body: Fragment, rules: Rules, context: Context) -> list[Fragment]:
    """One Dosage a TQ1; what RXE and RXR say holds for each."""
    shared: Fragment = body.pop("dosage", {})
    timings: list[Fragment] = []
    for tq1 in order.timings:
        extra: Fragment = {}
        rules["TQ1"].apply(tq1, {"MedicationRequest": extra}, context)
        dosage = extra.pop("dosage", {})
        if timings:
            _keep_further(extra, body, tq1, context)
        merge(body, extra)
        timings.append(dosage)
    made = []
    for number, timing in enumerate(timings or [{}], start=1):
        dosage = {"sequence": number} if len(timings) > 1 else {}
        _deep_merge(dosage, shared)
        _deep_merge(dosage, timing)
        if order.timings:
            derive_timing(dosage, order.timings[number - 1], context)
        if text := dosage_text(dosage, body):
            dosage = {**{k: dosage[k] for k in ("extension", "sequence") if k in dosage}, "text": text} | dosage
        if dosage:
            made.append(dosage)
    return made


def _keep_further(extra: Fragment, body: Fragment, tq1: Segment, context: Context) -> None:
    """What a further TQ1 says of the whole request, which has one supply, one count and one priority: residue. (The
    days of TQ1-6 stand in its dosage as well.)"""
    if "dispenseRequest" in extra:
        keep_all(tq1, context, 6, 14)
        del extra["dispenseRequest"]
    if extra.get("priority", body.get("priority")) != body.get("priority"):
        keep(tq1, 9, context)
        del extra["priority"]


def _deep_merge(out: Fragment, fragment: Fragment) -> None:
    """merge() on fresh containers: the shared part is used for several dosages."""
    for key, value in fragment.items():
        if isinstance(value, dict):
            own = dict(out.get(key, {}))
            _deep_merge(own, value)
            out[key] = own
        elif isinstance(value, list):
            out[key] = [*out.get(key, ()), *value]
        else:
            out[key] = value


def _group(order: Order, counts: dict[str, int], context: Context) -> list[Fragment]:
    """RP number and place inside the RP out of ORC-4: `order_rp_place`, `order_rp` or the bare RP number.

    A message without ORC-4 has its RXE numbered as they stand; that is reported, as it says nothing of RP groups.
    """
    raw = component(order.orc[4], 1) if order.orc is not None else ""
    parts = raw.split("_")
    rp = parts[1] if len(parts) > 1 else parts[0]
    if order.orc is not None and _unread_group(parts, order.orc):
        context.keep(place(order.orc, 4), raw)
    if not rp:
        rp = str(next(n for n in range(len(counts) + 1, 2 * len(counts) + 2) if str(n) not in counts))
        where = place(order.orc, 4) if order.orc is not None else "ORC-4"
        context.issue("warning", "no-rp-number", where, "no RP number; the drugs are numbered as they stand")
    rp = rp.lstrip("0") or rp
    counts[rp] = counts.get(rp, 0) + 1
    number = (parts[2].lstrip("0") or parts[2]) if len(parts) > 2 else ""
    rp_identifier = {"system": RP_NUMBER, "value": rp}
    # In an injection the third part of ORC-4 counts administrations; it stands at the same place.
    return [rp_identifier, {"system": ORDER_IN_RP, "value": number or str(counts[rp])}]


def _unread_group(parts: list[str], orc: Segment) -> bool:
    """Whether ORC-4 says more than RP and place: another order number than ORC-2, or a fourth part."""
    order = parts[0].lstrip("0") if len(parts) > 1 else ""
    return len(parts) > 3 or (order != "" and order != component(orc[2], 1).lstrip("0"))


def _contained_medication(made: Fragment, body: Fragment, order: Order, rules: Rules, context: Context) -> None:
    """RXC -> a contained JP_Medication; without RXC the drug is what RXE-2 says."""
    if not order.ingredients:
        return
    medication: Fragment = {
        "resourceType": "Medication",
        "id": "medication",
        "meta": {"profile": [CORE + "JP_Medication"]},
        "status": "active",
        "ingredient": [],
    }
    if "medicationCodeableConcept" in body:
        # RXE-2 names the mixture; a request has one medication[x].
        medication["code"] = body.pop("medicationCodeableConcept")
    since = mark(context)
    for number, rxc in enumerate(order.ingredients, start=1):
        ingredient: Fragment = {"extension": [{"url": DRUG_NUMBER, "valueInteger": number}]}
        rules["RXC"].apply(rxc, {"Ingredient": ingredient}, context)
        if "itemCodeableConcept" not in ingredient:
            ingredient["itemCodeableConcept"] = absent()
        ingredient.setdefault("strength", absent())
        medication["ingredient"].append(ingredient)
    aim(context, since, "Ingredient/.", f"MedicationRequest/{made['id']}.contained.ingredient.")
    made["contained"] = [medication]
    body["medicationReference"] = {"reference": "#medication"}


# -- converters: identifiers, drug, amounts ---------------------------------------------------------------------------


@converter(1)
def order_number(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    number = component(raw, 1)
    return {"system": ORDER_NUMBER, "value": number} if number else None


@converter(1)
def group_number(raw: str, fields: list[str], segment: Segment, context: Context) -> bool:
    """ORC-4 is read by `_group`, which also counts the drugs of an RP."""
    return True


@converter(1)
def prescription_number(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXE-15. The JP Core system needs the institution number; without it the number is the facility's own."""
    number = component(raw, 1)
    if not number:
        return None
    institution = context.facility.institution
    system = f"urn:oid:1.2.392.100495.20.3.11.1{institution}" if institution else ""
    return {"system": system or local_system(context.facility.oid, "prescription-number"), "value": number}


@converter(rest=cwe_rest)
def drug(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXE-2, and RXE-31 with more codes of the same drug (YJ, MYAK ...)."""
    concept = concept_of(raw, segment, context)
    codings = _further_codes(segment, context) if segment[31] not in ("", NULL) else []
    return {**(concept or {}), "coding": [*(concept or {}).get("coding", ()), *codings]} if codings else concept


def _further_codes(segment: Segment, context: Context) -> list[Fragment]:
    """The codings of RXE-31; words without a code are residue, as RXE-2 has the words."""
    spare(segment, 31, cwe_rest, context, repeats=True)
    codings = []
    for part in segment[31].split("~"):
        other = concept_of(part, segment, context, 31) if part and part != NULL else None
        codings += (other or {}).get("coding", ())
        said = {coding.get("display") for coding in (other or {}).get("coding", ())}
        if other and "text" in other and other["text"] not in said:
            context.keep(place(segment, 31), part)
    return codings


@converter(rest=cwe_rest)
def injection_kind(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXE-2 of an injection is its kind (00 general, 05 TPN ...); a sender that names a drug there is understood."""
    concept = concept_of(raw, segment, context)
    if concept is None:
        return None
    is_kind = any(name in INJECTION_KINDS for name in raw.split("^")[2:6:3])
    return {"category": [concept]} if is_kind else {"medicationCodeableConcept": concept}


@converter(1)
def dispense_quantity(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    return _quantity(raw, 11, segment, context)


def _quantity(raw: str, unit: int, segment: Segment, context: Context) -> Fragment | None:
    """The amount with its unit out of the field of that number."""
    found = quantity(component(raw, 1), merit9(segment[unit], context.facility.oid) if segment[unit] != NULL else {})
    if found is None:
        bad_field(raw, segment, context, "not-a-number", "an amount that is not a number")
    elif "code" not in found:
        # JP_MedicationSimpleQuantity wants a coded unit, and there is no text beside these elements.
        context.issue("information", "unit-uncoded", place(segment, unit), "no coded unit; the amount is residue")
        context.keep(place(segment, context.at), raw)
    else:
        spare(segment, unit, unit_rest, context)
        return found
    keep(segment, unit, context)
    return None


@converter(1)
def strength(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXC-3/4: the amount of one ingredient in one administration (denominator 1 TIME, JP_Medication)."""
    numerator = _quantity(raw, 4, segment, context)
    denominator = {"value": 1, "unit": "回", "system": MERIT9, "code": "TIME"}
    return {"numerator": numerator, "denominator": denominator} if numerator else None


@converter(1)
def repeats_allowed(raw: str, fields: list[str], segment: Segment, context: Context) -> int | None:
    words = component(raw, 1)
    if not words.isdecimal() or len(words) > 4:
        bad_field(raw, segment, context, "not-a-number", "a count that is not a whole number")
        return None
    return int(words)


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
