"""Bytes of an HL7 v2 message to text, segment by segment, whatever the sender's charset really is.

The order matters in Japan: cut into segments on bytes (CR and LF are never part of a character), decode each segment
alone, and only then look for `|` and `^`, because the second bytes of kanji hold these values both in ISO-2022-JP
and in Shift_JIS. What was found is compared with MSH-18 (HL7 v2.5 2.15.9.18, table 0211) and reported; MSH-18 is
not trusted, it is wrong too often.

One reading: the six characters JIS and Microsoft read differently (iso2022.FOLD) have the JIS reading in every legacy
charset, so one text sent in two of them gives one string. UTF-8 says itself which character it means and is kept.
"""

import codecs
import re
from functools import lru_cache
from itertools import accumulate
from typing import Final, NamedTuple

from gateway.codec.eight_bit import EUC_JP, ISO_8859, SHIFT_JIS, UTF_8, Reading, read_segments
from gateway.codec.iso2022 import REPLACEMENT, decode_wide
from gateway.errors import BadInput, LimitExceeded
from gateway.model.outcome import Issue

MAX_BYTES: Final = 32 * 1024 * 1024
"""Largest message, in bytes; radiology reports carry pictures of some megabytes, nothing carries this much."""
MAX_SEGMENTS: Final = 20_000

ASCII: Final = "US-ASCII"
ISO_2022_JP: Final = "ISO-2022-JP"

_LISTED: Final = 100
"""Issues of one kind that are listed one by one; the rest is one line with a count."""
_ENVELOPE_LINES: Final = 8
_CONTROL: Final = bytes(b for b in range(0x20) if b not in b"\t\n\r\x1b") + b"\x7f"
_LINE_END = re.compile(rb"\r\n|\r|\n")
_FRAME_END = re.compile(rb"\x1c[\r\n]*\Z")
_MESSAGE_START = re.compile(rb"(?:\A(?:\xef\xbb\xbf)?|(?<=[\r\n\x0b\x1c]))MSH(?=[^A-Za-z0-9\s])")
# One line end at a time: a repeated `[\r\n]+` inside a repetition would try every way to divide a run of them.
_ONLY_ENVELOPE = re.compile(rb"(?:\xef\xbb\xbf)?(?:(?:(?:FHS|BHS|BTS|FTS)\b[^\r\n\x0b\x1c]*)?[\r\n\x0b\x1c])*\Z")
_PRIVATE = re.compile("[\ue000-\uf8ff]")
_LOST = re.compile("[■\ue000-\uf8ff\ufffd]")
_strict_jis = codecs.lookup("iso2022_jp").decode


class Decoded(NamedTuple):
    """The text of one message. Blank lines, a byte order mark and MLLP frame bytes are gone; the rest is complete."""

    segments: list[str]
    offsets: list[int]
    """Byte offset of each segment in the input."""
    charset: str
    """ISO-2022-JP, UTF-8, Shift_JIS, EUC-JP, US-ASCII or ISO-8859-n as found; several joined by `+`."""
    line_ends: str
    """CR | LF | CRLF | mixed | none"""
    issues: tuple[Issue, ...]
    size: int
    """Bytes of the input."""
    terminated: bool = True
    """The last segment has its end. Whole messages without one occur, and so do messages that were cut."""


_NOT_PLAIN: Final = (b"\rMSH", b"\nMSH", b"\x0b", b"\x1c", b"\rBTS", b"\nBTS", b"\rFTS", b"\nFTS")
"""Without any of these a file that starts with MSH is one plain message, as nearly every SS-MIX2 file is; looking for
eight marks costs a tenth of the general search."""


def split_messages(data: bytes) -> list[tuple[int, bytes]]:
    """(offset, bytes) of each message in a file: MLLP frames, a batch (FHS BHS .. BTS FTS, HL7 v2.5 2.10.3) or plain
    repetition of MSH. Batch and frame lines are left out; anything else before the first MSH stays with it, so that
    parse() refuses it rather than lose it. Without any MSH the whole input is one piece."""
    if data.startswith(b"MSH|") and not any(map(data.__contains__, _NOT_PLAIN)):
        return [(0, data)]
    starts = [found.start() for found in _MESSAGE_START.finditer(data)]
    if len(starts) < 2 and (not starts or starts[0] == 0):
        only = _without_envelope(data) if b"\rBTS" in data or b"\nBTS" in data or b"FTS" in data else data
        return [(0, only)]
    if not _ONLY_ENVELOPE.match(data, 0, starts[0]):
        starts[0] = 0
    return [
        (start, _without_envelope(data[start:end])) for start, end in zip(starts, [*starts[1:], len(data)], strict=True)
    ]


def _without_envelope(message: bytes) -> bytes:
    """Cuts batch and frame lines at the end, but keeps the end of the last segment."""
    cut = _tail_start(message)
    tail = message[cut:]
    keep = 2 if tail.startswith(b"\r\n") else 1 if tail[:1] in (b"\r", b"\n") else 0
    return message[: cut + keep]


def _tail_start(message: bytes) -> int:
    """Index from which `message` holds only line ends, frame bytes and envelope segments, found line by line from
    the end. A batch ends in one BTS and one FTS; with more than _ENVELOPE_LINES the rest stays with the message."""
    cut = len(message)
    for _ in range(_ENVELOPE_LINES):
        while cut and message[cut - 1] in b"\r\n\x0b\x1c":
            cut -= 1
        line = max(message.rfind(end, 0, cut) for end in (b"\r", b"\n", b"\x0b", b"\x1c")) + 1
        if message[line : line + 3] not in (b"FHS", b"BHS", b"BTS", b"FTS"):
            break
        cut = line
    return cut


def decode(data: bytes, base: int = 0) -> Decoded:
    """Text of one message; `base` is added to the offsets when `data` was cut out of a larger input.

    Raises LimitExceeded (MAX_BYTES, MAX_SEGMENTS) and BadInput (UTF-16). Bytes without a character do not raise:
    they become U+FFFD and an `undecodable-bytes` issue.
    """
    if len(data) > MAX_BYTES:
        raise LimitExceeded(f"a message of {len(data)} bytes; at most {MAX_BYTES} are read")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise BadInput("UTF-16 is not a charset of HL7 v2 messages (table 0211)")
    raws, offsets, line_ends = _lines(data, base)
    issues: list[Issue] = []
    if len(data.translate(None, _CONTROL)) != len(data):
        raws, offsets = _drop_control(raws, offsets, issues)
    if data.isascii():
        if b"\x1b" in data:
            segments, charset = _seven_bit(data, raws, offsets, issues)
        else:
            segments, charset = [raw.decode("ascii") for raw in raws], ASCII
    else:
        segments, charset = _any_bit(raws, offsets, issues)
    if charset != ASCII:
        _report_lost(segments, charset, issues)
        _compare(segments, charset, issues)
    terminated = data[-1:] in (b"\r", b"\n") or b"\x1c" in data[-4:]
    return Decoded(segments, offsets, charset, line_ends, tuple(issues), len(data), terminated)


def _lines(data: bytes, base: int) -> tuple[list[bytes], list[int], str]:
    """Non-blank lines, their offsets, and the kind of line end."""
    start = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    if data[start : start + 1] == b"\x0b":
        start += 1
    frame_end = _FRAME_END.search(data, data.rfind(b"\x1c")) if b"\x1c" in data else None
    end = frame_end.start() if frame_end else len(data)
    if start or end < len(data):
        data = data[start:end]
    returns, feeds = data.count(b"\r"), data.count(b"\n")
    if max(returns, feeds) > 2 * MAX_SEGMENTS:
        raise LimitExceeded(f"more than {MAX_SEGMENTS} segments")
    both = data.count(b"\r\n") if returns and feeds else 0
    if both != returns or both != feeds:
        kind = "CR" if not feeds else "LF" if not returns else "mixed"
    else:
        kind = "CRLF" if both else "none"
    if kind == "mixed":
        raws = _LINE_END.split(data)
        starts = [base + start, *(base + start + found.end() for found in _LINE_END.finditer(data))]
    else:
        separator = b"\n" if kind == "LF" else b"\r\n" if kind == "CRLF" else b"\r"
        raws = data.split(separator)
        width = len(separator)
        starts = list(accumulate((len(raw) + width for raw in raws[:-1]), initial=base + start))
    if not raws[-1]:
        del raws[-1], starts[-1]
    if not all(map(bytes.strip, raws)):
        kept = [at for at, raw in enumerate(raws) if raw.strip()]
        raws, starts = [raws[at] for at in kept], [starts[at] for at in kept]
    if len(raws) > MAX_SEGMENTS:
        raise LimitExceeded(f"more than {MAX_SEGMENTS} segments")
    return raws, starts, kind


def _drop_control(raws: list[bytes], offsets: list[int], issues: list[Issue]) -> tuple[list[bytes], list[int]]:
    """Control characters are removed, because FHIR and XML have no place for them; how many is reported."""
    clean = [raw.translate(None, _CONTROL) for raw in raws]
    changed = [at for at, raw in enumerate(raws) if len(clean[at]) != len(raw)]
    if changed:
        removed = sum(len(raws[at]) - len(clean[at]) for at in changed)
        text = f"{removed} control characters removed in {len(changed)} segments, first at byte {offsets[changed[0]]}"
        issues.append(Issue("warning", "control-character", _where(raws, changed[0]), text))
    kept = [at for at, raw in enumerate(clean) if raw.strip()]
    return [clean[at] for at in kept], [offsets[at] for at in kept]


def _where(raws: list[bytes], at: int) -> str:
    """`OBX[3]` for line `at`; its number when it has no segment name."""
    name = raws[at][:3]
    if not (name.isalnum() and name.isupper() and len(name) == 3):
        return f"segment {at}"
    return f"{name.decode('ascii', 'replace')}[{sum(raw[:3] == name for raw in raws[: at + 1])}]"


def _known_escapes(data: bytes) -> bool:
    """Whether JIS X 0208 and ASCII are all that is shifted to."""
    return data.count(b"\x1b$B") + data.count(b"\x1b(B") == data.count(b"\x1b")


def _seven_bit(data: bytes, raws: list[bytes], offsets: list[int], issues: list[Issue]) -> tuple[list[str], str]:
    """ISO-2022-JP: the strict codec for each segment that shifts, the wide reader for those it refuses.
    `data`: the whole message, of which `raws` are the segments."""
    segments: list[str] = []
    wide: list[int] = []
    all_known = _known_escapes(data)
    for at, raw in enumerate(raws):
        if b"\x1b" not in raw:
            segments.append(raw.decode("ascii"))
            continue
        last = raw.rfind(b"\x1b")
        # The codec passes over escapes it does not know, and takes what follows them along: a separator, say.
        if raw[last + 1 : last + 3] != b"(B" or not (all_known or _known_escapes(raw)):
            text = None
        else:
            try:
                text = _strict_jis(raw)[0]
            except UnicodeDecodeError:
                text = None
        if text is None:
            wide.append(at)
            text = ""
        segments.append(text)
    charsets = {ISO_2022_JP}
    if wide:
        _read_wide(wide, raws, offsets, segments, charsets, issues)
    return segments, "+".join(sorted(charsets))


def _read_wide(
    wide: list[int],
    raws: list[bytes],
    offsets: list[int],
    segments: list[str],
    charsets: set[str],
    issues: list[Issue],
) -> None:
    """Fills `segments` at the lines `wide`; adds the charset of bytes above 0x7F between shifts, and issues."""
    damaged: list[tuple[int, int, int]] = []
    open_ends: list[tuple[int, str]] = []
    for at in wide:
        text, bad, first_bad, unclosed, eight_bit = decode_wide(raws[at])
        segments[at] = text
        if eight_bit:
            charsets.add(SHIFT_JIS)
        if bad:
            damaged.append((at, bad, first_bad))
        if unclosed:
            open_ends.append((at, unclosed))
    _report_damage(damaged, raws, offsets, issues)
    for at, unclosed in open_ends[:_LISTED]:
        severity = "warning" if unclosed == "end" else "error"
        text = f"the shift to kanji is not closed (byte {offsets[at]}); {_UNCLOSED[unclosed]}"
        issues.append(Issue(severity, "unclosed-shift", _where(raws, at), text))
    if (more := len(open_ends) - _LISTED) > 0:
        issues.append(Issue("error", "unclosed-shift", "message", f"{more} more segments with unclosed shifts"))


_UNCLOSED: Final = {
    "end": "it stands at the end of the segment",
    "recovered": "it was ended at the next separator",
    "doubtful": "later fields of this segment may be part of its text",
}


def _report_damage(
    damaged: list[tuple[int, int, int]], raws: list[bytes], offsets: list[int], issues: list[Issue]
) -> None:
    """`damaged`: (line, places, index of the first in the line)."""
    for at, bad, first_bad in damaged[:_LISTED]:
        text = f"{bad} places hold bytes without a character, first at byte {offsets[at] + first_bad}"
        issues.append(Issue("error", "undecodable-bytes", _where(raws, at), text))
    if (more := len(damaged) - _LISTED) > 0:
        issues.append(Issue("error", "undecodable-bytes", "message", f"{more} more segments hold such bytes"))


def _any_bit(raws: list[bytes], offsets: list[int], issues: list[Issue]) -> tuple[list[str], str]:
    """Bytes above 0x7F: shifted segments as ISO-2022-JP, the others as UTF-8, Shift_JIS or EUC-JP (eight_bit.py)."""
    segments = [""] * len(raws)
    charsets: set[str] = set()
    shifted = [at for at, raw in enumerate(raws) if b"\x1b" in raw]
    high = [at for at, raw in enumerate(raws) if b"\x1b" not in raw and not raw.isascii()]
    for at, raw in enumerate(raws):
        if raw.isascii() and b"\x1b" not in raw:
            segments[at] = raw.decode("ascii")
    if shifted:
        charsets.add(ISO_2022_JP)
        _read_wide(shifted, raws, offsets, segments, charsets, issues)
    readings = read_segments([raws[at] for at in high], _declared(raws))
    damaged: list[tuple[int, int, int]] = []
    for at, reading in zip(high, readings, strict=True):
        segments[at] = reading.text
        charsets.add(reading.charset)
        if reading.bad:
            damaged.append((at, reading.bad, reading.first_bad))
    _report_damage(damaged, raws, offsets, issues)
    _report_choice(raws, high, readings, charsets, issues)
    return segments, "+".join(sorted(charsets)) or ASCII


def _report_choice(
    raws: list[bytes], high: list[int], readings: list[Reading], charsets: set[str], issues: list[Issue]
) -> None:
    guessed = [at for at, reading in zip(high, readings, strict=True) if reading.guessed]
    if guessed:
        text = f"the bytes of {len(guessed)} segments are correct Shift_JIS and EUC-JP; the likelier one was taken"
        issues.append(Issue("warning", "charset-guessed", _where(raws, guessed[0]), text))
    if len(charsets) > 1:
        rare = min(charsets, key=lambda name: (sum(r.charset == name for r in readings) or len(raws), name))
        at = next((a for a, r in zip(high, readings, strict=True) if r.charset == rare), 0)
        text = f"segments are in different charsets: {', '.join(sorted(charsets))}"
        issues.append(Issue("warning", "charset-mixed", _where(raws, at), text))


def _declared(raws: list[bytes]) -> frozenset[str]:
    """What MSH-18 declares, read before anything is decoded: MSH is ASCII up to there in practice."""
    head = raws[0] if raws else b""
    if not head.startswith(b"MSH") or len(head) < 8:
        return frozenset()
    fields = head.split(head[3:4], 18)
    return declared_charsets(fields[17].decode("ascii", "replace"), chr(head[5])) if len(fields) > 17 else frozenset()


def _report_lost(segments: list[str], charset: str, issues: list[Issue]) -> None:
    """■ is what a sender writes for a character its charset lacks, U+FFFD what a converter before us wrote; private
    use is a gaiji nobody else can show (only the 8-bit charsets and UTF-8 can hold one)."""
    text = "".join(segments)
    lost, private = text.count("■"), 0
    if charset != ISO_2022_JP:
        private = len(_PRIVATE.findall(text))
        if all(issue.code != "undecodable-bytes" for issue in issues):
            lost += text.count(REPLACEMENT)
    if lost or private:
        at = next(at for at, segment in enumerate(segments) if _LOST.search(segment))
        words = f"{lost} characters were lost before the message was sent (■), {private} are private (gaiji)"
        issues.append(Issue("information", "lost-character", f"segment {at}", words))


def _compare(segments: list[str], charset: str, issues: list[Issue]) -> None:
    """What was found against MSH-18: ISO-2022-JP with an empty MSH-18 is a disagreement too (empty means ASCII)."""
    head = segments[0] if segments else ""
    if not head.startswith("MSH") or len(head) < 8:
        return
    fields = head.split(head[3], 18)
    sent = fields[17] if len(fields) > 17 else ""
    if not declared_charsets(sent, head[5]).issuperset(charset.split("+")):
        says = "names no charset" if sent in ("", '""') else "names another charset"
        issues.append(Issue("warning", "charset-mismatch", "MSH[1]-18", f"the bytes are {charset}; MSH-18 {says}"))


_NAMES: Final = {
    **dict.fromkeys(("ISOIR87", "ISOIR159", "ISOIR13", "ISOIR14", "ISOIR228", "ISOIR229", "ISOIR233"), ISO_2022_JP),
    **dict.fromkeys(("ISO2022JP", "ISO2022", "ISO20221994", "CSISO2022JP", "JIS", "JISX0208"), ISO_2022_JP),
    **dict.fromkeys(("UNICODE", "UNICODEUTF8", "UTF8"), UTF_8),
    **dict.fromkeys(("SHIFTJIS", "SJIS", "XSJIS", "CP932", "MS932", "WINDOWS31J", "CSWINDOWS31J"), SHIFT_JIS),
    **dict.fromkeys(("EUCJP", "EUC", "XEUCJP", "UJIS"), EUC_JP),
    **{name.replace("-", "").removeprefix("ISO"): name for name in ISO_8859},
    **{name.replace("-", ""): name for name in ISO_8859},
}


@lru_cache(maxsize=64)
def declared_charsets(msh18: str, repetition: str = "~") -> frozenset[str]:
    """Charsets MSH-18 names, in our words; ASCII and unknown names give nothing. `~ISO IR87`, `~ISOIR87`,
    `ISO IR87`, `UNICODE UTF-8`, `UNICODE`, `8859/1` and the names vendors use outside table 0211 are known."""
    plain = ("".join(c for c in part if c.isalnum()).upper() for part in msh18[:200].split(repetition))
    return frozenset(_NAMES[name] for name in plain if name in _NAMES)
