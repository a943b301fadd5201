"""QPD-3 as parameters and as a question. Who is found by it: tests/ihe/test_iti21.py."""

import pytest

from gateway.ihe._demographics import MAX_PARAMETERS, Parameter, page, parameters, person_query
from gateway.model.identity import Authority, PatientId
from gateway.model.person import PersonQuery
from gateway.translate.context import Facilities
from gateway.translate.person_v2 import BadField

A, B = "1.2.3.1", "1.2.3.2"
FIND = Facilities([Authority(A, "ONE"), Authority(B, "TWO")]).find


def asked(raw: str) -> PersonQuery | None:
    return person_query(parameters(raw), FIND, (A, B))


def test_a_parameter_is_a_place_and_a_value() -> None:
    assert parameters("@PID.5.1.1^見本~~@PID.3.4.2^1.2^3") == [
        Parameter("PID", 5, "1.1", "見本", 1),
        Parameter("PID", 3, "4.2", "1.2^3", 3),
    ]


@pytest.mark.parametrize(
    ("raw", "query"),
    [
        ("@PID.5.1.1^A~@PID.5.2^B~@PID.5^C", PersonQuery(family=("A",), given=("B",), name=("C",))),
        ("@PID.5.1.1^A~@PID.9.1.1^B", PersonQuery(family=("A", "B"))),
        ("@PID.7^1984*~@PID.8^f", PersonQuery(birth_date="1984", sex="F")),
        ("@PID.7.1^19840229120000", PersonQuery(birth_date="19840229")),
        ("@PID.3.1^1", PersonQuery(ids=(PatientId("1", A), PatientId("1", B)))),
        ("@PID.3.1^1~@PID.3.4.1^TWO", PersonQuery(ids=(PatientId("1", B),))),
        (f"@PID.3.1^1~@PID.3.4.2^{B}", PersonQuery(ids=(PatientId("1", B),))),
        (f"@PID.3.1^1~@PID.3.4^TWO&{B}&ISO", PersonQuery(ids=(PatientId("1", B),))),
        ("@PID.3^1\\S\\\\S\\\\S\\TWO", PersonQuery(ids=(PatientId("1", B),))),
        ("@PID.3.4.1^TWO", PersonQuery(ids=(PatientId("", B),))),
        ("@PID.5.1.1^A\\T\\B", PersonQuery(family=("A&B",))),
        ("@PID.11^東京~@PID.11.5^100", PersonQuery(address="東京", postal_code="100")),
        ("@PID.3.1^1~@PID.3.4.1^NOBODY", None),
        ("@PID.18.1^9", PersonQuery(account="9")),
        (f"@PID.18.1^9~@PID.18.4.2^{B}", PersonQuery(account=f"9^^^&{B}&ISO")),
        ("@PID.18.1^9~@PID.18.4.1^TWO", PersonQuery(account=f"9^^^&{B}&ISO")),
        ("@PID.21.1^9~@PID.21.4.1^NOBODY", None),
        (f"@PID.21^9^^^TWO&{B}&ISO", PersonQuery(mothers_id=f"9^^^&{B}&ISO")),
        ("@PID.18.4.1^TWO", None),
    ],
)
def test_the_question(raw: str, query: PersonQuery | None) -> None:
    assert asked(raw) == query


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "~~",
        "x",
        "@PID",
        "@PID.5.1.1.1.1^x",
        "@pid.5^x",
        "@PID.5^",
        '@PID.5^""',
        "@PID.7^84",
        "@PID.8^F~@PID.8^M",
        "@OBX.5^1",
    ],
)
def test_what_cannot_be_asked(raw: str) -> None:
    with pytest.raises(BadField) as caught:
        asked(raw)
    assert caught.value.place.startswith("QPD^1^3")


def test_more_parameters_than_a_person_has_fields() -> None:
    with pytest.raises(BadField):
        parameters("~".join(["@PID.5^x"] * (MAX_PARAMETERS + 1)))


@pytest.mark.parametrize(("raw", "limit"), [("", 0), ("10^RD", 10), ("5", 5), ("7^RD^HL70126", 7)])
def test_a_page(raw: str, limit: int) -> None:
    assert page(PersonQuery(), raw).limit == limit


@pytest.mark.parametrize(("raw", "code"), [("x^RD", "102"), ("-1^RD", "102"), ("1^LI", "103"), ("9999999^RD", "102")])
def test_a_page_that_is_none(raw: str, code: str) -> None:
    with pytest.raises(BadField) as caught:
        page(PersonQuery(), raw)
    assert caught.value.code == code
