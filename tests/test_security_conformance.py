"""docs/security-conformance.md: every test it names exists, and every row names one."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "security-conformance.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))
CHECKS_OF_XUA = {str(number) for number in range(1, 16)}


@cache
def _functions(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize(("file", "name"), NAMED, ids=str)
def test_what_is_named_exists(file: str, name: str) -> None:
    assert name in _functions(file)


def test_every_row_names_a_test_and_no_check_of_an_assertion_is_left_out() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and line != "| rule | test |"]
    assert rows and all("`tests/" in row for row in rows)
    assert {row[2:].split(" ")[0] for row in rows if row[2].isdigit()} == CHECKS_OF_XUA
