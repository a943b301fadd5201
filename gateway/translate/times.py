"""Times: HL7 TS (v2.5 2.A.77) to FHIR (R4 2.24.0.1), and FHIR to UTC for search columns and XDS metadata.

A sender writes `YYYY[MM[DD[HH[MM[SS[.S{1,4}]]]]]][+/-ZZZZ]` (SS-MIX2 section 6). Precision is never added: a year
stays a year. The one thing FHIR forces on us is seconds once there is an hour; they are padded with zeros. What is not
a time that exists (00000000, 24:60, 29 February of a common year, letters) is None, never a "nearest" time.
"""

import re
from datetime import datetime, timedelta
from functools import lru_cache

from gateway.errors import BadInput

JAPAN = "+09:00"
"""Zone of a time that names none (日本標準時): SS-MIX2 files are written on the hospital's wall clock."""

_CACHED = 2_048
_DAYS = ("", "31", "29", "31", "30", "31", "30", "31", "31", "30", "31", "30", "31")
_DIGITS_OF_PRECISION = {"Y": 4, "L": 6, "D": 8, "H": 10, "M": 12, "S": 14}  # TS.2, HL7 table 0529
_FRACTION_MAX = 9

# The FHIR R4 regular expressions of date, dateTime and instant in one, with seconds optional as in search parameters
# (R4 3.1.1.4.7), and the zone optional because searchers leave it out.
_FHIR = re.compile(
    r"([0-9]{4})(?:-(0[1-9]|1[0-2])(?:-(0[1-9]|[12][0-9]|3[01])"
    r"(?:T([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]|60)(?:\.([0-9]+))?)?"
    r"(Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))?)?)?)?",
    re.ASCII,
)
_EARLIEST = "0001-01-01T00:00:00.000Z"
_LATEST = "9999-12-31T23:59:59.999Z"
_SECOND = timedelta(seconds=1)


@lru_cache(maxsize=_CACHED)
def fhir_datetime(ts: str, zone: str = JAPAN) -> str | None:
    """TS as a FHIR dateTime of the same precision, or None when it is not a real time.

    `zone` (`+hh:mm`) is used only when the sender gave no offset. `2011070100` and `201107010030` gain `:00` for what
    FHIR demands; fractions keep their digits; 17 digits without a point carry milliseconds (seen in MSH-7).
    """
    digits, fraction, offset = _split(ts)
    size = len(digits)
    if not (digits.isdigit() and digits.isascii()) or digits < "0001" or not _on_calendar(digits):
        return None
    if fraction and size != 14:
        return None
    if size == 8:
        return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"
    if size <= 6:
        return digits if size == 4 else f"{digits[:4]}-{digits[4:]}"
    if size == 17:
        digits, fraction, size = digits[:14], "." + digits[14:], 14
    if size not in (10, 12, 14):
        return None
    if digits[8:10] > "23" or digits[10:12] > "59" or digits[12:] > "59":
        return None
    clock = f"{digits[8:10]}:{digits[10:12] or '00'}:{digits[12:] or '00'}"
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}T{clock}{fraction}{offset or zone}"


def _split(ts: str) -> tuple[str, str, str]:
    """(digits, fraction with its point, FHIR offset); digits are "" when the shape is not a TS."""
    if ts.isdigit():
        return ts, "", ""
    text, _, precision = ts.strip(" ").partition("^")
    at = max(text.rfind("+"), text.rfind("-"))
    offset = ""
    if at >= 0:
        hours, minutes = text[at + 1 : at + 3], text[at + 3 :]
        if len(minutes) != 2 or not (hours + minutes).isdigit() or minutes > "59" or hours + minutes > "1400":
            return "", "", ""
        offset, text = f"{text[at]}{hours}:{minutes}", text[:at]
    digits, point, fraction = text.partition(".")
    if point and not (fraction.isdigit() and fraction.isascii() and len(fraction) <= _FRACTION_MAX):
        return "", "", ""
    keep = _DIGITS_OF_PRECISION.get(precision, 0)
    if 0 < keep < len(digits) and digits.isdigit():
        return digits[:keep], "", offset  # the sender says that the digits after this are filler
    return digits, point + fraction, offset


def _on_calendar(digits: str) -> bool:
    """Whether year, month and day (as far as given) exist; 5 or 7 digits are no date."""
    size = len(digits)
    if size == 4:
        return True
    month = digits[4:6]
    if size < 6 or size == 7 or not "01" <= month <= "12":
        return False
    if size == 6:
        return True
    day = digits[6:8]
    if not "01" <= day <= _DAYS[int(month)]:
        return False
    if month == "02" and day == "29":
        year = int(digits[:4])
        return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return True


def fhir_date(ts: str) -> str | None:
    """The date part of a TS as a FHIR date (YYYY, YYYY-MM or YYYY-MM-DD), on the sender's own calendar day."""
    whole = fhir_datetime(ts)
    return None if whole is None else whole[:10]


@lru_cache(maxsize=_CACHED)
def fhir_instant(ts: str, zone: str = JAPAN) -> str | None:
    """TS as a FHIR instant; None when the sender gave less than seconds, since an instant may not be padded."""
    digits, fraction, _ = _split(ts)
    if len(digits) not in (14, 17) or (fraction and len(digits) != 14):
        return None
    return fhir_datetime(ts, zone)


def _parts(fhir: str) -> tuple[str | None, ...]:
    """(year, month, day, hour, minute, second, fraction, zone) of a FHIR date or time; the groups after day may be None."""
    found = _FHIR.fullmatch(fhir)
    if found is None or fhir.startswith("0000"):
        raise BadInput("not a FHIR date, dateTime or instant")
    return found.groups()


def _start(parts: tuple[str | None, ...]) -> tuple[datetime, timedelta]:
    """First moment on the writer's clock, and how far that clock is ahead of UTC."""
    year, month, day, hour, minute, second, _, zone = parts
    leap = second == "60"
    try:
        start = datetime(  # noqa: DTZ001 - naive on purpose: the offset is subtracted as a number, at both calendar ends
            int(year or 0),
            int(month or 1),
            int(day or 1),
            int(hour or 0),
            int(minute or 0),
            59 if leap else int(second or 0),
        )
    except ValueError:
        raise BadInput("a FHIR date that is not on the calendar") from None
    return (start + _SECOND if leap else start), _ahead(zone or JAPAN)


@lru_cache(maxsize=64)
def _ahead(zone: str) -> timedelta:
    if zone == "Z":
        return timedelta()
    size = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:]))
    return -size if zone[0] == "-" else size


@lru_cache(maxsize=_CACHED)
def utc_range(fhir: str) -> tuple[str, str]:
    """What a FHIR date, dateTime or instant covers, in UTC: (start, end exclusive) as `YYYY-MM-DDThh:mm:ss.fffZ`.

    Text of one width, so that comparing strings is comparing times. Without a zone it counts in Japan (+09:00).
    Years 0001 and 9999 ("no end" in many hospital systems) are cut at the ends of the calendar.
    Raises BadInput when it is no such value.
    """
    parts = _parts(fhir)
    start, ahead = _start(parts)
    _, month, day, hour, _, second, fraction, _ = parts
    until: datetime | None
    if fraction is not None:
        milliseconds = int(fraction[:3].ljust(3, "0"))
        step = 10 ** (3 - min(len(fraction), 3))
        start += timedelta(milliseconds=milliseconds)
        until = _plus(start, timedelta(milliseconds=step))
    elif second is not None:
        until = _plus(start, _SECOND)
    elif hour is not None:
        until = _plus(start, timedelta(minutes=1))
    elif day is not None:
        until = _plus(start, timedelta(days=1))
    elif month is not None:
        until = _first_of_next(start, start.month)
    else:
        until = _first_of_next(start, 12)
    return _utc_text(start, ahead), _LATEST if until is None else _utc_text(until, ahead)


def _plus(start: datetime, step: timedelta) -> datetime | None:
    try:
        return start + step
    except OverflowError:
        return None


def _first_of_next(start: datetime, month: int) -> datetime | None:
    """Midnight of the first day after the given month of the year of `start`."""
    if month < 12:
        return start.replace(month=month + 1)
    return None if start.year == 9999 else start.replace(year=start.year + 1, month=1)


def _utc_text(local: datetime, ahead: timedelta) -> str:
    try:
        return (local - ahead).isoformat(timespec="milliseconds") + "Z"
    except OverflowError:
        return _EARLIEST if ahead > timedelta() else _LATEST


@lru_cache(maxsize=_CACHED)
def dtm_utc(fhir: str) -> str:
    """A FHIR date or time as an HL7 DTM in UTC for XDS metadata (ITI TF-3 table 4.2.3.1.7-2), precision kept.

    A date without a time is copied (a day has no zone to convert); with a time it is UTC to the second or minute, and
    fractions are cut off because DTM in XDS ends at seconds. Raises BadInput when it is no FHIR date or time.
    """
    parts = _parts(fhir)
    start, ahead = _start(parts)
    if parts[3] is None:
        return "".join(part for part in parts[:3] if part is not None)
    text = _utc_text(start, ahead)
    minutes = f"{text[:4]}{text[5:7]}{text[8:10]}{text[11:13]}{text[14:16]}"
    return minutes if parts[5] is None else minutes + text[17:19]
