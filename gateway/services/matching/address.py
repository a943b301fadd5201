"""A Japanese address (住所) in the form in which two are compared: postal code, place, and the numbers of the house.

`東京都新宿区西新宿二丁目８番１号　都庁ビル３階`, `新宿区西新宿2-8-1` and `西新宿２の８の１` have the numbers 2, 8, 1. What follows the
numbers (the building, 建物名) is left out: half of all senders do not write it.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from gateway.model.person import PersonAddress
from gateway.services.search.text import fold

_MAX_LETTERS = 400
_MAX_NUMBERS = 4
"""丁目, 番, 号, and a room behind a last hyphen."""
_DIGITS = {letter: value for value, letter in enumerate("〇一二三四五六七八九")} | {"零": 0}
_KANJI = "〇零一二三四五六七八九十百千"
_KANJI_NUMBER = re.compile(
    rf"[{_KANJI}]+(?=丁目|丁|番地|番|号|条|線|[ノ\-](?=[\d{_KANJI}]))|(?<=[\dー{_KANJI}][ノ\-])[{_KANJI}]+"
)
"""Numbers in kanji where a number stands; 三ノ宮 and 八王子 are names."""
_PREFECTURE = re.compile(r"^(?:東京都|北海道|(?:京都|大阪)府|[^都道府県\d]{2,3}県)")
_COUNTY = re.compile(r"^[^市区町村\d]{1,4}郡(?!市|山市|上市)(?=[^\d]*[町村])")
_NOISE = re.compile(r"大字|小字|字(?=[^\d]{2,})|\s|[,、，.]")
_BETWEEN_KANJI = re.compile(r"(?<=[一-鿿])(?:([ケヶガ])|[ノ之])(?=[一-鿿])")
_FIRST_DIGIT = re.compile(r"\d(?!\d*(?:条|線|番町))")
"""北1条 and 西5線 are streets in Hokkaido, 1番町 is a town: the house begins after them."""
_HOUSE = re.compile(r"(\d+)(?:丁目|丁|番地ノ|番地|番|号室|号|-|ー|ノ)?")


class Address(NamedTuple):
    postal: str
    """Seven digits, or ""."""
    area: str
    """Town and what stands before it, folded, without prefecture and county."""
    numbers: tuple[str, ...]
    """Of the house, at most four, without zeros in front."""


NOWHERE = Address("", "", ())


def address(written: PersonAddress) -> Address:
    """`written` taken apart; empty parts where it says nothing."""
    parts = (written.state, written.city, written.line)
    text = "".join(parts) if written.city or written.line else written.text
    area, numbers = _place(text[:_MAX_LETTERS])
    return Address(_postal(written.postal_code), area, numbers)


@lru_cache(maxsize=4_096)
def _postal(text: str) -> str:
    digits = "".join(re.findall(r"\d+", fold(text)))
    return digits if len(digits) == 7 and len(set(digits)) > 1 else ""


@lru_cache(maxsize=4_096)
def _place(text: str) -> tuple[str, tuple[str, ...]]:
    folded = _NOISE.sub("", fold(text).removeprefix("〒"))
    folded = _KANJI_NUMBER.sub(lambda found: str(_number(found[0])), folded)
    at = _FIRST_DIGIT.search(folded)
    head, tail = (folded[: at.start()], folded[at.start() :]) if at else (folded, "")
    area = _COUNTY.sub("", _PREFECTURE.sub("", head))
    area = _BETWEEN_KANJI.sub(lambda found: "ケ" if found[1] else "", area)
    return area, _house(tail)


def _house(tail: str) -> tuple[str, ...]:
    numbers: list[str] = []
    at = 0
    while len(numbers) < _MAX_NUMBERS and (found := _HOUSE.match(tail, at)):
        numbers.append(found[1].lstrip("0") or "0")
        at = found.end()
        if found[0] == found[1]:
            break  # letters follow: the name of a building, or nothing
    return tuple(numbers)


def _number(kanji: str) -> int:
    """二十三 is 23, 一〇 is 10, 百二 is 102."""
    if not any(letter in "十百千" for letter in kanji):
        return int("".join(str(_DIGITS[letter]) for letter in kanji))
    total = digit = 0
    for letter in kanji:
        unit = {"十": 10, "百": 100, "千": 1000}.get(letter)
        if unit is None:
            digit = _DIGITS[letter]
        else:
            total, digit = total + (digit or 1) * unit, 0
    return total + digit
