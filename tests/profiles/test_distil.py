from typing import Any

from gateway.profiles.distil import constraint_definition
from gateway.profiles.tables import CORE, Definition, Element, Slicing, TypeRef
from gateway.profiles.validator import Validator

BASE_STATUS = "http://hl7.org/fhir/ValueSet/observation-status|4.0.1"


def distilled(validator: Validator, *elements: dict[str, Any], part: str = "snapshot", **more: Any) -> Definition:
    structure = {
        "url": "http://x.example/p",
        "type": "Observation",
        "kind": "resource",
        "baseDefinition": CORE + "Observation",
        part: {"element": [{"id": "Observation", "path": "Observation"}, *elements]},
        **more,
    }
    return constraint_definition(structure, validator.tables, {"http://x.example/Patient": "Patient"})


def element(identity: str, **facts: Any) -> dict[str, Any]:
    path = ".".join(step.partition(":")[0] for step in identity.split("."))
    return {"id": identity, "path": path, "min": 0, "max": "*", "short": "prose", "definition": "prose", **facts}


def test_what_the_type_says_already_is_left_out(validator: Validator) -> None:
    same = element(
        "Observation.status",
        min=1,
        max="1",
        type=[{"code": "code"}],
        binding={"strength": "required", "valueSet": BASE_STATUS},
        constraint=[{"key": "ele-1", "severity": "error"}],
    )
    assert distilled(validator, same, element("Observation.code.coding", max="*")).elements == ()


def test_every_fact_is_kept(validator: Validator) -> None:
    rows = distilled(
        validator,
        element(
            "Observation.subject",
            min=1,
            max="1",
            type=[{"code": "Reference", "targetProfile": ["http://x.example/Patient"]}],
        ),
        element("Observation.performer", max="2"),
        element("Observation.code.text", max="1", fixedString="x"),
        element(
            "Observation.category", slicing={"rules": "open", "discriminator": [{"type": "value", "path": "$this"}]}
        ),
        element("Observation.category:a", min=1, max="1", patternCodeableConcept={"text": "y"}, sliceName="a"),
        element("Observation.method", max="1", binding={"strength": "extensible", "valueSet": "urn:v|1"}),
        element("Observation.bodySite", max="0"),
        element("Observation.note", constraint=[{"key": "x-1", "severity": "warning"}]),
    ).elements
    assert rows == (
        Element("subject", 1, -1, (TypeRef("Reference", frozenset({"Patient"})),)),
        Element("performer", 0, 2),
        Element("code.text", 0, -1, fixed="x"),
        Element("category", 0, -1, slicing=Slicing("open", (("value", "$this"),))),
        Element("category:a", 1, 1, pattern={"text": "y"}),
        Element("method", 0, -1, binding=("extensible", "urn:v")),
        Element("bodySite", 0, 0),
        Element("note", 0, -1, invariants=("x-1?",)),
    )


def test_an_extension_definition(validator: Validator) -> None:
    found = distilled(
        validator,
        element("Extension.url", min=1, max="1", fixedUri="http://x.example/p"),
        element("Extension.value[x]", min=1, max="1", type=[{"code": "string"}]),
        type="Extension",
        kind="complex-type",
        context=[
            {"type": "element", "expression": "Patient.contact"},
            {"type": "extension", "expression": "urn:e"},
            {"type": "fhirpath", "expression": "x.y()"},
        ],
    )
    assert found.contexts == ("Patient.contact", "extension urn:e", "fhirpath")
    assert found.elements == (Element("value[x]", 1, -1, (TypeRef("string"),)),)


def test_a_differential_is_marked(validator: Validator) -> None:
    assert distilled(validator, part="differential").partial
    assert not distilled(validator).partial
