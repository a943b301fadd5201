"""gateway/translate/ppr_zd1.py: names of diseases, their modifiers, certainty and outcome."""

from typing import Any

import pytest

from gateway.translate.ppr_zd1 import ICD10
from tests.translate.messages import INSTITUTION, every, only, places, read, residue, sources, unmapped

KEY = "http://medis.or.jp/CodeSystem/master-disease-keyNumber"
EX = "http://medis.or.jp/CodeSystem/master-disease-exCode"
ICD = "http://jpfhir.jp/fhir/core/mhlw/CodeSystem/ICD10-2013-full"
EXTENSION = "http://jpfhir.jp/fhir/core/Extension/StructureDefinition/JP_Condition_"


def prb(**fields: str) -> str:
    numbered = {1: "AD", 2: "20240601", 3: "20054174^胃炎^MDCDX2", 4: "1"}
    numbered |= {int(name[1:]): value for name, value in fields.items()}
    return "|".join(["PRB", *(numbered.get(n, "") for n in range(1, max(numbered) + 1))])


def problem(*segments: str) -> Any:
    return only(read("PPR-01", *segments), "Condition")


def status(condition: dict[str, Any], name: str) -> str | None:
    found = condition.get(name)
    return found["coding"][0]["code"] if found else None


def test_a_disease() -> None:
    made = problem(prb(f7="20231120", f16="20231115", f17="経過観察~要再診"))
    assert made["code"] == {"coding": [{"system": KEY, "code": "20054174", "display": "胃炎"}], "text": "胃炎"}
    assert made["recordedDate"] == "2023-11-20"
    assert made["onsetDateTime"] == "2023-11-15"
    assert made["note"] == [{"text": "経過観察"}, {"text": "要再診"}]
    assert made["identifier"][0]["value"] == "1"
    assert "clinicalStatus" not in made and "verificationStatus" not in made


@pytest.mark.parametrize(
    ("sent", "coding", "category"),
    [
        ("K297^^I10^O^外来時^JHSD0004^2013", {"system": ICD, "code": "K297", "version": "2013"}, "外来時"),
        ("K297^胃炎^I10", {"system": ICD, "code": "K297", "display": "胃炎"}, None),
    ],
)
def test_the_classification_is_one_more_coding(sent: str, coding: dict[str, str], category: str | None) -> None:
    made = problem(prb(f10=sent))
    assert made["code"]["coding"][1] == coding
    assert made["code"]["text"] == "胃炎"
    assert [concept["text"] for concept in made.get("category", ())] == ([category] if category else [])


@pytest.mark.parametrize(
    ("sent", "left"),
    [
        ("^胃炎^I10^^^^2013", {"2": "胃炎", "3": "I10", "7": "2013"}),
        ("K297^^I10^^外来時^JHSD0004", {"6": "JHSD0004"}),
        ("K297^^I10^O^^X^^^9", {"9": "9"}),
    ],
)
def test_what_a_classification_cannot_say_is_residue(sent: str, left: dict[str, str]) -> None:
    assert residue(read("PPR-01", prb(f10=sent))) == {f"PRB[1]-10.{n}": value for n, value in left.items()}


def test_a_wrong_icd_code_stays_local_with_an_issue() -> None:
    converted = read("PPR-01", prb(f10="29^^I10"))
    assert only(converted, "Condition")["code"]["coding"][1]["system"].endswith("/CodeSystem/I10")
    assert places(converted, "code-label-mismatch") == ["PRB[1]-10"]


# -- modifiers --------------------------------------------------------------------------------------------------------


def test_the_name_is_built_from_its_parts_when_prb_3_has_no_words() -> None:
    made = problem(
        prb(f3="20054174^^MDCDX2"), "ZPR|4012^急性^MDCDX2|20054174^胃炎^MDCDX2|8002^の疑い^MDCDX2|N|TSQF^胃炎^MDCDX2|U"
    )
    assert made["code"]["text"] == "急性胃炎の疑い"
    assert made["code"]["coding"] == [
        {"system": KEY, "code": "20054174", "display": "胃炎"},
        {"system": EX, "code": "TSQF", "display": "胃炎"},
    ]
    prefix, postfix = made["code"]["extension"]
    assert prefix["url"] == EXTENSION + "DiseasePrefixModifier"
    assert [c["code"] for c in prefix["valueCodeableConcept"]["coding"]] == ["4012", "N"]
    assert postfix["url"] == EXTENSION + "DiseasePostfixModifier"
    assert postfix["valueCodeableConcept"]["text"] == "の疑い"


def test_words_of_prb_3_are_kept_as_they_are() -> None:
    assert (
        problem(prb(f3="20054174^急性胃炎^MDCDX2"), "ZPR|4012^急性|20054174^胃炎^MDCDX2")["code"]["text"] == "急性胃炎"
    )


def test_several_modifiers_and_their_exchange_codes_go_in_pairs() -> None:
    converted = read("PPR-01", prb(), "ZPR|1^左~2^急性|20054174^胃炎^MDCDX2||A~B~C")
    extensions = only(converted, "Condition")["code"]["extension"]
    assert [[c["code"] for c in e["valueCodeableConcept"]["coding"]] for e in extensions] == [["1", "A"], ["2", "B"]]
    assert residue(converted) == {"ZPR[1]-4": "C"}


@pytest.mark.parametrize(
    ("zpr", "left"),
    [
        ("ZPR||||A", {"4": "A"}),
        ("ZPR|||||TSQF", {"5": "TSQF"}),
        ("ZPR|1^左^99X", {"1.3": "99X"}),
        ("ZPR|1^左|||A^ひだり^99X", {"4.2": "ひだり", "4.3": "99X"}),
        ("ZPR||^胃炎^MDCDX2", {"2.2": "胃炎", "2.3": "MDCDX2"}),
        ("ZPR||20054174^別名^MDCDX2", {"2.2": "別名"}),
        ("ZPR||20054174^胃炎^MDCDX2^1", {"2.4": "1"}),
        ("ZPR||20054174^胃炎^MDCDX2|||^言葉", {"5": "^言葉"}),
    ],
)
def test_what_a_name_cannot_show_is_residue(zpr: str, left: dict[str, str]) -> None:
    assert residue(read("PPR-01", prb(), zpr)) == {f"ZPR[1]-{n}": value for n, value in left.items()}


def test_one_code_said_twice_is_one_coding() -> None:
    assert len(problem(prb(), "ZPR||20054174^胃炎^MDCDX2")["code"]["coding"]) == 1
    made = problem(prb(f3="20054174^^MDCDX2"), "ZPR||20054174^胃炎^MDCDX2")
    assert made["code"] == {"coding": [{"system": KEY, "code": "20054174"}], "text": "胃炎"}


def test_what_cannot_be_a_code_stands_in_the_words_of_the_modifier() -> None:
    (extension,) = problem(prb(), "ZPR|1  2^左")["code"]["extension"]
    assert extension["valueCodeableConcept"] == {"text": "左 1  2"}


# -- certainty, outcome, end ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ((prb(f13="1"),), "provisional"),
        ((prb(), "ZPR|||8002^の疑い"), "provisional"),
        ((prb(), "ZPR|||8001~8002"), "provisional"),
        ((prb(), "ZPR|||8001^の急性増悪"), None),
        ((prb(),), None),
    ],
)
def test_suspicion_is_provisional(segments: tuple[str, ...], expected: str | None) -> None:
    assert status(problem(*segments), "verificationStatus") == expected


def test_the_words_of_a_suspicion_are_kept() -> None:
    converted = read("PPR-01", prb(f13="1^疑い^JHSD0005"), "ZPR|||8002^の疑い")
    assert only(converted, "Condition")["verificationStatus"]["text"] == "疑い"
    assert residue(converted) == {}


def test_an_unknown_certainty_is_residue() -> None:
    converted = read("PPR-01", prb(f13="2"))
    assert "verificationStatus" not in only(converted, "Condition")
    assert residue(converted) == {"PRB[1]-13": "2"}


@pytest.mark.parametrize(
    ("sent", "clinical"),
    [("N^回復せず^HL70241", "active"), ("R^回復^HL70241", "resolved"), ("D^死亡^HL70241", None), ("X^?^99Q", None)],
)
def test_the_outcome_is_an_extension_and_a_status_where_it_says_one(sent: str, clinical: str | None) -> None:
    made = problem(prb(f14=sent))
    (extension,) = made["extension"]
    assert extension["url"] == EXTENSION + "DiseaseOutcome"
    assert extension["valueCodeableConcept"]["text"] == sent.split("^")[1]
    assert status(made, "clinicalStatus") == clinical


def test_a_code_of_the_edition_of_2003_is_not_labelled_as_one_of_2013() -> None:
    for edition, system in (("2013", "http://jpfhir.jp/fhir/core/mhlw/CodeSystem/ICD10-2013-full"), ("2003", ICD10)):
        codings = problem(prb(f10=f"K297^^I10^O^外来時^JHSD0004^{edition}"))["code"]["coding"]
        assert {"system": system, "code": "K297", "version": edition} in codings


def test_a_problem_without_a_name_is_told_of() -> None:
    assert places(read("PPR-01", prb(f3="")), "unnamed") == ["PRB[1]-3"]


def test_an_ended_disease_is_resolved() -> None:
    made = problem(prb(f9="20240101", f14="N^回復せず^HL70241"))
    assert made["abatementDateTime"] == "2024-01-01"
    assert status(made, "clinicalStatus") == "resolved"


def test_a_deleted_problem_was_entered_in_error_and_has_no_clinical_status() -> None:
    converted = read("PPR-01", prb(f1="DE", f9="20240101", f14="R^回復^HL70241"))
    made = only(converted, "Condition")
    assert status(made, "verificationStatus") == "entered-in-error"
    assert "clinicalStatus" not in made  # con-5
    assert "abatementDateTime" not in made  # con-4
    assert residue(converted) == {"PRB[1]-9": "20240101"}


# -- people, identity, other segments ---------------------------------------------------------------------------------


def test_who_recorded_and_who_asserts() -> None:
    converted = read("PPR-01", prb(), "ORC|NW|1||||||||110^医師^一郎||111^別人|||||||||架空病院")
    made = only(converted, "Condition")
    assert [made["recorder"]["display"], made["asserter"]["display"]] == ["医師 一郎", "別人"]
    organization = only(converted, "Organization")
    assert (organization["name"], organization["identifier"][0]["value"]) == ("架空病院", INSTITUTION)


def test_identity_is_the_instance_number_or_else_the_name() -> None:
    two = every(read("PPR-01", prb(f4="1"), prb(f4="2")), "Condition")
    turned = every(read("PPR-01", prb(f4="2"), prb(f4="1")), "Condition")
    assert {c["id"] for c in two} == {c["id"] for c in turned}
    assert (
        len({c["id"] for c in every(read("PPR-01", prb(f4=""), prb(f4=""), prb(f4="", f3="1^別^99X")), "Condition")})
        == 3
    )


def test_insurance_and_foreign_segments_are_residue() -> None:
    converted = read("PPR-01", "ZXX|0", "ZPD|1|11", prb(), "ZI1|1|01", "ZPR||1^a^99X", "ZPR||2^b^99X")
    assert residue(converted) == {
        "ZXX[1]-1": "0", "ZPD[1]-1": "1", "ZPD[1]-2": "11", "ZI1[1]-1": "1", "ZI1[1]-2": "01", "ZPR[2]-2": "2^b^99X",
    }  # fmt: skip


def test_dental_positions_are_body_sites() -> None:
    converted = read("PPR-01", prb(), "ZPD|1|11^右上１^99DEN~12^右上２^99DEN", "ZPD|2|^左下の親知らず", "ZPD|48")
    sites = only(converted, "Condition")["bodySite"]
    assert [site.get("text", site.get("coding", [{}])[0].get("code")) for site in sites] == [
        "右上１", "右上２", "左下の親知らず", "48",
    ]  # fmt: skip
    assert residue(converted) == {}
    assert {"ZPD[1]-1", "ZPD[2]-1"} <= unmapped(converted)


@pytest.mark.parametrize("action", ["AD", "CO", "UP", "UC"])
def test_an_action_that_keeps_the_problem_says_nothing(action: str) -> None:
    assert "verificationStatus" not in problem(prb(f1=action))


def test_an_unknown_action_is_reported() -> None:
    converted = read("PPR-01", prb(f1="ZZ"))
    assert places(converted, "code-unknown") == ["PRB[1]-1"]
    assert residue(converted) == {"PRB[1]-1": "ZZ"}


def test_a_suspicion_that_was_deleted_is_residue() -> None:
    converted = read("PPR-01", prb(f1="DE", f13="1"))
    assert status(only(converted, "Condition"), "verificationStatus") == "entered-in-error"
    assert residue(converted) == {"PRB[1]-13": "1"}


@pytest.mark.parametrize(
    ("sent", "zpr", "text"),
    [
        ("20054174^胃炎^MDCDX2", "ZPR|4012^急性|20054174^胃炎^MDCDX2|8002^の疑い", "急性胃炎の疑い"),  # only the base
        ("20054174^急性胃炎の疑い^MDCDX2", "ZPR|4012^急性|20054174^胃炎^MDCDX2|8002^の疑い", "急性胃炎の疑い"),
        ("20054174^^MDCDX2", "ZPR|4012^急性~1^慢性|20054174^胃炎^MDCDX2", "急性慢性胃炎"),
        ("20054174^^MDCDX2", "ZPR||20054174^^MDCDX2", None),
        ("20084317^未コード化傷病名^MDCDX2", "ZPR||^院内病名", "院内病名"),
        ("20084317^院内病名^MDCDX2", "ZPR|4012^急性|^院内病名", "急性院内病名"),
        ("20084317^院内病名^MDCDX2", "ZPR|4012^急性", "院内病名"),
    ],
)
def test_the_text_is_the_whole_name(sent: str, zpr: str, text: str | None) -> None:
    converted = read("PPR-01", prb(f3=sent), zpr)
    code = only(converted, "Condition")["code"]
    assert code.get("text") == text
    assert code["coding"][0]["code"] == sent.split("^")[0]
    if words := sent.split("^")[1]:
        assert words in (code["coding"][0]["display"], code["text"])


def test_who_ordered_recorded_it_when_nobody_else_did() -> None:
    made = problem(prb(), "ORC|NW|1||||||||||110^医師^一郎")
    assert made["recorder"] == made["asserter"]


def test_rank_and_confidentiality() -> None:
    converted = read("PPR-01", prb(f18="1^主診断^JHSD0007", f25="V^非常に限定^HL70177"))
    made = only(converted, "Condition")
    assert made["category"][0]["text"] == "主診断"
    assert made["meta"]["security"] == [
        {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}
    ]
    assert residue(converted) == {}
    assert residue(read("PPR-01", prb(f18="1", f25="X"))) == {"PRB[1]-18": "1", "PRB[1]-25": "X"}


def test_every_field_is_mapped_or_left_out_on_purpose() -> None:
    converted = read("PPR-01", prb(f7="2023", f8="2025", f15="2024"))
    assert {f"PRB[1]-{n}" for n in (2, 8, 15)} <= unmapped(converted)
    assert {f"PRB[1]-{n}" for n in (1, 3, 4, 7)} <= sources(converted)
