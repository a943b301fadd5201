"""A person with something in each section but two, as stored resources."""

from typing import Any

from gateway.model.ingest import Kept
from gateway.services.search import index
from gateway.storage.opening import Storage
from tests.storage.making import HOSPITAL, message, outcome, record

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "meta": {"profile": ["http://jpfhir.jp/fhir/core/StructureDefinition/JP_Patient"]},
    "identifier": [{"system": f"urn:oid:{HOSPITAL}", "value": "1"}],
    "name": [{"text": "見本 花子", "family": "見本", "given": ["花子"]}],
    "gender": "female",
    "birthDate": "1970-04-05",
}
CONDITION = {
    "resourceType": "Condition", "id": "c1", "meta": {}, "subject": {"reference": "Patient/p1"},
    "code": {"text": "高血圧 & <糖尿病>"}, "onsetDateTime": "2020-01-02", "recorder": {"reference": "Practitioner/d1"},
}  # fmt: skip
DOCTOR = {"resourceType": "Practitioner", "id": "d1", "meta": {}, "name": [{"text": "医師 一郎"}]}


def observation(id_: str, day: str, category: str = "laboratory") -> dict[str, Any]:
    system = "http://terminology.hl7.org/CodeSystem/observation-category"
    return {
        "resourceType": "Observation", "id": id_, "meta": {}, "status": "final",
        "category": [{"coding": [{"system": system, "code": category}]}],
        "code": {"coding": [{"system": "urn:oid:1.2.392.200119.4.504", "code": "3C015", "display": "クレアチニン"}]},
        "subject": {"reference": "Patient/p1"}, "effectiveDateTime": day,
        "valueQuantity": {"value": 1, "unit": "mg/dL"},
    }  # fmt: skip


RESOURCES = (PATIENT, CONDITION, DOCTOR, observation("o1", "2026-01-10"), observation("o2", "2026-02-10"),
             observation("o3", "2026-01-20", "vital-signs"))  # fmt: skip


def fill(store: Storage, *resources: dict[str, Any]) -> None:
    kept = [Kept.of(index(one, rank=0)) for one in resources or RESOURCES]
    store.keeping.keep([outcome(message("filled", len(kept), "x", resources=kept))], record)
