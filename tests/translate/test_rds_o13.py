"""gateway/translate/rds_o13.py: drugs as they were dispensed."""

from decimal import Decimal
from typing import Any

import pytest

from gateway.translate.sources import read_file
from tests.translate.messages import FACILITIES, PID, codes, every, msh, only, read, residue

DRUG = "103831601^薬^HOT9"
TQ1 = "TQ1|1||1013044400000000&１日３回毎食後&JAMISDP01|||5^d|20240601"


def orc(control: str = "RE", state: str = "CM") -> str:
    return f"ORC|{control}|000000000000001||1_01_001|{state}||||20240601"


def rxd(**fields: str) -> str:
    numbered = {1: "1", 2: DRUG, 3: "20240601113000", 4: "15", 5: "TAB^錠^MR9P"}
    numbered |= {int(name[1:]): value for name, value in fields.items()}
    return "|".join(["RXD", *(numbered.get(n, "") for n in range(1, max(numbered) + 1))])


def dispensed(*segments: str) -> Any:
    return read("RDS", *segments)


def test_a_dispense() -> None:
    converted = dispensed(
        orc(), TQ1, rxd(f7="77", f9="後発品", f10="301^薬剤^師子", f11="G", f13="3A^301^1", f15="C^一包化^JHSP0002",
                        f18="K7", f25="1149019F1560^^YJ"), "RXR|PO^口^HL70162",
    )  # fmt: skip
    made = only(converted, "MedicationDispense")
    assert made["meta"]["profile"][0].endswith("/JP_MedicationDispense")
    assert made["status"] == "completed" and made["whenHandedOver"] == "2024-06-01T11:30:00+09:00"
    assert [c["code"] for c in made["medicationCodeableConcept"]["coding"]] == ["103831601", "1149019F1560"]
    assert made["quantity"]["value"] == Decimal(15) and made["daysSupply"]["value"] == Decimal(5)
    assert made["authorizingPrescription"][0]["identifier"]["value"] == "000000000000001"
    assert made["performer"][0]["actor"]["display"] == "薬剤 師子"
    assert made["destination"]["display"] == "3A-301-1"
    assert made["substitution"]["wasSubstituted"] is True
    assert made["extension"][0]["valueCodeableConcept"]["text"] == "一包化"
    assert [note["text"] for note in made["note"]] == ["後発品", "ロット番号 K7"]
    (dosage,) = made["dosageInstruction"]
    assert dosage["timing"]["repeat"]["frequency"] == 3 and dosage["route"]["text"] == "口"
    assert residue(converted) == {}


@pytest.mark.parametrize(
    ("control", "state", "status"),
    [
        ("RE", "CM", "completed"),
        ("NW", "IP", "in-progress"),
        ("NW", "", "unknown"),
        ("CA", "CM", "entered-in-error"),
        ("DC", "", "stopped"),
    ],
)
def test_the_status_is_never_assumed(control: str, state: str, status: str) -> None:
    converted = dispensed(orc(control, state), rxd())
    assert only(converted, "MedicationDispense")["status"] == status
    assert ("no-status" in codes(converted)) is (status == "unknown")


def test_an_amount_without_a_coded_unit_or_a_time_is_no_jp_core_dispense() -> None:
    made = only(dispensed(orc(), rxd(f3="", f5="錠")), "MedicationDispense")
    assert made["meta"]["profile"] == ["http://hl7.org/fhir/StructureDefinition/MedicationDispense"]
    assert made["quantity"] == {"value": Decimal(15), "unit": "錠"}
    assert "whenHandedOver" not in made and "extension" in made["_whenHandedOver"]


def test_a_second_dispense_of_one_order() -> None:
    first, second = every(dispensed(orc(), rxd(), rxd(f3="20240608113000")), "MedicationDispense")
    assert first["id"] != second["id"] and first["authorizingPrescription"] == second["authorizingPrescription"]


def test_the_order_that_was_carried_out_is_residue_and_an_order_without_rxd_is_reported() -> None:
    converted = dispensed(orc(), f"RXE||{DRUG}|1")
    assert every(converted, "MedicationDispense") == [] and codes(converted) == ["no-drug"]
    assert residue(converted)["RXE[1]-2"] == DRUG


def test_a_message_without_a_storage_name_is_routed_by_its_type() -> None:
    data = "\r".join([msh("RDS^O13^RDS_O13"), PID, orc(), rxd(), ""]).encode("iso2022_jp")
    (converted,) = read_file(data, "message.hl7", FACILITIES)
    assert converted.data_type == "RDS" and converted.error is None
    assert only(converted, "MedicationDispense")["quantity"]["value"] == Decimal(15)


def test_each_tq1_of_a_dispense_is_a_dosage() -> None:
    converted = dispensed(
        orc(),
        "TQ1|1||1011000400000000&朝食後&JAMISDP01|||5^d",
        "TQ1|2||1011040000000000&夕食後&JAMISDP01|||3^d",
        rxd(),
        "RXR|PO^口^HL70162",
        "RXR|SL^舌下^HL70162",
    )
    made = only(converted, "MedicationDispense")
    first, second = made["dosageInstruction"]
    assert (first["text"], second["text"]) == ("朝食後 5日分", "夕食後 3日分")
    assert (first["sequence"], second["sequence"]) == (1, 2)
    assert first["route"]["text"] == second["route"]["text"] == "口、舌下"
    assert residue(converted) == {"TQ1[2]-6": "3^d"}  # a dispense has one supply; the days stand in the dosage
