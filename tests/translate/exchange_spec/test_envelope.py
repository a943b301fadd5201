"""Bytes, header, persons and groups of an exchange file (2, 2.1, 8)."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.translate.exchange_spec import exact
from gateway.translate.exchange_spec.envelope import MAX_DEPTH
from gateway.translate.exchange_spec.registers import Registers
from tests.translate.exchange_spec.making import GONE, LISTS, codes, convert, envelope, observations, person, record

GOOD = envelope(person(weighing_scale=[record("weighing_scale")]))
DATA = exact.dumps(GOOD)


def fault(document: Any, registers: Registers | None = None) -> tuple[str, str]:
    """(the sheet's code, pointer) of what refuses the file."""
    (made,) = convert(document, registers)
    assert made.error is not None and made.resources == () and made.error.severity == "fatal"
    return made.error.text.partition(" ")[0], made.error.where


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        DATA + b"x",
        DATA[:-3],
        DATA.replace(b'"1.0"', b"NaN"),
        DATA.replace(b'"1.0"', b"Infinity"),
        DATA.replace(b'"1.0"', b'"\\ud800"'),
        DATA.replace(b'"1.0"', b'"\x01"'),
        DATA.replace(b'"1.0"', b"01"),
        DATA.replace(b'"consortium_id"', b'"send_time"'),
        DATA.replace(b'"body_fat"', b'"body_weight"'),
        DATA.replace(b"72.50", b"7" * 41),
        DATA.replace(b"72.50", b"7." + b"0" * 41),
        DATA.replace(b"72.50", b"1e" + b"9" * 41),
    ],
)
def test_what_is_no_json_without_loss_is_refused(data: bytes) -> None:
    assert fault(data) == ("E-JSON", "")


@pytest.mark.parametrize("charset", ["cp932", "euc_jp", "utf-16"])
def test_another_encoding_is_refused(charset: str) -> None:
    text = json.dumps(envelope({"person_id": "P1", "note": "日本"}), ensure_ascii=False)
    assert fault(text.encode(charset)) == ("E-ENCODING", "")


def test_a_mark_at_the_beginning_is_said_and_read() -> None:
    (made,) = convert(b"\xef\xbb\xbf" + DATA)
    assert codes(made) == ["W-BOM"] and observations(made)


@pytest.mark.parametrize("deep", ["[" * 99 + "]" * 99, '{"a":' * 60_000 + "1" + "}" * 60_000])
def test_depth_has_a_limit(deep: str) -> None:
    code, _ = fault(DATA.replace(b'"1.0"', deep.encode()))
    assert code in ("E-LIMIT", "E-JSON")
    assert MAX_DEPTH < 60


# -- header -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "value", "code"),
    [
        ("format_version", GONE, "E-HEADER"),
        ("format_version", "", "E-HEADER"),
        ("format_version", None, "E-HEADER"),
        ("format_version", 1, "E-HEADER"),
        ("format_version", "1.1", "E-VERSION"),
        ("format_version", "2.0", "E-VERSION"),
        ("format_version", "1.0.0", "E-VERSION"),
        ("send_time", GONE, "E-HEADER"),
        ("send_time", "20171005210000", "E-HEADER"),
        ("send_time", "201710052100001234", "E-HEADER"),
        ("send_time", "20171305210000123", "E-HEADER"),
        ("send_time", "20171005240000000", "E-HEADER"),
        ("send_time", 20171005210000123, "E-HEADER"),
        ("consortium_id", GONE, "E-HEADER"),
        ("consortium_id", "", "E-HEADER"),
        ("consortium_id", "TST0001", "E-HEADER"),
        ("consortium_id", "TST-01", "E-HEADER"),
        ("consortium_id", "ＴＳＴ", "E-HEADER"),
        ("consortium_id", 1, "E-HEADER"),
        ("consortium_id", "OTHER", "E-CONSORTIUM"),
        ("person_information", GONE, "E-NO-PERSON"),
        ("person_information", [], "E-NO-PERSON"),
        ("person_information", None, "E-NO-PERSON"),
        ("person_information", {}, "E-HEADER"),
        ("person_information", "P1", "E-HEADER"),
    ],
)
def test_a_bad_header_refuses_the_file(item: str, value: Any, code: str) -> None:
    assert fault(envelope(*GOOD["person_information"], **{item: value})) == (code, f"/{item}")


def test_all_that_is_wrong_with_a_header_is_said() -> None:
    (made,) = convert({"person_information": []})
    assert codes(made) == ["E-HEADER", "E-HEADER", "E-HEADER", "E-NO-PERSON"]


def test_another_version_is_read_when_it_is_configured() -> None:
    (made,) = convert(envelope(*GOOD["person_information"], format_version="1.1"), Registers(versions=("1.0", "1.1")))
    assert made.error is None and observations(made)


def test_a_consortium_that_is_not_checked_is_taken() -> None:
    (made,) = convert(envelope(*GOOD["person_information"], consortium_id="A1"), Registers())
    assert made.error is None


@pytest.mark.parametrize(
    ("lists", "said"),
    [((), "consortia, participants, labs"), (("consortia", "labs"), "participants"), (tuple(LISTS), "")],
)
def test_what_is_not_checked_is_said_once(lists: tuple[str, ...], said: str) -> None:
    made = convert(
        envelope({"person_id": "P0000001"}, {"person_id": "P0000002"}), Registers.of({n: LISTS[n] for n in lists})
    )
    found = [i.text for one in made for i in one.translated.issues if i.text.startswith("W-NO-LIST")]
    assert [text.endswith(f": {said}") for text in found] == ([True] if said else [])


def test_an_unknown_key_of_the_header_is_kept_and_said() -> None:
    (made,) = convert({**GOOD, "_expected": ["x"]})
    assert codes(made) == ["W-UNKNOWN-KEY"] and made.error is None


# -- persons ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"person_id": GONE}, "E-HEADER"),
        ({"person_id": ""}, "E-HEADER"),
        ({"person_id": "P" * 21}, "E-HEADER"),
        ({"person_id": "P-1"}, "E-HEADER"),
        ({"person_id": 1}, "E-HEADER"),
        ({"person_id": "P9"}, "E-PERSON"),
        ({"participant_id": "P0000002"}, "E-CONFLICT"),
    ],
)
def test_a_bad_person_is_refused_and_the_others_are_read(changes: dict[str, Any], code: str) -> None:
    bad = {**person(weighing_scale=[record("weighing_scale")]), **changes}
    bad = {name: value for name, value in bad.items() if value is not GONE}
    good = person("P0000002", weighing_scale=[record("weighing_scale")])
    first, second = convert(envelope(bad, good))
    assert first.error is not None and codes(first) == [code] and first.error.severity == "error"
    assert first.error.where == "/person_information/0/person_id"
    assert second.error is None and observations(second)


def test_a_person_that_is_no_object_is_refused() -> None:
    first, second = convert(envelope("P1", {"person_id": "P0000001"}))
    assert codes(first) == ["E-HEADER"] and second.error is None


def test_the_other_name_of_the_person_id_is_read() -> None:
    made = person(weighing_scale=[record("weighing_scale")])
    made["participant_id"] = made.pop("person_id")
    (one,) = convert(envelope(made))
    assert one.key[0] == "P0000001" and codes(one) == []


def test_a_person_without_records_is_a_patient() -> None:
    (made,) = convert(envelope({"person_id": "P0000001", "healthcare_information": {}}))
    assert [r["resourceType"] for r in made.resources] == ["Patient", "Organization", "Provenance"]


# -- groups and arrays ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["activity_monitor", "activity", "physical_activity", "pedometer"])
def test_activity_is_read_under_each_of_its_names(name: str) -> None:
    group = {name: [record("activity_monitor")]}
    (made,) = convert(envelope({"person_id": "P0000001", "healthcare_information": group}))
    assert codes(made) == [] and "step" in observations(made)


def test_the_group_decides_which_blood_pressure_it_is() -> None:
    records = {
        "blood_pressure": [record("blood_pressure")],
        "checkup_blood_pressure": [record("checkup_blood_pressure")],
    }
    (made,) = convert(envelope(person(**records)))
    found = {
        component["code"]["coding"][1]["code"]
        for resource in made.resources
        for component in resource.get("component", ())
    }
    assert found == {"9A751170100000001", "9A761170100000001", "9A751000000000001", "9A761000000000001"}


def test_a_group_may_be_an_array_of_objects() -> None:
    pieces = [{"weighing_scale": [record("weighing_scale")]}, {"blood_pressure": [record("blood_pressure")]}]
    (made,) = convert(envelope({"person_id": "P0000001", "healthcare_information": pieces}))
    assert codes(made) == [] and {"body_weight", "blood_pressure"} <= observations(made).keys()


@pytest.mark.parametrize(
    ("group", "found"),
    [
        (None, ["W-EMPTY"]),
        ("x", ["E-TYPE:healthcare_information"]),
        ([1], ["E-TYPE:healthcare_information"]),
        ({"weighing_scale": None}, ["W-EMPTY"]),
        ({"weighing_scale": {}}, ["E-TYPE:weighing_scale"]),
        ({"weighing_scale": ["x"]}, ["E-TYPE:weighing_scale"]),
        ({"blood_glucose": [{}]}, ["W-UNKNOWN-TYPE"]),
        ({"hba1c": []}, ["W-UNKNOWN-TYPE"]),
        ({"height": 170}, ["W-UNKNOWN-KEY"]),
    ],
)
def test_odd_groups_and_arrays(group: Any, found: list[str]) -> None:
    (made,) = convert(envelope({"person_id": "P0000001", "healthcare_information": group}))
    assert codes(made) == found


# -- anything at all --------------------------------------------------------------------------------------------------

_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.text(max_size=5)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def _damage(document: Any, draw: Any) -> Any:
    """The document with one value anywhere replaced."""
    if isinstance(document, dict) and document and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(sorted(document)))
        return {**document, key: _damage(document[key], draw)}
    if isinstance(document, list) and document and draw(st.integers(0, 3)):
        at = draw(st.integers(0, len(document) - 1))
        return [*document[:at], _damage(document[at], draw), *document[at + 1 :]]
    return draw(_json)


WHOLE = envelope(person(**{name: [record(name)] for name in ("activity_monitor", "hba1c", "blood_pressure")}))


def _never_raises(data: st.DataObject) -> None:
    for one in convert(exact.dumps(_damage(WHOLE, data.draw))):
        assert one.error is not None or one.patient_id is not None
        assert all(issue.where == "" or issue.where.startswith("/") for issue in one.translated.issues)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_file_is_answered_and_never_raises(data: st.DataObject) -> None:
    _never_raises(data)


@pytest.mark.long
@settings(max_examples=20_000, deadline=None)
@given(st.data())
def test_a_damaged_file_is_answered_and_never_raises_long(data: st.DataObject) -> None:
    _never_raises(data)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(DATA) - 1), st.binary(max_size=4))
def test_damaged_bytes_never_raise(at: int, new: bytes) -> None:
    convert(DATA[:at] + new + DATA[at + len(new) :])
