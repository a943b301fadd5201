"""個人番号: the check digit, every way to write it, and who may count in twelve digits."""

import pytest

from gateway.model.identity import PatientId
from gateway.services.my_number import MyNumberRefused, is_my_number, refuse

VALID = "123456789018"


def test_the_check_digit_by_the_ordinance_written_out() -> None:
    digits = [int(digit) for digit in VALID[:11]]
    weights = [6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]
    rest = sum(digit * weight for digit, weight in zip(digits, weights, strict=True)) % 11
    assert VALID[-1] == str(0 if rest <= 1 else 11 - rest)


@pytest.mark.parametrize(
    "value", [VALID, "1234 5678 9018", "1234-5678-9018", "１２３４５６７８９０１８", "1234　5678　9018"]
)
def test_every_way_to_write_one(value: str) -> None:
    assert is_my_number(value)


@pytest.mark.parametrize(
    "value",
    ["123456789017", "12345678901", "1234567890180", "12345678901A", "", "M00000000001", "1" * 300, "²23456789018"],
)
def test_what_is_none(value: str) -> None:
    assert not is_my_number(value)


def test_exactly_one_check_digit_fits() -> None:
    for start in ("00000000000", "99999999999", "31415926535"):
        assert sum(is_my_number(start + str(digit)) for digit in range(10)) == 1


def test_only_an_authority_that_is_known_may_use_such_a_number() -> None:
    refuse([PatientId(VALID, "1.2"), PatientId("1", "9.9")], {"1.2"})
    for authority in ("", "9.9"):
        with pytest.raises(MyNumberRefused) as refused:
            refuse([PatientId(VALID, authority)], {"1.2"})
        assert VALID not in str(refused.value)
