from typing import Any

import pytest

from gateway.profiles.tables import ValueSet
from gateway.profiles.terminology import absolute_system, binding_check, coding_check, membership, plain_codes

SET = ValueSet("urn:vs", {"urn:a": frozenset({"1"}), "urn:u": None})


@pytest.mark.parametrize(
    ("coding", "expected"),
    [
        ({"system": "urn:a", "code": "1"}, True),
        ({"system": "urn:a", "code": "2"}, False),
        ({"system": "urn:a"}, False),
        ({"system": "urn:b", "code": "1"}, False),
        ({"code": "1"}, False),
        ({"system": "urn:u", "code": "x"}, None),
        ({"system": ["urn:a"], "code": {}}, False),
        ("urn:a", False),
    ],
)
def test_membership(coding: Any, expected: bool | None) -> None:
    assert membership(SET, coding) is expected


def test_codes_without_a_system() -> None:
    assert plain_codes(ValueSet("urn:vs", {"a": frozenset("1"), "b": frozenset("2")})) == {"1", "2"}
    assert plain_codes(SET) is None
    assert plain_codes(None) is None


def severities(type_code: str, strength: str, value: Any, value_set: ValueSet | None = SET) -> list[str]:
    check = binding_check(type_code, strength, value_set, "urn:vs", "T.e")
    return [p.severity for p in (check(value) or ())] if check else ["no check"]


def test_bindings() -> None:
    inside, outside, unpublished = ({"system": s, "code": "1"} for s in ("urn:a", "urn:b", "urn:u"))
    assert severities("Coding", "required", inside) == []
    assert severities("Coding", "required", outside) == ["error"]
    assert severities("Coding", "required", unpublished) == ["information"]
    assert severities("CodeableConcept", "required", {"coding": [outside, inside]}) == []
    assert severities("CodeableConcept", "required", {"coding": [outside, unpublished]}) == ["information"]
    assert severities("CodeableConcept", "required", {"text": "x"}) == ["error"]
    assert severities("Coding", "required", outside, None) == ["information"], "nobody published the value set"
    assert severities("Coding", "extensible", outside) == []
    assert severities("Coding", "extensible", {"system": "urn:a", "code": "9"}) == ["warning"]
    assert severities("Coding", "preferred", outside) == ["no check"]
    assert severities("code", "required", "x") == ["no check"], "not all codes of the set are known"
    assert severities("code", "required", "x", ValueSet("urn:vs", {"urn:a": frozenset("1")})) == ["error"]
    assert severities("Quantity", "required", {"value": 1}) == []


def test_a_coding_stands_in_its_code_system() -> None:
    check = coding_check({"urn:a": frozenset("1")}.get)
    assert not check({"system": "urn:a", "code": "1"})
    assert not check({"system": "urn:b", "code": "9"})
    assert not check({"code": "9"})
    assert [p.rule for p in check({"system": "urn:a", "code": "9"}) or ()] == ["Coding.code known"]
    assert [p.rule for p in check({"system": "local", "code": "9"}) or ()] == ["Coding.system absolute"]


def test_systems_are_absolute() -> None:
    check = absolute_system("Identifier")
    assert not check({"system": "urn:oid:1.2"})
    assert [p.rule for p in check({"system": "local"}) or ()] == ["Identifier.system absolute"]
