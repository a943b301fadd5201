"""gateway/translate/usage.py: TQ1 and the supplements of a usage. (Doses and routes: test_dosage.py.)"""

from decimal import Decimal
from typing import Any

import pytest

from gateway.translate.usage import uneven_doses
from tests.translate.messages import codes, only, places, read, residue

RXE = "RXE||103831601^薬^HOT9|1||TAB^錠^MR9P"
DAILY = "1011000400000000&１日１回朝食後&JAMISDP01"


def dosage(*segments: str, data_type: str = "OMP-01") -> Any:
    made = only(read(data_type, "ORC|NW|1||1|||||20240601", RXE, *segments), "MedicationRequest")
    (found,) = made["dosageInstruction"]
    return found


def repeat(*segments: str, **more: str) -> Any:
    return dosage(*segments, **more)["timing"].get("repeat")


@pytest.mark.parametrize(
    ("supplement", "bound"),
    [("", True), ("~I1100000&隔日&JAMISDP01", False), ("~W0100100&月・木曜日&JAMISDP01", False)],
)
def test_days_bound_a_timing_only_where_every_day_counts(supplement: str, bound: bool) -> None:
    found = repeat(f"TQ1|1||{DAILY}{supplement}|||7^d")
    assert ("boundsDuration" in found) is bound
    if bound:
        assert found["boundsDuration"] == {"value": 7, "unit": "日", "system": "http://unitsofmeasure.org", "code": "d"}


def test_a_timing_as_needed_has_no_bounds() -> None:
    assert repeat("TQ1|1||1050110000000000&疼痛時&JAMISDP01|||7^d") is None


def test_a_second_usage_code_leaves_no_timing() -> None:
    both = f"TQ1|1||{DAILY}~1011100000000000&１日１回就寝前&JAMISDP01"
    found = dosage(both)
    assert "repeat" not in found["timing"]
    assert found["additionalInstruction"][0]["coding"][0]["code"] == "1011100000000000"
    converted = read("OMP-01", "ORC|NW|1||1|||||20240601", RXE, both)
    assert "usage-incomplete" in codes(converted)
    assert "repeat" in dosage(f"TQ1|1||{DAILY}~{DAILY}")["timing"]  # the same code twice


@pytest.mark.parametrize(
    ("sent", "words", "conflict"),
    [
        ("W0000100", "火曜日、木曜日", True),
        ("W0000100", "木曜日", False),
        ("W0100100", "月・木曜日", False),
        ("V22NNNNN", "不均等・１回目・２単位量", True),
        ("V22NNNNN", "不均等・２回目・２単位量", False),
        ("V22NNNNN", "不均等・２回目・１単位量", True),
        ("I1100000", "隔日", False),
        ("W0100100", "火・木", True),
        ("W0100100", "毎週月木", False),
    ],
)
def test_words_of_a_supplement_that_say_something_else(sent: str, words: str, conflict: bool) -> None:
    converted = read("OMP-01", "ORC|NW|1||1|||||20240601", RXE, f"TQ1|1||{DAILY}~{sent}&{words}&JAMISDP01")
    assert places(converted, "usage-conflict") == (["TQ1[1]-3"] if conflict else [])
    (found,) = only(converted, "MedicationRequest")["dosageInstruction"]
    assert found["additionalInstruction"][0]["text"] == words
    if sent == "W0000100":
        assert found["timing"]["repeat"]["dayOfWeek"] == ["thu"]


def test_times_of_the_clock_stand_instead_of_meals() -> None:
    found = repeat(f"TQ1|1||{DAILY}|0700~183015")
    assert found["timeOfDay"] == ["07:00:00", "18:30:15"]
    assert "when" not in found and found["frequency"] == 1


def test_a_time_that_no_clock_shows_is_residue() -> None:
    converted = read("OMP-01", "ORC|NW|1||1|||||20240601", RXE, "TQ1|1|||2500~朝")
    assert residue(converted) == {"TQ1[1]-4": "2500 朝"}


@pytest.mark.parametrize(
    ("sent", "duration", "left"),
    [
        ("5^hr", ("5", "h"), {}),
        ("30^min&分&ISO+", ("30", "min"), {}),
        ("1.5^時間", ("1.5", "h"), {}),
        ("5^hr&ゆっくり", ("5", "h"), {"TQ1[1]-13.2": "ゆっくり"}),
        ("5^ml", None, {"TQ1[1]-13": "5^ml", "TQ1[1]-13.2": "ml"}),
        ("-5^hr", None, {"TQ1[1]-13": "-5^hr"}),
        ("5^hr&分", None, {"TQ1[1]-13": "5^hr&分"}),
    ],
)
def test_how_long_one_administration_takes(sent: str, duration: Any, left: dict[str, str]) -> None:
    converted = read("OMP-02", "ORC|NW|1||1|||||20240601", RXE, f"TQ1|1||||||20240601||||||{sent}")
    found = only(converted, "MedicationRequest")["dosageInstruction"][0]["timing"]["repeat"]
    assert (found.get("duration"), found.get("durationUnit")) == (
        (Decimal(duration[0]), duration[1]) if duration else (None, None)
    )
    assert residue(converted) == left


def test_a_condition_instructs_in_words_as_jp_core_has_no_coded_one() -> None:
    found = dosage("TQ1|1|||||||||熱が38度を超えたとき")
    assert found["additionalInstruction"] == [{"text": "熱が38度を超えたとき"}]
    assert "asNeededBoolean" not in found


def test_a_negative_number_of_days_is_residue() -> None:
    converted = read("OMP-01", "ORC|NW|1||1|||||20240601", RXE, "TQ1|1|||||-5^d")
    assert residue(converted) == {"TQ1[1]-6": "-5^d"} and "amount-not-positive" in codes(converted)


def test_uneven_doses_by_the_number_of_the_dose() -> None:
    system = "http://jami.jp/CodeSystem/MedicationUsageAdditional"
    instructions = [{"coding": [{"system": system, "code": code}]} for code in ("V21NNNNN", "V10.5NNN", "I1100000")]
    assert uneven_doses({"additionalInstruction": instructions}) == {1: Decimal("0.5"), 2: Decimal(1)}


@pytest.mark.parametrize(
    "sent",
    [
        "1011040000000000&&JAMISDP01&U01&朝食後&99XYZ",
        "U01&１日１回朝食後&99XYZ&1011040000000000&&JAMISDP01",
        "U01&１日１回朝食後&99XYZ&1011040000000000&１日１回夕食後&JAMISDP01",
    ],
)
def test_words_of_the_facilitys_own_code_count_as_well(sent: str) -> None:
    converted = read("OMP-01", "ORC|NW|1||1|||||20240601", RXE, f"TQ1|1||{sent}")
    assert places(converted, "usage-conflict") == ["TQ1[1]-3"]
    (found,) = only(converted, "MedicationRequest")["dosageInstruction"]
    assert "repeat" not in found["timing"] and "朝食後" in found["text"]


def test_a_usage_whose_parts_are_components_is_read() -> None:
    converted = read("OMP-01", "ORC|NW|1||1|||||20240601", RXE, "TQ1|1||1011000400000000^朝食後^JAMISDP01")
    (found,) = only(converted, "MedicationRequest")["dosageInstruction"]
    assert found["timing"]["code"]["text"] == "朝食後" and found["timing"]["repeat"]["when"] == ["PCM"]
    assert residue(converted) == {}


def test_other_instructions_stand_in_the_text() -> None:
    sent = "RXE||103831601^薬^HOT9|1||TAB^錠^MR9P||3^夕から^JHSP0005"
    converted = read("OMP-01", "ORC|NW|1||1|||||20240601", sent, f"TQ1|1||{DAILY}|||||||熱が高いとき")
    (found,) = only(converted, "MedicationRequest")["dosageInstruction"]
    assert found["text"] == "１日１回朝食後 夕から 熱が高いとき 1回1錠"


def test_uneven_doses_without_a_dose_have_the_unit_of_the_day() -> None:
    sent = "RXE||1^薬^99X|||TAB^錠^MR9P||V12NNNNN^^JAMISDP01~V21NNNNN^^JAMISDP01" + "|" * 12 + "3^TAB&錠&MR9P"
    converted = read("OMP-01", "ORC|NW|1||1|||||20240601", sent, "TQ1|1||1012040400000000&朝夕食後&JAMISDP01")
    (found,) = only(converted, "MedicationRequest")["dosageInstruction"]
    assert found["text"] == "朝夕食後 1回目2錠 2回目1錠"


def test_a_supplement_that_stands_before_the_usage_is_no_usage() -> None:
    found = dosage("TQ1|1||I1100000&隔日&JAMISDP01~1011000400000000&朝食後&JAMISDP01")
    assert found["timing"]["code"]["text"] == "朝食後" and found["timing"]["repeat"]["period"] == 2
    assert found["additionalInstruction"][0]["text"] == "隔日"


@pytest.mark.parametrize(
    ("sent", "days"), [("2^W&週&ISO+", 14), ("１０^D", 10), ("1^wk", 7), ("5^D&日間&ISO+", 5), ("7 ^d", 7)]
)
def test_days_of_intake_in_other_ways(sent: str, days: int) -> None:
    converted = read("OMP-01", "ORC|NW|1||1|||||20240601", RXE, f"TQ1|1||{DAILY}|||{sent}")
    made = only(converted, "MedicationRequest")
    assert made["dispenseRequest"]["expectedSupplyDuration"]["value"] == days
    assert residue(converted) == {}
