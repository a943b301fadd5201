from typing import Any

import pytest

from gateway.profiles.elements import Node, tree
from gateway.profiles.finding import error
from gateway.profiles.slicing import fits, matcher, reference_type, steps, values_at
from gateway.profiles.tables import Definition, Element, Tables, TypeRef, ValueSet

SET = ValueSet("urn:vs", {"urn:a": frozenset({"1"})})
TABLES = Tables({}, {}, {SET.url: SET}, {})


def part(*elements: Element) -> Node:
    """The slice `x:s` with these elements below it (or on it, with path "")."""
    rows = [
        Element(f"x:s.{e.path}".rstrip("."), e.min, e.max, e.types, (), e.binding, e.fixed, e.pattern) for e in elements
    ]
    return tree(Definition("urn:p", "T", "resource", "constraint", "", tuple(rows))).children["x"].slices["s"]


EXTENSION = (TypeRef("Extension", profiles=("http://x.example/e",)),)
COMPOSITION = (TypeRef("Composition"),)
CODING = {"system": "urn:a", "code": "1"}


@pytest.mark.parametrize(
    ("kind", "path", "element", "inside", "outside"),
    [
        ("value", "system", Element("system", 0, -1, fixed="urn:a"), {"system": "urn:a"}, {"system": "urn:b"}),
        (
            "value",
            "coding.system",
            Element("coding.system", 0, -1, fixed="urn:a"),
            {"coding": [CODING]},
            {"coding": []},
        ),
        ("value", "coding.code", Element("", 0, -1, pattern={"coding": [CODING]}), {"coding": [CODING]}, {"text": "x"}),
        (
            "pattern",
            "$this",
            Element("", 0, -1, pattern={"coding": [CODING]}),
            {"coding": [{}, CODING]},
            {"coding": [{}]},
        ),
        ("value", "$this", Element("", 0, -1, fixed="a"), "a", "b"),
        ("value", "code", Element("code", 0, -1, binding=("required", "urn:vs")), {"code": {"coding": [CODING]}}, {}),
        ("value", "code", Element("code.coding.code", 0, -1, fixed="1"), {"code": {"coding": [CODING]}}, {"code": {}}),
        ("value", "url", Element("", 0, -1, EXTENSION), {"url": "http://x.example/e"}, {"url": "http://x.example/f"}),
        ("value", "value", Element("value[x]", 0, -1, fixed="a"), {"valueString": "a"}, {"valueString": "b"}),
        ("exists", "end", Element("end", 0, 0), {"start": "x"}, {"end": "x"}),
        ("exists", "end", Element("end", 1, -1), {"end": "x"}, {"start": "x"}),
        (
            "type",
            "resource",
            Element("resource", 0, -1, COMPOSITION),
            {"resource": {"resourceType": "Composition"}},
            {},
        ),
        (
            "type",
            "who.resolve()",
            Element("who", 0, -1, (TypeRef.parse("Reference(Patient)"),)),
            {"who": {"reference": "Patient/1"}},
            {"who": {"reference": "Device/1"}},
        ),
    ],
)
def test_matchers(kind: str, path: str, element: Element, inside: Any, outside: Any) -> None:
    match = matcher(kind, path, part(element), TABLES, lambda url: None)
    assert match is not None
    assert match(inside, "")
    assert not match(outside, "")


def test_type_of_the_value_itself() -> None:
    match = matcher("type", "$this", part(Element("", 0, -1, (TypeRef("Period"),))), TABLES, lambda url: None)
    assert match is not None
    assert match({}, "Period")
    assert not match("2024", "dateTime")


def test_a_profile_as_discriminator() -> None:
    element = Element("resource", 0, -1, (TypeRef("Patient", profiles=("urn:p",)),))
    refuse = error("structure", "", "")
    match = matcher(
        "profile", "resource", part(element), TABLES, lambda url: lambda v: None if v == {"a": 1} else [refuse]
    )
    assert match is not None
    assert match({"resource": {"a": 1}}, "")
    assert not match({"resource": {"a": 2}}, "")


@pytest.mark.parametrize(
    ("kind", "path"), [("value", "nowhere"), ("exists", "x"), ("type", "$this"), ("nosuch", "$this")]
)
def test_what_cannot_be_decided(kind: str, path: str) -> None:
    assert matcher(kind, path, part(Element("system", 0, -1)), TABLES, lambda url: None) is None


def test_paths() -> None:
    assert steps("$this") == []
    assert steps("coding.system") == ["coding", "system"]
    assert steps("extension('http://x.example/a.b').value") == ["extension('http://x.example/a.b')", "value"]
    assert steps("who.resolve().code") == ["who", "resolve()", "code"]
    value = {"extension": [{"url": "http://x.example/a.b", "valueString": "x"}, {"url": "u"}]}
    assert values_at(value, ["extension('http://x.example/a.b')", "value"]) == ["x"]
    assert values_at({"a": [{"b": [1, 2]}, {"b": 3}, 5]}, ["a", "b"]) == [1, 2, 3]


@pytest.mark.parametrize(
    ("reference", "type_name"),
    [
        ({"reference": "Patient/1"}, "Patient"),
        ({"reference": "http://x.example/fhir/Patient/1/_history/1"}, "Patient"),
        ({"reference": "Patient?identifier=x"}, "Patient"),
        ({"reference": "#p", "type": "Patient"}, "Patient"),
        ({"reference": "urn:uuid:0"}, None),
        ({"display": "x"}, None),
        ("Patient/1", None),
    ],
)
def test_the_type_a_reference_names(reference: Any, type_name: str | None) -> None:
    assert reference_type(reference) == type_name


def test_fits() -> None:
    assert fits({"coding": [CODING]}, {"coding": [{"display": "x", **CODING}], "text": "y"})
    assert not fits({"coding": [CODING]}, {"coding": CODING})
    assert not fits({"coding": [CODING, {"code": "2"}]}, {"coding": [CODING]})
