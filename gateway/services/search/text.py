"""Folding of text for string searches, the same for what is stored and for what is asked.

FHIR R4 3.1.1.4.8 wants case and accents ignored; JP Core 1.2.0 adds for Japanese: full and half width (全角・半角),
hiragana and katakana (ひらがな・カタカナ), old and new kanji forms (旧字体・新字体).
"""

import unicodedata
from functools import lru_cache

from gateway import mapping_files

_CACHED = 2_048
_VOICED_MARKS = "\u3099\u309a"  # combining 濁点 and 半濁点: they make another letter, not an accent
_DASHES = frozenset("-‐‑–—―−")  # also typed for ー inside a katakana word
_KATAKANA_SHIFT = ord("ァ") - ord("ぁ")


def _translation() -> dict[int, int]:
    table = {code: code + _KATAKANA_SHIFT for code in (*range(ord("ぁ"), ord("ゖ") + 1), ord("ゝ"), ord("ゞ"))}
    for row in mapping_files.read_csv(mapping_files.path("tables", "kanji-variants.csv")):
        table[ord(row["variant"])] = ord(row["common"])
    return table


_TABLE = _translation()


@lru_cache(maxsize=_CACHED)
def fold(text: str) -> str:
    """`text` in the one form in which strings are compared. Folding twice changes nothing."""
    if text.isascii():
        return " ".join(text.lower().split())
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_TABLE)
    folded = _long_vowels(unicodedata.normalize("NFKC", folded))
    kept = "".join(
        letter
        for letter in unicodedata.normalize("NFD", folded)
        if letter in _VOICED_MARKS or unicodedata.category(letter) != "Mn"
    )
    return " ".join(unicodedata.normalize("NFC", kept).split())


def _long_vowels(text: str) -> str:
    """A dash right after katakana is the long vowel mark ー; any other dash is a hyphen."""
    if not _DASHES & set(text):
        return text
    letters = list(text)
    for at, letter in enumerate(letters):
        if letter in _DASHES:
            letters[at] = "ー" if at and "ァ" <= letters[at - 1] <= "ー" else "-"
    return "".join(letters)
