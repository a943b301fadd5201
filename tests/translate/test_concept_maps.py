"""gateway/translate/concept_maps.py: each code table as a valid ConceptMap that says what the table says."""

import re

import pytest

from gateway import mapping_files
from gateway.profiles.validator import Validator
from gateway.translate.concept_maps import code_tables, comments, concept_map


@pytest.fixture(scope="module")
def validator() -> Validator:
    return Validator.default()


@pytest.mark.parametrize("name", code_tables())
def test_every_table_is_a_valid_map_with_all_its_rows(name: str, validator: Validator) -> None:
    made = concept_map(name)
    assert [(f.severity, f.text, f.expression) for f in validator.check(made) if f.severity != "information"] == []
    (group,) = made["group"]
    said = {one.get("code", one.get("display")): one["target"][0].get("code", "") for one in group["element"]}
    assert said == dict(mapping_files.table(name))


def test_names_of_systems_are_those_of_the_head() -> None:
    (group,) = concept_map("observation-status")["group"]
    assert group["source"] == "http://terminology.hl7.org/CodeSystem/v2-0085"
    assert group["target"] == "http://hl7.org/fhir/observation-status"


def test_a_code_without_target_is_unmatched_and_no_code_is_a_display() -> None:
    targets = {e["code"]: e["target"] for e in concept_map("allergy-category")["group"][0]["element"]}
    assert targets["MA"] == [{"equivalence": "unmatched"}]
    assert targets["DA"] == [{"code": "medication", "equivalence": "relatedto"}]


def test_tables_of_another_shape_are_no_maps() -> None:
    names = code_tables()
    assert len(names) > 20 and "ssmix2-data-types" not in names and "code-systems" not in names


def test_ids_and_names_are_fit_for_fhir() -> None:
    for name in code_tables():
        made = concept_map(name)
        assert re.fullmatch(r"[A-Za-z0-9.-]{1,64}", made["id"]) and re.fullmatch(r"[A-Z]\w{0,254}", made["name"])
        assert comments(name)
