"""Kana and romaji of every system sound alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.services.matching import romaji
from gateway.services.matching.normalise import letters


@pytest.mark.parametrize(
    ("kana", "written"),
    [
        ("サトウ", "SATO Satou SATOH Satō SATÔ SATOO"),
        ("ショウタ", "Shota SYOTA Shouta Shōta"),
        ("シヨウタ", "SHOTA SYOUTA"),
        ("ツチヤ", "Tsuchiya TUTIYA"),
        ("フジワラ", "Fujiwara HUZIWARA HUJIWARA"),
        ("チヅル", "Chizuru TIZURU CHIDURU"),
        ("シンバシ", "Shimbashi SHINBASHI SINBASI"),
        ("ホンマ", "Homma HONMA"),
        ("サンペイ", "Sampei SANPEI"),
        ("ハットリ", "Hattori HATTORI"),
        ("ハツトリ", "HATTORI"),
        ("ホッチ", "Hotchi HOCCHI HOTTI"),
        ("ケンイチ", "Ken'ichi KENICHI KENITI"),
        ("オオノ", "Ohno Ono OONO Ōno"),
        ("オハラ", "Ohara"),
        ("イノウエ", "Inoue"),
        ("ジュンコ", "Junko ZYUNKO JYUNKO"),
        ("キョウコ", "Kyoko KYOUKO Kyōko"),
        ("キヨシ", "Kiyoshi KIYOSI"),
        ("ユウコ", "Yuko YUUKO Yūko"),
        ("リョウ", "Ryo RYOH RYOU"),
        ("ケイコ", "Keiko KEIKO"),
        ("イイダ", "Iida IIDA"),
        ("カヲル", "Kaoru KAWORU"),
        ("ヴィクトリア", "BIKUTORIA"),
    ],
)
def test_one_sound(kana: str, written: str) -> None:
    heard = romaji.of_kana(letters(kana))
    assert heard
    assert {romaji.of_romaji(letters(one)) for one in written.split()} == {heard}


@pytest.mark.parametrize(
    ("kana", "written"), [("サトウ", "KATO"), ("オハラ", "OARA"), ("コウノ", "KANO"), ("マツダ", "MATSUTA")]
)
def test_two_sounds(kana: str, written: str) -> None:
    assert romaji.of_kana(kana) != romaji.of_romaji(letters(written))


@given(st.text(alphabet="アイウエオカシチツナハヤユヨラワンッャュョー", max_size=12))
def test_any_kana_has_a_sound_and_no_error(kana: str) -> None:
    assert set(romaji.of_kana(kana)) <= set("ABDEGHIKMNOPRSTUWYZ")
