"""gateway/translate/adt.py: patient basics, reception, admission, discharge."""

import pytest

from tests.translate.messages import PID, codes, every, msh, only, places, read, residue, unmapped


def pv1(**fields: str) -> str:
    """PV1 from `f44=...`."""
    numbered = {2: "O", **{int(name[1:]): value for name, value in fields.items()}}
    return "|".join(["PV1", *(numbered.get(n, "") for n in range(1, max(numbered) + 1))])


# -- ADT-12 -----------------------------------------------------------------------------------------------------------


def test_a_reception_is_an_arrived_visit() -> None:
    converted = read("ADT-12", "EVN||20240601083000", pv1(f3="06^^^^^C", f10="06", f44="20240601083000"))
    encounter = only(converted, "Encounter")
    assert encounter["status"] == "arrived"
    assert encounter["class"]["code"] == "AMB"
    assert encounter["period"] == {"start": "2024-06-01T08:30:00+09:00"}
    assert encounter["location"][0]["location"]["display"] == "06"
    assert encounter["subject"] == {"reference": f"Patient/{only(converted, 'Patient')['id']}"}
    assert only(converted, "Provenance")["target"][-1] == {"reference": f"Encounter/{encounter['id']}"}
    assert "EVN[1]-2" in unmapped(converted)


@pytest.mark.parametrize(("sent", "code"), [("O", "AMB"), ("I", "IMP"), ("E", "EMER")])
def test_class_of_the_visit(sent: str, code: str) -> None:
    assert only(read("ADT-12", pv1(f2=sent)), "Encounter")["class"]["code"] == code


def test_an_unknown_class_is_residue_and_the_data_type_decides() -> None:
    converted = read("ADT-12", pv1(f2="Q"))
    assert only(converted, "Encounter")["class"]["code"] == "AMB"
    assert places(converted, "code-unknown") == ["PV1[1]-2"]
    assert residue(converted) == {"PV1[1]-2": "Q"}


@pytest.mark.parametrize(
    ("sent", "display", "value"),
    [
        ("3E^301^2^^^N", "3E-301-2", "3E^301^2^^^N"),
        ('3E^""^2', "3E-2", "3E^^2"),
        ("01^^^^^C^^^第一外来", "01 第一外来", "01^^^^^C^^^第一外来"),
        ("3E^^^^^^^^東病棟", "3E 東病棟", "3E^^^^^^^^東病棟"),
    ],
)
def test_a_place_is_told_in_words_with_all_its_parts(sent: str, display: str, value: str) -> None:
    (entry,) = only(read("ADT-12", pv1(f3=sent)), "Encounter")["location"]
    assert entry["location"]["display"] == display
    assert entry["location"]["identifier"]["value"] == value


def test_an_empty_place_is_none() -> None:
    assert "location" not in only(read("ADT-12", pv1(f3='""^^^^^')), "Encounter")


def test_the_end_of_a_visit_before_its_beginning_is_residue() -> None:
    converted = read("ADT-12", pv1(f44="20240601", f45="20240531"))
    assert only(converted, "Encounter")["period"] == {"start": "2024-06-01"}
    assert places(converted, "period-reversed") == ["PV1[1]-45"]
    assert residue(converted) == {"PV1[1]-45": "20240531"}


def test_segments_a_visit_has_no_place_for_are_residue() -> None:
    converted = read("ADT-12", pv1(), "AL1|1|DA|1", "ZXX|1|値", "PV1|2|I|9W", "PV2|a")
    assert residue(converted) == {
        "AL1[1]-1": "1", "AL1[1]-2": "DA", "AL1[1]-3": "1", "ZXX[1]-1": "1", "ZXX[1]-2": "値",
        "PV1[2]-1": "2", "PV1[2]-2": "I", "PV1[2]-3": "9W", "PV2[1]-1": "a",
    }  # fmt: skip
    assert every(converted, "AllergyIntolerance") == []


# -- ADT-22, ADT-52 ---------------------------------------------------------------------------------------------------


def test_an_admission_is_an_event_and_by_itself_a_stay_in_progress() -> None:
    converted = read("ADT-22", pv1(f2="I", f44="20240601100000"))
    (event,) = converted.translated.stay_events
    assert (event.data_type, event.occurred_at, event.cancelled) == ("ADT-22", "2024-06-01T10:00:00+09:00", False)
    assert every(converted, "Encounter")[0]["status"] == "in-progress"
    assert [r["resourceType"] for r in converted.translated.resources] == ["Patient"]


def test_a_discharge_finishes() -> None:
    converted = read("ADT-52", pv1(f2="I", f36="01^軽快退院^HL70112", f44="20240601100000", f45="20240605100000"))
    (event,) = converted.translated.stay_events
    assert event.occurred_at == "2024-06-05T10:00:00+09:00"
    encounter = only(converted, "Encounter")
    assert encounter["status"] == "finished"
    disposition = encounter["hospitalization"]["dischargeDisposition"]
    assert disposition["coding"][0]["code"] == "01" and disposition["text"] == "軽快退院"


@pytest.mark.parametrize(("trigger", "data_type"), [("A11", "ADT-22"), ("A13", "ADT-52")])
def test_a_cancelling_trigger_takes_the_event_back(trigger: str, data_type: str) -> None:
    head = msh(f"ADT^{trigger}")
    converted = read(data_type, pv1(f2="I", f44="20240601", f45="20240602"), head=head)
    (event,) = converted.translated.stay_events
    assert event.cancelled


@pytest.mark.parametrize(("data_type", "field"), [("ADT-22", 44), ("ADT-52", 45)])
def test_an_event_without_time_says_so(data_type: str, field: int) -> None:
    converted = read(data_type, pv1(f2="I"))
    assert places(converted, "no-event-time") == [f"PV1[1]-{field}"]
    assert len(every(converted, "Encounter")) == 1


def test_lineage_of_a_stay_points_at_its_encounter() -> None:
    converted = read("ADT-22", pv1(f2="I", f44="20240601100000"))
    encounter = only(converted, "Encounter")
    targets = {e.source: e.target for e in converted.translated.lineage if e.source.startswith("PV1")}
    assert targets["PV1[1]-44"] == f"Encounter/{encounter['id']}.period.start"


def test_the_provenance_of_a_stay_names_encounter_and_patient() -> None:
    converted = read("ADT-22", pv1(f2="I", f44="20240601100000"))
    references = [target["reference"].partition("/")[0] for target in only(converted, "Provenance")["target"]]
    assert references == ["Encounter", "Patient"]


# -- ADT-00 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("obx", "category", "value"),
    [
        (
            "OBX|1|NM|9N001000000000001^身長^JC10||158.20|cm^cm^ISO+|||||F",
            "body-measurement",
            ("valueQuantity", "158.20"),
        ),
        ("OBX|1|NM|9N006000000000001^体重^JC10||52.5|kg^kg^ISO+|||||F", "body-measurement", ("valueQuantity", "52.5")),
        ("OBX|1|CWE|5H010000001999911^ＡＢＯ^JC10||A^A型^JSHR002||||||F", "exam", ("valueCodeableConcept", "A型")),
        ("OBX|1|CWE|5H020000001999911^Ｒｈ^JC10||Rh+^+||||||F", "exam", ("valueCodeableConcept", "+")),
        ("OBX|1|ST|99^何か^99X||値||||||F", "exam", ("valueString", "値")),
    ],
)
def test_measures_and_blood_groups(obx: str, category: str, value: tuple[str, str]) -> None:
    observation = only(read("ADT-00", obx), "Observation")
    assert observation["category"][0]["coding"][0]["code"] == category
    assert observation["status"] == "final"
    found = observation[value[0]]
    assert (found if isinstance(found, str) else str(found.get("value", found.get("text")))) == value[1]


def test_a_measure_says_which_profile_it_is_of() -> None:
    height = only(read("ADT-00", "OBX|1|NM|9N001000000000001^身長^JC10||158|cm|||||F"), "Observation")
    assert height["meta"]["profile"][0].endswith("/JP_Observation_BodyMeasurement")
    assert height["valueQuantity"]["code"] == "cm"


def test_pv1_in_basics_is_told_elsewhere() -> None:
    converted = read("ADT-00", pv1(f3="06", f7="110^医師"))
    assert every(converted, "Encounter") == []
    assert {"PV1[1]-2", "PV1[1]-3", "PV1[1]-7"} <= unmapped(converted)
    assert residue(converted) == {}


def test_other_segments_of_basics_are_residue() -> None:
    converted = read("ADT-00", "ZXX|1|値", "GT1|1")
    assert residue(converted) == {"ZXX[1]-1": "1", "ZXX[1]-2": "値", "GT1[1]-1": "1"}
    assert codes(converted) == []


# -- deletions --------------------------------------------------------------------------------------------------------

BASICS = (
    "EVN||20240601083000", "OBX|1|NM|9N001000000000001^身長^JC10||158|cm|||||F", "AL1|1|DA|J9MC12110000^ペニシリン^J-FAGY",
    "IN1|1|67^国保^JHSD0001|67999991",
)  # fmt: skip


def test_deleted_basics_say_that_they_are_void() -> None:
    converted = read("ADT-00", *BASICS, head=msh("ADT^A23^ADT_A21"))
    assert only(converted, "Patient")["active"] is False
    assert only(converted, "Observation")["status"] == "entered-in-error"
    assert only(converted, "Coverage")["status"] == "entered-in-error"
    allergy = only(converted, "AllergyIntolerance")
    assert allergy["verificationStatus"]["coding"][0]["code"] == "entered-in-error"
    assert "clinicalStatus" not in allergy
    again = read("ADT-00", *BASICS)
    assert "active" not in only(again, "Patient")
    assert only(again, "AllergyIntolerance")["id"] == allergy["id"]


def test_a_cancelled_visit() -> None:
    assert only(read("ADT-12", pv1(), head=msh("ADT^A11^ADT_A09")), "Encounter")["status"] == "cancelled"


@pytest.mark.parametrize(
    ("evn", "pid33", "own", "expected"),
    [
        ("20240601083000", "20240501", "", "2024-06-01T08:30:00+09:00"),
        ("", "20240501", "", "2024-05-01"),
        ("20240601", "20240501", "20240301", "2024-03-01"),
        ("", "", "", None),
    ],
)
def test_a_measure_without_a_time_is_as_old_as_the_basics(evn: str, pid33: str, own: str, expected: str | None) -> None:
    obx = f"OBX|1|NM|9N001000000000001^身長^JC10||158|cm|||||F|||{own}"
    converted = read("ADT-00", f"EVN||{evn}", obx, pid=PID + "|" * 25 + pid33)
    assert only(converted, "Observation").get("effectiveDateTime") == expected
