"""How a registration desk writes a person down, and what goes wrong there (登録の揺れと誤り).

`as_registered` varies the form only (width, hyphens, blanks); `with_errors` is a second registration years later: moved,
married, mistyped, an era mixed up. Shares are estimates, high on purpose: a matching that passes them has passed worse.
"""

from collections.abc import Callable
from functools import lru_cache
from random import Random
from typing import Any, NamedTuple, Protocol, TypeVar

from gateway.mapping_files import path, read_csv
from gateway.model.person import Demographics, PersonAddress, PersonName
from gateway.sandbox import scripts

T = TypeVar("T", contravariant=True)


class Writer(Protocol[T]):
    def __call__(self, chance: Random, human: T, /) -> Demographics: ...


class Sheet(NamedTuple):
    """What is written down of a person; empty for what is not."""

    family: str
    given: str
    family_kana: str
    given_kana: str
    former: str
    former_kana: str
    birth: str
    sex: str
    postal: str
    town: str
    numbers: tuple[str, ...]
    building: str
    phones: tuple[str, ...]
    order: int
    romaji: bool = False
    undivided: bool = False
    exchanged: bool = False


Slip = Callable[[Random, Sheet], Sheet]

_ERAS = {"M": 1867, "T": 1911, "S": 1925, "H": 1988, "R": 2018}
_KANJI_DIGITS = "〇一二三四五六七八九"


def as_registered(chance: Random, human: Any) -> Demographics:
    """A careful first registration: only the form varies, and what nobody asked for is missing."""
    sheet = _apply(chance, _sheet(human), _FORMS)
    return _demographics(chance, sheet)


def with_errors(chance: Random, human: Any) -> Demographics:
    """A second registration: events of life and errors, then the form."""
    sheet = _apply(chance, _sheet(human), _LIFE + _ERRORS + _FORMS)
    return _demographics(chance, sheet)


def _sheet(human: Any) -> Sheet:
    place = human.place
    return Sheet(
        human.family.kanji,
        human.given.kanji,
        human.family.kana,
        human.given.kana,
        "",
        "",
        human.birth,
        human.sex,
        place.postal,
        place.town,
        (str(place.chome), str(place.banchi), str(place.go)),
        place.building,
        tuple(number for number in (human.mobile, human.home_phone) if number),
        human.order,
    )


def _apply(chance: Random, sheet: Sheet, slips: tuple[tuple[float, Slip], ...]) -> Sheet:
    for share, slip in slips:
        if chance.random() < share:
            sheet = slip(chance, sheet)
    return sheet


# -- life -------------------------------------------------------------------------------------------------------------


def _married(chance: Random, sheet: Sheet) -> Sheet:
    """改姓: a new family name; every second desk asks for the former one."""
    if not (sheet.sex == "F" and "1960" <= sheet.birth[:4] <= "2002"):
        return sheet
    rows = _families()
    kanji, kana = rows[chance.randrange(len(rows))]
    asked = chance.random() < 0.5
    return sheet._replace(
        family=kanji,
        family_kana=kana,
        former=sheet.family if asked else "",
        former_kana=sheet.family_kana if asked else "",
    )


def _moved(chance: Random, sheet: Sheet) -> Sheet:
    number = chance.randrange(1, 350)
    phones = sheet.phones[:1] if chance.random() < 0.7 else (f"000{chance.randrange(10**8):08d}",)
    numbers = (str(chance.randint(1, 6)), str(chance.randint(1, 40)), str(chance.randint(1, 25)))
    return sheet._replace(
        postal=f"000-9{number:03d}", town=f"架空県移転市転居{number}町", numbers=numbers, phones=phones
    )


def _new_phone(chance: Random, sheet: Sheet) -> Sheet:
    return sheet._replace(phones=(f"000{chance.randrange(10**8):08d}",))


def _unnamed(_: Random, sheet: Sheet) -> Sheet:
    """A newborn without a name yet (命名前)."""
    return sheet._replace(given="ベビー", given_kana="ベビー") if sheet.birth >= "2022" else sheet


# -- errors -----------------------------------------------------------------------------------------------------------


def _kana_error(chance: Random, sheet: Sheet) -> Sheet:
    part = chance.choice(("family_kana", "given_kana"))
    kana = getattr(sheet, part)
    at = chance.randrange(len(kana))
    other = chance.choice("アイカキコサシスタテトナノマミヤラリン")
    return sheet._replace(**{part: kana[:at] + other + kana[at + 1 :]})


def _unvoiced(chance: Random, sheet: Sheet) -> Sheet:
    """ナカジマ for ナカシマ."""
    voiced, plain = "ガギグゲゴザジズゼゾダデドバビブベボ", "カキクケコサシスセソタテトハヒフヘホ"
    return sheet._replace(family_kana=sheet.family_kana.translate(str.maketrans(voiced, plain)))


def _conversion(chance: Random, sheet: Sheet) -> Sheet:
    """変換ミス: other kanji that are read alike."""
    alike = [one for one in _spellings().get(sheet.given_kana, ()) if one != sheet.given]
    return sheet._replace(given=chance.choice(alike)) if alike else sheet


def _wrong_kanji(chance: Random, sheet: Sheet) -> Sheet:
    kanji = sheet.family
    at = chance.randrange(len(kanji))
    return sheet._replace(family=kanji[:at] + chance.choice("田山川村本野原井") + kanji[at + 1 :])


def _nickname(chance: Random, sheet: Sheet) -> Sheet:
    """A short form (ケン for ケンイチ)."""
    if len(sheet.given) < 2 or len(sheet.given_kana) < 4:
        return sheet
    return sheet._replace(given=sheet.given[:1], given_kana=sheet.given_kana[:2])


def _digit(chance: Random, sheet: Sheet) -> Sheet:
    at = chance.choice((2, 3, 5, 6, 7, 7))
    digits = list(sheet.birth)
    digits[at] = str((int(digits[at]) + chance.choice((1, 1, 2, 9))) % 10)
    changed = "".join(digits)
    plausible = "01" <= changed[4:6] <= "12" and "01" <= changed[6:] <= "28"
    return sheet._replace(birth=changed) if plausible else sheet


def _turned(_: Random, sheet: Sheet) -> Sheet:
    """Day and month in each other's place."""
    birth = sheet.birth
    return sheet._replace(birth=birth[:4] + birth[6:] + birth[4:6]) if birth[6:] <= "12" else sheet


def _era(chance: Random, sheet: Sheet) -> Sheet:
    """The right year of the wrong era, or an era's year read as a western one."""
    year = int(sheet.birth[:4])
    base = max(start for start in _ERAS.values() if start < year)
    choices = [start + year - base for start in _ERAS.values() if start != base]
    choices.append((1900 if base == 1925 else 2000) + year - base)
    sensible = [one for one in choices if 1900 < one <= 2024 and one != year]
    return sheet._replace(birth=f"{chance.choice(sensible)}{sheet.birth[4:]}") if sensible else sheet


def _other_sex(_: Random, sheet: Sheet) -> Sheet:
    return sheet._replace(sex="F" if sheet.sex == "M" else "M")


def _house_number(chance: Random, sheet: Sheet) -> Sheet:
    return sheet._replace(numbers=(*sheet.numbers[:2], str(chance.randint(1, 25))))


# -- form and gaps ----------------------------------------------------------------------------------------------------


def _variant(chance: Random, sheet: Sheet) -> Sheet:
    """The old or another form of a kanji (髙, 﨑, 邉)."""
    forms = _variants()
    return sheet._replace(
        family="".join(chance.choice(forms[letter]) if letter in forms else letter for letter in sheet.family),
    )


def _without(**gaps: Any) -> Slip:
    def leave_out(_: Random, sheet: Sheet) -> Sheet:
        return sheet._replace(**gaps)

    return leave_out


def _no_kana(_: Random, sheet: Sheet) -> Sheet:
    return sheet if sheet.romaji or not sheet.family else sheet._replace(family_kana="", given_kana="")


def _no_kanji(_: Random, sheet: Sheet) -> Sheet:
    return sheet._replace(family="", given="") if sheet.family_kana else sheet


def _romaji(_: Random, sheet: Sheet) -> Sheet:
    return sheet._replace(romaji=True)


def _year_and_month(chance: Random, sheet: Sheet) -> Sheet:
    return sheet._replace(birth=sheet.birth[: chance.choice((4, 6))])


_LIFE: tuple[tuple[float, Slip], ...] = ((0.06, _married), (0.12, _moved), (0.10, _new_phone), (0.5, _unnamed))
_ERRORS: tuple[tuple[float, Slip], ...] = (
    (0.030, _kana_error),
    (0.020, _unvoiced),
    (0.020, _conversion),
    (0.010, _wrong_kanji),
    (0.006, _nickname),
    (0.020, _digit),
    (0.006, _turned),
    (0.008, _era),
    (0.003, _other_sex),
    (0.030, _house_number),
)
_FORMS: tuple[tuple[float, Slip], ...] = (
    (0.20, _variant),
    (0.03, _romaji),
    (0.12, _no_kana),
    (0.05, _no_kanji),
    (0.03, _without(undivided=True)),
    (0.006, _without(exchanged=True)),
    (0.006, _year_and_month),
    (0.004, _without(birth="")),
    (0.02, _without(sex="")),
    (0.08, _without(postal="")),
    (0.05, _without(town="", postal="", numbers=())),
    (0.12, _without(phones=())),
    (0.50, _without(building="")),
    (0.60, _without(order=0)),
)


@lru_cache(maxsize=1)
def _families() -> tuple[tuple[str, str], ...]:
    return tuple((row["kanji"], row["kana"]) for row in read_csv(path("tables", "family-name-shares.csv")))


@lru_cache(maxsize=1)
def _spellings() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in read_csv(path("tables", "given-name-shares.csv")):
        found.setdefault(row["kana"], []).append(row["kanji"])
    return found


@lru_cache(maxsize=1)
def _variants() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in read_csv(path("tables", "kanji-variants.csv")):
        found.setdefault(row["common"], []).append(row["variant"])
    return found


# -- writing ----------------------------------------------------------------------------------------------------------


def _demographics(chance: Random, sheet: Sheet) -> Demographics:
    names: list[PersonName] = []
    if sheet.family:
        names.append(_name(sheet, sheet.family, sheet.given, "kanji"))
    if sheet.family_kana:
        script = chance.choice(
            (
                scripts.as_it_is,
                scripts.as_it_is,
                scripts.hiragana,
                scripts.half_width,
                scripts.large_half_width,
                scripts.dashed,
            )
        )
        names.append(_name(sheet, script(sheet.family_kana), script(sheet.given_kana), "kana"))
    if sheet.romaji and sheet.family_kana:
        write = chance.choice((scripts.hepburn, scripts.passport, scripts.kunrei))
        names.append(_name(sheet, write(sheet.family_kana), write(sheet.given_kana), "romaji"))
    if sheet.former:
        names.append(PersonName(sheet.former, sheet.given, "", "kanji", "maiden"))
        names.append(PersonName(sheet.former_kana, sheet.given_kana, "", "kana", "maiden"))
    return Demographics(
        names=tuple(names),
        birth_date=sheet.birth,
        sex=sheet.sex,
        addresses=(_address(chance, sheet),) if sheet.town else (),
        telecoms=tuple(_phone(chance, number) for number in sheet.phones[: chance.choice((1, 2))]),
        birth_order=sheet.order or None,
        multiple_birth=True if sheet.order else None,
    )


def _name(sheet: Sheet, family: str, given: str, kind: Any) -> PersonName:
    if sheet.exchanged:
        family, given = given, family
    return PersonName(family + given, "", "", kind) if sheet.undivided else PersonName(family, given, "", kind)


def _address(chance: Random, sheet: Sheet) -> PersonAddress:
    numbers = sheet.numbers
    if not numbers:
        house = ""
    elif chance.random() < 0.4:
        chome = _KANJI_DIGITS[int(numbers[0])] if chance.random() < 0.5 else numbers[0]
        house = f"{chome}丁目{numbers[1]}番{numbers[2]}号"
    else:
        house = chance.choice(("-", "－", "ー", "の")).join(numbers)
    if chance.random() < 0.4:
        house = "".join(chr(ord(letter) + 0xFEE0) if letter.isdigit() else letter for letter in house)
    text = sheet.town + house
    if chance.random() < 0.2:
        text = text[3:] if text[2] in "都府県" else text[4:] if text[3] == "県" else text
    text = text.replace("ヶ", chance.choice(("ヶ", "ケ", "が")))
    text += f"　{sheet.building}" if sheet.building else ""
    postal = sheet.postal.replace("-", "") if chance.random() < 0.5 else sheet.postal
    return PersonAddress(postal_code=postal, text=text, country="JPN", use="home")


def _phone(chance: Random, number: str) -> str:
    parts = (number[:3], number[3:7], number[7:])
    form = chance.randrange(4)
    if form == 0:
        return number
    if form == 1:
        return "+81-" + "-".join((parts[0][1:], *parts[1:]))
    written = "-".join(parts)
    return written if form == 2 else "".join(chr(ord(letter) + 0xFEE0) for letter in written)
