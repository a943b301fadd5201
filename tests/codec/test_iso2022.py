"""The wide reader of ISO-2022-JP: more characters, and damage that stays where it is."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.codec import iso2022
from gateway.codec.iso2022 import FOLD, WideText, decode_wide, vendor_character


def pair(char: str) -> bytes:
    """The JIS pair of a vendor character, worked back from the bytes CP932 gives it."""
    lead, trail = char.encode("cp932")
    row = (lead - (0x81 if lead < 0xA0 else 0xC1)) * 2 + (trail >= 0x9F)
    cell = trail - 0x7E if trail >= 0x9F else trail - 0x1F - (trail > 0x7F)
    return bytes((row + 0x21, cell))


NEC_ROW_13 = "①②⑳ⅠⅩ㍉㎜㎡№℡㈱㍾∮∟"


@pytest.mark.parametrize("char", NEC_ROW_13)
def test_nec_row_13(char: str) -> None:
    assert pair(char)[0] == 0x2D
    assert decode_wide(b"\x1b$B" + pair(char) + b"\x1b(B|x") == WideText(char + "|x", 0, -1, "", False)


@pytest.mark.parametrize(("jis", "char"), [(b"|q", "ⅰ"), (b"y!", "纊")])
def test_rows_89_to_92_are_nec_copies_of_ibm_characters(jis: bytes, char: str) -> None:
    assert vendor_character(jis) == char
    assert decode_wide(b"\x1b$B" + jis + b"\x1b(B").text == char


@pytest.mark.parametrize("outside", [b"\x7f\x7f", b"\x20\x21", b"\x21\x80"])
def test_bytes_outside_the_table_are_no_character(outside: bytes) -> None:
    assert vendor_character(outside) is None


def test_takahashi_and_the_others_of_the_vendor_rows() -> None:
    """髙 and 﨑, the two best known characters that JIS X 0208 lacks."""
    jis = {
        vendor_character(bytes((row, cell))): bytes((row, cell))
        for row in range(0x79, 0x7D)
        for cell in range(0x21, 0x7F)
    }
    for char in "髙﨑":
        assert decode_wide(b"\x1b$B;3" + jis[char] + b"\x1b(B").text == "山" + char


def test_every_pair_of_the_standard_is_read_as_the_strict_codec_reads_it() -> None:
    for row in range(0x21, 0x75):
        for cell in range(0x21, 0x7F):
            data = b"\x1b$B" + bytes((row, cell)) + b"\x1b(B"
            try:
                expected = data.decode("iso2022_jp")
            except UnicodeDecodeError:
                continue
            assert decode_wide(data).text == expected
            assert vendor_character(bytes((row, cell))) == expected


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"\x1b(I6@6E\x1b(B-1", "ｶﾀｶﾅ-1"),
        (b"\x1b$@;3ED\x1b(Jx\\y~z", "山田x\\y~z"),
        (b"\x1b$(D0!\x1b(B", "丂"),
        (b"\x1b$(Q.!\x1b(B", "俱"),
        (b"\x1b$B;3\x1b(I6\x1b$BED\x1b(B", "山ｶ田"),
        (b"\x1b$B;3 ED\x1b(B", "山 田"),
        (b"plain", "plain"),
        (b"", ""),
    ],
)
def test_sets(raw: bytes, text: str) -> None:
    assert decode_wide(raw) == WideText(text, 0, -1, "", False)


def test_jis_x_0213_plane_1() -> None:
    for char in "𠮟剝頰":
        data = char.encode("iso2022_jp_2004")
        assert decode_wide(data).text == char


def test_kana_of_eight_bits_between_the_shifts() -> None:
    assert decode_wide(b"\xb6\xc0|\x1b$B;3\x1b(B") == WideText("ｶﾀ|山", 0, -1, "", True)


@pytest.mark.parametrize(
    ("raw", "text", "unclosed"),
    [
        (b"A|\x1b$B;3ED", "A|山田", "end"),
        (b"A|\x1b$B;3ED|B|C", "A|山田|B|C", "recovered"),
        (b"A|\x1b(I6@|B", "A|ｶﾀ|B", "recovered"),
        (b"A|\x1b$B;3ED^^^^^L^I|1", "A|山田^^^^^L^I|1", "recovered"),
        (b"A|\x1b$B;3ED^JC10||7.2|mg", "A|山田^JC10||7.2|mg", "recovered"),
        (b"A|\x1b$B;3^%", "A|山" + b"\x1b$B^%\x1b(B".decode("iso2022_jp"), "doubtful"),
        (b"A|\x1b$B", "A|", ""),
    ],
)
def test_unclosed_shifts(raw: bytes, text: str, unclosed: str) -> None:
    found = decode_wide(raw)
    assert (found.text, found.unclosed, found.bad) == (text, unclosed, 0)


def test_bad_pairs_are_counted_and_placed() -> None:
    assert decode_wide(b"A|\x1b$B;3\x29\x21ED\x1b(B|B") == WideText("A|山\ufffd田|B", 1, 7, "", False)
    assert decode_wide(b"A|\x1b$B;3E\x1b(B|B") == WideText("A|山\ufffd|B", 1, 7, "", False)
    assert decode_wide(b"A\x1bZ|B") == WideText("A\ufffdZ|B", 1, 1, "", False)


def test_a_damaged_run_of_any_size_keeps_its_sound_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iso2022, "MAX_CAREFUL", 8)
    found = decode_wide(b"A|\x1b$B" + b";3ED" * 4 + b"\x29\x21" + b";3\x1b(B|B")
    assert found.bad == found.text.count("\ufffd") > 0
    assert found.text.startswith("A|山田山田山田山田\ufffd")


@given(
    st.lists(
        st.sampled_from([b"\x1b$B", b"\x1b$@", b"\x1b(B", b"\x1b(I", b"\x1b$(O", b"\x1b$(P"]) | st.binary(max_size=5)
    )
)
@example([b"\x1b$B", b"\x1b"])
def test_never_fails_and_never_lets_an_escape_through(parts: list[bytes]) -> None:
    found = decode_wide(b"".join(parts).replace(b"\r", b"").replace(b"\n", b""))
    assert "\x1b" not in found.text
    assert (found.bad > 0) == ("\ufffd" in found.text) == (found.first_bad >= 0)


def test_the_fold_takes_six_characters_to_the_jis_reading() -> None:
    assert "～∥－￠￡￢A".translate(FOLD) == "〜‖−¢£¬A"
    assert len(FOLD) == 6


@pytest.mark.parametrize("text", ["PID|髙橋^﨑子|①", "ﾐﾎﾝ^ﾊﾅｺ", "丂|A", "PID|1||見本^花子", ""])
def test_what_is_written_is_read_again(text: str) -> None:
    assert "".join(decode_wide(part).text for part in [iso2022.encode_wide(text)]) == text
    assert not iso2022.encode_wide(text) or max(iso2022.encode_wide(text)) < 0x80


def test_a_character_of_another_world_is_the_printers_mark() -> None:
    assert decode_wide(iso2022.encode_wide("A😀|한B")).text == "A〓|〓B"
