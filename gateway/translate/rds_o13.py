"""RDS^O13: drugs as they were dispensed (調剤実施). SS-MIX2 has no data type for it; here it is `RDS`.

MSH [PID [PV1]] { ORC [TQ1] [RXE {TQ1} {RXR} [{RXC}]] RXD {RXR} [{NTE}] } -> one MedicationDispense an RXD. The usage
(TQ1) stands in its dosageInstruction; RXE is the order, told by OMP-01. HL7 v2.5 4.14.6; JP Core 1.2.0.
"""

from dataclasses import dataclass, field

from gateway.codec.er7 import Message, Segment
from gateway.translate.administering import lot_words, settle_status
from gateway.translate.administration_route import settle_site, with_way
from gateway.translate.assembling import merge
from gateway.translate.common import HEAD, ORDER_NUMBER, Rules, leave
from gateway.translate.context import Context
from gateway.translate.datatypes import (
    Fragment,
    absent,
    bad_field,
    component,
    concept_of,
    cwe_rest,
    keep_all,
    merit9,
    quantity,
    unit_rest,
)
from gateway.translate.dosage import dosage_text, settle_dose
from gateway.translate.leavings import NULL, keep, place, residue_of, spare
from gateway.translate.medication import SUBSTITUTION, drug_key, group_identifiers, once
from gateway.translate.people import EXTENSION, resource
from gateway.translate.rules import aim, converter, mark, table
from gateway.translate.usage import derive_timing

RULES = Rules(
    **HEAD,
    PV1=("None",),
    ORC=("MedicationDispense",),
    RXD=("MedicationDispense",),
    TQ1=("MedicationRequest",),
    RXR=("MedicationRequest",),
    NTE=("MedicationAdministration",),
)
_PROFILE = "JP_MedicationDispense"


@dataclass(slots=True)
class Dispense:
    """One RXD with what belongs to it. `ordered`: segments of the order that it carries out."""

    orc: Segment | None = None
    rxd: Segment | None = None
    timings: list[Segment] = field(default_factory=list)
    routes: list[Segment] = field(default_factory=list)
    notes: list[Segment] = field(default_factory=list)
    ordered: list[Segment] = field(default_factory=list)


def translate(message: Message, context: Context) -> None:
    dispenses, rest = grouped(message)
    counts: dict[str, int] = {}
    for dispense in dispenses:
        for segment in dispense.ordered:
            residue_of(segment, context)
        if dispense.rxd is None:
            head = [dispense.orc] if dispense.orc else []
            leave([*head, *dispense.timings, *dispense.routes, *dispense.notes], RULES, context)
            where = place(dispense.orc, 1) if dispense.orc else "ORC"
            context.issue("warning", "no-drug", where, "a dispense without RXD")
            continue
        _add(dispense, dispense.rxd, counts, context)
    leave(rest, RULES, context)


def grouped(message: Message) -> tuple[list[Dispense], list[Segment]]:
    """Segments -> dispenses, and the segments that belong to none."""
    dispenses: list[Dispense] = []
    rest: list[Segment] = []
    for segment in message.segments:
        current = dispenses[-1] if dispenses else None
        match segment.name:
            case "MSH" | "PID":
                continue
            case "ORC":
                dispenses.append(Dispense(orc=segment))
            case "RXD":
                if current is None or current.rxd is not None:
                    current = Dispense(orc=current.orc if current else None)
                    dispenses.append(current)
                current.rxd = segment
            case "TQ1" if current is not None:
                current.timings.append(segment)
            case "RXR" if current is not None and current.rxd is not None:
                current.routes.append(segment)
            case "NTE" if current is not None and current.rxd is not None:
                current.notes.append(segment)
            case "RXE" | "RXR" | "RXC" | "RXO" | "NTE" | "OBX" if current is not None:
                current.ordered.append(segment)
            case _:
                rest.append(segment)
    return dispenses, rest


def _add(dispense: Dispense, rxd: Segment, counts: dict[str, int], context: Context) -> None:
    since = mark(context)
    groups = group_identifiers(dispense.orc, counts, context)
    body: Fragment = {"identifier": groups}
    if dispense.orc is not None:
        RULES["ORC"].apply(dispense.orc, {"MedicationDispense": body}, context)
    RULES["RXD"].apply(rxd, {"MedicationDispense": body}, context)
    for note in dispense.notes:
        RULES["NTE"].apply(note, {"MedicationAdministration": body}, context)
    drug = body.get("medicationCodeableConcept", {})
    key = ("|".join(i["value"] for i in groups[:1]), drug_key(drug, rxd[2]), component(rxd[3], 1))
    made = resource(
        "MedicationDispense", context.id("MedicationDispense", *context.key, *key, context.nth("RXD", *key)), _PROFILE
    )
    dosages = _dosages(dispense, body, context)
    for old in ("MedicationDispense", "MedicationRequest", "MedicationAdministration"):
        aim(context, since, f"{old}/.", f"MedicationDispense/{made['id']}.")
    for dosage in dosages:
        settle_site(dosage, made, context.subject())
    if words := lot_words(body.pop("lot", {})):
        body["note"] = [*body.get("note", ()), {"text": " ".join(words)}]
    settle_status(made, body, place(rxd, 3), context)
    body["identifier"] = once(body["identifier"])
    body["subject"] = context.subject()
    body |= {"dosageInstruction": dosages} if dosages else {}
    _say_what_is_absent(made, body, rxd, context)
    context.add({key: (made | body)[key] for key in _ORDER if key in made or key in body})


_ORDER = (
    *("resourceType", "id", "meta", "contained", "extension", "identifier", "status", "category"),
    *("medicationCodeableConcept", "subject", "performer", "authorizingPrescription", "quantity", "daysSupply"),
    *("whenHandedOver", "_whenHandedOver", "destination", "note", "dosageInstruction", "substitution"),
)


def _say_what_is_absent(made: Fragment, body: Fragment, rxd: Segment, context: Context) -> None:
    if order := [one for one in body["identifier"] if one["system"] == ORDER_NUMBER]:
        body["authorizingPrescription"] = [{"type": "MedicationRequest", "identifier": order[0]}]
    if "medicationCodeableConcept" not in body:
        body["medicationCodeableConcept"] = absent()
        context.issue("warning", "no-drug", place(rxd, 2), "RXD-2 names no drug")
    if "whenHandedOver" not in body:
        body["_whenHandedOver"] = absent()
    if "code" not in body.get("quantity", {}):
        # JP_MedicationDispense wants an amount with a coded unit. Nothing is made up to look conformant.
        made["meta"] = {"profile": ["http://hl7.org/fhir/StructureDefinition/MedicationDispense"]}


def _dosages(dispense: Dispense, body: Fragment, context: Context) -> list[Fragment]:
    """One Dosage a TQ1; what RXR says holds for each. Their rows are those of a request."""
    way: Fragment = {"dosage": body.pop("dosage", {})}
    for number, rxr in enumerate(dispense.routes):
        extra: Fragment = {}
        RULES["RXR"].apply(rxr, {"MedicationRequest": extra}, context)
        if number:
            way["dosage"] = with_way(way["dosage"], extra.get("dosage", {}), rxr, context)
        else:
            merge(way, extra)
    made = []
    for number, tq1 in enumerate(dispense.timings or [None], start=1):
        said: Fragment = {}
        dosage: Fragment = {"sequence": number} if len(dispense.timings) > 1 else {}
        if tq1 is not None:
            RULES["TQ1"].apply(tq1, {"MedicationRequest": said}, context)
        merge(dosage, way["dosage"])
        merge(dosage, said.get("dosage", {}))
        if tq1 is not None:
            derive_timing(dosage, tq1, context)
            _supply(body, said, tq1, context)
        settle_dose(dosage)  # RXD has no dose that could be an uneven one
        text = dosage_text(dosage, said)
        dosage = {"text": text, **dosage} if text else dosage
        made += [dosage] if dosage else []
    return made


def _supply(body: Fragment, said: Fragment, tq1: Segment, context: Context) -> None:
    """The days of TQ1-6. A dispense has one supply, and no element for occasions and priority."""
    supply = said.get("dispenseRequest", {})
    days = supply.get("expectedSupplyDuration")
    if days and body.setdefault("daysSupply", days) != days:
        keep(tq1, 6, context)
    if any("valueInteger" in one for one in supply.get("extension", ())):
        keep(tq1, 14, context)
    if "priority" in said:
        keep(tq1, 9, context)


# -- converters -------------------------------------------------------------------------------------------------------


@converter(1)
def dispensed_amount(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXD-4/5: what was handed over, with the digits and the unit as sent."""
    found = quantity(component(raw, 1), merit9(segment[5], context.facility.oid) if segment[5] != NULL else {})
    if found is None or found["value"] < 0:
        code = "not-a-number" if found is None else "amount-not-positive"
        bad_field(raw, segment, context, code, "an amount that is no number, or below zero")
        keep_all(segment, context, 5)
        return None
    spare(segment, 5, unit_rest, context)
    if "code" not in found:
        context.issue("information", "unit-uncoded", place(segment, 5), "no MERIT-9 unit; the unit is kept as text")
    return found


@converter(1)
def dispensed_substitution(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """RXD-11 (table 0167): G, T and the like say that another product was dispensed, N that none was."""
    code = component(raw, 1)
    substituted = table("dispense-substitution").get(code)
    if substituted is None:
        bad_field(raw, segment, context, "code-unknown", "the code is not in the table dispense-substitution")
        return None
    return {"wasSubstituted": substituted == "yes", "type": {"coding": [{"system": SUBSTITUTION, "code": code}]}}


@converter(repeats=True, rest=cwe_rest)
def dispense_preparation(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    """RXD-15: special dispensing instructions (粉砕, 一包化) as they were carried out."""
    url = EXTENSION + "JP_MedicationDispense_Preparation"
    found = (concept_of(part, segment, context) for part in raw.split("~"))
    return [{"url": url, "valueCodeableConcept": concept} for concept in found if concept]
