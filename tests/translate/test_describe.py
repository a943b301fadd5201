"""gateway/translate/describe.py: docs/mapping.md is made from the rows."""

from pathlib import Path

from gateway import mapping_files
from gateway.translate.common import SOURCE
from gateway.translate.describe import markdown, structures
from gateway.translate.structures import STRUCTURES

PAGE = Path(__file__).parents[2] / "docs" / "mapping.md"


def test_the_page_is_in_step_with_the_rows() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown(), "run: python -m gateway.translate.describe > docs/mapping.md"


def test_every_translated_type_and_every_rows_file_is_on_it() -> None:
    page = markdown()
    assert set(structures()) == set(STRUCTURES)
    assert all(f"| {name} |" in page for name in STRUCTURES)
    files = list(mapping_files.path("rows", SOURCE).glob("*.toml"))
    assert len(files) > 20
    assert all(f"## {file.stem.replace('-', ' ', 1)}\n" in page for file in files)


def test_every_section_says_where_it_is_used() -> None:
    assert "In .\n" not in markdown()
