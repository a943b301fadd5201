"""gateway/translate/medication.py: codes of drugs, forms, identifiers. (RP numbers in messages: test_rde_o11.py.)"""

from decimal import Decimal
from typing import Any

import pytest

from gateway.translate.medication import drug_key, is_kind, is_vaccination, once, same_amount, strength_type
from tests.translate.messages import codes, only, read

HOT = "http://medis.or.jp/CodeSystem/master-HOT"
MERIT9 = "http://jpfhir.jp/fhir/core/mhlw/CodeSystem/MedicationUnitMERIT9Code"


def drug(sent: str) -> tuple[Any, list[str]]:
    converted = read("OMP-01", "ORC|NW|1||1|||||20240601", f"RXE||{sent}|1||TAB^錠^MR9P")
    return only(converted, "MedicationRequest")["medicationCodeableConcept"], codes(converted)


@pytest.mark.parametrize(
    ("sent", "system"),
    [
        ("1038316^薬^HOT", HOT + "7"),
        ("103831601^薬^HOT", HOT + "9"),
        ("1038316010101^薬^HOT", HOT + "13"),
        ("103831601^薬^HOT9", HOT + "9"),
        ("1038316^薬^HOT7", HOT + "7"),
        ("1038316010101^薬^HOT13", HOT + "13"),
        ("1149019F1560^薬^YJ", "http://capstandard.jp/iyaku.info/CodeSystem/YJ-code"),
        ("1149019C1149^薬^MYAK", "urn:oid:1.2.392.100495.20.1.72"),
        ("^^^103831601^薬^HOT", HOT + "9"),
    ],
)
def test_the_system_of_a_drug_is_that_of_its_name_and_length(sent: str, system: str) -> None:
    concept, found = drug(sent)
    assert concept["coding"][0]["system"] == system
    assert "code-label-mismatch" not in found


@pytest.mark.parametrize(
    "sent",
    [
        "620007329^薬^HOT9",
        "610443074^薬^HOT9",
        "641234567^薬^HOT9",
        "662640123^薬^HOT",
        "1149019F1560^薬^HOT13",
        "1038316010101^薬^HOT9",
        "10383160^薬^HOT",
    ],
)
def test_a_code_that_is_not_of_its_label_stays_the_senders_own(sent: str) -> None:
    concept, found = drug(sent)
    (coding,) = concept["coding"]
    assert coding["system"].startswith("https://musubi.invalid/") and coding["display"] == "薬"
    assert "code-label-mismatch" in found


@pytest.mark.parametrize(
    ("sent", "kind", "vaccination"),
    [
        ("06^予防接種^JHSI0002", True, True),
        ("06^予防接種^99I02", True, True),
        ("X^^99X^06^予防接種^JHSI0002", True, True),
        ("05^ＴＰＮ^JHSI0002", True, False),
        ("06^薬^99X", False, False),
        ("", False, False),
    ],
)
def test_kinds_of_injections(sent: str, kind: bool, vaccination: bool) -> None:
    assert (is_kind(sent), is_vaccination(sent)) == (kind, vaccination)


def test_a_drug_in_an_id_is_its_code_else_its_words() -> None:
    assert drug_key({"coding": [{"code": "1"}], "text": "薬"}, "1^薬") == "1"
    assert drug_key({"text": "薬"}, "^薬") == "薬"
    assert drug_key({}, "^^X") == "^^X"


def test_an_identifier_is_said_once() -> None:
    one, other = {"system": "s", "value": "1"}, {"system": "s", "value": "2"}
    assert once([one, other, dict(one)]) == [one, other]


def test_amounts_are_compared_in_one_unit() -> None:
    tablet = {"value": Decimal("1.0"), "system": MERIT9, "code": "TAB"}
    assert same_amount(tablet, {**tablet, "value": 1}) is True
    assert same_amount(tablet, {**tablet, "value": 2}) is False
    assert same_amount(tablet, {**tablet, "code": "CAP"}) is None


def test_a_weight_alone_does_not_say_whose_it_is() -> None:
    weight = {"value": Decimal(50), "system": MERIT9, "code": "MG"}
    assert strength_type(weight, "PWD", "", "薬") is None
    assert strength_type(weight, "PWD", "", "薬５０％") is not None
    assert strength_type({**weight, "system": "x"}, "PWD", "10", "") is None
