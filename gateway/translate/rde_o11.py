"""RDE^O11: prescriptions (OMP-01, 処方オーダ) and injections (OMP-02, 注射オーダ).

MSH [PID [PV1] [{AL1}]] { ORC RXE [{NTE}] {TQ1} {RXR} [{RXC}] [{OBX}] } -> one MedicationRequest an RXE; the RP group
and the place of the drug inside it are identifiers. JAHIS prescriptions (HS022), injections (17-009).
"""

from dataclasses import dataclass, field
from decimal import Decimal

from gateway.codec.er7 import Message, Segment
from gateway.translate.administration_route import settle_site, with_way
from gateway.translate.allergy import add_allergy
from gateway.translate.assembling import merge
from gateway.translate.common import HEAD, Rules, leave
from gateway.translate.context import Context
from gateway.translate.datatypes import Fragment, absent, bad_field, component, keep_all, words_rest
from gateway.translate.dosage import dosage_text, settle_dose
from gateway.translate.ids import local_system
from gateway.translate.immunization import ordered_immunization
from gateway.translate.leavings import keep, place, residue_of, spare
from gateway.translate.medication import (
    compounded,
    contained,
    group_identifiers,
    ingredients,
    is_vaccination,
    once,
    same_amount,
)
from gateway.translate.observation import add_basic_observation
from gateway.translate.people import CORE, resource
from gateway.translate.rules import aim, converter, mark, table
from gateway.translate.usage import SUPPLEMENT, derive_timing, instructed, uneven_doses

_SHARED = {
    **HEAD,
    "PV1": ("None",),
    "AL1": ("AllergyIntolerance",),
    "ORC": ("MedicationRequest",),
    "TQ1": ("MedicationRequest",),
    "RXR": ("MedicationRequest",),
    "NTE": ("MedicationRequest",),
    "OBX": ("Observation",),
}
ORAL = Rules(**_SHARED, RXE=("MedicationRequest",))
INJECTION = Rules(**_SHARED, RXE=("Injection",), RXC=("Ingredient",))
_LICENCE = "http://jpfhir.jp/fhir/core/CodeSystem/JP_MedicalLicenseCertificate_CS"
_LICENCE_NUMBER = "urn:oid:1.2.392.100495.20.3.32.1"
"""Licences to prescribe narcotics (麻薬施用者免許), by prefecture: the first two digits of the institution's number."""


@dataclass(slots=True)
class Order:
    """One RXE with what belongs to it."""

    orc: Segment | None = None
    rxe: Segment | None = None
    timings: list[Segment] = field(default_factory=list)
    routes: list[Segment] = field(default_factory=list)
    ingredients: list[Segment] = field(default_factory=list)
    notes: list[Segment] = field(default_factory=list)
    findings: list[Segment] = field(default_factory=list)

    @property
    def parts(self) -> list[Segment]:
        """Everything of an order but its RXE, in no particular order."""
        head = [self.orc] if self.orc is not None else []
        return [*head, *self.timings, *self.routes, *self.ingredients, *self.notes, *self.findings]


def translate(message: Message, context: Context) -> None:
    injection = context.data_type == "OMP-02"
    rules = INJECTION if injection else ORAL
    orders, rest = grouped(message)
    for segment in message.all("AL1"):
        add_allergy(segment, context, rules["AL1"])
    counts: dict[str, int] = {}
    for order in orders:
        if order.rxe is None:
            leave(order.parts, rules, context)
            context.issue("warning", "no-drug", place(order.orc, 1) if order.orc else "ORC", "an order without RXE")
            continue
        made = context.add(_request(order, rules, injection, counts, context))
        if injection and is_vaccination(order.rxe[2]):
            context.add(ordered_immunization(made, context))
    leave(rest, rules, context)


def grouped(message: Message) -> tuple[list[Order], list[Segment]]:
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
            case "RXC" if current is not None and current.rxe is not None:
                current.ingredients.append(segment)
            case "NTE" if current is not None:
                current.notes.append(segment)
            case "OBX" if current is not None and current.rxe is not None:
                current.findings.append(segment)
            case _:
                rest.append(segment)
    return orders, rest


def _request(order: Order, rules: Rules, injection: bool, counts: dict[str, int], context: Context) -> Fragment:
    assert order.rxe is not None
    body: Fragment = {"identifier": group_identifiers(order.orc, counts, context)}
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
    for rxc in () if injection else order.ingredients:
        residue_of(rxc, context)
        body["note"] = [*body.get("note", ()), compounded(rxc, context)]
    if order.routes:
        rules["RXR"].apply(order.routes[0], target, context)
    for further in order.routes[1:]:
        extra: Fragment = {}
        rules["RXR"].apply(further, {"MedicationRequest": extra}, context)
        body["dosage"] = with_way(body.get("dosage", {}), extra.get("dosage", {}), further, context)
    dosages = _dosages(order, body, rules, context)
    rp = "|".join(i["value"] for i in body["identifier"][:2])
    profile = "JP_MedicationRequest_Injection" if injection else "JP_MedicationRequest"
    made = resource("MedicationRequest", context.id("MedicationRequest", *context.key, rp, context.nth("RXE", rp)))
    made["meta"] = {"profile": [CORE + profile]}
    _license(body, order.rxe, since, context)
    aim(context, since, "MedicationRequest/.", f"MedicationRequest/{made['id']}.")
    if injection:
        _contained_medication(made, body, order, rules, context)
    for dosage in dosages:
        settle_site(dosage, made, context.subject())
    made["identifier"] = once(body["identifier"])
    made["status"] = body.pop("status", "unknown")
    made["intent"] = "order"
    made |= {key: value for key, value in body.items() if key != "identifier"}
    _say_what_is_absent(made, order.rxe, injection, context)
    made["subject"] = context.subject()
    _check_amounts(made, dosages, order, context)
    if findings := [_finding(obx, rules, context) for obx in order.findings]:
        made["supportingInformation"] = findings
    if dosages:
        made["dosageInstruction"] = dosages
    return made


def _say_what_is_absent(made: Fragment, rxe: Segment, injection: bool, context: Context) -> None:
    if "medicationCodeableConcept" not in made and "medicationReference" not in made:
        made["medicationReference" if injection else "medicationCodeableConcept"] = absent()
        context.issue("warning", "no-drug", place(rxe, 2), "RXE-2 names no drug")
    if "authoredOn" not in made:
        made["_authoredOn"] = absent()


def _finding(obx: Segment, rules: Rules, context: Context) -> Fragment:
    """An OBX of an order (weight, a test the dose depends on) -> reference to its Observation."""
    add_basic_observation(obx, context, rules["OBX"])
    type_, id_ = next(key for key in reversed(context.resources) if key[0] == "Observation")
    return {"reference": f"{type_}/{id_}"}


def _license(body: Fragment, rxe: Segment, since: int, context: Context) -> None:
    """RXE-13, the licence to prescribe narcotics -> Practitioner.qualification of the requester. Without a requester
    there is nobody who could have it."""
    licence = body.pop("licence", None)
    reference = body.get("requester", {}).get("reference", "")
    if licence is None:
        return
    if not reference:
        keep(rxe, 13, context)
        return
    key = ("Practitioner", reference.partition("/")[2])
    known = context.resources[key]
    aim(context, since, "MedicationRequest/.licence", f"{reference}.qualification")
    if licence not in known.get("qualification", ()):
        # A copy: the Practitioner stands in the cache of all messages.
        context.resources[key] = {**known, "qualification": [*known.get("qualification", ()), licence]}


def _dosages(order: Order, body: Fragment, rules: Rules, context: Context) -> list[Fragment]:
    """One Dosage a TQ1; what RXE and RXR say holds for each."""
    shared: Fragment = body.pop("dosage", {})
    if words := _supply_in_words(body):
        shared = shared | {"supplyWords": words}
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
        merge(dosage, shared)
        merge(dosage, timing)
        if order.timings:
            derive_timing(dosage, order.timings[number - 1], context)
        _as_needed(dosage, body, context)
        _compare_dose(dosage, order, number, context)
        folded = settle_dose(dosage)
        if folded and number == 1 and order.rxe is not None:
            spare(order.rxe, 5, words_rest, context)  # of the unit only the words are shown
        if text := dosage_text(dosage, body):
            dosage = {**{k: dosage[k] for k in ("extension", "sequence") if k in dosage}, "text": text} | dosage
        if dosage:
            made.append(dosage)
    return made


def _supply_in_words(body: Fragment) -> str:
    """Takes an amount to dispense that is no Quantity out of the request, for the text of its dosage."""
    supply: Fragment = body.get("dispenseRequest", {})
    words = supply.get("quantity", {}).get("words", "")
    if words:
        body["dispenseRequest"] = {key: value for key, value in supply.items() if key != "quantity"}
        if not body["dispenseRequest"]:
            del body["dispenseRequest"]
    return str(words)


def _compare_dose(dosage: Fragment, order: Order, number: int, context: Context) -> None:
    """TQ1-2 says another dose for its times than RXE-3 says for all: reported, and what RXE says is residue."""
    each = dosage.get("serviceQuantity")
    shared = next((part["doseQuantity"] for part in dosage.get("doseAndRate", ()) if "doseQuantity" in part), None)
    if each is None or order.rxe is None or not component(order.rxe[3], 1):
        return
    if shared and same_amount(each, shared):
        return
    text = "the dose at this time is not that of all times; this one stands"
    context.issue("information", "uneven-dose", place(order.timings[number - 1], 2), text)
    if context.nth("RXE-3", str(order.rxe.ordinal)) == "":  # once for all TQ1
        keep_all(order.rxe, context, 3, 4, 5)


def _as_needed(dosage: Fragment, body: Fragment, context: Context) -> None:
    """A number of occasions (TQ1-14) of a prescription without a timing of its own says that it is taken as needed."""
    supply = body.get("dispenseRequest", {})
    occasions = any("valueInteger" in extension for extension in supply.get("extension", ()))
    timed = "repeat" in dosage.get("timing", {}) or "expectedSupplyDuration" in supply
    if context.data_type != "OMP-02" and occasions and not timed:
        dosage.setdefault("asNeededBoolean", True)


def _keep_further(extra: Fragment, body: Fragment, tq1: Segment, context: Context) -> None:
    """What a further TQ1 says of the whole request, which has one supply, one count and one priority: residue. (The
    days of TQ1-6 stand in its dosage as well.)"""
    if "dispenseRequest" in extra:
        keep_all(tq1, context, 6, 14)
        del extra["dispenseRequest"]
    if extra.get("priority", body.get("priority")) != body.get("priority"):
        keep(tq1, 9, context)
        del extra["priority"]


def _contained_medication(made: Fragment, body: Fragment, order: Order, rules: Rules, context: Context) -> None:
    """RXC -> ingredients of a contained JP_Medication. RXE-2 names the mixture or, without RXC, the drug: a request
    has one medication[x], and that of an injection is a reference."""
    medication: Fragment = {"status": "active"}
    if "medicationCodeableConcept" in body:
        medication["code"] = body.pop("medicationCodeableConcept")
    form = body.pop("form", None)
    if order.ingredients:
        medication["ingredient"], amounts = ingredients(order.ingredients, rules["RXC"], made, context)
        if amounts:
            body["note"] = [*body.get("note", ()), *({"text": words} for words in amounts)]
    if form:
        medication["form"] = form
    if len(medication) > 1:
        body["medicationReference"] = contained(made, medication)


# -- amounts that must agree ------------------------------------------------------------------------------------------


def _check_amounts(made: Fragment, dosages: list[Fragment], order: Order, context: Context) -> None:
    """Reports amounts of a plain prescription that do not add up; nothing is corrected.

    Uneven doses (V codes), or the dose and the times a day, add up to the day (RXE-19), days or occasions to the
    supply (RXE-10).
    """
    if len(dosages) != 1 or order.rxe is None:
        return
    (dosage,) = dosages
    supply = made.get("dispenseRequest", {})
    (rate_and_dose,) = dosage.get("doseAndRate") or [{}]
    ratio = rate_and_dose.get("rateRatio", {})
    per_day = ratio["numerator"] if ratio.get("denominator", {}).get("code") == "d" else None
    uneven, dose = uneven_doses(dosage), rate_and_dose.get("doseQuantity")
    if per_day and (problem := _day_problem(per_day, dose, uneven, dosage.get("timing", {}).get("repeat", {}))):
        context.issue("warning", "amounts-disagree", place(order.rxe, 19), problem)
    given = supply.get("quantity")
    if given is None:
        return
    days = supply.get("expectedSupplyDuration", {}).get("value")
    occasions = next((e["valueInteger"] for e in supply.get("extension", ()) if "valueInteger" in e), None)
    expected = None
    if dosage.get("asNeededBoolean"):
        if occasions and dose:
            expected = {**dose, "value": dose["value"] * occasions}
    elif per_day and days and (uneven or not instructed(dosage, SUPPLEMENT)):
        expected = {**per_day, "value": per_day["value"] * days}
    if expected and same_amount(given, expected) is False:
        text = "the amount to dispense is not that of a day or occasion times their number"
        context.issue("warning", "amounts-disagree", place(order.rxe, 10), text)


def _day_problem(per_day: Fragment, dose: Fragment | None, uneven: dict[int, Decimal], repeat: Fragment) -> str:
    """What is wrong with the daily dose beside the doses of the day, "" when nothing is or nobody can tell."""
    if uneven and sorted(uneven) == list(range(1, len(uneven) + 1)):
        if len(uneven) == repeat.get("frequency", len(uneven)) and sum(uneven.values()) != per_day["value"]:
            return "the uneven doses do not add up to the daily dose"
        return ""
    whole = {**dose, "value": dose["value"] * repeat["frequency"]} if dose and repeat.get("periodUnit") == "d" else None
    if whole and same_amount(per_day, whole) is False:
        return "the daily dose is not that of one time multiplied by the times a day"
    return ""


# -- converters: the order --------------------------------------------------------------------------------------------


@converter(1)
def order_state(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
    """ORC-5 (table 0038). What ORC-1 does to the order (cancels, stops, holds it) wins; a disagreement is residue."""
    found = table("medication-order-state").get(component(raw, 1))
    control = table("medication-request-status").get(component(segment[1], 1), "active")
    if found is None:
        bad_field(raw, segment, context, "code-unknown", "the code is not in the table medication-order-state")
    elif control in ("active", found):
        return found
    else:
        context.keep(place(segment, 5), raw)
    return None


@converter(1)
def narcotics_licence(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXE-13: a licence holds in one prefecture, that of the institution."""
    number = component(raw, 1)
    if not number:
        return None
    prefecture = context.facility.institution[:2]
    system = _LICENCE_NUMBER + prefecture if prefecture else local_system(context.facility.oid, "narcotics-licence")
    coding = {"system": _LICENCE, "code": "narcotics-practitioner"}
    return {"identifier": [{"system": system, "value": number}], "code": {"coding": [coding]}}


@converter(1)
def repeats_allowed(raw: str, fields: list[str], segment: Segment, context: Context) -> int | None:
    words = component(raw, 1)
    if not words.isdecimal() or len(words) > 4:
        bad_field(raw, segment, context, "not-a-number", "a count that is not a whole number")
        return None
    return int(words)
