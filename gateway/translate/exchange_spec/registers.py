"""What the operator says about the exchange: registration lists (事前登録リスト), accepted versions, ranges.

The lists are those of section 6 of the convention; their columns are named by us. Small and picklable: every worker has
a copy. Reading them from a folder is services/registers.py.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache

from gateway import mapping_files

Row = Mapping[str, str]

COLUMNS: dict[str, tuple[str, ...]] = {
    "consortia": ("consortium_id",),
    "participants": ("consortium_id", "person_id"),
    "labs": ("consortium_id", "lab_id"),
    "devices": ("model_manufacturer_code", "model_number"),
    "hba1c_methods": ("method_code",),
    "activity_recording": ("model_manufacturer_code", "model_number"),
}
"""List -> the columns that identify a row. A list that is not there is not checked against."""

CHECKED = ("consortia", "participants", "labs")
"""Lists whose absence leaves a check undone (W-NO-LIST)."""


@dataclass(frozen=True, slots=True)
class Registers:
    """The lists by name, each by its key, and the other settings of the exchange."""

    lists: Mapping[str, Mapping[tuple[str, ...], Row]] = field(default_factory=dict)
    versions: tuple[str, ...] = ("1.0",)
    ranges: Mapping[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    """Item -> (lowest, highest) accepted value, instead of the table's."""

    @classmethod
    def of(
        cls,
        lists: Mapping[str, Iterable[Row]],
        versions: Iterable[str] = ("1.0",),
        ranges: Mapping[str, tuple[Decimal, Decimal]] | None = None,
    ) -> "Registers":
        """Raises KeyError for a row without one of the columns that identify it."""
        keyed = {
            name: {tuple(row[column] for column in COLUMNS[name]): row for row in rows} for name, rows in lists.items()
        }
        return cls(keyed, tuple(versions), dict(ranges or {}))

    def has(self, name: str) -> bool:
        return name in self.lists

    def row(self, name: str, *key: str) -> Row | None:
        return self.lists.get(name, {}).get(key)

    def missing(self) -> list[str]:
        """Lists that would have been checked against."""
        return [name for name in CHECKED if name not in self.lists]

    def hba1c_code(self, method: str) -> str:
        """JLAC10 of a method code: by the class of its row; without a row, or with a class nobody knows, "other"."""
        row = self.row("hba1c_methods", method) or {}
        said = _folded(row.get("class", ""))
        return next(
            (code for words, code in _methods() if said and any(word in said for word in words)), _methods()[-1][1]
        )

    def says_jds(self, method: str) -> bool:
        """Whether the method list says that values of this method are JDS and not NGSP."""
        return any("JDS" in _folded(value) for value in (self.row("hba1c_methods", method) or {}).values())


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).upper()


@cache
def _methods() -> tuple[tuple[tuple[str, ...], str], ...]:
    """(words of the class, code); the last row has no words."""
    rows = mapping_files.read_csv(mapping_files.path("exchange-spec", "hba1c-methods.csv"))
    return tuple((tuple(filter(None, row["words"].split("|"))), row["code"]) for row in rows)
