"""Where the data files of `mappings/` are: in the checkout, or packed inside the wheel."""

import csv
from collections.abc import Iterator
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_PACKED = _PACKAGE / "_mappings"

ROOT = _PACKED if _PACKED.is_dir() else _PACKAGE.parent / "mappings"


def path(*parts: str) -> Path:
    """The path of one mapping file, e.g. path("tables", "observation-status.csv")."""
    return ROOT.joinpath(*parts)


def read_csv(file: Path) -> Iterator[dict[str, str]]:
    """Rows of a table as strings; lines that start with `#` hold the source and are passed over."""
    with file.open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(line for line in lines if not line.startswith("#"))
