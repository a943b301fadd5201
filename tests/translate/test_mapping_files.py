"""mappings/rows and the code tables that translation reads: complete, cited, and inside their value sets."""

import csv
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gateway import mapping_files
from gateway.translate import datatypes
from gateway.translate.common import SOURCE
from gateway.translate.describe import structures
from gateway.translate.rules import check_names, table

ROWS = sorted(mapping_files.path("rows", SOURCE).glob("*.toml"))
TABLES = sorted(mapping_files.path("tables").glob("*.csv"))


def rows(file: Path) -> dict[str, Any]:
    return tomllib.loads(file.read_text(encoding="utf-8"))


# -- rows -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ROWS, ids=lambda file: file.stem)
def test_rows_are_complete_and_cited(file: Path) -> None:
    content = rows(file)
    segment = content["segment"]
    assert file.stem.startswith(f"{segment}-")
    assert content.keys() <= {"segment", "resource", "row", "unmapped", "varying", "scratch"}
    assert file.read_text(encoding="utf-8").startswith("# ")
    field = re.compile(rf"{segment}-[1-9][0-9]*")
    for row in content.get("row", ()):
        assert field.fullmatch(row["from"]) and all(field.fullmatch(name) for name in row.get("with", ()))
        assert row["cite"].strip() and row["to"].strip()
        assert ("via" in row) != ("table" in row)
    for row in content.get("unmapped", ()):
        assert re.fullmatch(rf"{segment}-[1-9][0-9]*(\.[1-9][0-9]*)?", row["from"])
        assert len(row["reason"].split()) >= 1 and row["reason"].strip() == row["reason"]


@pytest.mark.parametrize("file", ROWS, ids=lambda file: file.stem)
def test_no_field_is_both_mapped_and_left_out_or_named_twice(file: Path) -> None:
    content = rows(file)
    taken = [row["from"] for row in content.get("row", ())]
    left = [row["from"] for row in content.get("unmapped", ())]
    assert len(set(taken)) == len(taken)
    assert len(set(left)) == len(left)
    assert not set(taken) & set(left)


@pytest.mark.parametrize("file", ROWS, ids=lambda file: file.stem)
def test_every_converter_and_table_of_a_row_exists(file: Path) -> None:
    content = rows(file).get("row", ())
    assert check_names([row["via"] for row in content if "via" in row]) == []
    for row in content:
        if "table" in row:
            assert table(row["table"])


def test_every_rows_file_is_compiled_by_some_structure() -> None:
    used = {
        f"{segment}-{target}"
        for all_rules in structures().values()
        for rules in all_rules
        for segment, targets in rules.resources.items()
        for target in targets
    }
    assert {file.stem for file in ROWS} == used


# -- tables -----------------------------------------------------------------------------------------------------------

FHIR = "http://hl7.org/fhir/"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
_GIVEN = frozenset({"in-progress", "not-done", "on-hold", "completed", "entered-in-error", "stopped", "unknown", ""})
BOUND: dict[str, str | frozenset[str]] = {
    "administration-control": _GIVEN,
    "administration-order-state": _GIVEN,
    "administration-status": _GIVEN,
    "dispense-order-state": _GIVEN | {"preparation", "cancelled", "declined"},
    "dispense-substitution": frozenset({"yes", "no"}),
    "give-instructions": frozenset({"method", "as-needed"}),
    "immunization-status": frozenset({"completed", "entered-in-error", "not-done"}),
    "medication-order-state": FHIR + "CodeSystem/medicationrequest-status",
    "strength-type-units": frozenset({"1", "weight"}),
    "address-use": FHIR + "address-use",
    "administrative-gender": FHIR + "administrative-gender",
    "allergy-category": frozenset({"food", "medication", "environment", "biologic", ""}),
    "allergy-severity": FHIR + "reaction-event-severity",
    "basic-observations": "http://jpfhir.jp/fhir/core/CodeSystem/JP_SimpleObservationCategory_CS",
    "condition-outcome-status": TERMINOLOGY + "condition-clinical",
    "diagnostic-report-status": FHIR + "diagnostic-report-status",
    "encounter-class": TERMINOLOGY + "v3-ActCode",
    "medication-request-status": FHIR + "CodeSystem/medicationrequest-status",
    "name-representation": frozenset({"ABC", "SYL", "IDE"}),
    "name-type": FHIR + "name-use",
    "observation-interpretation": TERMINOLOGY + "v3-ObservationInterpretation",
    "observation-status": FHIR + "observation-status",
    "request-priority": FHIR + "request-priority",
    "telecom-system": FHIR + "contact-point-system",
    "telecom-use": FHIR + "contact-point-use",
    "no-result-words": TERMINOLOGY + "data-absent-reason",
}
"""Table -> the code system its targets belong to (or the codes themselves, where FHIR has them in a value set only)."""


def published() -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for name in ("r4-terminology.jsonl", "jp-core-terminology.jsonl"):
        for line in mapping_files.path("profiles", name).read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if "codes" in entry:
                found[entry["url"]] = frozenset(entry["codes"])
    return found


@pytest.mark.parametrize("name", BOUND)
def test_every_target_is_in_the_bound_code_system(name: str) -> None:
    bound = BOUND[name]
    allowed = published()[bound] if isinstance(bound, str) else bound
    targets = {row["target"] for row in mapping_files.read_csv(mapping_files.path("tables", f"{name}.csv"))}
    assert targets
    assert targets <= allowed


@pytest.mark.parametrize("file", TABLES, ids=lambda file: file.stem)
def test_a_table_has_a_source_a_header_and_no_row_twice(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# "), "the source of the codes stands above the header"
    found = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    assert found
    assert all(None not in row and None not in row.values() for row in found), "a row has another number of columns"
    key = next(iter(found[0]))
    if key == "source":
        assert len({row[key] for row in found}) == len(found)
    assert len({tuple(row.values()) for row in found}) == len(found)


def test_published_code_systems_are_read_in_full() -> None:
    known, everything = datatypes.published_codes(), published()
    assert known
    for system, codes in known.items():
        assert codes == everything[system]
    wanted = {system.system for system in datatypes.code_systems().values()}
    assert set(known) == wanted & everything.keys()


def test_every_code_system_name_has_a_pattern_that_some_code_fits() -> None:
    rows = {row["name"]: row for row in mapping_files.read_csv(mapping_files.path("tables", "code-systems.csv"))}
    assert len(rows) == len(datatypes.code_systems())
    examples = {
        "JC10": "3B035000002327201", "HOT9": "103831601", "HOT7": "1038316", "HOT13": "1038316010101",
        "YJ": "1149019F1560", "MDCDX2": "20054174", "I10": "K297", "LN": "11502-2",
    }  # fmt: skip
    for name, code in examples.items():
        system = datatypes.code_systems()[name]
        assert system.pattern.fullmatch(code)
        assert not system.pattern.fullmatch(code + "!") or name == "I10"
        assert rows[name]["system"].startswith("http")


def test_category_systems_of_rxe_21_are_uris() -> None:
    assert all(
        system.startswith("http://jpfhir.jp/fhir/core/CodeSystem/") for system in table("merit9-category").values()
    )
