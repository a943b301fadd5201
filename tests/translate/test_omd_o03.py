"""gateway/translate/omd_o03.py: meal orders."""

from typing import Any

import pytest

from gateway.profiles.validator import Validator
from tests.translate.messages import codes, every, msh, only, places, read, residue

ORC = "ORC|NW|6001|F1|||||||058^入力者||110^医師^一郎"
DATED = "ORC|NW|6001|||||||20111013232213|||110^医師^一郎"
TQ1 = "TQ1|1||TID&１日３回&HL70335||||2011101607|20111020"
DIET = "ODS|D||001^常食^99XY3|塩分控えめ"


def meals(*segments: str) -> Any:
    return read("OMD", *segments, head=msh("OMD^O03^OMD_O03"))


def order(*segments: str) -> dict[str, Any]:
    made = only(meals(*segments), "NutritionOrder")
    wrong = [f for f in Validator.default().check(made) if f.severity in ("error", "fatal")]
    assert wrong == []
    return made


def test_a_meal_order() -> None:
    made = order(DATED, TQ1, DIET)
    assert (made["status"], made["intent"], made["dateTime"]) == ("active", "order", "2011-10-13T23:22:13+09:00")
    assert made["identifier"][0]["value"] == "6001"
    assert made["orderer"]["display"] == "医師 一郎"
    diet = made["oralDiet"]
    assert diet["type"][0]["text"] == "常食" and diet["instruction"] == "塩分控えめ"
    (timing,) = diet["schedule"]
    assert timing["repeat"]["boundsPeriod"] == {"start": "2011-10-16T07:00:00+09:00", "end": "2011-10-20"}
    assert timing["code"]["text"] == "１日３回" and timing["code"]["coding"][0]["code"] == "TID"


@pytest.mark.parametrize(
    ("control", "state", "status"),
    [
        ("NW", "", "active"), ("CA", "", "revoked"), ("DC", "", "revoked"), ("HD", "", "on-hold"), ("XO", "", "active"),
        ("NW", "CM", "completed"), ("NW", "IP", "active"), ("CA", "SC", "revoked"), ("ZZ", "", "unknown"), ("", "", "unknown"),
    ],
)  # fmt: skip
def test_status(control: str, state: str, status: str) -> None:
    converted = meals(f"ORC|{control}|6001|||{state}", DIET)
    assert only(converted, "NutritionOrder")["status"] == status
    if status == "unknown":
        assert "no-status" in codes(converted)
    if (control, state) == ("CA", "SC"):
        assert residue(converted) == {"ORC[1]-5": "SC"}


def test_an_order_without_time_says_that_it_is_unknown() -> None:
    made = order(ORC, DIET)
    assert "dateTime" not in made
    assert made["_dateTime"]["extension"][0]["valueCode"] == "unknown"


def test_supplements_and_preferences() -> None:
    made = order(DATED, TQ1, "ODS|S|3^午後^99XY4|S07^補助飲料^99XY3|１本", "ODS|P||P02^納豆禁^99XY3|納豆不可")
    assert "oralDiet" not in made
    (supplement,) = made["supplement"]
    assert supplement["type"]["text"] == "補助飲料" and supplement["instruction"] == "１本"
    assert [timing["code"]["text"] for timing in supplement["schedule"]] == ["１日３回", "午後"]
    assert made["foodPreferenceModifier"][0]["text"] == "納豆禁"
    assert made["note"] == [{"text": "納豆不可"}]


def test_several_diets_are_one_with_all_types_words_and_meals() -> None:
    made = order(DATED, "ODS|D|1^朝^99XY4|001^常食^99XY3|全粥", "ODS|D|2^昼^99XY4~1^朝^99XY4|012^減塩^99XY3|刻み")
    diet = made["oralDiet"]
    assert [one["text"] for one in diet["type"]] == ["常食", "減塩"]
    assert [one["code"]["text"] for one in diet["schedule"]] == ["朝", "昼"]
    assert diet["instruction"] == "全粥\n刻み"


def test_a_kind_outside_the_table_is_reported_and_still_reaches_the_kitchen() -> None:
    converted = meals(DATED, "ODS|X||001^常食^99XY3")
    assert places(converted, "code-unknown") == ["ODS[1]-1"]
    assert residue(converted) == {"ODS[1]-1": "X"}
    assert only(converted, "NutritionOrder")["oralDiet"]["type"][0]["text"] == "常食"


def test_trays_and_comments_are_notes() -> None:
    converted = meals(DATED, DIET, "NTE|1||刻み食", "ODT|EARLY^早配膳^HL70160||検査のため")
    assert only(converted, "NutritionOrder")["note"] == [{"text": "刻み食"}, {"text": "検査のため"}]
    assert residue(converted) == {"ODT[1]-1": "EARLY^早配膳^HL70160"}


def test_the_allergies_at_the_head_belong_to_the_order_and_are_those_of_the_basics() -> None:
    al1 = "AL1|1|FA|J9FC04400000^牛乳^J-FAGY"
    converted = meals(al1, DATED, DIET)
    known = only(read("ADT-00", al1), "AllergyIntolerance")["id"]
    assert only(converted, "NutritionOrder")["allergyIntolerance"] == [{"reference": f"AllergyIntolerance/{known}"}]


def test_identity_is_the_order_number_not_the_place_in_the_message() -> None:
    one, two = DATED, DATED.replace("6001", "6002")
    ids = [made["id"] for made in every(meals(one, DIET, two, DIET), "NutritionOrder")]
    assert ids == [made["id"] for made in every(meals(two, DIET, one, DIET), "NutritionOrder")][::-1]
    assert len(set(ids)) == 2


def test_meals_without_an_order_segment_are_an_order_of_unknown_status() -> None:
    converted = meals(DIET)
    assert only(converted, "NutritionOrder")["status"] == "unknown"
    assert codes(converted) == ["no-status"]


def test_a_period_that_ends_before_it_begins() -> None:
    converted = meals(DATED, "TQ1|1||||||20111016|20111015", DIET)
    (timing,) = only(converted, "NutritionOrder")["oralDiet"]["schedule"]
    assert timing == {"repeat": {"boundsPeriod": {"start": "2011-10-16"}}}
    assert residue(converted) == {"TQ1[1]-8": "20111015"}


def test_segments_that_belong_to_no_order_are_residue() -> None:
    assert residue(meals("TQ1|1", "NTE|1||x", "ODT|1", DATED, DIET, "ZXX|1")) == {
        "TQ1[1]-1": "1", "NTE[1]-1": "1", "NTE[1]-3": "x", "ODT[1]-1": "1", "ZXX[1]-1": "1",
    }  # fmt: skip
