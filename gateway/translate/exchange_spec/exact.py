"""JSON without loss: every number comes back with the digits it was written with, even one with an exponent."""

import json
from decimal import Decimal
from typing import Any, Final

import orjson

MAX_DIGITS: Final = 40
"""Of one number: more is an attack on whoever computes with it."""
_64_BITS: Final = 18
"""Digits of an integer that surely fits: a longer one is kept as a Decimal."""


class Exponent(str):
    """A number that was written with an exponent. The convention has none; an unknown key may."""

    __slots__ = ()


def loads(text: str) -> Any:
    """int, Decimal or Exponent for numbers. Raises ValueError for what is no JSON, a key given twice, NaN and numbers of
    more than MAX_DIGITS."""
    return json.loads(
        text, parse_float=_float, parse_int=_int, parse_constant=_constant, object_pairs_hook=_unique, strict=True
    )


def dumps(value: Any) -> bytes:
    """UTF-8, no white space, keys as inserted. What `loads` gave comes back."""
    return orjson.dumps(value, default=_default, option=orjson.OPT_PASSTHROUGH_SUBCLASS)


def text(value: Any) -> str:
    """The same as text that a FHIR string may hold."""
    return dumps(value).decode().replace("\x7f", "\\u007f")


def _default(value: object) -> orjson.Fragment:
    if isinstance(value, Exponent):
        return orjson.Fragment(str(value))
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(format(value, "f"))
    raise TypeError(f"{type(value).__name__} has no place in an exchange file")


def _float(digits: str) -> Decimal | Exponent:
    if len(digits) > MAX_DIGITS:
        raise ValueError
    return Exponent(digits) if "e" in digits or "E" in digits else Decimal(digits)


def _int(digits: str) -> int | Decimal:
    if len(digits) > MAX_DIGITS:
        raise ValueError
    return Decimal(digits) if digits == "-0" or len(digits) > _64_BITS else int(digits)


def _constant(_name: str) -> None:
    raise ValueError


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found
