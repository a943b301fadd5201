"""What two hospitals write in two ways is one; what is two stays two."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.services.matching import normalise


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("髙橋", "高橋"),
        ("山﨑", "山崎"),
        ("渡邊", "渡辺"),
        ("渡邉", "渡辺"),
        ("渡邊\U000e0101", "渡辺"),  # an ideographic variation sequence
        ("齋藤", "斉藤"),
        ("斎藤", "齊藤"),
        ("濵田", "浜田"),
        ("濱田", "濵田"),
        ("澤", "沢"),
        ("廣瀨", "広瀬"),
        ("佐々木", "佐佐木"),
        ("神谷", "神谷"),
        ("𠮷田", "吉田"),
        ("ﾔﾏﾀﾞ", "やまだ"),
        ("カ゛ク", "ガク"),
        ("ﾊ゜ﾊﾟ", "パパ"),
        ("ジョン・スミス", "ジョン スミス"),
        ("O'Hara", "OHARA"),
        ("Satō", "sato"),
    ],
)
def test_letters_of_these_are_one(one: str, other: str) -> None:
    assert normalise.letters(one) == normalise.letters(other)


@pytest.mark.parametrize(("one", "other"), [("渡辺", "渡部"), ("斉藤", "斉東"), ("ハヤシ", "バヤシ"), ("大野", "小野")])
def test_letters_of_these_stay_two(one: str, other: str) -> None:
    assert normalise.letters(one) != normalise.letters(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("サトウ", "サトー"),
        ("サトウ", "サトオ"),
        ("ユウコ", "ユーコ"),
        ("ケイコ", "ケーコ"),
        ("ショウタ", "シヨウタ"),
        ("ハットリ", "ハツトリ"),
        ("チヂワ", "チジワ"),
        ("ミヅキ", "ミズキ"),
        ("カヲル", "カオル"),
        ("ヰノウヱ", "イノウエ"),
        ("ｻﾄ-", "サトウ"),
    ],
)
def test_readings_of_these_are_one(one: str, other: str) -> None:
    assert normalise.reading(normalise.letters(one)) == normalise.reading(normalise.letters(other))


@pytest.mark.parametrize(
    ("one", "other"), [("オオノ", "オノ"), ("ナカシマ", "ナカジマ"), ("ユウト", "ユウタ"), ("サト", "サトウ")]
)
def test_readings_of_these_stay_two(one: str, other: str) -> None:
    assert normalise.reading(one) != normalise.reading(other)


@pytest.mark.parametrize("mark", ["ベビー", "べびー", "ﾍﾞﾋﾞｰ", "BABY", "Baby Boy", "新生児", "花子ベビー"])
def test_what_stands_before_a_newborn_has_a_name_is_no_name(mark: str) -> None:
    assert normalise.is_placeholder(normalise.letters(mark))


def test_a_name_is_no_placeholder() -> None:
    assert not any(normalise.is_placeholder(normalise.letters(name)) for name in ("花子", "健児", "ベベ", "Bob"))
    assert normalise.without_placeholder("佐藤ベビー") == "佐藤"
    assert normalise.without_placeholder("ベビー") == "ベビー"


@pytest.mark.parametrize(
    "written",
    ["0312345678", "03-1234-5678", "０３（１２３４）５６７８", "+81 3-1234-5678", "+81-(0)3-1234-5678", "tel:+81312345678",
     "03ー1234ー5678", "03−1234−5678 内線12", "0081-3-1234-5678", "03 1234 5678 ext. 9"],
)  # fmt: skip
def test_one_telephone(written: str) -> None:
    assert normalise.telephone(written) == "0312345678"


@pytest.mark.parametrize(
    "written", ["", "なし", "1234", "1234-5678", "000-0000-0000", "999-9999-9999", "a@b.example", "9" * 40]
)
def test_what_is_no_telephone_says_nothing(written: str) -> None:
    assert normalise.telephone(written) == ""


def test_mail_addresses() -> None:
    assert normalise.mail("mailto:Ａ@b.Example") == normalise.mail("a@B.example") == "a@b.example"
    assert normalise.mail("03-1234-5678") == ""


@pytest.mark.parametrize(
    ("written", "meant"),
    [("19800102", "19800102"), ("1980-01-02", "19800102"), ("1980/1/2", "19800102"), ("1980年1月2日", "19800102"),
     ("198001021234", "19800102"), ("1980-01", "198001"), ("1980", "1980"), ("19800000", "1980"), ("19800100", "198001"),
     ("", ""), ("昭和55", ""), ("00000000", ""), ("198", "")],
)  # fmt: skip
def test_dates(written: str, meant: str) -> None:
    assert normalise.date(written) == meant


@given(st.text(max_size=40))
def test_any_text_is_taken_and_taken_twice_is_the_same(text: str) -> None:
    once = normalise.letters(text)
    assert normalise.letters(once) == once
    normalise.reading(once)
    normalise.telephone(text)
    assert normalise.date(normalise.date(text)) == normalise.date(text)
