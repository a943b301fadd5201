"""gateway/translate/names.py: names, addresses and telephones."""

from typing import Any

import pytest

from gateway.translate.names import address_of, contact_point, human_name, xad_rest, xpn_rest, xtn_rest


@pytest.mark.parametrize("tail", ["^^L^I", "^L^I", "^L^^I", "L^I^", "^^^I^L".removesuffix("^L")])
def test_the_representation_is_found_in_components_6_to_8(tail: str) -> None:
    raw = f"見本^結子^^^{tail}" if tail.count("^") > 2 else f"見本^結子^^^^{tail}"
    name = human_name(raw)
    assert name is not None
    assert name["extension"][0]["valueCode"] == "IDE"
    assert name["text"] == "見本 結子"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("見本^結子^^^^^L^I", {"use": "official", "text": "見本 結子", "family": "見本", "given": ["結子"]}),
        ("ミホン^ユイコ^^^^^^P", {"text": "ミホン ユイコ", "family": "ミホン", "given": ["ユイコ"]}),
        ("Mihon^Yuiko^K^^^^B^A", {"use": "old", "text": "Mihon Yuiko K", "family": "Mihon", "given": ["Yuiko K"]}),
        ("見本", {"text": "見本", "family": "見本"}),
        ("^結子", {"text": "結子", "given": ["結子"]}),
        ('""^結子', {"text": "結子", "given": ["結子"]}),
        ("van&Gogh^V", {"text": "van Gogh V", "family": "van Gogh", "given": ["V"]}),
    ],
)
def test_a_name(raw: str, expected: dict[str, Any]) -> None:
    name = human_name(raw)
    assert name is not None
    name = {key: value for key, value in name.items() if key != "extension"}
    assert name == expected


@pytest.mark.parametrize("raw", ["", "^", '""', "^^^^^^L^I"])
def test_no_family_and_no_given_is_no_name(raw: str) -> None:
    assert human_name(raw) is None


@pytest.mark.parametrize(
    ("raw", "left"),
    [
        ("見本^結子^^^^^L^I", ()),
        ("見本^結子^^博士^^^L^I", ((4, "博士"),)),
        ("見本^結子^^^^^Q^I", ((7, "Q"),)),
        ("見本^結子^^^^L^D^I", ((7, "D"),)),
        ("見本^結子^^^^I^^P", ((6, "I"),)),
        ("^^^^^^L^I", ((0, "^^^^^^L^I"),)),
    ],
)
def test_what_a_name_does_not_say_is_left(raw: str, left: tuple[tuple[int, str], ...]) -> None:
    assert xpn_rest(raw) == left


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            "^^^^000-0001^JPN^H^東京都架空区１番",
            {"use": "home", "text": "東京都架空区１番", "postalCode": "000-0001", "country": "JP"},
        ),
        ("東京都架空区１番", {"text": "東京都架空区１番", "line": ["東京都架空区１番"]}),
        (
            "1-1^見本荘^架空区^東京都^000-0001",
            {
                "text": "東京都架空区1-1見本荘",
                "line": ["1-1", "見本荘"],
                "city": "架空区",
                "state": "東京都",
                "postalCode": "000-0001",
            },
        ),
        ("^^^^000-0001^FRA", {"postalCode": "000-0001", "country": "FRA"}),
        ("^^^^^JPN^H", {"use": "home", "country": "JP"}),
        ("^^^^^^H", None),
        ("&", None),
    ],
)
def test_an_address(raw: str, expected: dict[str, Any] | None) -> None:
    assert address_of(raw) == expected


def test_what_an_address_does_not_say_is_left() -> None:
    assert xad_rest("^^^^000-0001^JPN^N^x^郡") == ((7, "N"), (9, "郡"))
    assert xad_rest("^^^^^^H") == ((0, "^^^^^^H"),)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("^PRN^PH^^^^^^^^^03-0000-0000", {"system": "phone", "value": "03-0000-0000", "use": "home"}),
        ("03-0000-0000", {"system": "phone", "value": "03-0000-0000"}),
        ("^WPN^FX^^^^^^^^^03-1", {"system": "fax", "value": "03-1", "use": "work"}),
        ("^NET^Internet^a@example.jp", {"system": "email", "value": "a@example.jp"}),
        ("^^^a@example.jp", {"system": "email", "value": "a@example.jp"}),
        ("^PRS^CP^^81^90^1234", {"system": "phone", "value": "81901234", "use": "mobile"}),
        ("^PRN^PH", None),
    ],
)
def test_a_contact_point(raw: str, expected: dict[str, str] | None) -> None:
    assert contact_point(raw) == expected


@pytest.mark.parametrize(
    ("raw", "left"),
    [
        ("^PRN^PH^^^^^^^^^03-1", ()),
        ("03-2^EMR^PH^^^^^^内線3^^^03-1", ((1, "03-2"), (2, "EMR"), (9, "内線3"))),
        ("^PRN^PH", ((0, "^PRN^PH"),)),
        ("^^QQ^a@example.jp^81", ((3, "QQ"), (4, "a@example.jp"))),
    ],
)
def test_numbers_beside_the_one_taken_are_left(raw: str, left: tuple[tuple[int, str], ...]) -> None:
    assert xtn_rest(raw) == left
