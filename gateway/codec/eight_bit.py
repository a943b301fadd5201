"""Which 8-bit charset a segment is in: UTF-8, Shift_JIS (CP932) or EUC-JP, found from the bytes themselves.

UTF-8 checks itself. Shift_JIS and EUC-JP overlap: half-width kana in one are kanji in the other, so when both fit,
MSH-18 decides, and when it is silent the more Japanese reading wins and the caller reports a guess.
"""

import codecs
import re
from typing import Final, NamedTuple

from gateway.codec.iso2022 import FOLD, MAX_CAREFUL, REPLACEMENT, vendor_character

UTF_8: Final = "UTF-8"
SHIFT_JIS: Final = "Shift_JIS"
EUC_JP: Final = "EUC-JP"
ISO_8859: Final = frozenset(f"ISO-8859-{part}" for part in (*range(1, 10), 15))
"""The parts of table 0211. Nothing in the bytes tells one from another, so only MSH-18 does."""

_LITTLE: Final = 3
"""Places; the bytes of one damaged character of UTF-8."""
_WEIGHED: Final = 4000
"""Characters looked at to choose between two readings that both fit."""
_NOT_CP932 = re.compile("[\x80\xa0\uf8f0-\uf8f3]")
"""Python reads the bytes 80, A0 and FD-FF as these; CP932 has nothing there."""
_ODD_KANA = re.compile("[｡｢｣､･]|(?<![ｳｶ-ﾄﾊ-ﾎ])ﾞ|(?<![ﾊ-ﾎ])ﾟ|(?<![ｦ-ﾟ])[ｧ-ｰ]")
"""Half-width kana no Japanese word holds in this place; what EUC-JP kanji look like when read as CP932."""
_C1 = re.compile(rb"[\x80-\x9f]")


class Reading(NamedTuple):
    text: str
    charset: str
    bad: int = 0
    """Places without a character; each is U+FFFD in `text`."""
    first_bad: int = -1
    """Index of the first byte the codec refused; -1 when it refused none."""
    guessed: bool = False
    """Two readings were possible and nothing declared said which."""


def read_segments(raws: list[bytes], declared: frozenset[str]) -> list[Reading]:
    """One reading for each of `raws` (no CR or LF inside, no ESC). Never fails.

    All segments together first, because more text decides better; one segment in another charset is then found by
    reading each alone.
    """
    if not raws:
        return []
    whole = b"\n".join(raws)
    try:
        return [Reading(text, UTF_8) for text in whole.decode("utf-8").split("\n")]
    except UnicodeDecodeError:
        pass
    western = _western(whole, declared)
    if western is not None:
        return [western._replace(text=text) for text in western.text.split("\n")]
    readings: list[Reading | None] = [_utf_8(raw) for raw in raws]
    rest = [raw for raw, reading in zip(raws, readings, strict=True) if reading is None]
    together = _japanese(b"\n".join(rest), declared)
    if together is not None:
        others = [together._replace(text=text) for text in together.text.split("\n")]
    else:
        whole_ones = [_japanese(raw, declared) for raw in rest]
        seen = frozenset(one.charset for one in (*readings, *whole_ones) if one is not None)
        others = [one or _damaged(raw, declared, seen) for raw, one in zip(rest, whole_ones, strict=True)]
    queue = iter(others)
    return [reading or next(queue) for reading in readings]


def _western(data: bytes, declared: frozenset[str]) -> Reading | None:
    """ISO 8859 when MSH-18 names one part of it and nothing speaks for Japanese: kanji of Shift_JIS need bytes from 80 to
    9F, which are no characters of ISO 8859, and EUC-JP comes in pairs. A sender of Shift_JIS that declares 8859/1, as
    some do, is so still read as what it sends."""
    named = declared & ISO_8859
    if len(named) != 1 or _C1.search(data) or _euc(data) is not None:
        return None
    (charset,) = named
    try:
        return Reading(data.decode(charset), charset)
    except UnicodeDecodeError:
        return None


def _utf_8(raw: bytes) -> Reading | None:
    """UTF-8 when a character of three bytes vouches for it (two half-width kana of Shift_JIS can look like one of two
    bytes), also when it is damaged but most of it is sound."""
    text = raw.decode("utf-8", "replace")
    bad = text.count(REPLACEMENT)
    sound = sum(char > "\u07ff" for char in text) - bad
    if not bad and sound:
        return Reading(text, UTF_8)
    if sound > bad:
        return Reading(text, UTF_8, bad, _first_bad(raw, "utf-8"))
    return None


def _first_bad(raw: bytes, codec: str) -> int:
    try:
        raw.decode(codec)
    except UnicodeDecodeError as error:
        return error.start
    return 0


def _japanese(data: bytes, declared: frozenset[str]) -> Reading | None:
    """CP932 or EUC-JP without any damage, or None."""
    shift_jis, euc = cp932(data), _euc(data)
    if shift_jis is None or euc is None:
        if shift_jis is not None:
            return Reading(shift_jis, SHIFT_JIS)
        if euc is None:
            euc = _euc_with_vendor_rows(data)
        return Reading(euc, EUC_JP) if euc is not None else None
    named = declared & {SHIFT_JIS, EUC_JP}
    if len(named) == 1:
        return Reading(euc, EUC_JP) if EUC_JP in named else Reading(shift_jis, SHIFT_JIS)
    if _likelihood(euc) > _likelihood(shift_jis):
        return Reading(euc, EUC_JP, guessed=True)
    return Reading(shift_jis, SHIFT_JIS, guessed=True)


def cp932(data: bytes) -> str | None:
    """Shift_JIS as Windows writes it, in the JIS reading; None when a byte has no character there."""
    try:
        text = data.decode("cp932")
    except UnicodeDecodeError:
        return None
    return None if _NOT_CP932.search(text) else text.translate(FOLD)


def _euc(data: bytes) -> str | None:
    try:
        return data.decode("euc_jp")
    except UnicodeDecodeError:
        return None


def _euc_with_vendor_rows(data: bytes) -> str | None:
    """EUC-JP with NEC and IBM rows, which Python's codec lacks (eucJP-ms, CP51932)."""
    try:
        return data.decode("euc_jp", _OR_VENDOR)
    except UnicodeDecodeError:
        return None


def _or_vendor(error: UnicodeError) -> tuple[str, int]:
    """Error handler of codecs: the vendor character at the refused place; raises where there is none."""
    if isinstance(error, UnicodeDecodeError):
        pair = error.object[error.start : error.start + 2]
        if len(pair) == 2 and pair[0] > 0xA0 and pair[1] > 0xA0:
            char = vendor_character(bytes((pair[0] & 0x7F, pair[1] & 0x7F)))
            if char is not None:
                return char, error.start + 2
    raise error


def _or_replacement(error: UnicodeError) -> tuple[str, int]:
    try:
        return _or_vendor(error)
    except UnicodeDecodeError as refused:
        return REPLACEMENT, refused.start + 1


_OR_VENDOR: Final = "musubi-vendor"
_OR_REPLACEMENT: Final = "musubi-vendor-or-replacement"
codecs.register_error(_OR_VENDOR, _or_vendor)
codecs.register_error(_OR_REPLACEMENT, _or_replacement)


def _likelihood(text: str) -> float:
    """How Japanese a reading looks: full-width kana and common kanji for it, rare kanji and stray marks against."""
    weight = 0.0
    for char in text[:_WEIGHED]:
        if char < "\x80":
            continue
        if "\u3041" <= char <= "\u30fe":
            weight += 2
        elif "\uff61" <= char <= "\uff9f":
            weight += 0.5
        else:
            weight += 1 if _common(char) else -3
    return weight - 1.5 * len(_ODD_KANA.findall(text[:_WEIGHED]))


def _common(char: str) -> bool:
    """Symbols and letters of rows 1-8 and kanji of level 1 (rows 16-47) of JIS X 0208."""
    try:
        encoded = char.encode("euc_jp")
    except UnicodeEncodeError:
        return False
    return len(encoded) == 2 and 0xA1 <= encoded[0] <= 0xCF


def _damaged(raw: bytes, declared: frozenset[str], seen: frozenset[str]) -> Reading:
    """The reading that loses least, when none is whole; what is lost is U+FFFD. A little damage in a charset of the
    message's other segments is damage, and no character of another charset (ED A0 80 is no 恝)."""
    readings = []
    for charset, codec, handler in (
        (UTF_8, "utf-8", "replace"),
        (SHIFT_JIS, "cp932", "replace"),
        (EUC_JP, "euc_jp", _OR_REPLACEMENT if len(raw) <= MAX_CAREFUL else "replace"),
    ):
        text = raw.decode(codec, handler)
        if charset == SHIFT_JIS:
            text = _NOT_CP932.sub(REPLACEMENT, text.translate(FOLD))
        readings.append(Reading(text, charset, text.count(REPLACEMENT), _first_bad(raw, codec)))
    return min(
        readings,
        key=lambda one: (one.charset not in seen or one.bad > _LITTLE, one.bad, one.charset not in declared),
    )
