"""Telling UTF-8, Shift_JIS and EUC-JP apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codec.eight_bit import EUC_JP, SHIFT_JIS, UTF_8, read_segments

NOTHING: frozenset[str] = frozenset()


def one(raw: bytes, declared: frozenset[str] = NOTHING) -> tuple[str, str, int]:
    reading = read_segments([raw], declared)[0]
    return reading.text, reading.charset, reading.bad


def test_no_segments() -> None:
    assert read_segments([], NOTHING) == []


@pytest.mark.parametrize(("codec", "charset"), [("utf-8", UTF_8), ("cp932", SHIFT_JIS), ("euc_jp", EUC_JP)])
@pytest.mark.parametrize("words", ["検査結果のご報告", "ムスビ病院", "急性胃炎の疑い"])
def test_words_with_kana(codec: str, charset: str, words: str) -> None:
    assert one(words.encode(codec)) == (words, charset, 0)


def test_the_declared_charset_decides_between_two_that_fit() -> None:
    raw = "山田".encode("euc_jp")
    assert one(raw, frozenset({EUC_JP})) == ("山田", EUC_JP, 0)
    assert one(raw, frozenset({SHIFT_JIS})) == (raw.decode("cp932"), SHIFT_JIS, 0)
    assert read_segments([raw], NOTHING)[0].guessed
    assert not read_segments([raw], frozenset({EUC_JP}))[0].guessed


def test_other_segments_help_to_decide() -> None:
    raws = ["山田".encode("euc_jp"), "ムスビ".encode("euc_jp")]
    assert [reading.text for reading in read_segments(raws, NOTHING)] == ["山田", "ムスビ"]


def test_one_reading_of_the_six_characters() -> None:
    assert one("あ～∥－￠￡￢".encode("cp932"))[0] == one("あ〜‖−¢£¬".encode("euc_jp"))[0] == "あ〜‖−¢£¬"


def test_vendor_characters_in_euc_jp() -> None:
    """NEC row 13 is A-D in EUC-JP; the strict codec refuses it."""
    assert one("検査はあり".encode("euc_jp") + b"\xad\xa1")[:2] == ("検査はあり①", EUC_JP)


def test_bytes_that_cp932_does_not_have() -> None:
    text, charset, bad = one(b"\x83\x80\x83\x58\xfd")
    assert (text, charset, bad) == ("ムス\ufffd", SHIFT_JIS, 1)


def test_each_segment_alone_when_they_differ() -> None:
    raws = ["検査値です".encode(), "表示能力".encode("cp932"), "検査はあり".encode("euc_jp")]
    readings = read_segments(raws, NOTHING)
    assert [(r.text, r.charset) for r in readings] == [
        ("検査値です", UTF_8),
        ("表示能力", SHIFT_JIS),
        ("検査はあり", EUC_JP),
    ]


def test_a_little_damage_is_no_character_of_another_charset() -> None:
    """Half a surrogate pair in UTF-8 (CESU-8) is three bytes without a character, and not Shift_JIS 恝."""
    whole, damaged = read_segments(["患者^太郎".encode(), b"OBX|\xed\xa0\x80|"], NOTHING)
    assert (whole.charset, damaged.charset, damaged.bad) == (UTF_8, UTF_8, 3)
    alone = read_segments([b"OBX|\xed\xa0\x80|"], frozenset({UTF_8}))[0]
    assert alone.bad > 0


@given(st.lists(st.binary(min_size=1, max_size=40).map(lambda b: bytes(x for x in b if x not in b"\r\n\x1b") or b"a")))
def test_one_reading_for_each_segment_whatever_the_bytes(raws: list[bytes]) -> None:
    readings = read_segments(raws, NOTHING)
    assert len(readings) == len(raws)
    for raw, reading in zip(raws, readings, strict=True):
        assert bool(reading.text) == bool(raw)
        if reading.bad:
            assert "\ufffd" in reading.text and 0 <= reading.first_bad < len(raw)
