"""A validator for all tests of this folder, and small resources that are valid as they stand."""

import copy
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from gateway.profiles.finding import Finding
from gateway.profiles.validator import Validator

JP = "http://jpfhir.jp/fhir/core/StructureDefinition/"

LAB: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "a1",
    "meta": {"profile": [JP + "JP_Observation_LabResult"]},
    "status": "final",
    "category": [
        {
            "coding": [
                {
                    "system": "http://jpfhir.jp/fhir/core/CodeSystem/JP_SimpleObservationCategory_CS",
                    "code": "laboratory",
                }
            ]
        }
    ],
    "code": {
        "coding": [{"system": "http://medis.or.jp/CodeSystem/master-JLAC10-17digits", "code": "3C020000002327101"}],
        "text": "尿酸",
    },
    "subject": {"reference": "Patient/p1"},
    "effectiveDateTime": "2024-05-01T09:30:00+09:00",
    "valueQuantity": {
        "value": Decimal("8.50"),
        "unit": "mg/dL",
        "system": "http://unitsofmeasure.org",
        "code": "mg/dL",
    },
    "referenceRange": [{"low": {"value": Decimal("2.1")}, "high": {"value": 7}}],
    "specimen": {"reference": "Specimen/s1"},
}
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "meta": {"profile": [JP + "JP_Patient"]},
    "identifier": [{"system": "urn:oid:1.2.392.100495.20.3.51.11311234567", "value": "1"}],
    "name": [
        {
            "extension": [
                {"url": "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation", "valueCode": "IDE"}
            ],
            "text": "山田　太郎",
            "family": "山田",
            "given": ["太郎"],
        }
    ],
    "gender": "male",
    "birthDate": "1970-01-01",
}


@pytest.fixture(scope="session")
def validator() -> Validator:
    return Validator.default()


@pytest.fixture
def lab() -> dict[str, Any]:
    return copy.deepcopy(LAB)


@pytest.fixture
def patient() -> dict[str, Any]:
    return copy.deepcopy(PATIENT)


@pytest.fixture
def rules(validator: Validator) -> Callable[[dict[str, Any]], set[str]]:
    """The rules that a resource breaks, errors only."""

    def broken(resource: dict[str, Any]) -> set[str]:
        return {f.rule for f in errors(validator.check(resource))}

    return broken


def errors(found: list[Finding]) -> list[Finding]:
    return [f for f in found if f.severity == "error"]
