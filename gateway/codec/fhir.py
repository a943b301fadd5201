"""FHIR JSON as bytes (https://hl7.org/fhir/R4/json.html): numbers keep their digits, the order is canonical.

In memory a resource is a plain dict; a number that has a fraction or an exponent is a decimal.Decimal, because FHIR
gives 1.0 and 1.00 different meanings and a float gives them the same.
"""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import orjson

from gateway.errors import BadInput, LimitExceeded

MAX_BYTES: Final = 16 * 1024 * 1024
MAX_DEPTH: Final = 64
"""Objects and arrays inside one another. FHIR's deepest sensible resource (a Questionnaire) needs about 30."""

MAX_KEY: Final = 256
"""Characters of a key."""
MAX_ARRAY: Final = 100_000
MAX_NUMBER: Final = 40
"""Digits of a number; of a whole one MAX_INTEGER."""
MAX_INTEGER: Final = 20
MAX_POWER: Final = 30
"""Powers of ten of a number that is sent to us."""

_LEAD: Final = ("resourceType", "id", "meta")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_MAX_EXPONENT: Final = 400
"""Powers of ten we read and write; a decimal beyond them is an attack on whoever computes with it."""


def render(resource: dict[str, Any]) -> bytes:
    """Canonical JSON: resourceType, id and meta first, the rest as inserted; no white space; Decimal digits kept.

    Only the outermost object is put in order: resources inside a Bundle keep the order they were given.
    """
    return orjson.dumps(_in_order(resource), default=_default)


def render_pretty(resource: dict[str, Any]) -> bytes:
    """The same for people: two blanks of indent and a line feed at the end."""
    return orjson.dumps(_in_order(resource), default=_default, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _in_order(resource: dict[str, Any]) -> dict[str, Any]:
    return {key: resource[key] for key in _LEAD if key in resource} | resource


def _default(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(number(value))
    raise TypeError(f"{type(value).__name__} has no place in FHIR JSON")


def number(value: Decimal) -> str:
    """The digits of a finite Decimal as JSON: 0.0000001 stays that and is not 1E-7, 1E+3 is not padded to 1000."""
    if "E" not in (shown := str(value)):
        return shown
    exponent = value.as_tuple().exponent
    return format(value, "f") if isinstance(exponent, int) and -_MAX_EXPONENT <= exponent <= 0 else shown


def parse(data: bytes) -> dict[str, Any]:
    """One JSON object. Raises BadInput (not JSON, not an object, a key given twice, NaN, half a surrogate pair) and
    LimitExceeded (over MAX_BYTES, deeper than MAX_DEPTH). Messages name the place, never a value."""
    if len(data) > MAX_BYTES:
        raise LimitExceeded(f"JSON of {len(data)} bytes; at most {MAX_BYTES} are read")
    try:
        # First the strict and fast reader: it refuses NaN, bad UTF-8, lone surrogates and raw control characters.
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"not JSON: line {error.lineno} column {error.colno}") from None
    if not isinstance(value, dict):
        raise BadInput("not a JSON object")
    if deeper(value, MAX_DEPTH):
        raise LimitExceeded(f"JSON deeper than {MAX_DEPTH} levels")
    try:
        result: dict[str, Any] = json.loads(
            data, parse_float=_decimal, parse_int=_integer, object_pairs_hook=_unique, strict=True
        )
    except BadInput:
        raise
    except (ValueError, RecursionError):
        raise BadInput("not JSON that can be read without loss") from None
    return result


def received(data: bytes) -> dict[str, Any]:
    """`parse` for what somebody sent, with the bounds of a request on top: a stored resource may be larger than what one
    is asked to take. Raises BadInput, LimitExceeded."""
    value = parse(data)
    level: list[Any] = [value]
    while level:
        below: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                if any(len(key) > MAX_KEY for key in one):
                    raise LimitExceeded(f"JSON with a key longer than {MAX_KEY} characters")
                below.extend(one)
                below.extend(one.values())
            elif isinstance(one, list):
                if len(one) > MAX_ARRAY:
                    raise LimitExceeded(f"JSON with an array longer than {MAX_ARRAY}")
                below.extend(one)
            elif isinstance(one, str):
                if "\0" in one:
                    raise BadInput("a JSON string with NUL")
            else:
                _check_number(one)
        level = below
    return value


def _check_number(value: object) -> None:
    if not isinstance(value, Decimal):
        return
    _, digits, exponent = value.as_tuple()
    whole = exponent == 0 and len(digits) > MAX_INTEGER
    if whole or len(digits) > MAX_NUMBER or abs(value.adjusted()) > MAX_POWER:
        raise LimitExceeded("a number longer, larger or finer than is read")


def deeper(value: dict[str, Any], levels: int) -> bool:
    """Whether a JSON value is nested deeper than so many levels. Without recursion, so that depth costs no stack."""
    level: list[Any] = [value]
    for _ in range(levels):
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True


def _decimal(digits: str) -> Decimal:
    try:
        value = Decimal(digits)
    except InvalidOperation:
        raise BadInput("a number that cannot be read") from None
    if not value.is_finite() or abs(value.adjusted()) > _MAX_EXPONENT:
        raise BadInput("a number outside the powers of ten that are read")
    return value


def _integer(digits: str) -> int | Decimal:
    """Integers beyond 64 bits have no FHIR type; they are kept as decimals, digit for digit."""
    return int(digits) if len(digits) < 19 else _decimal(digits)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadInput("a JSON object gives one key twice")
    return found


def text(value: str) -> str:
    """`value` without the characters a FHIR string may not hold (https://hl7.org/fhir/R4/datatypes.html#string).

    Leading and trailing blanks stay: whoever sets them apart decides. May return "", which FHIR does not allow as a
    value: the caller then leaves the element out.
    """
    return _CONTROL.sub("", value) if not value.isprintable() else value
