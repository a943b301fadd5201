"""The item tables of the exchange convention (健康情報等交換規約 3.1-3.5) as values, from mappings/exchange-spec.

Sources disagree and the full text could not be had, so what is demanded of an item is a row and never code.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Literal

from gateway import mapping_files

Kind = Literal["date", "integer", "number", "string", "code"]


@dataclass(frozen=True, slots=True)
class Item:
    """One cell row of an item table."""

    name: str
    """物理名 physical name."""
    title: str
    kind: Kind
    digits: int
    """Longest printed value, decimal point included."""
    must: bool
    decimals: int | None
    """Digits after the point, at most; None: not limited."""
    codes: frozenset[str]
    """The code list; empty for none."""
    low: Decimal | None
    high: Decimal | None
    """Outside of these the record is refused."""
    cite: str


@dataclass(frozen=True, slots=True)
class RecordType:
    """One kind of record: the array it stands in, its items by name, and what tells two sources apart."""

    name: str
    group: str
    array: str
    aliases: tuple[str, ...]
    source: tuple[str, ...]
    """The items that end the business key: maker, model and serial of a device, or the laboratory."""
    main: str
    """Item of the Observation that carries what belongs to the whole record."""
    title: str
    items: Mapping[str, Item] = field(default_factory=dict)

    @property
    def of_device(self) -> bool:
        return self.source == DEVICE


DEVICE = ("model_manufacturer_code", "model_number", "production_specification_serial")
LAB = ("test_lab_id",)


@dataclass(frozen=True, slots=True)
class Alias:
    name: str
    warn: bool


GROUPS = ("healthcare_information", "health_checkup_information")
"""健康情報 and 検査情報."""


def _rows(name: str) -> list[dict[str, str]]:
    return list(mapping_files.read_csv(mapping_files.path("exchange-spec", f"{name}.csv")))


@cache
def code_lists() -> dict[str, dict[str, str]]:
    """List -> code -> display."""
    found: dict[str, dict[str, str]] = {}
    for row in _rows("code-lists"):
        found.setdefault(row["list"], {})[row["code"]] = row["display"]
    return found


@cache
def aliases() -> dict[str, Alias]:
    """A name that is read for another one."""
    return {row["alias"]: Alias(row["name"], row["warn"] == "yes") for row in _rows("names")}


@cache
def dialect(name: str) -> dict[str, str]:
    """Canonical name -> what a writer of this dialect says instead."""
    return {row["name"]: row["alias"] for row in _rows("names") if row["dialect"] == name}


@cache
def record_types() -> dict[str, RecordType]:
    """By name, in the order in which they are written."""
    items: dict[str, dict[str, Item]] = {}
    for row in _rows("items"):
        items.setdefault(row["record"], {})[row["item"]] = _item(row)
    return {
        row["record"]: RecordType(
            row["record"],
            row["group"],
            row["array"],
            tuple(row["aliases"].split()),
            {"device": DEVICE, "lab": LAB}[row["source"]],
            row["main"],
            row["title"],
            items[row["record"]],
        )
        for row in _rows("records")
    }


def _item(row: dict[str, str]) -> Item:
    kind: dict[str, Kind] = {one: one for one in ("date", "integer", "number", "string", "code")}
    return Item(
        row["item"],
        row["title"],
        kind[row["kind"]],
        int(row["digits"]),
        row["must"] == "M",
        int(row["decimals"]) if row["decimals"] else None,
        frozenset(code_lists()[row["list"]]) if row["list"] else frozenset(),
        Decimal(row["min"]) if row["min"] else None,
        Decimal(row["max"]) if row["max"] else None,
        row["cite"],
    )


@cache
def arrays() -> dict[tuple[str, str], RecordType]:
    """(group, name of the array or one of its aliases) -> record type."""
    return {(one.group, name): one for one in record_types().values() for name in (one.array, *one.aliases)}
