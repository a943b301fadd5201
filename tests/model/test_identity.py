"""Ids with their authority, as HL7 writes them and as FHIR wants them."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.identity import Authority, PatientId

PART = st.text(st.characters(blacklist_characters="^&", blacklist_categories=("Cs",)), min_size=1, max_size=20)


@given(value=PART, authority=PART)
def test_what_is_written_is_read_again(value: str, authority: str) -> None:
    one = PatientId(value, authority)
    assert PatientId.parse(str(one)) == one


def test_a_namespace_before_the_oid_and_more_components_are_tolerated() -> None:
    assert PatientId.parse("1^^^TOKYO&1.2.3&ISO^PI") == PatientId("1", "1.2.3")


@pytest.mark.parametrize(
    "cx",
    ["", "1", "1^^^", "1^^^TOKYO", "1^^^&1.2.3", "1^^^&1.2.3&", "1^^^&1.2.3&DNS", "1^^^&&ISO", "^^^&1.2.3&ISO",
     "1^^^&1.2.3&ISO&more", "1^^&1.2.3&ISO"],
)  # fmt: skip
def test_anything_else_is_refused_without_saying_the_number(cx: str) -> None:
    with pytest.raises(ValueError, match="not a CX") as caught:
        PatientId.parse(cx.replace("1^", "0001000037^"))
    assert "0001000037" not in str(caught.value)


def test_the_same_number_of_two_authorities_is_two_ids() -> None:
    assert len({PatientId("1", "1.2"), PatientId("1", "1.3"), PatientId("1", "1.2")}) == 2


@pytest.mark.parametrize(
    ("authority", "system"),
    [
        (Authority("1.2.3", institution="1310000001"), "urn:oid:1.2.392.100495.20.3.51.11310000001"),
        (Authority("1.2.3"), "urn:oid:1.2.3"),
        (Authority(f"2.25.{UUID(int=7).int}"), "urn:uuid:00000000-0000-0000-0000-000000000007"),
        (Authority(f"2.25.{2**128 - 1}"), "urn:uuid:ffffffff-ffff-ffff-ffff-ffffffffffff"),
        (Authority("2.25.7", institution="1310000001"), "urn:oid:1.2.392.100495.20.3.51.11310000001"),
        (Authority("2.251.7"), "urn:oid:2.251.7"),
    ],
)
def test_the_system_of_patient_numbers(authority: Authority, system: str) -> None:
    assert authority.patient_system == system
