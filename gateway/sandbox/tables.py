"""The sandbox's own tables (data/*.csv) as values, read once."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from gateway.mapping_files import read_csv

DATA = Path(__file__).resolve().parent / "data"


class Name(NamedTuple):
    kanji: str
    kana: str
    sex: str = ""


class Problem(NamedTuple):
    """A disease name (病名) of MEDIS with its ICD-10 code."""

    code: str
    name: str
    icd10: str
    exchange: str
    tag: str


class Allergy(NamedTuple):
    """One allergen as AL1-2 and AL1-3 carry it."""

    category: str
    category_name: str
    code: str
    name: str
    system: str

    @property
    def al1(self) -> str:
        return f"{self.category}^{self.category_name}^HL70127|{self.code}^{self.name}^{self.system}"


class Insurer(NamedTuple):
    law: str
    law_name: str
    number: str
    """Without the check digit."""
    name: str
    symbol: str


class Usage(NamedTuple):
    """A JAMI usage code (用法コード) and the words that say the same."""

    code: str
    words: str
    times: int
    """Intakes a day; 0 when as needed."""

    @property
    def tq1_3(self) -> str:
        return f"{self.code}&{self.words}&JAMISDP01"


class Drug(NamedTuple):
    rxe2: str
    unit: str
    """CE of the unit (RXE-5, RXE-11)."""
    form: str
    """CE of the form (RXE-6); empty when the hospital does not send one."""
    route: str
    doses: tuple[str, ...]
    """Amounts of one intake; empty for external drugs given by the pack."""
    packs: tuple[str, ...]
    group: str
    tag: str


class LabItem(NamedTuple):
    """One laboratory item (検査項目), JLAC10 17 digits. Limits are (low, high) by sex."""

    obx3: str
    unit: str
    limits: dict[str, tuple[float, float]]
    ranges: dict[str, str]
    """OBX-7 by sex; empty for qualitative items."""
    decimals: int
    below: float
    above: float
    panic: tuple[float, float]
    tag: str
    ill: tuple[float, float]
    choices: tuple[str, ...]
    """Words of a qualitative item, each as often as it weighs; the first one is the normal answer."""
    ill_choices: tuple[str, ...]


class Panel(NamedTuple):
    """A group of items ordered together: OBR-4 and SPM-4."""

    obr4: str
    spm4: str
    share: float
    items: tuple[LabItem, ...]


def _rows(name: str) -> list[dict[str, str]]:
    return list(read_csv(DATA / name))


@lru_cache(maxsize=1)
def family_names() -> tuple[Name, ...]:
    return tuple(Name(row["kanji"], row["kana"]) for row in _rows("family-names.csv"))


@lru_cache(maxsize=1)
def given_names() -> tuple[Name, ...]:
    return tuple(Name(row["kanji"], row["kana"], row["sex"]) for row in _rows("given-names.csv"))


@lru_cache(maxsize=1)
def addresses() -> tuple[tuple[str, str], ...]:
    return tuple((row["postcode"], row["address"]) for row in _rows("addresses.csv"))


@lru_cache(maxsize=1)
def problems() -> tuple[Problem, ...]:
    return tuple(Problem(**row) for row in _rows("problems.csv"))


@lru_cache(maxsize=1)
def allergies() -> tuple[Allergy, ...]:
    return tuple(Allergy(**row) for row in _rows("allergies.csv"))


@lru_cache(maxsize=1)
def insurers() -> tuple[Insurer, ...]:
    return tuple(Insurer(**row) for row in _rows("insurers.csv"))


@lru_cache(maxsize=1)
def usages() -> dict[str, tuple[Usage, ...]]:
    """Usages by the group a drug belongs to."""
    found: dict[str, tuple[Usage, ...]] = {}
    for row in _rows("usages.csv"):
        usage = Usage(row["code"], row["words"], int(row["times"] or 0))
        found[row["group"]] = (*found.get(row["group"], ()), usage)
    return found


@lru_cache(maxsize=1)
def drugs() -> tuple[Drug, ...]:
    return tuple(
        Drug(
            rxe2=f"{row['code']}^{row['name']}^HOT9",
            unit=f"{row['unit']}^{row['unit_name']}^MR9P",
            form=f"{row['form']}^{row['form_name']}^MR9P" if row["form"] else "",
            route=f"{row['route']}^{row['route_name']}^HL70162",
            doses=_split(row["doses"]),
            packs=_split(row["packs"]),
            group=row["group"],
            tag=row["tag"],
        )
        for row in _rows("drugs.csv")
    )


@lru_cache(maxsize=1)
def panels() -> tuple[Panel, ...]:
    items: dict[str, list[LabItem]] = {}
    for row in _rows("lab-items.csv"):
        items.setdefault(row["panel"], []).append(_item(row))
    return tuple(
        Panel(
            obr4=f"{row['code']}^{row['name']}^99O03",
            spm4=f"{row['material']}^{row['material_name']}^JC10",
            share=float(row["share"]),
            items=tuple(items[row["panel"]]),
        )
        for row in _rows("lab-panels.csv")
    )


def _item(row: dict[str, str]) -> LabItem:
    ranges = {}
    limits = {}
    for sex, suffix in (("M", "_m"), ("F", "_f")):
        low, high = row["low" + suffix], row["high" + suffix]
        limits[sex] = (float(low or 0), float(high or 0))
        ranges[sex] = "" if not high else f"<={high}" if low == "0" else f"{low}-{high}"
    return LabItem(
        obx3=f"{row['code']}^{row['name']}^JC10",
        unit=f"{row['unit']}^{row['unit']}^99U01" if row["unit"] else "",
        limits=limits,
        ranges=ranges,
        decimals=int(row["decimals"]),
        below=float(row["below"] or "-inf"),
        above=float(row["above"] or "inf"),
        panic=(float(row["panic_low"] or "-inf"), float(row["panic_high"] or "inf")),
        tag=row["tag"],
        ill=(float(row["ill_low"] or 0), float(row["ill_high"] or 0)),
        choices=_weighted(row["choices"]),
        ill_choices=_weighted(row["ill_choices"]),
    )


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split(";")) if text else ()


def _weighted(text: str) -> tuple[str, ...]:
    """`(-):3;(+):1` -> ("(-)", "(-)", "(-)", "(+)")."""
    words: list[str] = []
    for choice in _split(text):
        word, _, weight = choice.rpartition(":")
        words += [word] * int(weight)
    return tuple(words)
