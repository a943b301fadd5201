"""gateway/translate/oru_r01.py: results of physiology."""

from decimal import Decimal
from typing import Any

import pytest

from gateway.translate.sources import read_file
from tests.translate.messages import FACILITIES, codes, er7, every, only, places, read, residue
from tests.translate.test_omg_o19 import obr

ECG = "9A110^標準１２誘導心電図^JC10"


def ecg(*segments: str, head: str = "", **parts: Any) -> Any:
    return read("OMG-13", head or obr(ECG, "100", o7="20240601101000", o25="F"), *segments, order="100", **parts)


def nm(item: str, value: str, group: str = "", unit: str = "", status: str = "F") -> str:
    return f"OBX||NM|{item}|{group}|{value}|{unit}|||||{status}"


RATE, R_V5, S_V1 = "32769^心拍数^99MFR", "58368&7^R 振幅&V5^99MFR", "58368&1^R 振幅&V1^99MFR"


def test_a_report_an_obr_and_an_observation_an_obx() -> None:
    converted = ecg("NTE|1||体動あり", nm(RATE, "67", unit="bpm"), nm("32776^T 波軸^99MFR", "-14", unit="degree"))
    report = only(converted, "DiagnosticReport")
    rate, axis = every(converted, "Observation")
    assert report["meta"]["profile"][0].endswith("/JP_DiagnosticReport_Common")
    assert report["status"] == "final" and report["code"]["text"] == "標準１２誘導心電図"
    assert report["category"][0]["coding"][0]["code"] == "LP29708-2"
    assert report["conclusion"] == "体動あり"
    assert [r["reference"] for r in report["result"]] == [f"Observation/{o['id']}" for o in (rate, axis)]
    assert rate["valueQuantity"] == {
        "value": 67, "unit": "bpm", "system": "http://unitsofmeasure.org", "code": "/min",
    }  # fmt: skip
    assert axis["valueQuantity"]["value"] == -14
    assert rate["effectiveDateTime"] == "2024-06-01T10:10:00+09:00"
    assert rate["category"][0]["coding"][0]["code"] == "procedure"
    assert rate["basedOn"][0]["identifier"]["value"] == "100"
    assert residue(converted) == {} and codes(converted) == []


def test_subcomponents_name_one_item() -> None:
    first, second = every(ecg(nm(R_V5, "2.505", unit="mV"), nm(S_V1, "1.250", unit="mV")), "Observation")
    assert first["code"]["text"] == "R 振幅 V5" and first["code"]["coding"][0]["code"] == "58368&7"
    assert second["code"]["text"] == "R 振幅 V1" and first["id"] != second["id"]
    assert second["valueQuantity"]["value"] == Decimal("1.250")


def test_a_qualified_analyte_keeps_both_codes() -> None:
    concept = only(ecg("OBX||TX|9A100&IMP^心電図所見^JC10||虚血疑い||||||F"), "Observation")["code"]
    assert [c["code"] for c in concept["coding"]] == ["9A100", "9A100&IMP"]
    assert concept["coding"][0]["system"].endswith("/JLAC10-analyte")


def test_groups_of_obx_4_say_their_members() -> None:
    converted = ecg(
        "OBX||TX|9A100&IMP^所見^JC10|1|虚血疑い||||||F", nm(RATE, "67", "2"), nm(R_V5, "2.5", "2", status="P"),
        nm("X^単独^99MFR", "1"),
    )  # fmt: skip
    finding, rate, wave, single, head = every(converted, "Observation")
    assert [r["reference"] for r in head["hasMember"]] == [f"Observation/{o['id']}" for o in (rate, wave)]
    assert head["code"]["text"] == "標準１２誘導心電図" and head["status"] == "preliminary"
    assert not any("hasMember" in one for one in (finding, rate, wave, single))
    assert f"Observation/{head['id']}" in [r["reference"] for r in only(converted, "DiagnosticReport")["result"]]


def test_one_group_alone_is_the_report() -> None:
    assert len(every(ecg(nm(RATE, "67", "1"), nm(R_V5, "2.5", "1")), "Observation")) == 2


def test_an_item_without_value_heads_its_group() -> None:
    converted = ecg("OBX||ST|58000^肢誘導^99MFR|1|||||||F", nm(RATE, "67", "1"), nm(R_V5, "2.5", "2"))
    head, rate, _ = every(converted, "Observation")
    assert head["hasMember"] == [{"reference": f"Observation/{rate['id']}"}]


def test_a_head_does_not_depend_on_the_place_of_its_group() -> None:
    one = ecg(nm(RATE, "67", "1"), nm(R_V5, "2", "1"), nm(S_V1, "1", "2"))
    other = ecg(nm(S_V1, "1", "2"), nm(R_V5, "2", "1"), nm(RATE, "67", "1"))
    assert {o["id"] for o in every(one, "Observation")} == {o["id"] for o in every(other, "Observation")}


def test_waveforms_and_documents_are_kept() -> None:
    converted = ecg(
        "OBX||RP|W^波形^99MFR||https://ecg.invalid/1^^AP^OCTET-STREAM||||||F",
        "OBX||ED|W^波形^99MFR||^AP^PDF^Base64^JVBERi0xLjQK||||||F",
        "OBX||RP|W^波形^99MFR||E:\\E\\wave\\E\\1.dat||||||F",
    )
    pointer, document = every(converted, "DocumentReference")
    assert pointer["content"][0]["attachment"]["url"] == "https://ecg.invalid/1"
    assert document["content"][0]["attachment"]["data"] == "JVBERi0xLjQK"
    first, second, third = every(converted, "Observation")
    assert first["derivedFrom"] == [{"reference": f"DocumentReference/{pointer['id']}"}]
    assert second["derivedFrom"] == [{"reference": f"DocumentReference/{document['id']}"}]
    assert third["valueString"] == "E:\\wave\\1.dat"


@pytest.mark.parametrize(
    ("results", "status"),
    [
        (("F", "F"), "final"), (("F", "P"), "partial"), (("P", "P"), "preliminary"), (("F", "C"), "corrected"),
        (("F", "X"), "final"), (("F", ""), "unknown"), (("I", "I"), "registered"), (("X", "X"), "unknown"),
    ],
)  # fmt: skip
def test_without_obr_25_the_report_is_as_far_as_its_results(results: tuple[str, str], status: str) -> None:
    items = [nm(f"{number}^x^99MFR", "1", status=one) for number, one in enumerate(results)]
    assert only(ecg(*items, head=obr(ECG, "100", o7="20240601")), "DiagnosticReport")["status"] == status


def test_a_withdrawn_result_is_entered_in_error() -> None:
    converted = read("OMG-13", "ORC|CA|100", obr(ECG, "100", o25="F"), nm(RATE, "67"), order="100")
    assert only(converted, "DiagnosticReport")["status"] == "entered-in-error"
    assert only(converted, "Observation")["status"] == "entered-in-error"


def test_an_obr_without_obx_does_not_swallow_the_next() -> None:
    converted = ecg(obr("9C110^呼吸機能^JC10", "101", o7="20240602"), nm(RATE, "67"))
    first, second = every(converted, "DiagnosticReport")
    assert "result" not in first and len(second["result"]) == 1
    assert only(converted, "Observation")["effectiveDateTime"] == "2024-06-02"


def test_orc_before_or_behind_its_obr() -> None:
    one, two = obr(ECG, "1", o7="20240601"), obr(ECG, "2", o7="20240602")
    before = read("OMG-13", "ORC|SC|1", one, nm(RATE, "1"), "ORC|CA|2", two, nm(RATE, "2"))
    behind = read("OMG-13", one, "ORC|SC|1", nm(RATE, "1"), two, "ORC|CA|2", nm(RATE, "2"))
    for converted in (before, behind):
        assert [r["status"] for r in every(converted, "Observation")] == ["final", "entered-in-error"]
        assert len(every(converted, "DiagnosticReport")) == 2


def test_results_without_obr_are_observations() -> None:
    converted = read("OMG-13", nm(RATE, "67"))
    assert only(converted, "Observation")["valueQuantity"]["value"] == 67
    assert every(converted, "DiagnosticReport") == []
    assert places(converted, "no-observation-time") == ["OBX[1]-14"]


def test_interpreter_and_technicians() -> None:
    converted = ecg(nm(RATE, "67"), head=obr(ECG, "100", o32="31&循環&学^20240601", o34="41&検査&一~42&検査&二"))
    report = only(converted, "DiagnosticReport")
    assert report["resultsInterpreter"][0]["display"] == "循環 学"
    assert [p["display"] for p in report["performer"]] == ["検査 一", "検査 二"]
    assert residue(converted) == {"OBR[1]-32.2": "20240601"}


def test_a_strange_segment_loses_no_result() -> None:
    converted = ecg("ZE1|1|RS", nm(RATE, "67"), "NTE|1||x", "ZE2|1|120^kV")
    assert only(converted, "Observation")["valueQuantity"]["value"] == 67
    assert residue(converted) == {"ZE1[1]-1": "1", "ZE1[1]-2": "RS", "ZE2[1]-1": "1", "ZE2[1]-2": "120^kV"}


def test_a_laboratory_result_under_the_name_of_physiology_is_one_of_the_laboratory() -> None:
    converted = ecg("OBX||NM|3D010000002327201^血糖^JC10||98|mg/dL|||||F")
    assert only(converted, "Observation")["category"][0]["coding"][0]["code"] == "laboratory"


def test_over_mllp_a_laboratory_oru_is_read_as_one() -> None:
    content = er7(
        "ORU^R01", obr("L1^生化学^99L", "100", o7="20240601"), "OBX||NM|3D010000002327201^血糖^JC10||98|||||F"
    )
    (converted,) = read_file(content, "m.hl7", FACILITIES)
    assert converted.data_type == "OML-11"
    assert only(converted, "Observation")["category"][0]["coding"][0]["code"] == "laboratory"
