"""Patient <-> Demographics."""

from dataclasses import replace

import pytest

from gateway.model.identity import PatientId
from gateway.model.person import Demographics, PersonAddress, PersonName
from gateway.profiles.validator import Validator
from gateway.services.persons.patients import demographics_of, patient_id, patient_of
from gateway.translate.ids import resource_id
from tests.services.persons.parts import AUTHORITIES, SATO, A, a, med

KNOWN = {one.oid: one for one in AUTHORITIES}
FULL = replace(
    SATO,
    names=(*SATO.names, PersonName("山田", "花子", "山田 花子", "kanji", "maiden")),
    addresses=(PersonAddress("100-0001", "東京都", "千代田区", "千代田1-1", "東京都千代田区千代田1-1", "JP", "home"),),
    telecoms=("03-1234-5678", "hanako@example.jp"),
    mothers_maiden_name=PersonName(text="鈴木"),
    birth_order=2,
    multiple_birth=True,
    deceased=False,
)


def test_there_and_back() -> None:
    assert demographics_of(patient_of((a("1"), med("M1")), FULL, KNOWN)) == FULL


@pytest.mark.parametrize("known", [FULL, SATO, Demographics(), None, Demographics(birth_date="1984", sex="A")])
def test_the_patient_is_a_jp_patient(known: Demographics | None) -> None:
    made = patient_of((a("1"), med("M1"), PatientId("x", "1.9.9")), known, KNOWN)
    assert [one for one in Validator.from_environment().check(made) if one.severity in ("error", "fatal")] == []
    assert [one["system"] for one in made["identifier"]] == [
        "urn:oid:1.2.392.100495.20.3.51.11312345670",
        f"urn:oid:{med('').authority}",
        "urn:oid:1.9.9",
    ]
    assert made["id"] == patient_id(a("1")) == resource_id(A, "Patient", "1")


@pytest.mark.parametrize(
    ("digits", "expected"),
    [("1984", "1984"), ("198404", "1984-04"), ("19840231", None), ("0", None), ("1984-04", None)],
)
def test_a_birth_date_is_never_corrected(digits: str, expected: str | None) -> None:
    assert patient_of((a("1"),), Demographics(birth_date=digits), KNOWN).get("birthDate") == expected


def test_nothing_is_said_that_nobody_said() -> None:
    made = patient_of((a("1"),), Demographics(), KNOWN)
    assert set(made) == {"resourceType", "id", "meta", "identifier"}
    assert demographics_of(made) == Demographics()
