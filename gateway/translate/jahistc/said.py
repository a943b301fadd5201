"""The records that resources say: the way back from FHIR to the notebook, one function a resource type.

It reads what the elements mean and not where they came from, so dispenses of other systems can be written as well.
"""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

from gateway.codec.jahistc import Record, layout
from gateway.translate.jahistc.dispensing import GENERAL, ORDER_IN_RP, RP_NUMBER, USAGE
from gateway.translate.jahistc.making import (
    CREATOR_SYSTEM,
    FORM_SYSTEM,
    JAN_SYSTEM,
    RECEIPT_SYSTEM,
    RECORD_SYSTEM,
    Resource,
    codes,
    forms,
    is_record,
)
from gateway.translate.jahistc.notes import INFORMATION_SYSTEM, TITLES
from gateway.translate.names import REPRESENTATION
from gateway.translate.people import INSTITUTION

_DRUG_KINDS = {
    RECEIPT_SYSTEM: "2",
    "urn:oid:1.2.392.100495.20.1.72": "3",
    "http://capstandard.jp/iyaku.info/CodeSystem/YJ-code": "4",
    "http://medis.or.jp/CodeSystem/master-HOT9": "6",
    "http://medis.or.jp/CodeSystem/master-HOT7": "6",
    "http://medis.or.jp/CodeSystem/master-HOT13": "6",
}
_SEX = {target: code for code, (target, _) in codes("sex").items()}


class Index:
    """The resources of one patient, found by reference."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.all = [one for one in resources if one["resourceType"] not in ("OperationOutcome",)]
        self._by = {f"{one['resourceType']}/{one['id']}": one for one in self.all}
        self._creators: dict[str, set[str]] = defaultdict(set)
        for one in self.of("Provenance"):
            codes_ = {_coded(role, CREATOR_SYSTEM) for agent in one.get("agent", ()) for role in agent.get("role", ())}
            for target in one.get("target", ()):
                self._creators[target.get("reference", "")] |= codes_ - {""}

    def get(self, reference: Resource | None, inside: Resource | None = None) -> Resource:
        """The resource a reference names, or {}; `inside`: where `#id` is looked up."""
        target = str((reference or {}).get("reference", ""))
        if target.startswith("#"):
            return next((one for one in (inside or {}).get("contained", ()) if one["id"] == target[1:]), {})
        return self._by.get(target, {})

    def creator(self, one: Resource) -> str:
        """The creator code of a resource, or "" when nobody or several are known to have made it."""
        found = self._creators.get(f"{one['resourceType']}/{one['id']}", set())
        return next(iter(found)) if len(found) == 1 else ""

    def of(self, type_: str) -> list[Resource]:
        return [one for one in self.all if one["resourceType"] == type_]


def line(number: str, **items: str) -> Record:
    """A record by the names of its items; trailing empty ones are left out."""
    values = [items.get(item.name, "") for item in layout()[number][1]]
    while values and not values[-1]:
        values.pop()
    return Record(number, tuple(values))


def said(one: Resource, index: Index) -> list[Record]:
    """What a resource says as records, in the order of the standard; [] for one that no notebook has a record for."""
    reader = _READERS.get(one["resourceType"])
    records = reader(one, index) if reader else []
    creator = index.creator(one)
    return [_with_creator(record, creator) for record in records] if creator else records


def _with_creator(record: Record, creator: str) -> Record:
    items = layout()[record.number][1]
    at = next((n for n, item in enumerate(items) if item.name == "creator"), None)
    if at is None:
        return record
    values = [*record.items, *[""] * (len(items) - len(record.items))]
    values[at] = creator
    return line(record.number, **{item.name: value for item, value in zip(items, values, strict=True)})


# -- patient ----------------------------------------------------------------------------------------------------------


def _patient(one: Resource, index: Index) -> list[Record]:
    observed = [o for o in index.of("Observation") if _concerns(o, one)]
    weight = next((o for o in observed if _coded(o.get("code"), "http://loinc.org") == "29463-7"), {})
    blood = next((o for o in observed if is_record(o.get("code", {}), "1")), {})
    emergency: Resource = next((c for c in one.get("contact", ()) if _contact_code(c) == "C"), {})
    address = _first(one, "address")
    return [
        line(
            "1",
            name=_name(one, "IDE"),
            sex=_SEX.get(one.get("gender", ""), ""),
            birth=_digits(one.get("birthDate", "")),
            postal=address.get("postalCode", ""),
            address=_address(address),
            phone=_first(one, "telecom").get("value", ""),
            emergency=_first(emergency, "telecom").get("value", ""),
            blood=blood.get("valueString", ""),
            weight=_amount(weight.get("valueQuantity")),
            kana=_name(one, "SYL"),
        )
    ]


def _concerns(observation: Resource, patient: Resource) -> bool:
    return bool(observation.get("subject", {}).get("reference") == f"Patient/{patient['id']}")


def _contact_code(contact: Resource) -> str:
    return next(
        (_coded(c, "http://terminology.hl7.org/CodeSystem/v2-0131") for c in contact.get("relationship", ())), ""
    )


def _name(one: Resource, representation: str) -> str:
    for name in one.get("name", ()):
        kinds = {e.get("valueCode") for e in name.get("extension", ()) if e.get("url") == REPRESENTATION}
        if representation in kinds or (not kinds and representation == "IDE"):
            return str(name.get("text") or " ".join([name.get("family", ""), *name.get("given", ())]).strip())
    return ""


def _address(address: Resource) -> str:
    parts = [address.get("state", ""), address.get("city", ""), *address.get("line", ())]
    return str(address.get("text") or "".join(parts))


# -- dispensing -------------------------------------------------------------------------------------------------------


def _dispense(one: Resource, index: Index) -> list[Record]:
    """201 with 281, then what it says of its prescription group: 301, 311."""
    rp = _identifier(one, RP_NUMBER)
    dosage = _first(one, "dosageInstruction")
    form = _form(one, dosage)
    concept = one.get("medicationCodeableConcept") or index.get(one.get("medicationReference"), one).get("code", {})
    kind, code = _drug_code(concept)
    generic: Resource = next((c for c in concept.get("coding", ()) if c.get("system") == GENERAL), {})
    coded_generic = generic.get("code", "") if kind != "7" else ""
    words = next((n["text"][5:] for n in one.get("note", ()) if n.get("text", "").startswith("一般名: ")), "")
    records = [
        line(
            "201",
            rp=rp,
            name=str(
                concept.get("text") or next((c["display"] for c in concept.get("coding", ()) if "display" in c), "")
            ),
            dose=_dose(one, dosage, form),
            unit=str(one.get("quantity", {}).get("unit", "")),
            kind=kind,
            code=code,
            generic_name=words or (str(generic.get("display", "")) if coded_generic else ""),
            generic_kind="2" if coded_generic else "1" if words else "",
            generic_code=coded_generic,
        )
    ]
    beside = dosage.get("additionalInstruction", ())
    records += [line("281", rp=rp, text=_text(c)) for c in beside if is_record(c, "281")]
    usage = _coded(dosage.get("timing", {}).get("code"), USAGE)
    row = forms().get(form, {})
    records.append(
        line(
            "301",
            rp=rp,
            name=str(dosage.get("text", "")),
            quantity=_count(one, row),
            unit=row.get("unit", ""),
            form=form,
            kind="2" if usage else "1",
            code=usage,
        )
    )
    records += [line("311", rp=rp, text=_text(c)) for c in beside if not is_record(c, "281")]
    return records


def _form(one: Resource, dosage: Resource) -> str:
    """Of a dispense that no notebook told, 内服 when it has days and is not as needed, 屯服 when it is; else その他."""
    if code := _coded(dosage.get("method"), FORM_SYSTEM):
        return code
    if dosage.get("asNeededBoolean"):
        return "3"
    return "1" if one.get("daysSupply") and dosage.get("doseAndRate") else "10"


def _dose(one: Resource, dosage: Resource, form: str) -> str:
    meaning = forms().get(form, {}).get("dose")
    rate = _first(dosage, "doseAndRate")
    if meaning == "day":
        return _amount(rate.get("rateRatio", {}).get("numerator"))
    if meaning == "dose":
        return _amount(rate.get("doseQuantity"))
    return _amount(one.get("quantity"))


def _count(one: Resource, form: dict[str, str]) -> str:
    """301 item 3: days, doses (total divided by one dose), or 1."""
    match form.get("quantity"):
        case "days":
            return _amount(one.get("daysSupply"))
        case "fixed":
            return "1"
        case "doses":
            dose = _first(_first(one, "dosageInstruction"), "doseAndRate").get("doseQuantity", {}).get("value")
            total = one.get("quantity", {}).get("value")
            if dose and total is not None:
                try:
                    count = Decimal(str(total)) / Decimal(str(dose))
                except InvalidOperation:
                    return ""
                return str(int(count)) if count == int(count) else ""
    return ""


def _drug_code(concept: Resource) -> tuple[str, str]:
    for coding in concept.get("coding", ()):
        if kind := _DRUG_KINDS.get(coding.get("system", "")):
            return kind, str(coding.get("code", ""))
    return "1", ""


def block_head(one: Resource, index: Index) -> list[Record]:
    """Records 5, 11, 15, 51 and 55 of the block a dispense belongs to."""
    records = [line("5", date=_digits(one.get("whenHandedOver") or one.get("whenPrepared") or ""))]
    actors = [index.get(performer.get("actor"), one) for performer in one.get("performer", ())]
    request = next((index.get(ref, one) for ref in one.get("authorizingPrescription", ())), {})
    role = index.get(request.get("requester"), one)
    people = [actor for actor in actors if actor.get("resourceType") == "Practitioner"]
    records += [_institution("11", actor) for actor in actors if actor.get("resourceType") == "Organization"]
    records += [line("15", name=_name(p, "IDE"), contact=_first(p, "telecom").get("value", "")) for p in people]
    organization = role if role.get("resourceType") == "Organization" else index.get(role.get("organization"), one)
    doctor = role if role.get("resourceType") == "Practitioner" else index.get(role.get("practitioner"), one)
    if organization:
        records.append(_institution("51", organization))
    if doctor:
        records.append(line("55", name=_name(doctor, "IDE"), department=_text(_first(role, "specialty"))))
    return records


def _institution(number: str, one: Resource) -> Record:
    ten = _identifier(one, INSTITUTION)
    address = _first(one, "address")
    items = {"name": one.get("name", ""), "prefecture": ten[:2], "score_table": ten[2:3], "code": ten[3:]}
    if number == "11":
        items |= {"postal": address.get("postalCode", ""), "address": _address(address)}
        items["phone"] = _first(one, "telecom").get("value", "")
    return line(number, **items)


# -- notes ------------------------------------------------------------------------------------------------------------


def _allergy(one: Resource, index: Index) -> list[Record]:
    return [line("2", kind="2" if one.get("type") == "intolerance" else "1", text=_text(one.get("code", {})))]


def _condition(one: Resource, index: Index) -> list[Record]:
    return [line("2", kind="3", text=_text(one.get("code", {})))]


def _observation(one: Resource, index: Index) -> list[Record]:
    return [line("2", kind="9", text=one.get("valueString", ""))] if is_record(one.get("code", {}), "2") else []


def _statement(one: Resource, index: Index) -> list[Record]:
    drug = index.get(one.get("medicationReference"), one)
    concept = one.get("medicationCodeableConcept") or drug.get("code", {})
    parts = drug.get("ingredient", ())
    period = one.get("effectivePeriod", {})
    records = [
        line(
            "3",
            name=_text(concept),
            start=_digits(period.get("start", "")),
            end=_digits(period.get("end", "")),
            sequence="1" if parts else "",
            jan=_coded(concept, JAN_SYSTEM),
        )
    ]
    for part in parts:
        item = part.get("itemCodeableConcept", {})
        code = next((str(c["code"]) for c in item.get("coding", ()) if "code" in c), "")
        records.append(line("31", sequence="1", name=_text(item), kind="2" if code else "1", code=code))
    return records


def _communication(one: Resource, index: Index) -> list[Record]:
    number = next((c for concept in one.get("category", ()) if (c := _coded(concept, RECORD_SYSTEM)) in TITLES), "")
    if not number:
        return []
    kind = next((c for concept in one.get("reasonCode", ()) if (c := _coded(concept, INFORMATION_SYSTEM))), "")
    text = _first(one, "payload").get("contentString", "")
    return [line(number, text=text, date=_digits(one.get("sent", "")), kind=kind)]


def _care_team(one: Resource, index: Index) -> list[Record]:
    if not any(is_record(concept, "701") for concept in one.get("category", ())):
        return []
    participant = _first(one, "participant")
    person, pharmacy = index.get(participant.get("member")), index.get(participant.get("onBehalfOf"))
    period = participant.get("period", {})
    return [
        line(
            "701",
            name=_name(person, "IDE"),
            pharmacy=pharmacy.get("name", ""),
            contact=_first(person, "telecom").get("value", ""),
            start=_digits(period.get("start", "")),
            end=_digits(period.get("end", "")),
        )
    ]


_READERS = {
    "Patient": _patient,
    "MedicationDispense": _dispense,
    "AllergyIntolerance": _allergy,
    "Condition": _condition,
    "Observation": _observation,
    "MedicationStatement": _statement,
    "Communication": _communication,
    "CareTeam": _care_team,
}


# -- small readers ----------------------------------------------------------------------------------------------------


def _first(one: Resource, element: str) -> Resource:
    return next(iter(one.get(element, ())), {})


def _text(concept: Resource) -> str:
    return str(concept.get("text") or next((c["display"] for c in concept.get("coding", ()) if "display" in c), ""))


def _coded(concept: Resource | None, system: str) -> str:
    return next(
        (str(c["code"]) for c in (concept or {}).get("coding", ()) if c.get("system") == system and "code" in c), ""
    )


def _identifier(one: Resource, system: str) -> str:
    return next((str(i["value"]) for i in one.get("identifier", ()) if i.get("system") == system and "value" in i), "")


def _amount(quantity: Resource | None) -> str:
    value: Any = (quantity or {}).get("value")
    return "" if value is None else str(value)


def _digits(iso: str) -> str:
    """`2025-06-10T...` -> `20250610`; a year or a month alone is no day."""
    digits = iso[:10].replace("-", "")
    return digits if len(digits) == 8 else ""


__all__ = ["ORDER_IN_RP", "Index", "block_head", "line", "said"]
