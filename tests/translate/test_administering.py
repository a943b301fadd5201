"""gateway/translate/administering.py: parts that RXA and RXD share. (In messages: test_ras_o17.py, test_rds_o13.py.)"""

from typing import Any

import pytest

from gateway.translate.administering import lot_words, rated
from tests.translate.messages import codes, only, read, residue

ORC = "ORC|NW|000000000000001||1|||||20240601"


def rxa(**fields: str) -> Any:
    numbered = {3: "20240601", 5: "103831601^薬^HOT9", 20: "CP"} | {int(k[1:]): v for k, v in fields.items()}
    return read("OMP-12", ORC, "|".join(["RXA", *(numbered.get(n, "") for n in range(1, max(numbered) + 1))]))


def test_people_are_told_apart_by_their_numbers() -> None:
    made = only(rxa(f10="200^看護^花子~200^カンゴ^ハナコ~201^看護^次郎"), "MedicationAdministration")
    assert [performer["actor"]["display"] for performer in made["performer"]] == ["看護 花子", "看護 次郎"]


def test_a_note_is_its_words_and_its_code_is_residue_beside_them() -> None:
    converted = rxa(f9="01^左手^99IC~02~^右手")
    assert [note["text"] for note in only(converted, "MedicationAdministration")["note"]] == ["左手", "02", "右手"]
    assert residue(converted) == {"RXA[1]-9.1": "01"}


@pytest.mark.parametrize(
    ("expiry", "day", "left"),
    [
        ("202603", "2026-03", {}),
        ("20260331120000", "2026-03-31", {"RXA[1]-16": "20260331120000"}),
        ("20261399", None, {"RXA[1]-16": "20261399"}),
    ],
)
def test_an_expiry_is_a_day(expiry: str, day: str | None, left: dict[str, str]) -> None:
    converted = rxa(f16=expiry)
    (medication,) = only(converted, "MedicationAdministration")["contained"]
    assert medication.get("batch", {}).get("expirationDate") == day
    assert residue(converted) == left


def test_controls_and_actions_nobody_knows_are_reported() -> None:
    converted = rxa(f21="Z")
    assert residue(converted) == {"RXA[1]-21": "Z"} and "code-unknown" in codes(converted)


def test_a_lot_in_words() -> None:
    assert lot_words({}) == []
    maker = {"display": "製薬", "identifier": {"value": "001", "system": "urn:x"}}
    assert lot_words({"lotNumber": "A", "manufacturer": maker}) == ["ロット番号 A", "製造者 製薬（001 urn:x）"]


def test_a_rate_of_words_joins_the_extensions_of_the_way() -> None:
    dosage: dict[str, Any] = {"extension": ["way"]}
    rated(dosage, {"words": "全開"}, {"extension": ["way"]})
    assert dosage["extension"][0] == "way" and dosage["extension"][1]["valueString"] == "全開"
    rated(dosage, {}, {})
    assert len(dosage["extension"]) == 2


def test_an_amount_of_nothing_is_no_dose() -> None:
    converted = rxa(f6="^x", f7="TAB^錠^MR9P")
    assert "dosage" not in only(converted, "MedicationAdministration")
    assert residue(converted) == {"RXA[1]-6.2": "x", "RXA[1]-7": "TAB^錠^MR9P"}
