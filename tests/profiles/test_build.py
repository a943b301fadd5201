from pathlib import Path

import orjson

from gateway import mapping_files
from gateway.profiles.build import FILES, build
from gateway.profiles.tables import Definition, ValueSet
from gateway.profiles.validator import TABLES, Validator


def test_the_tables_are_what_the_packages_give(shared: Path) -> None:
    """Byte for byte; run `python -m gateway.profiles.build` when the packages or the builder changed."""
    made = build(shared / "fhir")
    assert tuple(made) == FILES == TABLES
    for name, content in made.items():
        assert mapping_files.path("profiles", name).read_bytes() == content, name


def test_the_tables_are_small_and_hold_no_prose() -> None:
    files = [mapping_files.path("profiles", name) for name in FILES]
    assert sum(file.stat().st_size for file in files) < 1_500_000
    for file in files:
        header, *rows = file.read_bytes().splitlines()
        assert {"package", "version", "licence"} == orjson.loads(header).keys()
        for line in rows:
            row = orjson.loads(line)
            assert not {"short", "definition", "comment", "text", "description", "title", "name"} & row.keys()


def test_every_row_can_be_read_and_written_back() -> None:
    for name in FILES:
        for line in mapping_files.path("profiles", name).read_bytes().splitlines()[1:]:
            row = orjson.loads(line)
            if "elements" in row:
                assert Definition.parse(row).row() == row
            elif "systems" in row:
                assert ValueSet.parse(row).row() == row
            else:
                assert row["codes"] == sorted(row["codes"])


def test_all_of_jp_core_compiles(validator: Validator) -> None:
    """Every definition of JP Core makes a check."""
    lines = mapping_files.path("profiles", "jp-core.jsonl").read_bytes().splitlines()[1:]
    assert len(lines) == 111
    for line in lines:
        row = orjson.loads(line)
        assert validator._profiles.check(row["url"]) is not None
        validator.profile({"resourceType": row["type"]}, row["url"])
