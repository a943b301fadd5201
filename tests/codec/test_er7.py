"""ER7: delimiters, escapes, foreign lines, and that writing and reading are inverse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codec import charset, er7
from gateway.errors import BadInput

HEAD = "MSH|^~\\&|A|B|C|D|20240401||ADT^A01|1|P|2.5||||||~ISO IR87"


def read(text: str, encoding: str = "iso2022_jp") -> er7.Message:
    return er7.parse(charset.decode(text.encode(encoding)))


def test_fields_have_the_numbers_of_the_standard() -> None:
    message = read(HEAD + "\rPID|1||0001^^^^PI||結^一\r")
    msh, pid = message.segments
    assert (msh[1], msh[2], msh[3], msh[9], msh[18]) == ("|", "^~\\&", "A", "ADT^A01", "~ISO IR87")
    assert (pid[0], pid[1], pid[3], pid[5], pid[99]) == ("PID", "1", "0001^^^^PI", "結^一", "")


def test_ordinal_line_and_offset_say_where_a_segment_is() -> None:
    data = (HEAD + "\r\nOBX|1||日本\r\n\r\nNTE|1\r\nOBX|2").encode("iso2022_jp")
    message = er7.parse(charset.decode(data))
    assert [(s.name, s.ordinal, s.line) for s in message.segments] == [
        ("MSH", 1, 0),
        ("OBX", 1, 1),
        ("NTE", 1, 2),
        ("OBX", 2, 3),
    ]
    assert [data[s.offset : s.offset + 3].decode() for s in message.segments] == ["MSH", "OBX", "NTE", "OBX"]
    assert [s.fields[1] for s in message.all("OBX")] == ["1", "2"]
    assert message.first("NTE") is message.segments[2]
    assert message.first("ZZZ") is None


@pytest.mark.parametrize("kanji", list("淫奥緯厭蔭応愛右移閲日本京糖入"))
def test_delimiters_inside_kanji_do_not_split(kanji: str) -> None:
    assert read(f"{HEAD}\rPID|1||9||{kanji}^一|x").segments[1].fields == ["PID", "1", "", "9", "", f"{kanji}^一", "x"]


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("", 0),
        ("PID|1\rMSH|^~\\&|A\r", 0),
        ("\r\nPID|1", 2),
        ("MSH", 4),
        ("MSHA^~\\&A", 3),
        ("MSH|^~|A", 4),
        ("MSH|^^^^|A", 3),
        ("MSH|^~\\&#?|A", 4),
        (HEAD + "\rMSH|^~\\&|B", len(HEAD) + 1),
    ],
)
def test_what_is_no_message_is_refused_with_its_place(text: str, offset: int) -> None:
    with pytest.raises(BadInput) as refused:
        read(text)
    assert isinstance(refused.value, er7.MalformedMessage)
    assert refused.value.offset == offset


def test_other_delimiters_are_re_encoded() -> None:
    sent = "MSH#*!?@#A#B\rPID#1##9*x@y!10##a|b^c~d\\e&f?F?g?.br?h?X41?i##C?temp"
    message = read(sent)
    pid = message.segments[1]
    assert message.delimiters == "#*!?@"
    assert message.segments[0].fields[:4] == ["MSH", "|", "^~\\&", "A"]
    assert pid[3] == "9^x&y~10"
    assert er7.unescape(pid[5]) == "a|b^c~d\\e&f#g\nhAi"
    assert er7.unescape(pid[7]) == "C?temp"


def test_standard_characters_in_swapped_roles() -> None:
    """`^` separates fields and `|` components: each must change place, and \\F\\ means the sender's separator."""
    message = read("MSH^|~\\&^A\rPID^1^a|b^c\\F\\d^e\\S\\f")
    assert message.segments[1].fields == ["PID", "1", "a^b", "c\\S\\d", "e\\F\\f"]


def test_a_truncation_character_of_later_versions_is_no_obstacle() -> None:
    assert read("MSH|^~\\&#|A|B\rPID|1").segments[0].fields == ["MSH", "|", "^~\\&", "A", "B"]


def test_foreign_lines_are_kept_and_reported_without_their_text() -> None:
    message = read(HEAD + "\rOBX|1||x\r続きの行|値\robx|2\r続きの行|値2")
    assert [s.name for s in message.segments] == ["MSH", "OBX", "続きの行", "obx", "続きの行"]
    assert [s.foreign for s in message.segments] == [False, False, True, True, True]
    assert message.segments[2].fields == ["続きの行", "値"]
    issues = [i for i in message.issues if i.code == "foreign-segment"]
    assert [i.where for i in issues] == ["segment 2", "segment 3", "segment 4"]
    assert not any("続き" in i.text or "値" in i.text for i in issues)


def test_a_bare_segment_name_is_no_second_message() -> None:
    assert [s.name for s in read(HEAD + "\rEVN\rMSH\rPID").segments] == ["MSH", "EVN", "MSH", "PID"]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f", "a|b^c&d~e\\f"),
        ("1\\.br\\2", "1\n2"),
        ("\\H\\red\\N\\", "red"),
        ("\\X0D0A\\", "\r\n"),
        ("\\XE38182\\", "\\XE38182\\"),
        ("\\X00\\", "\\X00\\"),
        ("\\X1B2442467C1B2842\\", "日"),
        ("\\X4\\", "\\X4\\"),
        ("\\Zlocal\\", "\\Zlocal\\"),
        ("C:\\temp", "C:\\temp"),
        ("C:\\temp\\x", "C:\\temp\\x"),
        ("\\T\\ and C:\\temp", "\\T\\ and C:\\temp"),
        ("", ""),
    ],
)
def test_unescape(raw: str, words: str) -> None:
    assert er7.unescape(raw) == words


def test_hexadecimal_is_read_in_the_charset_of_the_message() -> None:
    assert er7.unescape("\\XE38182\\", "UTF-8") == "あ"
    assert er7.unescape("\\X82A0\\", "ISO-2022-JP+Shift_JIS") == "\\X82A0\\"
    assert er7.unescape("\\X82A0\\", "Shift_JIS") == "あ"


@given(st.text(st.characters(exclude_characters="\r", codec="utf-8")))
def test_escape_and_unescape_are_inverse(text: str) -> None:
    escaped = er7.escape(text)
    assert not set("|^~&\n") & set(escaped)
    assert er7.unescape(escaped) == text


PUNCTUATION = "|^~\\&#!?@*%$+;:<>="
PLAIN = st.text(st.sampled_from("aZ09 .日本ﾔﾞ" + PUNCTUATION), max_size=6)


@st.composite
def sent_messages(draw: st.DrawFn) -> tuple[str, list[list[str]]]:
    """A message in the sender's delimiters, and the plain words of its fields."""
    delimiters = "".join(draw(st.permutations(PUNCTUATION)))[:5]
    sequences = {
        char: f"{delimiters[3]}{letter}{delimiters[3]}" for letter, char in zip("FSRET", delimiters, strict=True)
    }
    table = str.maketrans(sequences)
    words = draw(st.lists(st.lists(PLAIN, min_size=1, max_size=4), min_size=1, max_size=4))
    lines = [f"MSH{delimiters}{delimiters[0]}x"]
    lines += [delimiters[0].join(["ZA1", *(word.translate(table) for word in line)]) for line in words]
    return "\r".join(lines), words


@given(sent_messages())
def test_any_delimiters_give_the_same_words(sent: tuple[str, list[list[str]]]) -> None:
    text, words = sent
    message = read(text, "utf-8")
    assert [[er7.unescape(f) for f in s.fields[1:]] for s in message.segments[1:]] == words


@given(sent_messages())
def test_serialize_and_parse_are_inverse(sent: tuple[str, list[list[str]]]) -> None:
    message = read(sent[0], "utf-8")
    again = read(er7.serialize(message), "utf-8")
    assert again == message
    assert again.delimiters == er7.STANDARD
    assert er7.serialize(again) == er7.serialize(message)


def test_equality_sees_a_changed_field() -> None:
    assert read(HEAD + "\rPID|1") != read(HEAD + "\rPID|2")
    assert read(HEAD + "\rPID|1").segments[1] != "PID|1"


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda tail: b"MSH|^~\\&|" + tail))
def test_no_bytes_raise_anything_but_bad_input(data: bytes) -> None:
    try:
        for offset, piece in charset.split_messages(data):
            er7.parse(charset.decode(piece, offset))
    except BadInput:
        pass
