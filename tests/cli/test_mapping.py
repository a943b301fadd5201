"""`musubi mapping`: lint with file and line, the page, and ConceptMaps."""

import json
from pathlib import Path
from typing import Any

import pytest


def test_the_page_is_printed_as_it_stands_in_the_documentation(musubi: Any) -> None:
    result = musubi("mapping", "docs")
    page = result.out.decode()
    assert result.code == 0 and page.startswith("# Mapping of SS-MIX2 messages")
    assert "## PID Patient" in page and "| `observation-status` |" in page
    assert "`gender` (`administrative-gender`)" in page


def test_concept_maps_are_one_a_line(musubi: Any) -> None:
    result = musubi("mapping", "docs", "--format", "conceptmap")
    assert result.code == 0 and len(result.documents) > 20
    assert {one["resourceType"] for one in result.documents} == {"ConceptMap"}


def test_lint_says_where(musubi: Any, tmp_path: Path) -> None:
    file = tmp_path / "site" / "tables" / "administrative-gender.csv"
    file.parent.mkdir(parents=True)
    file.write_text("source,target\nX,femail\n", encoding="utf-8")
    result = musubi("mapping", "lint", "--overlay", "site")
    assert (
        result.code == 1
        and f"{Path('site/tables/administrative-gender.csv')}:2: error: 'femail'" in result.out.decode()
    )
    findings = json.loads(musubi("mapping", "lint", "--overlay", "site", "--json").out)["findings"]
    assert {"severity", "file", "line", "text"} == set(findings[0])


@pytest.mark.parametrize("arguments", [("sort",), ("docs", "--format", "xml"), ("lint", "--overlay", "nowhere"), ()])
def test_wrong_usage_is_2(musubi: Any, arguments: tuple[str, ...]) -> None:
    result = musubi("mapping", *arguments)
    assert result.code == 2 and result.out == b""
