"""HL7 v2 in ER7 ("pipe") encoding: decoded text to segments and fields, and back (HL7 v2.5 chapter 2, 2.5-2.8).

Fields keep the text as sent with the standard delimiters `|^~\\&`; a message with other delimiters is re-encoded while
it is read, so nothing downstream knows that others exist. Components are never split here: most fields are never
looked at, and splitting all of them costs more than everything else.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from gateway.codec.charset import Decoded
from gateway.errors import BadInput
from gateway.model.outcome import Issue

STANDARD: Final = "|^~\\&"
"""Field, component, repetition, escape, subcomponent: MSH-1 and MSH-2 as HL7 v2.5 2.5.4 recommends them."""

_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_LETTERS = dict(zip("FSRET", STANDARD, strict=True))
_TO_ESCAPE = str.maketrans({char: f"\\{letter}\\" for letter, char in _LETTERS.items()})
_LINE_END = re.compile(r"\r\n|\r|\n")
_SEQUENCE = re.compile(r"\\([FSRETHN]|\.br|X(?:[0-9A-Fa-f]{2})+)\\")
_ANY_SEQUENCE = r"([FSRETHN]|\.[a-z]{{2}}[+-]?[0-9]*|[XZ][^{e}]*|[CM](?:[0-9A-Fa-f]{{2}}){{2,3}})"
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]")
_FOREIGN_LISTED = 100


class MalformedMessage(BadInput):
    """Not an ER7 message. `offset` is the byte of the input at which that became clear."""

    def __init__(self, text: str, offset: int) -> None:
        super().__init__(f"{text} (byte {offset})")
        self.offset = offset


class Segment:
    """One segment. `fields[n]` is HL7 field n as raw text with standard delimiters; `fields[0]` is the name.

    In MSH `fields[1]` is `|` and `fields[2]` is `^~\\&`. `ordinal` counts segments of this name from 1 (so that a
    place is written `OBX[3]-5.1`), `line` counts all segments from 0, `offset` is in bytes of the input.
    A plain class with slots: it is built hundreds of thousands of times a second.
    """

    __slots__ = ("fields", "line", "name", "offset", "ordinal")

    def __init__(self, name: str, fields: list[str], ordinal: int, line: int, offset: int) -> None:
        self.name = name
        self.fields = fields
        self.ordinal = ordinal
        self.line = line
        self.offset = offset

    def __getitem__(self, n: int) -> str:
        """Field n, or "" when the segment has no such field."""
        fields = self.fields
        return fields[n] if n < len(fields) else ""

    def __eq__(self, other: object) -> bool:
        """Equal content at the same place. The byte offset is left out: it depends on the charset."""
        if not isinstance(other, Segment):
            return NotImplemented
        return (self.line, self.ordinal, self.fields) == (other.line, other.ordinal, other.fields)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Segment {self.name[:3]}[{self.ordinal}] of {len(self.fields)} fields>"

    @property
    def foreign(self) -> bool:
        """True for a line that is no HL7 segment: its whole text is in `fields`, `fields[0]` included."""
        return _NAME.fullmatch(self.name) is None


@dataclass(slots=True)
class Message:
    """One message. Equality looks at the segments only."""

    segments: list[Segment]
    delimiters: str = field(default=STANDARD, compare=False)
    """As sent: field separator, then component, repetition, escape, subcomponent."""
    charset: str = field(default="US-ASCII", compare=False)
    line_ends: str = field(default="CR", compare=False)
    issues: tuple[Issue, ...] = field(default=(), compare=False)
    size: int = field(default=0, compare=False)
    """Bytes of the input."""
    terminated: bool = field(default=True, compare=False)
    """The last segment has its end."""

    def first(self, name: str) -> Segment | None:
        for segment in self.segments:
            if segment.name == name:
                return segment
        return None

    def all(self, name: str) -> list[Segment]:
        return [segment for segment in self.segments if segment.name == name]


def parse(decoded: Decoded) -> Message:
    """Segments of one message. Raises MalformedMessage (a BadInput with `.offset`) when it does not start with a
    usable MSH or holds a second one; lines that are no segments are kept and reported as `foreign-segment`."""
    lines, offsets = decoded.segments, decoded.offsets
    delimiters = _delimiters(lines, offsets)
    reader = None if delimiters == STANDARD else _Reencoder(delimiters)
    segments: list[Segment] = []
    foreign: list[Segment] = []
    counts: dict[str, int] = {}
    add = segments.append
    for line, text in enumerate(lines):
        fields = text.split("|") if reader is None else reader.fields(text)
        name = fields[0]
        ordinal = counts.get(name, 0) + 1
        counts[name] = ordinal
        segment = Segment(name, fields, ordinal, line, offsets[line])
        if ordinal == 1 and not _NAME.fullmatch(name):
            counts[name] = 0
            foreign.append(segment)
        add(segment)
    if counts["MSH"] > 1:
        _refuse_second_message(segments)
    segments[0].fields[1:2] = ["|", STANDARD[1:]]
    issues = decoded.issues + _foreign_issues(foreign) if foreign else decoded.issues
    return Message(segments, delimiters, decoded.charset, decoded.line_ends, issues, decoded.size, decoded.terminated)


def _delimiters(lines: list[str], offsets: list[int]) -> str:
    """MSH-1 and MSH-2 as five characters, or MalformedMessage."""
    if not lines:
        raise MalformedMessage("no segment at all", 0)
    head = lines[0]
    if head.startswith("MSH|^~\\&|"):
        return STANDARD
    if not head.startswith("MSH"):
        raise MalformedMessage("the first segment is not MSH", offsets[0])
    separator = head[3:4]
    encoding = head[4:].split(separator, 1)[0] if separator else ""
    # LENIENT: a fifth character is the truncation character of HL7 v2.7; it has no meaning for us.
    found = separator + encoding[:4]
    if len(found) != 5 or len(encoding) > 5:
        raise MalformedMessage("MSH-2 does not hold the four encoding characters", offsets[0] + 4)
    if len(set(found)) != 5 or any(c.isalnum() or c.isspace() or c in "\ufffd\"'" for c in found):
        raise MalformedMessage("MSH-1 and MSH-2 are not five different punctuation characters", offsets[0] + 3)
    return found


def _refuse_second_message(segments: list[Segment]) -> None:
    # LENIENT: a bare `MSH` without any field (test files of the NHO set end in a list of segment names) starts nothing.
    second = next((s for s in segments if s.name == "MSH" and s.ordinal > 1 and len(s.fields) > 1), None)
    if second is not None:
        raise MalformedMessage("a second MSH inside one message", second.offset)


def _foreign_issues(foreign: list[Segment]) -> tuple[Issue, ...]:
    """One issue a line; their texts stay out because they may hold patient data."""
    issues = [
        Issue("warning", "foreign-segment", f"segment {s.line}", f"not an HL7 segment (byte {s.offset}); kept unmapped")
        for s in foreign[:_FOREIGN_LISTED]
    ]
    if (more := len(foreign) - _FOREIGN_LISTED) > 0:
        issues.append(Issue("warning", "foreign-segment", "message", f"{more} more lines are not HL7 segments"))
    return tuple(issues)


class _Reencoder:
    """Turns text with a sender's delimiters into fields with the standard ones.

    A sender's delimiter becomes the standard one of its role; a standard delimiter that is plain text there becomes
    an escape sequence; `\\F\\` and its like mean the sender's characters, so they become these characters.
    """

    def __init__(self, delimiters: str) -> None:
        self._separator = delimiters[0]
        roles = dict(zip(delimiters, STANDARD, strict=True))
        literal = {char: f"\\{letter}\\" for letter, char in _LETTERS.items()}
        plain: dict[str, str] = {**literal, **roles}
        # Outside a sequence the sender's escape character is plain text: `C!temp` where `!` escapes.
        plain[delimiters[3]] = literal.get(delimiters[3], delimiters[3])
        self._plain = str.maketrans(plain)
        self._letters = {
            letter: literal.get(delimiters[at], delimiters[at]) for letter, at in zip("FSRET", range(5), strict=True)
        }
        escape = re.escape(delimiters[3])
        self._escape = delimiters[3]
        self._sequence = re.compile(escape + _ANY_SEQUENCE.format(e=escape) + escape)

    def fields(self, text: str) -> list[str]:
        if text.startswith("MSH"):
            head, _, rest = text[4:].partition(self._separator)
            return ["MSH", head, *map(self._field, rest.split(self._separator))] if rest else ["MSH", head]
        return [self._field(part) for part in text.split(self._separator)]

    def _field(self, text: str) -> str:
        if self._escape not in text or text.count(self._escape) % 2:
            return text.translate(self._plain)
        done: list[str] = []
        at = 0
        for found in self._sequence.finditer(text):
            done.append(text[at : found.start()].translate(self._plain))
            code = found.group(1)
            done.append(self._letters.get(code) or f"\\{code}\\")
            at = found.end()
        done.append(text[at:].translate(self._plain))
        return "".join(done)


def unescape(text: str, charset: str = "US-ASCII") -> str:
    """The words behind escape sequences (HL7 v2.5 2.7), to be applied to one component or subcomponent.

    `\\F\\ \\S\\ \\T\\ \\R\\ \\E\\` become the delimiters, `\\.br\\` a line feed, `\\H\\` and `\\N\\` (highlighting)
    nothing, `\\Xhh..\\` the characters these bytes are in `charset`. Unknown sequences stay as they are, and so does
    a text with an odd number of backslashes: it was never escaped (`C:\\temp`).
    """
    if "\\" not in text or text.count("\\") % 2:
        return text
    return _SEQUENCE.sub(lambda found: _meaning(found.group(0), found.group(1), charset), text)


def _meaning(sequence: str, code: str, charset: str) -> str:
    if code in _LETTERS:
        return _LETTERS[code]
    if code == ".br":
        return "\n"
    if code in "HN":
        return ""
    data = bytes.fromhex(code[1:])
    codec = "iso2022_jp" if b"\x1b" in data else _CODECS.get(charset.partition("+")[0], "ascii")
    try:
        words = data.decode(codec)
    except UnicodeDecodeError:
        return sequence
    return sequence if _FORBIDDEN.search(words) else words


_CODECS = {"ISO-2022-JP": "iso2022_jp", "UTF-8": "utf-8", "Shift_JIS": "cp932", "EUC-JP": "euc_jp"}


def escape(text: str) -> str:
    """Text as it may stand in a subcomponent; each line end becomes `\\.br\\`. unescape() gives it back with LF."""
    escaped = text.translate(_TO_ESCAPE)
    return _LINE_END.sub(r"\\.br\\", escaped) if "\n" in escaped or "\r" in escaped else escaped


def serialize(message: Message) -> str:
    """The message with standard delimiters, CR after each segment. Fields are written as held, not escaped again."""
    return "".join(
        "|".join([s.fields[0], *s.fields[2:]] if s.name == "MSH" else s.fields) + "\r" for s in message.segments
    )
