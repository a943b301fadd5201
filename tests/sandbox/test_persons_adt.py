"""The same people as messages that our own reader understands."""

from gateway.codec.charset import decode
from gateway.codec.er7 import parse
from gateway.codec.persons import PersonLine
from gateway.model.identity import PatientId
from gateway.model.person import Demographics, PersonName
from gateway.sandbox.persons import records
from gateway.sandbox.persons_adt import message, messages


def test_what_a_message_says() -> None:
    said = Demographics((PersonName("見本", "花^子", "", "kanji"), PersonName("旧", "花子", "", "kanji", "maiden")), "1980", "F", birth_order=2, multiple_birth=True)  # fmt: skip
    text = message(PersonLine(1, (PatientId("1", "9.1"), PatientId("M", "9.3")), said), 12, "20240101120000")
    segments = {line.split("|")[0]: line.split("|") for line in text.split("\r")}
    assert segments["MSH"][8] == "ADT^A28^ADT_A05" and segments["MSH"][9] == "P000000012"
    pid = segments["PID"]
    assert pid[3] == "1^^^&9.1&ISO~M^^^&9.3&ISO"
    assert pid[5] == "見本^花\\S\\子^^^^^L^I~旧^花子^^^^^M^I"
    assert (pid[7], pid[8], pid[24], pid[25]) == ("1980", "F", "Y", "2")


def test_all_of_them_are_messages() -> None:
    texts = list(messages(records(1, 100), "20240101120000"))
    assert len(texts) >= 100
    for text in texts:
        parsed = parse(decode(text.encode()))
        assert [segment.name for segment in parsed.segments] == ["MSH", "EVN", "PID", "PV1"]
