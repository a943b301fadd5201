"""gateway/translate/datatypes.py: HL7 v2 data types, field by field."""

from decimal import Decimal
from typing import Any

import pytest

from gateway.translate.datatypes import (
    MERIT9,
    as_code,
    ce_unit_rest,
    clean,
    coded,
    component,
    cwe_rest,
    decimal,
    merit9,
    plain,
    published_codes,
    quantity,
    triplet_rest,
    unit_rest,
    visible,
)
from tests.translate.messages import OID, only, places, read, residue

JLAC10 = "http://medis.or.jp/CodeSystem/master-JLAC10-17digits"
CODE = "3B035000002327201"


def local(name: str) -> str:
    return f"https://musubi.invalid/{OID}/CodeSystem/{name}"


# -- coded values: the layouts that occur (JAHIS messages, section 1) --------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(
            "12^院内^99XYZ",
            {"coding": [{"system": local("99XYZ"), "code": "12", "display": "院内"}], "text": "院内"},
            id="local only",
        ),
        pytest.param(
            f"{CODE}^ＡＳＴ^JC10",
            {"coding": [{"system": JLAC10, "code": CODE, "display": "ＡＳＴ"}], "text": "ＡＳＴ"},
            id="standard only",
        ),
        pytest.param(
            f"^^^{CODE}^ＡＳＴ^JC10",
            {"coding": [{"system": JLAC10, "code": CODE, "display": "ＡＳＴ"}], "text": "ＡＳＴ"},
            id="standard in the second triplet",
        ),
        pytest.param(
            f"12^GOT^99XYZ^{CODE}^ＡＳＴ^JC10",
            {
                "coding": [
                    {"system": JLAC10, "code": CODE, "display": "ＡＳＴ"},
                    {"system": local("99XYZ"), "code": "12", "display": "GOT"},
                ],
                "text": "GOT",
            },
            id="local, then standard",
        ),
        pytest.param(
            f"{CODE}^ＡＳＴ^JC10^12^GOT^99XYZ",
            {
                "coding": [
                    {"system": JLAC10, "code": CODE, "display": "ＡＳＴ"},
                    {"system": local("99XYZ"), "code": "12", "display": "GOT"},
                ],
                "text": "GOT",
            },
            id="standard, then local",
        ),
        pytest.param("^頭が痛い", {"text": "頭が痛い"}, id="text only"),
        pytest.param("12", {"coding": [{"code": "12"}]}, id="bare code"),
        pytest.param(
            "SEL^本人^HL70063",
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0063", "code": "SEL"}], "text": "本人"},
            id="words of a published system stand in the text",
        ),
        pytest.param(
            "1^a^99A^2^b^99B^^^元の語",
            {
                "coding": [
                    {"system": local("99A"), "code": "1", "display": "a"},
                    {"system": local("99B"), "code": "2", "display": "b"},
                ],
                "text": "元の語",
            },
            id="component 9 is the text",
        ),
        pytest.param(
            "SEL^本人^HL70063^1^家族^99A",
            {
                "coding": [
                    {"system": "http://terminology.hl7.org/CodeSystem/v2-0063", "code": "SEL"},
                    {"system": local("99A"), "code": "1", "display": "家族"},
                ],
                "text": "家族（本人）",
            },
            id="no words are lost where a display may not stand",
        ),
    ],
)
def test_each_triplet_is_judged_by_its_own_system_name(raw: str, expected: dict[str, Any]) -> None:
    found = coded(raw, OID)
    assert found.concept == expected
    assert found.problems == ()
    assert cwe_rest(raw) == ()


@pytest.mark.parametrize(
    ("raw", "name", "code"),
    [
        ("2B0300000022311^ＰＴ^JC10", "JC10", "2B0300000022311"),
        ("620007329^ソリタ^HOT9", "HOT9", "620007329"),
        ("1198744010101^薬^HOT9", "HOT9", "1198744010101"),
        ("2006222^病名^MDCDX2", "MDCDX2", "2006222"),
        ("ZZZ^誰か^HL70063", "HL70063", "ZZZ"),
        ("XX^経路^HL70162", None, "XX"),
    ],
)
def test_a_code_that_is_none_of_its_label_stays_the_senders_own(raw: str, name: str | None, code: str) -> None:
    found = coded(raw, OID)
    assert found.concept is not None
    (coding,) = found.concept["coding"]
    assert coding["code"] == code
    if name:
        assert coding["system"] == local(name)
        assert coding["display"] == raw.split("^")[1]
        assert found.problems == ("code-label-mismatch",)
    else:  # nobody publishes the codes of this system, so nobody can say
        assert found.problems == ()


@pytest.mark.parametrize("raw", ["", '""', '""^""', "^^", " ^ ", "^^JC10"])
def test_nothing_sent_is_no_concept(raw: str) -> None:
    assert coded(raw, OID).concept is None


@pytest.mark.parametrize(
    ("raw", "left"),
    [
        ("1^a^99A^^^^x^y", ((7, "x"), (8, "y"))),
        ("^a^99A", ((3, "99A"),)),
        ("1^a^99A^^b^99B", ((6, "99B"),)),
    ],
)
def test_what_a_concept_has_no_room_for_is_left(raw: str, left: tuple[tuple[int, str], ...]) -> None:
    assert cwe_rest(raw) == left


def test_a_triplet_leaves_its_lone_system_name() -> None:
    assert triplet_rest("^words^99A^2") == ((4, "2"), (3, "99A"))
    assert triplet_rest("1^words^99A") == ()


@pytest.mark.parametrize(
    ("text", "code"), [(" A ", "A"), ("A B", "A B"), ("A  B", ""), ("A\tB", ""), ("", ""), (" ", "")]
)
def test_a_code_has_no_blanks_around_it_and_single_ones_inside(text: str, code: str) -> None:
    assert as_code(text) == code


def test_what_cannot_be_a_code_becomes_words() -> None:
    found = coded("A  B^words^99A", OID)
    assert found.concept == {"text": "words（A  B）"}
    assert found.problems == ("code-label-mismatch",)


def test_published_systems_know_their_codes() -> None:
    codes = published_codes()["http://terminology.hl7.org/CodeSystem/v2-0063"]
    assert "SEL" in codes and "ZZZ" not in codes


# -- numbers and units ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("1.50", "1.50"),
        ("+3", "3"),
        (".5", "0.5"),
        ("-.5", "-0.5"),
        ("007", "7"),
        ("1.", "1"),
        ("0", "0"),
        ("-0.10", "-0.10"),
    ],
)
def test_a_number_keeps_its_digits(text: str, digits: str) -> None:
    found = decimal(text)
    assert found is not None
    assert format(found, "f") == digits


@pytest.mark.parametrize("text", ["", "-", ".", "1,000", "1e5", "一", "1 2", "NaN", "1" * 31, "²"])
def test_what_is_no_plain_number_is_none(text: str) -> None:
    assert decimal(text) is None


@pytest.mark.parametrize(
    ("raw", "unit", "left"),
    [
        ("TAB^錠^MR9P", {"unit": "錠", "system": MERIT9, "code": "TAB"}, ()),
        ("CAP^カプセル^99Z", {"unit": "カプセル", "system": local("99Z"), "code": "CAP"}, ()),
        ("錠", {"unit": "錠"}, ()),
        ("TAB^錠", {"unit": "錠"}, ((1, "TAB"),)),
        ("^錠^99Z", {"unit": "錠"}, ((3, "99Z"),)),
        ("T B  C^錠^MR9P", {"unit": "錠"}, ((3, "MR9P"), (1, "T B  C"))),
        ("TAB^錠^MR9P^x", {"unit": "錠", "system": MERIT9, "code": "TAB"}, ((4, "x"),)),
        ('""', {}, ()),
    ],
)
def test_a_drug_unit(raw: str, unit: dict[str, str], left: tuple[tuple[int, str], ...]) -> None:
    assert merit9(raw, OID) == unit
    assert unit_rest(raw) == left


def test_a_quantity_keeps_its_digits_and_needs_a_number() -> None:
    assert quantity("1.50", {"unit": "錠"}) == {"value": Decimal("1.50"), "unit": "錠"}
    assert quantity("1/2", {"unit": "錠"}) is None


@pytest.mark.parametrize(
    ("raw", "left"),
    [
        ("mg/dL^mg/dL", ()),
        ("ug/mL^μg/mL^ISO+", ((3, "ISO+"),)),
        ("g/dl^g/dl^99XYZ^x", ((3, "99XYZ"), (4, "x"))),
        ("1^g/dL", ((1, "1"),)),
    ],
)
def test_a_result_unit_leaves_what_it_does_not_show(raw: str, left: tuple[tuple[int, str], ...]) -> None:
    assert ce_unit_rest(raw) == left


# -- text and times ---------------------------------------------------------------------------------------------------


def test_components_are_unescaped_and_nulls_are_empty() -> None:
    assert component('a^b\\T\\c^""~x', 2) == "b&c"
    assert component("a^b~x", 3) == ""
    assert plain('""') == ""
    assert clean("  ") == ""
    assert clean("  a ") == "  a "


@pytest.mark.parametrize(
    ("raw", "shown"), [("a", True), ("\\.br\\", False), ("\t", False), ("^&~", False), ("\\F\\", True)]
)
def test_blanks_and_line_feeds_alone_are_no_value(raw: str, shown: bool) -> None:
    assert visible(raw) is shown


def pid7(value: str) -> Any:
    return read("ADT-12", pid=f"PID|1||0000012345||見本^結子||{value}|F")


@pytest.mark.parametrize(
    ("sent", "birth_date", "left"),
    [
        ("19700405", "1970-04-05", {}),
        ("197004", "1970-04", {}),
        ("1970", "1970", {}),
        ("19700405000000", "1970-04-05", {}),
        ("19700405123000", "1970-04-05", {"PID[1]-7": "19700405123000"}),
        ("19700405^D", "1970-04-05", {"PID[1]-7.2": "D"}),
    ],
)
def test_a_date_keeps_its_precision(sent: str, birth_date: str, left: dict[str, str]) -> None:
    converted = pid7(sent)
    assert only(converted, "Patient")["birthDate"] == birth_date
    assert residue(converted) == left


@pytest.mark.parametrize("sent", ["00000000", "19700230", "24:60", "平成元年", "1970040"])
def test_a_date_that_does_not_exist_is_residue_with_an_issue(sent: str) -> None:
    converted = pid7(sent)
    assert "birthDate" not in only(converted, "Patient")
    assert places(converted, "bad-date") == ["PID[1]-7"]
    assert residue(converted)["PID[1]-7"].startswith(sent)


def test_a_bad_field_is_named_by_its_own_number() -> None:
    converted = read("ADT-00", "IN1|1|67^国保^JHSD0001||||||||||x|x")
    assert places(converted, "bad-date") == ["IN1[1]-12", "IN1[1]-13"]
