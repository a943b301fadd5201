"""People with a known truth, for matching (名寄せ): households, twins, and the records several hospitals keep of them.

`records(seed, persons)` gives each person one record, and one in ten a second one, at another hospital or the same,
with the errors real registrations have (slips.py). The same seed gives the same lines; there is no clock.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import NamedTuple

from gateway.codec.persons import PersonLine, read, render
from gateway.mapping_files import path, read_csv
from gateway.model.identity import PatientId
from gateway.model.person import Demographics
from gateway.sandbox import slips
from gateway.sandbox.people import MEDICAL_ID_OID
from gateway.sandbox.tables import DATA, Name

DOMAINS = tuple(f"1.2.392.200119.99999.2.{number}" for number in range(1, 6))
"""Five hospitals of one region, under the test arc."""

_TWIN_BIRTHS = 0.010
_SAME_DOMAIN = 0.3
"""Share of the second records that stand in the first one's hospital."""
_HOLDS_MEDICAL_ID = 0.3
_SHOWS_MEDICAL_ID = 0.5
"""At one registration; mostly the names have to do."""
_LAST_YEAR = 2024
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class Place(NamedTuple):
    postal: str
    town: str
    chome: int
    banchi: int
    go: int
    building: str


@dataclass(frozen=True, slots=True)
class Human:
    """The truth about one person."""

    number: int
    family: Name
    given: Name
    birth: str
    sex: str
    place: Place
    home_phone: str
    mobile: str
    twins: int = 0
    order: int = 0
    medical_id: str = ""


def records(seed: int, persons: int, duplicates: float = 0.10) -> Iterator[PersonLine]:
    """Records of `persons` people in an order that says nothing; `duplicates`: share of people with a second record."""
    chance = Random(seed)
    made: list[bytes] = []  # a million records are 0.5 GB as lines, and ten times that as objects
    numbers = dict.fromkeys(DOMAINS, 0)
    for human in humans(chance, persons):
        first = chance.randrange(len(DOMAINS))
        made.append(render(_record(chance, human, DOMAINS[first], numbers, slips.as_registered)))
        if chance.random() < duplicates:
            second = first if chance.random() < _SAME_DOMAIN else (first + chance.randint(1, 4)) % len(DOMAINS)
            made.append(render(_record(chance, human, DOMAINS[second], numbers, slips.with_errors)))
    chance.shuffle(made)
    yield from map(read, made)


def _record(
    chance: Random, human: Human, domain: str, numbers: dict[str, int], write: "slips.Writer[Human]"
) -> PersonLine:
    numbers[domain] += 1
    ids = [PatientId(f"{numbers[domain]:08d}", domain)]
    if human.medical_id and chance.random() < _SHOWS_MEDICAL_ID:
        ids.append(PatientId(human.medical_id, MEDICAL_ID_OID))
    demographics: Demographics = write(chance, human)
    return PersonLine(human.number, tuple(ids), demographics, human.twins)


# -- the truth --------------------------------------------------------------------------------------------------------


def humans(chance: Random, persons: int) -> Iterator[Human]:
    """Households one after another, `persons` people in all."""
    made = 0
    twins = 0
    while made < persons:
        for human in _household(chance):
            if made == persons:
                return
            made += 1
            if human.twins:
                twins += human.order == 1
                human = replace(human, twins=twins)
            held = f"99{chance.randrange(10**14):014d}" if chance.random() < _HOLDS_MEDICAL_ID else ""
            yield replace(human, number=made, medical_id=held)


def _household(chance: Random) -> Iterator[Human]:
    """One to two adults and up to three births; all share family name, place and home telephone."""
    family, place, phone = draw_family(chance), draw_place(chance), draw_phone(chance)
    base = chance.randint(1930, 2003)
    head = chance.choice("MF")

    def member(year: int, sex: str, month_day: str = "") -> Human:
        birth = f"{year}{month_day or draw_day(chance)}"
        mobile = draw_phone(chance) if _LAST_YEAR - year > 14 else ""
        return Human(0, family, draw_given(chance, sex), birth, sex, place, phone, mobile)

    yield member(base, head)
    if chance.random() < 0.55:
        yield member(base + chance.randint(-6, 6), "F" if head == "M" else "M")
    for _ in range(chance.choice((0, 0, 1, 1, 2, 3))):
        year = base + chance.randint(22, 38)
        if year > _LAST_YEAR:
            continue
        child = member(year, chance.choice("MF"))
        if chance.random() >= _TWIN_BIRTHS:
            yield child
            continue
        yield replace(child, twins=1, order=1)
        yield _twin(
            chance, child, member(year, child.sex if chance.random() < 0.65 else chance.choice("MF"), child.birth[4:])
        )


def _twin(chance: Random, first: Human, second: Human) -> Human:
    """The second child: never the same name; every third pair has names that begin or end alike (翔太, 翔平)."""
    given = second.given
    if chance.random() < 0.33 and second.sex == first.sex:
        alike = [
            one
            for one in _pool("W" if first.sex == "F" else "M").names
            if one.kanji[:1] == first.given.kanji[:1] and one != first.given
        ]
        given = chance.choice(alike) if alike else given
    while given.kanji == first.given.kanji or given.kana == first.given.kana:
        given = draw_given(chance, second.sex)
    return replace(second, given=given, twins=1, order=2, mobile=second.mobile and first.mobile)


# -- drawing ----------------------------------------------------------------------------------------------------------


class _Pool(NamedTuple):
    names: tuple[Name, ...]
    until: tuple[float, ...]
    """Cumulated shares."""
    firsts: tuple[Name, ...]
    seconds: tuple[Name, ...]
    """Parts of names outside the list."""
    listed: float
    """Share of people whose name is in the list."""


@lru_cache(maxsize=3)
def _pool(kind: str) -> _Pool:
    """Of family names ("F"), men's ("M") or women's given names ("W"); a woman's sex is asked for as "F" elsewhere."""
    table = "family-name-shares.csv" if kind == "F" else "given-name-shares.csv"
    sex = {"M": "M", "W": "F"}.get(kind)
    rows = [row for row in read_csv(path("tables", table)) if sex is None or row["sex"] == sex]
    weights = [int(row["per_100000"]) for row in rows]
    parts = list(read_csv(DATA / "name-parts.csv"))
    first, second = (
        tuple(Name(row["kanji"], row["kana"]) for row in parts if row["place"] == f"{kind}{place}") for place in (1, 2)
    )
    whole = 100_000 if sex is None else 50_000
    return _Pool(
        tuple(Name(row["kanji"], row["kana"]) for row in rows),
        tuple(accumulate(float(weight) for weight in weights)),
        first,
        second,
        sum(weights) / whole,
    )


def _draw(chance: Random, kind: str) -> Name:
    pool = _pool(kind)
    if chance.random() < pool.listed:
        return chance.choices(pool.names, cum_weights=pool.until)[0]
    first, second = chance.choice(pool.firsts), chance.choice(pool.seconds)
    return Name(first.kanji + second.kanji, first.kana + second.kana)


def draw_family(chance: Random) -> Name:
    return _draw(chance, "F")


def draw_given(chance: Random, sex: str) -> Name:
    return _draw(chance, "W" if sex == "F" else "M")


@lru_cache(maxsize=1)
def _towns() -> tuple[tuple[str, str], ...]:
    rows = list(read_csv(DATA / "town-parts.csv"))
    cities = [row["text"] for row in rows if row["place"] == "city"]
    towns = [row["text"] for row in rows if row["place"] == "town"]
    pairs = [city + town for city in cities for town in towns]
    return tuple((f"000-{number:04d}", pair) for number, pair in enumerate(pairs, start=1))


def draw_place(chance: Random) -> Place:
    postal, town = chance.choice(_towns())
    building = ""
    if chance.random() < 0.4:
        name = chance.choice(("コーポ見本", "メゾン仮名", "例示ハイツ", "架空マンション"))
        building = f"{name}{chance.randint(1, 9)}{chance.randint(1, 12):02d}号室"
    return Place(postal, town, chance.randint(1, 6), chance.randint(1, 40), chance.randint(1, 25), building)


def draw_phone(chance: Random) -> str:
    """Under 000, which no telephone has."""
    return f"000{chance.randrange(10**8):08d}"


def draw_day(chance: Random) -> str:
    """MMDD"""
    month = chance.randint(1, 12)
    return f"{month:02d}{chance.randint(1, _DAYS[month - 1]):02d}"
