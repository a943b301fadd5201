from pathlib import Path

import pytest

from gateway.errors import ConfigurationError
from gateway.profiles.tables import CORE, MAX_REMEMBERED, CodeSystem, Definition, Tables, TypeRef, ValueSet
from gateway.profiles.validator import Validator


def test_a_line_that_is_no_row(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"package":"x"}\n{"nosuch":1}\n', "utf-8")
    with pytest.raises(ConfigurationError):
        Tables.load([tmp_path / "t.jsonl"])


def test_types_are_written_as_they_are_read() -> None:
    for text in ("code", "Reference(Group|Patient)", "Quantity{urn:a|urn:b}", "canonical(ValueSet){urn:a}"):
        assert str(TypeRef.parse(text)) == text


def test_children_of_types_backbones_and_choices(validator: Validator) -> None:
    tables = validator.tables
    component = tables.child("Observation", "component")
    assert component is not None
    assert tables.context_below("Observation", component) == "Observation.component"
    value = tables.child("Observation.component", "value[x]")
    quantity = tables.child("Observation.component", "valueQuantity")
    assert value is not None
    assert quantity is not None
    assert tables.context_below("Observation.component", value) is None, "eleven types"
    assert tables.context_below("Observation.component", quantity) == "Quantity"
    shared = tables.child("Observation.component", "referenceRange")
    assert shared is not None
    assert tables.context_below("Observation.component", shared) == "Observation.referenceRange"
    assert tables.child("Observation", "nosuch") is None
    assert tables.child("Nosuch", "id") is None


def test_more_rows_never_change_what_is_known() -> None:
    known = Definition(CORE + "T", "T", "resource", "specialization", "", ())
    tables = Tables({}, {known.url: known}, {}, {"urn:s": frozenset("a")})
    other = Definition(CORE + "T", "U", "resource", "specialization", "", ())
    more = tables.extended([other], [ValueSet("urn:v", {})], [CodeSystem("urn:s", frozenset("b"))])
    assert more.definition(known.url) == known
    assert more.codes("urn:s") == frozenset("a")
    assert more.value_set("urn:v") is not None
    assert tables.value_set("urn:v") is None


def test_unknown_systems_are_remembered_up_to_a_limit() -> None:
    tables = Tables({}, {}, {}, {})
    for number in range(MAX_REMEMBERED + 10):
        assert tables.codes(f"urn:{number}") is None
    assert len(tables._systems) == MAX_REMEMBERED
