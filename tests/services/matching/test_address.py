"""A house has one form, however it is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.person import PersonAddress
from gateway.services.matching.address import NOWHERE, address


@pytest.mark.parametrize(
    "text",
    [
        "東京都架空区西見本二丁目８番１号　都庁ビル３階",
        "東京都架空区西見本2-8-1",
        "架空区西見本２の８の１",
        "架空区西見本2丁目8番地1",
        "架空区西見本２ー８－１",
        "架空区 西見本 2-8-1 コーポ101",
        "架空区大字西見本2丁目8-1",
        "〒架空区西見本二丁目八番一号",
        "架空区西見本02-08-01",
    ],
)
def test_one_house(text: str) -> None:
    assert address(PersonAddress(text=text))[1:] == ("架空区西見本", ("2", "8", "1"))


def test_parts_and_text_say_the_same() -> None:
    parts = address(PersonAddress("〒１００－００９９", "東京都", "架空区", "西見本2-8-1"))
    assert parts == address(PersonAddress("1000099", text="東京都架空区西見本2-8-1"))
    assert parts.postal == "1000099"


@pytest.mark.parametrize(
    ("text", "area", "numbers"),
    [
        ("千代田区一番町3番地5", "千代田区1番町", ("3", "5")),
        ("千代田区１番町3-5", "千代田区1番町", ("3", "5")),
        ("神戸市三ノ宮町二-八-一", "神戸市三宮町", ("2", "8", "1")),
        ("八王子市二ノ丸一ノ二", "八王子市二丸", ("1", "2")),
        ("例示市四谷3-八", "例示市四谷", ("3", "8")),
        ("三重県津市大谷町12", "津市大谷町", ("12",)),
        ("例示市二十三番地", "例示市", ("23",)),
        ("例示市百二番地", "例示市", ("102",)),
        ("北海道架空市北一条西二丁目3", "架空市北1条西", ("2", "3")),
        ("長野県見本郡仮名町大字長倉100-2", "仮名町長倉", ("100", "2")),
        ("見本ヶ丘1-1", "見本ケ丘", ("1", "1")),
        ("見本が丘1-1", "見本ケ丘", ("1", "1")),
        ("見本町1-2-3-405", "見本町", ("1", "2", "3", "405")),
        ("見本町", "見本町", ()),
    ],
)
def test_places(text: str, area: str, numbers: tuple[str, ...]) -> None:
    assert address(PersonAddress(text=text)) == ("", area, numbers)


def test_no_place_at_all() -> None:
    assert address(PersonAddress()) == NOWHERE
    assert address(PersonAddress(postal_code="000-0000", text=" 　")) == NOWHERE


@given(st.text(max_size=80), st.text(max_size=12))
def test_any_text_is_taken(text: str, postal: str) -> None:
    found = address(PersonAddress(postal_code=postal, text=text))
    assert len(found.numbers) <= 4


def test_a_long_text_takes_no_time() -> None:
    address(PersonAddress(text="一" * 100_000))
    address(PersonAddress(text="1-" * 100_000))
