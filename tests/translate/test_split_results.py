"""gateway/translate/split_results.py: two results in one value."""

from decimal import Decimal
from typing import Any

import pytest

from tests.translate.messages import every
from tests.translate.test_observation import lab, obx


def halves(code: str, sent: str, **fields: str) -> list[dict[str, Any]]:
    return every(lab(obx(f2="ST", f3=f"{code}^検査^JC10^L1^検査^99L", f5=sent, **fields)), "Observation")


def shown(made: dict[str, Any]) -> Any:
    if "valueQuantity" not in made:
        return made["valueString"]
    return made["valueQuantity"].get("comparator", "") + str(made["valueQuantity"]["value"])


@pytest.mark.parametrize(
    ("code", "sent", "expected"),
    [
        ("5F190143202302304", "0.13(-)", [("04", "0.13"), ("11", "-")]),
        ("5F431143102302304", "2.0(-)未満", [("04", "<2.0"), ("11", "-")]),
        ("5F190143102302301", "64.5 +", [("01", "64.5"), ("11", "+")]),
        ("5E017000002302321", "0.92(+-)", [("21", "0.92"), ("11", "+-")]),
        ("5F015144002386201", "<2.1(+)", [("01", "<2.1"), ("11", "+")]),
        ("2A300000006331011", "(2+)60%", [("11", "2+"), ("02", "60")]),
        ("5F450143002311711", "(+)512<", [("11", "+"), ("05", ">512")]),
        ("5A100168302302312", "0.13(0)", [("01", "0.13"), ("12", "0")]),
        ("5A100280602302305", "8.42:4", [("05", "8.42"), ("06", "4")]),
        ("6B615135100186200", "(-)(+)", [("51", "-"), ("52", "+")]),
        ("5F190143202302304", "０．１３（＋）", [("04", "0.13"), ("11", "+")]),
    ],
)
def test_tests_of_the_table_give_two_results(code: str, sent: str, expected: list[tuple[str, str]]) -> None:
    found = halves(code, sent)
    assert [(made["code"]["coding"][0]["code"], shown(made)) for made in found] == [
        (code[:15] + identity, value) for identity, value in expected
    ]
    for made in found:
        assert sent in str(made), "each half keeps the whole"
        assert made["code"]["text"] == "検査"
        assert made["code"]["coding"][1]["code"] == "L1"
    assert found[0]["id"] != found[1]["id"]


def test_unit_and_range_belong_to_the_number() -> None:
    sign, number = halves("2A300000006331011", "(2+)60", f6="%", f7="0-10")
    assert number["valueQuantity"]["unit"] == "%"
    assert number["referenceRange"][0]["high"]["value"] == Decimal(10)
    assert "referenceRange" not in sign


@pytest.mark.parametrize(
    ("code", "sent"),
    [
        ("3B035000002327201", "2.3(±)"),
        ("1A010000000190111", "3+(300)"),
        ("5F190143202302304", "0.13(-)?"),
        ("5F190143202302304", "(-)"),
        ("5F190143202302304", "陰性"),
        ("5f190143202302304", "0.13(-)"),
    ],
)
def test_without_a_row_or_the_form_it_stays_one_text(code: str, sent: str) -> None:
    (made,) = halves(code, sent)
    assert made["valueString"] == sent
