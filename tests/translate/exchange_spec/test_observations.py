"""The mapping of section 7, item by item."""

from decimal import Decimal
from typing import Any

import pytest

from gateway.codec import fhir
from gateway.profiles.validator import Validator
from gateway.translate.dialect import rewritten
from tests.translate.exchange_spec.making import GONE, RECORDS, observations, one

LOINC = "http://loinc.org"
JLAC10 = "http://medis.or.jp/CodeSystem/master-JLAC10-17digits"
MEDIS = "http://medis.or.jp/CodeSystem/master-nursingObservationKeyCode"
ITEM = "https://musubi.invalid/CodeSystem/exchange-item"
SIMPLE = "http://jpfhir.jp/fhir/core/CodeSystem/JP_SimpleObservationCategory_CS"
CHECK = Validator.default().check


def codings(concept: dict[str, Any]) -> list[tuple[str, str]]:
    return [(coding["system"], coding["code"]) for coding in concept["coding"]]


def categories(resource: dict[str, Any]) -> list[str]:
    return [coding["code"] for category in resource["category"] for coding in category["coding"]]


def extensions(resource: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for each in resource["extension"]:
        (value,) = (content for name, content in each.items() if name.startswith("value"))
        found[each["url"].removeprefix("https://musubi.invalid/StructureDefinition/exchange-")] = value
    return found


@pytest.mark.parametrize("type_", RECORDS)
def test_all_of_it_is_valid(type_: str) -> None:
    for resource in one(type_).resources:
        assert [f for f in CHECK(fhir.parse(fhir.render(resource))) if f.severity != "information"] == []


@pytest.mark.parametrize(
    ("type_", "item", "profile", "category", "codes", "unit"),
    [
        ("activity_monitor", "step", "JP_Observation_Common", "activity", [(LOINC, "41950-7"), (ITEM, "step")], "{steps}"),
        ("activity_monitor", "walk_time", "JP_Observation_Common", "activity", [(ITEM, "walk_time")], "min"),
        ("activity_monitor", "moderate_intensity_activity", "JP_Observation_Common", "activity",
         [(LOINC, "77592-4"), (ITEM, "moderate_intensity_activity")], "min"),
        ("activity_monitor", "calories", "JP_Observation_Common", "activity",
         [(LOINC, "55424-6"), (ITEM, "calories")], "kcal"),
        ("activity_monitor", "total_calories", "JP_Observation_Common", "activity",
         [(LOINC, "41979-6"), (ITEM, "total_calories")], "kcal"),
        ("weighing_scale", "body_weight", "JP_Observation_BodyMeasurement", "body-measurement",
         [(LOINC, "29463-7"), (MEDIS, "31000296"), ("urn:oid:1.2.392.200119.6.1005", "9N006000000000001")], "kg"),
        ("weighing_scale", "body_fat", "JP_Observation_BodyMeasurement", "body-measurement",
         [(LOINC, "41982-0"), (MEDIS, "31001697")], "%"),
        ("blood_pressure", "pulse_rate", "JP_Observation_VitalSigns", "vital-signs",
         [(LOINC, "8867-4"), (JLAC10, "9P300000000000001")], "/min"),
        ("checkup_blood_pressure", "pulse_rate", "JP_Observation_VitalSigns", "vital-signs",
         [(LOINC, "8867-4"), (JLAC10, "9P300000000000001")], "/min"),
        ("hba1c", "hba1c_value", "JP_Observation_LabResult", "laboratory",
         [(LOINC, "4548-4"), (JLAC10, "3D046000001920402")], "%"),
    ],
)  # fmt: skip
def test_each_measured_item(
    type_: str, item: str, profile: str, category: str, codes: list[tuple[str, str]], unit: str
) -> None:
    found = observations(one(type_))[item]
    assert found["meta"]["profile"] == [f"http://jpfhir.jp/fhir/core/StructureDefinition/{profile}"]
    assert found["category"][0]["coding"] == [{"system": SIMPLE, "code": category}]
    assert codings(found["code"]) == codes and found["code"]["text"]
    assert found["valueQuantity"]["value"] == RECORDS[type_][item] and found["valueQuantity"]["code"] == unit
    assert found["valueQuantity"]["system"] == "http://unitsofmeasure.org" and found["status"] == "final"


@pytest.mark.parametrize(
    ("type_", "systolic", "diastolic"),
    [
        ("blood_pressure", "9A751170100000001", "9A761170100000001"),
        ("checkup_blood_pressure", "9A751000000000001", "9A761000000000001"),
    ],
)
def test_blood_pressure_is_one_resource_with_two_components(type_: str, systolic: str, diastolic: str) -> None:
    found = observations(one(type_))
    panel = found["blood_pressure"]
    assert codings(panel["code"]) == [(LOINC, "85354-9")] and "valueQuantity" not in panel
    assert [codings(component["code"]) for component in panel["component"]] == [
        [(LOINC, "8480-6"), (JLAC10, systolic)],
        [(LOINC, "8462-4"), (JLAC10, diastolic)],
    ]
    values = [(c["valueQuantity"]["value"], c["valueQuantity"]["code"]) for c in panel["component"]]
    assert values == [(RECORDS[type_]["systolic"], "mm[Hg]"), (RECORDS[type_]["diastolic"], "mm[Hg]")]
    assert found["pulse_rate"]["derivedFrom"] == [{"reference": f"Observation/{panel['id']}"}]
    assert panel["bodySite"] == {"text": RECORDS[type_]["measurement_position"]}


def test_weight_pressure_and_pulse_are_vital_signs_of_hl7_too() -> None:
    assert categories(observations(one("weighing_scale"))["body_weight"]) == [
        "body-measurement",
        "weight",
        "vital-signs",
    ]
    assert categories(observations(one("weighing_scale"))["body_fat"]) == ["body-measurement", "body-fat-percentage"]
    for found in observations(one("blood_pressure")).values():
        assert categories(found) == ["vital-signs", "vital-signs"]


def test_activity_is_a_panel_with_its_members() -> None:
    found = observations(one("activity_monitor"))
    panel = found.pop("activity-record")
    assert codings(panel["code"]) == [(ITEM, "activity-record")]
    assert panel["hasMember"] == [{"reference": f"Observation/{each['id']}"} for each in found.values()]
    (window,) = panel["component"]
    assert codings(window["code"]) == [(ITEM, "total_active_duration")] and window["valueQuantity"]["value"] == 1440
    for each in found.values():
        assert extensions(each)["total-active-duration"]["value"] == 1440
        assert each["bodySite"]["coding"][0]["code"] == "31"


def test_only_what_was_measured_becomes_a_member() -> None:
    gone = dict.fromkeys(("walk_time", "moderate_intensity_activity", "calories", "total_calories"), GONE)
    found = observations(one("activity_monitor", **gone))
    assert list(found) == ["activity-record", "step"] and len(found["activity-record"]["hasMember"]) == 1


def test_codes_of_a_whole_day_are_only_for_a_whole_day() -> None:
    found = observations(one("activity_monitor", total_active_duration=1439))
    assert codings(found["step"]["code"]) == [(LOINC, "55423-8"), (ITEM, "step")]
    assert codings(found["total_calories"]["code"]) == [(ITEM, "total_calories")]


@pytest.mark.parametrize(
    ("time", "effective"),
    [
        ("20171001000000", "2017-10-01"),
        ("20171001070000", "2017-10-01T07:00:00+09:00"),
        ("20171001000001", "2017-10-01T00:00:01+09:00"),
    ],
)
def test_a_clock_of_zeros_is_no_time(time: str, effective: str) -> None:
    for found in observations(one("weighing_scale", observation_time=time)).values():
        assert found["effectiveDateTime"] == effective and extensions(found)["observation-time"] == time


def test_what_every_observation_says() -> None:
    for item, found in observations(one("activity_monitor", update_time="20171005093000250")).items():
        assert found["issued"] == "2017-10-05T09:30:00.250+09:00" and found["meta"]["source"] == "urn:hx:TST001"
        key = "TST001|P0000001|activity_monitor|20171001000000|TESTMAKER|TM-100|SN0000001"
        assert found["identifier"][0]["value"] == f"{key}#{item}"
        assert (extensions(found)["data-input-code"], extensions(found)["origin-of-time-code"]) == ("0", "0")


@pytest.mark.parametrize(
    ("type_", "code", "performers"),
    [
        ("activity_monitor", "0", []),
        ("activity_monitor", "1", ["Patient"]),
        ("activity_monitor", "2", []),
        ("weighing_scale", "1", ["Patient"]),
        ("blood_pressure", "0", ["Patient"]),
        ("blood_pressure", "1", ["Patient"]),
        ("checkup_blood_pressure", "0", ["Organization"]),
        ("checkup_blood_pressure", "1", ["Organization", "Patient"]),
        ("hba1c", "0", ["Organization"]),
    ],
)
def test_who_measured(type_: str, code: str, performers: list[str]) -> None:
    for found in observations(one(type_, data_input_code=code)).values():
        assert [who["reference"].partition("/")[0] for who in found.get("performer", ())] == performers


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("000001", "3D046000001920402"),
        ("000002", "3D046000001906202"),
        ("000003", "3D046000001927102"),
        ("999999", "3D046000001999902"),
        (GONE, "3D046000001999902"),
    ],
)
def test_hba1c_by_the_class_of_its_method(method: Any, code: str) -> None:
    found = observations(one("hba1c", measurement_method_code=method))["hba1c_value"]
    assert codings(found["code"])[1] == (JLAC10, code) and "method" not in found


def test_hba1c_has_its_specimen_and_no_time() -> None:
    found = observations(one("hba1c"))["hba1c_value"]
    (specimen,) = found["contained"]
    assert found["specimen"] == {"reference": "#specimen"} and specimen["type"]["text"] == "全血(添加物入り)"
    assert specimen["type"]["coding"][0]["code"] == "019" and found["effectiveDateTime"] == "2017-09-28"


@pytest.mark.parametrize(("criteria", "interpretation"), [("0", ["N"]), ("1", []), (GONE, [])])
def test_only_a_criteria_code_that_is_known_is_interpreted(criteria: Any, interpretation: list[str]) -> None:
    found = observations(one("hba1c", value_criteria_code=criteria))["hba1c_value"]
    assert [c["code"] for i in found.get("interpretation", ()) for c in i["coding"]] == interpretation
    assert extensions(found).get("value-criteria-code", GONE) == criteria


def test_ids_are_of_the_key_and_the_item_and_nothing_else() -> None:
    before = observations(one("weighing_scale"))
    after = observations(one("weighing_scale", body_weight=Decimal("70"), update_time="20181005093000000"))
    other = observations(one("weighing_scale", production_specification_serial="SN2"))
    assert [o["id"] for o in before.values()] == [o["id"] for o in after.values()]
    assert not {o["id"] for o in before.values()} & {o["id"] for o in other.values()}


def test_marks_of_the_key_inside_a_part_do_not_make_two_keys_one() -> None:
    one_way = observations(one("weighing_scale", model_manufacturer_code="A|B", model_number="C"))
    other = observations(one("weighing_scale", model_manufacturer_code="A", model_number="B|C"))
    assert one_way["body_weight"]["id"] != other["body_weight"]["id"]


def test_uris_of_jp_core_1_1_are_a_dialect() -> None:
    old = rewritten(observations(one("blood_pressure"))["pulse_rate"], "1.1.2")
    assert ("urn:oid:1.2.392.200119.4.504", "9P300000000000001") in codings(old["code"])
