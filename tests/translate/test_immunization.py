"""gateway/translate/immunization.py: vaccinations given. (Ordered ones: test_rde_o11.py.)"""

from typing import Any

import pytest

from tests.translate.messages import every, only, places, read

ORC = "ORC|NW|000000000000001||1_01_001|||||20240601"
KIND = "RXE||06^予防接種^JHSI0002"


def given(completion: str, start: str = "20240601101500", kind: str = KIND, control: str = "NW", more: str = "") -> Any:
    rxa = f"RXA|0|1|{start}||181000101^ワクチン^HOT9|0.5|ML^mL^MR9P|||200^看護^花子|||||HA1|20250331|^製薬|01^発熱^99R||{completion}"
    return read(
        "OMP-12", ORC.replace("NW", control), kind, rxa, "RXR|SC^皮下^HL70162|ARM^腕^HL70550", *([more] if more else [])
    )


def test_a_vaccination_that_was_given() -> None:
    converted = given("CP")
    made = only(converted, "Immunization")
    assert made["meta"]["profile"][0].endswith("/JP_Immunization")
    assert made["status"] == "completed" and made["occurrenceDateTime"] == "2024-06-01T10:15:00+09:00"
    assert made["vaccineCode"]["coding"][0]["code"] == "181000101"
    assert (made["lotNumber"], made["expirationDate"], made["manufacturer"]) == (
        "HA1",
        "2025-03-31",
        {"display": "製薬"},
    )
    assert made["doseQuantity"]["code"] == "ML" and made["site"]["text"] == "腕" and made["route"]["text"] == "皮下"
    assert made["performer"][0]["actor"]["display"] == "看護 花子"
    assert len(every(converted, "MedicationAdministration")) == 1


@pytest.mark.parametrize(("completion", "status"), [("PA", "completed"), ("RE", "not-done"), ("NA", "not-done")])
def test_the_status_is_what_was_done(completion: str, status: str) -> None:
    made = only(given(completion), "Immunization")
    assert made["status"] == status
    assert made.get("isSubpotent") is (True if completion == "PA" else None)
    assert made["statusReason"]["text"] == "発熱"


def test_nothing_is_a_vaccination_that_nobody_says_was_given() -> None:
    converted = given("")
    assert every(converted, "Immunization") == []
    assert only(converted, "MedicationAdministration")["status"] == "unknown"
    assert places(converted, "no-status") == ["RXA[1]-20"] * 2


def test_a_cancelled_vaccination_was_entered_in_error() -> None:
    assert only(given("CP", control="CA"), "Immunization")["status"] == "entered-in-error"


def test_a_vaccination_without_a_time_has_none_made_up() -> None:
    made = only(given("CP", start=""), "Immunization")
    assert "occurrenceDateTime" not in made and made["occurrenceString"] == "実施日時の記録なし"


def test_other_injections_are_no_vaccinations() -> None:
    assert every(given("CP", kind="RXE||00^一般^JHSI0002"), "Immunization") == []
