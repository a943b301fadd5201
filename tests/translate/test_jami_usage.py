"""gateway/translate/jami_usage.py: every code of JAHIS prescription section 6, and the published code list."""

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import mapping_files
from gateway.translate.jami_usage import (
    Supplement,
    Usage,
    agrees,
    decode,
    decode_supplement,
    encode,
    encode_supplement,
    timing_repeat,
)

PUBLISHED = Path(__file__).parents[2] / ".." / "shared" / "fhir" / "jp-core" / "jp-eprescription.json.gz"
METHODS = [row["code"] for row in mapping_files.read_csv(mapping_files.path("tables", "jami-usage-methods.csv"))]
SLOTS = list(mapping_files.read_csv(mapping_files.path("tables", "jami-usage-slots.csv")))


def daily(times: int, *when: str, **more: Any) -> dict[str, Any]:
    return {"frequency": times, "period": 1, "periodUnit": "d"} | ({"when": list(when)} if when else {}) | more


def known(code: str) -> Usage:
    usage = decode(code)
    assert usage is not None
    return usage


@pytest.mark.parametrize(
    ("code", "repeat", "words"),
    [
        ("1013044400000000", daily(3, "PCM", "PCD", "PCV"), "内服・経口・１日３回朝昼夕食後"),
        ("1012040400000000", daily(2, "PCM", "PCV"), "内服・経口・１日２回朝夕食後"),
        ("1011000400000000", daily(1, "PCM"), "内服・経口・１日１回朝食後"),
        ("1011004000000000", daily(1, "PCD"), "内服・経口・１日１回昼食後"),
        ("1011040000000000", daily(1, "PCV"), "内服・経口・１日１回夕食後"),
        ("1011100000000000", daily(1, "HS"), "内服・経口・１日１回就寝前"),
        ("1011000090000000", daily(1, "WAKE"), "内服・経口・１日１回起床時"),
        ("1011000100000000", daily(1, "ACM"), "内服・経口・１日１回朝食前"),
        ("1013033300000000", daily(3, "PCM", "PCD", "PCV"), "内服・経口・１日３回朝昼夕食直後"),
        ("1013022200000000", daily(3, "ACM", "ACD", "ACV"), "内服・経口・１日３回毎食直前"),
        ("1012140000000000", daily(2, "PCV", "HS"), "内服・経口・１日２回夕食後と就寝前"),
        ("1013055500000000", daily(3, "PCM", "PCD", "PCV", offset=120), "内服・経口・１日３回朝昼夕食後２時間"),
        ("1022000000000000", daily(2), "内服・経口・１日２回１２時間毎"),
        ("2B74000000000000", daily(4), "外用・塗布・１日４回"),
        ("2H73000000000000", daily(3), "外用・点眼・１日３回"),
        ("2R62090900000000", daily(2, "MORN", "EVE"), "外用・肛門挿入・１日２回朝夕"),
        ("2B84600000000000", {"frequency": 1, "period": 4, "periodMax": 6, "periodUnit": "h"}, "４～６時間毎"),
        ("1050110000000000", None, "内服・経口・疼痛時"),
        ("2B50810000000000", None, "外用・塗布・かゆい時"),
    ],
)
def test_attested_codes(code: str, repeat: dict[str, Any] | None, words: str) -> None:
    usage = known(code)
    assert (usage.method, usage.basic, usage.kind, usage.problems) == (code[:2], code[0], code[2], ())
    assert timing_repeat(usage) == repeat
    assert usage.as_needed == (repeat is None)
    assert agrees(usage, words) is True
    assert agrees(usage, usage.words) is True, "our own gloss says what the code says"


def test_parts_of_a_code() -> None:
    usage = known("1012140000000000")
    assert usage.slots == (("evening", "4"), ("bedtime", "1"))
    assert usage.words == "内服・経口・1日2回・夕食後・就寝前"
    assert known("1022000000000000").interval_hours == (12, 12)
    assert known("2B84600000000000").interval_hours == (4, 6)
    assert known("1050110000000000").event == "11"
    assert known("1025000000000000").interval_hours is None, "24 hours do not divide into five"


@pytest.mark.parametrize(
    "code",
    ["", "1", "101304440000000", "10130444000000000", "9999000000000000", "1013044600000000", "1011000010000000",
     "1091000000000000", "1041480000000000", "1010000000000000", "2B86400000000000", "2B80600000000000",
     "1022000400000000", "1051110000000000", "1Z13044400000000", "1013044400000-00", "１０１３０４４４００００００００",
     "1013044400000000\n", "TID", "10130ａ4400000000"],
)  # fmt: skip
def test_an_unknown_digit_leaves_a_code_only(code: str) -> None:
    assert decode(code) is None


def test_marked_times_must_be_as_many_as_times_per_day() -> None:
    for code in ("1013040400000000", "1012000000000000", "101514440P000000"):
        usage = known(code)
        assert any("times per day" in problem for problem in usage.problems)
        assert timing_repeat(usage) is None


def test_positions_after_nine_are_named_and_not_decoded() -> None:
    usage = known("3211000200000014")
    assert usage.problems == ("positions 10-16 are not decoded",)
    assert timing_repeat(usage) == daily(1, "ACM")


def test_mixed_offsets_give_no_when() -> None:
    assert timing_repeat(known("1012050400000000")) == daily(2)


@pytest.mark.parametrize(
    ("supplements", "repeat"),
    [
        ((), daily(2, "PCM", "PCV")),
        (("V11NNNNN", "V22NNNNN"), daily(2, "PCM", "PCV")),
        (("I1100000",), {"frequency": 2, "period": 2, "periodUnit": "d", "when": ["PCM", "PCV"]}),
        (("W0100100",), daily(2) | {"dayOfWeek": ["mon", "thu"], "when": ["PCM", "PCV"]}),
        (("I1100000", "W0100100"), None),
        (("W0100100", "W0000001"), None),
        (("D0AK0000",), None),
    ],
)
def test_supplements_change_the_repeat(supplements: tuple[str, ...], repeat: dict[str, Any] | None) -> None:
    found = timing_repeat(known("1012040400000000"), supplements)
    assert found == repeat
    assert found is None or list(found) == list(repeat or ()), "elements in the order of the specification"
    assert timing_repeat(known("2B84600000000000"), ("I1100000",)) is None, "hours and days do not combine"
    assert timing_repeat(known("1012040400000000")) == daily(2, "PCM", "PCV"), "nothing is left over from before"


def test_an_event_without_a_row_is_still_as_needed() -> None:
    usage = known("1050230000000000")
    assert usage.as_needed
    assert usage.event == "23"
    assert usage.problems
    assert timing_repeat(usage) is None


@pytest.mark.parametrize(
    ("code", "words", "expected"),
    [
        ("1011040000000000", "内服・経口・１日１回朝食後", False),
        ("1011040000000000", "夕食後", True),
        ("1011040000000000", "夕食前", False),
        ("1011040000000000", "夕食直後", False),
        ("1011040000000000", "１日１回", True),
        ("1011040000000000", "1日2回夕食後", False),
        ("1011040000000000", "毎食後", False),
        ("1011040000000000", "頓用", False),
        ("1011040000000000", "医師の指示通り", None),
        ("1011040000000000", "", None),
        ("1011040000000000", "夜", None),
        ("1013044400000000", "毎食後", True),
        ("1013044400000000", "分３　毎食後", True),
        ("1013044400000000", "一日三回食後", True),
        ("1013044400000000", "朝食後・昼食後・夕食後", True),
        ("1013044400000000", "朝・夕食後", False),
        ("1013044400000000", "食後", True),
        ("1013044400000000", "1日4回 毎食後と寝る前", False),
        ("1014144400000000", "1日4回 毎食後と寝る前", True),
        ("1022000000000000", "１２時間ごと", True),
        ("1022000000000000", "8時間おき", False),
        ("1022000000000000", "朝夕", True),
        ("1022000000000000", "朝昼夕", False),
        ("2B84600000000000", "4-6時間毎", True),
        ("2B84600000000000", "6時間毎", False),
        ("2H73000000000000", "１日３回　両眼", True),
        ("1013044400000000", "１日３回食前", False),
        ("1011000400000000", "朝食後３０分 ２錠", True),
        ("1013044400000000", "１日３回食直後", False),
        ("1013055500000000", "１日３回食間", True),
        ("1013055500000000", "１日３回食後2時間", True),
        ("1014144400000000", "１日４回食後と就寝前", True),
        ("1014111100000000", "１日４回食後と就寝前", False),
        ("1013044400000000", "１日３回食後と就寝前", False),
        ("2H73000000000000", "１日３回点耳", False),
        ("2H73000000000000", "外用・点眼・１日３回", True),
        ("2B73000000000000", "内服・１日３回", False),
        ("1013044400000000", "外用・１日３回", False),
        ("1013044400000000", "うがい後に服用 １日３回", True),
        ("1111000400000000", "内服・舌下・朝食後", True),
        ("2A71000000000000", "湿布 １日１回", True),
        ("2B50810000000000", "点眼 かゆい時", False),
        ("3271000000000000", "皮下 １日１回", True),
        ("3271000000000000", "静注 １日１回", False),
        ("1050110000000000", "頓服", True),
        ("1050110000000000", "かゆい時", False),
        ("1050110000000000", "1日3回毎食後", False),
        ("1050110000000000", "指示通り", None),
    ],
)
def test_code_against_words(code: str, words: str, expected: bool | None) -> None:
    assert agrees(known(code), words) is expected


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the shared FHIR packages are not here")
def test_published_code_list_agrees_with_its_words() -> None:
    resources = json.loads(gzip.decompress(PUBLISHED.read_bytes()))
    resources = resources if isinstance(resources, list) else resources.get("entry") or list(resources.values())
    lists = [r.get("resource", r) for r in resources if isinstance(r, dict)]
    concepts = [
        concept
        for found in lists
        if found.get("resourceType") == "CodeSystem" and found.get("url") == "urn:oid:1.2.392.200250.2.2.20.20"
        for concept in found.get("concept", [])
    ]
    assert len(concepts) > 50
    undecoded = [concept["code"] for concept in concepts if decode(concept["code"]) is None]
    assert undecoded == ["1041480000000000"], "空腹時 is the only one of a kind that one code alone shows"
    for concept in concepts:
        if concept["code"] not in undecoded:
            assert agrees(known(concept["code"]), concept["display"]) is True, concept["code"]


@given(st.sampled_from(METHODS), st.sampled_from("16"), st.data())
def test_every_code_of_attested_digits_decodes(method: str, kind: str, data: st.DataObject) -> None:
    marks = data.draw(st.lists(st.sampled_from(SLOTS), min_size=1, max_size=5, unique_by=lambda row: row["slot"]))
    digits = ["0"] * 5
    for row in marks:
        digits[int(row["position"]) - 5] = row["digit"]
    usage = known(f"{method}{kind}{len(marks)}{''.join(digits)}0000000")
    repeat = timing_repeat(usage)
    assert repeat is not None
    assert repeat["frequency"] == len(marks) == usage.times_per_day
    assert set(repeat.get("when", ())) <= {row["when"] for row in marks}
    assert agrees(usage, usage.words) is True


@given(st.sampled_from(METHODS), st.sampled_from("27"), st.integers(1, 9))
def test_every_count_decodes(method: str, kind: str, times: int) -> None:
    repeat = timing_repeat(known(f"{method}{kind}{times}{'0' * 12}"))
    assert repeat == daily(times)


@given(st.text(max_size=20) | st.text(alphabet="0123456789ABP", min_size=16, max_size=16), st.text(max_size=40))
def test_no_text_raises(code: str, words: str) -> None:
    usage = decode(code)
    decode_supplement(code)
    decode_supplement(code[:8])
    if usage is not None:
        timing_repeat(usage)
        assert agrees(usage, words) in (True, False, None)


@pytest.mark.parametrize(
    ("code", "dose", "amount"),
    [("V14NNNNN", 1, "4"), ("V11NNNNN", 1, "1"), ("V62NNNNN", 6, "2"), ("V10.5NNN", 1, "0.5"), ("V21.25NN", 2, "1.25"),
     ("V112NNNN", 1, "12"), ("V10NNNNN", 1, "0")],
)  # fmt: skip
def test_uneven_dose(code: str, dose: int, amount: str) -> None:
    found = decode_supplement(code)
    assert found is not None
    assert (found.kind, found.dose, found.amount) == ("uneven", dose, Decimal(amount))
    assert str(found.amount) == amount


@pytest.mark.parametrize(
    ("code", "days"),
    [("W0100100", ("mon", "thu")), ("W1000000", ("sun",)), ("W0000100", ("thu",)), ("W0000001", ("sat",)),
     ("W1111111", ("sun", "mon", "tue", "wed", "thu", "fri", "sat"))],
)  # fmt: skip
def test_weekdays_start_on_sunday(code: str, days: tuple[str, ...]) -> None:
    found = decode_supplement(code)
    assert found is not None
    assert (found.kind, found.days_of_week) == ("weekdays", days)


def test_every_other_day() -> None:
    found = decode_supplement("I1100000")
    assert found is not None
    assert (found.kind, found.period_days, found.words) == ("interval", 2, "隔日")


@pytest.mark.parametrize(
    "code", ["", "V", "V14", "VNNNNNNN", "V1NNNNNN", "V04NNNNN", "V1000000", "V1.5NNNN", "V14NNNNX", "V1N4NNNN",
             "I1200000", "W0000000", "W0200000", "W010010", "D0AK0000", "CW100000", "Ｖ14NNNNN"],
)  # fmt: skip
def test_other_supplements_stay_codes(code: str) -> None:
    assert decode_supplement(code) is None


# -- the way back -----------------------------------------------------------------------------------------------------


@st.composite
def usage_codes(draw: st.DrawFn) -> str:
    """Codes of every attested method, kind, slot digit and event, with whatever stands after position 9."""
    method, kind = draw(st.sampled_from(METHODS)), draw(st.sampled_from("125678"))
    tail = draw(st.sampled_from(["0000000", "0000014", "A000000"]))
    if kind in "16":
        marks = draw(st.lists(st.sampled_from(SLOTS), max_size=5, unique_by=lambda row: row["slot"]))
        digits = ["0"] * 5
        for row in marks:
            digits[int(row["position"]) - 5] = row["digit"]
        return f"{method}{kind}{draw(st.integers(1, 9))}{''.join(digits)}{tail}"
    if kind == "5":
        return f"{method}50{draw(st.sampled_from(['11', '81', '99', '00']))}000{tail}"
    if kind == "8":
        low, high = sorted(draw(st.lists(st.integers(1, 9), min_size=2, max_size=2)))
        return f"{method}8{low}{high}0000{tail}"
    return f"{method}{kind}{draw(st.integers(1, 9))}00000{tail}"


@given(usage_codes())
def test_a_usage_that_is_written_again_is_the_code_that_was_read(code: str) -> None:
    usage = known(code)
    assert encode(usage) == code
    assert decode(encode(usage._replace(code=""))) == usage


@pytest.mark.parametrize(
    "parts", [{"times_per_day": 0}, {"method": "99"}, {"kind": "4"}, {"tail": "0"}, {"slots": (("noon", "7"),)}]
)
def test_parts_that_make_no_code_are_refused(parts: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="usage code"):
        encode(known("1013044400000000")._replace(**parts))


@pytest.mark.parametrize("code", ["V14NNNNN", "V10.5NNN", "V60NNNNN", "I1100000", "W0100100", "W1111111"])
def test_a_supplement_is_written_again(code: str) -> None:
    found = decode_supplement(code)
    assert found is not None and encode_supplement(found) == code


def test_an_amount_too_long_for_a_supplement_is_refused() -> None:
    with pytest.raises(ValueError, match="supplement"):
        encode_supplement(Supplement("", "uneven", 1, Decimal("1.23456"), None, (), ""))
