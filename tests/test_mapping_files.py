"""Where the data files are, and that a table is read as strings."""

import csv
from pathlib import Path

import pytest

from gateway import mapping_files


def test_the_folder_is_there_and_paths_lead_into_it() -> None:
    assert mapping_files.ROOT.is_dir()
    assert mapping_files.path("tables", "x.csv") == mapping_files.ROOT / "tables" / "x.csv"


def test_rows_are_strings_and_comments_are_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text('# source: HL7 table 0085\ncode,target\n# a comment\n01,NO\n12:30,"a,b"\n,検査\n', "utf-8")
    assert list(mapping_files.read_csv(file)) == [
        {"code": "01", "target": "NO"},
        {"code": "12:30", "target": "a,b"},
        {"code": "", "target": "検査"},
    ]


@pytest.mark.parametrize("file", sorted(mapping_files.ROOT.rglob("*.csv")), ids=lambda path: path.name)
def test_every_table_is_rectangular_utf_8_with_rows(file: Path) -> None:
    """A row with a comma too many would end in None, one too few in a missing column; both read quietly."""
    text = file.read_bytes().decode("utf-8")
    assert "\r" not in text and not text.startswith("\ufeff")
    rows = list(csv.reader(line for line in text.splitlines() if not line.startswith("#")))
    assert len(rows) > 1 and len(set(rows[0])) == len(rows[0])
    assert {len(row) for row in rows} == {len(rows[0])}


def test_quoted_line_feeds_would_be_cut(tmp_path: Path) -> None:
    """Lines are looked at before they are joined: a table cannot hold a line feed, and none does (test above)."""
    file = tmp_path / "t.csv"
    file.write_text('code\n"a\n# b"\n', "utf-8")
    assert list(mapping_files.read_csv(file)) != [{"code": "a\n# b"}]
