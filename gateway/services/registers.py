"""The registration lists of the exchange convention (事前登録リスト) from a folder, once a process."""

import csv
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from gateway.errors import ConfigurationError
from gateway.translate.exchange_spec.items import record_types
from gateway.translate.exchange_spec.registers import COLUMNS, Registers

TOGETHER = "registration-lists.json"
"""All lists in one file: an object of arrays, by the names of the CSV files."""


def load(folder: Path | None, versions: tuple[str, ...], ranges: Mapping[str, tuple[Decimal, Decimal]]) -> Registers:
    """Every list that is there: `<list>.csv` (UTF-8, a header row), or the same lists together in one JSON file. A list that is not
    there is not checked against. Raises ConfigurationError for a folder or a list that cannot be read."""
    known = {name for type_ in record_types().values() for name, item in type_.items.items() if item.low is not None}
    for name, (low, high) in ranges.items():
        if name not in known or low > high:
            raise ConfigurationError(
                f"[exchange_spec.ranges] {name}: known items are {', '.join(sorted(known))}; lowest first"
            )
    if folder is None:
        return Registers(versions=versions, ranges=dict(ranges))
    if not folder.is_dir():
        raise ConfigurationError(f"[exchange_spec] lists: {folder}: no such folder")
    lists = _together(folder / TOGETHER)
    for name in COLUMNS:
        file = folder / f"{name}.csv"
        if file.is_file():
            lists[name] = _rows(file)
    if not lists:
        names = ", ".join(f"{name}.csv" for name in COLUMNS)
        raise ConfigurationError(f"[exchange_spec] lists: {folder} holds none of {names}, {TOGETHER}")
    try:
        return Registers.of(lists, versions, ranges)
    except KeyError as error:
        raise ConfigurationError(f"[exchange_spec] lists: {folder}: a row without {error.args[0]}") from None


def _rows(file: Path) -> list[dict[str, str]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    except (OSError, UnicodeDecodeError, csv.Error):
        raise ConfigurationError(f"{file}: not a CSV file in UTF-8") from None
    if any(None in row or None in row.values() for row in rows):
        raise ConfigurationError(f"{file}: a row has another number of columns than the header")
    return rows


def _together(file: Path) -> dict[str, list[dict[str, str]]]:
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
        found = {
            name: [{key: str(value) for key, value in row.items()} for row in rows] for name, rows in content.items()
        }
    except (OSError, ValueError, AttributeError):
        raise ConfigurationError(f"{file}: not an object of lists in JSON") from None
    unknown = sorted(found.keys() - COLUMNS.keys())
    if unknown:
        raise ConfigurationError(f"{file}: unknown list {unknown[0]!r} (known: {', '.join(COLUMNS)})")
    return found
