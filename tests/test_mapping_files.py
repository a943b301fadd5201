"""Where the data files are, and that a table is read as strings."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway import mapping_files
from gateway.errors import ConfigurationError


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


# -- a site's overlay -------------------------------------------------------------------------------------------------

Site = Callable[..., Path]


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has read nothing yet."""
    monkeypatch.setattr(mapping_files, "_State", type("_State", (), {"site": None, "used": False}))
    monkeypatch.setattr(mapping_files, "_TABLES", {})


@pytest.fixture
def site(tmp_path: Path, fresh: None) -> Site:
    """Writes an overlay: file name below it -> text."""

    def write(**files: str) -> Path:
        folder = tmp_path / "site"
        (folder / "tables").mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            file = folder / name.replace("__", "/").replace("_csv", ".csv").replace("_toml", ".toml").replace("_", "-")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        return folder

    return write


def test_an_overlay_adds_rows_and_keeps_ours(site: Site) -> None:
    mapping_files.configure(site(tables__ucum_units_csv="source,target\n甲/uL,10*3/uL\n"))
    units = mapping_files.table("ucum-units")
    assert units["甲/uL"] == "10*3/uL" and units["mg"] == "mg"


def test_a_table_that_is_held_already_gets_the_rows_too(site: Site) -> None:
    held = mapping_files.table("ucum-units")
    assert "甲/uL" not in held
    mapping_files.configure(site(tables__ucum_units_csv="source,target\n甲/uL,10*3/uL\n"))
    assert held["甲/uL"] == "10*3/uL"


def test_a_spreadsheet_writes_a_mark_and_crlf(site: Site) -> None:
    mapping_files.configure(site(tables__ucum_units_csv="\ufeff# our units\r\nsource,target\r\n甲,g\r\n\r\n"))
    assert mapping_files.table("ucum-units")["甲"] == "g"


def test_the_same_row_again_is_no_contradiction(site: Site) -> None:
    mapping_files.configure(site(tables__ucum_units_csv="source,target\nmg,mg\n"))
    assert mapping_files.table("ucum-units")["mg"] == "mg"


def test_names_of_code_systems_may_be_added(site: Site) -> None:
    text = "name,system\n99O03,http://hospital.example/99O03\n"
    mapping_files.configure(site(tables__code_systems_csv=text))
    last = mapping_files.records("code-systems")[-1]
    assert last == {
        "name": "99O03", "system": "http://hospital.example/99O03", "oid": "", "pattern": ".+", "published": "no",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("tables__ucum_units_csv", "source,target\nmg,g\n", "only adds"),
        ("tables__ucum_units_csv", "source,target\n甲,g\n甲,kg\n", "only adds"),
        ("tables__ucum_units_csv", "source\n甲\n", "columns"),
        ("tables__ucum_units_csv", "source,target\n甲\n", "columns"),
        ("tables__ucum_units_csv", "source,target\n甲,g,too,many\n", "columns"),
        ("tables__ucum_unitz_csv", "source,target\n甲,g\n", "no table"),
        ("tables__ssmix2_data_types_csv", "code,ja\nX,Y\n", "no table"),
        ("tables__code_systems_csv", "name,system,pattern,published\nJC10,http://x.example,.+,no\n", "only adds"),
        ("ucum_units_csv", "source,target\n甲,g\n", "an overlay has"),
        ("rows__PID_Patient_toml", "", "an overlay has"),
        ("rows__ss_mix2__PID_Patient_toml", "segment =", "PID-Patient.toml"),
    ],
)
def test_what_cannot_be_added_is_said_with_its_file_before_anything_starts(
    site: Site, name: str, text: str, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as error:
        mapping_files.configure(site(**{name: text}))
    assert "site" in str(error.value)


@pytest.mark.parametrize("content", [b"source,target\n\x8c\x9f,g\n", b"\xff\xfe"])
def test_an_addition_that_is_no_utf_8_is_said(site: Site, content: bytes) -> None:
    folder = site()
    (folder / "tables" / "ucum-units.csv").write_bytes(content)
    with pytest.raises(ConfigurationError, match="UTF-8"):
        mapping_files.configure(folder)


def test_a_folder_that_is_none_is_said(tmp_path: Path, fresh: None) -> None:
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(ConfigurationError, match="overlay"):
            mapping_files.configure(folder)


def test_the_same_overlay_again_is_nothing_and_another_needs_a_new_process(site: Site, tmp_path: Path) -> None:
    folder = site(tables__ucum_units_csv="source,target\n甲,g\n")
    mapping_files.configure(folder)
    mapping_files.configure(folder)
    assert mapping_files.overlay() == folder.resolve()
    for other in (None, tmp_path):
        with pytest.raises(ConfigurationError, match="new process"):
            mapping_files.configure(other)


def test_an_overlay_after_the_rows_were_read_comes_too_late(site: Site) -> None:
    mapping_files.rules("ss-mix2", "PID-Patient")
    mapping_files.configure(None)
    with pytest.raises(ConfigurationError, match="new process"):
        mapping_files.configure(site(tables__ucum_units_csv="source,target\n甲,g\n"))


def test_nothing_that_an_overlay_may_extend_is_read_past_it() -> None:
    """`read_csv` knows no overlay: a table that takes additions is read by `table` or `records`."""
    past = re.compile(r'read_csv\(mapping_files\.path\("tables", "([a-z0-9-]+)\.csv"\)')
    found = {
        name
        for file in (mapping_files.ROOT.parent / "gateway").rglob("*.py")
        for name in past.findall(file.read_text("utf-8"))
        if mapping_files.takes_additions(name)
    }
    assert found == set()
