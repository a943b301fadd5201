"""Folding of text: what a searcher types meets what a hospital wrote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.services.search.text import fold


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("ヤマダ", "やまだ"),
        ("ﾔﾏﾀﾞ ﾀﾛｳ", "やまだ　たろう"),
        ("ＡＢＣ", "abc"),
        ("José", "jose"),
        ("髙橋", "高橋"),
        ("齋藤", "斎藤"),
        ("①", "1"),
        ("スー", "す‐"),
        ("03−1234", "03-1234"),
        ("神", "神"),
    ],
)
def test_these_are_one(written: str, asked: str) -> None:
    assert fold(written) == fold(asked)


@pytest.mark.parametrize(("one", "other"), [("ハ", "バ"), ("ハ", "パ"), ("山田", "山口"), ("タロ", "タロー")])
def test_these_stay_two(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)
