"""gateway/translate/lookups.py: which tables a converter reads, and which rows stand behind a value."""

import pytest

from gateway.translate import structures  # noqa: F401 - registers all converters
from gateway.translate.lookups import codes_used, entries, tables_of
from gateway.translate.rules import converters
from tests.translate.messages import read


@pytest.mark.parametrize(
    ("converter", "tables"),
    [
        ("gender", {"administrative-gender"}),
        ("contact_points", {"telecom-use", "telecom-system"}),
        ("human_names", {"name-type", "name-representation"}),
        ("cwe", {"code-systems"}),
        ("text", set()),
        ("date", set()),
    ],
)
def test_the_tables_of_a_converter_are_read_off_its_code(converter: str, tables: set[str]) -> None:
    assert tables <= set(tables_of(converters()[converter].call))
    assert tables or not tables_of(converters()[converter].call)


def test_a_row_is_used_when_its_source_was_sent_and_its_target_stands_in_the_value() -> None:
    tables = ("telecom-use", "telecom-system")
    value = {"system": "phone", "use": "home", "value": "03-1111-2222"}
    used = {(one.table, one.source, one.target) for one in codes_used(tables, "03-1111-2222^PRN^PH", value)}
    assert used == {("telecom-use", "PRN", "home"), ("telecom-system", "PH", "phone")}
    assert codes_used(tables, "03-1111-2222^PRN^PH", {"value": "03-1111-2222"}) == ()
    assert codes_used((), "F", "final") == ()


def test_a_value_that_code_puts_into_its_place_needs_no_comparison() -> None:
    (used,) = codes_used(("observation-status",), "F", True)
    assert used == ("observation-status", "F", "final")


def test_entries_of_a_table_of_another_shape_are_none() -> None:
    assert entries("ssmix2-data-types") == {} and entries("no-such-table") == {}
    assert entries("code-systems")["LN"] == "http://loinc.org"


def test_explain_names_table_row_converter_and_citation() -> None:
    converted = read("ADT-00", "AL1|1|DA|1^ペニシリン^99A|MI")
    said = {entry.source: entry for entry in converted.translated.lineage if entry.source.startswith(("PID", "AL1"))}
    gender = said["PID[1]-8"]
    assert (gender.via, gender.codes) == ("gender", (("administrative-gender", "F", "female"),))
    assert "table 0001" in gender.cite
    assert all(entry.cite and (entry.via or entry.table) for entry in said.values())


def test_explain_does_not_depend_on_what_was_read_before() -> None:
    segments = ("OBX|1|NM|9N001000000000001^身長^JC10||158|cm|||||F",)
    first = read("ADT-00", *segments).translated.lineage
    read("ADT-00", *segments, explain=False)
    assert read("ADT-00", *segments).translated.lineage == first
    assert any(code.table == "code-systems" and code.source == "JC10" for entry in first for code in entry.codes)
