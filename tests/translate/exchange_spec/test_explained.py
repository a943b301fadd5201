"""`--explain`: every item of a file is in the lineage, with a pointer that resolves and an element that is there."""

import json
import re
from typing import Any

import pytest

from gateway.codec import fhir
from gateway.translate.context import Facilities
from gateway.translate.converted import Converted
from gateway.translate.exchange_spec import exact
from gateway.translate.exchange_spec.registers import Registers
from gateway.translate.exchange_spec.source import as_one, read_file
from tests.translate.exchange_spec.making import GONE, LISTS, RECORDS, envelope, person, record
from tests.translate.exchange_spec.test_flat import row, table


def explained(document: Any, path: str = "x.json") -> Converted:
    data = document if isinstance(document, bytes) else exact.dumps(document)
    made = read_file(data, path, Facilities(exchange=Registers.of(LISTS)), explain=True)
    return as_one(made, data) if len(made) > 1 else made[0]


def leaves(value: Any, where: str = "") -> set[str]:
    """Pointers of all values; of what the convention does not know the pointer of its key."""
    if isinstance(value, dict):
        return {p for k, one in value.items() for p in leaves(one, f"{where}/{k}")}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return {p for n, one in enumerate(value) for p in leaves(one, f"{where}/{n}")}
    return {where}


def test_every_value_of_a_file_is_in_the_lineage() -> None:
    document = envelope(
        person(**{name: [record(name, more=1)] for name in RECORDS}),
        {"person_id": "P0000002", "healthcare_information": [{"sleep": [1]}], "nickname": "x"},
        y=1,
    )
    made = explained(document)
    assert {row.source for row in made.translated.lineage} == leaves(document)


@pytest.mark.parametrize("type_", RECORDS)
def test_the_element_of_each_row_is_there_and_says_the_value(type_: str) -> None:
    document = envelope(person(**{type_: [record(type_)]}))
    made = explained(document)
    resources = {f"{one['resourceType']}/{one['id']}": json.loads(fhir.render(one)) for one in made.resources}
    values = [row for row in made.translated.lineage if row.target.endswith(".valueQuantity")]
    assert values
    for found in made.translated.lineage:
        assert found.rule.startswith("exchange-spec/") and found.cite.startswith("健康情報等交換規約 ")
        id_, _, path = found.target.partition(".")
        element: Any = resources[id_]
        for name, number in re.findall(r"(\w+)(?:\[(\d+)\])?", path):
            element = element[name][int(number)] if number else element[name]
        if found in values:
            assert element["value"] == float(record(type_)[found.source.rpartition("/")[2]])


def test_a_pointer_names_the_key_that_was_sent() -> None:
    sent = record("weighing_scale", data_input_code=GONE, input_method_code="0")
    sources = {row.source for row in explained(envelope(person(weighing_scale=[sent]))).translated.lineage}
    assert any(one.endswith("/input_method_code") for one in sources)
    bad = explained(envelope(person(weighing_scale=[{**sent, "input_method_code": "7"}])))
    assert bad.error is not None and bad.error.where.endswith("/input_method_code")


def test_codes_say_which_row_of_a_table_they_are() -> None:
    rows = explained(envelope(person(hba1c=[record("hba1c")]))).translated.lineage
    (method,) = [row for row in rows if row.target.endswith(".code")]
    assert [tuple(code) for code in method.codes] == [("exchange-spec/hba1c-methods", "000001", "3D046000001920402")]


def test_lines_and_columns_of_a_flat_file() -> None:
    rows = explained(table(row("weighing_scale")), "x.csv").translated.lineage
    (weight,) = [row for row in rows if row.rule.endswith("#body_weight")]
    assert weight.source == "line 2, column 5"
    assert all(row.source.startswith("line ") for row in rows)
