"""個人番号 (My Number): twelve digits that no health record may hold as a patient's number (番号法 9 and 19).

The check digit is that of 番号法施行令 8 and 総務省令 85 (2014): with P1 the digit left of the check digit and Pn further
left, Q = n + 1 up to the sixth and n - 5 from the seventh, 11 - (sum of P*Q mod 11), and 0 for a remainder of 0 or 1.
"""

import unicodedata
from collections.abc import Collection, Iterable

from gateway.errors import InvalidParameter
from gateway.model.identity import PatientId

ISSUE = "my-number-refused"
_BLANKS = str.maketrans("", "", " -\u3000\u2010\u2212\u30fc\u2015")


class MyNumberRefused(InvalidParameter):
    """A value that is a My Number came as a patient's number. The value stands nowhere, not even here."""


def is_my_number(value: str) -> bool:
    """Whether the value (full or half width, grouped or not) is twelve digits with a right check digit."""
    if not 12 <= len(value) <= 20:
        return False
    digits = unicodedata.normalize("NFKC", value).translate(_BLANKS)
    if len(digits) != 12 or not digits.isascii() or not digits.isdigit():
        return False
    total = sum(int(digit) * (n + 1 if n <= 6 else n - 5) for n, digit in enumerate(reversed(digits[:11]), start=1))
    rest = total % 11
    return int(digits[11]) == (0 if rest <= 1 else 11 - rest)


def refuse(ids: Iterable[PatientId], allowed: Collection[str]) -> None:
    """Raises MyNumberRefused for one under an authority that is not `allowed` to give numbers of any kind: a hospital
    may count in twelve digits, and one of eleven of its numbers then has a right check digit."""
    for id_ in ids:
        if id_.authority not in allowed and is_my_number(id_.value):
            raise MyNumberRefused("a patient's number is a My Number, which must not be kept")
