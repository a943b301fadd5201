"""The sound of a name (音), from kana or from romaji of any system, in letters that are the same for both.

ヘボン式 and 訓令式, SATO / SATOU / SATOH / Satō, SHIMBASHI / SINBASI, ショウタ and a ショウタ typed as シヨウタ all meet. It is
lenient on purpose: long vowels are gone, so オオノ and オノ meet too. `normalise.reading` is the strict form.
"""

import re
from functools import lru_cache

from gateway import mapping_files

_CACHED = 8_192
_VOWELS = "AEIOU"
_MARKED = re.compile(r"OH(?![AEIOUY])")
"""The H of SATOH and OHNO; that of OHARA begins a syllable."""
_LARGE_YA = re.compile(r"(?<=[KSTNHMRGZBP])IY(?=[AUO])")
"""KIYO is written for キョ by systems without small kana; キヨシ loses its I with it, on both sides alike."""
_LARGE_TU = re.compile(r"(?<=[AEIOU])TU(?=([KSTP])[AEIOUY])")
_LONG = (
    ("OU", "O"),
    ("OO", "O"),
    ("UU", "U"),
    ("AA", "A"),
    ("II", "I"),
    ("EE", "EI"),
)


def _forms(name: str, written: str, meant: str) -> tuple[re.Pattern[str], dict[str, str]]:
    rows = {row[written]: row[meant] for row in mapping_files.read_csv(mapping_files.path("tables", name))}
    longest_first = sorted(rows, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))), rows


@lru_cache(maxsize=1)
def _kana_forms() -> tuple[re.Pattern[str], dict[str, str]]:
    return _forms("kana-romaji.csv", "kana", "romaji")


@lru_cache(maxsize=1)
def _romaji_forms() -> tuple[re.Pattern[str], dict[str, str]]:
    return _forms("romaji-forms.csv", "form", "kunrei")


@lru_cache(maxsize=_CACHED)
def of_kana(kana: str) -> str:
    """The sound of katakana (as `normalise.letters` gives them). Letters that the table does not have are left out."""
    pattern, rows = _kana_forms()
    sounds: list[str] = []
    doubled = False
    for letter in re.findall(rf"{pattern.pattern}|ッ|ー", kana):
        if letter == "ッ":
            doubled = True
            continue
        sound = rows.get(letter) or (sounds[-1][-1:] if sounds else "")
        sounds.append(sound[:1] + sound if doubled and sound[:1] not in _VOWELS else sound)
        doubled = False
    return _heard("".join(sounds))


@lru_cache(maxsize=_CACHED)
def of_romaji(latin: str) -> str:
    """The sound of romaji (folded by `normalise.letters`: no accents, no apostrophes)."""
    pattern, rows = _romaji_forms()
    plain = pattern.sub(lambda found: rows[found[0]], _MARKED.sub("O", latin.upper()))
    return _heard(plain)


def _heard(sound: str) -> str:
    sound = _LARGE_TU.sub(r"\1", _LARGE_YA.sub("Y", sound))
    for written, short in _LONG:
        while written in sound and written != short:
            sound = sound.replace(written, short)
    return sound
