"""What is kept of a record for matching (特徴): normalised once when it arrives, compared many times.

Nothing of the text as it was written is kept; `to_json` is what storage puts beside a Patient.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

import orjson

from gateway.model.identity import PatientId
from gateway.model.person import Demographics, PersonName
from gateway.services.matching import normalise, romaji
from gateway.services.matching.address import NOWHERE, Address, address
from gateway.services.search.text import fold

_T = TypeVar("_T")

_MAX_NAMES = 6
_MAX_ADDRESSES = 3
_MAX_TELECOMS = 4
_MAX_IDS = 12
_MAX_LETTERS = 60
_BRACKET = re.compile(r"[(（〔\[](?:\s*旧姓?\s*[:：]?)?([^()（）〔〕\[\]]*)[)）〕\]]")
FORMER_USES = frozenset({"old", "maiden"})
"""FHIR name-use of 旧姓."""
GONE_ADDRESS_USES = frozenset({"old"})
_KNOWN_SEXES = frozenset({"M", "F"})


class Name(NamedTuple):
    """One name in one script."""

    family: str
    given: str
    """Empty for a newborn, and where the sender did not take the name apart: then all of it is `family`."""
    sound: tuple[str, str]
    """Of family and given; empty for kanji."""
    former: bool = False

    @property
    def whole(self) -> str:
        return self.family + self.given


class Features(NamedTuple):
    kanji: tuple[Name, ...] = ()
    kana: tuple[Name, ...] = ()
    """`normalise.reading` of each part."""
    romaji: tuple[Name, ...] = ()
    """Only the sound is filled."""
    newborn: bool = False
    """A mark stands in the given name's place (ベビー)."""
    birth: str = ""
    sex: str = ""
    order: int = 0
    """Birth order of a multiple birth; 0 when nobody says."""
    addresses: tuple[Address, ...] = ()
    phones: tuple[str, ...] = ()
    mails: tuple[str, ...] = ()
    ids: tuple[tuple[str, str], ...] = ()
    """(authority, folded value); the record's own id first."""

    def to_json(self) -> bytes:
        return json.dumps(self, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, stored: bytes) -> "Features":
        """What `to_json` gave. Raises ValueError for anything else."""
        values = orjson.loads(stored)
        if not isinstance(values, list) or len(values) != len(cls._fields):
            raise ValueError("no features of this version")
        kanji, kana, latin, newborn, birth, sex, order, places, phones, mails, ids = values
        return cls(
            _names(kanji),
            _names(kana),
            _names(latin),
            newborn,
            birth,
            sex,
            order,
            tuple(Address(postal, area, tuple(numbers)) for postal, area, numbers in places),
            tuple(phones),
            tuple(mails),
            tuple((authority, value) for authority, value in ids),
        )


def _names(stored: list[tuple[str, str, tuple[str, str], bool]]) -> tuple[Name, ...]:
    return tuple(Name(family, given, (sound[0], sound[1]), former) for family, given, sound, former in stored)


def features(demographics: Demographics, ids: tuple[PatientId, ...] = ()) -> Features:
    """The comparable form of a record. `ids`: the record's own id first, then other ids of the same person."""
    scripts: dict[str, list[Name]] = {"kanji": [], "kana": [], "romaji": []}
    newborn = False
    for name in _unbracketed(demographics.names[:_MAX_NAMES]):
        family, given, marked = _parts(name)
        newborn |= marked
        for script, made in _forms(family, given, name):
            if made not in scripts[script]:
                scripts[script].append(made)
    telecoms = demographics.telecoms[:_MAX_TELECOMS]
    places = (address(one) for one in demographics.addresses[:_MAX_ADDRESSES] if one.use not in GONE_ADDRESS_USES)
    kanji, kana, latin = (tuple(sorted(names, key=_former)) for names in scripts.values())
    return Features(
        kanji,
        kana,
        latin,
        newborn,
        normalise.date(demographics.birth_date),
        demographics.sex if demographics.sex in _KNOWN_SEXES else "",
        demographics.birth_order or 0,
        _distinct(place for place in places if place != NOWHERE),
        _distinct(number for number in map(normalise.telephone, telecoms) if number),
        _distinct(found for found in map(normalise.mail, telecoms) if found),
        _distinct((one.authority, fold(one.value).replace(" ", "")) for one in ids[:_MAX_IDS] if one.value),
    )


def _former(name: Name) -> bool:
    return name.former


def _distinct(values: Iterable[_T]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys(values))


def _unbracketed(names: tuple[PersonName, ...]) -> Iterator[PersonName]:
    """`田中(佐藤)` and `田中（旧姓 佐藤）` are a name and a former one; other brackets hold a reading or a remark."""
    for name in names:
        family, inner = _bracket(name.family[:_MAX_LETTERS])
        given, _ = _bracket(name.given[:_MAX_LETTERS])
        text, _ = _bracket(name.text[: 2 * _MAX_LETTERS])
        yield name._replace(family=family, given=given, text=text)
        if inner:
            yield PersonName(inner, given, "", name.kind, "maiden")


def _bracket(text: str) -> tuple[str, str]:
    """The text without its bracket, and what stood in it. A text that is nothing but a bracket stays."""
    found = _BRACKET.search(text)
    if found is None or not (outer := text[: found.start()] + text[found.end() :]).strip():
        return text, ""
    return outer, found[1].strip()


def _parts(name: PersonName) -> tuple[str, str, bool]:
    """Folded family and given name, and whether a newborn's mark stood in the given name's place.

    A text that nobody took apart is divided at its first blank; so is a family name that holds both.
    """
    family, given = name.family, name.given
    if not family and not given:
        family, given = _divided(name.text)
    elif family and not given:
        family, given = _divided(family)
    family, given = normalise.letters(family[:_MAX_LETTERS]), normalise.letters(given[:_MAX_LETTERS])
    if given and normalise.is_placeholder(given):
        return family, "", True
    if given and normalise.is_placeholder(family):
        return given, "", True
    if family and not given:
        named = normalise.without_placeholder(family)
        return named, "", named != family
    return (family, given, False) if family else (given, "", False)


def _divided(text: str) -> tuple[str, str]:
    first, _, rest = " ".join(text[: 2 * _MAX_LETTERS].split()).partition(" ")
    return first, rest


def _forms(family: str, given: str, name: PersonName) -> Iterable[tuple[str, Name]]:
    """The scripts in which a name may be compared. Said kinds are not trusted: kanji stands under SYL in real data."""
    whole, former = family + given, name.use in FORMER_USES
    if not whole:
        return
    if normalise.is_latin(whole):
        yield "romaji", Name("", "", (romaji.of_romaji(family), romaji.of_romaji(given)), former)
        return
    if normalise.is_kana(whole):
        heard = (romaji.of_kana(family), romaji.of_kana(given))
        yield "kana", Name(normalise.reading(family), normalise.reading(given), heard, former)
        if name.kind != "kanji":
            return
    yield "kanji", Name(family, given, ("", ""), former)
