"""gateway/translate/vital_signs.py: vital signs of the extended storage, and over MLLP."""

from decimal import Decimal
from typing import Any

import pytest

from gateway.translate.routing import VITAL_SIGNS
from gateway.translate.sources import read_file
from tests.translate.messages import FACILITIES, codes, er7, every, file_name, only, places, read, residue, sources

HOME, CLINIC = "170100000001", "000000000001"
SIX, NINE = "20240601060000", "20240601090000"


def obx(code: str, value: str, unit: str = "mmHg", when: str = SIX, **more: str) -> str:
    label = more.pop("label", "JC10")
    fields = {2: "NM", 3: f"{code}^項目^{label}", 5: value, 6: unit, 11: "F", 14: when}
    fields |= {int(name[1:]): text for name, text in more.items()}
    return "|".join(["OBX", *(fields.get(n, "") for n in range(1, max(fields) + 1))])


def systolic(value: str, where: str = CLINIC, **more: str) -> str:
    return obx(f"9A751{where}", value, **more)


def diastolic(value: str, where: str = CLINIC, **more: str) -> str:
    return obx(f"9A761{where}", value, **more)


def vitals(*segments: str, day: str = "20240601") -> Any:
    return read(VITAL_SIGNS, f"OBR|1|||{VITAL_SIGNS}|||{day}", *segments, head=HEAD)


HEAD = "MSH|^~\\&|HIS|TOKYO-HP|GW|RCV|20240601120000||ORU^R30^ORU_R30|1|P|2.5||||||~ISO IR87||ISO 2022-1994"


def loinc(concept: dict[str, Any]) -> list[str]:
    return [c["code"] for c in concept.get("coding", ()) if c.get("system") == "http://loinc.org"]


def pressures(converted: Any) -> list[tuple[Any, ...]]:
    return [
        tuple(part["valueQuantity"]["value"] for part in one["component"])
        for one in every(converted, "Observation")
        if "component" in one
    ]


def test_systolic_and_diastolic_of_one_time_are_one() -> None:
    converted = vitals(systolic("128", o16="1^看護^守"), diastolic("76", o16="1^看護^守"))
    pressure = only(converted, "Observation")
    assert pressure["meta"]["profile"][0].endswith("/JP_Observation_VitalSigns")
    assert loinc(pressure["code"]) == ["85354-9"] and "valueQuantity" not in pressure
    upper, lower = pressure["component"]
    assert (loinc(upper["code"]), loinc(lower["code"])) == (["8480-6"], ["8462-4"])
    assert upper["code"]["coding"][0] == {
        "system": "http://medis.or.jp/CodeSystem/master-JLAC10-17digits",
        "code": "9A751000000000001",
        "display": "項目",
    }
    assert upper["valueQuantity"] == {
        "value": 128, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]",
    }  # fmt: skip
    assert pressure["effectiveDateTime"] == "2024-06-01T06:00:00+09:00" and len(pressure["performer"]) == 1
    assert [c["coding"][0]["code"] for c in pressure["category"]] == ["vital-signs", "vital-signs"]
    assert only(converted, "DiagnosticReport")["result"] == [{"reference": f"Observation/{pressure['id']}"}]
    assert residue(converted) == {} and {"OBX[1]-5", "OBX[2]-5"} <= sources(converted)
    targets = {e.target for e in converted.translated.lineage if e.source == "OBX[2]-5"}
    assert all(target.startswith(f"Observation/{pressure['id']}.component.") for target in targets)


def test_times_places_and_readings_are_not_mixed() -> None:
    converted = vitals(
        systolic("120"), systolic("130", HOME), obx(f"9A752{CLINIC}", "140"), systolic("150", when=NINE),
        diastolic("95", when=NINE), obx(f"9A762{CLINIC}", "84"), diastolic("83", HOME), diastolic("82"),
    )  # fmt: skip
    assert pressures(converted) == [(120, 82), (130, 83), (140, 84), (150, 95)]
    assert len({o["id"] for o in every(converted, "Observation")}) == 4


def test_two_readings_of_one_time_pair_by_obx_4_or_by_place() -> None:
    assert pressures(
        vitals(systolic("120", o4="1"), systolic("140", o4="2"), diastolic("90", o4="2"), diastolic("70", o4="1"))
    ) == [(120, 70), (140, 90)]
    assert pressures(vitals(systolic("120"), systolic("140"), diastolic("70"), diastolic("90"))) == [
        (120, 70),
        (140, 90),
    ]


def test_one_half_alone_stays_one() -> None:
    observation = only(vitals(systolic("128")), "Observation")
    assert loinc(observation["code"]) == ["8480-6"] and observation["valueQuantity"]["value"] == 128


@pytest.mark.parametrize("more", [{"o11": "P"}, {"o11": "D"}, {"o17": "1^聴診^99M"}, {"o18": "D1"}])
def test_halves_that_contradict_each_other_are_not_joined(more: dict[str, str]) -> None:
    first, second = every(vitals(systolic("128"), diastolic("76", **more)), "Observation")
    assert "component" not in first and "component" not in second


def test_notes_flags_and_ranges_of_both_halves_are_kept() -> None:
    pressure = only(
        vitals(systolic("150", o7="90-130", o8="H"), "NTE|1||左腕", diastolic("76"), "NTE|1||臥位"), "Observation"
    )
    assert [n["text"] for n in pressure["note"]] == ["左腕", "臥位"]
    assert pressure["component"][0]["interpretation"] and pressure["component"][0]["referenceRange"]


@pytest.mark.parametrize(
    ("code", "unit", "expected"),
    [
        ("9P300000000000001", "/min", "8867-4"),
        ("9P200000000000001", "回/分", "9279-1"),
        ("9P100000000000001", "cel^℃^ISO+", "8310-5"),
        ("9P10000000000001", "℃", "8310-5"),
        ("9P300", "bpm", "8867-4"),
        ("9N001000000000001", "cm", "8302-2"),
        ("9N006000000000001", "kg", "29463-7"),
        ("9N011000000000001", "kg/m2", "39156-5"),
    ],
)
def test_codes_are_matched_by_beginning_and_length(code: str, unit: str, expected: str) -> None:
    observation = only(vitals(obx(code, "36.50", unit)), "Observation")
    assert loinc(observation["code"]) == [expected]
    assert observation["code"]["coding"][0]["code"] == code
    assert observation["valueQuantity"]["value"] == Decimal("36.50")
    kind = "BodyMeasurement" if code.startswith("9N") else "VitalSigns"
    assert observation["meta"]["profile"][0].endswith(f"JP_Observation_{kind}")


@pytest.mark.parametrize("code", ["9P1000000000001", "9P100000000000001X", "9P400000000000001", "9p300000000000001"])
def test_no_code_is_guessed(code: str) -> None:
    observation = only(vitals(obx(code, "36.5", "℃")), "Observation")
    assert loinc(observation["code"]) == []
    assert observation["meta"]["profile"][0].endswith("/JP_Observation_Common")
    assert observation["valueQuantity"]["value"] == Decimal("36.5")


def test_sixteen_characters_are_a_code_of_the_senders_own_and_reported() -> None:
    converted = vitals(obx("9P10000000000001", "36.5", "℃"))
    coding = only(converted, "Observation")["code"]["coding"][0]
    assert coding["system"].endswith("/CodeSystem/JC10") and places(converted, "code-label-mismatch") == ["OBX[1]-3"]


@pytest.mark.parametrize(
    ("value", "unit", "when"),
    [("36.5", "", SIX), ("97.7", "F", SIX), ("36.5℃", "℃", SIX), ("36.5", "℃", "")],
)
def test_without_a_sure_quantity_and_time_there_is_no_loinc(value: str, unit: str, when: str) -> None:
    observation = only(vitals(obx("9P100000000000001", value, unit, when), day=""), "Observation")
    assert loinc(observation["code"]) == [] and observation["meta"]["profile"][0].endswith("/JP_Observation_VitalSigns")


def test_a_value_that_could_not_be_had_keeps_its_reason_and_loinc() -> None:
    observation = only(vitals(obx("9P300000000000001", "測定不能", "/min", o2="ST")), "Observation")
    assert loinc(observation["code"]) == ["8867-4"]
    assert observation["dataAbsentReason"]["text"] == "測定不能"


def test_loinc_of_the_sender_is_understood_once() -> None:
    observation = only(vitals(obx("2708-6", "98", "%", label="LN")), "Observation")
    assert loinc(observation["code"]) == ["2708-6"]


def test_the_time_is_that_of_the_obr_where_obx_14_is_empty() -> None:
    converted = vitals(systolic("120", when=""), diastolic("80", when=""))
    assert only(converted, "Observation")["effectiveDateTime"] == "2024-06-01"


def test_several_obr_of_a_day() -> None:
    segments = []
    for when, upper in ((SIX, "120"), (NINE, "130")):
        segments += [f"OBR||||V^V^99V|||{when}", systolic(upper, when=""), diastolic("80", when="")]
    converted = read(VITAL_SIGNS, *segments, head=HEAD)
    assert pressures(converted) == [(120, 80), (130, 80)]
    assert len({r["id"] for r in every(converted, "DiagnosticReport")}) == 2


def test_a_day_that_grows_keeps_its_ids() -> None:
    pulse = "9P300000000000001"
    early = vitals(obx(pulse, "60", "/min"))
    late = vitals(obx(pulse, "70", "/min", NINE), obx(pulse, "60", "/min"))
    assert only(early, "Observation")["id"] == every(late, "Observation")[1]["id"]


def test_what_nobody_knows_is_an_observation_of_its_own() -> None:
    observation = only(vitals(obx("V901", "5", "回", label="99Z")), "Observation")
    assert observation["category"][0]["coding"][0]["code"] == "exam" and observation["valueQuantity"]["unit"] == "回"


def test_over_mllp() -> None:
    content = er7("ORU^R30", "OBR|1|77||V^V^99V|||20240601", systolic("120"), diastolic("80"), head=HEAD)
    (converted,) = read_file(content, "m.hl7", FACILITIES)
    assert converted.data_type == VITAL_SIGNS
    assert converted.key[:3] == ("0000012345", "20240601", VITAL_SIGNS)
    assert converted.order_no == "000000000000077" and len(converted.parts) == 1
    assert pressures(converted) == [(120, 80)] and codes(converted) == []


@pytest.mark.parametrize("name", ["m.hl7", file_name("^（観察）^^8716-3^バイタル^LN"), file_name(VITAL_SIGNS)])
def test_a_message_without_a_last_end_is_whole(name: str) -> None:
    content = er7("ORU^R30", "OBR|1|77||V^V^99V|||20240601", systolic("120"), head=HEAD).rstrip(b"\r")
    (converted,) = read_file(content, name, FACILITIES)
    assert converted.rejected is None and only(converted, "Observation")
