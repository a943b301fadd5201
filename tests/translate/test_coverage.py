"""gateway/translate/coverage.py: insurance (保険) and the insured-person id of a card."""

from typing import Any

import pytest

from gateway.codec.er7 import Segment
from gateway.translate.coverage import insured_person_id
from tests.translate.messages import every, only, places, read, residue

URL = "http://jpfhir.jp/fhir/core/Extension/StructureDefinition/JP_Coverage_InsuredPerson"


def in1(
    card: str = "", insurer: str = "00130012", name: str = "架空市", start: str = "", end: str = "", rest: str = ""
) -> str:
    return f"IN1|1|67^国民健康保険退職者^JHSD0001|{insurer}|{name}||||||{card}||{start}|{end}{rest}"


def extensions(card: str) -> list[tuple[str, str]]:
    coverage = only(read("ADT-00", in1(card)), "Coverage")
    return [(e["url"].removeprefix(URL), e["valueString"]) for e in coverage.get("extension", ())]


def test_a_card_becomes_a_coverage_with_its_insurer() -> None:
    converted = read("ADT-00", in1("１２３４・ア~56~01", start="20200401", end="20260331"))
    coverage, payor = only(converted, "Coverage"), only(converted, "Organization")
    assert coverage["type"]["text"] == "国民健康保険退職者"
    assert coverage["payor"] == [{"reference": f"Organization/{payor['id']}", "display": "架空市"}]
    assert payor["name"] == "架空市"
    assert payor["identifier"][0]["value"] == "00130012"
    assert coverage["period"] == {"start": "2020-04-01", "end": "2026-03-31"}
    assert coverage["beneficiary"] == {"reference": f"Patient/{only(converted, 'Patient')['id']}"}
    assert residue(converted) == {}


def test_an_insurer_has_one_id_on_every_node() -> None:
    here = only(read("ADT-00", in1()), "Organization")
    there = only(read("ADT-00", in1(), facility="1.2.3.4"), "Organization")
    assert here["id"] == there["id"]


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ("１２３４・ア~56~01", [("Symbol", "１２３４・ア"), ("Number", "56"), ("SubNumber", "01")]),
        ("１２~56", [("Symbol", "１２"), ("Number", "56")]),
        ('""~56', [("Number", "56")]),
        ("~56~", [("Number", "56")]),
        ("", []),
    ],
)
def test_symbol_number_and_branch_are_printed_as_on_the_card(card: str, expected: list[tuple[str, str]]) -> None:
    assert extensions(card) == expected


def test_a_fourth_part_is_residue() -> None:
    assert residue(read("ADT-00", in1("1~2~03~4"))) == {"IN1[1]-10": "4"}


@pytest.mark.parametrize(
    ("insurer", "card", "expected"),
    [
        ("00130012", "1234~56~01", ["00130012:1234:56:01"]),
        ("130012", "1234~56~01", ["00130012:1234:56:01"]),
        ("130012", "１２ａ・Ｂ~５６~０１", ["00130012:12A・B:56:01"]),
        ("130012", "~56~01", ["00130012::56:01"]),
        ("130012", "1 2~5 6~01", ["00130012:12:56:01"]),
        ("130012", "1234~56", []),
        ("130012", "1234~56~1", []),
        ("130012", "1234~~01", []),
        ("", "1234~56~01", []),
        ("1300A2", "1234~56~01", []),
        ("123456789", "1234~56~01", []),
        ("130012", '""~""~""', []),
    ],
)
def test_only_a_card_with_its_branch_names_one_person(insurer: str, card: str, expected: list[str]) -> None:
    fields = in1(card, insurer=insurer).split("|")
    assert insured_person_id(Segment("IN1", fields, 1, 3, 0)) == expected


def test_an_insurer_known_by_name_alone() -> None:
    converted = read("ADT-00", in1(insurer="", name="例示健康保険組合"))
    payor = only(converted, "Organization")
    assert (payor["name"], "identifier" in payor) == ("例示健康保険組合", False)


def test_without_an_insurer_the_payor_is_said_to_be_absent() -> None:
    converted = read("ADT-00", in1(insurer="", name=""))
    assert every(converted, "Organization") == []
    (payor,) = only(converted, "Coverage")["payor"]
    assert payor["extension"][0]["valueCode"] == "unknown"


def test_a_card_that_ends_before_it_begins_loses_its_end_aloud() -> None:
    converted = read("ADT-00", in1(start="20240401", end="20230331"))
    assert only(converted, "Coverage")["period"] == {"start": "2024-04-01"}
    assert places(converted, "period-reversed") == ["IN1[1]-13"]
    assert residue(converted) == {"IN1[1]-13": "20230331"}


@pytest.mark.parametrize(
    ("start", "end"), [("20240401", "20240401"), ("20240401120000", "20240401"), ("2024", "20240101")]
)
def test_ends_of_other_precision_are_not_reversed(start: str, end: str) -> None:
    assert len(only(read("ADT-00", in1(start=start, end=end)), "Coverage")["period"]) == 2


def test_two_cards_are_two_coverages_and_twice_the_same_stay_two() -> None:
    ids: list[Any] = [c["id"] for c in every(read("ADT-00", in1("1~2"), in1("1~3"), in1("1~2")), "Coverage")]
    assert len(set(ids)) == 3


def test_relationship_and_fields_without_an_element() -> None:
    converted = read("ADT-00", in1(rest="|x|15||SEL^本人^HL70063"))
    assert only(converted, "Coverage")["relationship"]["coding"][0]["code"] == "SEL"
    assert residue(converted) == {"IN1[1]-14": "x"}
