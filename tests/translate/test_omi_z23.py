"""gateway/translate/omi_z23.py, performed.py: examinations that were done."""

from typing import Any

import pytest

from tests.translate.messages import codes, every, only, places, read, residue, unmapped
from tests.translate.test_omg_o19 import CHEST, KIND, SIDE, P, obr, orc

UID = "1.2.392.200119.99999.7.1"
IPC = f"IPC|A1|P1|{UID}||CT^^DCM"
TECHNICIAN = "3301^放射^光^^^^^^^L^^^^^I"
DOCTOR = "1302^模擬^京子^^^^^^^L^^^^^I"


def done(*segments: str, data_type: str = "OMG-11", **parts: Any) -> Any:
    return read(data_type, *segments, order=P, **parts)


def ze1(code: str = CHEST, **more: str) -> str:
    fields = {1: "1", 2: "RS", 3: code} | {int(name[1:]): value for name, value in more.items()}
    return "|".join(["ZE1", *(fields.get(n, "") for n in range(1, max(fields) + 1))])


def ordered(reference: dict[str, Any]) -> str:
    return str(reference["identifier"]["value"])


def one(*segments: str, data_type: str = "OMG-11") -> Any:
    """One examination with these segments under its ZE1."""
    return done(orc("NW"), obr(CHEST, o7="20240601"), ze1(), *segments, data_type=data_type)


TWO_PARTS = (
    orc("NW"), obr(KIND, o7="20240601", o25="F"), IPC,
    orc("PA"), obr(KIND, o7="20240601", o25="F"), IPC,
    orc("CH", "101", P), obr(CHEST, "101", P, o7="202406011105", o25="F"), ze1(o6="RT-01^EM-01", o7=TECHNICIAN), IPC,
    orc("CH", "102", P), obr(SIDE, "102", P, o7="202406011110", o25="F"), ze1(SIDE), IPC,
)  # fmt: skip


def test_one_procedure_a_ze1_and_one_study_for_all_orders() -> None:
    converted = done(*TWO_PARTS)
    front, side = every(converted, "Procedure")
    assert front["meta"]["profile"][0].endswith("/JP_Procedure")
    assert (front["status"], side["status"]) == ("completed", "completed")
    assert [ordered(r) for r in front["basedOn"]] == ["101", P]
    assert front["code"]["coding"][0]["code"] == CHEST.split("^")[0]
    assert front["category"]["text"] == "Ｘ線単純撮影"
    assert front["performedDateTime"] == "2024-06-01T11:05:00+09:00"
    (performer,) = front["performer"]
    assert performer["actor"]["display"] == "放射 光"
    assert performer["function"]["coding"][0]["code"] == "RT-01.EM-01"
    study = only(converted, "ImagingStudy")
    assert [ordered(r) for r in study["basedOn"]] == [P, "101", "102"]
    assert {"system": "urn:dicom:uid", "value": f"urn:oid:{UID}"} in study["identifier"]
    assert study["modality"] == [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"}]
    assert study["status"] == "unknown" and places(converted, "no-status") == ["IPC[1]-3"]
    assert not {"numberOfSeries", "numberOfInstances", "series"} & set(study)
    assert "procedureReference" not in study
    assert every(converted, "DiagnosticReport") == [] and residue(converted) == {}


def test_an_order_without_ze1_is_a_procedure_of_its_own() -> None:
    procedure = only(done(orc("NW"), obr(CHEST, o7="20240601", o8="20240602")), "Procedure")
    assert procedure["code"]["text"] == "胸部.立位正面"
    assert procedure["performedPeriod"] == {"start": "2024-06-01", "end": "2024-06-02"}
    assert "category" not in procedure


def test_several_ze1_of_one_order_are_several_procedures() -> None:
    converted = done(orc("NW"), obr(KIND), ze1(CHEST), ze1(CHEST), ze1(SIDE))
    procedures = every(converted, "Procedure")
    assert [p["code"]["text"] for p in procedures] == ["胸部.立位正面", "胸部.立位正面", "胸部.立位側面"]
    assert len({p["id"] for p in procedures}) == 3
    assert {p["category"]["text"] for p in procedures} == {"Ｘ線単純撮影"}


def test_another_examination_than_ordered_is_kept() -> None:
    converted = done(orc("NW"), obr(KIND), orc("CH", "101", P), obr(SIDE, "101", P), ze1(CHEST))
    assert only(converted, "Procedure")["code"]["text"] == "胸部.立位正面"
    assert residue(converted) == {"OBR[2]-4": SIDE}


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("", "completed"), ("F", "completed"), ("C", "completed"), ("P", "completed"), ("R", "completed"),
        ("I", "in-progress"), ("A", "in-progress"), ("S", "preparation"), ("O", "preparation"), ("X", "not-done"),
        ("?", "unknown"),
    ],
)  # fmt: skip
def test_obr_25_tells_the_state(state: str, status: str) -> None:
    assert only(done(orc("NW"), obr(CHEST, o25=state), ze1()), "Procedure")["status"] == status


@pytest.mark.parametrize("control", ["CA", "DC", "OC", "DE"])
def test_a_withdrawn_examination_is_entered_in_error_with_all_that_came_of_it(control: str) -> None:
    converted = done(
        orc(control), obr(CHEST, o7="20240601", o25="F"), "OBX|1|NM|01-02^体重^JSHR001||62|||||F", ze1(), IPC
    )
    assert only(converted, "Procedure")["status"] == "entered-in-error"
    assert only(converted, "Observation")["status"] == "entered-in-error"
    assert only(converted, "ImagingStudy")["status"] == "entered-in-error"


def test_a_withdrawn_head_withdraws_its_parts() -> None:
    converted = done(*(segment.replace("ORC|NW", "ORC|CA") for segment in TWO_PARTS))
    assert {p["status"] for p in every(converted, "Procedure")} == {"entered-in-error"}


def test_an_unknown_order_control_is_residue() -> None:
    converted = done(orc("QQ"), obr(CHEST), ze1())
    assert residue(converted) == {"ORC[1]-1": "QQ"} and "code-unknown" in codes(converted)


# -- staff and materials ----------------------------------------------------------------------------------------------


def test_staff_and_their_kinds_go_by_position() -> None:
    converted = done(orc("NW"), obr(CHEST), ze1(o6="RT-01^EM-01~DR-01", o7=f"{TECHNICIAN}~{DOCTOR}~77^助手^子"))
    first, second, third = only(converted, "Procedure")["performer"]
    assert [p["function"]["coding"][0]["code"] for p in (first, second)] == ["RT-01.EM-01", "DR-01"]
    assert third["actor"]["display"] == "助手 子" and "function" not in third


def test_one_person_in_two_scripts_is_one_performer() -> None:
    converted = done(orc("NW"), obr(CHEST), ze1(o7=f"{TECHNICIAN}~3301^ホウシャ^ヒカリ^^^^^^^L^^^^^P"))
    (performer,) = only(converted, "Procedure")["performer"]
    assert len(only(converted, "Practitioner")["name"]) == 2 and performer["actor"]["display"] == "放射 光"


def test_kinds_without_anybody_are_residue() -> None:
    assert residue(done(orc("NW"), obr(CHEST), ze1(o6="RT-01^EM-01")))["ZE1[1]-6"] == "RT-01^EM-01"
    assert residue(done(orc("NW"), obr(CHEST), ze1(o6="RT-01~DR-01", o7=TECHNICIAN)))["ZE1[1]-6"] == "DR-01"


def test_materials_are_used_codes_and_keep_their_amount_in_words() -> None:
    drug = "111963301^造影剤^HOT9^100^ML&ｍＬ&MR9P"
    converted = done(orc("NW"), obr(CHEST), ze1(o8="DE-02^薬品^JSHR", o9=f"{drug}~4953^注入器^JAN"))
    procedure = only(converted, "Procedure")
    assert [c["text"] for c in procedure["usedCode"]] == ["造影剤", "注入器"]
    assert procedure["usedCode"][0]["coding"][0]["system"] == "http://medis.or.jp/CodeSystem/master-HOT9"
    assert [n["text"] for n in procedure["note"]] == ["薬品 (DE-02): 造影剤 100ｍＬ(ML)"]
    assert residue(converted) == {}


def test_a_material_in_ze1_8_alone_is_one() -> None:
    converted = done(orc("NW"), obr(CHEST), ze1(o8="111963301^造影剤^HOT9^100^ML&ｍＬ&MR9P"))
    assert only(converted, "Procedure")["usedCode"][0]["text"] == "造影剤"


def test_materials_may_stand_in_both_fields() -> None:
    converted = done(
        orc("NW"), obr(CHEST), ze1(o8="111963301^造影剤^HOT9^100^ML&ｍＬ&MR9P", o9="4953^注入器^JAN^1^HON&本&MR9P")
    )
    procedure = only(converted, "Procedure")
    assert {c["text"] for c in procedure["usedCode"]} == {"造影剤", "注入器"}
    assert {n["text"] for n in procedure["note"]} == {"造影剤 100ｍＬ(ML)", "注入器 1本(HON)"}


def test_a_kind_of_no_material_is_residue() -> None:
    converted = done(orc("NW"), obr(CHEST), ze1(o8="DE-02^薬品^JSHR"))
    assert residue(converted) == {"ZE1[1]-8": "DE-02^薬品^JSHR"} and "usedCode" not in only(converted, "Procedure")


def test_an_amount_of_nothing_is_residue() -> None:
    converted = done(orc("NW"), obr(CHEST), ze1(o9="^^^100^ML&ｍＬ&MR9P"))
    assert "usedCode" not in only(converted, "Procedure")
    assert residue(converted) == {"ZE1[1]-9": "^^^100^ML&ｍＬ&MR9P"}


def test_another_kind_of_entry_is_reported() -> None:
    converted = done(orc("NW"), obr(CHEST), ze1().replace("|RS|", "|CN|"))
    assert residue(converted) == {"ZE1[1]-2": "CN"} and "code-unknown" in codes(converted)


def test_an_exposure_is_a_note_with_its_amounts_as_sent() -> None:
    converted = one("ZE2|1|120^kV|200^mA|0.5^sec|100^cm|x")
    assert [note["text"] for note in only(converted, "Procedure")["note"]] == ["照射条件 120 kV 200 mA 0.5 sec 100 cm"]
    assert residue(converted) == {"ZE2[1]-6": "x"}


# -- OBX under ZE1 ----------------------------------------------------------------------------------------------------


def test_obx_under_ze1_say_who_when_and_with_what() -> None:
    converted = one(
        f"OBX|1|XCN|DR-02.EM-01^実施医師^JSHR||{DOCTOR}||||||F",
        "OBX|2|XCN|NS-01^看護師^JSHR||2201^看護^守~2202^看護^助||||||F",
        "OBX|3|TS|TM-P1^開始時間^JSHR||20240601144512||||||F",
        "OBX|4|TS|TM-P2^終了時間^JSHR||20240601151056||||||F",
        "OBX|5|ZRD|DE-02^薬品^JSHR||100555401^セルシン5mg^HOT9^1^AMP&管&MR9P||||||F",
        "OBX|6|CWE|DE-06^内視鏡^JSHR||4953^GIF^JAN||||||F",
        "OBX|7|CWE|PF-01^加算項目^JSHR||11^色素加算^LENDO||||||F",
        "NTE|1||追記",
    )
    procedure, extra = only(converted, "Procedure"), only(converted, "Observation")
    assert [p["actor"]["display"] for p in procedure["performer"]] == ["模擬 京子", "看護 守", "看護 助"]
    assert [p["function"]["text"] for p in procedure["performer"]] == ["実施医師", "看護師", "看護師"]
    assert procedure["performedPeriod"] == {
        "start": "2024-06-01T14:45:12+09:00",
        "end": "2024-06-01T15:10:56+09:00",
    }
    assert [c["text"] for c in procedure["usedCode"]] == ["セルシン5mg", "GIF"]
    assert [n["text"] for n in procedure["note"]] == ["薬品: セルシン5mg 1管(AMP)"]
    assert extra["partOf"] == [{"reference": f"Procedure/{procedure['id']}"}]
    assert extra["valueCodeableConcept"]["text"] == "色素加算" and extra["note"] == [{"text": "追記"}]
    assert residue(converted) == {}


@pytest.mark.parametrize(
    "obx",
    [
        "OBX|1|XCN|DR-02^実施医師^99X||1^医師^一||||||F",
        "OBX|1|ST|DR-02^実施医師^JSHR||医師 一||||||F",
        "OBX|1|XCN|DR-02^実施医師^JSHR||1^医師^一||||||D",
        "OBX|1|TS|TM-P1^開始^JSHR||20249999||||||F",
        "OBX|1|TS|TM-B1^生検時間^JSHR||20240601144830||||||F",
        "OBX|1|CWE|DE-06^内視鏡^JSHR||||||||F",
    ],
)
def test_every_other_obx_is_an_observation(obx: str) -> None:
    converted = one(obx)
    assert only(converted, "Observation")["partOf"]
    assert not {"performer", "usedCode", "performedPeriod"} & set(only(converted, "Procedure"))


def test_the_same_item_of_two_steps_is_two_observations() -> None:
    converted = done(
        orc("NW"), obr(KIND), ze1(CHEST), "OBX|1|TS|TM-B1^生検^JSHR||20240601||||||F",
        ze1(SIDE), "OBX|1|TS|TM-B1^生検^JSHR||20240601||||||F",
    )  # fmt: skip
    first, second = every(converted, "Observation")
    assert first["id"] != second["id"] and first["partOf"] != second["partOf"]


def test_a_time_of_another_day_than_obr_7_and_an_end_before_the_beginning() -> None:
    converted = one(
        "OBX|1|TS|TM-P1^開始^JSHR||20240520144512||||||F", "OBX|2|TS|TM-P2^終了^JSHR||20240520144400||||||F"
    )
    assert only(converted, "Procedure")["performedPeriod"] == {"start": "2024-05-20T14:45:12+09:00"}
    assert residue(converted) == {"OBR[1]-7": "20240601", "OBX[2]-5": "20240520144400"}


# -- reports ----------------------------------------------------------------------------------------------------------

FINDING = "OBX|1|TX|18782-3^所見^LN||浸潤影を認める。||||||F"
IMPRESSION = "OBX|2|TX|19005-8^診断^LN||肺炎の疑い||||||F"


@pytest.mark.parametrize("under_ze1", [True, False])
def test_findings_make_a_report(under_ze1: bool) -> None:
    segments = [ze1(), FINDING, IMPRESSION, IPC] if under_ze1 else [ze1(), IPC, FINDING, IMPRESSION]
    converted = done(orc("NW"), obr(CHEST, o7="20240601", o22="20240601153000", o25="F"), *segments)
    report, study = only(converted, "DiagnosticReport"), only(converted, "ImagingStudy")
    finding, impression = every(converted, "Observation")
    assert report["meta"]["profile"][0].endswith("/JP_DiagnosticReport_Radiology")
    assert report["status"] == "final" and report["issued"] == "2024-06-01T15:30:00+09:00"
    assert [c["coding"][0]["code"] for c in report["category"]] == ["LP29684-5", "CT"]
    assert report["imagingStudy"] == [{"reference": f"ImagingStudy/{study['id']}"}]
    assert [r["reference"] for r in report["result"]] == [f"Observation/{o['id']}" for o in (finding, impression)]
    assert finding["meta"]["profile"][0].endswith("_Radiology_Findings")
    assert impression["meta"]["profile"][0].endswith("_Radiology_Impression")
    assert finding["effectiveDateTime"] == "2024-06-01" and finding["category"][0]["coding"][0]["code"] == "imaging"


def test_without_findings_there_is_no_report_and_obr_22_is_left_out() -> None:
    converted = done(orc("NW"), obr(CHEST, o22="20240601153000", o25="F"), ze1(), IPC)
    assert every(converted, "DiagnosticReport") == []
    assert "OBR[1]-22" in unmapped(converted) and residue(converted) == {}


def test_a_report_without_a_state_says_so() -> None:
    converted = done(orc("NW"), obr(CHEST), FINDING)
    assert only(converted, "DiagnosticReport")["status"] == "unknown"
    assert places(converted, "no-status") == ["OBR[1]-25"]


def test_endoscopy_has_its_own_category_and_no_radiology_profile() -> None:
    converted = done(orc("NW"), obr("11^検査.上部^LENDO", o25="F"), FINDING, IPC, data_type="OMG-12")
    report = only(converted, "DiagnosticReport")
    assert report["category"][0]["coding"][0]["code"] == "LP7796-8"
    assert report["meta"]["profile"][0].endswith("/JP_DiagnosticReport_Common")
    assert only(converted, "ImagingStudy")["meta"]["profile"] == [
        "http://hl7.org/fhir/StructureDefinition/ImagingStudy"
    ]


# -- what was known before --------------------------------------------------------------------------------------------


def test_clinical_information_of_the_head_has_no_time_of_its_own() -> None:
    converted = done(orc("PA"), obr(KIND, o7="20240601"), "OBX|1|TX|MS3-34^臨床病名^JSHR||肺炎||||||F", *TWO_PARTS[6:])
    observation = only(converted, "Observation")
    assert "effectiveDateTime" not in observation and "effectivePeriod" not in observation
    assert [ordered(r) for r in observation["basedOn"]] == [P]


def test_orc_2_and_obr_2_that_differ_both_count() -> None:
    converted = done(
        orc("NW"), obr(KIND), orc("PA", "999"), obr(KIND), orc("CH", "101", P), obr(CHEST, "101", P), ze1()
    )
    assert [ordered(r) for r in only(converted, "Procedure")["basedOn"]] == ["101", P, "999"]


def test_a_time_of_the_whole_that_no_part_has_is_residue() -> None:
    converted = done(
        orc("NW"), obr(KIND, o7="20240530"), orc("CH", "101", P), obr(CHEST, "101", P, o7="20240601"), ze1()
    )
    assert residue(converted) == {"OBR[1]-7": "20240530"}
