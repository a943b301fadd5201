"""What is searchable in a resource: patient, dates, tokens, strings, references."""

from decimal import Decimal
from typing import Any

import pytest

from gateway.errors import BadInput
from gateway.model.resource import Token
from gateway.services.search import PARAMETERS, index

CATEGORY = "http://jpfhir.jp/fhir/core/CodeSystem/JP_SimpleObservationCategory_CS"
JLAC10 = "http://medis.or.jp/CodeSystem/master-JLAC10-17digits"


def observation(**changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": "o1",
        "meta": {"profile": ["http://jpfhir.jp/fhir/core/StructureDefinition/JP_Observation_LabResult"]},
        "status": "final",
        "category": [{"coding": [{"system": CATEGORY, "code": "laboratory"}]}],
        "code": {"coding": [{"system": JLAC10, "code": "3C020000002327101"}], "text": "Na"},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2024-05-01T09:30:00+09:00",
        "valueQuantity": {"value": Decimal("140.0")},
        **changes,
    }


def test_an_observation() -> None:
    found = index(observation(), rank=1)
    assert (found.type, found.id, found.patient, found.rank, found.status) == ("Observation", "o1", "p1", 1, "final")
    assert (found.date_start, found.date_end) == ("2024-05-01T00:30:00.000Z", "2024-05-01T00:30:01.000Z")
    assert found.tokens == (Token("category", CATEGORY, "laboratory"), Token("code", JLAC10, "3C020000002327101"))
    assert found.strings == () and found.references == ()
    assert found.body.startswith(b'{"resourceType":"Observation","id":"o1","meta":{') and b"140.0" in found.body


def test_a_period_may_be_open_at_either_end() -> None:
    encounter = {"resourceType": "Encounter", "id": "e", "status": "in-progress", "period": {"start": "2024-05-01"}}
    assert index(encounter, rank=0).date_end == "9999-12-31T23:59:59.999Z"
    encounter["period"] = {"end": "2024-05-01"}
    found = index(encounter, rank=0)
    assert (found.date_start, found.date_end) == ("0001-01-01T00:00:00.000Z", "2024-05-01T15:00:00.000Z")


def test_the_onset_is_the_date_of_a_condition_and_the_recording_another() -> None:
    condition = {"resourceType": "Condition", "id": "c", "recordedDate": "2024-05-03", "onsetDateTime": "2024-05"}
    found = index(condition, rank=0)
    assert found.date_start == "2024-04-30T15:00:00.000Z"
    assert found.strings == (("@recorded-date", "2024-05-02T15:00:00.000Z/2024-05-03T15:00:00.000Z"),)
    del condition["onsetDateTime"]
    assert index(condition, rank=0).date_start == ""


def test_names_are_folded_and_kept_as_written() -> None:
    patient = {
        "resourceType": "Patient",
        "id": "p1",
        "name": [{"text": "山田 花子", "family": "山田", "given": ["花子"]}, {"family": "ﾔﾏﾀﾞ"}],
        "telecom": [{"system": "phone", "value": "０３-1234-5678"}, {"system": "email", "value": "a@example.jp"}],
        "birthDate": "1980-01-02",
        "gender": "female",
    }
    found = index(patient, rank=0)
    assert found.patient == "p1"
    assert ("family", "山田") in found.strings and ("given", "花子") in found.strings
    assert ("family", "ヤマダ") in found.strings and ("family:exact", "ﾔﾏﾀﾞ") in found.strings
    assert [token for token in found.tokens if token.param == "phone"] == [Token("phone", "", "0312345678")]
    assert Token("gender", "", "female") in found.tokens


def test_long_text_is_searchable_by_its_beginning() -> None:
    found = index(observation(valueString="あ" * 300), rank=0)
    assert ("value-string", "ア" * 256) in found.strings
    assert not any(name == "value-string:exact" for name, _ in found.strings)


def test_references_and_logical_references() -> None:
    coverage = {
        "resourceType": "Coverage",
        "id": "v",
        "beneficiary": {"reference": "Patient/p1"},
        "payor": [{"reference": "Organization/o"}, {"identifier": {"system": "s", "value": "06139999"}}],
    }
    found = index(coverage, rank=0)
    assert found.patient == "p1"
    assert found.references == (("payor", "Organization/o"),)
    assert found.tokens == (Token("payor:identifier", "s", "06139999"),)


def test_what_is_contained_is_no_target() -> None:
    request = {"resourceType": "MedicationRequest", "id": "m", "requester": {"reference": "#doctor"}}
    assert index(request, rank=0).references == ()


def test_an_extension_is_found_by_its_name() -> None:
    root = "http://jpfhir.jp/fhir/core/Extension/StructureDefinition/"
    coverage = {
        "resourceType": "Coverage",
        "id": "v",
        "extension": [
            {"url": root + "JP_Coverage_InsuredPersonSymbol", "valueString": "記号"},
            {"url": root + "JP_Coverage_InsuredPersonNumber", "valueString": "１２"},
        ],
    }
    assert ("jp-insured-personnumber", "12") in index(coverage, rank=0).strings
    request = {
        "resourceType": "MedicationRequest",
        "id": "m",
        "dosageInstruction": [
            {"extension": [{"url": root + "JP_MedicationDosage_PeriodOfUse", "valuePeriod": {"start": "2024-05-01"}}]}
        ],
    }
    assert index(request, rank=0).strings == (
        ("@jp-medication-start", "2024-04-30T15:00:00.000Z/2024-05-01T15:00:00.000Z"),
    )


def test_a_provenance_belongs_to_the_patient_it_was_given() -> None:
    provenance = {"resourceType": "Provenance", "id": "x", "target": [{"reference": "Observation/o1"}]}
    assert index(provenance, rank=0, patient="p1").patient == "p1"
    provenance["target"].append({"reference": "Patient/p2"})
    found = index(provenance, rank=0, patient="p1")
    assert found.patient == "p2"
    assert found.references == (("target", "Observation/o1"), ("target", "Patient/p2"))


def test_the_same_value_twice_is_one_row() -> None:
    twice = observation(category=[{"coding": [{"system": "s", "code": "a"}]}] * 2)
    assert index(twice, rank=0).tokens.count(Token("category", "s", "a")) == 1


def test_a_date_that_is_none_is_refused() -> None:
    with pytest.raises(BadInput):
        index(observation(effectiveDateTime="yesterday"), rank=0)


def test_every_parameter_is_kept_somewhere() -> None:
    """A row of the table that no value reaches would be a parameter that never finds anything."""
    reached = set()
    for type_, parameters in PARAMETERS.items():
        for parameter in parameters.values():
            found = index(_with_value(type_, parameter), rank=0)
            kept = {token.param.partition(":")[0] for token in found.tokens}
            kept |= {name.lstrip("@").partition(":")[0] for name, _ in (*found.strings, *found.references)}
            if parameter.is_patient:
                kept.add(parameter.name if found.patient == "p9" else "")
            if parameter.main_date:
                kept.add(parameter.name if found.date_start else "")
            if found.status:
                kept.add("status")
            assert parameter.name in kept, f"{type_}.{parameter.name}"
            reached.add((type_, parameter.name))
    assert len(reached) > 100


def _with_value(type_: str, parameter: Any) -> dict[str, Any]:
    """The smallest resource in which this parameter's path leads to a value."""
    values: dict[str, Any] = {
        "token": {"coding": [{"system": "s", "code": "c"}]},
        "code": "c",
        "date": "2024-01-01",
        "string": "text",
        "reference": {"reference": "Patient/p9" if parameter.name in ("patient", "subject", "beneficiary") else "X/y"},
    }
    value = values[parameter.kind]
    for at, step in reversed(list(enumerate(parameter.path))):
        key = step.name
        if step.choice:
            key += {"date": "DateTime", "token": "CodeableConcept", "string": "String", "reference": "Reference"}[
                parameter.kind
            ]
        if step.filter and step.name == "extension":
            jp_core = f"http://jpfhir.jp/fhir/core/Extension/StructureDefinition/{step.filter}"
            r4 = {"mothersMaidenName": "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName"}
            value = {"url": r4.get(step.filter, jp_core), **value}
        elif step.filter:
            value = {"system": step.filter, "value": "03"}
        value = {key: [value] if at % 2 else value}
    return {"resourceType": type_, "id": "x", **value}
