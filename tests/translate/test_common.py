"""gateway/translate/common.py: Provenance, periods, and segments no structure has a place for."""

import pytest

from gateway.translate.common import SHA256, Rules, reversed_period
from tests.translate.messages import OID, every, msh, only, places, read, residue, unmapped


def test_provenance_names_control_id_hash_and_file() -> None:
    converted = read("ADT-12")
    made = only(converted, "Provenance")
    assert made["recorded"] == "2024-06-01T12:00:00+09:00"
    values = [entity["what"]["identifier"] for entity in made["entity"]]
    assert values == [
        {"system": f"https://musubi.invalid/{OID}/message-control-id", "value": "20240601000001"},
        {"system": SHA256, "value": converted.sha256},
        {"system": f"https://musubi.invalid/{OID}/file", "value": converted.file},
    ]
    assert {target["reference"] for target in made["target"]} == {
        f"{r['resourceType']}/{r['id']}" for r in converted.resources if r is not made
    }


@pytest.mark.parametrize("time", ["202406011200", "20240601", ""])
def test_a_message_time_without_seconds_is_no_instant_and_is_not_padded(time: str) -> None:
    converted = read("ADT-12", head=msh("ADT-12", time=time))
    made = only(converted, "Provenance")
    assert "recorded" not in made
    assert made["_recorded"]["extension"][0]["valueCode"] == "unknown"
    assert places(converted, "time-imprecise") == (["MSH[1]-7"] if time else [])
    assert "MSH[1]-7" in unmapped(converted) or not time


def test_a_message_time_that_is_none_is_reported_as_that() -> None:
    converted = read("ADT-12", head=msh("ADT-12", time="00000000"))
    assert "recorded" not in only(converted, "Provenance")
    assert (places(converted, "bad-date"), places(converted, "time-imprecise")) == (["MSH[1]-7"], [])
    assert residue(converted)["MSH[1]-7"] == "00000000"


def test_two_versions_of_a_file_have_a_provenance_each() -> None:
    first, second = read("ADT-12", "PV1|1|O"), read("ADT-12", "PV1|1|I")
    assert only(first, "Encounter")["id"] == only(second, "Encounter")["id"]
    assert only(first, "Provenance")["id"] != only(second, "Provenance")["id"]


def test_transport_fields_are_left_out_on_purpose() -> None:
    converted = read("ADT-12")
    assert {f"MSH[1]-{n}" for n in (3, 4, 5, 6, 9, 11, 12, 18, 20)} <= unmapped(converted)
    assert residue(converted) == {}


def test_pv1_of_other_messages_is_told_elsewhere() -> None:
    converted = read("PPR-01", "PV1|1|O|06||||110^医師|||06|9", "PRB|AD|2024|1^病^99X|1")
    assert every(converted, "Practitioner") == []
    assert residue(converted) == {"PV1[1]-11": "9"}


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2024-06-02", "2024-06-01", True),
        ("2024-06-01", "2024-06-01", False),
        ("2024-06-01T10:00:00+09:00", "2024-06-01", False),
        ("2024-06", "2024-05-31", True),
        ("2024-06-01T10:00:00+09:00", "2024-06-01T09:59:59+09:00", True),
        ("2024-06-01T00:00:00+09:00", "2024-05-31T15:00:00Z", False),
    ],
)
def test_a_period_is_reversed_when_all_of_its_end_lies_before_its_beginning(
    start: str, end: str, expected: bool
) -> None:
    assert reversed_period(start, end) is expected


def test_rules_know_their_segments() -> None:
    rules = Rules(PID=("Patient",))
    assert "PID" in rules and "PV1" not in rules
    with pytest.raises(FileNotFoundError):
        Rules(PID=("NoSuchResource",)).compile()
