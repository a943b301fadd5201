"""Patient, Organization, Device and Provenance of an exchange file (6, 7)."""

from typing import Any

import pytest

from gateway.translate.exchange_spec.registers import Registers
from tests.translate.exchange_spec.making import GONE, convert, envelope, one, person, record


def of(type_: str, made: Any) -> list[dict[str, Any]]:
    return [resource for resource in made.resources if resource["resourceType"] == type_]


def test_the_person_is_known_by_the_consortiums_number() -> None:
    (patient,) = of("Patient", one("weighing_scale"))
    assert patient["identifier"][0]["value"] == "P0000001" and patient["identifier"][0]["system"].startswith("urn:")
    assert (patient["birthDate"], patient["gender"]) == ("1970-01", "female")


def test_without_a_list_nothing_is_said_of_birth_and_sex() -> None:
    (patient,) = of("Patient", one("weighing_scale", Registers()))
    assert not patient.keys() & {"birthDate", "gender", "name"}


@pytest.mark.parametrize(
    "row", [{"birth_month": "19701"}, {"birth_month": "197013"}, {"sex": "8"}, {"birth_month": ""}]
)
def test_what_a_list_says_wrongly_is_left_out(row: dict[str, str]) -> None:
    lists = {"participants": [{"consortium_id": "TST001", "person_id": "P0000001", **row}]}
    (patient,) = of("Patient", one("weighing_scale", Registers.of(lists)))
    assert not patient.keys() & {"birthDate", "gender"}


def test_consortium_and_laboratory_have_the_names_of_their_lists() -> None:
    found = [organization["name"] for organization in of("Organization", one("hba1c"))]
    assert found == ["試験コンソーシアム", "試験検査所"]


def test_a_device_is_known_by_maker_model_and_serial() -> None:
    (device,) = of("Device", one("weighing_scale"))
    assert device["identifier"][0]["value"] == "TESTMAKER|TM-100|SN0000001"
    assert (device["manufacturer"], device["modelNumber"], device["serialNumber"]) == (
        "TESTMAKER",
        "TM-100",
        "SN0000001",
    )
    assert "deviceName" not in device and of("Device", one("hba1c")) == []


def test_a_device_without_a_model_has_none() -> None:
    (device,) = of("Device", one("weighing_scale", model_number=GONE))
    assert "modelNumber" not in device and device["identifier"][0]["value"] == "TESTMAKER||SN0000001"


@pytest.mark.parametrize(
    ("model", "name", "version"),
    [
        ("HealthKit 10.3", "HealthKit", "10.3"),
        ("My App v2.0.1", "My App", "2.0.1"),
        ("TM-100", None, None),
        ("BP 2", None, None),
    ],
)
def test_a_phone_app_has_a_name_and_a_version(model: str, name: str | None, version: str | None) -> None:
    (device,) = of("Device", one("activity_monitor", model_number=model))
    assert device.get("deviceName", [{"name": None}])[0]["name"] == name
    assert device.get("version", [{"value": None}])[0]["value"] == version and device["modelNumber"] == model


def test_the_device_of_two_persons_is_two_resources() -> None:
    persons = [person(id_, weighing_scale=[record("weighing_scale")]) for id_ in ("P0000001", "P0000002")]
    first, second = convert(envelope(*persons))
    assert of("Device", first)[0]["id"] != of("Device", second)[0]["id"]


def test_provenance_says_who_sent_which_bytes_when() -> None:
    made = one("weighing_scale")
    (provenance,) = of("Provenance", made)
    assert provenance["recorded"] == "2017-10-05T21:00:00.123+09:00"
    assert provenance["entity"][0]["what"]["identifier"]["value"] == made.sha256
    assert provenance["entity"][1]["what"]["identifier"]["value"] == "x.json"
    assert [target["reference"].partition("/")[0] for target in provenance["target"]] == ["Patient"] + [
        "Observation"
    ] * 2
    assert provenance["agent"][0]["who"]["reference"] == f"Organization/{of('Organization', made)[0]['id']}"
