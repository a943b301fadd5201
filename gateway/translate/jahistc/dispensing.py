"""A dispensing block (record 5 and what follows it) -> one JP_MedicationDispense a drug (201).

What is meant by the dose depends on the form of its prescription group (301 item 5, mappings/jahistc/forms.csv): a day,
one dose, or the total. Sums are only made where both factors are numbers; a factor that is missing leaves the sum unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from gateway.codec.jahistc import Record, day
from gateway.model.outcome import Issue
from gateway.translate import jami_usage
from gateway.translate.datatypes import absent, as_code, coded, decimal
from gateway.translate.jahistc.making import (
    FORM_SYSTEM,
    RECEIPT_SYSTEM,
    Making,
    Resource,
    codes,
    forms,
    place,
    record_concept,
)
from gateway.translate.jahistc.people import institution, practitioner, reference
from gateway.translate.people import resource

RP_NUMBER = "http://jpfhir.jp/fhir/core/mhlw/IdSystem/Medication-RPGroupNumber"
ORDER_IN_RP = "http://jpfhir.jp/fhir/core/mhlw/IdSystem/MedicationAdministrationIndex"
USAGE = "http://jami.jp/CodeSystem/MedicationUsage"
GENERAL = "http://jpfhir.jp/fhir/core/mhlw/CodeSystem/MedicationGeneralOrderCode"
STRENGTH = "http://jpfhir.jp/fhir/core/mhlw/CodeSystem/MedicationIngredientStrengthStrengthType"
TOLD = ("291", "391", "401")
"""Records whose words are what the patient is told."""
BESIDE = {"281": "薬品補足情報", "311": "用法補足情報"}
UNIT_SYSTEM = "https://musubi.invalid/CodeSystem/jahistc-unit"
"""Units as the notebook writes them (単位名)."""
UCUM_DAY = {"unit": "日", "system": "http://unitsofmeasure.org", "code": "d"}


@dataclass(slots=True)
class Drug:
    """One 201 with the records that belong to it."""

    record: Record
    doctor: Record | None
    notes: list[Record] = field(default_factory=list)
    """281 and 291."""


@dataclass(slots=True)
class Block:
    """Records 5 to the next 5. `groups`: what is said of each RP number (301, 311, 391), in order."""

    opening: Record
    dispensed_at: Record | None = None
    dispenser: Record | None = None
    prescribed_at: Record | None = None
    doctors: list[Record] = field(default_factory=list)
    drugs: list[Drug] = field(default_factory=list)
    groups: dict[str, list[Record]] = field(default_factory=dict)
    remarks: list[Record] = field(default_factory=list)
    """401, 411, 421, 501, and what may stand anywhere."""
    adrift: list[Record] = field(default_factory=list)
    """What belongs to nothing here: a note without its drug, a usage of no drug, a second institution or usage."""


def collect(records: list[Record]) -> Block:
    """The records of one block, sorted by what they are about. A 281 or 291 belongs to the 201 before it; 301, 311 and
    391 to all drugs of their RP number; a 201 to the 55 before it."""
    block = Block(records[0])
    doctor: Record | None = None
    for record in records[1:]:
        match record.number:
            case "11" if block.dispensed_at is None:
                block.dispensed_at = record
            case "15" if block.dispenser is None:
                block.dispenser = record
            case "51" if block.prescribed_at is None:
                block.prescribed_at = record
            case "55":
                doctor = record
                block.doctors.append(record)
            case "201":
                block.drugs.append(Drug(record, doctor))
            case "281" | "291" if block.drugs:
                block.drugs[-1].notes.append(record)
            case "301" if any(one.number == "301" for one in block.groups.get(record.item("rp"), ())):
                block.adrift.append(record)
            case "301" | "311" | "391":
                block.groups.setdefault(record.item("rp"), []).append(record)
            case "11" | "15" | "51" | "281" | "291":
                block.adrift.append(record)
            case _:
                block.remarks.append(record)
    known = {drug.record.item("rp") for drug in block.drugs}
    block.adrift += [record for rp, group in block.groups.items() if rp not in known for record in group]
    return block


def dispense(block: Block, making: Making) -> dict[int, Resource]:
    """Adds the MedicationDispenses of a block. Returns which resource says which record, by `id()` of the record."""
    at = institution(block.dispensed_at, making) if block.dispensed_at else None
    by = practitioner(block.dispenser, at, making) if block.dispenser else None
    ordered_at = institution(block.prescribed_at, making) if block.prescribed_at else None
    said: dict[int, Resource] = {}
    order: dict[str, int] = {}
    for drug in block.drugs:
        rp = drug.record.item("rp")
        order[rp] = order.get(rp, 0) + 1
        group = block.groups.get(rp, [])
        one = _one(block, drug, group, order[rp], making)
        _people(one, at, by, ordered_at, drug.doctor, making)
        said[id(drug.record)] = one
        said |= {id(note): one for note in drug.notes}
        if order[rp] == 1:
            said |= {id(record): one for record in group}
        making.add(one)
    return said


def _one(block: Block, drug: Drug, group: list[Record], order: int, making: Making) -> Resource:
    record, rp = drug.record, drug.record.item("rp")
    usage = next((one for one in group if one.number == "301"), None)
    day_ = day(block.opening.item("date"))
    where = block.dispensed_at.text() if block.dispensed_at else ""
    key = (day_.iso if day_ else "", where, rp, record.item("kind"), record.item("code") or record.item("name"))
    one = resource("MedicationDispense", making.id("MedicationDispense", *key), "JP_MedicationDispense")
    one["identifier"] = [
        {"system": RP_NUMBER, "value": rp} if rp else {"system": RP_NUMBER, "_value": absent()},
        {"system": ORDER_IN_RP, "value": str(order)},
    ]
    one["status"] = "completed"
    one["medicationCodeableConcept"] = medication(record, making)
    one["subject"] = making.subject()
    target = f"MedicationDispense/{one['id']}"
    making.from_(f"{target}.medicationCodeableConcept", record, "name", "kind", "code")
    making.from_(f"{target}.medicationCodeableConcept", record, "generic_name", "generic_kind", "generic_code")
    making.from_(f"{target}.identifier", record, "rp")
    form = forms().get(usage.item("form")) if usage else None
    count = decimal(usage.item("quantity")) if usage else None
    _amounts(one, record, form, count, making)
    making.from_(f"{target}.quantity", record, "dose", "unit")
    if usage and form:
        making.from_(f"{target}.{'daysSupply' if 'daysSupply' in one else 'quantity'}", usage, "quantity", "unit")
    if day_:
        one["whenHandedOver"] = day_.iso
        making.from_(f"{target}.whenHandedOver", block.opening, "date")
    else:
        one["_whenHandedOver"] = absent()
    if record.item("generic_name"):
        one["note"] = [{"text": f"一般名: {record.item('generic_name')}"}]
        making.from_(f"{target}.note", record, "generic_name")
    notes = [*drug.notes, *group]
    dosage = _dosage(usage, notes, block.remarks, making)
    dosage |= _dose(record, form, making)
    _dosage_from(target, dosage, record, usage, (*notes, *block.remarks), making)
    if dosage:
        one["dosageInstruction"] = [dosage]
    if usage is None and group == []:
        making.warn("no-usage", record, "rp", "no record 301 says how this drug is used")
    return one


def medication(record: Record, making: Making) -> Resource:
    """201 items 2, 5, 6 and 8 to 10. A code that does not look like its kind keeps its label under a local system."""
    name, code = record.item("name"), record.item("code")
    concept: Resource = {}
    label = codes("drug").get(record.item("kind"), ("", ""))[0]
    if code and label == "RECEIPT":
        concept["coding"] = [{"system": RECEIPT_SYSTEM, "code": code}]
    elif code and label == "GENERAL":
        concept["coding"] = [{"system": GENERAL, "code": code}]
    elif code:
        label = f"HOT{len(code)}" if label == "HOT" and len(code) in (7, 9, 13) else label
        found = coded(f"{code}^^{label or 'jahistc-drug-' + record.item('kind')}", making.facility.oid)
        concept["coding"] = list((found.concept or {}).get("coding", ()))
        if not label:
            making.warn("code-unknown", record, "kind", "the kind of drug code is not in the standard")
        for problem in found.problems:
            making.warn(problem, record, "code", "the code does not have the form of the kind it is labelled with")
    if record.item("generic_kind") == "2" and record.item("generic_code"):
        generic = {"system": GENERAL, "code": record.item("generic_code"), "display": record.item("generic_name")}
        concept.setdefault("coding", []).append({key: value for key, value in generic.items() if value})
    if name:
        concept["text"] = name
    return {key: value for key, value in concept.items() if value} or absent()


def _amounts(one: Resource, record: Record, form: dict[str, str] | None, count: Decimal | None, making: Making) -> None:
    """quantity (the whole amount handed over) and daysSupply."""
    dose, unit = decimal(_half(record.item("dose"))), record.item("unit")
    if record.item("dose") and dose is None:
        making.warn("not-a-number", record, "dose", "the dose is no number; it is kept as it was sent")
    total = None
    if form and dose is not None:
        total = dose if form["quantity"] == "fixed" else dose * count if count is not None else None
    one["quantity"] = _in_unit({"value": total} if total is not None else {"_value": absent()}, unit)
    if form and form["quantity"] == "days" and count is not None:
        one["daysSupply"] = {"value": count, **UCUM_DAY}


def _in_unit(amount: Resource, unit: str) -> Resource:
    """JP Core asks for a code of every unit; the notebook has words only, so they are the code, under a system that says
    so. No code of another table is guessed from them."""
    coded_unit = {"unit": unit, "system": UNIT_SYSTEM, "code": unit}
    return {**amount, **(coded_unit if as_code(unit) else {"system": UNIT_SYSTEM, "_code": absent()})}


_WIDTH = str.maketrans("０１２３４５６７８９．", "0123456789.")


def _half(text: str) -> str:
    return text.translate(_WIDTH)


def _dose(record: Record, form: dict[str, str] | None, making: Making) -> Resource:
    """doseAndRate; the total of an ointment is no dose."""
    value, unit = decimal(_half(record.item("dose"))), record.item("unit")
    if form is None or value is None or form["dose"] == "total":
        return {}
    amount = _in_unit({"value": value}, unit)
    kind = {"coding": [{"system": STRENGTH, "code": "1", "display": "製剤量"}]}
    if form["dose"] == "dose":
        return {"doseAndRate": [{"type": kind, "doseQuantity": amount}]}
    rate = {"numerator": amount, "denominator": {"value": Decimal(1), **UCUM_DAY}}
    return {"doseAndRate": [{"type": kind, "rateRatio": rate}]}


def _dosage(usage: Record | None, notes: list[Record], remarks: list[Record], making: Making) -> Resource:
    """301 words, usage code and form; 281 and 311 beside them; 291, 391 and 401 are what the patient is told."""
    dosage: Resource = {}
    words = usage.item("name") if usage else ""
    if words:
        dosage["text"] = words
    beside = [one for one in notes if one.number in BESIDE and one.item("text")]
    if beside:
        dosage["additionalInstruction"] = [
            {**record_concept(one.number, BESIDE[one.number]), "text": one.item("text")} for one in beside
        ]
    told = [one.item("text") for one in (*notes, *remarks) if one.number in TOLD and one.item("text")]
    if told:
        dosage["patientInstruction"] = "\n".join(told)
    if usage is None:
        return dosage
    timing, as_needed = _timing(usage, words, making)
    form = forms().get(usage.item("form"))
    if timing:
        dosage["timing"] = timing
    if as_needed or (form and form["dose"] == "dose"):
        dosage["asNeededBoolean"] = True
    if form:
        coding = {"system": FORM_SYSTEM, "code": usage.item("form"), "display": form["ja"]}
        dosage["method"] = {"coding": [coding]}
    elif usage.item("form"):
        making.warn("code-unknown", usage, "form", "the form is not in the standard; doses and days stay unknown")
    return dosage


def _dosage_from(
    target: str, dosage: Resource, record: Record, usage: Record | None, notes: Sequence[Record], making: Making
) -> None:
    """Lineage of a dosageInstruction."""
    where = f"{target}.dosageInstruction[0]"
    if "doseAndRate" in dosage:
        making.from_(f"{where}.doseAndRate", record, "dose", "unit")
    if usage:
        making.from_(f"{where}.text", usage, "name")
        making.from_(f"{where}.timing", usage, "kind", "code")
        making.from_(f"{where}.method", usage, "form")
    for one in notes:
        if one.number in BESIDE:
            making.from_(f"{where}.additionalInstruction", one, "text")
        elif one.number in TOLD:
            making.from_(f"{where}.patientInstruction", one, "text")


def _timing(usage: Record, words: str, making: Making) -> tuple[Resource, bool]:
    """The JAMI usage code (標準用法) of a 301, and whether it means as needed. Nothing is derived where code and words
    disagree."""
    code = usage.item("code")
    if not code or usage.item("kind") != "2":
        return {}, False
    coding = {"system": USAGE, "code": code, "display": words}
    timing: Resource = {"code": {"coding": [{key: value for key, value in coding.items() if value}]}}
    decoded = jami_usage.decode(code)
    if decoded is None:
        words = "the usage code is kept, but not decoded"
        making.issues.append(Issue("information", "usage-undecoded", place(usage, "code"), words))
        return timing, False
    if words and jami_usage.agrees(decoded, words) is False:
        text = "the usage code and its words say different things; both are kept and no time of day is derived"
        making.warn("usage-conflict", usage, "code", text)
        return timing, False
    if repeat := jami_usage.timing_repeat(decoded):
        timing["repeat"] = repeat
    return timing, decoded.as_needed


def _people(
    one: Resource,
    at: Resource | None,
    by: Resource | None,
    ordered_at: Resource | None,
    doctor: Record | None,
    making: Making,
) -> None:
    """performer (15, 11) and, in a contained MedicationRequest, who prescribed (55, 51)."""
    performers = [{"actor": reference(actor)} for actor in (by, at) if actor]
    if performers:
        one["performer"] = performers
    if ordered_at is None and doctor is None:
        return
    contained: list[dict[str, Any]] = []
    if doctor is not None:
        role: Resource = {"resourceType": "PractitionerRole", "id": "prescriber"}
        role["practitioner"] = reference(practitioner(doctor, ordered_at, making))
        if ordered_at:
            role["organization"] = reference(ordered_at)
        if department := doctor.item("department"):
            role["specialty"] = [{"text": department}]
            making.from_(f"MedicationDispense/{one['id']}.contained", doctor, "department")
        contained.append(role)
        requester = {"reference": "#prescriber"}
    else:
        assert ordered_at is not None
        requester = reference(ordered_at)
    request = {
        "resourceType": "MedicationRequest",
        "id": "prescription",
        "identifier": one["identifier"],
        "status": "unknown",
        "intent": "order",
        "medicationCodeableConcept": one["medicationCodeableConcept"],
        "subject": making.subject(),
        "_authoredOn": absent(),
        "requester": requester,
    }
    one["contained"] = [*contained, request]
    one["authorizingPrescription"] = [{"reference": "#prescription"}]
