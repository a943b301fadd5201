"""gateway/translate/microbiology.py: organisms, amounts, susceptibilities, and panels of other tests."""

from typing import Any

import pytest

from gateway.profiles.validator import Validator
from tests.translate.messages import codes, every, places, read, residue

SPM = "SPM|1|S1||017^血液^JC10|||||||||||||20240601"
ORGANISM, DRUG = "urn:oid:1.2.392.100495.10.3.100.5.27.6.1", "urn:oid:1.2.392.100495.10.3.100.5.11.5.2"
NAME, AMOUNT = "6B010000001774214^菌名^JC10", "6B010000001774211^菌量^JC10"
PIPC, CAZ = "6C205604701776205^PIPC^JC10", "6C205609401776205^CAZ^JC10"
CULTURE, MIC = "6B010000001774200^培養同定^JC10", "6C205000001776200^感受性^JC10"


def obr(code: str, parent: str = "", section: str = "") -> str:
    fields = {1: "1", 2: "5000", 4: code, 24: section, 26: parent}
    return "|".join(["OBR", *(fields.get(n, "") for n in range(1, 27))]).rstrip("|")


def obx(kind: str, code: str, value: str, sub: str = "", flag: str = "", status: str = "F") -> str:
    return f"OBX|1|{kind}|{code}|{sub}|{value}|||{flag}|||{status}"


def organism(sub: str, code: str = "2001^E.coli", status: str = "F") -> list[str]:
    return [obx("CWE", NAME, f"{code}^JANIS", sub, status=status), obx("ST", AMOUNT, "(1+)", sub, status=status)]


def parent(sub: str, name: str = "2001&E.coli&JANIS") -> str:
    return f"6B010000001774214&菌名&JC10^{sub}^{name}"


def lab(*segments: str) -> Any:
    return read("OML-11", SPM, *segments, order="5000")


def members(made: dict[str, Any], element: str = "hasMember") -> list[str]:
    return [one["reference"].removeprefix("Observation/") for one in made.get(element, ())]


def valid(converted: Any) -> bool:
    validator = Validator.default()
    return not [f for r in converted.resources for f in validator.check(r) if f.severity in ("error", "fatal")]


def test_an_organism_and_its_amount_know_each_other_by_their_sub_id() -> None:
    converted = lab(obr(CULTURE), *organism("1"), *organism("2", "1301^S.aureus", status="P"))
    name, amount, second, other = every(converted, "Observation")
    assert (members(name), members(amount, "derivedFrom")) == ([amount["id"]], [name["id"]])
    assert (members(second), members(other, "derivedFrom")) == ([other["id"]], [second["id"]])
    assert name["valueCodeableConcept"] == {"coding": [{"system": ORGANISM, "code": "2001"}], "text": "E.coli"}
    assert amount["valueString"] == "(1+)"
    (report,) = every(converted, "DiagnosticReport")
    assert report["status"] == "partial"
    assert report["meta"]["profile"][0].endswith("/JP_DiagnosticReport_Microbiology")
    assert [coding["code"] for coding in report["code"]["coding"]] == ["18725-2", "6B010000001774200"]
    assert report["category"][0]["coding"][0]["code"] == "LP7819-8"
    assert valid(converted)


def test_categories_and_profile() -> None:
    converted = lab(obr(CULTURE), *organism("1"), obr(MIC, parent("1")), obx("NM", PIPC, "32", flag="R"))
    made = every(converted, "Observation")
    assert all(one["meta"]["profile"][0].endswith("/JP_Observation_Microbiology") for one in made)
    assert [[c["coding"][0]["code"] for c in one["category"]] for one in made] == [
        ["laboratory", "18725-2", "organism"],
        ["laboratory", "18725-2"],
        ["laboratory", "18725-2", "susceptibility-measurements"],
    ]
    assert valid(converted)


def test_susceptibilities_hang_on_the_organism_their_group_names() -> None:
    converted = lab(
        obr(CULTURE), *organism("1"), *organism("2", "1301^S.aureus"),
        obr(MIC, parent("1")), obx("ST", PIPC, "< 2", flag="S"), obx("NM", CAZ, "4", flag="S"),
        obr(MIC, parent("2", "1301&S.aureus&JANIS")), obx("NM", PIPC, "32", flag="R"), obx("NM", CAZ, "80", flag="I"),
    )  # fmt: skip
    coli, coli_amount, aureus, aureus_amount, *drugs = every(converted, "Observation")
    assert members(coli) == [coli_amount["id"], drugs[0]["id"], drugs[1]["id"]]
    assert members(aureus) == [aureus_amount["id"], drugs[2]["id"], drugs[3]["id"]]
    assert [members(drug, "derivedFrom") for drug in drugs] == [[coli["id"]]] * 2 + [[aureus["id"]]] * 2
    assert [drug["interpretation"][0]["coding"][0]["code"] for drug in drugs] == ["S", "S", "R", "I"]
    assert drugs[0]["valueQuantity"]["comparator"] == "<"
    assert residue(converted) == {}
    assert valid(converted)


def test_ids_of_susceptibilities_do_not_depend_on_which_organism_is_reported_first() -> None:
    groups = {
        "1": [obr(MIC, parent("1")), obx("NM", PIPC, "2")],
        "2": [obr(MIC, parent("2", "1301&S.aureus&JANIS")), obx("NM", PIPC, "32")],
    }
    culture = [obr(CULTURE), *organism("1"), *organism("2", "1301^S.aureus")]

    def ids(order: str) -> dict[str, str]:
        converted = lab(*culture, *(segment for key in order for segment in groups[key]))
        return {str(o["valueQuantity"]["value"]): o["id"] for o in every(converted, "Observation")[4:]}

    assert ids("12") == ids("21")
    assert ids("2")["32"] == ids("12")["32"]


def test_a_drug_named_by_its_janis_code_tells_its_mic_what_it_is_for() -> None:
    converted = lab(
        obr(CULTURE), *organism("1"),
        obr(MIC, parent("1")),
        obx("CWE", "6C205000001776214^薬剤名^JC10", "1266^PIPC^JANIS", "1"), obx("NM", "6C205000001776201^MIC値^JC10", "2", "1"),
    )  # fmt: skip
    coli, _, drug, mic = every(converted, "Observation")
    assert drug["valueCodeableConcept"]["coding"][0]["system"] == DRUG
    assert {"system": DRUG, "code": "1266"} in mic["code"]["coding"]
    assert mic["code"]["text"] == "MIC値（PIPC）"
    assert members(drug) == [mic["id"]]
    assert set(members(mic, "derivedFrom")) == {drug["id"], coli["id"]}
    assert valid(converted)


def test_a_drug_that_janis_does_not_have_still_names_its_mic_and_a_finding_does_not() -> None:
    for value, words in (("9999^新薬^JANIS", "MIC値（新薬）"), ("S^感性^99X", "MIC値")):
        converted = lab(
            obr(MIC),
            obx("CWE", "6C205000001776214^薬剤名^JC10", value, "1"),
            obx("NM", "6C205000001776201^MIC値^JC10", "2", "1"),
        )
        assert every(converted, "Observation")[1]["code"]["text"] == words


def test_a_drug_may_be_the_test_itself() -> None:
    (made,) = every(lab(obr(MIC), obx("NM", "1266^PIPC^JANIS", "2", flag="S")), "Observation")
    assert made["code"] == {"coding": [{"system": DRUG, "code": "1266"}], "text": "PIPC"}


def test_an_organism_of_no_janis_table_stays_local_and_is_reported() -> None:
    converted = lab(obr(CULTURE), obx("CWE", NAME, "9X99^院内株^JANIS", "1"))
    (made,) = every(converted, "Observation")
    assert made["valueCodeableConcept"]["coding"][0]["system"].endswith("/CodeSystem/JANIS")
    assert places(converted, "code-label-mismatch") == ["OBX[1]-5"]
    assert valid(converted)


@pytest.mark.parametrize("sent", ["6B010000001774214&菌名&JC10^9^x", "6B01&&JC10^1", "^1", "6B010000001774214"])
def test_a_parent_that_is_not_surely_there_is_reported_and_kept(sent: str) -> None:
    converted = lab(obr(CULTURE), *organism("1"), *organism("2"), obr(MIC, sent), obx("NM", PIPC, "2"))
    assert places(converted, "no-parent-result") == ["OBR[2]-26"]
    assert residue(converted)["OBR[2]-26"] == sent
    assert "derivedFrom" not in every(converted, "Observation")[-1]


def test_what_the_child_says_of_its_parent_and_the_parent_does_not_is_residue() -> None:
    converted = lab(obr(CULTURE), *organism("1"), obr(MIC, parent("1", "2001&大腸菌&JANIS")), obx("NM", PIPC, "2"))
    assert residue(converted) == {"OBR[2]-26.3": "2001&大腸菌&JANIS"}


def test_the_parent_of_several_specimens_is_the_one_of_the_same() -> None:
    blood = [obr(CULTURE), *organism("1"), obr(MIC, parent("1")), obx("NM", PIPC, "2")]
    converted = lab(*blood, "SPM|2|S2||001^尿^JC10", *blood)
    first, _, low, second, _, high = every(converted, "Observation")
    assert members(low, "derivedFrom") == [first["id"]]
    assert members(high, "derivedFrom") == [second["id"]]
    assert len({o["id"] for o in every(converted, "Observation")}) == 6


def test_the_section_of_the_laboratory_makes_local_tests_microbiology() -> None:
    converted = lab(obr("M1^培養^99L", section="MB"), obx("ST", "M2^結果^99L", "発育なし"))
    (made,) = every(converted, "Observation")
    assert made["meta"]["profile"][0].endswith("/JP_Observation_Microbiology")
    assert every(converted, "DiagnosticReport")[0]["category"][0]["coding"][0]["code"] == "LP7819-8"


def test_a_range_is_no_value_of_the_microbiology_profile() -> None:
    (made,) = every(lab(obr(CULTURE), obx("ST", AMOUNT, "1-4")), "Observation")
    assert made["meta"]["profile"][0].endswith("/JP_Observation_Common")
    assert "valueRange" in made


# -- panels of other tests --------------------------------------------------------------------------------------------


def test_a_panel_header_without_value_has_the_results_of_its_sub_ids_as_members() -> None:
    local = "{}^検査^99L"
    converted = lab(
        obr(local.format("E1")),
        obx("", local.format("P"), "", "1"),
        obx("NM", local.format("A"), "1", "1.1"),
        obx("NM", local.format("B"), "2", "1.2"),
        obx("NM", local.format("C"), "3", "1"),
        obx("NM", local.format("D"), "4"),
        obx("NM", local.format("E"), "5", "2.1"),
    )
    header, *others = every(converted, "Observation")
    assert members(header) == [others[0]["id"], others[1]["id"], others[2]["id"]]
    assert not any("derivedFrom" in one or "hasMember" in one for one in others)
    assert valid(converted)


def test_sub_ids_alone_make_no_panel() -> None:
    converted = lab(obr("E1^検査^99L"), obx("NM", "A^検査^99L", "1", "1"), obx("NM", "B^検査^99L", "2", "1"))
    assert not any("hasMember" in one for one in every(converted, "Observation"))


def test_a_reflex_test_hangs_on_the_result_that_asked_for_it() -> None:
    converted = lab(
        obr("E1^検査^99L"), obx("ST", "A^スクリーニング^99L", "陽性"), obr("E2^検査^99L", "A&スクリーニング&99L^^陽性"), obx("NM", "B^定量^99L", "5"),
    )  # fmt: skip
    first, second = every(converted, "Observation")
    assert (members(first), members(second, "derivedFrom")) == ([second["id"]], [first["id"]])
    assert codes(converted).count("no-parent-result") == 0
