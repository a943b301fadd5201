"""gateway/translate/adt_allergy.py: ADT-61, the allergies of a patient."""

from typing import Any

import pytest

from tests.translate.messages import codes, every, msh, only, places, read, residue, unmapped


def iam(number: int = 1, **fields: str) -> str:
    numbered = {1: str(number), 2: "DA^薬剤^HL70127", 3: "106824501^アリナミン^HOT9", 6: "A^追加^HL70323"}
    numbered |= {int(name[1:]): value for name, value in fields.items()}
    return "|".join(["IAM", *(numbered.get(n, "") for n in range(1, max(numbered) + 1))])


def told(*segments: str) -> Any:
    return read("ADT-61", "EVN||20111013232213", *segments, head=msh("ADT^A60^ADT_A60"))


def allergy(**fields: str) -> dict[str, Any]:
    return only(told(iam(**fields)), "AllergyIntolerance")


def code(made: dict[str, Any], element: str) -> str | None:
    return made[element]["coding"][0]["code"] if element in made else None


def test_an_allergy() -> None:
    converted = told(iam(f4="MO^中等度^HL70128", f5="じんましん~呼吸困難", f11="20070710", f13="20111013"))
    made = only(converted, "AllergyIntolerance")
    assert made["category"] == ["medication"]
    assert made["code"]["coding"][0]["system"].endswith("/master-HOT9")
    assert made["reaction"] == [
        {"manifestation": [{"text": "じんましん"}, {"text": "呼吸困難"}], "severity": "moderate"}
    ]
    assert (made["onsetDateTime"], made["recordedDate"]) == ("2007-07-10", "2011-10-13")
    assert code(made, "clinicalStatus") == "active"
    assert "verificationStatus" not in made
    assert residue(converted) == {} and codes(converted) == []


@pytest.mark.parametrize("severity", ["MI", "MO", "SV"])
def test_severity_without_words_of_a_reaction(severity: str) -> None:
    (reaction,) = allergy(f4=severity)["reaction"]
    assert reaction["severity"] == {"MI": "mild", "MO": "moderate", "SV": "severe"}[severity]
    assert reaction["manifestation"][0]["extension"][0]["valueCode"] == "unknown"


@pytest.mark.parametrize(("action", "status"), [("A", None), ("U", None), ("X", None), ("D", "entered-in-error")])
def test_the_action(action: str, status: str | None) -> None:
    made = allergy(f6=action)
    assert code(made, "verificationStatus") == status
    assert code(made, "clinicalStatus") == (None if status else "active")  # ait-2


def test_an_unknown_action_is_reported() -> None:
    converted = told(iam(f6="Z"))
    assert places(converted, "code-unknown") == ["IAM[1]-6"]
    assert residue(converted) == {"IAM[1]-6": "Z"}


@pytest.mark.parametrize(
    ("sent", "clinical", "verification"),
    [
        ("C^確認済^HL70438", "active", "confirmed"),
        ("I", "inactive", "confirmed"),
        ("S", "active", "unconfirmed"),
        ("D", "active", "unconfirmed"),
        ("E", None, "entered-in-error"),
    ],
)
def test_the_clinical_status(sent: str, clinical: str | None, verification: str) -> None:
    made = allergy(f17=sent)
    assert (code(made, "clinicalStatus"), code(made, "verificationStatus")) == (clinical, verification)


def test_a_deletion_beats_the_status_that_is_sent_with_it() -> None:
    converted = told(iam(f6="D", f17="C^確認済"))
    assert code(only(converted, "AllergyIntolerance"), "verificationStatus") == "entered-in-error"
    assert "IAM[1]-17" in residue(converted)


@pytest.mark.parametrize(("sent", "kind", "note"), [("AL", "allergy", None), ("IN", "intolerance", None), ("CT^禁忌", None, "禁忌 (CT)")])  # fmt: skip
def test_the_kind_of_sensitivity(sent: str, kind: str | None, note: str | None) -> None:
    made = allergy(f9=sent)
    assert made.get("type") == kind
    assert made.get("note") == ([{"text": note}] if note else None)


def test_a_date_of_onset_wins_over_words() -> None:
    assert allergy(f12="小学校低学年の頃")["onsetString"] == "小学校低学年の頃"
    both = allergy(f11="199601", f12="小学校低学年の頃")
    assert both["onsetDateTime"] == "1996-01" and "onsetString" not in both
    assert both["note"] == [{"text": "小学校低学年の頃"}]
    bad = told(iam(f11="20240230", f12="冬"))
    assert only(bad, "AllergyIntolerance")["onsetString"] == "冬"
    assert residue(bad) == {"IAM[1]-11": "20240230"}


def test_who_says_so_and_which_number_it_has() -> None:
    made = allergy(f7="A-01", f8="本人の申告", f18="110^医師^一郎")
    assert made["identifier"][0]["value"] == "A-01"
    assert made["note"] == [{"text": "本人の申告"}]
    assert made["asserter"]["display"] == "医師 一郎"


def test_it_is_the_allergy_of_basics_and_prescriptions_whatever_their_category() -> None:
    ids = {
        only(told(iam()), "AllergyIntolerance")["id"],
        only(read("ADT-00", "AL1|1|MA|106824501^アリナミン錠^HOT9"), "AllergyIntolerance")["id"],
        only(read("OMP-01", "AL1|1|DA|106824501^アリナミン^HOT9"), "AllergyIntolerance")["id"],
    }
    assert len(ids) == 1


def test_without_a_code_the_words_say_which_allergy() -> None:
    ids = [
        one["id"] for one in every(told(iam(1, f3="^そば"), iam(2, f3="^さば"), iam(3, f3="")), "AllergyIntolerance")
    ]
    assert len(set(ids)) == 3
    assert only(read("ADT-00", "AL1|1|FA|^そば"), "AllergyIntolerance")["id"] == ids[0]


@pytest.mark.parametrize(("later", "status"), [("U", None), ("D", "entered-in-error")])
def test_a_later_action_on_the_same_allergy_replaces_the_earlier(later: str, status: str | None) -> None:
    converted = told(iam(1, f5="発疹"), iam(2, f6=later, f5="発熱"), iam(3, f3="2^別^99X"))
    first, other = every(converted, "AllergyIntolerance")
    assert code(first, "verificationStatus") == status
    assert first["reaction"][0]["manifestation"] == [{"text": "発熱"}]
    assert first["id"] == allergy()["id"] and other["id"] != first["id"]
    assert residue(converted)["IAM[1]-5"] == "発疹"


def test_two_equal_additions_stay_two() -> None:
    assert len({one["id"] for one in every(told(iam(1), iam(2)), "AllergyIntolerance")}) == 2


def test_a_copy_as_al1_adds_nothing() -> None:
    converted = told(iam(), "AL1|1|DA|106824501^アリナミン^HOT9", "AL1|2|FA|1^そば^99X", "PV1||I", "ZXX|1")
    assert len(every(converted, "AllergyIntolerance")) == 2
    assert residue(converted) == {
        "AL1[1]-1": "1", "AL1[1]-2": "DA", "AL1[1]-3": "106824501^アリナミン^HOT9", "ZXX[1]-1": "1",
    }  # fmt: skip
    assert {"PV1[1]-2", "EVN[1]-2"} <= unmapped(converted)


def test_what_fhir_has_no_place_for_is_residue() -> None:
    converted = told(iam(f10="G^群^99X", f14="見本^母", f15="MTH", f16="腕輪^^99X", f19="架空病院", f20="20240101"))
    assert set(residue(converted)) == {f"IAM[1]-{n}" for n in (10, 14, 15, 16, 19, 20)}
