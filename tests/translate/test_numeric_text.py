"""gateway/translate/numeric_text.py: the forms themselves; what becomes of them is in test_lab_values.py."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.translate.numeric_text import LONGEST, Parsed, decimal, parse


@pytest.mark.parametrize(
    ("text", "digits"),
    [("7.20", "7.20"), (".5", "0.5"), ("-0.10", "-0.10"), ("5×10^3", "5000"), ("1.30E-2", "0.0130"), ("10^5", "100000"),
     ("1.5E3", "1500")],
)  # fmt: skip
def test_digits(text: str, digits: str) -> None:
    found = decimal(text)
    assert found is not None
    assert str(found) == digits


@pytest.mark.parametrize("text", ["", "+5", "5.", "1,000", "1E5", "10*3", "1E+99", "9" * 19, "7 2", "x", "--1", "٣"])
def test_no_number(text: str) -> None:
    assert decimal(text) is None


def test_kinds() -> None:
    assert parse("<0.1") == Parsed("number", Decimal("0.1"), None, "<")
    assert parse("100<") == Parsed("number", Decimal("100"), None, ">")
    assert parse("1-4") == Parsed("range", Decimal(1), Decimal(4))
    assert parse("4-1") == Parsed("text")
    assert parse("1:64") == Parsed("ratio", Decimal(1), Decimal(64))
    assert parse("15/200") == Parsed("counts", Decimal(15), Decimal(200))
    assert parse("(2+)") == Parsed("text")
    assert parse("1" + " " * LONGEST) == Parsed("text"), "longer than any number"


@given(st.text(max_size=80) | st.text(alphabet="0123456789.<>=≦≧-~:/^×E+ ", max_size=30))
def test_any_text_is_read_without_an_error(text: str) -> None:
    found = parse(text)
    assert (found.low is None) == (found.kind == "text")
    assert found.kind != "range" or (found.low is not None and found.high is not None and found.low <= found.high)
