"""gateway/translate/ids.py: same fact, same id."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.translate.ids import NAMESPACE, derived_oid, local_system, name_uuid, resource_id

texts = st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5)


@given(texts)
def test_a_name_uuid_is_uuid5_of_the_joined_key(key: list[str]) -> None:
    assert name_uuid(*key) == str(uuid.uuid5(NAMESPACE, "|".join(key)))


def test_the_namespace_never_changes() -> None:
    assert resource_id("1.2.3", "Patient", "0000012345") == "b0bd4966-c0f0-534a-81b3-81f98cff1ab2"


def test_facility_type_and_key_all_count() -> None:
    ids = {resource_id(*key) for key in (("1.2", "Patient", "1"), ("1.3", "Patient", "1"), ("1.2", "Encounter", "1"))}
    assert len(ids) == 3


def test_a_derived_oid_is_the_uuid_under_its_arc() -> None:
    oid = derived_oid("facility", "TOKYO-HP")
    assert oid.startswith("2.25.")
    assert uuid.UUID(int=int(oid[5:])) == uuid.UUID(name_uuid("facility", "TOKYO-HP"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("CodeSystem/99XYZ", "https://musubi.invalid/1.2/CodeSystem/99XYZ"),
        ("CodeSystem/99 XYZ", "https://musubi.invalid/1.2/CodeSystem/99%20XYZ"),
        ("CodeSystem/院内", "https://musubi.invalid/1.2/CodeSystem/%E9%99%A2%E5%86%85"),
    ],
)
def test_a_local_system_is_a_uri(name: str, expected: str) -> None:
    assert local_system("1.2", name) == expected
