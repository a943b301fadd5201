"""docs/identity-conformance.md: every test it names exists, and no transaction of the identity faces is left out."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "identity-conformance.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))
IDENTITY = {8, 9, 10, 21, 22, 30, 44, 45, 46, 47, 55, 56, 64, 78, 83, 104, 119}


@cache
def _functions(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize(("file", "name"), NAMED, ids=lambda one: str(one))
def test_what_is_named_exists(file: str, name: str) -> None:
    assert name in _functions(file)


def test_every_transaction_has_its_rows_and_every_row_its_test() -> None:
    rows = [line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("| ") and "test |" not in line]
    assert {int(row[0].strip()[4:]) for row in rows if row[0].strip().startswith("ITI-")} == IDENTITY
    assert all("tests/" in row[-1] for row in rows)
