"""Numbers as laboratories write them (数値の書き方): which form a text has, and the digits in it. No FHIR here.

A text has a form only when the whole of it matches; `text` is the answer for everything else. Digits stay as sent
(Decimal), so 7.20 is not 7.2. Forms: JAHIS laboratory, section 3, listed in gateway/translate/lab_values.py.
"""

import re
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

LONGEST = 64
"""Characters; a longer text is never a number, and no pattern runs over it."""
MAX_DIGITS = 18  # R4 2.24.0.1: a decimal of more digits is not kept by every reader
_MAX_POWER = 12

# Only what is the same character in another width or of another table: NFKC would also read ² as 2 and ① as 1.
FOLD = {0xFF01 + n: 0x21 + n for n in range(94)} | {0x3000: " "}
FOLD |= dict(zip(map(ord, "−‐〜≤≥〈〉ﾐﾏﾝｲｶ"), "--~≦≧<>ミマンイカ", strict=True))

_PLAIN = r"(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
_TIDY = r"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]+)?|\.[0-9]+)"  # no leading zeros: `01-05` is a code or a date, not a range
_NUMBER = re.compile(rf"-?{_PLAIN}")
_POWER = re.compile(rf"(?:(-?{_PLAIN})[×xX]10(?:\*\*|\*|\^)|10(?:\*\*|\^))([+-]?[0-9]{{1,2}})")
_EXPONENT = re.compile(rf"(-?{_PLAIN})[eE]([+-][0-9]{{1,2}})|(-?[0-9]*\.[0-9]+)[eE]([0-9]{{1,2}})")
RANGE = re.compile(rf"({_TIDY}) *[-~] *({_TIDY})")
_BOUNDS = re.compile(
    rf"(?:≧|>=|=>|>) *({_TIDY}) *(?:<=|=<|≦|<) *({_TIDY})|({_TIDY})(?:以上|超) *({_TIDY})(?:未満|以下)"
    rf"|({_TIDY}) *[-~] *(?:<=|=<|≦|<) *({_TIDY})|({_TIDY}) *[-~] *({_TIDY})(?:未満|以下)"
)
_TITRE = re.compile(r"(1) *: *([1-9][0-9]*)")
_COUNTS = re.compile(r"([0-9]+(?:\.[0-9]+)?) */ *([0-9]+)")

_BEFORE = re.compile(r"(< ?=|=<|> ?=|=>|<|>|≦|≧|[LU](?=[.0-9])|↓|↑)[ ^]*(.+)")
_AFTER = re.compile(r"(.+?) *(未満|ミマン|超過|超|以下|イカ|以上|~|<=|=<|>=|=>|<|>|≦|≧|↓|↑)")
_SYMBOL = {"<": "<", ">": ">"} | dict.fromkeys(("<=", "=<", "≦"), "<=") | dict.fromkeys((">=", "=>", "≧"), ">=")
_LEFT = MappingProxyType(_SYMBOL | {"L": "<", "U": ">", "↓": "<=", "↑": ">="})
# A symbol after the number has the limit on its left (100< is "100 is less than it"), so it reads the other way round.
_MIRROR = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_RIGHT = MappingProxyType(
    {symbol: _MIRROR[meaning] for symbol, meaning in _SYMBOL.items()}
    | {"未満": "<", "ミマン": "<", "超過": ">", "超": ">"}
    | {"以下": "<=", "イカ": "<=", "↓": "<=", "以上": ">=", "~": ">=", "↑": ">="}
)


class Parsed(NamedTuple):
    """The form of a text. `low` alone is a number, with `high` the two ends, the titre or the count per count."""

    kind: str  # "number", "range", "ratio", "counts" or "text"
    low: Decimal | None = None
    high: Decimal | None = None
    comparator: str = ""


def decimal(text: str) -> Decimal | None:
    """A number with its digits, or None. Powers of ten are written out, since NM and most readers know none."""
    if _NUMBER.fullmatch(text):
        return Decimal(text) if sum(map(str.isdigit, text)) <= MAX_DIGITS else None
    if found := _POWER.fullmatch(text):
        mantissa, power = found.group(1) or "1", found.group(2)
    elif found := _EXPONENT.fullmatch(text):
        mantissa, power = found.group(1) or found.group(3), found.group(2) or found.group(4)
    else:
        return None
    if abs(int(power)) > _MAX_POWER or len(mantissa) > MAX_DIGITS:
        return None
    return Decimal(format(Decimal(mantissa).scaleb(int(power)), "f"))


@lru_cache(maxsize=4_096)
def parse(text: str) -> Parsed:
    """Which of the forms a text has; escapes are undone."""
    if len(text) > LONGEST:
        return Parsed("text")
    folded = text.translate(FOLD).strip(" ")
    if (number := decimal(folded)) is not None:
        return Parsed("number", number)
    for pattern, kind in ((RANGE, "range"), (_BOUNDS, "range"), (_TITRE, "ratio"), (_COUNTS, "counts")):
        if found := pattern.fullmatch(folded):
            first, second = (Decimal(part) for part in found.groups() if part is not None)
            return Parsed(kind, first, second) if kind != "range" or first <= second else Parsed("text")
    if found := _BEFORE.fullmatch(folded):
        number, comparator = decimal(found.group(2)), _LEFT[found.group(1).replace(" ", "")]
    elif found := _AFTER.fullmatch(folded):
        number, comparator = decimal(found.group(1)), _RIGHT[found.group(2)]
    return Parsed("text") if found is None or number is None else Parsed("number", number, None, comparator)
