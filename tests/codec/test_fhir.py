"""FHIR JSON: digits survive, order is canonical, hostile input is refused."""

import contextlib
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codec import fhir
from gateway.errors import BadInput, LimitExceeded


def test_resource_type_id_and_meta_come_first() -> None:
    body = fhir.render(
        {"status": "final", "meta": {"source": "x"}, "id": "1", "resourceType": "Observation", "code": {}}
    )
    assert body == b'{"resourceType":"Observation","id":"1","meta":{"source":"x"},"status":"final","code":{}}'


def test_text_is_utf8_and_pretty_is_the_same_value() -> None:
    resource = {"resourceType": "Patient", "id": "1", "name": [{"text": "結"}], "value": Decimal("1.50")}
    assert "結".encode() in fhir.render(resource)
    pretty = fhir.render_pretty(resource)
    assert pretty.startswith(b'{\n  "resourceType"') and pretty.endswith(b"}\n")
    assert fhir.parse(pretty) == fhir.parse(fhir.render(resource)) == resource


@pytest.mark.parametrize(
    "digits", ["1.0", "1.00", "0.0", "-0.5", "0.0000001", "100.10", "1E+3", "1E-7", "12345678901234567890.1234567890"]
)
def test_digits_stay_as_they_were(digits: str) -> None:
    value = fhir.parse(b'{"v":' + digits.encode() + b"}")["v"]
    written = fhir.render({"v": value})
    assert Decimal(json.loads(written, parse_float=str)["v"]) == Decimal(digits)
    assert value.as_tuple() == Decimal(digits).as_tuple()
    assert fhir.parse(written)["v"].as_tuple() == Decimal(digits).as_tuple()


def test_ordinary_decimals_are_not_written_in_exponents() -> None:
    assert fhir.render({"v": Decimal("0.0000001")}) == b'{"v":0.0000001}'
    assert fhir.render({"v": Decimal("0.00")}) == b'{"v":0.00}'


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), VALUES, max_size=4))
def test_render_and_parse_are_inverse(resource: dict) -> None:
    body = fhir.render(resource)
    again = fhir.parse(body)
    assert fhir.render(again) == body
    assert _comparable(again) == _comparable(resource)


def _comparable(value: object) -> object:
    """A Decimal with its digits; one without fraction or exponent is an integer in JSON."""
    if isinstance(value, dict):
        return {key: _comparable(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_comparable(child) for child in value]
    if isinstance(value, Decimal) and value.as_tuple().exponent == 0:
        return int(value)
    return value.as_tuple() if isinstance(value, Decimal) else value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"1",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1,"a":1}',
        b'{"a":[{"b":1,"b":2}]}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xff"}',
        b'{"a":"\x00"}',
        b'{"a":1e999999}',
        b'{"a":1e99999999999999999999}',
        b'{"a":01}',
        b'{"a":1}x',
        b"\xff\xfe{\x00",
    ],
)
def test_hostile_json_is_bad_input(data: bytes) -> None:
    with pytest.raises(BadInput) as refused:
        fhir.parse(data)
    assert not isinstance(refused.value, LimitExceeded)


def test_depth_has_a_limit_that_is_exact() -> None:
    inside = fhir.MAX_DEPTH - 1
    fhir.parse(b'{"a":' + b"[" * inside + b"]" * inside + b"}")
    with pytest.raises(LimitExceeded):
        fhir.parse(b'{"a":' + b"[" * (inside + 1) + b"]" * (inside + 1) + b"}")
    with pytest.raises(BadInput):
        fhir.parse(b'{"a":' + b"[" * 100_000)


def test_size_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fhir, "MAX_BYTES", 20)
    fhir.parse(b'{"a":"0123456789ab"}')
    with pytest.raises(LimitExceeded):
        fhir.parse(b'{"a":"0123456789abc"}')


def test_long_integers_keep_their_digits() -> None:
    digits = "9" * 40
    assert fhir.render(fhir.parse(b'{"a":' + digits.encode() + b"}")) == b'{"a":' + digits.encode() + b"}"


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), {1, 2}, b"x"])
def test_what_json_cannot_say_is_not_written(value: object) -> None:
    with pytest.raises(TypeError):
        fhir.render({"a": value})


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(data: bytes) -> None:
    with contextlib.suppress(BadInput):
        fhir.parse(data)


def test_text_drops_only_what_fhir_forbids() -> None:
    assert fhir.text("  結 \t果\r\n") == "  結 \t果\r\n"
    assert fhir.text("a\x00b\x0bc\x1bd\x7fe\ud800") == "abcde"
    assert fhir.text("plain") == "plain"
