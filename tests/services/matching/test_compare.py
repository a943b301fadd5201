"""Levels of agreement, attribute by attribute."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.person import Demographics
from gateway.services.matching.compare import POSSIBLE, birth, era_slips, seen, within_one
from gateway.services.matching.features import features
from tests.person_parts import person

NONE: frozenset[str] = frozenset()


def levels(one: Demographics, other: Demographics) -> dict[str, str]:
    a, b = features(one), features(other)
    found, back = seen(a, b, NONE, NONE), seen(b, a, NONE, NONE)
    assert found.levels == back.levels, "which record is named first makes no difference"
    return found.levels._asdict()


def name_levels(one: Demographics, other: Demographics) -> tuple[str, str]:
    found = levels(one, other)
    return found["family"], found["given"]


BASE = person("佐藤 翔太", "サトウ ショウタ")


@pytest.mark.parametrize(
    ("other", "family", "given"),
    [
        (person("佐藤 翔太", "サトー シヨウタ"), "exact", "exact"),
        (person("佐藤 翔太", ""), "kanji", "kanji"),
        (person("", "ｻﾄｳ ｼﾖｳﾀ"), "kana", "kana"),
        (person("", "", "SATOH Shōta"), "sound", "sound"),
        (person("", "", "SHOTA SATO"), "swapped", "swapped"),
        (person("佐藤 祥太", "サトウ ショウタ"), "exact", "spelling"),
        (person("佐東 翔太", "サトウ ショウタ"), "spelling", "exact"),
        (person("佐藤 翔太", "サトウ カケタ"), "exact", "reading"),
        (person("佐藤 翔太", "サトウ ショウダ"), "exact", "reading"),
        (person("", "サトウ ショウダ"), "kana", "near"),
        (person("", "サトウ ショウ"), "kana", "near"),
        (person("佐藤 翔平", "サトウ ショウヘイ"), "exact", "different"),
        (person("佐藤 翔平", ""), "kanji", "near"),
        (person("佐藤 健", ""), "kanji", "different"),
        (person("鈴木 翔太", "スズキ ショウタ"), "different", "exact"),
        (person("鈴木 翔太", "スズキ ショウタ", former="佐藤 翔太"), "former", "exact"),
        (person("翔太 佐藤", "ショウタ サトウ"), "swapped", "swapped"),
        (person("翔太 佐藤", "ショウタ サドウ"), "kana", "near"),
        (person("翔平 佐藤", "ショウヘイ サトウ"), "reading", "different"),
        (person("翔太 佐藤", "サトウ ショウタ"), "kana", "kana"),
        (person("佐藤翔太", "サトウショウタ"), "exact", "exact"),
        (person("佐藤翔太", ""), "kanji", "kanji"),
        (person("翔太佐藤", ""), "swapped", "swapped"),
        (person("佐藤翔平", ""), "kanji", "near"),
        (person("佐藤 ベビー", "サトウ ベビー"), "exact", "missing"),
        (person("", "サトウ"), "kana", "missing"),
        (person("", ""), "missing", "missing"),
        (person("佐藤 しょうた", "サトウ ショウタ"), "exact", "kana"),
        (person("佐藤 しょうた", ""), "kanji", "missing"),
        (person("佐藤 けん", ""), "kanji", "missing"),
        (person("Satō Shōta", ""), "sound", "sound"),
        (person("田中 一郎", "タナカ イチロウ"), "different", "different"),
    ],
)
def test_names(other: Demographics, family: str, given: str) -> None:
    assert name_levels(BASE, other) == (family, given)


def test_a_short_form_begins_the_name() -> None:
    assert name_levels(person("", "ミホン ケンイチロウ"), person("", "ミホン ケン")) == ("kana", "part")


def test_names_divided_at_another_letter_are_one() -> None:
    assert name_levels(person("佐藤翔 太", ""), person("佐藤 翔太", "")) == ("kanji", "kanji")


def test_two_undivided_names() -> None:
    assert name_levels(person("佐藤翔太", ""), person("佐藤翔太", "")) == ("kanji", "kanji")
    assert name_levels(person("佐藤", ""), person("佐藤", "")) == ("kanji", "missing")


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ("19800102", "19800102", "equal"),
        ("19800102", "19800201", "transposed"),
        ("19800102", "19800103", "digit"),
        ("19800102", "19800120", "digit"),
        ("19800102", "19080102", "digit"),
        ("19800102", "19550102", "era"),  # 昭和55 read as 1955
        ("19300607", "19930607", "era"),  # 昭和5, 平成5
        ("19930607", "20050607", "era"),  # 平成5 read as 2005
        ("20200607", "19900607", "era"),  # 令和2, 平成2
        ("19800102", "198001", "month"),
        ("19800102", "1980", "year"),
        ("1980", "198001", "year"),
        ("1980", "1980", "year"),
        ("198001", "198001", "month"),
        ("19800102", "1981", "different"),
        ("19800102", "19810203", "different"),
        ("", "19810203", "missing"),
    ],
)
def test_birth_dates(one: str, other: str, level: str) -> None:
    assert birth(one, other) == birth(other, one) == level


def test_eras_slip_both_ways() -> None:
    assert 1955 in era_slips(1980) and 1993 in era_slips(1930)
    assert all(year in era_slips(there) for year in (1930, 1980, 1993, 2020) for there in era_slips(year))


@pytest.mark.parametrize(
    ("home", "postal", "level"),
    [
        ("東京都架空区見本1-2-3", "100-0099", "same"),
        ("架空区見本一丁目２番３号 コーポ205", "", "same"),
        ("架空区見本1-2", "", "part"),
        ("架空区見本1-2-3-405", "1000099", "part"),
        ("架空区見本9-9-9", "", "town"),
        ("", "100-0099", "town"),
        ("大阪府例示市仮名1-2-3", "500-0001", "different"),
        ("大阪府例示市仮名1-2-3", "", "different"),
        ("", "", "missing"),
    ],
)
def test_addresses(home: str, postal: str, level: str) -> None:
    assert levels(BASE, person("佐藤 翔太", "サトウ ショウタ", home=home, postal=postal))["address"] == level


@pytest.mark.parametrize(
    ("phone", "level"), [("+81 3 1234 5678", "equal"), ("090-1111-2222", "different"), ("", "missing")]
)
def test_telephones(phone: str, level: str) -> None:
    assert levels(BASE, person(phone=phone))["phone"] == level


@pytest.mark.parametrize(
    ("one", "other", "near"),
    [("ab", "ab", 1), ("ab", "ba", 1), ("abc", "ac", 1), ("abc", "abcd", 1), ("abc", "axc", 1), ("abcd", "abdc", 1),
     ("abcd", "badc", 0), ("abc", "cab", 0), ("ab", "abcd", 0), ("", "a", 1), ("abcd", "acbd", 1), ("abcd", "acbe", 0)],
)  # fmt: skip
def test_within_one(one: str, other: str, near: int) -> None:
    assert within_one(one, other) == within_one(other, one) == bool(near)


_NAMES = st.sampled_from(
    [
        "佐藤 翔太",
        "佐藤翔太",
        "翔太 佐藤",
        "佐藤",
        "サトウ ショウタ",
        "SATO SHOTA",
        "佐 翔",
        "林 太",
        "",
        "翔太",
        "サトウ",
    ]
)


@given(_NAMES, _NAMES, _NAMES, _NAMES, st.sampled_from(["", "佐藤 翔太"]))
def test_every_level_has_a_weight(kanji: str, kana: str, kanji2: str, kana2: str, former: str) -> None:
    found = levels(person(kanji, kana, former=former), person(kanji2, kana2))
    assert all(level in POSSIBLE[name] or level == "missing" for name, level in found.items())
