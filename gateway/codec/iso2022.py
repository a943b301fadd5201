"""ISO-2022-JP beyond what Python's strict codec reads, one segment at a time.

The strict codec is the fast road (gateway/codec/charset.py). This is the road for segments it refuses: half-width
kana (ESC ( I), JIS X 0212 (ESC $ ( D), JIS X 0213 (ESC $ ( O, Q, P), the vendor rows 13 and 89-92 of NEC and IBM,
and shifts that were never closed. Nothing disappears: what has no character becomes U+FFFD and is counted.
"""

import re
from functools import cache, lru_cache
from typing import Final, NamedTuple

REPLACEMENT: Final = "\ufffd"

FOLD: Final = str.maketrans("～∥－￠￡￢", "〜‖−¢£¬")
"""The six characters that JIS X 0208 and Microsoft's table read differently (rows 1 and 2: 0x2141 0x2142 0x215D 0x2171
0x2172 0x224C). We read them as JIS does, in every legacy charset; str.translate(FOLD) also helps when matching."""

MAX_CAREFUL: Final = 1024 * 1024
"""Bytes of damaged text that are gone through pair by pair for vendor characters; a longer run is read with the
standard's characters only, so that garbage cannot hold a worker for a minute."""

_SHIFT = re.compile(rb"\x1b(?:\$\([DOPQB@]|\$[@B]|\([BJIH])")
_SINGLE: Final = {b"(B", b"(J", b"(H"}
_CODECS: Final = {
    b"$(D": ("iso2022_jp_1", b"\x1b$(D"),
    b"$(O": ("iso2022_jp_3", b"\x1b$(O"),
    b"$(Q": ("iso2022_jp_2004", b"\x1b$(Q"),
    b"$(P": ("iso2022_jp_2004", b"\x1b$(P"),
}
_BAR: Final = 0x7C
_CARET: Final = 0x5E


class WideText(NamedTuple):
    text: str
    bad: int
    """Places without a character: each is one U+FFFD in `text`."""
    first_bad: int
    """Index of the first of them in the segment; -1 when there is none."""
    unclosed: str
    """"" when the segment ends in ASCII; `end` when only its end lacks the shift back; `doubtful` when delimiters may
    have been read as halves of kanji; `recovered` when a field separator ended the run."""
    eight_bit: bool
    """True when bytes above 0x7F stood between the shifts and were read as CP932."""


class _Run(NamedTuple):
    text: str
    bad: int
    first_bad: int


def decode_wide(segment: bytes) -> WideText:
    """Reads one segment (no CR or LF inside) run by run; never fails."""
    texts: list[str] = []
    bad, first_bad, unclosed, eight_bit = 0, -1, "", False
    shifts = list(_SHIFT.finditer(segment))
    ends = [shift.start() for shift in shifts] + [len(segment)]
    runs = [(0, ends[0], b"(B")] + [
        (shift.end(), end, shift.group()[1:]) for shift, end in zip(shifts, ends[1:], strict=True)
    ]
    for start, end, set_ in runs:
        last = end == len(segment)
        run = segment[start:end]
        if set_ in _SINGLE:
            found = _single(run)
            eight_bit |= found.bad == 0 and not run.isascii()
        else:
            if last and run:
                unclosed, cut = _where_it_should_close(run, set_)
                run = run[:cut]
            found = _half_width_kana(run) if set_ == b"(I" else _double(run, set_)
        texts.append(found.text)
        if found.bad:
            bad += found.bad
            first_bad = start + found.first_bad if first_bad < 0 else first_bad
        if unclosed == "recovered" and last:
            tail = _single(segment[start + len(run) : end])
            texts.append(tail.text)
            if tail.bad:
                bad += tail.bad
                first_bad = start + len(run) + tail.first_bad if first_bad < 0 else first_bad
    return WideText("".join(texts), bad, first_bad, unclosed, eight_bit)


def _where_it_should_close(run: bytes, set_: bytes) -> tuple[str, int]:
    """(how, length of the run) of a run that reaches the end of its segment.

    A `|` where a character begins is a field separator: JIS X 0208 has nothing in row 92, half-width kana end at
    0x5F. NEC's copies of IBM characters do sit in row 92, but they do not end a segment without a shift back. A `^`
    there is a component separator when fields follow: row 62 holds rare kanji only (渕 濤 滉), and waiting for the
    `|` would turn the components between into kanji that nobody wrote.
    """
    step = 1 if set_ == b"(I" else 2
    for at in range(0, len(run), step):
        if run[at] == _BAR or (run[at] == _CARET and b"|" in run[at:]):
            return "recovered", at
    return ("doubtful" if b"|" in run or b"^" in run else "end"), len(run)


def _single(run: bytes) -> _Run:
    """ASCII. ESC ( J (JIS X 0201 Latin) is read as ASCII too: its yen sign and overline stand where `\\` and `~` are,
    and in ER7 these two are delimiters. An unknown ESC becomes U+FFFD."""
    if run.isascii():
        escapes = run.count(b"\x1b")
        return _Run(run.decode("ascii").replace("\x1b", REPLACEMENT), escapes, run.find(b"\x1b"))
    try:
        text = run.decode("cp932").translate(FOLD)
        if "\x1b" not in text:
            return _Run(text, 0, -1)
    except UnicodeDecodeError:
        pass
    text = "".join(chr(b) if b < 0x80 and b != 0x1B else REPLACEMENT for b in run)
    return _Run(text, text.count(REPLACEMENT), text.index(REPLACEMENT))


def _half_width_kana(run: bytes) -> _Run:
    """JIS X 0201 katakana in seven bits: 0x21-0x5F are U+FF61-U+FF9F."""
    text = "".join(chr(b + 0xFF40) if 0x21 <= b <= 0x5F else chr(b) if b in b" \t" else REPLACEMENT for b in run)
    return _Run(text, text.count(REPLACEMENT), text.find(REPLACEMENT))


def _double(run: bytes, set_: bytes) -> _Run:
    """A set of two bytes a character: whole by the codec that knows it, else pair by pair."""
    codec, shift = _CODECS.get(set_, ("iso2022_jp", b"\x1b$B"))
    if b"\x1b" not in run:  # a stray ESC before our own shift back would end up in the text
        try:
            return _Run((shift + run + b"\x1b(B").decode(codec), 0, -1)
        except UnicodeDecodeError:
            pass
    if len(run) <= MAX_CAREFUL:
        return _pairs(run, codec, shift)
    text = (shift + run + b"\x1b(B").decode(codec, "replace").replace("\x1b", REPLACEMENT)
    return _Run(text, text.count(REPLACEMENT), 0)


def _pairs(run: bytes, codec: str, shift: bytes) -> _Run:
    out: list[str] = []
    bad, first_bad, at = 0, -1, 0
    while at < len(run):
        if run[at] in b" \t":
            out.append(chr(run[at]))
            at += 1
            continue
        pair = run[at : at + 2]
        char = _pair(pair, codec, shift)
        if char is None:
            first_bad = at if first_bad < 0 else first_bad
            bad += 1
            char = REPLACEMENT
        out.append(char)
        at += 2
    return _Run("".join(out), bad, first_bad)


def _pair(pair: bytes, codec: str, shift: bytes) -> str | None:
    if len(pair) < 2 or max(pair) > 0x7E or min(pair) < 0x21:
        return None
    try:
        return (shift + pair + b"\x1b(B").decode(codec)
    except UnicodeDecodeError:
        return vendor_character(pair) if codec == "iso2022_jp" else None


def vendor_character(pair: bytes) -> str | None:
    """The NEC or IBM character of a JIS pair (rows 13 and 89-92), or None.

    No codec of Python reads these rows in ISO-2022-JP or EUC-JP, but CP932 has them at the same rows: the pair is
    turned into the bytes Shift_JIS has for it (JIS X 0208:1997 annex 1).
    """
    if not (0x21 <= pair[0] <= 0x7E and 0x21 <= pair[1] <= 0x7E):
        return None
    row, cell = pair[0] - 0x21, pair[1]
    lead = row // 2 + (0x81 if row < 62 else 0xC1)
    trail = cell + 0x7E if row % 2 else cell + 0x1F + (cell >= 0x60)
    try:
        return bytes((lead, trail)).decode("cp932").translate(FOLD)
    except UnicodeDecodeError:
        return None


@cache
def _vendor_pairs() -> dict[str, bytes]:
    """Vendor character -> its JIS pair; the lower row where two have it, as CP50220 does."""
    found: dict[str, bytes] = {}
    for row in (0x2D, *range(0x79, 0x7D)):
        for cell in range(0x21, 0x7F):
            pair = bytes((row, cell))
            if char := vendor_character(pair):
                found.setdefault(char, pair)
    return found


def encode_wide(text: str) -> bytes:
    """ISO-2022-JP, each run ending in ASCII: what decode_wide reads, vendor characters (髙, ①) and half-width kana
    included. A character of none of these sets becomes 〓, the mark printers use for a missing type."""
    text = text.translate(FOLD)
    try:
        return text.encode("iso2022_jp")
    except UnicodeEncodeError:
        return b"".join(map(_encoded, _RUN.findall(text)))


_RUN = re.compile(r"[\x00-\x7f]+|[^\x00-\x7f]")


@lru_cache(maxsize=4096)
def _encoded(run: str) -> bytes:
    for codec in ("iso2022_jp", "iso2022_jp_ext"):
        try:
            return run.encode(codec)
        except UnicodeEncodeError:
            continue
    return b"\x1b$B" + _vendor_pairs().get(run, _GETA) + b"\x1b(B"


_GETA: Final = b"\x22\x2e"
