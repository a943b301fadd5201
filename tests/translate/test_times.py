"""gateway/translate/times.py: every row of SS-MIX2 section 6 on times, and the edges of the calendar."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadInput
from gateway.translate.times import dtm_utc, fhir_date, fhir_datetime, fhir_instant, utc_range

# FHIR R4 2.24.0.1, as printed there: the oracle for "may stand in a dateTime element".
R4_DATETIME = re.compile(
    r"([0-9]([0-9]([0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)(-(0[1-9]|1[0-2])(-(0[1-9]|[1-2][0-9]|3[0-1])"
    r"(T([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?(Z|(\+|-)((0[0-9]|1[0-3]):[0-5][0-9]|14:00)))?)?)?"
)


@pytest.mark.parametrize(
    ("ts", "expected"),
    [
        ("2011", "2011"),
        ("201107", "2011-07"),
        ("20110701", "2011-07-01"),
        ("2011070100", "2011-07-01T00:00:00+09:00"),
        ("201107011234", "2011-07-01T12:34:00+09:00"),
        ("20110701123456", "2011-07-01T12:34:56+09:00"),
        ("20110701123456.3399", "2011-07-01T12:34:56.3399+09:00"),
        ("20110701123456.0", "2011-07-01T12:34:56.0+09:00"),
        ("20080203163012345", "2008-02-03T16:30:12.345+09:00"),
        ("20110701123456+0000", "2011-07-01T12:34:56+00:00"),
        ("20110701123456.5-0330", "2011-07-01T12:34:56.5-03:30"),
        ("201107011234+1400", "2011-07-01T12:34:00+14:00"),
        ("20110701+0900", "2011-07-01"),
        ("20120229", "2012-02-29"),
        ("20000229", "2000-02-29"),
        (" 20110701 ", "2011-07-01"),
        ("20110701000000^D", "2011-07-01"),
        ("20110701123456^S", "2011-07-01T12:34:56+09:00"),
        ("20110701^S", "2011-07-01"),
        ("99991231", "9999-12-31"),
    ],
)
def test_ts_keeps_its_precision(ts: str, expected: str) -> None:
    assert fhir_datetime(ts) == expected
    assert R4_DATETIME.fullmatch(expected)


@pytest.mark.parametrize(
    "ts",
    [
        "",
        '""',
        "^",
        "0000",
        "00000000",
        "000000",
        "20111301",
        "20110001",
        "20110700",
        "20110431",
        "20110732",
        "20110229",
        "19000229",
        "20110701246000",
        "20110701240000",
        "201107012360",
        "20110701235960",
        "201",
        "20110",
        "2011070",
        "201107011",
        "2011070112345",
        "201107011234567",
        "2011070112345678",
        "201107011234567890",
        "20110701123456.",
        "20110701123456.12x",
        "201107011234.5",
        "20110701.5",
        "20110701123456+09",
        "20110701123456+1500",
        "20110701123456+0960",
        "20110701123456+09:00",
        "20110701123456Z",
        "2011-07-01",
        "2011/07/01",
        "平成23年",
        "２０１１０７０１",
        "²0110701",
        "2011070a",
        "M",
        "+0900",
    ],
)
def test_no_real_time_is_none(ts: str) -> None:
    assert fhir_datetime(ts) is None
    assert fhir_date(ts) is None
    assert fhir_instant(ts) is None


def test_own_offset_wins_over_the_given_zone() -> None:
    assert fhir_datetime("20110701123456", "+00:00") == "2011-07-01T12:34:56+00:00"
    assert fhir_datetime("20110701123456+0900", "+00:00") == "2011-07-01T12:34:56+09:00"


def test_date_is_the_senders_calendar_day() -> None:
    assert fhir_date("19470515") == "1947-05-15"
    assert fhir_date("1947") == "1947"
    assert fhir_date("194705") == "1947-05"
    assert fhir_date("20110701003000+0900") == "2011-07-01"


@pytest.mark.parametrize(
    ("ts", "expected"),
    [
        ("20110701123456", "2011-07-01T12:34:56+09:00"),
        ("20110701123456.25", "2011-07-01T12:34:56.25+09:00"),
        ("20080203163012345", "2008-02-03T16:30:12.345+09:00"),
        ("201107011234", None),
        ("2011070112", None),
        ("20110701", None),
        ("20110701123456^M", None),
        ("201107011234+0900", None),
    ],
)
def test_instant_is_never_padded(ts: str, expected: str | None) -> None:
    assert fhir_instant(ts) == expected


@pytest.mark.parametrize(
    ("fhir", "start", "end"),
    [
        ("2011", "2010-12-31T15:00:00.000Z", "2011-12-31T15:00:00.000Z"),
        ("2012-02", "2012-01-31T15:00:00.000Z", "2012-02-29T15:00:00.000Z"),
        ("2011-12", "2011-11-30T15:00:00.000Z", "2011-12-31T15:00:00.000Z"),
        ("2011-07-01", "2011-06-30T15:00:00.000Z", "2011-07-01T15:00:00.000Z"),
        ("2011-07-01T12:34", "2011-07-01T03:34:00.000Z", "2011-07-01T03:35:00.000Z"),
        ("2011-07-01T12:34:56", "2011-07-01T03:34:56.000Z", "2011-07-01T03:34:57.000Z"),
        ("2011-07-01T12:34:56+09:00", "2011-07-01T03:34:56.000Z", "2011-07-01T03:34:57.000Z"),
        ("2011-07-01T12:34:56Z", "2011-07-01T12:34:56.000Z", "2011-07-01T12:34:57.000Z"),
        ("2011-07-01T12:34:56-03:30", "2011-07-01T16:04:56.000Z", "2011-07-01T16:04:57.000Z"),
        ("2011-07-01T12:34:56.3Z", "2011-07-01T12:34:56.300Z", "2011-07-01T12:34:56.400Z"),
        ("2011-07-01T12:34:56.34Z", "2011-07-01T12:34:56.340Z", "2011-07-01T12:34:56.350Z"),
        ("2011-07-01T12:34:56.339Z", "2011-07-01T12:34:56.339Z", "2011-07-01T12:34:56.340Z"),
        ("2011-07-01T12:34:56.3399Z", "2011-07-01T12:34:56.339Z", "2011-07-01T12:34:56.340Z"),
        ("2011-07-01T12:34:59.999999999Z", "2011-07-01T12:34:59.999Z", "2011-07-01T12:35:00.000Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z", "2017-01-01T00:00:01.000Z"),
        ("9999-12-31", "9999-12-30T15:00:00.000Z", "9999-12-31T23:59:59.999Z"),
        ("9999-12", "9999-11-30T15:00:00.000Z", "9999-12-31T23:59:59.999Z"),
        ("9999", "9998-12-31T15:00:00.000Z", "9999-12-31T23:59:59.999Z"),
        ("9999-12-31T23:59:59-05:00", "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
        ("0001", "0001-01-01T00:00:00.000Z", "0001-12-31T15:00:00.000Z"),
    ],
)
def test_utc_range(fhir: str, start: str, end: str) -> None:
    assert utc_range(fhir) == (start, end)


@pytest.mark.parametrize(
    ("fhir", "expected"),
    [
        ("2011", "2011"),
        ("2011-07", "201107"),
        ("2011-07-01", "20110701"),
        ("2011-07-01T08:30:00+09:00", "20110630233000"),
        ("2011-07-01T08:30:00.999+09:00", "20110630233000"),
        ("2011-07-01T08:30+09:00", "201106302330"),
        ("2011-07-01T12:34:56Z", "20110701123456"),
        ("2011-07-01T12:34:56", "20110701033456"),
    ],
)
def test_dtm_utc(fhir: str, expected: str) -> None:
    assert dtm_utc(fhir) == expected


@pytest.mark.parametrize(
    "fhir",
    ["", "20110701", "2011-13", "2011-02-29", "2011-07-01T24:00:00Z", "2011-07-01T12Z", "2011-07-01 12:00:00Z",
     "2011-07-01T12:00:00+15:00", "0000-01-01", "2011-W01", "２０１１", "2011\n", "2011-07-01T12:34:56.Z"],
)  # fmt: skip
def test_what_is_no_fhir_time_is_refused(fhir: str) -> None:
    with pytest.raises(BadInput):
        utc_range(fhir)
    with pytest.raises(BadInput):
        dtm_utc(fhir)


@given(st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 28)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
def test_every_moment_goes_through_unchanged(moment: datetime, offset_min: int) -> None:
    """TS with its own offset -> FHIR -> UTC is the same moment that datetime computes."""
    sign, size = ("-", -offset_min) if offset_min < 0 else ("+", offset_min)
    ts = f"{moment:%m%d%H%M%S}{sign}{size // 60:02}{size % 60:02}"
    fhir = fhir_datetime(f"{moment.year:04}{ts}")
    assert fhir is not None
    assert R4_DATETIME.fullmatch(fhir)
    expected = moment.replace(microsecond=0, tzinfo=UTC) - timedelta(minutes=offset_min)
    assert utc_range(fhir)[0] == expected.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


@given(st.text(max_size=24) | st.text(alphabet="0123456789+-.^ ", max_size=24))
def test_any_text_is_a_valid_datetime_or_none(text: str) -> None:
    found = fhir_datetime(text)
    assert found is None or R4_DATETIME.fullmatch(found)
    if found is not None:
        start, end = utc_range(found)
        assert start <= end
        assert len(start) == len(end) == 24
