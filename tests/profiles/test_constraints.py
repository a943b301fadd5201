"""Each kind of rule a profile can have, on profiles made for the purpose: once kept, once broken."""

from typing import Any

import pytest

from gateway.profiles.constraints import Profiles
from gateway.profiles.elements import tree
from gateway.profiles.tables import CORE, Definition, Element, Slicing, TypeRef, ValueSet
from gateway.profiles.validator import Validator

URL = "http://x.example/profile"
CODES = ValueSet("http://x.example/vs", {"urn:a": frozenset({"1", "2"}), "urn:unpublished": None})
LIMITED = Definition(
    CORE + "limited", "Quantity", "complex-type", "constraint", CORE + "Quantity", (Element("unit", 1, -1),)
)


def broken(validator: Validator, resource: dict[str, Any], *elements: Element) -> list[tuple[str, str, str]]:
    """(severity, path, rule without the name of the profile) of what `resource` breaks in a profile of `elements`."""
    profile = Definition(URL, resource["resourceType"], "resource", "constraint", CORE, elements)
    check = Profiles(validator.tables.extended([profile, LIMITED], [CODES], [])).check(URL)
    assert check is not None
    return [(p.severity, p.path, p.rule.removeprefix("profile.")) for p in check(resource) or ()]


def types(*texts: str) -> tuple[TypeRef, ...]:
    return tuple(TypeRef.parse(text) for text in texts)


def observation(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", **elements}


def coded(*codings: tuple[str, str]) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code} for system, code in codings]}


REFERENCE = {"reference": "Patient/1"}
CASES: dict[str, tuple[Element, dict[str, Any], dict[str, Any], tuple[str, str, str]]] = {
    "min": (Element("subject", 1, -1), {"subject": REFERENCE}, {}, ("error", "", "subject min 1")),
    "min of a list": (
        Element("performer", 2, -1),
        {"performer": [REFERENCE, REFERENCE]},
        {"performer": [REFERENCE]},
        ("error", "", "performer min 2"),
    ),
    "max": (
        Element("performer", 0, 1),
        {"performer": [REFERENCE]},
        {"performer": [REFERENCE, REFERENCE]},
        ("error", "", "performer max 1"),
    ),
    "prohibited": (Element("subject", 0, 0), {}, {"subject": REFERENCE}, ("error", "", "subject max 0")),
    "min inside a parent that is there": (
        Element("component.interpretation", 1, -1),
        {"component": [{"interpretation": [{"text": "x"}]}]},
        {"component": [{"interpretation": [{"text": "x"}]}, {"code": {}}]},
        ("error", "component[1]", "component.interpretation min 1"),
    ),
    "min of a choice": (
        Element("value[x]", 1, -1),
        {"valueString": "x"},
        {"valueset": "x"},
        ("error", "", "value[x] min 1"),
    ),
    "fixed": (
        Element("status", 0, -1, fixed="final"),
        {"status": "final"},
        {"status": "amended"},
        ("error", "status", "status fixed"),
    ),
    "pattern": (
        Element("code", 0, -1, pattern=coded(("urn:a", "1"))),
        {"code": coded(("urn:b", "2"), ("urn:a", "1"))},
        {"code": coded(("urn:a", "2"))},
        ("error", "code", "code pattern"),
    ),
    "required binding": (
        Element("code", 0, -1, binding=("required", CODES.url)),
        {"code": coded(("urn:b", "9"), ("urn:a", "1"))},
        {"code": coded(("urn:a", "9"))},
        ("error", "code", "code required binding"),
    ),
    "required binding of a code": (
        Element("status", 0, -1, binding=("required", "http://hl7.org/fhir/ValueSet/observation-status")),
        {"status": "final"},
        {"status": "nosuch"},
        ("error", "status", "status required binding"),
    ),
    "extensible binding": (
        Element("code", 0, -1, binding=("extensible", CODES.url)),
        {"code": coded(("urn:other", "9"))},
        {"code": coded(("urn:a", "9"))},
        ("warning", "code", "code extensible binding"),
    ),
    "unpublished content": (
        Element("code", 0, -1, binding=("required", CODES.url)),
        {"code": coded(("urn:a", "1"), ("urn:unpublished", "1"))},
        {"code": coded(("urn:unpublished", "1"))},
        ("information", "code", "terminology-unknown profile.code"),
    ),
    "types of a choice": (
        Element("value[x]", 0, -1, types("Quantity", "string")),
        {"valueString": "x"},
        {"valueBoolean": True},
        ("error", "value.ofType(boolean)", "value[x] type"),
    ),
    "targets of a reference": (
        Element("subject", 0, -1, types("Reference(Patient)")),
        {"subject": {"reference": "https://x.example/fhir/Patient/1/_history/2"}},
        {"subject": {"reference": "Device/1"}},
        ("error", "subject", "subject target"),
    ),
    "profile of a data type": (
        Element("value[x]", 0, -1, types(f"Quantity{{{LIMITED.url}}}", "string")),
        {"valueQuantity": {"unit": "d"}},
        {"valueQuantity": {"value": 1}},
        ("error", "value.ofType(Quantity)", "limited.unit min 1"),
    ),
    "invariant": (
        Element("identifier", 0, -1, invariants=("jp-inv-local-prescriptionid",)),
        {"identifier": [{"system": "urn:oid:1.2.392.100495.20.3.11.11312345678"}]},
        {"identifier": [{"system": "urn:oid:1.2.392.100495.20.3.11.x"}]},
        ("error", "identifier[0]", "jp-inv-local-prescriptionid"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_kept_and_broken(validator: Validator, name: str) -> None:
    element, good, bad, problem = CASES[name]
    assert broken(validator, observation(**good), element) == []
    assert broken(validator, observation(**bad), element) == [problem]


def test_a_primitive_that_has_only_an_extension_is_present(validator: Validator) -> None:
    element = Element("effective[x]", 1, -1)
    assert broken(validator, observation(_effectiveDateTime={"extension": []}), element) == []


BY_SYSTEM = Element("identifier", 0, -1, slicing=Slicing("open", (("value", "system"),)))
A = (Element("identifier:a", 1, 1), Element("identifier:a.system", 1, -1, fixed="urn:a"))


def test_slices_are_counted(validator: Validator) -> None:
    one, other = {"system": "urn:a", "value": "1"}, {"system": "urn:b", "value": "2"}
    assert broken(validator, observation(identifier=[other, one]), BY_SYSTEM, *A) == []
    assert broken(validator, observation(identifier=[other]), BY_SYSTEM, *A) == [("error", "", "identifier:a min 1")]
    assert broken(validator, observation(), BY_SYSTEM, *A) == [("error", "", "identifier:a min 1")]
    assert broken(validator, observation(identifier=[one, one]), BY_SYSTEM, *A) == [("error", "", "identifier:a max 1")]


def test_what_a_slice_demands_holds_for_its_own_values(validator: Validator) -> None:
    value = Element("identifier:a.value", 1, -1)
    bare, other = {"system": "urn:a"}, {"system": "urn:b"}
    assert broken(validator, observation(identifier=[other, bare]), BY_SYSTEM, *A, value) == [
        ("error", "identifier[1]", "identifier:a.value min 1")
    ]


def test_a_closed_slicing_takes_nothing_else(validator: Validator) -> None:
    closed = Element("identifier", 0, -1, slicing=Slicing("closed", (("value", "system"),)))
    one, other = {"system": "urn:a"}, {"system": "urn:b"}
    assert broken(validator, observation(identifier=[one]), closed, *A) == []
    assert broken(validator, observation(identifier=[one, other]), closed, *A) == [
        ("error", "identifier[1]", "identifier closed")
    ]


def test_slices_of_a_choice_go_by_type(validator: Validator) -> None:
    elements = (
        Element("value[x]", 0, -1, slicing=Slicing("open", (("type", "$this"),))),
        Element("value[x]:valueQuantity", 0, -1, types("Quantity")),
        Element("value[x]:valueQuantity.code", 1, -1),
    )
    assert broken(validator, observation(valueString="x"), *elements) == []
    assert broken(validator, observation(valueQuantity={"code": "d"}), *elements) == []
    assert broken(validator, observation(valueQuantity={"value": 1}), *elements) == [
        ("error", "value.ofType(Quantity)", "value[x]:valueQuantity.code min 1")
    ]


def test_a_slicing_that_cannot_be_decided_says_so(validator: Validator) -> None:
    elements = (
        Element("identifier", 0, -1, slicing=Slicing("open", (("value", "nowhere"),))),
        Element("identifier:a", 1, 1),
    )
    assert broken(validator, observation(identifier=[{"value": "x"}]), *elements) == [
        ("information", "", "identifier slicing")
    ]


def test_the_tree_of_a_definition_fills_in_what_is_not_mentioned() -> None:
    root = tree(Definition(URL, "Patient", "resource", "constraint", "", (Element("contact:a/b.name.family", 1, -1),)))
    inner = root.children["contact"].slices["a"].slices["b"].children["name"].children["family"]
    assert (inner.path, inner.element.min) == ("profile.contact:a/b.name.family", 1)
    assert root.children["contact"].element == Element("contact", 0, -1)
