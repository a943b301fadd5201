"""Folded terms: what is stored and what is asked meet."""

import pytest

from gateway.model.person import Demographics, PersonAddress, PersonName
from gateway.services.persons.terms import MAX_TERM, postal, telecom, terms, tight


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("サトウ", "ｻﾄｳ"),
        ("さとう", "サトウ"),
        ("髙﨑", "高崎"),
        ("ＳＡＴＯ", "sato"),
        ("佐藤　翔太", "佐藤翔太"),
        ("ｶﾞｷﾞ", "ガギ"),
    ],
)
def test_forms_that_are_one(one: str, other: str) -> None:
    assert tight(one) == tight(other)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("03-1234-5678", "0312345678"),
        ("+81-3-1234-5678", "0312345678"),
        ("０３（１２３４）５６７８", "0312345678"),
        ("+81 (0)3 1234 5678", "0312345678"),
        ("A@Example.JP", "a@example.jp"),
    ],
)
def test_telephones(number: str, expected: str) -> None:
    assert telecom(number) == expected


def test_postal_codes() -> None:
    assert postal("〒１００−０００１") == postal("100-0001") == "1000001"
    assert postal("SW1A 1AA") and tight("") == postal("") == ""


def test_every_name_gives_its_parts_and_a_name_nobody_took_apart_its_words() -> None:
    known = Demographics(
        names=(
            PersonName("佐藤", "花子", "", "kanji"),
            PersonName(text="サトウ　ハナコ", kind="kana"),
            PersonName("SMITH", "Mary Ann", "", "romaji"),
            PersonName("鈴木", "", "", "kanji", "maiden"),
        ),
        mothers_maiden_name=PersonName(text="山田 梅"),
    )
    found = set(terms(known))
    assert {
        ("f", "佐藤"),
        ("g", "花子"),
        ("w", "佐藤花子"),
        ("f", "サトウ"),
        ("g", "ハナコ"),
        ("w", "サトウハナコ"),
    } <= found
    assert {("f", "smith"), ("g", "maryann"), ("g", "mary"), ("g", "ann"), ("f", "鈴木")} <= found
    assert {("m", "山田"), ("m", "梅"), ("m", "山田梅")} <= found
    assert all(value for _, value in found)


def test_an_address_gives_its_parts_and_the_whole() -> None:
    known = Demographics(
        addresses=(PersonAddress("100-0001", "東京都", "千代田区", "千代田1-1", "東京都千代田区千代田1-1", "JP"),)
    )
    assert {("p", "1000001"), ("s", "東京都"), ("c", "千代田区"), ("n", "jp"), ("a", "東京都千代田区千代田1-1")} <= set(
        terms(known)
    )


def test_a_name_of_ten_megabytes_is_one_short_term() -> None:
    found = terms(Demographics(names=(PersonName("長" * 10_000_000),)))
    assert max(len(value) for _, value in found) <= MAX_TERM
