"""Demographics <-> HL7 v3: there and back, and nothing breaks out."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway.codec.hl7v3 import II
from gateway.model.person import Demographics, PersonAddress, PersonName
from gateway.translate import person_v3
from tests.v3_parts import TARO


def role(found: Demographics, *others: II) -> etree._Element:
    inside = person_v3.role((II("1.2", "a"),), person_v3.person(found, others), degree=90)
    xsi = "http://www.w3.org/2001/XMLSchema-instance"
    return etree.fromstring(f'<r xmlns="urn:hl7-org:v3" xmlns:xsi="{xsi}">{inside}</r>')[0]


@pytest.mark.parametrize(
    "found",
    [
        TARO,
        Demographics(),
        Demographics(names=(PersonName(text="結城 太郎"), PersonName("Yuki", "Taro", kind="romaji", use="usual"))),
        Demographics(names=(PersonName("旧姓", "花子", use="maiden"), PersonName("前", use="old"))),
        Demographics(sex="U", birth_date="1984", deceased=True, multiple_birth=False),
        Demographics(sex="O", addresses=(PersonAddress(text="東京都千代田区", use="old"),)),
        Demographics(telecoms=("+81-3-1234-5678", "０３−１２３４", "a b@example.jp")),
    ],
)
def test_there_and_back(found: Demographics) -> None:
    assert person_v3.demographics_of(role(found)) == found


def test_ambiguous_and_not_applicable_sex_have_one_code_in_v3() -> None:
    for sex in "AN":
        assert person_v3.demographics_of(role(Demographics(sex=sex))).sex == "O"


def test_an_address_is_not_said_twice() -> None:
    whole = PersonAddress("100", "東京都", "千代田区", "1-1", "東京都千代田区1-1")
    assert person_v3.demographics_of(role(Demographics(addresses=(whole,)))).addresses == (whole._replace(text=""),)


words = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="￾￿"), min_size=1, max_size=12).map(
    str.strip
)


@given(st.builds(Demographics, names=st.lists(st.builds(PersonName, words, words), max_size=3).map(tuple)), words)
def test_any_name_is_well_formed(found: Demographics, extension: str) -> None:
    patient = role(found, II("1.2.3", extension))
    read = person_v3.demographics_of(patient)
    assert [(one.family, one.given) for one in read.names] == [
        (one.family, one.given) for one in found.names if one.family or one.given
    ]


@pytest.mark.parametrize(
    ("xml", "found"),
    [
        ("<name/>", None),
        ('<name nullFlavor="UNK"><family>x</family></name>', None),
        ("<name><prefix>Dr</prefix></name>", PersonName(text="Dr")),
        ("<name>山田<!-- x -->太郎</name>", PersonName(text="山田太郎")),
        ('<name use="SYL P"><family>ヤマダ</family></name>', PersonName("ヤマダ", kind="kana", use="nickname")),
        ("<name><family>山</family><family>田</family></name>", PersonName("山 田")),
        ('<name><family>山</family><validTime><low value="2000"/></validTime></name>', PersonName("山")),
        ('<name><family>山</family><validTime><high nullFlavor="PINF"/></validTime></name>', PersonName("山")),
    ],
)
def test_names_as_they_come(xml: str, found: Any) -> None:
    element = etree.fromstring(xml.replace("<name", '<name xmlns="urn:hl7-org:v3"', 1))
    assert person_v3.name_of(element) == found


def test_a_name_at_birth_beside_the_present_one_is_a_second_name() -> None:
    element = etree.fromstring(
        '<name xmlns="urn:hl7-org:v3" use="IDE"><given>花子</given><family qualifier="BR">佐藤</family>'
        "<family>結城</family></name>"
    )
    assert person_v3.names_of(element) == [
        PersonName("結城", "花子", kind="kanji"),
        PersonName("佐藤", "花子", kind="kanji", use="maiden"),
    ]
    assert person_v3.name_of(element) == PersonName("結城", "花子", kind="kanji")


@pytest.mark.parametrize(
    ("xml", "sex"),
    [
        ('code="M"', "M"),
        ('code="UN"', "O"),
        ('nullFlavor="UNK"', "U"),
        ('nullFlavor="NI"', ""),
        ('code="X"', ""),
        ("", ""),
    ],
)
def test_sex_is_never_guessed(xml: str, sex: str) -> None:
    assert person_v3.sex_of(etree.fromstring(f"<a {xml}/>")) == sex


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("tel:+81-3", "+81-3"),
        ("mailto:a@b.jp", "a@b.jp"),
        ("TEL:03%2012", "03 12"),
        ("03-1", "03-1"),
        ("http://x", "http://x"),
        ("", ""),
    ],
)
def test_numbers_lose_their_scheme(value: str, found: str) -> None:
    assert person_v3.telecom_of(etree.fromstring(f'<t value="{value}"/>')) == found


def test_a_web_page_is_no_telephone() -> None:
    written = person_v3.telecom("http://x.example/?a=1&b=2")
    assert written == '<telecom value="http://x.example/?a=1&amp;b=2"/>'
    assert person_v3.telecom_of(etree.fromstring(written)) == "http://x.example/?a=1&b=2"
