"""Every cell of the item tables (3.1-3.5) and every rule between cells (8)."""

from decimal import Decimal
from typing import Any

import pytest

from gateway.translate.exchange_spec.exact import Exponent
from gateway.translate.exchange_spec.items import Item, record_types
from gateway.translate.exchange_spec.registers import Registers
from tests.translate.exchange_spec.making import (
    GONE,
    LISTS,
    RECORDS,
    codes,
    convert,
    envelope,
    observations,
    one,
    person,
    record,
)

CELLS = [(type_.name, item) for type_ in record_types().values() for item in type_.items.values()]
IDS = [f"{type_}.{item.name}" for type_, item in CELLS]
cells = pytest.mark.parametrize(("type_", "item"), CELLS, ids=IDS)


def _of(*kinds: str) -> Any:
    chosen = [(type_, item) for type_, item in CELLS if item.kind in kinds]
    return pytest.mark.parametrize(("type_", "item"), chosen, ids=[f"{type_}.{item.name}" for type_, item in chosen])


def test_the_activity_table_is_that_of_the_convention() -> None:
    items = record_types()["activity_monitor"].items
    assert [(item.name, item.kind, item.digits, item.must) for item in items.values()] == [
        ("observation_time", "date", 14, True),
        ("step", "integer", 5, True),
        ("walk_time", "integer", 4, False),
        ("moderate_intensity_activity", "integer", 4, False),
        ("calories", "number", 6, False),
        ("total_calories", "number", 6, False),
        ("model_manufacturer_code", "string", 50, True),
        ("model_number", "string", 50, True),
        ("production_specification_serial", "string", 50, True),
        ("total_active_duration", "integer", 4, True),
        ("data_input_code", "code", 1, True),
        ("measurement_position_code", "code", 2, False),
        ("origin_of_time_code", "code", 1, True),
        ("update_time", "date", 17, True),
    ]


@pytest.mark.parametrize("type_", RECORDS)
def test_a_whole_record_has_no_finding(type_: str) -> None:
    assert RECORDS[type_].keys() == record_types()[type_].items.keys()
    assert codes(one(type_)) == []


@cells
def test_a_missing_item_is_an_error_when_it_is_mandatory(type_: str, item: Item) -> None:
    assert codes(one(type_, **{item.name: GONE})) == ([f"E-REQUIRED:{item.name}"] if item.must else [])


@cells
@pytest.mark.parametrize("empty", [None, ""])
def test_null_and_empty_are_absent(type_: str, item: Item, empty: Any) -> None:
    absent = [f"E-REQUIRED:{item.name}"] if item.must else []
    assert sorted(codes(one(type_, **{item.name: empty}))) == sorted([*absent, "W-EMPTY"])


@cells
@pytest.mark.parametrize("value", [True, [], {}, [1], {"a": 1}])
def test_what_is_neither_number_nor_text_is_no_value(type_: str, item: Item, value: Any) -> None:
    assert codes(one(type_, **{item.name: value})) == [f"E-TYPE:{item.name}"]


@_of("string", "code", "date")
@pytest.mark.parametrize("value", [0, 1, Decimal("1.0"), Exponent("1E5")])
def test_a_number_is_no_text(type_: str, item: Item, value: Any) -> None:
    assert codes(one(type_, **{item.name: value})) == [f"E-TYPE:{item.name}"]


@_of("string")
def test_text_may_have_so_many_characters_and_no_more(type_: str, item: Item) -> None:
    lists = {name: rows for name, rows in LISTS.items() if name != "labs"}
    assert codes(one(type_, Registers.of(lists), **{item.name: "字" * item.digits})) == []
    assert codes(one(type_, **{item.name: "a" * (item.digits + 1)})) == [f"E-DIGITS:{item.name}"]
    assert codes(one(type_, **{item.name: "  "})) in ([f"E-TYPE:{item.name}"], [f"E-DIGITS:{item.name}"])
    assert codes(one(type_, **{item.name: "\x01"})) == [f"E-TYPE:{item.name}"]


@_of("code")
def test_codes_are_those_of_the_list(type_: str, item: Item) -> None:
    for code in item.codes:
        assert codes(one(type_, **{item.name: code})) == []
    for code in ("9", "00", "x", "12", " 1", "１"):
        expected = "E-DIGITS" if len(code) > item.digits else "E-CODE"
        if code not in item.codes:
            assert codes(one(type_, **{item.name: code})) == [f"{expected}:{item.name}"]


@_of("integer", "number")
def test_numbers_have_so_many_digits_with_the_point(type_: str, item: Item) -> None:
    longest = "9" * (item.digits + 1)
    assert codes(one(type_, **{item.name: int(longest)})) == [f"E-DIGITS:{item.name}"]
    padded = Decimal("1." + "0" * (item.digits - 1))
    assert codes(one(type_, **{item.name: padded}))[0] == f"E-DIGITS:{item.name}"


@_of("integer")
def test_integers_have_no_fraction(type_: str, item: Item) -> None:
    assert codes(one(type_, **{item.name: Decimal("30.5")})) == [f"E-TYPE:{item.name}"]
    assert f"E-TYPE:{item.name}" not in codes(one(type_, **{item.name: Decimal("5.0")}))


def test_an_integer_written_with_a_zero_fraction_is_that_integer() -> None:
    made = one("activity_monitor", step=Decimal("5.0"))
    assert codes(made) == [] and observations(made)["step"]["valueQuantity"]["value"] == 5


@_of("number")
def test_calories_have_one_decimal_at_most(type_: str, item: Item) -> None:
    expected = [f"E-DIGITS:{item.name}"] if item.decimals == 1 else []
    assert codes(one(type_, **{item.name: Decimal("9.25")})) == expected


@_of("integer", "number")
def test_values_outside_of_the_range_are_refused(type_: str, item: Item) -> None:
    assert item.low is not None and item.high is not None
    below = int(item.low) - 1
    above = int(item.high) + 1
    assert f"{below}" and codes(one(type_, **{item.name: below}))[0] == f"E-RANGE:{item.name}"
    code = "E-DIGITS" if len(str(above)) > item.digits else "E-RANGE"
    assert codes(one(type_, **{item.name: above}))[0] == f"{code}:{item.name}"


@pytest.mark.parametrize(
    ("type_", "item", "value"),
    [
        ("activity_monitor", "step", 0),
        ("activity_monitor", "step", 99999),
        ("activity_monitor", "calories", Decimal("9999.9")),
        ("activity_monitor", "total_active_duration", 1440),
        ("weighing_scale", "body_weight", 1),
        ("weighing_scale", "body_weight", Decimal("500.00")),
        ("weighing_scale", "body_fat", 100),
        ("blood_pressure", "systolic", 300),
        ("blood_pressure", "diastolic", 10),
        ("blood_pressure", "pulse_rate", 300),
        ("hba1c", "hba1c_value", Decimal("2.0")),
        ("hba1c", "hba1c_value", Decimal("25.0")),
    ],
)
def test_the_ends_of_the_range_are_inside(type_: str, item: str, value: Any) -> None:
    assert codes(one(type_, **{item: value})) == []


@_of("integer", "number")
@pytest.mark.parametrize(
    "text", ["1e1", "1,0", "１２", "+5", " 5", "5 ", "05", ".5", "5.", "NaN", "Infinity", "0x5", "5_0", "-", "五"]
)
def test_text_that_is_no_plain_number_is_refused(type_: str, item: Item, text: str) -> None:
    assert codes(one(type_, **{item.name: text})) == [f"E-TYPE:{item.name}"]


@_of("integer", "number")
def test_an_exponent_is_refused(type_: str, item: Item) -> None:
    assert codes(one(type_, **{item.name: Exponent("3e1")})) == [f"E-TYPE:{item.name}"]


@pytest.mark.parametrize(
    ("type_", "item", "text", "value"),
    [("weighing_scale", "body_weight", "72.50", Decimal("72.50")), ("weighing_scale", "body_fat", "24", 24)],
)
def test_a_number_as_text_is_read_with_a_warning(type_: str, item: str, text: str, value: Any) -> None:
    made = one(type_, **{item: text})
    assert codes(made) == ["W-NUMERIC-STRING"]
    found = observations(made)[item]["valueQuantity"]["value"]
    assert (str(found), type(found)) == (str(value), type(value))


@_of("date")
@pytest.mark.parametrize(
    "day", ["20170231", "20171301", "20170001", "20170100", "20170229", "00000101", "2017100a", "２０１７１００１"]
)
def test_a_day_that_does_not_exist_is_refused(type_: str, item: Item, day: str) -> None:
    assert codes(one(type_, **{item.name: day + "0" * (item.digits - 8)})) == [f"E-DATE:{item.name}"]


@_of("date")
@pytest.mark.parametrize("clock", ["240000", "236000", "235960", "250000"])
def test_a_time_that_does_not_exist_is_refused(type_: str, item: Item, clock: str) -> None:
    text = ("20171001" + clock).ljust(item.digits, "0")
    assert codes(one(type_, **{item.name: text})) == [f"E-DATE:{item.name}"]


@_of("date")
def test_dates_have_exactly_their_digits(type_: str, item: Item) -> None:
    assert codes(one(type_, **{item.name: "2" * (item.digits + 1)})) == [f"E-DIGITS:{item.name}"]
    for digits in ("20171001", "201710011200", "2017100112000", "2017-10-01T0"):
        assert codes(one(type_, **{item.name: digits})) == [f"E-DATE:{item.name}"]


def test_a_leap_day_exists_in_a_leap_year() -> None:
    assert codes(one("activity_monitor", observation_time="20160229000000")) == ["W-OUTSIDE-PERIOD"]


@pytest.mark.parametrize("type_", RECORDS)
def test_an_update_time_of_14_digits_is_read_as_000(type_: str) -> None:
    made = one(type_, update_time="20171005093000")
    assert codes(made) == ["W-UPDATE14"]
    assert {each["issued"] for each in observations(made).values()} == {"2017-10-05T09:30:00.000+09:00"}


# -- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("type_", RECORDS)
def test_the_other_name_of_the_input_code_is_read(type_: str) -> None:
    assert codes(one(type_, data_input_code=GONE, input_method_code="1")) == []
    assert codes(one(type_, input_method_code=RECORDS[type_]["data_input_code"])) == []
    assert codes(one(type_, data_input_code="0", input_method_code="1")) == ["E-CONFLICT"]


@pytest.mark.parametrize("type_", RECORDS)
def test_the_misspelled_observation_time_is_read_with_a_warning(type_: str) -> None:
    time = RECORDS[type_]["observation_time"]
    assert codes(one(type_, observation_time=GONE, ovservation_time=time)) == ["W-ALIAS"]
    found = codes(one(type_, ovservation_time="20171001235900"))
    assert sorted(found) == ["E-CONFLICT", "W-ALIAS"]


def test_an_unknown_key_is_kept_and_said() -> None:
    made = one("activity_monitor", distance=Decimal("5.10"), exercise="")
    assert codes(made) == ["W-UNKNOWN-KEY", "W-UNKNOWN-KEY"]
    kept = [e for e in observations(made)["activity-record"]["extension"] if e["url"].endswith("exchange-unmapped")]
    assert [each["valueString"] for each in kept] == ['{"distance":5.10,"exercise":""}']


# -- between items ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("type_", ["blood_pressure", "checkup_blood_pressure"])
@pytest.mark.parametrize(("systolic", "diastolic"), [(80, 132), (90, 90)])
def test_systolic_is_above_diastolic(type_: str, systolic: int, diastolic: int) -> None:
    assert codes(one(type_, systolic=systolic, diastolic=diastolic)) == ["E-RANGE:diastolic"]


@pytest.mark.parametrize("item", ["walk_time", "moderate_intensity_activity"])
def test_no_more_minutes_are_spent_than_were_watched(item: str) -> None:
    assert codes(one("activity_monitor", total_active_duration=74, **{item: 74})) == []
    assert codes(one("activity_monitor", total_active_duration=74, **{item: 75})) == [f"E-RANGE:{item}"]


@pytest.mark.parametrize(
    "changes", [{"measurement_method_code": "000009"}, {"hba1c_value": "6.3 (JDS)"}, {"unit": "%(JDS)"}]
)
def test_jds_is_refused_and_not_converted(changes: dict[str, Any]) -> None:
    assert "E-UNIT" in codes(one("hba1c", **changes))
    assert observations(one("hba1c", **changes)) == {}


@pytest.mark.parametrize(
    ("time", "found"),
    [
        ("20171006210000", []),
        ("20171006210001", ["W-FUTURE"]),
        ("20170831235959", ["W-OUTSIDE-PERIOD"]),
        ("20180401000000", ["W-OUTSIDE-PERIOD", "W-FUTURE"]),
    ],
)
def test_a_time_that_cannot_be_is_said_and_stored(time: str, found: list[str]) -> None:
    made = one("weighing_scale", observation_time=time)
    assert sorted(codes(made)) == sorted(found) and "body_weight" in observations(made)


@pytest.mark.parametrize("type_", ["hba1c", "checkup_blood_pressure"])
def test_a_laboratory_outside_of_its_list_is_refused(type_: str) -> None:
    assert codes(one(type_, test_lab_id="LAB9")) == ["E-CODE:test_lab_id"]
    assert codes(one(type_, Registers(), test_lab_id="LAB9")) == []


def test_ranges_of_the_operator_count() -> None:
    ranges = {"step": (Decimal(0), Decimal(100)), "diastolic": (Decimal(1), Decimal(200))}
    registers = Registers.of(LISTS, ranges=ranges)
    assert codes(one("activity_monitor", registers, step=101)) == ["E-RANGE:step"]
    assert codes(one("blood_pressure", registers, diastolic=5)) == []


# -- what is refused --------------------------------------------------------------------------------------------------


def test_a_bad_record_is_refused_alone() -> None:
    good, bad = record("activity_monitor"), record("activity_monitor", observation_time="20171002000000", step="many")
    (made,) = convert(envelope(person(activity_monitor=[bad, good], weighing_scale=[record("weighing_scale")])))
    assert made.error is None and codes(made) == ["E-TYPE:step"] and len(made.parts) == 2
    where = "/person_information/0/healthcare_information/activity_monitor/0/step"
    assert [issue.where for issue in made.translated.issues if issue.severity == "error"] == [where]


def test_all_findings_of_a_record_are_said() -> None:
    found = codes(one("activity_monitor", step=GONE, calories=Decimal("1.23"), data_input_code="7"))
    assert found == ["E-REQUIRED:step", "E-DIGITS:calories", "E-CODE:data_input_code"]
