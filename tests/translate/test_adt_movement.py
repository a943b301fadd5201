"""gateway/translate/adt_movement.py: one message of a stay, event by event, and its cancel."""

from typing import Any

import pytest

from gateway.profiles.validator import Validator
from gateway.translate.sources import read_file
from tests.translate.messages import (
    FACILITIES,
    codes,
    er7,
    every,
    msh,
    only,
    places,
    read,
    residue,
    sources,
    unmapped,
)

DOCTOR, OTHER = "1302^模擬^京子", "1455^仮設^次郎"
ADMITTED = "202406011000"


def segment(name: str, **fields: str) -> str:
    numbered = {int(number[1:]): value for number, value in fields.items()}
    return "|".join([name, *(numbered.get(n, "") for n in range(1, max(numbered) + 1))])


def event(trigger: str, data_type: str, *parts: tuple[str, dict[str, str]], **pv1: str) -> Any:
    """A message of one event: PV1 from the keywords, other segments as (name, fields)."""
    lines = [segment(name, **fields) for name, fields in parts if name == "EVN"]
    lines.append(segment("PV1", **{"f2": "I", **pv1}))
    lines += [segment(name, **fields) for name, fields in parts if name != "EVN"]
    return read(data_type, *lines, head=msh(f"ADT^{trigger}"))


def encounter(converted: Any) -> dict[str, Any]:
    made = only(converted, "Encounter")
    wrong = [f for f in Validator.default().check(made) if f.severity in ("error", "fatal")]
    assert wrong == []
    return made


def where(made: dict[str, Any]) -> list[tuple[str | None, str, dict[str, str] | None]]:
    return [(one["location"].get("display"), one["status"], one.get("period")) for one in made.get("location", ())]


EVENTS = [
    ("ADT-01", "A54", "A55"), ("ADT-21", "A14", "A27"), ("ADT-22", "A01", "A11"), ("ADT-31", "A21", "A52"),
    ("ADT-32", "A22", "A53"), ("ADT-41", "A15", "A26"), ("ADT-42", "A02", "A12"), ("ADT-51", "A16", "A25"),
    ("ADT-52", "A03", "A13"),
]  # fmt: skip


@pytest.mark.parametrize(("data_type", "trigger", "cancel"), EVENTS)
def test_trigger_and_cancel(data_type: str, trigger: str, cancel: str) -> None:
    (told,) = event(trigger, data_type, f44=ADMITTED).translated.stay_events
    (undone,) = event(cancel, data_type, f44=ADMITTED).translated.stay_events
    assert (told.data_type, told.cancelled, undone.data_type, undone.cancelled) == (data_type, False, data_type, True)


@pytest.mark.parametrize(("data_type", "trigger", "cancel"), EVENTS)
def test_by_itself_msh_9_says_the_type(data_type: str, trigger: str, cancel: str) -> None:
    for one in (trigger, cancel):
        (made,) = read_file(er7("", "PV1||I", head=msh(f"ADT^{one}")), "message.hl7", FACILITIES)
        assert made.data_type == data_type


def test_a_planned_admission() -> None:
    pv2 = ("PV2", {"f1": "3W^310", "f8": "202406010900", "f9": "20240610"})
    made = encounter(event("A14", "ADT-21", pv2, f3="3E^301"))
    assert made["status"] == "planned"
    assert made["period"] == {"start": "2024-06-01T09:00:00+09:00", "end": "2024-06-10"}
    start = {"start": "2024-06-01T09:00:00+09:00"}
    assert where(made) == [("3E-301", "planned", start), ("3W-310", "planned", start)]


@pytest.mark.parametrize(
    ("evn", "pv2", "pv1"),
    [({"f3": "20240601"}, {}, {}), ({}, {"f8": "20240601"}, {}), ({}, {}, {"f44": "20240601"})],
)
def test_a_plan_takes_its_time_where_the_sender_writes_it(
    evn: dict[str, str], pv2: dict[str, str], pv1: dict[str, str]
) -> None:
    parts = [(name, fields) for name, fields in (("EVN", evn), ("PV2", pv2)) if fields]
    converted = event("A14", "ADT-21", *parts, **pv1)
    assert encounter(converted)["period"] == {"start": "2024-06-01"}
    assert residue(converted) == {} and codes(converted) == []


def test_another_time_beside_that_of_the_plan_is_residue() -> None:
    parts = (("EVN", {"f3": "20240602"}), ("PV2", {"f8": "20240601"}))
    assert residue(event("A14", "ADT-21", *parts, f44="20240603")) == {"EVN[1]-3": "20240602", "PV1[1]-44": "20240603"}
    same = event("A14", "ADT-21", ("EVN", {"f3": "20240601"}), ("PV2", {"f8": "20240601"}))
    assert residue(same) == {} and "EVN[1]-3" in unmapped(same)


def test_a_plan_that_ends_before_it_begins() -> None:
    converted = event("A14", "ADT-21", ("PV2", {"f8": "20240610", "f9": "20240601"}))
    assert encounter(converted)["period"] == {"start": "2024-06-10"}
    assert places(converted, "period-reversed") == ["PV2[1]-9"]
    assert residue(converted) == {"PV2[1]-9": "20240601"}


def test_a_leave_to_an_unknown_place() -> None:
    parts = (("EVN", {"f6": "202406031500"}), ("PV2", {"f47": "202406041800"}))
    converted = event("A21", "ADT-31", *parts, f44=ADMITTED)
    made = encounter(converted)
    assert made["status"] == "onleave"
    span = {"start": "2024-06-03T15:00:00+09:00", "end": "2024-06-04T18:00:00+09:00"}
    assert where(made) == [(None, "active", span)]
    assert residue(converted) == {}


def test_a_leave_that_is_to_end_before_it_begins() -> None:
    converted = event("A21", "ADT-31", ("EVN", {"f6": "20240603"}), ("PV2", {"f47": "20240601"}), f3="自宅")
    assert where(encounter(converted)) == [("自宅", "active", {"start": "2024-06-03"})]
    assert residue(converted) == {"PV2[1]-47": "20240601"}


def test_a_return() -> None:
    made = encounter(event("A22", "ADT-32", ("EVN", {"f6": "202406041700"}), f3="3E^302", f44=ADMITTED))
    assert made["status"] == "in-progress"
    assert where(made) == [("3E-302", "active", {"start": "2024-06-04T17:00:00+09:00"})]


def test_a_cancelled_return_is_a_leave_again() -> None:
    parts = (("EVN", {"f6": "202406041700"}), ("PV2", {"f47": "202406051800"}))
    converted = event("A53", "ADT-32", *parts, f3="", f44=ADMITTED)
    made = encounter(converted)
    assert made["status"] == "onleave"
    assert where(made) == [(None, "active", {"end": "2024-06-05T18:00:00+09:00"})]
    assert "EVN[1]-6" in unmapped(converted) and residue(converted) == {}


def test_a_cancelled_return_may_carry_its_time_in_pv2_47() -> None:
    (told,) = event("A53", "ADT-32", ("PV2", {"f47": "20240604"})).translated.stay_events
    assert told.occurred_at == "2024-06-04"


def test_a_transfer_leaves_one_place_and_begins_at_another() -> None:
    converted = event("A02", "ADT-42", ("EVN", {"f6": "202406051330"}), f3="5W^512", f6="3E^302", f10="10")
    made = encounter(converted)
    at = "2024-06-05T13:30:00+09:00"
    assert where(made) == [("3E-302", "completed", {"end": at}), ("5W-512", "active", {"start": at})]
    assert made["serviceType"]["coding"][0]["code"] == "10"
    assert {"EVN[1]-6", "PV1[1]-3", "PV1[1]-6"} <= sources(converted)


def test_the_time_of_a_transfer_to_nowhere_is_residue() -> None:
    converted = event("A02", "ADT-42", ("EVN", {"f6": "202406051330"}))
    assert residue(converted) == {"EVN[1]-6": "202406051330"}
    assert converted.translated.stay_events[0].occurred_at == "2024-06-05T13:30:00+09:00"


@pytest.mark.parametrize(
    ("pending", "expected"),
    [
        ("5W^512", [("3E-302", "active", None), ("5W-512", "planned", {"start": "2024-06-05"})]),
        ("", [("3E-302", "planned", {"start": "2024-06-05"})]),
        ("3E^302", [("3E-302", "active", None)]),
    ],
)
def test_a_planned_transfer(pending: str, expected: list[Any]) -> None:
    made = encounter(event("A15", "ADT-41", ("PV2", {"f1": pending, "f8": "20240605"}), f3="3E^302"))
    assert made["status"] == "in-progress"
    assert where(made) == expected


def test_a_planned_discharge() -> None:
    converted = event("A16", "ADT-51", ("PV2", {"f9": "20240609"}), f3="5W^512", f44=ADMITTED)
    made = encounter(converted)
    assert made["status"] == "in-progress"
    assert made["period"] == {"start": "2024-06-01T10:00:00+09:00"}
    assert where(made) == [("5W-512", "planned", {"end": "2024-06-09"})]
    nowhere = event("A16", "ADT-51", ("PV2", {"f9": "20240609"}), f44=ADMITTED)
    assert residue(nowhere) == {"PV2[1]-9": "20240609"}


@pytest.mark.parametrize(
    ("data_type", "trigger", "pv2"), [("ADT-41", "A26", {"f1": "5W^512", "f8": "20240605"}), ("ADT-51", "A25", {"f9": "20240609"})]
)  # fmt: skip
def test_a_plan_that_is_taken_back_plans_nothing(data_type: str, trigger: str, pv2: dict[str, str]) -> None:
    converted = event(trigger, data_type, ("PV2", pv2), f3="3E^302")
    made = encounter(converted)
    assert made["status"] == "in-progress"
    assert [(name, period) for name, _, period in where(made)] == [("3E-302", None)]
    (told,) = converted.translated.stay_events
    assert told.occurred_at in ("2024-06-05", "2024-06-09")


def test_a_change_of_doctor_has_its_time() -> None:
    made = encounter(event("A54", "ADT-01", ("EVN", {"f6": "202406060900"}), f7=OTHER, f44=ADMITTED))
    (person,) = made["participant"]
    assert person["period"] == {"start": "2024-06-06T09:00:00+09:00"}
    assert person["individual"]["display"] == "仮設 次郎"
    assert made["status"] == "in-progress"
    undone = event("A55", "ADT-01", ("EVN", {"f6": "202406060900"}), f7=DOCTOR, f44=ADMITTED)
    assert "period" not in encounter(undone)["participant"][0]
    assert "EVN[1]-6" in unmapped(undone)


def test_a_discharge() -> None:
    converted = event("A03", "ADT-52", f3="5W^512", f36="20^死亡^HL70112", f44=ADMITTED, f45="202406091000")
    made = encounter(converted)
    assert made["status"] == "finished"
    assert made["period"] == {"start": "2024-06-01T10:00:00+09:00", "end": "2024-06-09T10:00:00+09:00"}
    assert where(made) == [("5W-512", "completed", {"end": "2024-06-09T10:00:00+09:00"})]
    assert made["hospitalization"]["dischargeDisposition"]["text"] == "死亡"


@pytest.mark.parametrize(("data_type", "trigger"), [("ADT-22", "A01"), ("ADT-52", "A03")])
def test_a_sender_that_writes_the_time_in_evn_6_is_understood(data_type: str, trigger: str) -> None:
    converted = event(trigger, data_type, ("EVN", {"f6": "20240601"}), f3="3E")
    assert converted.translated.stay_events[0].occurred_at == "2024-06-01"
    assert codes(converted) == [] and residue(converted) == {}


def test_a_discharge_that_is_taken_back_says_nothing_of_an_end() -> None:
    converted = event("A13", "ADT-52", f3="5W^512", f36="01^軽快退院^HL70112", f44=ADMITTED, f45="202406091000")
    made = encounter(converted)
    assert made["status"] == "in-progress"
    assert made["period"] == {"start": "2024-06-01T10:00:00+09:00"}
    assert "hospitalization" not in made
    assert {"PV1[1]-36", "PV1[1]-45"} <= unmapped(converted)


def test_an_admission_names_the_plan_it_fulfils() -> None:
    converted = event("A01", "ADT-22", ("PV2", {"f8": "20240530", "f9": "20240610"}), f44=ADMITTED)
    assert converted.translated.stay_events[0].planned_at == "2024-05-30"
    assert "PV2[1]-8" in unmapped(converted)
    assert residue(converted) == {"PV2[1]-9": "20240610"}


@pytest.mark.parametrize(
    ("data_type", "trigger", "field"),
    [("ADT-31", "A21", "EVN[1]-6"), ("ADT-51", "A16", "PV2[1]-9"), ("ADT-21", "A14", "PV2[1]-8"), ("ADT-01", "A54", "EVN[1]-6")],
)  # fmt: skip
def test_an_event_without_time_says_where_it_should_be(data_type: str, trigger: str, field: str) -> None:
    converted = event(trigger, data_type, f3="3E", f44="" if data_type == "ADT-21" else ADMITTED)
    assert places(converted, "no-event-time") == [field]
    assert len(every(converted, "Encounter")) == 1


def test_a_bad_time_is_residue_and_no_time() -> None:
    converted = event("A02", "ADT-42", ("EVN", {"f6": "20240230"}), f3="5W")
    assert codes(converted) == ["bad-date", "no-event-time"]
    assert residue(converted) == {"EVN[1]-6": "20240230"}


def test_other_segments_and_a_second_pv1_are_residue() -> None:
    converted = event("A02", "ADT-42", ("EVN", {"f5": "SEND"}), ("ZXX", {"f1": "値"}), ("PV1", {"f3": "9W"}), f3="5W")
    assert residue(converted) == {"EVN[1]-5": "SEND", "ZXX[1]-1": "値", "PV1[2]-3": "9W"}


def test_lineage_points_at_the_encounter() -> None:
    parts = (("EVN", {"f6": "20240605"}), ("PV2", {"f1": "5W", "f8": "20240605"}))
    converted = event("A15", "ADT-41", *parts, f3="3E", f44=ADMITTED)
    id_ = only(converted, "Encounter")["id"]
    told = {e.source: e.target for e in converted.translated.lineage if e.source[:3] in ("EVN", "PV1", "PV2")}
    assert set(told) == {"EVN[1]-6", "PV1[1]-2", "PV1[1]-3", "PV1[1]-44", "PV2[1]-1", "PV2[1]-8"}
    assert all(target.startswith(f"Encounter/{id_}.") for target in told.values())
    assert told["PV2[1]-1"] == f"Encounter/{id_}.location"
