"""One form for each thing that two hospitals write in two ways: names, readings, telephone numbers, dates.

Built on `search.text.fold` (width, case, hiragana, old and variant kanji), so that what a search calls equal is equal
here too. What is specific to a name is added: separate voiced marks, small kana, long vowels, repetition marks.
"""

import re
from functools import lru_cache

from gateway import mapping_files
from gateway.services.search.text import fold

_CACHED = 8_192
_SEPARATE_MARKS = str.maketrans({"゛": "\u3099", "゜": "\u309a", "ﾞ": "\u3099", "ﾟ": "\u309a"})
"""濁点 and 半濁点 that old systems send as a letter of their own; as combining marks they join the kana before them."""
_LARGE = str.maketrans("ァィゥェォャュョッヮヵヶヂヅヲヰヱ", "アイウエオヤユヨツワカケジズオイエ")
"""Small kana that half-width systems cannot write, and letters that sound alike (四つ仮名, ヲ, 歴史的仮名遣い)."""
_KANA = re.compile(r"[ァ-ヺー]+")
_LATIN = re.compile(r"[a-z]+")
_ROWS = {
    vowel: frozenset(letters)
    for vowel, letters in {
        "ア": "アカサタナハマヤラワガザダバパ",
        "イ": "イキシチニヒミリギジビピ",
        "ウ": "ウクスツヌフムユルグズブプヴ",
        "エ": "エケセテネヘメレゲゼデベペ",
        "オ": "オコソトノホモヨロゴゾドボポ",
    }.items()
}
_LENGTHENS = {"ア": "アー", "イ": "イー", "ウ": "ウー", "エ": "エイー", "オ": "オウー"}
"""What makes the vowel before it long (長音): サトウ, サトー and サトオ are one."""
_LONG = {(before, after): True for vowel, row in _ROWS.items() for before in row for after in _LENGTHENS[vowel]}

_BETWEEN = re.compile(r"[\s・･.,，、'’`´\-‐()（）/_]+")
_EIGHT = 8


@lru_cache(maxsize=_CACHED)
def letters(text: str) -> str:
    """A name or a part of one, folded, without blanks and marks between its letters. `佐々木` is `佐佐木`."""
    joined = text.translate(_SEPARATE_MARKS) if not text.isascii() else text
    folded = _BETWEEN.sub("", fold(joined))
    if "々" in folded:
        folded = "".join(folded[at - 1] if mark == "々" and at else mark for at, mark in enumerate(folded))
    return folded


def is_kana(name: str) -> bool:
    """Of `letters`: nothing but katakana (hiragana were folded)."""
    return _KANA.fullmatch(name) is not None


def is_latin(name: str) -> bool:
    return _LATIN.fullmatch(name) is not None


@lru_cache(maxsize=_CACHED)
def reading(kana: str) -> str:
    """Kana in the one spelling in which readings (ヨミ) are compared: large letters, `ー` for every long vowel.

    オオノ and オノ stay two: the length of a vowel tells names apart.
    """
    written = kana.translate(_LARGE)
    heard: list[str] = []
    last = ""
    for letter in written:
        if (last, letter) in _LONG:
            heard.append("ー")
            last = ""
        else:
            heard.append(letter)
            last = letter
    return "".join(heard)


@lru_cache(maxsize=1)
def _newborn_words() -> tuple[frozenset[str], tuple[str, ...]]:
    rows = list(mapping_files.read_csv(mapping_files.path("tables", "newborn-names.csv")))
    words = frozenset(letters(row["word"]) for row in rows)
    return words, tuple(letters(row["word"]) for row in rows if row["at_end"] == "yes")


def is_placeholder(given: str) -> bool:
    """Of `letters`: what stands there before a newborn has a name (命名前)."""
    whole, ends = _newborn_words()
    return given in whole or given.endswith(ends)


def without_placeholder(name: str) -> str:
    """Of `letters`: a name that nobody divided, without the newborn's mark at its end (佐藤ベビー)."""
    for end in _newborn_words()[1]:
        if name.endswith(end) and name != end:
            return name.removesuffix(end)
    return name


@lru_cache(maxsize=_CACHED)
def telephone(text: str) -> str:
    """Digits of a Japanese number with its leading 0; "" for what is no whole number (an extension, 000..., no area code).

    `+81 90-...`, `tel:`, full-width digits, brackets and hyphens of any kind are read.
    """
    written = fold(text)
    if "@" in written:
        return ""
    plus = written.removeprefix("tel:").lstrip(" (").startswith("+")
    digits = "".join(re.findall(r"[0-9]+", re.split(r"内線|ext|;|x(?=\d)", written)[0]))
    if digits.startswith("0081"):
        digits, plus = digits[2:], True
    if digits.startswith("81") and (plus or len(digits) in (11, 12)):
        digits = "0" + digits[2:].removeprefix("0")
    if not 9 <= len(digits) <= 15 or len(set(digits[-_EIGHT:])) == 1:
        return ""
    return digits


def mail(text: str) -> str:
    """A mail address, folded; "" for anything else."""
    found = fold(text).removeprefix("mailto:")
    return found if "@" in found else ""


_DATE = re.compile(r"(\d{4})(?:[-/.年]?(\d{1,2})(?:[-/.月]?(\d{1,2})日?)?)?")


def date(text: str) -> str:
    """YYYY, YYYYMM or YYYYMMDD; "" for what is no date. Time of day is left out; a month 00 or a day 00 is not known."""
    written = text.strip()
    digits = written[:_EIGHT] if written[:_EIGHT].isdigit() else ""
    if not digits:
        found = _DATE.match(written)
        digits = "" if found is None else "".join(part.zfill(2) for part in found.groups() if part)
    if len(digits) not in (4, 6, _EIGHT) or digits[:4] == "0000":
        return ""
    if digits[4:6] == "00":
        return digits[:4]
    return digits[:6] if digits[6:] == "00" else digits
