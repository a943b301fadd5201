"""gateway/translate/stay.py: the same stays in whatever order the events arrive."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.outcome import StayEvent
from gateway.translate import times
from gateway.translate.stay import project, unmatched


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
    doctors = [[{"type": [], "individual": {"reference": f"Practitioner/{n}"}}] for n in (1, 2)]
    first, last = admission("2024-06-01", participant=doctors[0]), discharge("2024-06-05", participant=doctors[1])
    before = (repr(first), repr(last))
    project([first, last])
    project([first, last])
    assert (repr(first), repr(last)) == before


# -- all movements ----------------------------------------------------------------------------------------------------


def place(name: str, status: str = "active", **period: str) -> dict[str, Any]:
    entry = {"location": {"identifier": {"value": name}, "display": name}, "status": status}
    return entry | ({"period": period} if period else {})


def doctor(name: str) -> dict[str, Any]:
    return {"type": [{"text": "ATND"}], "individual": {"reference": f"Practitioner/{name}"}}


def move(
    kind: str, when: str, *places: dict[str, Any], version: str = "1", cancelled: bool = False, **more: Any
) -> StayEvent:
    """An event of any kind; `more`: admitted_at, planned_at, recorded_at of the event, else Encounter elements."""
    own = {key: more.pop(key) for key in ("admitted_at", "planned_at", "recorded_at") if key in more}
    fragment = more | ({"location": list(places)} if places else {})
    if kind == "ADT-22":
        own.setdefault("admitted_at", when)
    told = {"ADT-22": {"start": when}, "ADT-21": {"start": when}, "ADT-52": {"end": when}}.get(kind, {})
    if when and told and not (cancelled and kind == "ADT-52"):
        fragment["period"] = told
    source = f"{kind}|{when}|{version}|{cancelled}|{len(places)}|{own}"
    record = {"resourceType": "Provenance", "id": source, "target": [{"reference": "Patient/p"}]}
    return StayEvent("p", kind, when, f"{version:0>17}", source, cancelled, fragment, record, **own)


def only(*told: StayEvent) -> dict[str, Any]:
    (made,) = (one for one in project(told) if one["resourceType"] == "Encounter")
    return made


def history(encounter: dict[str, Any]) -> list[tuple[str, str | None, str | None]]:
    spans = encounter.get("statusHistory", ())
    return [(one["status"], one["period"].get("start"), one["period"].get("end")) for one in spans]


def places(encounter: dict[str, Any]) -> list[tuple[str, str, str | None, str | None]]:
    return [
        (
            one["location"]["display"],
            one["status"],
            one.get("period", {}).get("start"),
            one.get("period", {}).get("end"),
        )
        for one in encounter["location"]
    ]


PLAN = move("ADT-21", "2024-06-01", place("3E-301", "planned", start="2024-06-01"))
ADMITTED = move("ADT-22", "2024-06-01T10:00:00+09:00", place("3E-302", start="2024-06-01T10:00:00+09:00"))
LEFT = move("ADT-31", "2024-06-03T15:00:00+09:00", place("home", start="2024-06-03T15:00:00+09:00", end="2024-06-05"))
BACK = move("ADT-32", "2024-06-04T17:00:00+09:00", place("3E-302", start="2024-06-04T17:00:00+09:00"))
TO_COME = move("ADT-41", "2024-06-06", place("5W-512", "planned", start="2024-06-06"), recorded_at="2024-06-04")
MOVED = move("ADT-42", "2024-06-06T13:30:00+09:00", place("5W-512", start="2024-06-06T13:30:00+09:00"))
TO_LEAVE = move("ADT-51", "2024-06-30", place("5W-512", "planned", end="2024-06-30"), recorded_at="2024-06-07")
GONE = move("ADT-52", "2024-06-09T10:00:00+09:00", place("5W-512", "completed", end="2024-06-09T10:00:00+09:00"))
WHOLE = (PLAN, ADMITTED, LEFT, BACK, TO_COME, MOVED, TO_LEAVE, GONE)


@pytest.mark.parametrize(
    ("kind", "status", "cancelled"),
    [
        ("ADT-01", "in-progress", "in-progress"), ("ADT-21", "planned", "cancelled"), ("ADT-22", "in-progress", "cancelled"),
        ("ADT-31", "onleave", "in-progress"), ("ADT-32", "in-progress", "onleave"), ("ADT-41", "in-progress", "in-progress"),
        ("ADT-42", "in-progress", "in-progress"), ("ADT-51", "in-progress", "in-progress"),
        ("ADT-52", "finished", "in-progress"),
    ],
)  # fmt: skip
def test_status_of_an_event_that_is_all_that_is_known(kind: str, status: str, cancelled: str) -> None:
    assert only(move(kind, "2024-06-01"))["status"] == status
    assert only(move(kind, "2024-06-01", cancelled=True))["status"] == cancelled


def test_a_whole_stay_is_one_encounter_with_the_id_of_its_plan() -> None:
    made = [only(*WHOLE[:count]) for count in range(1, len(WHOLE) + 1)]
    assert len({one["id"] for one in made}) == 1
    assert [one["status"] for one in made] == [
        "planned", "in-progress", "onleave", "in-progress", "in-progress", "in-progress", "in-progress", "finished",
    ]  # fmt: skip
    last = made[-1]
    assert history(last) == [
        ("planned", None, "2024-06-01T10:00:00+09:00"),
        ("in-progress", "2024-06-01T10:00:00+09:00", "2024-06-03T15:00:00+09:00"),
        ("onleave", "2024-06-03T15:00:00+09:00", "2024-06-04T17:00:00+09:00"),
        ("in-progress", "2024-06-04T17:00:00+09:00", "2024-06-09T10:00:00+09:00"),
    ]
    assert places(last) == [
        ("3E-302", "completed", "2024-06-01T10:00:00+09:00", "2024-06-06T13:30:00+09:00"),
        ("home", "completed", "2024-06-03T15:00:00+09:00", "2024-06-04T17:00:00+09:00"),
        ("5W-512", "completed", "2024-06-06T13:30:00+09:00", "2024-06-09T10:00:00+09:00"),
    ]
    assert last["period"] == {"start": "2024-06-01T10:00:00+09:00", "end": "2024-06-09T10:00:00+09:00"}


def test_places_while_plans_are_plans() -> None:
    assert places(only(PLAN)) == [("3E-301", "planned", "2024-06-01", None)]
    assert places(only(*WHOLE[:5]))[-1] == ("5W-512", "planned", "2024-06-06", None)
    assert places(only(*WHOLE[:7]))[-2:] == [
        ("5W-512", "active", "2024-06-06T13:30:00+09:00", None), ("5W-512", "planned", None, "2024-06-30"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("undone", "status", "last"),
    [
        (LEFT, "in-progress", ("3E-302", "active")),
        (BACK, "onleave", ("home", "active")),
        (MOVED, "in-progress", ("5W-512", "planned")),
        (TO_LEAVE, "in-progress", ("5W-512", "active")),
        (GONE, "in-progress", ("5W-512", "planned")),
        (ADMITTED, "cancelled", None),
    ],
)
def test_a_cancel_undoes_its_own_event(undone: StayEvent, status: str, last: tuple[str, str] | None) -> None:
    told = WHOLE[: WHOLE.index(undone) + 1]
    cancel = replace(undone, cancelled=True, source_time="2", source=undone.source + "cancel", fragment={})
    made = only(*told, cancel)
    assert made["status"] == status
    if last is not None:
        assert places(made)[-1][:2] == last
    again = replace(undone, source_time="3", source=undone.source + "again")
    assert {**only(*told, cancel, again)} == only(*told)


def test_a_cancelled_plan_stays_apart_from_the_admission() -> None:
    cancel = replace(PLAN, cancelled=True, source_time="2", source="cancel")
    assert [status for status, *_ in stays(PLAN, cancel, ADMITTED)] == ["cancelled", "in-progress"]


@pytest.mark.parametrize(
    ("planned", "admitted", "one"),
    [
        ("2024-06-01", "2024-06-01T10:00:00+09:00", True),
        ("2024-06-01", "2024-06-02", True),  # a day late
        ("2024-06-03", "2024-06-02", True),  # a day early
        ("2024-06-01", "2024-06-08", True),
        ("2024-06-01", "2024-06-09", False),  # more than a week: not for sure the same
        ("2024-06", "2024-06-09", False),
    ],
)
def test_which_admission_fulfils_a_plan(planned: str, admitted: str, one: bool) -> None:
    assert len(stays(move("ADT-21", planned), move("ADT-22", admitted))) == (1 if one else 2)


def test_an_admission_that_names_its_plan_takes_that_one() -> None:
    early, late = move("ADT-21", "2024-06-01"), move("ADT-21", "2024-04-01")
    found = stays(early, late, move("ADT-22", "2024-06-01", planned_at="2024-04-01"))
    assert sorted(found, key=str) == [("in-progress", "2024-06-01", None), ("planned", "2024-06-01", None)]


def test_of_two_plans_the_nearer_is_fulfilled() -> None:
    found = stays(move("ADT-21", "2024-06-01"), move("ADT-21", "2024-06-05"), move("ADT-22", "2024-06-04"))
    assert sorted(found, key=str) == [("in-progress", "2024-06-04", None), ("planned", "2024-06-01", None)]


def test_a_change_of_doctor_ends_the_time_of_the_one_before() -> None:
    admitted = move("ADT-22", "2024-06-01", participant=[doctor("a"), {**doctor("a"), "type": [{"text": "ADM"}]}])
    change = move("ADT-01", "2024-06-03T09:00:00+09:00", participant=[doctor("b")])
    gone = move("ADT-52", "2024-06-09", participant=[doctor("b")])
    people = only(gone, change, admitted)["participant"]
    assert [(p["type"][0]["text"], p["individual"]["reference"][-1], p.get("period")) for p in people] == [
        ("ATND", "a", {"end": "2024-06-03T09:00:00+09:00"}),
        ("ADM", "a", None),
        ("ATND", "b", {"start": "2024-06-03T09:00:00+09:00"}),
    ]
    back = move("ADT-01", "2024-06-05", participant=[doctor("a")])
    assert [p.get("period") for p in only(admitted, change, back)["participant"]] == [
        {"end": "2024-06-03T09:00:00+09:00"}, None,
        {"start": "2024-06-03T09:00:00+09:00", "end": "2024-06-05"}, {"start": "2024-06-05"},
    ]  # fmt: skip
    undone = replace(change, cancelled=True, source_time="2", source="undone")
    assert only(admitted, change, undone)["participant"] == admitted.fragment["participant"]


def test_events_that_say_when_the_patient_was_admitted_join_that_stay() -> None:
    """Two stays that overlap, as senders leave one of them open."""
    first, second = move("ADT-22", "2024-06-01"), move("ADT-22", "2024-06-03")
    gone = move("ADT-52", "2024-06-05", admitted_at="2024-06-01")
    assert stays(first, second, gone) == [("finished", "2024-06-01", "2024-06-05"), ("in-progress", "2024-06-03", None)]


def test_a_stay_has_its_id_before_its_admission_is_known() -> None:
    gone = move("ADT-52", "2024-06-05", admitted_at="2024-06-01")
    assert only(gone)["id"] == only(gone, move("ADT-22", "2024-06-01"))["id"]
    assert only(gone)["period"] == {"start": "2024-06-01", "end": "2024-06-05"}


def test_a_readmission_on_the_same_day() -> None:
    day = "2024-06-01T{}:00:00+09:00".format
    told = [move("ADT-22", day("08")), move("ADT-52", day("12")), move("ADT-22", day("18")), move("ADT-31", day("20"))]
    assert stays(*told) == [("finished", day("08"), day("12")), ("onleave", day("18"), None)]


def test_movements_without_admission_and_discharge_are_one_stay_until_such_an_event_parts_them() -> None:
    assert only(LEFT, BACK, MOVED)["status"] == "in-progress"
    parted = stays(move("ADT-31", "2024-06-03"), move("ADT-22", "2024-06-10"), move("ADT-42", "2024-06-12"))
    assert sorted(status for status, *_ in parted) == ["in-progress", "onleave"]
    before = stays(move("ADT-42", "2024-06-03"), move("ADT-52", "2024-06-05"))
    assert before == [("finished", None, "2024-06-05")]


def test_a_cancel_may_be_less_precise_than_its_event_or_name_only_the_stay() -> None:
    whole_day = move("ADT-42", "2024-06-06", version="2", cancelled=True)
    assert places(only(ADMITTED, MOVED, whole_day)) == places(only(ADMITTED))
    no_time = move("ADT-52", "", version="2", cancelled=True, admitted_at="2024-06-01T10:00:00+09:00")
    assert only(ADMITTED, GONE, no_time)["status"] == "in-progress"


def test_a_cancel_that_finds_nothing_is_told_and_still_counts() -> None:
    cancel = move("ADT-42", "2024-06-07", version="2", cancelled=True)
    assert unmatched([ADMITTED, MOVED, cancel]) == [cancel]
    assert unmatched([ADMITTED, MOVED, replace(MOVED, cancelled=True, source_time="2", source="c")]) == []
    made = project([ADMITTED, MOVED, cancel])
    assert places(made[0]) == places(only(ADMITTED, MOVED))
    assert len(made) == 4


def test_a_movement_before_its_admission_was_cancelled_belongs_to_it() -> None:
    cancel = replace(ADMITTED, cancelled=True, source_time="9", source="cancel")
    assert [status for status, *_ in stays(ADMITTED, MOVED, cancel)] == ["cancelled"]
    later = replace(MOVED, source_time="99")
    assert sorted(status for status, *_ in stays(ADMITTED, later, cancel)) == ["cancelled", "in-progress"]


def test_a_change_of_doctor_of_an_outpatient_is_no_event_of_the_stay() -> None:
    outside = move("ADT-01", "2024-06-02", participant=[doctor("b")], **{"class": {"code": "AMB"}})
    assert len(stays(ADMITTED, outside)) == 2


def test_a_planned_time_does_not_say_which_stay() -> None:
    """A discharge planned for after the real one."""
    assert len(stays(ADMITTED, TO_LEAVE, GONE)) == 1


def test_events_stored_before_places_had_a_status() -> None:
    old = {"location": [{"location": {"identifier": {"value": "3E"}, "display": "3E"}}]}
    assert places(only(admission("2024-06-01", **old))) == [("3E", "active", None, None)]


# -- any order --------------------------------------------------------------------------------------------------------

days = st.sampled_from(["2024-06-01", "2024-06-02", "2024-06-03T10:00:00+09:00", "2024-06-03", "2024-06", ""])
events = st.builds(
    move,
    st.sampled_from(["ADT-01", "ADT-21", "ADT-22", "ADT-31", "ADT-32", "ADT-41", "ADT-42", "ADT-51", "ADT-52"]),
    days,
    st.sampled_from([place("a"), place("b"), place("a", "planned")]),
    version=st.sampled_from("123"),
    cancelled=st.booleans(),
    admitted_at=st.sampled_from(["", "", "2024-06-01", "2024-06-02T09:00:00+09:00"]),
    recorded_at=days,
    participant=st.sampled_from([[doctor("a")], [doctor("b")]]),
)


@given(st.data())
def test_the_order_of_arrival_never_matters(data: st.DataObject) -> None:
    # One message has one source: two different events cannot come from the same one.
    drawn = data.draw(st.lists(events, max_size=7, unique_by=lambda one: one.source))
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


def _reversed(period: dict[str, Any]) -> bool:
    ends = [times.utc_range(period[key])[n] for n, key in ((0, "start"), (1, "end")) if key in period]
    return len(ends) == 2 and ends[1] <= ends[0]


@given(st.lists(events, max_size=7, unique_by=lambda one: one.source))
def test_no_period_ends_before_it_begins(drawn: list[StayEvent]) -> None:
    for made in project(drawn):
        if made["resourceType"] == "Encounter":
            parts = [made]
            parts += [entry for key in ("statusHistory", "location", "participant") for entry in made.get(key, ())]
            assert not any(_reversed(part["period"]) for part in parts if "period" in part)
