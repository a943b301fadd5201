from collections.abc import Callable
from typing import Any

import pytest

from gateway.profiles.validator import Validator

Resource = dict[str, Any]
Rules = Callable[[Resource], set[str]]


def changed(resource: Resource, **elements: Any) -> Resource:
    """None removes an element."""
    return {key: value for key, value in (resource | elements).items() if value is not None}


def test_what_is_valid_gives_no_finding(validator: Validator, lab: Resource, patient: Resource) -> None:
    assert validator.check(lab) == []
    assert validator.check(patient) == []


@pytest.mark.parametrize(
    ("elements", "rule"),
    [
        ({"resourceType": "Observatory"}, "Resource.resourceType"),
        ({"resourceType": "DomainResource"}, "Resource.resourceType"),
        ({"resourceType": ["Observation"]}, "Resource.resourceType"),
        ({"nosuch": 1}, "Observation unknown element"),
        ({"status": None}, "Observation.status min 1"),
        ({"status": "done"}, "Observation.status required binding"),
        ({"status": ["final"]}, "Observation.status max 1"),
        ({"status": ""}, "code"),
        ({"code": {}}, "ele-1"),
        ({"code": "x"}, "CodeableConcept"),
        ({"category": []}, "Observation.category array"),
        ({"category": {"text": "x"}}, "Observation.category array"),
        ({"category": [None]}, "CodeableConcept"),
        ({"valueString": "x"}, "Observation.value[x] max 1"),
        ({"effectiveDateTime": "2024-02-30"}, "dateTime"),
        ({"subject": {"reference": "Observation/x"}}, "Observation.subject target"),
        ({"subject": {"reference": "http://a.example/fhir/Specimen/x"}}, "Observation.subject target"),
        ({"subject": {"type": "Specimen", "display": "x"}}, "Observation.subject target"),
        ({"subject": {"reference": "#nobody"}}, "ref-1"),
        ({"identifier": [{"system": "local", "value": "1"}]}, "Identifier.system absolute"),
        ({"method": {"coding": [{"system": "local", "code": "1"}]}}, "Coding.system absolute"),
        ({"referenceRange": [{"age": {"low": {"value": 1}}}]}, "obs-3"),
        ({"extension": [{"valueString": "x"}]}, "Extension.url min 1"),
        ({"extension": [{"url": "http://x.example/e"}]}, "ext-1"),
        ({"extension": [{"url": "local", "valueString": "x"}]}, "Extension.url absolute"),
    ],
)
def test_broken_structure(lab: Resource, rules: Rules, elements: Resource, rule: str) -> None:
    assert rule in rules(changed(lab, **elements))


def test_a_mandatory_choice(rules: Rules) -> None:
    dispensed: Resource = {"resourceType": "MedicationDispense", "status": "completed", "id": "m"}
    assert "MedicationDispense.medication[x] min 1" in rules(dispensed)
    assert rules(dispensed | {"medicationCodeableConcept": {"text": "x"}}) == set()


def test_a_code_that_its_code_system_does_not_have(lab: Resource, rules: Rules) -> None:
    system = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
    assert "Coding.code known" in rules(lab | {"interpretation": [{"coding": [{"system": system, "code": "nosuch"}]}]})
    assert rules(lab | {"interpretation": [{"coding": [{"system": system, "code": "H"}]}]}) == set()


def test_an_extension_instead_of_a_value(patient: Resource, rules: Rules) -> None:
    absent = {
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
    }
    communication = {"preferred": True, "_preferred": absent}
    patient["communication"] = [communication]
    assert "Patient.communication.language min 1" in rules(patient)
    patient.pop("communication")
    patient["_gender"] = absent
    del patient["gender"]
    assert rules(patient) == set()
    absent["extension"][0]["valueCode"] = "nosuch"
    assert "data-absent-reason.value[x] required binding" in rules(patient)


def test_null_holds_the_place_of_an_extension(patient: Resource, rules: Rules) -> None:
    absent = {
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
    }
    name = patient["name"][0]
    name["given"], name["_given"] = [None, "太郎"], [absent, None]
    assert rules(patient) == set()
    name["_given"] = [None, absent]
    assert "string" in rules(patient)


def test_contained_resources(lab: Resource, rules: Rules) -> None:
    inner: Resource = {"resourceType": "Specimen", "id": "s"}
    lab |= {"contained": [inner], "specimen": {"reference": "#s"}}
    assert rules(lab) == set()
    assert "dom-3" in rules(lab | {"specimen": {"reference": "Specimen/s"}})
    assert "dom-4" in rules(lab | {"contained": [inner | {"meta": {"versionId": "1"}}]})
    assert "dom-5" in rules(lab | {"contained": [inner | {"meta": {"security": [{"code": "R"}]}}]})
    assert "dom-2" in rules(lab | {"contained": [inner | {"contained": [inner]}]})
    assert "Specimen unknown element" in rules(lab | {"contained": [inner | {"nosuch": 1}]})


def test_extensions_keep_to_their_context(patient: Resource, rules: Rules) -> None:
    representation = patient["name"][0]["extension"]
    assert rules(patient) == set()
    address = {"text": "x", "extension": representation}
    assert "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation context" in rules(
        patient | {"address": [address]}
    )


def test_a_context_further_up_settles_an_extension(rules: Rules) -> None:
    """JP_Medication_IngredientStrength_StrengthType (力価区分) belongs on Medication.ingredient.strength, a Ratio."""
    strength = {
        "extension": [
            {
                "url": "http://jpfhir.jp/fhir/core/Extension/StructureDefinition/JP_Medication_IngredientStrength_StrengthType",
                "valueCodeableConcept": {"text": "製剤量"},
            }
        ],
        "numerator": {"value": 1},
        "denominator": {"value": 1},
    }
    drug = {"itemCodeableConcept": {"text": "x"}, "strength": strength}
    assert rules({"resourceType": "Medication", "ingredient": [drug]}) == set()
    misplaced = rules({"resourceType": "Medication", "amount": strength})
    assert any(rule.endswith("StrengthType context") for rule in misplaced)


def test_a_primitive_type_is_a_context_too(lab: Resource, rules: Rules) -> None:
    """The extension `translation` belongs on a string, whichever element that is."""
    extension = {"url": "http://hl7.org/fhir/StructureDefinition/translation", "extension": [
        {"url": "lang", "valueCode": "en"}, {"url": "content", "valueString": "uric acid"}]}  # fmt: skip
    lab["code"]["_text"] = {"extension": [extension]}
    assert rules(lab) == set()
    lab["code"]["extension"] = [extension]
    assert any(rule.endswith("translation context") for rule in rules(lab))


def test_an_unknown_extension_is_information(validator: Validator, lab: Resource) -> None:
    lab["extension"] = [{"url": "http://x.example/e", "valueString": "x"}]
    assert [f.severity for f in validator.check(lab)] == ["information"]


def test_expressions_are_fhirpath(validator: Validator, lab: Resource) -> None:
    lab["effectiveDateTime"] = "yesterday"
    lab["category"][0]["coding"][0]["system"] = 5
    found = {f.expression for f in validator.structure(lab)}
    assert found == {"Observation.effective.ofType(dateTime)", "Observation.category[0].coding[0].system"}
