"""gateway/translate/person_v2.py: PID -> Demographics, and back."""

import pytest

from gateway.codec import charset, er7
from gateway.codec.er7 import Segment
from gateway.model.identity import Authority, PatientId
from gateway.model.person import Demographics, PersonAddress, PersonName
from gateway.translate.context import Facilities
from gateway.translate.person_v2 import BadField, authority_of, cx, cx_of, demographics, nameless_pid, patient_ids, pid

A, B = "1.2.3.1", "1.2.3.2"
FIND = Facilities([Authority(A, "ONE", aliases=("EINS",)), Authority(B)]).find


def segment(**fields: str) -> Segment:
    values = [""] * 31
    values[0] = "PID"
    for key, value in fields.items():
        values[int(key[1:])] = value
    return Segment("PID", values, 1, 0, 0)


@pytest.mark.parametrize(
    ("hd", "oid"),
    [
        ("ONE", A),
        ("EINS", A),
        (f"&{A}&ISO", A),
        (f"ONE&{A}&ISO", A),
        (f"WHAT&{A}&ISO", A),
        (f"&{B}&ISO", B),
        (f"&{A}", None),
        (f"&{A}&DNS", None),
        (f"ONE&{B}&ISO", None),
        ("NOBODY", None),
        ("&1.9&ISO", None),
        ("", None),
        ('""', None),
    ],
)
def test_an_authority_is_found_by_what_is_said_of_it(hd: str, oid: str | None) -> None:
    found = authority_of(hd, FIND)
    assert (found.oid if found else None) == oid


def test_repetitions_keep_their_number() -> None:
    assert [(one.value, one.hd, one.number) for one in cx_of('~1^^^ONE~""~^^^ONE')] == [("1", "ONE", 2), ("", "ONE", 4)]


@pytest.mark.parametrize(
    ("raw", "code", "place"),
    [
        ("", "101", "PID^1^3"),
        ("1", "204", "PID^1^3^1^4"),
        ("1^^^ONE~2^^^X", "204", "PID^1^3^2^4"),
        ("^^^ONE", "101", "PID^1^3^1^1"),
    ],
)
def test_an_id_without_an_authority_is_refused_at_its_place(raw: str, code: str, place: str) -> None:
    with pytest.raises(BadField) as caught:
        patient_ids(raw, "PID^1^3", FIND)
    assert (caught.value.code, caught.value.place) == (code, place)


def test_both_halves_of_an_authority_are_answered() -> None:
    assert cx(PatientId("1&2", A), FIND) == f"1\\T\\2^^^ONE&{A}&ISO"
    assert cx(PatientId("1", B), FIND) == f"1^^^&{B}&ISO"
    assert nameless_pid([PatientId("1", A), PatientId("2", B)], FIND) == f"PID|||1^^^ONE&{A}&ISO~2^^^&{B}&ISO||~^^^^^^S"


FULL = segment(
    f3="1^^^ONE",
    f5="見本^花子^^^^^L^I~ミホン^ハナコ^^^^^L^P~MIHON^HANAKO^^^^^L^A~旧姓^花子^^^^^M^I",
    f6="模擬^京子",
    f7="197004051200",
    f8="f",
    f9="仮名^花",
    f11="^^架空市^東京都^1000001^JPN^H~^^^^^^H^大阪府見本市1-2",
    f13="^PRN^PH^^^^^^^^^03-0000-0001~^NET^Internet^a@example.jp",
    f14="^WPN^PH^^^^^^^^^03-0000-0001",
    f24="Y",
    f25="2",
    f30="N",
)


def test_everything_a_pid_says() -> None:
    found = demographics(FULL)
    assert [(name.text, name.kind, name.use) for name in found.names] == [
        ("見本 花子", "kanji", "official"),
        ("ミホン ハナコ", "kana", "official"),
        ("MIHON HANAKO", "romaji", "official"),
        ("旧姓 花子", "kanji", "maiden"),
        ("仮名 花", "", "official"),
    ]
    assert (found.birth_date, found.sex) == ("19700405", "F")
    assert found.mothers_maiden_name == PersonName("模擬", "京子", "模擬 京子")
    assert [one.postal_code for one in found.addresses] == ["1000001", ""]
    assert found.telecoms == ("03-0000-0001", "a@example.jp")
    assert (found.multiple_birth, found.birth_order, found.deceased) == (True, 2, False)


def test_what_is_written_is_read_again() -> None:
    known = demographics(FULL)
    written = pid([PatientId("1", A)], known, FIND)
    message = er7.parse(charset.decode(f"MSH|^~\\&|||||||||||||||||UNICODE UTF-8\r{written}\r".encode()))
    again = demographics(message.first("PID"))  # type: ignore[arg-type]  # it is there
    assert again.names == known.names and again.birth_date == known.birth_date and again.telecoms == known.telecoms
    assert [one.text for one in again.addresses] == [one.text for one in known.addresses]
    assert (again.multiple_birth, again.birth_order, again.deceased) == (True, 2, False)


@pytest.mark.parametrize(
    ("raw", "digits"),
    [("1970", "1970"), ("197004", "197004"), ("19700230", ""), ("昭和45年", ""), ("", ""), ('""', "")],
)
def test_a_birth_date_is_a_date_or_nothing(raw: str, digits: str) -> None:
    assert demographics(segment(f7=raw)).birth_date == digits


@pytest.mark.parametrize(("raw", "order"), [("1", 1), ("12", 12), ("0", None), ("x", None), ("-1", None), ("", None)])
def test_a_birth_order_is_a_number_or_nothing(raw: str, order: int | None) -> None:
    assert demographics(segment(f25=raw)).birth_order == order


def test_an_empty_pid_says_nothing() -> None:
    assert demographics(segment()) == Demographics()
    assert demographics(segment(**{f"f{n}": '""' for n in (5, 6, 7, 8, 11, 13, 24, 25, 30)})) == Demographics()


def test_an_address_in_one_piece_stands_where_ss_mix2_looks() -> None:
    known = Demographics(addresses=(PersonAddress(text="東京都架空市1-2-3", use="home"),))
    assert pid([], known, FIND).split("|")[11] == "^^^^^^H^東京都架空市1-2-3"


def test_a_web_page_is_no_telephone() -> None:
    written = pid([PatientId("1", A)], Demographics(telecoms=("http://x.example", "03-1")), FIND)
    assert written.split("|")[13].split("~")[0] == "http://x.example"
