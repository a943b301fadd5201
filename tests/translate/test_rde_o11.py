"""gateway/translate/rde_o11.py: prescriptions and injections."""

import sys
from decimal import Decimal
from typing import Any

import pytest

from gateway.translate.context import Facilities
from tests.translate.messages import HOSPITAL, INSTITUTION, codes, every, only, places, read, residue, sources

ORDER = "000000000000001"
DRUG = "103831601^ロキソプロフェン^HOT9"
RXE = f"RXE||{DRUG}|1||TAB^錠^MR9P"
RP = "http://jpfhir.jp/fhir/core/mhlw/IdSystem/Medication-RPGroupNumber"
PLACE = "http://jpfhir.jp/fhir/core/mhlw/IdSystem/MedicationAdministrationIndex"


def orc(group: str = "1", control: str = "NW", date: str = "20240601") -> str:
    return f"ORC|{control}|{ORDER}||{group}|||||{date}"


def rxe(**fields: str) -> str:
    numbered = {2: DRUG, 3: "1", 5: "TAB^錠^MR9P"}
    numbered |= {int(name[1:]): value for name, value in fields.items()}
    return "|".join(["RXE", *(numbered.get(n, "") for n in range(1, max(numbered) + 1))])


def oral(*segments: str) -> Any:
    return read("OMP-01", *segments, order=ORDER)


def injection(*segments: str) -> Any:
    return read("OMP-02", *segments, order=ORDER)


def groups(converted: Any) -> list[tuple[str, str]]:
    return [
        tuple(next(i["value"] for i in request["identifier"] if i["system"] == system) for system in (RP, PLACE))
        for request in every(converted, "MedicationRequest")
    ]


def test_a_prescription() -> None:
    converted = oral(
        f"ORC|NW|{ORDER}||{ORDER}_02_001|||||20240601100000|058^入力者^花子||110^医師^一郎|||||||||||||||||O^外来患者オーダ^HL70482",
        rxe(f10="15", f11="TAB^錠^MR9P", f12="2", f15="77", f32="20240601100000"),
        "TQ1|1||1013044400000000&内服・経口・１日３回朝昼夕食後&JAMISDP01|||5^d",
        "RXR|PO^口^HL70162",
    )
    made = only(converted, "MedicationRequest")
    assert list(made)[:3] == ["resourceType", "id", "meta"]
    assert made["meta"]["profile"][0].endswith("/JP_MedicationRequest")
    assert (made["status"], made["intent"]) == ("active", "order")
    assert made["authoredOn"] == "2024-06-01T10:00:00+09:00"
    assert made["medicationCodeableConcept"]["text"] == "ロキソプロフェン"
    assert made["recorder"]["display"] == "入力者 花子" and made["requester"]["display"] == "医師 一郎"
    assert made["category"][0]["coding"][0]["code"] == "O"
    assert made["dispenseRequest"]["quantity"]["value"] == Decimal(15)
    assert made["dispenseRequest"]["numberOfRepeatsAllowed"] == 2
    assert made["dispenseRequest"]["expectedSupplyDuration"]["value"] == Decimal(5)
    assert {i["system"]: i["value"] for i in made["identifier"]} == {
        RP: "2", PLACE: "1", "http://jpfhir.jp/fhir/core/IdSystem/resourceInstance-identifier": ORDER,
        f"urn:oid:1.2.392.100495.20.3.11.1{INSTITUTION}": "77",
    }  # fmt: skip
    assert residue(converted) == {}
    targets = {e.target for e in converted.translated.lineage if e.source[:3] in ("ORC", "RXE", "TQ1", "RXR")}
    assert all(target.startswith(f"MedicationRequest/{made['id']}.") for target in targets)
    assert "ORC[1]-4" in sources(converted)


@pytest.mark.parametrize(
    ("control", "status"),
    [
        ("NW", "active"),
        ("CA", "cancelled"),
        ("DC", "stopped"),
        ("HD", "on-hold"),
        ("DE", "entered-in-error"),
        ("?", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_order_control_is_the_status(control: str, status: str) -> None:
    converted = oral(orc(control=control), RXE)
    assert only(converted, "MedicationRequest")["status"] == status
    assert places(converted, "code-unknown") == (["ORC[1]-1"] if control == "?" else [])


# -- RP groups --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ([f"{ORDER}_01_001", f"{ORDER}_01_002", f"{ORDER}_02_001"], [("1", "1"), ("1", "2"), ("2", "1")]),
        ([f"{ORDER}_01", f"{ORDER}_01", f"{ORDER}_02"], [("1", "1"), ("1", "2"), ("2", "1")]),
        (["1", "1", "2"], [("1", "1"), ("1", "2"), ("2", "1")]),
        (["", "", ""], [("1", "1"), ("2", "1"), ("3", "1")]),
        (["2", "", "1"], [("2", "1"), ("3", "1"), ("1", "1")]),
        (["000", "0_0_0", "1_2_"], [("000", "1"), ("0", "0"), ("2", "1")]),
    ],
)
def test_rp_and_place_in_all_forms_of_orc_4(sent: list[str], expected: list[tuple[str, str]]) -> None:
    converted = oral(*(segment for group in sent for segment in (orc(group), RXE)))
    assert groups(converted) == expected
    assert codes(converted).count("no-rp-number") == sent.count("")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [(f"{ORDER}_01_001", False), ("1_01_001", False), ("99_01_001", True), (f"{ORDER}_01_001_x", True)],
)
def test_what_orc_4_says_beyond_rp_and_place_is_residue(sent: str, kept: bool) -> None:
    assert residue(oral(orc(sent), RXE)) == ({"ORC[1]-4": sent} if kept else {})


def test_drugs_of_one_rp_have_ids_of_their_own_and_equal_ones_too() -> None:
    converted = oral(orc("1_1_1"), RXE, orc("1_1_1"), RXE, orc("1_1_2"), RXE)
    assert len({request["id"] for request in every(converted, "MedicationRequest")}) == 3


def test_an_rxe_without_orc_is_an_order_too() -> None:
    converted = oral(orc("1"), RXE, RXE)
    assert groups(converted) == [("1", "1"), ("2", "1")]
    assert places(converted, "no-rp-number") == ["ORC-4"]


def test_an_order_without_rxe_is_residue_with_an_issue() -> None:
    converted = oral(orc("1"), "TQ1|1||x", "NTE|1||y", orc("2"), RXE)
    assert len(every(converted, "MedicationRequest")) == 1
    assert places(converted, "no-drug") == ["ORC[1]-1"]
    left = residue(converted)
    assert (left["ORC[1]-4"], left["TQ1[1]-3"], left["NTE[1]-3"]) == ("1", "x", "y")


# -- drugs and amounts ------------------------------------------------------------------------------------------------


def test_further_codes_of_the_drug_join_it() -> None:
    made = only(oral(orc(), rxe(f31="1149019F1560^錠^YJ~12^院内薬^99X")), "MedicationRequest")
    assert [c["code"] for c in made["medicationCodeableConcept"]["coding"]] == ["103831601", "1149019F1560", "12"]
    assert made["medicationCodeableConcept"]["text"] == "ロキソプロフェン"


@pytest.mark.parametrize(
    ("further", "left"), [("^言葉だけ", {"RXE[1]-31": "^言葉だけ"}), ("1^a^99X^^^^^8", {"RXE[1]-31.8": "8"})]
)
def test_what_further_codes_have_beside_codes_is_residue(further: str, left: dict[str, str]) -> None:
    assert residue(oral(orc(), rxe(f31=further))) == left


def test_a_receipt_code_labelled_hot9_stays_local() -> None:
    converted = oral(orc(), rxe(f2="620007329^ソリタ^HOT9"))
    (coding,) = only(converted, "MedicationRequest")["medicationCodeableConcept"]["coding"]
    assert coding["system"].endswith("/CodeSystem/HOT9")
    assert places(converted, "code-label-mismatch") == ["RXE[1]-2"]


@pytest.mark.parametrize("drug", ["", '""'])
def test_no_drug_is_said_to_be_absent(drug: str) -> None:
    converted = oral(orc(), rxe(f2=drug))
    assert only(converted, "MedicationRequest")["medicationCodeableConcept"]["extension"][0]["valueCode"] == "unknown"
    assert places(converted, "no-drug") == ["RXE[1]-2"]


@pytest.mark.parametrize(
    ("amount", "unit", "code", "words", "left"),
    [
        ("15.0", "TAB^錠^MR9P", "TAB", "", {}),
        ("１５", "TAB^錠^MR9P", "TAB", "", {}),
        ("15", "C^カプセル^99Z", "C", "", {}),
        ("15", "錠", None, "全量15錠", {}),
        ("15", "", None, "全量15", {}),
        ("-7", "TAB^錠^MR9P", None, "全量-7錠", {"RXE[1]-11.1": "TAB", "RXE[1]-11.3": "MR9P"}),
        ("半錠", "TAB^錠^MR9P", None, "全量半錠", {"RXE[1]-11.1": "TAB", "RXE[1]-11.3": "MR9P"}),
        ("十五", "TAB^錠^MR9P", None, "全量十五錠", {"RXE[1]-11.1": "TAB", "RXE[1]-11.3": "MR9P"}),
        ("", "TAB^錠^MR9P", None, "", {"RXE[1]-11": "TAB^錠^MR9P"}),
        ('""', "TAB^錠^MR9P", None, "", {"RXE[1]-11": "TAB^錠^MR9P"}),
    ],
)
def test_the_supply_needs_a_coded_unit_and_is_else_said_in_words(
    amount: str, unit: str, code: str | None, words: str, left: dict[str, str]
) -> None:
    converted = oral(orc(), rxe(f10=amount, f11=unit))
    made = only(converted, "MedicationRequest")
    quantity = made.get("dispenseRequest", {}).get("quantity")
    assert (quantity["code"] if quantity else None) == code
    assert made["dosageInstruction"][0]["text"] == f"1回1錠 {words}".strip()
    assert residue(converted) == left


@pytest.mark.parametrize("sent", ["x", "-1", "12345", "²", "1.5"])
def test_repeats_that_are_no_count_are_residue(sent: str) -> None:
    converted = read("OMP-01", orc(), rxe(f12=sent), encoding="utf-8")
    assert "dispenseRequest" not in only(converted, "MedicationRequest")
    assert residue(converted) == {"RXE[1]-12": sent}


@pytest.mark.parametrize(
    ("sent", "systems"),
    [
        ("OHP^外来処方^MR9P~OHI^院内処方^MR9P", ["JP_MedicationCategoryMERIT9_CS"] * 2),
        ("IHP^入院処方^MR9P~FTP^定時処方^99I01", ["JP_MedicationCategoryMERIT9_CS", "JHSI0001"]),
        ("OHP^外来^99ZZ", ["99ZZ"]),
        ("XYZ^その他^MR9P", ["MR9P"]),
    ],
)
def test_a_category_stands_under_the_system_of_its_table(sent: str, systems: list[str]) -> None:
    found = only(oral(orc(), rxe(f21=sent)), "MedicationRequest")["category"]
    assert [concept["coding"][0]["system"].rpartition("/")[2] for concept in found] == systems


def test_the_time_of_typing_is_residue_where_the_first_order_says_another() -> None:
    converted = oral(orc(date="20240602"), rxe(f32="20240601"))
    assert only(converted, "MedicationRequest")["authoredOn"] == "2024-06-01"
    assert residue(converted) == {"ORC[1]-9": "20240602"}
    assert residue(oral(orc(date="20240601"), rxe(f32="20240601"))) == {}


def test_without_any_order_time_it_is_said_to_be_absent() -> None:
    made = only(oral(orc(date=""), RXE), "MedicationRequest")
    assert made["_authoredOn"]["extension"][0]["valueCode"] == "unknown"


def test_notes_stand_with_their_drug() -> None:
    converted = oral(orc("1"), RXE, "NTE|1|L|粉砕不可", orc("2"), RXE)
    assert [r.get("note") for r in every(converted, "MedicationRequest")] == [[{"text": "粉砕不可"}], None]


# -- several TQ1, several RXR -----------------------------------------------------------------------------------------


def test_each_tq1_is_a_dosage_with_what_holds_for_all() -> None:
    converted = oral(
        orc(),
        RXE,
        "TQ1|1||1011000400000000&朝食後&JAMISDP01|||5^d|||R",
        "TQ1|2||1011040000000000&夕食後&JAMISDP01|||3^d|||S|||||4",
        "RXR|PO^口^HL70162",
    )
    made = only(converted, "MedicationRequest")
    first, second = made["dosageInstruction"]
    assert (first["sequence"], second["sequence"]) == (1, 2)
    assert first["timing"]["repeat"]["when"] == ["PCM"] and second["timing"]["repeat"]["when"] == ["PCV"]
    assert first["route"] == second["route"] and first["doseAndRate"] == second["doseAndRate"]
    assert made["dispenseRequest"]["expectedSupplyDuration"]["value"] == Decimal(5)
    assert made["priority"] == "routine"
    # One request has one supply, one count and one priority.
    assert residue(converted) == {"TQ1[2]-6": "3^d", "TQ1[2]-14": "4", "TQ1[2]-9": "S"}


def test_a_further_tq1_that_agrees_leaves_nothing() -> None:
    converted = oral(orc(), RXE, "TQ1|1||||||||R", "TQ1|2||||||||R")
    assert residue(converted) == {}


def test_the_text_of_each_tq1_says_its_own_days() -> None:
    converted = oral(
        orc(),
        RXE,
        "TQ1|1||1011000400000000&朝食後&JAMISDP01|||5^d",
        "TQ1|2||1011040000000000&夕食後&JAMISDP01|||3^d",
    )
    first, second = only(converted, "MedicationRequest")["dosageInstruction"]
    assert (first["text"], second["text"]) == ("朝食後 1回1錠 5日分", "夕食後 1回1錠 3日分")


def test_further_ways_are_comments_and_words_of_the_first() -> None:
    converted = oral(
        orc(),
        RXE,
        "RXR|AP^外用^HL70162|77L^左足^JAMISDP01||A^塗布^99M",
        "RXR|AP^外用^HL70162|76R^右足^JAMISDP01||B^貼付^99M||R^右^HL70495",
    )
    (dosage,) = only(converted, "MedicationRequest")["dosageInstruction"]
    assert dosage["route"]["text"] == "外用" and "extension" not in dosage["route"]
    site, method = dosage["site"], dosage["method"]
    assert (site["text"], site["coding"][0]["code"], method["text"]) == ("左足、右足 右", "77L", "塗布、貼付")
    (comment,) = site["extension"]
    assert comment["url"].endswith("/JP_MedicationDosage_SiteComment")
    assert comment["valueCodeableConcept"]["coding"][0]["code"] == "76R"
    assert method["extension"][0]["url"].endswith("/JP_MedicationDosage_MethodComment")
    assert residue(converted) == {"RXR[2]-6": "R^右^HL70495"}  # the code of the side; its words stand


def test_two_sites_in_one_rxr_are_both_there() -> None:
    converted = oral(orc(), RXE, "RXR|AP^外用^HL70162|77L^左足^JAMISDP01~76R^右足^JAMISDP01")
    (dosage,) = only(converted, "MedicationRequest")["dosageInstruction"]
    assert dosage["site"]["text"] == "左足、右足"
    assert residue(converted) == {}


# -- injections -------------------------------------------------------------------------------------------------------


def test_an_injection_has_its_drugs_in_a_contained_medication() -> None:
    converted = injection(
        orc(f"{ORDER}_01_002"), "RXE||00^一般^99I02|510||ML^mL^MR9P", "RXR|IV^静脈内^HL70162",
        f"RXC|B|{DRUG}|1.0|HON^本^MR9P", "RXC|A|620002559^アドナ^HOT9|一本|AMP^アンプル^MR9P", "RXC|A|||",
    )  # fmt: skip
    made = only(converted, "MedicationRequest")
    assert made["meta"]["profile"][0].endswith("/JP_MedicationRequest_Injection")
    assert made["category"][0]["text"] == "一般"
    assert made["medicationReference"] == {"reference": "#medication"}
    (medication,) = made["contained"]
    first, second, third = medication["ingredient"]
    assert first["strength"]["numerator"]["value"] == Decimal("1.0")
    assert first["strength"]["denominator"]["code"] == "TIME"
    assert [i["extension"][0]["valueInteger"] for i in (first, second, third)] == [1, 2, 3]
    assert "extension" in second["strength"] and "extension" in third["itemCodeableConcept"]
    assert [note["text"] for note in made["note"]] == ["アドナ 一本アンプル"]
    assert residue(converted) == {"RXC[2]-4.1": "AMP", "RXC[2]-4.3": "MR9P"}
    targets = {e.target for e in converted.translated.lineage if e.source.startswith("RXC")}
    prefix = f"MedicationRequest/{made['id']}.contained.ingredient."
    assert targets == {prefix + "itemCodeableConcept", prefix + "strength"}


def test_a_drug_named_in_rxe_2_of_an_injection_is_understood() -> None:
    alone = only(injection(orc(), RXE), "MedicationRequest")
    assert alone["medicationReference"] == {"reference": "#medication"}  # the profile takes no code here
    assert alone["contained"][0]["code"]["text"] == "ロキソプロフェン"
    mixed = only(injection(orc(), RXE, f"RXC|A|{DRUG}|1|HON^本^MR9P"), "MedicationRequest")
    assert "medicationCodeableConcept" not in mixed  # a request has one medication[x]
    assert mixed["contained"][0]["code"]["text"] == "ロキソプロフェン"


def test_ingredients_of_a_prescription_are_notes_and_their_codes_residue() -> None:
    converted = oral(orc(), RXE, "RXC|A|1^乳糖^99X|0.5|G^グラム^MR9P")
    made = only(converted, "MedicationRequest")
    assert "contained" not in made and [note["text"] for note in made["note"]] == ["配合 乳糖 0.5グラム"]
    assert residue(converted)["RXC[1]-2"] == "1^乳糖^99X"


def test_the_third_part_of_orc_4_is_the_administration() -> None:
    converted = injection(*(s for n in (1, 2) for s in (orc(f"{ORDER}_01_00{n}"), "RXE||00^一般^99I02")))
    assert groups(converted) == [("1", "1"), ("1", "2")]


def test_an_injection_without_any_drug_says_so() -> None:
    made = only(injection(orc(), "RXE||00^一般^99I02"), "MedicationRequest")
    assert "extension" in made["medicationReference"] and "contained" not in made


def test_base_and_additives_are_told_by_their_order_and_any_other_order_is_residue() -> None:
    kinds = {"BAA": {}, "AA": {}, "AB": {"RXC[1]-1": "A", "RXC[2]-1": "B"}}
    for sent, left in kinds.items():
        lines = [f"RXC|{kind}|{DRUG}|1|AMP^アンプル^MR9P" for kind in sent]
        assert residue(injection(orc(), "RXE||00^一般^99I02", *lines)) == left


def test_the_form_of_an_injection_is_that_of_its_medication() -> None:
    made = only(injection(orc(), rxe(f2="00^一般^99I02", f6="INJ^注射剤^MR9P")), "MedicationRequest")
    form = made["contained"][0]["form"]
    assert form["coding"][0]["system"].endswith("/JP_MedicationFormMERIT9_CS") and form["text"] == "注射剤"


@pytest.mark.parametrize(
    ("control", "state", "status", "left"),
    [
        ("NW", "CM", "completed", {}),
        ("SC", "DC", "stopped", {}),
        ("NW", "IP", "active", {}),
        ("CA", "CM", "cancelled", {"ORC[1]-5": "CM"}),
        ("CA", "CA", "cancelled", {}),
        ("NW", "RP", "active", {"ORC[1]-5": "RP"}),
        ("RL", "", "active", {}),
    ],
)
def test_the_state_of_the_order_where_its_control_leaves_it_open(
    control: str, state: str, status: str, left: dict[str, str]
) -> None:
    converted = oral(f"ORC|{control}|{ORDER}||1|{state}||||20240601", RXE)
    assert only(converted, "MedicationRequest")["status"] == status
    assert residue(converted) == left


def test_a_licence_to_prescribe_narcotics_is_the_requesters() -> None:
    head = f"ORC|NW|{ORDER}||1|||||20240601|||110^医師^一郎"
    converted = oral(head, rxe(f13="東京1234"), head.replace("|1|", "|2|"), rxe(f13="東京1234"))
    (doctor,) = every(converted, "Practitioner")
    (qualification,) = doctor["qualification"]
    assert qualification["identifier"] == [{"system": "urn:oid:1.2.392.100495.20.3.32.113", "value": "東京1234"}]
    assert qualification["code"]["coding"][0]["code"] == "narcotics-practitioner"
    assert "licence" not in every(converted, "MedicationRequest")[0]
    assert "qualification" not in only(oral(head, rxe()), "Practitioner")  # nobody keeps another message's licence


def test_a_licence_without_a_requester_is_residue() -> None:
    assert residue(oral(orc(), rxe(f13="東京1234"))) == {"RXE[1]-13": "東京1234"}


@pytest.mark.parametrize(
    ("fields", "usage", "where"),
    [
        ({"f10": "15", "f19": "3^TAB&錠&MR9P"}, "|||5^d", []),
        ({"f10": "14", "f19": "3^TAB&錠&MR9P"}, "|||5^d", ["RXE[1]-10"]),
        ({"f10": "14", "f11": "CAP^カプセル^MR9P", "f19": "3^TAB&錠&MR9P"}, "|||5^d", []),
        ({"f10": "6"}, "|||||||||||6", []),
        ({"f10": "5"}, "|||||||||||6", ["RXE[1]-10"]),
        ({"f10": "21", "f7": "V11^^JAMISDP01~V22^^JAMISDP01", "f19": "3^TAB&錠&MR9P"}, "|||7^d", []),
        ({"f7": "V11NNNNN^^JAMISDP01~V22NNNNN^^JAMISDP01", "f19": "4^TAB&錠&MR9P"}, "|||7^d", ["RXE[1]-19"]),
        ({"f7": "V22NNNNN^^JAMISDP01", "f19": "4^TAB&錠&MR9P"}, "|||7^d", []),
        ({"f10": "15", "f19": "3^TAB&錠&MR9P"}, "1013044400000000&毎食後&JAMISDP01|||5^d", []),
        ({"f10": "30", "f19": "6^TAB&錠&MR9P"}, "1013044400000000&毎食後&JAMISDP01|||5^d", ["RXE[1]-19"]),
        ({"f19": "6^CAP&カプセル&MR9P"}, "1013044400000000&毎食後&JAMISDP01|||5^d", []),
        ({"f10": "7", "f19": "1^TAB&錠&MR9P"}, "1011000400000000&&JAMISDP01~I1100000&隔日&JAMISDP01|||7^d", []),
    ],
)
def test_amounts_that_do_not_add_up_are_reported_and_kept(fields: dict[str, str], usage: str, where: list[str]) -> None:
    fields = {"f11": "TAB^錠^MR9P"} | fields if "f10" in fields else fields
    converted = oral(orc(), rxe(**fields), f"TQ1|1||{usage}")
    assert places(converted, "amounts-disagree") == where


def test_a_dose_of_uneven_days_is_never_the_dose_of_a_time() -> None:
    made = only(
        oral(orc(), rxe(f7="V11NNNNN^^JAMISDP01~V22NNNNN^^JAMISDP01", f19="3^TAB&錠&MR9P")), "MedicationRequest"
    )
    (dosage,) = made["dosageInstruction"]
    assert list(dosage["doseAndRate"][0]) == ["rateRatio"]
    assert dosage["text"].startswith("1回目1錠 2回目2錠")


def test_a_number_of_occasions_alone_is_as_needed() -> None:
    def dosage(tq1: str) -> Any:
        return only(oral(orc(), RXE, tq1), "MedicationRequest")["dosageInstruction"][0]

    assert dosage("TQ1|1|||||||||||||6")["asNeededBoolean"] is True
    assert "asNeededBoolean" not in dosage("TQ1|1||1013044400000000&&JAMISDP01|||||||||||6")
    assert "asNeededBoolean" not in dosage("TQ1|1|||||5^d||||||||6")


def test_findings_of_an_order_are_observations_it_is_based_on() -> None:
    converted = oral(orc(), RXE, "OBX|1|NM|9N006000000000001^体重^JC10||52.5|kg^kg^ISO+|||||F|||20240601")
    made, weight = only(converted, "MedicationRequest"), only(converted, "Observation")
    assert made["supportingInformation"] == [{"reference": f"Observation/{weight['id']}"}]
    assert weight["valueQuantity"]["value"] == Decimal("52.5")


def test_a_vaccination_order_has_an_immunization_that_claims_nothing() -> None:
    converted = injection(
        orc(f"{ORDER}_01_001"), "RXE||06^予防接種^JHSI0002|0.5||ML^mL^MR9P", "TQ1|1||||||202406011000",
        "RXC|B|181000101^ワクチン^HOT9|0.5|ML^mL^MR9P",
    )  # fmt: skip
    made = only(converted, "Immunization")
    assert made["status"] == "not-done" and made["statusReason"]["text"].startswith("予定")
    assert "occurrenceDateTime" not in made and made["occurrenceString"] == "予定 2024-06-01T10:00:00+09:00"
    assert made["vaccineCode"]["coding"][0]["code"] == "181000101"
    assert every(injection(orc(), "RXE||05^ＴＰＮ^JHSI0002"), "Immunization") == []


def test_two_thousand_drugs_cost_no_more_each_than_two_hundred() -> None:
    def calls(drugs: int) -> int:
        lines = [line for n in range(drugs) for line in (orc(f"{ORDER}_{n:04d}_001"), RXE, "TQ1|1|||||5^d")]
        counted = 0

        def count(frame: Any, event: str, argument: Any) -> None:
            nonlocal counted
            counted += event == "call"

        before = sys.getprofile()
        sys.setprofile(count)
        try:
            converted = oral(*lines)
        finally:
            sys.setprofile(before)
        assert len(every(converted, "MedicationRequest")) == drugs
        return counted

    assert calls(2_000) < 11 * calls(200)


def test_a_dose_of_its_own_time_stands_there_instead_of_that_of_all() -> None:
    converted = oral(
        orc(), rxe(f3="1"), "TQ1|1|2^TAB&錠&MR9P|1011000400000000&&JAMISDP01", "TQ1|2|1^TAB&錠&MR9P|1011040000000000&&JAMISDP01",
    )  # fmt: skip
    doses = only(converted, "MedicationRequest")["dosageInstruction"]
    assert [dose["doseAndRate"][0]["doseQuantity"]["value"] for dose in doses] == [Decimal(2), Decimal(1)]
    assert [dose["text"] for dose in doses] == ["1回2錠", "1回1錠"]
    assert places(converted, "uneven-dose") == ["TQ1[1]-2"]
    assert residue(converted) == {"RXE[1]-3": "1", "RXE[1]-5": "TAB^錠^MR9P"}
    words = only(oral(orc(), rxe(f3=""), "TQ1|1|2^&錠"), "MedicationRequest")["dosageInstruction"]
    assert words == [{"text": "1回2錠"}]


def test_whether_another_product_may_be_dispensed() -> None:
    made = only(oral(orc(), rxe(f9="N")), "MedicationRequest")
    assert made["substitution"]["allowedCodeableConcept"]["coding"][0]["code"] == "N"
    assert residue(oral(orc(), rxe(f9="?"))) == {"RXE[1]-9": "?"}


def test_a_rate_an_hour_is_no_daily_dose_to_compare_with() -> None:
    drip = rxe(f2="00^一般^99I02", f10="1", f11="ML^mL^MR9P", f22="H1", f23="2", f24="ML^mL^MR9P")
    assert places(injection(orc(), drip, "TQ1|1|||||5^d"), "amounts-disagree") == []


def test_equal_drugs_keep_what_is_their_own() -> None:
    """RXE is remembered but for its prescription number and time (docs/adr/0013). Orders that use the same one settle
    uneven doses in their own way, and none changes what the next one gets."""
    uneven = {"f7": "V11NNNNN^^JAMISDP01~V22NNNNN^^JAMISDP01", "f10": "21", "f11": "TAB^錠^MR9P"}
    own = (("A1", "20240601101500"), ("", ""), ("A3", "2024060110"), ("A1", "20240601101500"))
    timings = ("TQ1|1||1012040400000000&１日２回朝夕食後&JAMISDP01|||7^d", "TQ1|1||||||||R")

    def translated(number: str, time: str, timing: str, facilities: Facilities) -> Any:
        segments = (orc(), rxe(**uneven, f15=number, f32=time), timing)
        return read("OMP-01", *segments, order=ORDER, facilities=facilities, explain=False)

    known = Facilities([HOSPITAL])
    for timing in (*timings, *timings):
        made = [translated(number, time, timing, known) for number, time in own]
        fresh = [translated(number, time, timing, Facilities([HOSPITAL])) for number, time in own]
        assert [one.translated for one in made] == [one.translated for one in fresh]
        requests = [only(one, "MedicationRequest") for one in made]
        numbers = [{i["value"] for i in request["identifier"]} & {"A1", "A3"} for request in requests]
        assert numbers == [{"A1"}, set(), {"A3"}, {"A1"}]
        times = [request["authoredOn"][11:16] for request in requests]
        assert times == ["10:15", "", "10:00", "10:15"]
