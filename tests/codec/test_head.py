"""The head of a message: enough to answer it, whatever is wrong with the rest."""

import pytest

from gateway.codec.head import MAX_KEYS, order_keys, read_head
from gateway.errors import BadInput

MSH = b"MSH|^~\\&|LAB|TOKYO-HP|GW|REGION|20260102||OUL^R22^OUL_R22|M1|P|2.5^JPN||||||~ISO IR87"


def test_fields_and_components() -> None:
    head = read_head(MSH + b"\rPID|1||0001^^^A~0002\rOBX|1\r")
    assert (head.type, head.trigger, head.control_id, head.version) == ("OUL", "R22", "M1", "2.5")
    assert (head.field(4), head.field(9), head.field(9, 3), head.field(9, 9), head.field(40)) == (
        "TOKYO-HP", "OUL^R22^OUL_R22", "OUL_R22", "", "",
    )  # fmt: skip
    assert head.pid is not None and head.pid[3] == "0001^^^A~0002" and head.readable


def test_the_rest_is_not_decoded() -> None:
    head = read_head(MSH + b"\rPID|1||0001\rOBX|1||\xff\xfe\x00\x1b$B\r")
    assert head.control_id == "M1" and head.pid is not None


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\r\n", b"\x0b", b" \x00"])
def test_what_senders_put_before_it(before: bytes) -> None:
    assert read_head(before + MSH).control_id == "M1"


@pytest.mark.parametrize("data", [b"", b"MSH", b"PID|1", b"hello", b"FHS|^~\\&|", b"\xff\xfeM\x00"])
def test_no_message_at_all(data: bytes) -> None:
    with pytest.raises(BadInput):
        read_head(data)


def test_delimiters_nobody_can_read_still_name_the_message() -> None:
    head = read_head(MSH.replace(b"^~\\&", b"^~\\", 1) + b"\rPID|1||0001\r")
    assert not head.readable and (head.control_id, head.field(3), head.pid) == ("M1", "LAB", None)


def test_other_delimiters_become_the_standard_ones() -> None:
    head = read_head(b"MSH!@~\\&!LAB!A|B!GW!R!2026!!OUL@R22!M1!P!2.5\rPID!1!!0001@@@TOKYO-HP\r")
    assert (head.type, head.trigger, head.field(4)) == ("OUL", "R22", "A\\F\\B")
    assert head.pid is not None and head.pid[3] == "0001^^^TOKYO-HP"


@pytest.mark.parametrize(
    ("msh18", "data", "codec"),
    [
        ("~ISO IR87", b"", "iso2022_jp"),
        ("UNICODE UTF-8", b"", "utf-8"),
        ("", b"", "ascii"),
        ("", "検査".encode("cp932"), "cp932"),
        ("", "検査".encode(), "utf-8"),
        ("UNICODE UTF-8", "検査".encode("cp932"), "utf-8"),
        ("8859/1", b"", "ascii"),
    ],
)
def test_the_charset_of_the_answer(msh18: str, data: bytes, codec: str) -> None:
    assert read_head(MSH.replace(b"~ISO IR87", msh18.encode()).replace(b"LAB", b"LAB" + data)).charset == codec


MANY = b"~".join(b"%d" % n for n in range(99))


@pytest.mark.parametrize(
    ("message", "keys"),
    [
        (MSH + b"\rPID|1||0001^^^A\rPV1\r", [b"0001"]),
        (MSH + b"\r\nPID|1|x|0001\r\n", [b"0001"]),
        (MSH + b"\rEVN|A01\rPID|1|| 0001 ^^^B~9\r", [b"0001", b"9"]),
        (MSH.replace(b"|", b"!").replace(b"^", b"@") + b"\rPID!1!!0001@@@A\r", [b"0001"]),
        (MSH + b"\rPID|||2^^^A~M7^^^C\rMRG|1^^^A~3^^^B|x\r", [b"2", b"M7", b"1", b"3"]),
        (MSH + b"\rPID|||1\rPV1||N\rPID|||2\r", [b"1", b"2"]),
        (MSH + b"\rQPD|Q23|T|1^^^A|^^^B\r", [b"1"]),
        (MSH + b"\rQPD|Q22|T|@PID.5.1^X\r", []),
        (MSH + b"\rPID|||1\rMRG|\r", [b"1"]),
        (MSH + b"\rPID|||" + MANY + b"\r", [b"%d" % n for n in range(MAX_KEYS)]),
        (MSH + b"\rNTE|PID|1||7\r", []),
        (MSH + b"\rPID|1\r", []),
        (MSH, []),
        (b"", []),
        (b"MSH|", []),
    ],
)  # fmt: skip
def test_what_messages_of_one_patient_share(message: bytes, keys: list[bytes]) -> None:
    assert list(order_keys(message)) == keys
