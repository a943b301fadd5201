"""gateway/translate/allergy.py: AL1 in patient basics and at the head of prescriptions."""

from typing import Any

import pytest

from tests.translate.messages import codes, every, only, places, read, residue, unmapped


def al1(
    category: str = "DA^薬剤アレルギー^HL70127", code: str = "J9MC12110000^ペニシリン^J-FAGY", rest: str = ""
) -> str:
    return f"AL1|1|{category}|{code}{rest}"


def allergy(segment: str) -> dict[str, Any]:
    return only(read("ADT-00", segment), "AllergyIntolerance")


@pytest.mark.parametrize(
    ("code", "category"),
    [("DA", "medication"), ("FA", "food"), ("EA", "environment"), ("LA", "environment"), ("AA", "environment")],
)
def test_category(code: str, category: str) -> None:
    assert allergy(al1(f"{code}^語^HL70127"))["category"] == [category]


@pytest.mark.parametrize(("sent", "words"), [("MA^種々のアレルギー^HL70127", "種々のアレルギー (MA)"), ("MC", "(MC)")])
def test_a_miscellaneous_allergy_has_no_category_and_keeps_its_words(sent: str, words: str) -> None:
    made = allergy(al1(sent))
    assert "category" not in made
    assert made["note"] == [{"text": words}]


def test_an_unknown_category_is_residue() -> None:
    converted = read("ADT-00", al1("ZZ^何か^HL70127"))
    assert "category" not in only(converted, "AllergyIntolerance")
    assert places(converted, "code-unknown") == ["AL1[1]-2"]
    assert residue(converted) == {"AL1[1]-2": "ZZ^何か^HL70127"}


def test_words_of_category_and_severity_are_left_out_on_purpose() -> None:
    converted = read("ADT-00", al1(rest="|MO^中等度^HL70128"))
    assert {"AL1[1]-2.2", "AL1[1]-4.2", "AL1[1]-4.3"} <= unmapped(converted)
    assert residue(converted) == {}


def test_a_category_of_another_table_is_not_taken_silently() -> None:
    assert residue(read("ADT-00", al1("DA^薬剤^99X"))) == {"AL1[1]-2.3": "99X"}


@pytest.mark.parametrize(
    ("code", "system"),
    [
        ("J9FC04400000", "JP_JfagyFoodAllergen_CS"),
        ("J9MC12110000", "JP_JfagyMedicationAllergen_CS"),
        ("J9NP14110000", "JP_JfagyNonFoodNonMedicationAllergen_CS"),
    ],
)
def test_the_third_letter_of_a_jfagy_code_says_its_system(code: str, system: str) -> None:
    made = allergy(al1(code=f"{code}^物質^J-FAGY"))
    coding = {"system": f"http://jpfhir.jp/fhir/core/CodeSystem/{system}", "code": code}
    assert made["code"] == {"coding": [coding], "text": "物質"}


def test_a_jfagy_code_of_no_known_kind_stays_local() -> None:
    (coding,) = allergy(al1(code="J9X^物質^J-FAGY"))["code"]["coding"]
    assert coding["system"].endswith("/CodeSystem/J-FAGY")


def test_words_beside_a_jfagy_code_are_not_lost_to_those_of_the_local_code() -> None:
    made = allergy(al1(code="J9FC04400000^牛乳^J-FAGY^12^ミルク^99X"))
    assert [coding["code"] for coding in made["code"]["coding"]] == ["J9FC04400000", "12"]
    assert made["code"]["text"] == "ミルク（牛乳）"


@pytest.mark.parametrize(
    ("rest", "reaction"),
    [
        ("|MI", {"severity": "mild", "manifestation": "absent"}),
        ("|SV|じんましん~呼吸困難", {"severity": "severe", "manifestation": ["じんましん", "呼吸困難"]}),
        ("||発疹", {"manifestation": ["発疹"]}),
        ("|MO| ", {"severity": "moderate", "manifestation": "absent"}),
        ("", None),
        ('|""|""', None),
    ],
)
def test_severity_and_words_join_in_one_reaction(rest: str, reaction: dict[str, Any] | None) -> None:
    made = allergy(al1(rest=rest))
    if reaction is None:
        assert "reaction" not in made
        return
    (found,) = made["reaction"]
    assert found.get("severity") == reaction.get("severity")
    if reaction["manifestation"] == "absent":
        assert found["manifestation"][0]["extension"][0]["valueCode"] == "unknown"
    else:
        assert [words["text"] for words in found["manifestation"]] == reaction["manifestation"]


def test_an_unknown_severity_is_residue_and_the_words_stay() -> None:
    converted = read("ADT-00", al1(rest="|X|発疹"))
    (reaction,) = only(converted, "AllergyIntolerance")["reaction"]
    assert reaction == {"manifestation": [{"text": "発疹"}]}
    assert residue(converted) == {"AL1[1]-4": "X"}


def test_onset_and_status() -> None:
    made = allergy(al1(rest="|||20100501"))
    assert made["onsetDateTime"] == "2010-05-01"
    assert made["clinicalStatus"]["coding"][0]["code"] == "active"


def test_the_allergy_of_a_prescription_is_that_of_the_basics() -> None:
    basics = only(read("ADT-00", al1()), "AllergyIntolerance")
    orc, rxe = "ORC|NW|1||1|||||20240601", "RXE||103831601^薬^HOT9|1||TAB^錠^MR9P"
    prescription = only(read("OMP-01", al1(), orc, rxe), "AllergyIntolerance")
    assert basics["id"] == prescription["id"]


def test_two_equal_segments_stay_two_and_position_does_not_matter() -> None:
    other = al1(code="2^アスピリン^99XYZ")
    ids = [made["id"] for made in every(read("ADT-00", al1(), al1(), other), "AllergyIntolerance")]
    assert len(set(ids)) == 3
    turned = [made["id"] for made in every(read("ADT-00", other, al1(), al1()), "AllergyIntolerance")]
    assert set(ids) == set(turned)


def test_nothing_is_made_up_for_an_allergy_without_a_substance() -> None:
    converted = read("ADT-00", "AL1|1|DA")
    assert "code" not in only(converted, "AllergyIntolerance")
    assert codes(converted) == ["unnamed"]


def test_an_allergy_to_nothing_named_is_told_of() -> None:
    assert places(read("ADT-00", "AL1|1|FA||SV|発疹"), "unnamed") == ["AL1[1]-3"]
