"""The tables of mappings/exchange-spec hold together, and the small modules around them."""

from decimal import Decimal
from typing import Any

import pytest

from gateway import mapping_files
from gateway.profiles.validator import Validator
from gateway.translate.exchange_spec import exact
from gateway.translate.exchange_spec.definitions import definitions
from gateway.translate.exchange_spec.findings import WORDS, finding, outcome, pointer, sheet_code
from gateway.translate.exchange_spec.items import aliases, arrays, code_lists, dialect, record_types
from gateway.translate.exchange_spec.observations import key_parts, views
from gateway.translate.exchange_spec.registers import COLUMNS, Registers
from gateway.translate.exchange_spec.resend import corrected
from tests.translate.exchange_spec.making import convert, envelope, observations, one, person, record


def test_every_view_is_of_an_item_and_every_measured_item_has_one() -> None:
    for name, type_ in record_types().items():
        shown = views()[name]
        panels = {view.item for view in shown.values() if view.part == "panel"}
        assert shown.keys() - panels == {item.name for item in type_.items.values() if item.low is not None}
        assert next(iter(shown)) == type_.main
        assert all(view.ucum for view in shown.values() if view.part != "panel")


def test_tables_have_no_row_twice() -> None:
    for file in sorted(mapping_files.path("exchange-spec").glob("*.csv")):
        rows = [tuple(row.values()) for row in mapping_files.read_csv(file)]
        assert len(rows) == len(set(rows)) and all(None not in row for row in rows), file.name


def test_names_lead_to_items() -> None:
    known = {name for type_ in record_types().values() for name in type_.items} | {"person_id"}
    assert {alias.name for alias in aliases().values()} <= known
    assert dialect("h28") == {"data_input_code": "input_method_code"} and dialect("seed") == {}
    assert ("health_checkup_information", "blood_pressure") in arrays()


def test_positions_are_those_of_the_slide() -> None:
    assert sorted(code_lists()["measurement_position_code"]) == ["10", "11", "20", "21", "30", "31", "40", "50"]


def test_the_items_without_a_physical_name_have_a_slot() -> None:
    rows = list(mapping_files.read_csv(mapping_files.path("exchange-spec", "unnamed-items.csv")))
    assert [row["title"] for row in rows] == ["距離", "エクササイズ", "運動量"] and {row["item"] for row in rows} == {
        ""
    }


def test_an_outcome_carries_both_codes_and_the_pointer() -> None:
    (issue,) = outcome([finding("E-DIGITS", pointer("a/b~", 0, "step"), "step")])["issue"]
    assert issue["expression"] == ["/a~1b~0/0/step"]
    assert [coding["code"] for coding in issue["details"]["coding"]] == ["exchange-digits", "E-DIGITS:step"]


def test_every_code_begins_its_text() -> None:
    assert {sheet_code(finding(code, "", "x")).partition(":")[0] for code in WORDS} == set(WORDS)


@pytest.mark.parametrize("text", ["72.50", "0.0", "1E+3", "-0", "-0.0", "123456789012345678901234567890", "5"])
def test_numbers_come_back_digit_for_digit(text: str) -> None:
    assert exact.dumps([exact.loads(text)]).decode() == f"[{text}]"


@pytest.mark.parametrize("text", ["NaN", "Infinity", '{"a":1,"a":2}', "1" * 41, "1." + "1" * 41, "[1", ""])
def test_what_cannot_be_read_without_loss(text: str) -> None:
    with pytest.raises(ValueError):
        exact.loads(text)


def test_what_has_no_place_is_no_json() -> None:
    for value in (Decimal("NaN"), object()):
        with pytest.raises(TypeError):
            exact.dumps(value)


def test_a_list_names_its_columns() -> None:
    assert set(COLUMNS) >= {"consortia", "participants", "labs", "hba1c_methods"}
    with pytest.raises(KeyError):
        Registers.of({"labs": [{"name": "x"}]})


def test_parts_of_a_key_come_back() -> None:
    assert key_parts("A|B%7CC%25|") == ["A", "B|C%", ""]


def test_a_correction_names_what_it_replaces() -> None:
    given = list(observations(one("weighing_scale")).values())
    *made, provenance = corrected(given, "20171001000000000")
    assert {each["status"] for each in made} == {"corrected"} and {each["status"] for each in given} == {"final"}
    assert provenance["target"] == [{"reference": f"Observation/{each['id']}"} for each in made]
    assert provenance["entity"][0]["extension"][0]["valueString"] == "20171001000000000"
    assert corrected([*made, provenance], "20171001000000000") == [*made, provenance]


def _urls(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {one["url"] for one in value.get("extension", ())}
        return own | {url for child in value.values() for url in _urls(child)}
    return {url for child in value for url in _urls(child)} if isinstance(value, list) else set()


def test_every_extension_is_defined_and_every_definition_is_used() -> None:
    known = {definition["url"]: definition for definition in definitions()}
    records = {name: [record(name, more=1)] for name in record_types()}
    group = {"healthcare_information": {}, "health_checkup_information": [], "x": 1}
    made = [
        one
        for each in convert(envelope(person(**records), group | {"person_id": "P0000002"}, y=1))
        for one in each.resources
    ]
    made += corrected([one for one in made if one["resourceType"] == "Observation"], "20171001000000000")
    assert _urls(made) == known.keys()
    check = Validator.default().check
    for definition in known.values():
        assert [found for found in check(definition) if found.severity in ("error", "fatal")] == []
