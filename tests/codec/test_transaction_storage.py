"""Records of the transaction storage, in every form of head that we take."""

import pytest

from gateway.codec.transaction_storage import is_transaction_file, is_year, records
from gateway.errors import BadInput

FIELDS = ("1310000001", "0000012345", "20240601", "OML-11", "000000000000777", "20240601120000123", "01", "INS")
MESSAGE = b"MSH|^~\\&|A|B\rPID|1||0000012345\rOBX|1|ST|x||INS DEL\r"
WIDTHS = (10, 15, 8, 180, 22, 17, 5, 3)


def head(form: str, *fields: str) -> bytes:
    values = fields or FIELDS
    if form == "fixed":
        return "".join(value.ljust(width) for value, width in zip(values, WIDTHS, strict=True)).encode()
    if form == "quoted":
        return ",".join(f'"{value}"' for value in values).encode()
    if form == "action-first":
        return ",".join((values[-1], *values[:-1])).encode()
    return (
        {"tab": "\t", "comma": ",", "bar": "|", "semicolon": " ; ", "name": "_", "blanks": "  "}[form]
        .join(values)
        .encode()
    )


FORMS = ("tab", "comma", "bar", "semicolon", "quoted", "fixed", "name", "blanks", "action-first")


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r", b""])
@pytest.mark.parametrize("form", FORMS)
def test_a_head_in_each_form(form: str, end: bytes) -> None:
    (one,) = records(head(form) + end + MESSAGE)
    assert one.facility == "1310000001"
    assert one.name[:7] == ("0000012345", "20240601", "OML-11", "000000000000777", "20240601120000123", "01", "1")
    assert one.name.name == "0000012345_20240601_OML-11_000000000000777_20240601120000123_01_1"
    assert one.message == MESSAGE
    assert one.offset == len(head(form) + end)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "fields",
    [
        ("1310000001", "1", "-", "ADT-00", "999999999999999", "20240601120000123", "-", "INS"),
        ("1310000001", "A" * 15, "20240601", "OMD", "7", "20240601120000", "12345", "DEL"),
        (
            "1310000001",
            "0000012345",
            "20240601",
            "^（経過）^^11506-3^経過記録^LN",
            "777",
            "20240601120000123",
            "01",
            "INS",
        ),
    ],
)
def test_values_in_each_form(form: str, fields: tuple[str, ...]) -> None:
    (one,) = records(head(form, *fields) + b"\r\n" + MESSAGE)
    assert (one.name.key, one.name.department) == (fields[1:5], fields[6])
    assert one.name.flag == {"INS": "1", "DEL": "0"}[fields[-1]]


@pytest.mark.parametrize("gap", [b"", b"\r\n", b"\n", b"\r\n\r\n"])
def test_the_line_end_before_the_next_head_is_not_part_of_a_message(gap: bytes) -> None:
    other = head("tab", *FIELDS[:4], "000000000000778", *FIELDS[5:])
    made = records(head("tab") + b"\r\n" + MESSAGE + gap + other + b"\r\n" + MESSAGE + gap)
    assert [one.message for one in made] == [MESSAGE, MESSAGE]


@pytest.mark.parametrize(
    "message", [MESSAGE.replace(b"\r", b"\n"), MESSAGE.replace(b"\r", b"\r\n"), b"MSH|^~\\&|A\nPID|1"]
)
def test_messages_with_other_line_ends(message: bytes) -> None:
    gap = b"" if message.endswith(b"\n") else b"\n"
    data = (head("comma") + b"\n" + message + gap) * 2
    assert {one.message for one in records(data)} == {message + gap}


def step(action: str, time: str, order: str = "000000000000777") -> bytes:
    fields = (*FIELDS[:4], order, f"2024060{time}120000123", "01", action)
    return head("tab", *fields) + b"\r\n" + MESSAGE


@pytest.mark.parametrize(
    ("steps", "flags"),
    [
        ((("INS", "1"),), "1"),
        ((("INS", "1"), ("INS", "2")), "21"),
        ((("INS", "1"), ("INS", "2"), ("INS", "3")), "221"),
        ((("INS", "1"), ("DEL", "2")), "00"),
        ((("INS", "1"), ("INS", "2"), ("DEL", "3")), "000"),
        ((("INS", "1"), ("DEL", "2"), ("INS", "3")), "001"),
        ((("INS", "2"), ("INS", "1")), "21"),
        ((("DEL", "1"),), "0"),
        ((("INS", "1"), ("INS", "2", "777")), "21"),
        ((("INS", "1"), ("INS", "2", "778")), "11"),
    ],
)
def test_flags_are_those_of_the_files_in_the_end(steps: tuple[tuple[str, ...], ...], flags: str) -> None:
    made = records(b"".join(step(*one) for one in steps))
    assert "".join(one.name.flag for one in made) == flags
    assert all(one.name.name.endswith(f"_{one.name.flag}") for one in made)


def test_a_deletion_without_a_message() -> None:
    data = step("INS", "1") + head("tab", *FIELDS[:5], "20240602120000000", "01", "DEL") + b"\r\n"
    kept, deleted = records(data)
    assert (kept.name.flag, deleted.name.flag, deleted.message) == ("0", "0", b"")
    assert deleted.offset == data.rindex(b"1310000001")


@pytest.mark.parametrize("data", [b"", b"\r\n\x1a", MESSAGE, b"junk\r\n" + head("tab") + b"\r\n" + MESSAGE, b"INS DEL"])
def test_what_is_no_transaction_file_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput):
        records(data)


def test_time_is_linear() -> None:
    """Lines that begin like heads and are none."""
    line = head("blanks")[:-3] + b" " * 400 + b"INSX\r\n"
    with pytest.raises(BadInput):
        records(line * 2_000)


def test_names() -> None:
    assert is_transaction_file("TR_20240601000000000_00001.DAT") and is_transaction_file("tr_20240601000000000_1.dat")
    assert not is_transaction_file("TR_2024_1.DAT") and not is_transaction_file("xTR_20240601000000000_00001.DAT")
    assert is_year("2024") and not is_year("024") and not is_year("20240601")
