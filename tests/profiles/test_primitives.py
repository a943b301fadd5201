from decimal import Decimal
from typing import Any

import pytest

from gateway.profiles.primitives import MAX_STRING, PRIMITIVES

GOOD: dict[str, list[Any]] = {
    "base64Binary": ["TWFu", "TWE=", "TQ==", "TWFu\nTWFu"],
    "boolean": [True, False],
    "canonical": ["http://example.org/x|1.0", "#contained", "urn:oid:1.2.3"],
    "code": ["final", "a b", "血液"],
    "date": ["2024", "2024-02", "2024-02-29", "1900-02-28"],
    "dateTime": ["2024", "2024-05-01", "2024-05-01T10:00:00Z", "2024-05-01T10:00:00.123+09:00"],
    "decimal": [Decimal("1.50"), 7, 1.5, Decimal("-0")],
    "id": ["a", "A-1.b", "x" * 64],
    "instant": ["2024-05-01T10:00:00+09:00"],
    "integer": [0, -2147483648, 2147483647],
    "markdown": ["*a*"],
    "oid": ["urn:oid:1.2.392"],
    "positiveInt": [1],
    "string": ["x", "山田　太郎", "a\nb", " leading"],
    "time": ["10:00:00", "23:59:60.5"],
    "unsignedInt": [0],
    "uri": ["http://example.org", "urn:oid:1.2.392.100495.20.3.51.11311234567", "relative"],
    "url": ["https://example.org/a"],
    "uuid": ["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
    "xhtml": ['<div xmlns="http://www.w3.org/1999/xhtml">a</div>'],
}
BAD: dict[str, list[Any]] = {
    "base64Binary": ["TW", "?", "", 5, "T===TWFu"],
    "boolean": ["true", 1, None],
    "canonical": ["relative", "a b", ""],
    "code": ["", " final", "a  b", "final ", 5, "a\x00"],
    "date": ["1970/01/01", "2023-02-29", "2024-13-01", "2024-00", "0000", "20240501", "2024-05-01T10:00:00Z", 2024],
    "dateTime": ["令和6年5月1日", "2024-05-01T10:00", "2024-05-01T10:00:00", "2024-04-31", "2024-05-01T25:00:00Z"],
    "decimal": ["1.5", True, Decimal("NaN"), float("inf"), None],
    "id": ["", "x" * 65, "a_b", "日本"],
    "instant": ["2024-05-01", "2024-05-01T10:00:00"],
    "integer": [2147483648, -2147483649, True, Decimal("1"), "1"],
    "markdown": ["", "   "],
    "oid": ["1.2.392", "urn:oid:1.02"],
    "positiveInt": [0, -1],
    "string": ["", " ", "　", "a\x00b", 5, None, "x" * (MAX_STRING + 1)],
    "time": ["24:00:00", "10:00"],
    "unsignedInt": [-1],
    "uri": ["", "a b", "urn:oid:1.02.3", "urn:uuid:0", None],
    "url": ["http://a b"],
    "uuid": ["urn:uuid:C757873D-EC9A-4326-A141-556F43239520"],
    "xhtml": ["<p>a</p>", "<div>a</div>", '<div xmlns="http://www.w3.org/1999/xhtml"><script>x</script></div>'],
}


def test_every_primitive_is_tried_both_ways() -> None:
    assert set(GOOD) == set(BAD) == set(PRIMITIVES)


@pytest.mark.parametrize(("code", "value"), [(code, value) for code, values in GOOD.items() for value in values])
def test_accepted(code: str, value: Any) -> None:
    assert PRIMITIVES[code](value)


@pytest.mark.parametrize(("code", "value"), [(code, value) for code, values in BAD.items() for value in values])
def test_refused(code: str, value: Any) -> None:
    assert not PRIMITIVES[code](value)
