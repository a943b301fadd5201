"""gateway/translate/specimen.py: specimens out of SPM, OBR-15 and test codes."""

from typing import Any

import pytest

from tests.translate.messages import codes, every, msh, only, read, residue
from tests.translate.test_oul_r22 import SPM, lab, obr, obx, shape


def test_a_specimen() -> None:
    converted = lab(
        "SPM|1|S1&AUTH^F1&AUTH2||023^血清^JC10||||LA^左腕^99B||||||採血困難|||20240601090000|20240601100000",
        obr(),
        obx(),
    )
    specimen = only(converted, "Specimen")
    assert [i["value"] for i in specimen["identifier"]] == ["S1", "F1"]
    (material,) = specimen["type"]["coding"]
    assert material["system"] == "https://musubi.invalid/CodeSystem/JLAC10-material"
    assert specimen["collection"]["bodySite"]["text"] == "左腕"
    assert specimen["collection"]["collectedDateTime"] == "2024-06-01T09:00:00+09:00"
    assert specimen["receivedTime"] == "2024-06-01T10:00:00+09:00"
    assert specimen["note"] == [{"text": "採血困難"}]
    assert residue(converted) == {"SPM[1]-2.1": "AUTH", "SPM[1]-2.2": "AUTH2"}


@pytest.mark.parametrize(
    ("sent", "collection"),
    [
        ("20240601^20240602", {"collectedPeriod": {"start": "2024-06-01", "end": "2024-06-02"}}),
        ("20240601^20240601", {"collectedDateTime": "2024-06-01"}),
        ("20240602^20240601", {"collectedDateTime": "2024-06-02"}),
        ("^20240601", {"collectedPeriod": {"end": "2024-06-01"}}),
        ("x", None),
        ("20240601^x", None),
    ],
)
def test_time_of_collection(sent: str, collection: dict[str, Any] | None) -> None:
    converted = lab(f"SPM|1|S1|||||||||||||||{sent}", obr(), obx(time="20240601"))
    assert only(converted, "Specimen").get("collection") == collection
    if sent not in ("20240601^20240602", "20240601^20240601", "^20240601"):
        assert residue(converted) == {"SPM[1]-17": sent}


@pytest.mark.parametrize(
    ("spm", "same"), [("SPM|1|S1", True), ("SPM|2|S1", True), ("SPM|1|^S1", True), ("SPM|1|S2", False)]
)
def test_a_specimen_is_known_by_its_number_not_by_its_position(spm: str, same: bool) -> None:
    here = only(lab("SPM|1|S1", obr(), obx(time="2024")), "Specimen")
    there = only(lab(spm, obr(), obx(time="2024")), "Specimen")
    assert (here["id"] == there["id"]) is same


def test_without_spm_the_material_of_the_test_code_is_the_specimen() -> None:
    converted = lab(obr(), obx(time="20240601"), obx(time="20240601", code="3C015000002327101^ＣＲＥ^JC10"))
    specimen = only(converted, "Specimen")
    assert specimen["type"]["coding"][0]["code"] == "023"
    assert all(o["meta"]["profile"][0].endswith("LabResult") for o in every(converted, "Observation"))
    assert codes(converted).count("specimen-from-code") == 2


def oru(*segments: str) -> Any:
    """The laboratory's ORU^R01 under the name of a result."""
    return read("OML-11", *segments, order="5000", head=msh("ORU^R01^ORU_R01"))


def test_in_an_oru_the_specimen_follows_its_results() -> None:
    converted = oru("ORC|SC", obr("E1"), obx(), SPM, "ORC|SC", obr("E2"), obx(), "SPM|2|S2||001^尿^JC10")
    first, second = every(converted, "Observation")
    ids = [specimen["id"] for specimen in every(converted, "Specimen")]
    assert [first["specimen"]["reference"], second["specimen"]["reference"]] == [f"Specimen/{one}" for one in ids]
    assert shape(converted) == [("E1", 1), ("E2", 1)]


def test_a_report_on_several_specimens_names_them_all() -> None:
    report = only(oru(obr("E1"), obx(), SPM, "SPM|2|S2"), "DiagnosticReport")
    assert len(report["specimen"]) == 2


def test_the_first_specimen_of_an_oru_says_where_they_stand() -> None:
    converted = oru(SPM, obr("E1"), obx(), "SPM|2|S2", obr("E2"), obx())
    assert len({made["specimen"]["reference"] for made in every(converted, "Observation")}) == 2


def test_without_spm_the_specimen_source_of_an_older_message_is_read() -> None:
    converted = lab(obr(f15="001&尿&JC10^添加物^^LB&膀胱&99B"), obx())
    specimen = only(converted, "Specimen")
    assert specimen["type"]["coding"][0] == {
        "system": "https://musubi.invalid/CodeSystem/JLAC10-material", "code": "001", "display": "尿",
    }  # fmt: skip
    assert specimen["collection"]["bodySite"]["text"] == "膀胱"
    assert only(converted, "Observation")["specimen"]["reference"] == f"Specimen/{specimen['id']}"
    assert residue(converted) == {"OBR[1]-15.2": "添加物"}
    assert "OBR[1]-15" in residue(lab(SPM, obr(f15="001&尿&JC10"), obx()))


def test_a_specimen_without_a_number_is_known_by_order_and_position() -> None:
    (identifier,) = only(lab("SPM|1|||023^血清^JC10", obr(), obx()), "Specimen")["identifier"]
    assert identifier["value"] == "000000000005000_1"


def test_specimens_of_one_glucose_tolerance_test_are_several() -> None:
    converted = lab(
        *(
            segment
            for number, minute in enumerate(("0900", "0930", "1000"), start=1)
            for segment in (
                f"SPM|{number}|S{number}||019^全血^JC10|||||||||||||20240601{minute}",
                obr(),
                obx(code="3D010129901926101^血糖^JC10"),
            )
        )
    )
    assert [made["effectiveDateTime"][11:16] for made in every(converted, "Observation")] == ["09:00", "09:30", "10:00"]
    assert len({made["id"] for made in every(converted, "Observation")}) == 3


def test_a_local_test_code_beside_the_material_keeps_both_materials() -> None:
    codings = only(lab("SPM|1|S1||01^血清^99Z01^023^血清^JC10", obr(), obx()), "Specimen")["type"]["coding"]
    assert [coding["code"] for coding in codings] == ["023", "01"]
