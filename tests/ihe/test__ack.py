"""Acknowledgements: original and enhanced mode, the forms of each version, and what the sender wrote coming back."""

from datetime import UTC, datetime

import pytest
from hl7apy.parser import parse_message
from hl7apy.validation import Validator as Hl7apyValidator

from gateway.codec.head import read_head
from gateway.ihe._ack import acknowledgements
from gateway.services.feed import Problem, Receipt
from tests.v2_parts import lab

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
GOOD = Receipt("AA", AT)
CONTENT = Receipt("AE", AT, (Problem("204", "PID^1^3^1^4", "some words"),))
HEAD = Receipt("AR", AT, (Problem("203", "MSH^1^12", "some words"),))


def answers(message: bytes, receipt: Receipt) -> list[list[str]]:
    made = acknowledgements(read_head(message), receipt)
    return [one.decode(read_head(message).charset).rstrip("\r").split("\r") for one in made]


def codes(message: bytes, receipt: Receipt) -> list[str]:
    return [segments[1].split("|")[1] for segments in answers(message, receipt)]


def test_the_answer_in_full() -> None:
    (segments,) = answers(lab("検査-1 "), GOOD)
    msh = segments[0].split("|")
    assert msh[:9] == ["MSH", "^~\\&", "GW", "REGION", "LAB", "TOKYO-HP", "20260102120405+0900", "", "ACK^R22^ACK"]
    assert len(msh[9]) == 20 and msh[10:12] == ["P", "2.5"] and msh[17] == "~ISO IR87"
    assert segments[1:] == ["MSA|AA|検査-1 "]


def test_an_error_in_version_2_5() -> None:
    (segments,) = answers(lab(), CONTENT)
    assert segments[1:] == [
        "MSA|AE|M1",
        "ERR||PID^1^3^1^4|204^Unknown key identifier^HL70357|E|||some words|some words",
    ]


@pytest.mark.parametrize(("version", "type_"), [("2.3.1", "ACK^R22"), ("2.4", "ACK^R22^ACK"), ("2.3", "ACK^R22")])
def test_an_error_before_version_2_5(version: str, type_: str) -> None:
    (segments,) = answers(lab(version=version), CONTENT)
    msh = segments[0].split("|")
    assert (msh[8], msh[11]) == (type_, version)
    assert segments[1:] == [
        "MSA|AE|M1|some words|||204^Unknown key identifier^HL70357",
        "ERR|PID^1^3^204&Unknown key identifier&HL70357",
    ]


def test_a_success_before_version_2_5_says_no_more_than_that() -> None:
    assert answers(lab(version="2.3.1"), GOOD)[0][1:] == ["MSA|AA|M1"]


@pytest.mark.parametrize(
    ("accept", "application", "good", "content", "head"),
    [
        ("", "", ["AA"], ["AE"], ["AR"]),
        ("AL", "AL", ["CA", "AA"], ["CA", "AE"], ["CR"]),
        ("AL", "NE", ["CA"], ["CE"], ["CR"]),
        ("AL", "", ["CA"], ["CE"], ["CR"]),
        ("NE", "AL", ["AA"], ["AE"], ["AR"]),
        ("", "AL", ["AA"], ["AE"], ["AR"]),
        ("NE", "NE", [], [], []),
        ("ER", "ER", [], ["AE"], ["CR"]),
        ("ER", "AL", ["AA"], ["AE"], ["CR"]),
        ("ER", "NE", [], ["CE"], ["CR"]),
        ("SU", "SU", ["CA", "AA"], [], []),
        ("SU", "ER", ["CA"], ["CA", "AE"], ["AR"]),
        ("AL", "ER", ["CA"], ["CA", "AE"], ["CR"]),
        ("AL", "SU", ["CA", "AA"], ["CE"], ["CR"]),
        ("XX", "NE", ["CA"], ["CE"], ["CR"]),
    ],
)
def test_who_is_answered_what(
    accept: str, application: str, good: list[str], content: list[str], head: list[str]
) -> None:
    message = lab(msh=f"|||{accept}|{application}|")
    assert (codes(message, GOOD), codes(message, CONTENT), codes(message, HEAD)) == (good, content, head)


def test_an_application_acknowledgement_asks_for_none_itself() -> None:
    accept, application = answers(lab(msh="|||AL|AL|"), CONTENT)
    assert application[0].split("|")[14:16] == ["NE", "NE"] and accept[0].split("|")[14:16] == ["", ""]
    assert len(accept) == 2, "the commit says nothing of the content"
    assert application[2].startswith("ERR||PID^1^3^1^4|204")
    assert accept[0].split("|")[9] != application[0].split("|")[9], "two messages have two control ids"


def test_the_same_receipt_gives_the_same_bytes_and_another_time_does_not() -> None:
    head = read_head(lab())
    assert acknowledgements(head, GOOD) == acknowledgements(head, GOOD._replace(again=True))
    assert acknowledgements(head, GOOD) != acknowledgements(head, GOOD._replace(at=AT.replace(hour=4)))


@pytest.mark.parametrize(("msh18", "codec"), [("~ISO IR87", "iso2022_jp"), ("UNICODE UTF-8", "utf-8")])
def test_the_answer_is_in_the_charset_of_the_message(msh18: str, codec: str) -> None:
    message = lab(application="検査部門", charset=msh18)
    (answer,) = acknowledgements(read_head(message), GOOD)
    assert "検査部門".encode(codec) in answer and answer.decode(codec).split("|")[4] == "検査部門"


def test_a_character_the_charset_lacks_does_not_cost_the_answer() -> None:
    message = lab(application="髙", charset="UNICODE UTF-8").replace(b"UNICODE UTF-8", b"~ISO IR87")
    (answer,) = acknowledgements(read_head(message), GOOD)
    assert answer.split(b"|")[4] == b"?" and b"\rMSA|AA|M1\r" in answer


def test_delimiters_in_our_words_do_not_break_the_segment() -> None:
    problems = (Problem("207", "", "a|b^c~d\\e&f\r\ng"),)
    (segments,) = answers(lab(), Receipt("AE", AT, problems))
    assert len(segments) == 3 and segments[2].split("|")[7] == "a b c d e f  g"
    (segments,) = answers(lab(version="2.4"), Receipt("AE", AT, problems))
    assert len(segments) == 3 and segments[1].split("|")[3] == "a b c d e f  g"


def test_many_problems_are_listed_up_to_a_bound() -> None:
    (segments,) = answers(lab(), Receipt("AA", AT, (Problem("102", "", "x", "W"),) * 50))
    assert sum(line.startswith("ERR") for line in segments) == 20


@pytest.mark.parametrize("version", ["2.4", "2.5", "2.5.1", "2.6"])
@pytest.mark.parametrize("receipt", [GOOD, CONTENT, HEAD, Receipt("AE", AT, (Problem("207", "", "some words"),))])
def test_another_reader_finds_them_valid(version: str, receipt: Receipt) -> None:
    for answer in acknowledgements(read_head(lab(version=version, msh="|||AL|AL|", charset="")), receipt):
        message = parse_message(answer.decode("ascii"), find_groups=False)
        assert message.name == "ACK" and Hl7apyValidator.validate(message)
