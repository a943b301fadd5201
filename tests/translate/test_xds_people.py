"""XCN, XON, XTN and sourcePatientInfo, there and back; what ebRIM cannot carry is left out whole."""

from typing import Any

import pytest

from gateway.model.document import Author
from gateway.model.identity import PatientId
from gateway.translate import xds_people as people


@pytest.mark.parametrize(
    "xcn",
    ["12^山田^太郎^^^^^^&1.2.3&ISO", "^山田^太郎", "12^山田", r"12^A\T\B^C\S\D^^^^^^&1.2.3&ISO"],
)
def test_a_person_comes_back(xcn: str) -> None:
    assert people.xcn_of(people.practitioner(xcn)) == xcn


@pytest.mark.parametrize("xon", ["病院", "病院^^^^^^^^^1.2.3.4", "病院^^^^^&1.2.3&ISO^^^^45"])
def test_an_institution_comes_back(xon: str) -> None:
    assert people.xon_of(people.organization(xon)) == xon


@pytest.mark.parametrize("empty", ["", "^^^", "^^^^^^&1.2.3&ISO"])
def test_what_says_nothing_is_nothing(empty: str) -> None:
    assert people.practitioner(empty) == {} and people.organization(empty) == {}


@pytest.mark.parametrize(
    ("xtn", "system", "value"),
    [
        ("^^Internet^a@b.jp", "email", "a@b.jp"),
        ("^^PH^^^^^^^^^03-1234", "phone", "03-1234"),
        ("03-1234", "phone", "03-1234"),
        ("^PRN^PH^^81^3^1234", "phone", "8131234"),
    ],
)
def test_telecom(xtn: str, system: str, value: str) -> None:
    assert people.telecom([xtn, "^^^"]) == [{"system": system, "value": value}]


def test_telecom_comes_back() -> None:
    for point in ({"system": "email", "value": "a@b"}, {"system": "phone", "value": "03"}):
        assert people.telecom([people.xtn_of(point)]) == [point]


def test_a_value_too_long_is_left_out_whole() -> None:
    long = "あ" * 300
    assert people.xcn_of({"name": [{"family": long}]}) == "" and people.xon_of({"name": long}) == ""
    assert people.source_patient_info(None, {"name": [{"family": long}], "gender": "male"}) == ("PID-8|M",)


def test_the_patient_of_the_source_comes_back() -> None:
    patient: dict[str, Any] = {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:oid:1.2", "value": "7"}],
        "name": [{"family": "山田", "given": ["太郎"]}, {"family": "ヤマダ"}],
        "gender": "male",
        "birthDate": "1980-01-02",
        "address": [{"line": ["a|b"], "city": "東京", "postalCode": "100"}],
    }
    infos = people.source_patient_info(PatientId("7", "1.2"), patient)
    assert [info.partition("|")[0] for info in infos] == ["PID-3", "PID-5", "PID-5", "PID-7", "PID-8", "PID-11"]
    assert people.source_patient("", infos) == patient
    assert people.source_patient("", ()) == {} and people.source_cx(patient) == PatientId("7", "1.2")


@pytest.mark.parametrize(
    ("author", "types"),
    [
        (Author(person="1^A"), ["Practitioner"]),
        (Author(institution=("X",)), ["Organization"]),
        (Author(person="1^A", institution=("X",)), ["PractitionerRole", "Practitioner", "Organization"]),
        (Author(person="1^A", role=("D",)), ["PractitionerRole", "Practitioner"]),
        (Author(), []),
    ],
)
def test_authors_come_back(author: Author, types: list[str]) -> None:
    made = list(people.author_resources(author, "k"))
    assert [one["resourceType"] for one in made] == types
    if made:
        assert people.author_of(made[0], {f"#{one['id']}": one for one in made}) == author
