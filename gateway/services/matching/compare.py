"""How far two records agree, attribute by attribute, as named levels. What a level weighs stands in matching.toml."""

from datetime import date
from functools import lru_cache
from typing import NamedTuple

from gateway import mapping_files
from gateway.services.matching.address import Address
from gateway.services.matching.features import Features, Name
from gateway.services.matching.normalise import is_kana, is_latin

MISSING = "missing"

_EQUAL, _NEAR, _PART, _OTHER, _NONE = "equal", "near", "part", "different", ""
_GOODNESS = {_EQUAL: 4, _NEAR: 2, _PART: 2, _NONE: 1, _OTHER: 0}
_Relation = tuple[str, str]
"""Of the family names and of the given names."""
_EXCHANGED: _Relation = ("swapped", "swapped")
_NOTHING: _Relation = (_NONE, _NONE)
_AGREE: _Relation = (_EQUAL, _EQUAL)

_WHOLE_KANJI = 4
_WHOLE_KANA = 6
"""From so many letters on, a name that stands alone is a whole one and no family name (勅使河原 is the exception)."""

_LEVELS: dict[tuple[str, str], str] = {
    (_EQUAL, _EQUAL): "exact",
    (_EQUAL, _NONE): "kanji",
    (_EQUAL, _NEAR): "reading",
    (_EQUAL, _PART): "reading",
    (_EQUAL, _OTHER): "reading",
    (_NEAR, _EQUAL): "spelling",
    (_PART, _EQUAL): "spelling",
    (_OTHER, _EQUAL): "spelling",
    (_NONE, _EQUAL): "kana",
    (_NONE, _NONE): MISSING,
    (_NONE, _NEAR): "near",
    (_NONE, _PART): "part",
    (_NEAR, _NONE): "near",
    (_NEAR, _NEAR): "near",
    (_NEAR, _PART): "near",
    (_PART, _NEAR): "near",
    (_OTHER, _NEAR): "near",
    (_PART, _NONE): "part",
    (_PART, _PART): "part",
    (_OTHER, _PART): "part",
}
"""Level by the relation in kanji and the relation in reading; every other pair is `different`."""


_NAMES = ("exact", "kanji", "kana", "sound", "spelling", "reading", "swapped", "near", "different")
POSSIBLE: dict[str, frozenset[str]] = {
    "family": frozenset({*_NAMES, "former"}),
    "given": frozenset({*_NAMES, "part"}),
    "birth": frozenset({"equal", "transposed", "digit", "era", "month", "year", "different"}),
    "sex": frozenset({"equal", "different"}),
    "address": frozenset({"same", "part", "town", "different"}),
    "phone": frozenset({"equal", "different"}),
    "mail": frozenset({"equal", "different"}),
    "id": frozenset({"equal", "household", "different"}),
}
"""Every level a comparison may give, besides `missing`; matching.toml has a weight for each of them."""


class Levels(NamedTuple):
    """One level an attribute; the field names are the tables of matching.toml."""

    family: str
    given: str
    birth: str
    sex: str
    address: str
    phone: str
    mail: str
    id: str


class Seen(NamedTuple):
    """What a comparison found, besides the levels."""

    levels: Levels
    family: str
    """The family name that agrees, for its share; "" when none does."""
    given: str
    one_domain: bool
    """Both records carry a number of their own in the same domain."""
    order_differs: bool
    """Two birth orders of a multiple birth."""


def seen(one: Features, other: Features, unique: frozenset[str], household: frozenset[str]) -> Seen:
    """Compares two records. `unique`: OIDs of domains that give one id a person (medical ID); `household`: those whose
    id may be that of a family (insurers)."""
    family, given, family_name, given_name = _names(one, other)
    if family in ("near", "different") and _former_agrees(one, other):
        family = "former"
    levels = Levels(
        family,
        given,
        birth(one.birth, other.birth),
        MISSING if not (one.sex and other.sex) else "equal" if one.sex == other.sex else "different",
        _addresses(one.addresses, other.addresses),
        _any_equal(one.phones, other.phones),
        _any_equal(one.mails, other.mails),
        _ids(one, other, unique, household),
    )
    one_domain = bool(one.ids and other.ids and one.ids[0][0] == other.ids[0][0] and one.ids[0] != other.ids[0])
    order_differs = bool(one.order and other.order and one.order != other.order)
    return Seen(levels, family_name, given_name, one_domain, order_differs)


# -- names ------------------------------------------------------------------------------------------------------------


def _names(one: Features, other: Features) -> tuple[str, str, str, str]:
    """(level of the family name, of the given name, the family name and the given name that agree)."""
    if one.kanji and other.kanji and one.kana and other.kana and one.kanji[0].given and one.kana[0].given:
        mine = one.kanji[0]
        if mine == other.kanji[0] and one.kana[0] == other.kana[0] and not mine.former:  # most pairs that are looked at
            return "exact", "exact", mine.family, mine.given
    kanji, in_kanji = _best(one.kanji, other.kanji, _WHOLE_KANJI)
    heard = not (one.kana and other.kana)
    if heard:
        kana, in_kana = _best(_sounds(one), _sounds(other), _WHOLE_KANA)
    else:
        kana, in_kana = _best(one.kana, other.kana, _WHOLE_KANA)
    if _EXCHANGED in (kanji, kana):
        if kanji in (_EXCHANGED, _NOTHING) and kana in (_EXCHANGED, _NOTHING):
            agreeing = in_kanji or in_kana
            return "swapped", "swapped", agreeing[0], agreeing[1]
        # Only one of the two scripts is exchanged: the other one says who it is.
        kanji = _NOTHING if kanji == _EXCHANGED else kanji
        kana = _NOTHING if kana == _EXCHANGED else kana
    family, given = (_LEVELS.get(pair, _OTHER) for pair in zip(kanji, kana, strict=True))
    if heard:
        family, given = (("sound" if level == "kana" else level) for level in (family, given))
    return (
        "near" if family == "part" else family,
        given,
        in_kanji[0] if kanji[0] == _EQUAL else in_kana[0],
        in_kanji[1] if kanji[1] == _EQUAL else in_kana[1],
    )


def _sounds(person: Features) -> tuple[Name, ...]:
    """Readings as they sound, of kana and of romaji alike."""
    return tuple(Name(*name.sound, name.sound, name.former) for name in (*person.kana, *person.romaji))


def _best(mine: tuple[Name, ...], theirs: tuple[Name, ...], whole: int) -> tuple[_Relation, tuple[str, str]]:
    """The best relation between present names in one script, and the names of the side that has both parts."""
    best: tuple[int, _Relation, tuple[str, str]] = (-1, _NOTHING, ("", ""))
    for one in mine:
        if one.former:
            continue
        for other in theirs:
            if other.former:
                continue
            found = _relation(one, other, whole)
            good = 8 if found == _EXCHANGED else _GOODNESS[found[0]] + _GOODNESS[found[1]]
            if good >= best[0]:
                # The last two decide between equals, so that it makes no difference whose name comes first.
                best = max(best, (good, found, _agreeing(one, other)))
    return best[1], best[2]


def _agreeing(one: Name, other: Name) -> tuple[str, str]:
    """Family and given name as the side has them that took its name apart; where the two are exchanged, in one order
    whoever comes first."""
    if not (one.given and other.given) or one.family == other.family or one.given == other.given:
        apart = one if one.given else other
        return apart.family, apart.given
    shared = {one.family, one.given} & {other.family, other.given}
    return (min(shared), max(shared)) if shared else ("", "")


def _relation(one: Name, other: Name, whole: int) -> _Relation:
    if one.given and other.given:
        family, given = _part(one.family, other.family), _part(one.given, other.given)
        if family == given == _OTHER:
            return _across(one, other)
        if family != _EQUAL and given != _EQUAL and one.family + one.given == other.family + other.given:
            return _AGREE  # divided at another letter
        return family, given
    if one.given or other.given:
        alone, apart = (other.family, one) if one.given else (one.family, other)
        return _undivided(alone, apart)
    if len(one.family) >= whole and len(other.family) >= whole:
        related = _part(one.family, other.family)
        return related, related
    return _part(one.family, other.family), _NONE


def _across(one: Name, other: Name) -> _Relation:
    """Whether family and given name stand in each other's place. With a typing error besides, nobody can tell which of
    the two it is in: it counts as one of the given name, which is what tells twins apart."""
    across = {_part(one.family, other.given), _part(one.given, other.family)}
    if across == {_EQUAL}:
        return _EXCHANGED
    return (_EQUAL, _NEAR) if across == {_EQUAL, _NEAR} else (_OTHER, _OTHER)


def _undivided(alone: str, apart: Name) -> _Relation:
    """A name that stands alone (the whole without a blank, or a family name only) against one taken apart."""
    family, given = apart.family, apart.given
    if alone == family:
        return _EQUAL, _NONE
    if alone == family + given:
        return _AGREE
    if alone == given + family:
        return _EXCHANGED
    if alone == given:
        return _NONE, _EQUAL
    if alone.startswith(family):
        return _EQUAL, _part(alone[len(family) :], given)
    if alone.endswith(given):
        return _part(alone[: -len(given)], family), _EQUAL
    return (_NEAR, _NEAR) if within_one(alone, family + given) else (_part(alone, family), _NONE)


@lru_cache(maxsize=16_384)
def _part(one: str, other: str) -> str:
    """Two family names, or two given names, of one script."""
    if one == other:
        return _EQUAL if one else _NONE
    if not one or not other:
        return _NONE
    short, long = sorted((one, other), key=len)
    if len(short) > 1 and within_one(one, other):
        return _NEAR
    script = _script(short)
    if long.startswith(short) and (script == "kanji" or len(short) > 1):
        return _PART
    return _OTHER if script == _script(long) else _NONE


def _script(name: str) -> str:
    """花子 and ハナコ (はなこ in a name otherwise in kanji) may be one: between two scripts nothing can be said."""
    return "kana" if is_kana(name) else "latin" if is_latin(name) else "kanji"


def within_one(one: str, other: str) -> bool:
    """At most one letter put in, left out or replaced, or two neighbours exchanged (Damerau)."""
    if one == other:
        return True
    short, long = (one, other) if len(one) <= len(other) else (other, one)
    if len(long) - len(short) > 1:
        return False
    at = 0
    while at < len(short) and short[at] == long[at]:
        at += 1
    if len(short) != len(long):
        return short[at:] == long[at + 1 :]
    return short[at + 1 :] == long[at + 1 :] or (
        short[at : at + 2] == long[at + 1 : at - 1 if at else None : -1] and short[at + 2 :] == long[at + 2 :]
    )


def _former_agrees(one: Features, other: Features) -> bool:
    """A former family name of one side is a family name, present or former, of the other."""
    for mine, theirs in ((one.kanji, other.kanji), (one.kana, other.kana), (_sounds(one), _sounds(other))):
        for name in mine:
            if any(name.family == there.family and (name.former or there.former) for there in theirs if name.family):
                return True
    return False


# -- the rest ---------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=65_536)
def birth(one: str, other: str) -> str:
    """Two birth dates (生年月日) of 4, 6 or 8 digits."""
    if not one or not other:
        return MISSING
    if one == other:
        return {8: "equal", 6: "month", 4: "year"}[len(one)]
    short, long = (one, other) if len(one) <= len(other) else (other, one)
    if len(short) < 8:
        return {6: "month", 4: "year"}[len(short)] if long.startswith(short) else "different"
    if one[:4] == other[:4] and one[4:6] == other[6:] and one[6:] == other[4:6]:
        return "transposed"
    if within_one(one, other):
        return "digit"
    return "era" if one[4:] == other[4:] and int(other[:4]) in era_slips(int(one[:4])) else "different"


@lru_cache(maxsize=1)
def _eras() -> tuple[tuple[int, int], ...]:
    """(year before the first, number of years) of each era; the last one is open."""
    rows = mapping_files.read_csv(mapping_files.path("tables", "eras.csv"))
    starts = [date.fromisoformat(row["first_day"]).year for row in rows]
    return tuple(
        (start - 1, end - start + 1) for start, end in zip(starts, [*starts[1:], starts[-1] + 99], strict=True)
    )


@lru_cache(maxsize=1_024)
def era_slips(year: int) -> frozenset[int]:
    """Western years that one slip makes of `year`: the same year of another era (昭和5 for 平成5), or an era's year
    taken for the end of a western one (昭和55 read as 1955, 平成5 as 2005)."""
    return frozenset(_slips(year)) | {there for there in range(year - 130, year + 131) if year in _slips(there)}


def _slips(year: int) -> set[int]:
    made: set[int] = set()
    for before, length in _eras():
        count = year - before
        if 1 <= count <= length:
            made |= {base + count for base, years in _eras() if count <= years}
            made |= {century + count for century in (1900, 2000)} if count < 100 else set()
    return made - {year}


def _addresses(mine: tuple[Address, ...], theirs: tuple[Address, ...]) -> str:
    best = MISSING
    for one in mine:
        for other in theirs:
            level = _address(one, other)
            if level == "same":
                return level
            if _PLACES.index(level) > _PLACES.index(best):
                best = level
    return best


_PLACES = (MISSING, "different", "town", "part", "same")


def _address(one: Address, other: Address) -> str:
    postal = bool(one.postal) and one.postal == other.postal
    area = bool(one.area and other.area) and (one.area.endswith(other.area) or other.area.endswith(one.area))
    if not (postal or area):
        comparable = (one.postal and other.postal) or (one.area and other.area)
        return "different" if comparable else MISSING
    if one.numbers and other.numbers:
        if one.numbers == other.numbers:
            return "same"
        shared = min(len(one.numbers), len(other.numbers))
        if shared > 1 and one.numbers[:shared] == other.numbers[:shared]:
            return "part"
    return "town"


def _any_equal(mine: tuple[str, ...], theirs: tuple[str, ...]) -> str:
    if not mine or not theirs:
        return MISSING
    return "equal" if mine == theirs or not set(mine).isdisjoint(theirs) else "different"


def _ids(one: Features, other: Features, unique: frozenset[str], household: frozenset[str]) -> str:
    """`household`: the ids that agree may be those of a family (insurers)."""
    common = set(one.ids).intersection(other.ids) if one.ids and other.ids else set()
    if common:
        return "household" if all(authority in household for authority, _ in common) else "equal"
    if unique:
        held = {authority for authority, _ in one.ids}
        if any(authority in unique and authority in held for authority, _ in other.ids):
            return "different"
    return MISSING
