"""Record 1 (患者情報) -> Patient; 11 and 51 (調剤・処方医療機関) -> Organization; 15 and 55 -> Practitioner."""

import unicodedata
from typing import Any

from gateway.codec.jahistc import Record, day
from gateway.translate.datatypes import absent, decimal
from gateway.translate.ids import resource_id
from gateway.translate.jahistc.making import Making, Resource, codes, record_concept
from gateway.translate.names import REPRESENTATION
from gateway.translate.people import INSTITUTION, resource

CATEGORY = "http://jpfhir.jp/fhir/core/CodeSystem/JP_SimpleObservationCategory_CS"
BODY_WEIGHT = {"system": "http://loinc.org", "code": "29463-7"}


def patient(record: Record, identifier: Resource, making: Making) -> None:
    """Record 1. `identifier`: the number the person goes by, which no notebook holds. Weight and blood type are Observations; whether they are final, and of which day, nobody says."""
    one = resource("Patient", making.patient, "JP_Patient")
    where = f"Patient/{making.patient}"
    one["identifier"] = [identifier]
    names = [_name(record.item("name"), "IDE"), _name(full_width_kana(record.item("kana")), "SYL")]
    if any(names):
        one["name"] = [name for name in names if name]
    making.from_(f"{where}.name", record, "name", "kana")
    if phone := record.item("phone"):
        one["telecom"] = [{"system": "phone", "value": phone}]
        making.from_(f"{where}.telecom", record, "phone")
    if sex := record.item("sex"):
        if sex in codes("sex"):
            one["gender"] = codes("sex")[sex][0]
            making.from_(f"{where}.gender", record, "sex")
        else:
            making.warn("code-unknown", record, "sex", "the sex is neither 1 (male) nor 2 (female)")
    if found := day(record.item("birth")):
        one["birthDate"] = found.iso
        making.from_(f"{where}.birthDate", record, "birth")
    if address := _address(record):
        one["address"] = [address]
        making.from_(f"{where}.address", record, "postal", "address")
    if emergency := record.item("emergency"):
        relationship = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0131", "code": "C"}]}
        one["contact"] = [{"relationship": [relationship], "telecom": [{"system": "other", "value": emergency}]}]
        making.from_(f"{where}.contact", record, "emergency")
    making.house(record, making.add(one))
    _weight(record, making)
    _blood(record, making)


def _name(text: str, representation: str) -> Resource | None:
    if not text:
        return None
    name: Resource = {"extension": [{"url": REPRESENTATION, "valueCode": representation}], "use": "official"}
    family, _, given = text.replace("\u3000", " ").partition(" ")
    given = given.strip()
    name["text"] = f"{family} {given}" if given else family
    if given:
        # Without a blank nobody knows where the family name ends.
        name |= {"family": family, "given": [given]}
    return name


def full_width_kana(text: str) -> str:
    """Half-width kana (with their voiced marks) as full-width ones; everything else as it is."""
    if not any("\uff61" <= char <= "\uff9f" for char in text):
        return text
    runs: list[str] = []
    for char in text:
        half = "\uff61" <= char <= "\uff9f"
        if runs and half == ("\uff61" <= runs[-1][-1] <= "\uff9f"):
            runs[-1] += char
        else:
            runs.append(char)
    return "".join(unicodedata.normalize("NFKC", run) if "\uff61" <= run[0] <= "\uff9f" else run for run in runs)


def _address(record: Record) -> Resource | None:
    found = {"text": record.item("address"), "postalCode": record.item("postal")}
    return {key: value for key, value in found.items() if value} or None


def _weight(record: Record, making: Making) -> None:
    sent = record.item("weight")
    if not sent:
        return
    value = decimal(sent)
    if value is None:
        making.warn("not-a-number", record, "weight", "the weight is no number; it is kept as it was sent")
        return
    one = resource("Observation", making.id("Observation", "weight"), "JP_Observation_BodyMeasurement")
    one |= {
        "status": "unknown",
        "category": [{"coding": [{"system": CATEGORY, "code": "body-measurement"}]}],
        "code": {"coding": [BODY_WEIGHT], "text": "体重"},
        "subject": making.subject(),
        "_effectiveDateTime": absent(),
        "valueQuantity": {"value": value, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    }
    making.from_(f"Observation/{one['id']}.valueQuantity", record, "weight")
    making.add(one)


def _blood(record: Record, making: Making) -> None:
    if not (sent := record.item("blood")):
        return
    one = resource("Observation", making.id("Observation", "blood"), "JP_Observation_Common")
    one |= {
        "status": "unknown",
        "category": [{"coding": [{"system": CATEGORY, "code": "exam"}]}],
        "code": {**record_concept("1", "血液型"), "text": "血液型"},
        "subject": making.subject(),
        "_effectiveDateTime": absent(),
        "valueString": sent,
    }
    making.from_(f"Observation/{one['id']}.valueString", record, "blood")
    making.add(one)


def institution(record: Record, making: Making) -> Resource:
    """Record 11 or 51. The ten digits (prefecture 2, score table 1, number 7) are the institution on every node."""
    parts = [record.item(name) for name in ("prefecture", "score_table", "code")]
    number = "".join(parts) if [len(part) for part in parts] == [2, 1, 7] else ""
    key = ("institution", number) if number else ("named", record.item("name"), record.item("phone"))
    oid = "" if number else making.facility.oid
    one = resource("Organization", resource_id(oid, "Organization", "jahistc", *key), "JP_Organization")
    if number:
        one["identifier"] = [{"system": INSTITUTION, "value": number}]
    if name := record.item("name"):
        one["name"] = name
    else:
        one["_name"] = absent()
    if phone := record.item("phone"):
        one["telecom"] = [{"system": "phone", "value": phone}]
    if address := _address(record):
        one["address"] = [address]
    making.from_(f"Organization/{one['id']}.identifier", record, "prefecture", "score_table", "code")
    making.from_(f"Organization/{one['id']}.name", record, "name")
    making.from_(f"Organization/{one['id']}.address", record, "postal", "address")
    making.from_(f"Organization/{one['id']}.telecom", record, "phone")
    return making.add(one)


def practitioner(record: Record, organization: Resource | None, making: Making) -> Resource:
    """Record 15 or 55: a person of whom only the name is known, so one of another institution is another."""
    key = (organization["id"] if organization else "", record.item("name"))
    one = resource("Practitioner", resource_id(making.facility.oid, "Practitioner", "jahistc", *key), "JP_Practitioner")
    if name := _name(record.item("name"), "IDE"):
        one["name"] = [name]
    if contact := record.item("contact"):
        one["telecom"] = [{"system": "other", "value": contact}]
    making.from_(f"Practitioner/{one['id']}.name", record, "name")
    making.from_(f"Practitioner/{one['id']}.telecom", record, "contact")
    return making.add(one)


def reference(one: Resource) -> dict[str, Any]:
    return {"reference": f"{one['resourceType']}/{one['id']}"}
