"""gateway/codec/jahistc.py: records of the electronic medication notebook."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codec import jahistc
from gateway.codec.jahistc import NotebookError, Record, day, parse, render
from gateway.errors import BadInput, LimitExceeded

SAMPLES = Path(__file__).parents[2] / ".." / "shared" / "samples" / "otc"

HEAD = "JAHISTC08,1\r\n1,試験 太郎,1,S450102\r\n"
BLOCK = "5,20250610,1\r\n11,試験薬局,13,4,9900001,,,,1\r\n"


def notebook(*lines: str, head: str = HEAD) -> bytes:
    return (head + "".join(f"{line}\r\n" for line in lines)).encode("cp932")


def refused(data: bytes) -> NotebookError:
    with pytest.raises(NotebookError) as caught:
        parse(data)
    return caught.value


def codes(data: bytes) -> list[tuple[str, str]]:
    return [(issue.code, issue.where) for issue in parse(data).issues]


def test_records_keep_their_order_their_items_and_their_lines() -> None:
    found = parse(notebook("5,20250610,1", "201,1,薬Ａ,1,錠,1,,1"))
    assert (found.version, found.direction, found.charset) == (8, "1", "Shift_JIS")
    assert [record.number for record in found.records] == ["1", "5", "201"]
    assert found.records[2].items == ("1", "薬Ａ", "1", "錠", "1", "", "1")
    assert found.records[2].line == 4
    assert found.records[2].item("name") == "薬Ａ"


@pytest.mark.parametrize("version", range(1, 9))
def test_every_version_is_read(version: int) -> None:
    assert parse(notebook(head=HEAD.replace("08", f"{version:02}"))).version == version


def test_a_newer_version_is_read_by_position_with_a_warning() -> None:
    assert codes(notebook(head=HEAD.replace("08", "12"))) == [("jahistc-version", "line 1")]


@pytest.mark.parametrize("head", ["JAHISTC08,3", "JAHISTC08,", "JAHISTC08"])
def test_a_second_item_that_is_no_direction_is_a_warning(head: str) -> None:
    assert codes(notebook(head=HEAD.replace("JAHISTC08,1", head)))[0][0] == "jahistc-direction"


@pytest.mark.parametrize("data", [b"", b"1,a,1,S450102\r\n", b"JAHIS10\r\n1,2\r\n", b"JAHISTCxx,1\r\n"])
def test_what_has_no_header_is_refused(data: bytes) -> None:
    assert str(refused(data)) == "first line is not JAHISTCnn"


def test_what_has_no_patient_is_refused() -> None:
    assert str(refused(b"JAHISTC08,1\r\n")) == "record 1 (the patient) is missing"


def test_a_second_patient_is_refused() -> None:
    error = refused(notebook("1,試験 花子,2,S450102"))
    assert (str(error), error.where) == ("record 1 comes twice", "line 3")


@pytest.mark.parametrize("line", ["201,1,薬,1,錠,1", "11,薬局", "301,1,用法", "401,注意", "281,1,一包化"])
def test_a_record_of_a_block_outside_a_block_is_refused(line: str) -> None:
    number = line.split(",")[0]
    error = refused(notebook(line))
    assert str(error) == f"record {number} outside a dispensing block"


@pytest.mark.parametrize(
    ("line", "text", "where"),
    [
        ("201,1,薬,1,錠,4,,1", "record 201 item 6: code missing for code kind 4", "line 5, column 7"),
        ("301,1,用法,3,日分,1,2,,1", "record 301 item 7: code missing for code kind 2", "line 5, column 8"),
    ],
)
def test_a_kind_of_code_without_its_code_is_refused(line: str, text: str, where: str) -> None:
    error = refused(notebook("5,20250610,1", "11,薬局", line))
    assert (str(error), error.where) == (text, where)


def test_an_ingredient_may_have_no_code_when_its_kind_says_none() -> None:
    assert parse(notebook("3,薬,,,1,1", "31,1,成分,1,,1")).records[-1].item("name") == "成分"
    assert str(refused(notebook("31,1,成分,2,,1"))) == "record 31 item 4: code missing for code kind 2"


@pytest.mark.parametrize(
    "birth", ["S651302", "S450230", "S000101", "X450102", "19700230", "00000000", "1970-01-02", "S4501"]
)
def test_a_birth_date_that_is_no_day_is_refused(birth: str) -> None:
    error = refused(notebook(head=HEAD.replace("S450102", birth)))
    assert (str(error), error.where) == ("record 1 item 3: no such date", "line 2, column 4")


def test_a_day_nobody_needs_is_only_a_warning() -> None:
    assert codes(notebook("4,メモ,20259999,1")) == [("bad-date", "line 3, column 3")]


@pytest.mark.parametrize(
    ("written", "iso", "slipped"),
    [
        ("20250610", "2025-06-10", False),
        ("S450102", "1970-01-02", False),
        ("H310430", "2019-04-30", False),
        ("R010501", "2019-05-01", False),
        ("S640107", "1989-01-07", False),
        ("H010108", "1989-01-08", False),
        ("T151224", "1926-12-24", False),
        ("S011225", "1926-12-25", False),
        ("M450729", "1912-07-29", False),
        ("T010730", "1912-07-30", False),
        ("H310501", "2019-05-01", True),
        ("S650101", "1990-01-01", True),
        ("R010430", "2019-04-30", True),
        ("H120229", "2000-02-29", False),
        ("r070610", "2025-06-10", False),
    ],
)
def test_eras(written: str, iso: str, slipped: bool) -> None:
    assert day(written) == (iso, slipped)


@pytest.mark.parametrize(
    "written", ["R000101", "H130229", "R011301", "A010101", "2025061", "202506100", "令070610", ""]
)
def test_no_such_day(written: str) -> None:
    assert day(written) is None


def test_a_day_outside_its_era_is_sure_and_reported() -> None:
    assert codes(notebook("5,H310501,1")) == [("era-slip", "line 3, column 2")]


def test_utf_8_is_read_with_a_warning_and_other_bytes_are_refused() -> None:
    text = notebook("5,20250610,1").decode("cp932")
    found = parse(b"\xef\xbb\xbf" + text.encode())
    assert found.charset == "UTF-8"
    assert found.records[0].item("name") == "試験 太郎"
    assert [issue.code for issue in found.issues] == ["charset-mismatch"]
    assert str(refused(b"JAHISTC08,1\r\n1,\xff\xfe\x00,1,S450102\r\n")) == "neither Shift_JIS nor UTF-8 text"


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_line_ends_and_the_end_mark(end: str) -> None:
    data = notebook("5,20250610,1").decode("cp932").replace("\r\n", end) + "\x1a" + end + "garbage"
    assert [record.number for record in parse(data.encode("cp932")).records] == ["1", "5"]


def test_short_records_and_blanks_are_warnings_and_nothing_is_lost() -> None:
    found = parse(notebook("5,20250610,1", "11,試験薬局　,13,4,9900001", "411,情報", "701,薬剤師,薬局, ,R070101,,1"))
    assert found.records[2].items[0] == "試験薬局　"
    assert [(i.code, i.where) for i in found.issues] == [
        ("item-blanks", "line 4, column 2"),
        ("item-missing", "line 5, column 3"),
        ("item-missing", "line 6, column 4"),
    ]


def test_what_must_be_there_depends_on_the_direction() -> None:
    lines = ("5,20250610,1", "11,試験薬局")
    assert [code for code, _ in codes(notebook(*lines))] == ["item-missing"] * 3
    assert codes(notebook(*lines, head=HEAD.replace("08,1", "08,2"))) == []


def test_unknown_records_and_items_beyond_the_last_are_kept() -> None:
    found = parse(notebook("999,何か,2", "4,メモ,20250610,1,余り"))
    assert [record.items for record in found.records[1:]] == [("何か", "2"), ("メモ", "20250610", "1", "余り")]
    assert [issue.code for issue in found.issues] == ["record-unknown", "record-length"]


def test_an_item_of_too_many_bytes_is_kept_whole_and_reported() -> None:
    long = "薬" * 61
    found = parse(notebook("5,20250610,1", f"201,1,{long},1,錠,1"))
    assert found.records[-1].item("name") == long
    assert [issue.code for issue in found.issues] == ["item-too-long"]


def test_no_value_of_a_patient_stands_in_an_error_or_issue() -> None:
    secret = "秘密花子"
    texts = [issue.text for issue in parse(notebook(f"{secret},1", f"4,{secret * 200},{secret},1")).issues]
    texts.append(str(refused(notebook(head=HEAD.replace("S450102", secret)))))
    texts.append(str(refused(notebook("5,20250610", f"201,1,薬,1,錠,{secret},,1"))))
    assert not any(secret in text or "秘" in text for text in texts)


def test_limits() -> None:
    with pytest.raises(LimitExceeded):
        parse(b"JAHISTC08,1\r\n" + b"4,x\r\n" * (jahistc.MAX_BYTES // 5))
    with pytest.raises(LimitExceeded):
        parse(notebook(*["4,x"] * (jahistc.MAX_RECORDS + 1)))
    with pytest.raises(LimitExceeded):
        parse(notebook("4," + "," * 100))


def test_a_control_character_is_taken_out_and_reported() -> None:
    found = parse(notebook("4,メ\x01モ,20250610,1"))
    assert found.records[-1].item("text") == "メモ"
    assert [issue.code for issue in found.issues] == ["control-character"]


# -- writing ----------------------------------------------------------------------------------------------------------


def test_what_was_read_is_written_byte_for_byte() -> None:
    data = notebook("5,20250610,1", "201,1,錠剤～５ｍｇ－‖,1,錠,1,,1", "301,1,【分１　朝食後】,28,日分,1,1,,1")
    found = parse(data)
    assert render(found.records, version=8, direction="1").data == data


def test_what_jis_does_not_have_becomes_a_black_square_and_is_named() -> None:
    written = render([Record("1", ("髙橋①", "1", "S450102"))])
    assert written.data.decode("cp932") == "JAHISTC08,1\r\n1,■橋■,1,S450102\r\n"
    assert written.lost == ("record 1 item 1",)


def test_a_comma_or_a_line_end_in_a_value_cannot_break_the_format() -> None:
    data = render([Record("4", ("a,b\r\nc", "", "1"))]).data
    assert data.decode("cp932").split("\r\n")[1] == "4,a，b  c,,1"


JIS = st.text(
    st.characters(codec="shift_jis", exclude_characters=",\\~¥‾", exclude_categories=("Cc",)), min_size=1, max_size=12
)


@given(st.lists(st.lists(JIS, min_size=1, max_size=5), max_size=6))
def test_any_text_of_jis_comes_back(rows: list[list[str]]) -> None:
    records = [Record("1", ("名", "1", "S450102")), *(Record("999", tuple(row)) for row in rows)]
    written = render(records)
    assert not written.lost
    assert [r.items for r in parse(written.data).records] == [r.items for r in records]


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_read_or_refused(data: bytes) -> None:
    for one in (data, HEAD.encode("cp932") + data):
        try:
            parse(one)
        except BadInput as error:
            assert str(error)


@pytest.mark.skipif(not SAMPLES.exists(), reason="the shared samples are not here")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("invalid-01-no-version", "first line is not JAHISTCnn"),
        ("invalid-02-bad-birthdate", "record 1 item 3: no such date"),
        ("invalid-03-drug-before-5", "record 201 outside a dispensing block"),
        ("invalid-04-code-kind-without-code", "record 201 item 6: code missing for code kind 4"),
    ],
)
def test_published_samples_that_are_wrong(name: str, text: str) -> None:
    assert str(refused((SAMPLES / f"{name}.csv").read_bytes())) == text


def test_escapes_of_iso_2022_jp_are_not_taken_for_words() -> None:
    text = "JAHISTC08,1\r\n1,試験 太郎,1,S450102\r\n4,日本語のメモ\r\n"
    found = parse(text.encode("iso2022_jp"))
    assert (found.charset, found.records[1].item("text")) == ("ISO-2022-JP", "日本語のメモ")
    assert "charset-mismatch" in [issue.code for issue in found.issues]
    with pytest.raises(NotebookError):
        parse(b"JAHISTC08,1\r\n1,\x1b$BF,1,S450102\r\n")


def test_a_number_with_more_digits_than_its_item_is_said() -> None:
    found = parse("JAHISTC08,1\r\n1,試験,1,S450102\r\n5,20250610\r\n201,1234,薬\r\n".encode("cp932"))
    assert ("item-too-long", "line 4, column 2") in [(issue.code, issue.where) for issue in found.issues]
