"""Charsets: found from the bytes, one reading, nothing vanishes, everything odd is reported."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.codec import charset
from gateway.errors import BadInput, LimitExceeded

ENCODINGS = {"iso2022_jp": "ISO-2022-JP", "utf-8": "UTF-8", "cp932": "Shift_JIS", "euc_jp": "EUC-JP"}
DECLARED = {"iso2022_jp": "~ISO IR87", "utf-8": "UNICODE UTF-8", "cp932": "Shift_JIS", "euc_jp": "EUC-JP"}
JIS_X_0208 = [
    bytes((0x1B, 0x24, 0x42, row, cell, 0x1B, 0x28, 0x42)).decode("iso2022_jp", "ignore")
    for row in range(0x21, 0x75)
    for cell in range(0x21, 0x7F)
]
TEXT = st.text(st.sampled_from([char for char in JIS_X_0208 if char] + list("aZ09 .|^~\\&")), min_size=1, max_size=20)
MICROSOFT = str.maketrans("〜‖−¢£¬", "～∥－￠￡￢")


def head(msh18: str = "~ISO IR87") -> str:
    return f"MSH|^~\\&|A|B|C|D|20240401||ORU^R01|1|P|2.5||||||{msh18}"


def message(text: str, encoding: str, msh18: str | None = None) -> bytes:
    sent = text.translate(MICROSOFT) if encoding == "cp932" else text
    return f"{head(DECLARED[encoding] if msh18 is None else msh18)}\rNTE|1||{sent}\r".encode(encoding)


def codes(decoded: charset.Decoded) -> list[tuple[str, str]]:
    return [(issue.severity, issue.code) for issue in decoded.issues if issue.code != "lost-character"]


def test_the_table_of_characters_is_the_whole_standard() -> None:
    assert sum(bool(char) for char in JIS_X_0208) == 6879


@given(TEXT)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_any_text_reads_the_same_in_every_charset(encoding: str, text: str) -> None:
    # A text of a few bytes may be sound UTF-8 and sound Shift_JIS or EUC-JP at once; UTF-8 then wins, and no reader
    # of bytes could know better.
    if encoding in ("cp932", "euc_jp"):
        assume(not _is_utf8(message(text, encoding)))
    decoded = charset.decode(message(text, encoding))
    assert decoded.segments[1] == f"NTE|1||{text}"
    assert decoded.charset in (ENCODINGS[encoding], "US-ASCII")
    assert codes(decoded) == []


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not data.isascii()


@pytest.mark.parametrize("encoding", ["cp932", "euc_jp"])
def test_ordinary_words_are_told_apart_without_help(encoding: str) -> None:
    for words in ("結野^一郎^^^^L^I~ムスビノ^イチロウ", "検査値が高い。", "内科外来にて経過観察"):
        decoded = charset.decode(message(words, encoding, ""))
        assert decoded.segments[1] == f"NTE|1||{words}"
        assert decoded.charset == ENCODINGS[encoding]


def test_half_width_kana_of_shift_jis_are_not_taken_for_kanji() -> None:
    decoded = charset.decode(message("ﾔﾏﾀﾞ^ﾅﾂ", "cp932", ""))
    assert (decoded.segments[1], decoded.charset) == ("NTE|1||ﾔﾏﾀﾞ^ﾅﾂ", "Shift_JIS")
    assert ("warning", "charset-guessed") in codes(decoded)


def test_utf_8_says_itself_which_wave_dash_it_means() -> None:
    for words in ("〜−‖", "～－∥"):
        assert charset.decode(message(words, "utf-8")).segments[1] == f"NTE|1||{words}"


@pytest.mark.parametrize("ends", ["\r", "\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends(ends: str, last: bool) -> None:
    data = (ends.join([head(), "PID|1||日本", "PV1|1|I"]) + (ends if last else "")).encode("iso2022_jp")
    decoded = charset.decode(data, base=100)
    assert decoded.segments == [head(), "PID|1||日本", "PV1|1|I"]
    assert decoded.line_ends == {"\r": "CR", "\n": "LF", "\r\n": "CRLF"}[ends]
    assert [data[at - 100 :][:3] for at in decoded.offsets] == [b"MSH", b"PID", b"PV1"]
    assert decoded.size == len(data)


@given(st.lists(st.sampled_from(["\r", "\n", "\r\n", "\n\r", "\r\r", "\r \r"]), min_size=3, max_size=6))
def test_mixed_line_ends_and_blank_lines_keep_segments_and_offsets(ends: list[str]) -> None:
    data = "".join(f"OBX|{n}||血糖{end}" for n, end in enumerate(ends)).encode("iso2022_jp")
    decoded = charset.decode(b"\xef\xbb\xbf" + data)
    assert decoded.segments == [f"OBX|{n}||血糖" for n in range(len(ends))]
    assert [data[at - 3 :][:6] for at in decoded.offsets] == [f"OBX|{n}|".encode() for n in range(len(ends))]


def test_no_line_end_at_all() -> None:
    assert charset.decode(b"MSH|^~\\&|A").line_ends == "none"
    assert charset.decode(b"").segments == []


def test_byte_order_mark_and_frame_bytes_are_dropped_without_a_word() -> None:
    decoded = charset.decode(b"\x0b" + message("日本", "iso2022_jp") + b"\x1c\r")
    assert decoded.segments[0].startswith("MSH|") and len(decoded.segments) == 2
    assert decoded.offsets[0] == 1
    assert decoded.issues == ()
    assert charset.decode(b"\xef\xbb\xbf" + message("日本", "utf-8")).segments[0].startswith("MSH|")


def test_an_unclosed_shift_damages_one_segment_only() -> None:
    data = message("x", "iso2022_jp") + b"PID|1||\x1b$B;3ED\rPV1|1|I\r"
    decoded = charset.decode(data)
    assert decoded.segments[2:] == ["PID|1||山田", "PV1|1|I"]
    assert codes(decoded) == [("warning", "unclosed-shift")]
    assert decoded.issues[0].where == "PID[1]"


def test_an_unclosed_shift_ends_at_a_field_separator() -> None:
    decoded = charset.decode(message("x", "iso2022_jp") + b"PID|1||\x1b$B;3ED|19500101|M\r")
    assert decoded.segments[2] == "PID|1||山田|19500101|M"
    assert codes(decoded) == [("error", "unclosed-shift")]


def test_jis_roman_keeps_the_delimiters() -> None:
    """ESC ( J leaves kanji in old senders; the bytes of `\\` and `~` after it are delimiters, not yen and overline."""
    decoded = charset.decode(message("x", "iso2022_jp") + b"PID|1||\x1b$@;3ED\x1b(J^A~B\\T\\|x\r")
    assert decoded.segments[2] == "PID|1||山田^A~B\\T\\|x"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"\x1b(I6@\x1b(B", "ｶﾀ"),
        (b"\x1b$B-!\x1b(B", "①"),
        (b"\x1b$(D0!\x1b(B", "丂"),
        (b"\x1b$By!\x1b(B", "纊"),
    ],
)
def test_wider_repertoire(raw: bytes, words: str) -> None:
    decoded = charset.decode(message("x", "iso2022_jp") + b"NTE|2||" + raw + b"|end")
    assert decoded.charset == "ISO-2022-JP"
    assert codes(decoded) == []
    assert decoded.segments[2] == f"NTE|2||{words}|end"


def test_undecodable_bytes_stay_visible_and_say_where() -> None:
    data = message("あいう検査", "utf-8") + b"NTE|2||\xe6\xa4\x9c\xe6\x9f\xbb\xff\xe5\x80\xa4|\xe6\xa4\r"
    decoded = charset.decode(data)
    assert decoded.segments[2] == "NTE|2||検査\ufffd値|\ufffd"
    issue = next(i for i in decoded.issues if i.code == "undecodable-bytes")
    assert (issue.severity, issue.where) == ("error", "NTE[2]")
    assert f"byte {data.index(0xFF)}" in issue.text


def test_one_segment_in_another_charset_is_found() -> None:
    data = message("検査値", "iso2022_jp") + "NTE|2||表示能力\r".encode("cp932") + b"NTE|3||x\r"
    decoded = charset.decode(data)
    assert decoded.segments[1:] == ["NTE|1||検査値", "NTE|2||表示能力", "NTE|3||x"]
    assert decoded.charset == "ISO-2022-JP+Shift_JIS"
    mixed = next(i for i in decoded.issues if i.code == "charset-mixed")
    assert mixed.where == "NTE[2]"

    data = message("検査値は正常", "utf-8") + "NTE|2||表示能力\r".encode("cp932")
    decoded = charset.decode(data)
    assert decoded.segments[1:] == ["NTE|1||検査値は正常", "NTE|2||表示能力"]
    assert decoded.charset == "Shift_JIS+UTF-8"


@pytest.mark.parametrize(
    ("msh18", "encoding", "agrees"),
    [
        ("~ISO IR87", "iso2022_jp", True),
        ("~ISOIR87", "iso2022_jp", True),
        ("ISO IR87", "iso2022_jp", True),
        ("ASCII~ISO IR87~ISO IR159", "iso2022_jp", True),
        ("UNICODE UTF-8", "utf-8", True),
        ("UNICODE", "utf-8", True),
        ("SJIS", "cp932", True),
        ("~ISO IR87", "utf-8", False),
        ("~ISO IR87", "cp932", False),
        ("UNICODE UTF-8", "iso2022_jp", False),
        ("8859/1", "iso2022_jp", False),
        ("ASCII", "utf-8", False),
        ('""', "iso2022_jp", False),
        ("", "iso2022_jp", False),
    ],
)
def test_found_against_msh_18(msh18: str, encoding: str, agrees: bool) -> None:
    decoded = charset.decode(message("検査のお知らせ", encoding, msh18))
    assert decoded.segments[1] == "NTE|1||検査のお知らせ"
    assert (("warning", "charset-mismatch") in codes(decoded)) is not agrees


@pytest.mark.parametrize(
    ("msh18", "encoding", "text"),
    [
        ("8859/1", "iso8859-1", "Müller, José"),
        ("8859/2", "iso8859-2", "Łukasz"),
        ("8859/15", "iso8859-15", "Œuvre"),
        ("8859/1", "cp932", "髙橋 はなこ"),
        ("8859/1", "euc_jp", "高橋 はなこ"),
        ("8859/1", "utf-8", "Müller 髙橋"),
    ],
)
def test_western_text_is_read_as_declared_and_japanese_as_it_is(msh18: str, encoding: str, text: str) -> None:
    assert charset.decode(message(text, encoding, msh18)).segments[1] == f"NTE|1||{text}"


@pytest.mark.parametrize("msh18", ["~ISO IR87", "UNICODE UTF-8", "8859/1", ""])
def test_ascii_agrees_with_every_declaration(msh18: str) -> None:
    decoded = charset.decode(f"{head(msh18)}\rPID|1".encode())
    assert (decoded.charset, decoded.issues) == ("US-ASCII", ())


def test_lost_characters_are_counted() -> None:
    decoded = charset.decode(message("■田■", "iso2022_jp"))
    issue = decoded.issues[0]
    assert (issue.severity, issue.code, issue.where) == ("information", "lost-character", "segment 1")
    assert issue.text.startswith("2 ")
    private = charset.decode(message("x", "cp932") + b"NTE|2||\x8e\x52\xf0\x40\x82\xa0\r")
    assert private.segments[2] == "NTE|2||山\ue000あ"
    assert [i.code for i in private.issues] == ["lost-character"]


def test_control_characters_are_removed_and_reported() -> None:
    data = message("x", "iso2022_jp") + b"NTE|2||a\x00b\x07\tc\rNTE|3||\x1b$B;3\x01ED\x1b(B\r\x02\rPV1|1\r"
    decoded = charset.decode(data)
    assert decoded.segments[2:] == ["NTE|2||ab\tc", "NTE|3||山田", "PV1|1"]
    assert codes(decoded) == [("warning", "control-character")]
    assert decoded.issues[0].text.startswith("4 control characters")
    assert data[decoded.offsets[-1] :] == b"PV1|1\r"


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LimitExceeded):
        charset.decode(b"MSH|^~\\&|A\r" + b"OBX|1\r" * charset.MAX_SEGMENTS)
    assert len(charset.decode(b"OBX|1\r" * charset.MAX_SEGMENTS).segments) == charset.MAX_SEGMENTS
    with pytest.raises(LimitExceeded):
        charset.decode(b"\r" * (3 * charset.MAX_SEGMENTS))
    monkeypatch.setattr(charset, "MAX_BYTES", 10)
    with pytest.raises(LimitExceeded):
        charset.decode(b"MSH|^~\\&|AB")


def test_many_damaged_segments_do_not_flood_the_issues() -> None:
    decoded = charset.decode("検査値です\r".encode() + b"NTE|\xff\xe6\xa4\r" * 500)
    assert decoded.segments[1].count("\ufffd") >= 1
    assert len([i for i in decoded.issues if i.code == "undecodable-bytes"]) <= 101


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff"])
def test_utf_16_is_refused_by_name(mark: bytes) -> None:
    with pytest.raises(BadInput, match="UTF-16"):
        charset.decode(mark + b"M\x00S\x00H\x00")


def test_many_blank_lines_before_a_message_are_divided_once() -> None:
    """A pattern that tries every way to divide them would not come back."""
    data = b"\r" * 5000 + b"x\r" + ONE + TWO
    assert len(charset.split_messages(data)) == 2


ONE, TWO = b"MSH|^~\\&|A\rPID|1\r", b"MSH|^~\\&|B\rPID|2\r"


@pytest.mark.parametrize(
    ("data", "pieces"),
    [
        (ONE, [ONE]),
        (ONE[:-1], [ONE[:-1]]),
        (ONE + TWO, [ONE, TWO]),
        (b"\x0b" + ONE + b"\x1c\r\x0b" + TWO + b"\x1c\r", [ONE, TWO]),
        (b"FHS|^~\\&|X\rBHS|^~\\&\r" + ONE + TWO + b"BTS|2\rFTS|1\r", [ONE, TWO]),
        (b"BHS|^~\\&\r\n" + ONE.replace(b"\r", b"\r\n") + b"BTS|1\r\n", [ONE.replace(b"\r", b"\r\n")]),
        (b"FHS|^~\\&\rBHS|^~\\&\r" + ONE + b"BTS|1\rBHS|^~\\&\r" + TWO + b"BTS|1\rFTS|2", [ONE, TWO]),
        (ONE + b"BTS|1\r", [ONE]),
        (b"PID|9\r" + ONE + TWO, [b"PID|9\r" + ONE, TWO]),
        (b"no message here", [b"no message here"]),
        (b"", [b""]),
        (b"MSH|^~\\&|A\rMSH\rPID|MSH|1\r", [b"MSH|^~\\&|A\rMSH\rPID|MSH|1\r"]),
        (b"\xef\xbb\xbf" + ONE + TWO, [ONE, TWO]),
    ],
)
def test_split_messages(data: bytes, pieces: list[bytes]) -> None:
    split = charset.split_messages(data)
    assert [piece.removeprefix(b"\xef\xbb\xbf") for _, piece in split] == pieces
    assert all(data[offset : offset + len(piece)] == piece for offset, piece in split)


@given(st.binary(max_size=400))
def test_random_bytes_raise_nothing_but_bad_input(data: bytes) -> None:
    try:
        decoded = charset.decode(data)
    except BadInput:
        return
    assert len(decoded.segments) == len(decoded.offsets)
    text = "".join(decoded.segments)
    assert not set(text) & {chr(code) for code in range(32) if code != 9}
    text.encode("utf-8")


@given(
    st.lists(st.sampled_from([b"\x1b$B", b"\x1b(B", b"\x1b(I", b"\x1b$(Q", b"|", b"\r", b"!!", b"\xa4\xa2", b"\x82"]))
)
def test_shifts_in_any_order_raise_nothing(parts: list[bytes]) -> None:
    decoded = charset.decode(b"".join(parts))
    assert "\x1b" not in "".join(decoded.segments)


def test_issues_hold_no_text_of_the_message() -> None:
    data = message("秘密■", "cp932", "~ISO IR87") + b"NTE|2||SECRET\xff\x07\x1b$B;3\r"
    decoded = charset.decode(data)
    assert {"charset-mismatch", "lost-character", "control-character"} <= {i.code for i in decoded.issues}
    assert not any("秘" in i.text or "SECRET" in i.text for i in decoded.issues)


@pytest.mark.parametrize("stray", [b"\x1b", b"\x1b\x1b", b"\x1b\x1b\x1b$B", b"\x1bA", b"\x1b$", b"1\x1b\x1b(B"])
def test_no_escape_is_left_in_the_text(stray: bytes) -> None:
    """The strict codec passes some escapes it does not know; FHIR has no place for them."""
    found = charset.decode(b"MSH|^~\\&|A\rPID|1|" + b"\x1b$B;3ED\x1b(B" + stray + b"|\x1b$BB@O:\x1b(B\r")
    assert not any("\x1b" in segment for segment in found.segments)
    assert {"undecodable-bytes", "unclosed-shift"} & {issue.code for issue in found.issues}
