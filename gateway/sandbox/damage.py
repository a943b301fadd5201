"""Ways in which real SS-MIX2 files are broken, for tests of bad input.

`damage(data, kind, rng)` takes a whole file as the generator writes it (ISO-2022-JP, CR) and returns what a reader may
meet instead. Pure: the same bytes, kind and state of `rng` give the same result.
"""

import unicodedata
from collections.abc import Callable
from random import Random
from typing import NamedTuple

_KANJI_IN, _ASCII_IN, _KANA_IN = b"\x1b$B", b"\x1b(B", b"\x1b(I"
HUGE_VALUE_BYTES = 3 * 1024 * 1024
MANY_OBX = 2_000


class Kind(NamedTuple):
    description: str
    apply: Callable[[bytes, Random], bytes]


def damage(data: bytes, kind: str, rng: Random) -> bytes:
    """Raises KeyError for a kind that is not in KINDS."""
    return KINDS[kind].apply(data, rng)


def _segments(data: bytes) -> list[str]:
    return data.decode("iso2022_jp").removesuffix("\r").split("\r")


def _bytes(segments: list[str]) -> bytes:
    return ("\r".join(segments) + "\r").encode("iso2022_jp")


def _position(segments: list[str], name: str) -> int:
    return next(n for n, segment in enumerate(segments) if segment.startswith(name + "|"))


def _truncated(data: bytes, rng: Random) -> bytes:
    return data[: rng.randrange(1, len(data) - 1)]


def _cut_in_kanji(data: bytes, rng: Random) -> bytes:
    start = rng.choice([n for n in range(len(data)) if data.startswith(_KANJI_IN, n)])
    return data[: start + len(_KANJI_IN) + 1]


def _recoded(charset: str) -> Callable[[bytes, Random], bytes]:
    return lambda data, rng: data.decode("iso2022_jp").encode(charset)


def _one_segment_recoded(data: bytes, rng: Random) -> bytes:
    segments = _segments(data)
    chosen = rng.choice([n for n, segment in enumerate(segments) if not segment.isascii()])
    coded = [segment.encode("shift_jis" if n == chosen else "iso2022_jp") for n, segment in enumerate(segments)]
    return b"\r".join(coded) + b"\r"


def _unclosed_shift(data: bytes, rng: Random) -> bytes:
    """Takes away the return to ASCII that stands last in one segment, so that its end is read as kanji."""
    segments = [segment.encode("iso2022_jp") for segment in _segments(data)]
    chosen = rng.choice([n for n, segment in enumerate(segments) if _KANJI_IN in segment])
    head, _, tail = segments[chosen].rpartition(_ASCII_IN)
    segments[chosen] = head + tail
    return b"\r".join(segments) + b"\r"


def _half_width_kana(data: bytes, rng: Random) -> bytes:
    """The kana name of PID-5 by ESC ( I, which neither the guideline nor RFC 1468 allows."""
    segments = _segments(data)
    at = _position(segments, "PID")
    kana = "".join(letter for letter in segments[at].split("|")[5].split("~")[-1].split("^")[0] if letter > "\x7f")
    before, _, after = segments[at].partition(kana)
    half = "".join(_HALF_WIDTH[letter] for letter in kana).encode("shift_jis")
    pid = (
        before.encode("iso2022_jp")
        + _KANA_IN
        + bytes(byte & 0x7F for byte in half)
        + _ASCII_IN
        + after.encode("iso2022_jp")
    )
    coded = [pid if n == at else segment.encode("iso2022_jp") for n, segment in enumerate(segments)]
    return b"\r".join(coded) + b"\r"


def _half_width_table() -> dict[str, str]:
    plain = [chr(code) for code in range(0xFF66, 0xFF9E)]
    voiced = [letter + mark for letter in plain for mark in ("ﾞ", "ﾟ")]
    full = {unicodedata.normalize("NFKC", half): half for half in plain + voiced}
    return {letter: half for letter, half in full.items() if len(letter) == 1}


_HALF_WIDTH = _half_width_table()


def _in_pid_name(replace: Callable[[str], str]) -> Callable[[bytes, Random], bytes]:
    """Applies `replace` to PID-5.1 of the first name."""

    def apply(data: bytes, rng: Random) -> bytes:
        segments = _segments(data)
        at = _position(segments, "PID")
        fields = segments[at].split("|")
        family, _, rest = fields[5].partition("^")
        fields[5] = f"{replace(family)}^{rest}"
        segments[at] = "|".join(fields)
        return _bytes(segments)

    return apply


def _nec_row_13(data: bytes, rng: Random) -> bytes:
    """A circled one (NEC row 13, 0x2D21) after the family name: no Python codec reads it in ISO-2022-JP."""
    mark = "〓"
    marked = _in_pid_name(lambda family: family + mark)(data, rng)
    return marked.replace(mark.encode("iso2022_jp")[3:5], b"\x2d\x21", 1)


def _inserted(piece: bytes, times: int) -> Callable[[bytes, Random], bytes]:
    def apply(data: bytes, rng: Random) -> bytes:
        for _ in range(times):
            # After a separator: inside a two-byte character it would be another kind of damage.
            places = [n + 1 for n in range(8, len(data)) if data[n : n + 1] == b"\r" or data[n - 1 : n + 1] == b"||"]
            at = rng.choice(places)
            data = data[:at] + piece + data[at:]
        return data

    return apply


def _line_ends(end: bytes) -> Callable[[bytes, Random], bytes]:
    return lambda data, rng: data.replace(b"\r", end)


def _mixed_line_ends(data: bytes, rng: Random) -> bytes:
    return b"".join(line + rng.choice((b"\r", b"\n", b"\r\n", b"\r\r")) for line in data.split(b"\r")[:-1])


def _no_end(data: bytes, rng: Random) -> bytes:
    return data.removesuffix(b"\r")


def _added_line(line: str) -> Callable[[bytes, Random], bytes]:
    def apply(data: bytes, rng: Random) -> bytes:
        segments = _segments(data)
        segments.insert(rng.randrange(2, len(segments) + 1), line)
        return _bytes(segments)

    return apply


def _without(name: str) -> Callable[[bytes, Random], bytes]:
    return lambda data, rng: _bytes([segment for segment in _segments(data) if not segment.startswith(name + "|")])


def _other_pid(pid: str) -> str:
    fields = pid.split("|")
    fields[3] = "9999999999^^^^PI"
    return "|".join(fields)


def _second_pid(data: bytes, rng: Random) -> bytes:
    segments = _segments(data)
    segments.append(_other_pid(segments[_position(segments, "PID")]))
    return _bytes(segments)


def _wrong_patient(data: bytes, rng: Random) -> bytes:
    return _bytes([_other_pid(segment) if segment.startswith("PID|") else segment for segment in _segments(data)])


def _huge_value(data: bytes, rng: Random) -> bytes:
    return data + b"OBX|9999|ED|11502-2^x^LN||^TEXT^^Base64^" + b"QUJD" * (HUGE_VALUE_BYTES // 4) + b"||||||F\r"


def _many_obx(data: bytes, rng: Random) -> bytes:
    rows = (f"OBX|{n}|NM|9N006000000000001^W^JC10|{n}|{n % 97}|kg^kg^ISO+|||||F\r" for n in range(1, MANY_OBX + 1))
    return data + "".join(rows).encode("ascii")


def _foreign(data: bytes, rng: Random) -> bytes:
    return b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog >>\nendobj\n" + rng.randbytes(400) + b"\n%%EOF\n"


def _noise(data: bytes, rng: Random) -> bytes:
    return rng.randbytes(len(data))


def _flipped(data: bytes, rng: Random) -> bytes:
    spoiled = bytearray(data)
    for _ in range(1 + len(data) // 500):
        spoiled[rng.randrange(len(spoiled))] ^= 1 << rng.randrange(8)
    return bytes(spoiled)


def _other_delimiters(data: bytes, rng: Random) -> bytes:
    text = data.decode("iso2022_jp")
    return text.translate(str.maketrans("|^", "!@")).encode("iso2022_jp")


def _impossible_dates(data: bytes, rng: Random) -> bytes:
    segments = _segments(data)
    at = _position(segments, "PID")
    fields = segments[at].split("|")
    fields[7] = rng.choice(("00000000", "19991332", "2400"))
    segments[at] = "|".join(fields)
    return _bytes(segments)


KINDS: dict[str, Kind] = {
    "empty": Kind("a file of zero bytes", lambda data, rng: b""),
    "truncated": Kind("the copy stopped somewhere", _truncated),
    "cut-in-kanji": Kind("the copy stopped in the middle of a two-byte character", _cut_in_kanji),
    "shift-jis": Kind("Shift_JIS under the name of ISO IR87", _recoded("shift_jis")),
    "euc-jp": Kind("EUC-JP under the name of ISO IR87", _recoded("euc_jp")),
    "utf-8": Kind("UTF-8 under the name of ISO IR87", _recoded("utf-8")),
    "utf-16": Kind("UTF-16 with a byte order mark, as a text editor saves it", _recoded("utf-16")),
    "bom": Kind("a UTF-8 byte order mark before MSH", lambda data, rng: b"\xef\xbb\xbf" + data),
    "one-segment-recoded": Kind("one segment in Shift_JIS among ISO-2022-JP", _one_segment_recoded),
    "unclosed-shift": Kind("a segment that never returns to ASCII", _unclosed_shift),
    "half-width-kana": Kind("half-width kana by ESC ( I in the name", _half_width_kana),
    "nec-row-13": Kind("a circled digit of NEC row 13", _nec_row_13),
    "gaiji": Kind("■ where a character outside the set was lost", _in_pid_name(lambda family: family[:-1] + "■")),
    "nul": Kind("NUL bytes between fields", _inserted(b"\x00", 3)),
    "control": Kind("control characters between fields", _inserted(b"\x07\x1d", 2)),
    "lf": Kind("segments end with LF", _line_ends(b"\n")),
    "crlf": Kind("segments end with CR LF", _line_ends(b"\r\n")),
    "mixed-line-ends": Kind("CR, LF, CR LF and blank lines in one file", _mixed_line_ends),
    "no-end": Kind("no segment end after the last segment", _no_end),
    "z-segment": Kind("a Z segment nobody described", _added_line("ZXX|1|院内項目^値")),
    "foreign-line": Kind("a line that is no segment", _added_line("患者メモ 電話済み")),
    "no-msh": Kind("the first segment is not MSH", _without("MSH")),
    "no-pid": Kind("no patient", _without("PID")),
    "second-pid": Kind("a second PID with another number", _second_pid),
    "wrong-patient": Kind("PID-3 is not the patient of the file name", _wrong_patient),
    "huge-value": Kind("3 MB in one OBX-5", _huge_value),
    "many-obx": Kind("2,000 more OBX", _many_obx),
    "doubled": Kind("two messages in one file", lambda data, rng: data + data),
    "mllp-frame": Kind("MLLP block bytes left around the message", lambda data, rng: b"\x0b" + data + b"\x1c\r"),
    "other-delimiters": Kind("MSH-1 and MSH-2 name other separators", _other_delimiters),
    "lone-backslash": Kind("an escape character that escapes nothing", _in_pid_name(lambda family: family + "\\")),
    "impossible-dates": Kind("a date of birth that is no date", _impossible_dates),
    "flipped-bits": Kind("a few bits turned over on the way", _flipped),
    "foreign": Kind("another kind of file under the name of a message", _foreign),
    "noise": Kind("random bytes", _noise),
}
"""kind -> what happened, in one line, and how to do it."""
