"""Values of primitive types (FHIR R4 2.24.0.1): the JSON kind, the lexical form, and for dates the calendar."""

import calendar
import math
import re
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any

Test = Callable[[Any], bool]

MAX_STRING = 1024 * 1024
"""Characters in a string (R4 2.24.0.1: strings SHALL NOT exceed 1 MB)."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]").search
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?"
_ZONE = r"(Z|[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_YEAR = r"(?!0000)[0-9]{4}"
_DAY = r"(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"

_code = re.compile(r"[^\s\x00-\x1f]+( [^\s\x00-\x1f]+)*").fullmatch
_id = re.compile(r"[A-Za-z0-9.-]{1,64}").fullmatch
_canonical = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:|#)[^\s\x00-\x1f]+").fullmatch
_OID = r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+"
_UUID = r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_uri = re.compile(rf"(?!urn:oid:|urn:uuid:)[^\s\x00-\x1f]+|{_OID}|{_UUID}").fullmatch
_oid = re.compile(_OID).fullmatch
_uuid = re.compile(_UUID).fullmatch
_date = re.compile(rf"{_YEAR}(-(0[1-9]|1[0-2])|-{_DAY})?").fullmatch
_date_time = re.compile(rf"{_YEAR}(-(0[1-9]|1[0-2])|-{_DAY}(T{_TIME}{_ZONE})?)?").fullmatch
_instant = re.compile(rf"{_YEAR}-{_DAY}T{_TIME}{_ZONE}").fullmatch
_time = re.compile(_TIME).fullmatch
_base64 = re.compile(r"[0-9A-Za-z+/=\s]+").fullmatch
_div = re.compile(r"\s*<div\s[^>]*xmlns\s*=\s*[\"']http://www\.w3\.org/1999/xhtml[\"'][\s\S]*</div>\s*").fullmatch
_active = re.compile(r"<\s*(script|iframe|object|embed|form|input|base|link|style)\b|\son[a-z]+\s*=", re.I).search


def _string(value: Any) -> bool:
    return (
        value.__class__ is str
        and value != ""
        and (value.isprintable() or not _CONTROL(value))
        and len(value) <= MAX_STRING
        and not value.isspace()
    )


def _matching(match: Callable[[str], object]) -> Test:
    return lambda value: value.__class__ is str and match(value) is not None


def _remembered(match: Callable[[str], object]) -> Test:
    """For values that recur (systems, codes, profiles): the answer for the last 4,096 of them is kept."""

    @lru_cache(maxsize=4096)
    def valid(value: Any) -> bool:
        return match(value) is not None

    return lambda value: value.__class__ is str and (valid(value) if len(value) < 256 else match(value) is not None)


def _on_calendar(match: Callable[[str], object]) -> Test:
    @lru_cache(maxsize=4096)
    def valid(value: str) -> bool:
        if match(value) is None:
            return False
        if len(value) < 10 or value[8:10] < "29":
            return True
        return int(value[8:10]) <= calendar.monthrange(int(value[:4]), int(value[5:7]))[1]

    return lambda value: value.__class__ is str and len(value) < 64 and valid(value)


def _boolean(value: Any) -> bool:
    return value is True or value is False


def _integer(low: int) -> Test:
    return lambda value: value.__class__ is int and low <= value <= 2147483647


def _number(value: Any) -> bool:
    if value.__class__ is Decimal:
        return bool(value.is_finite())
    return value.__class__ is int or (value.__class__ is float and math.isfinite(value))


def _base64_binary(value: Any) -> bool:
    if value.__class__ is not str or _base64(value) is None:
        return False
    packed = "".join(value.split())
    return len(packed) % 4 == 0 and "=" not in packed[:-2]


def _xhtml(value: Any) -> bool:
    return value.__class__ is str and _div(value) is not None and _active(value) is None


PRIMITIVES: dict[str, Test] = {
    "base64Binary": _base64_binary,
    "boolean": _boolean,
    "canonical": _remembered(_canonical),
    "code": _remembered(_code),
    "date": _on_calendar(_date),
    "dateTime": _on_calendar(_date_time),
    "decimal": _number,
    "id": _matching(_id),
    "instant": _on_calendar(_instant),
    "integer": _integer(-2147483648),
    "markdown": _string,
    "oid": _matching(_oid),
    "positiveInt": _integer(1),
    "string": _string,
    "time": _matching(_time),
    "unsignedInt": _integer(0),
    "uri": _remembered(_uri),
    "url": _remembered(_uri),
    "uuid": _matching(_uuid),
    "xhtml": _xhtml,
}
