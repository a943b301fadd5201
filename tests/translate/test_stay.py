"""gateway/translate/stay.py: the same stays in whatever order the events arrive."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.outcome import StayEvent
from gateway.translate.stay import project


def event(data_type: str, when: str, version: str = "1", cancelled: bool = False, **fragment: Any) -> StayEvent:
    element = {"ADT-22": "start", "ADT-52": "end"}[data_type]
    told = {"period": {element: when}} if when else {}
    source = f"{data_type}|{when}|{version}"
    record = {"resourceType": "Provenance", "id": source, "target": [{"reference": "Patient/p"}]}
    return StayEvent("p", data_type, when, f"{version:0>17}", source, cancelled, told | fragment, record)


def admission(when: str, **more: Any) -> StayEvent:
    return event("ADT-22", when, **more)


def discharge(when: str, **more: Any) -> StayEvent:
    return event("ADT-52", when, **more)


def stays(*events: StayEvent) -> list[tuple[str, str | None, str | None]]:
    """(status, start, end) of each Encounter."""
    return [
        (made["status"], made.get("period", {}).get("start"), made.get("period", {}).get("end"))
        for made in project(events)
        if made["resourceType"] == "Encounter"
    ]


def test_an_open_stay() -> None:
    assert stays(admission("2024-06-01")) == [("in-progress", "2024-06-01", None)]


def test_a_discharge_that_arrives_first_joins_its_admission() -> None:
    expected = [("finished", "2024-06-01", "2024-06-05")]
    assert stays(discharge("2024-06-05"), admission("2024-06-01")) == expected


def test_a_discharge_without_an_admission_is_a_stay_of_unknown_beginning() -> None:
    assert stays(discharge("2024-06-05")) == [("finished", None, "2024-06-05")]


def test_each_discharge_closes_the_latest_open_admission_before_it() -> None:
    events = (admission("2024-06-01"), discharge("2024-06-05"), admission("2024-06-10"), discharge("2024-06-12"))
    assert stays(*events) == [("finished", "2024-06-01", "2024-06-05"), ("finished", "2024-06-10", "2024-06-12")]


def test_a_discharge_before_the_admission_does_not_close_it() -> None:
    assert sorted(stays(admission("2024-06-10"), discharge("2024-06-05")), key=str) == [
        ("finished", None, "2024-06-05"), ("in-progress", "2024-06-10", None),
    ]  # fmt: skip


def test_admission_and_discharge_of_one_day_belong_together() -> None:
    assert stays(admission("2024-06-01T18:00:00+09:00"), discharge("2024-06-01")) == [
        ("finished", "2024-06-01T18:00:00+09:00", "2024-06-01")
    ]


def test_a_cancelled_admission_takes_no_discharge() -> None:
    found = stays(admission("2024-06-01", cancelled=True), discharge("2024-06-05"))
    assert found == [("cancelled", "2024-06-01", None), ("finished", None, "2024-06-05")]


def test_a_cancelled_discharge_leaves_the_stay_open_for_the_real_one() -> None:
    back = discharge("2024-06-05", cancelled=True)
    assert stays(admission("2024-06-01"), back) == [("in-progress", "2024-06-01", None)]
    assert stays(admission("2024-06-01"), back, discharge("2024-06-08")) == [("finished", "2024-06-01", "2024-06-08")]


@pytest.mark.parametrize("cancelled_later", [True, False])
def test_of_two_messages_of_one_event_the_newest_version_speaks(cancelled_later: bool) -> None:
    told = admission("2024-06-01", version="1", cancelled=not cancelled_later)
    later = admission("2024-06-01", version="2", cancelled=cancelled_later)
    expected = "cancelled" if cancelled_later else "in-progress"
    for order in ((told, later), (later, told)):
        assert stays(*order) == [(expected, "2024-06-01", None)]


def test_the_same_event_twice_is_one_stay_with_a_provenance_each() -> None:
    made = project([admission("2024-06-01", version="1"), admission("2024-06-01", version="2")])
    encounter, *records = made
    assert encounter["resourceType"] == "Encounter" and len(records) == 2
    for record in records:
        assert record["target"] == [{"reference": f"Encounter/{encounter['id']}"}, {"reference": "Patient/p"}]


def test_events_without_time_join_nothing_and_stay_apart() -> None:
    found = stays(admission("", version="1"), admission("", version="2"), discharge("", version="1"))
    assert sorted(found) == [("finished", None, None), ("in-progress", None, None), ("in-progress", None, None)]


def test_an_id_does_not_change_when_the_discharge_comes() -> None:
    (before,) = (made for made in project([admission("2024-06-01")]) if made["resourceType"] == "Encounter")
    both = project([admission("2024-06-01"), discharge("2024-06-05")])
    assert before["id"] == both[0]["id"]


def test_the_same_moment_in_another_zone_is_the_same_event() -> None:
    here, there = admission("2024-06-01T09:00:00+09:00"), admission("2024-06-01T00:00:00Z")
    assert project([here])[0]["id"] == project([there])[0]["id"]


def test_who_and_where_are_said_once() -> None:
    doctor = [{"individual": {"reference": "Practitioner/1"}}]
    other = [{"individual": {"reference": "Practitioner/2"}}]
    first = admission("2024-06-01", participant=doctor, hospitalization={"origin": 1})
    last = discharge("2024-06-05", participant=[*doctor, *other], hospitalization={"dischargeDisposition": 2})
    encounter = project([first, last])[0]
    assert encounter["participant"] == [*doctor, *other]
    assert encounter["hospitalization"] == {"origin": 1, "dischargeDisposition": 2}


def test_projecting_changes_no_event() -> None:
    first, last = admission("2024-06-01", participant=[1]), discharge("2024-06-05", participant=[2])
    before = (repr(first), repr(last))
    project([first, last])
    project([first, last])
    assert (repr(first), repr(last)) == before


days = st.sampled_from(["2024-06-01", "2024-06-02", "2024-06-03T10:00:00+09:00", "2024-06-03", "2024-06", ""])
events = st.builds(
    event, st.sampled_from(["ADT-22", "ADT-52"]), days, version=st.sampled_from("123"), cancelled=st.booleans()
)


@given(st.data())
def test_the_order_of_arrival_never_matters(data: st.DataObject) -> None:
    # One message has one source: two different events cannot come from the same one.
    drawn = data.draw(st.lists(events, max_size=6, unique_by=lambda one: one.source))
    shuffled = data.draw(st.permutations(drawn))
    assert project(shuffled) == project(drawn)


@given(st.lists(events, max_size=6, unique_by=lambda one: one.source))
def test_every_event_is_told_once_and_every_stay_has_its_own_id(drawn: list[StayEvent]) -> None:
    made = project(drawn)
    encounters = [one["id"] for one in made if one["resourceType"] == "Encounter"]
    records = [one for one in made if one["resourceType"] == "Provenance"]
    assert len(set(encounters)) == len(encounters)
    assert sorted(record["id"] for record in records) == sorted(one.source for one in drawn)
    assert {record["target"][0]["reference"] for record in records} == {f"Encounter/{id_}" for id_ in encounters}
