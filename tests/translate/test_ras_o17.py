"""gateway/translate/ras_o17.py: drugs as they were given."""

from decimal import Decimal
from typing import Any

import pytest

from gateway.translate.sources import read_file
from tests.translate.messages import FACILITIES, PID, codes, every, msh, only, places, read, residue

ORDER = "000000000000001"
DRUG, OTHER = "103831601^薬^HOT9", "110626901^別の薬^HOT9"
NUMBER = "http://jpfhir.jp/fhir/core/IdSystem/resourceInstance-identifier"
PLACE = "http://jpfhir.jp/fhir/core/mhlw/IdSystem/MedicationAdministrationIndex"
ROUTE = "RXR|PO^口^HL70162"


def orc(group: str = "1", control: str = "NW", state: str = "") -> str:
    return f"ORC|{control}|{ORDER}||{group}|{state}||||20240601090000|||110^医師^一郎|||||01^内科^HL70069"


def rxa(drug: str = DRUG, start: str = "20240601083000", **fields: str) -> str:
    numbered = {1: "0", 2: "1", 3: start, 5: drug, 6: "1", 7: "TAB^錠^MR9P", 20: "CP"}
    numbered |= {int(name[1:]): value for name, value in fields.items()}
    return "|".join(["RXA", *(numbered.get(n, "") for n in range(1, max(numbered) + 1))])


def oral(*segments: str) -> Any:
    return read("OMP-11", *segments, order=ORDER)


def injection(*segments: str) -> Any:
    return read("OMP-12", *segments, order=ORDER)


def given(converted: Any) -> list[dict[str, Any]]:
    return every(converted, "MedicationAdministration")


def test_an_administration() -> None:
    converted = oral(
        orc(), rxa(f4="20240601083000", f9="^左手に実施^99IC2", f10="200^看護^花子", f11="09A^021^4^^^N"), ROUTE
    )
    (made,) = given(converted)
    assert made["meta"]["profile"][0].endswith("/JP_MedicationAdministration")
    assert made["status"] == "completed"
    assert made["medicationCodeableConcept"]["text"] == "薬"
    assert made["effectivePeriod"] == {"start": "2024-06-01T08:30:00+09:00", "end": "2024-06-01T08:30:00+09:00"}
    assert made["performer"][0]["actor"]["display"] == "看護 花子"
    assert made["note"] == [{"text": "左手に実施"}]
    assert made["request"] == {"type": "MedicationRequest", "identifier": {"system": NUMBER, "value": ORDER}}
    assert made["dosage"]["dose"]["value"] == Decimal(1) and made["dosage"]["dose"]["code"] == "TAB"
    extensions = {e["url"].rsplit("_", 1)[1]: e for e in made["extension"]}
    assert extensions["RequestAuthoredOn"]["valueDateTime"] == "2024-06-01T09:00:00+09:00"
    assert extensions["Requester"]["valueReference"]["display"] == "医師 一郎"
    assert extensions["RequestDepartment"]["valueCodeableConcept"]["text"] == "内科"
    assert extensions["Location"]["valueReference"]["display"] == "09A-021-4"
    assert residue(converted) == {}


def test_several_rxa_share_the_rxr_after_them() -> None:
    converted = oral(
        orc(), rxa(), rxa(OTHER), ROUTE, rxa(start="202406011230"), "RXR|SL^舌下^HL70162", "RXR|NS^鼻^HL70162"
    )
    assert [made["dosage"]["route"]["text"] for made in given(converted)] == ["口", "口", "舌下"]
    assert residue(converted) == {"RXR[3]-1": "NS^鼻^HL70162"}


def test_an_rxa_without_rxr_has_no_route_of_another_order() -> None:
    first, second = given(oral(orc("1"), rxa(), orc("2"), rxa(OTHER), ROUTE))
    assert "route" not in first["dosage"] and second["dosage"]["route"]["text"] == "口"


def test_a_drug_given_twice_keeps_its_place_in_the_rp() -> None:
    converted = oral(orc(), rxa(), rxa(OTHER), rxa(start="202406011230"), ROUTE)
    places_ = [next(i["value"] for i in made["identifier"] if i["system"] == PLACE) for made in given(converted)]
    assert places_ == ["1", "2", "1"]


def test_an_id_does_not_depend_on_what_stands_before() -> None:
    early = given(oral(orc(), rxa(OTHER), ROUTE))
    late = given(oral(orc(), rxa(), rxa(OTHER), ROUTE))
    assert early[0]["id"] == late[1]["id"] != late[0]["id"]
    twice = given(oral(orc(), rxa(), rxa(), ROUTE))
    assert twice[0]["id"] != twice[1]["id"]


def test_an_order_without_orc_4_is_one_rp_and_said_once() -> None:
    converted = oral(orc(""), rxa(), rxa(OTHER), ROUTE)
    assert codes(converted) == ["no-rp-number"]
    assert len({made["identifier"][0]["value"] for made in given(converted)}) == 1


@pytest.mark.parametrize(
    ("control", "state", "completion", "action", "status"),
    [
        ("NW", "", "CP", "A", "completed"),
        ("NW", "", "PA", "", "stopped"),
        ("NW", "", "RE", "", "not-done"),
        ("NW", "", "NA", "", "not-done"),
        ("NW", "", "", "", "unknown"),
        ("NW", "", "XX", "", "unknown"),
        ("NW", "IP", "", "", "in-progress"),
        ("NW", "CM", "PA", "", "stopped"),
        ("NW", "SC", "", "", "unknown"),
        ("CA", "", "CP", "", "entered-in-error"),
        ("OC", "", "", "", "entered-in-error"),
        ("DC", "", "", "", "stopped"),
        ("DC", "", "CP", "", "completed"),
        ("XO", "", "CP", "U", "completed"),
        ("NW", "", "CP", "D", "entered-in-error"),
    ],
)
def test_the_status(control: str, state: str, completion: str, action: str, status: str) -> None:
    converted = oral(orc("1", control, state), rxa(f20=completion, f21=action), ROUTE)
    (made,) = given(converted)
    assert made["status"] == status
    assert ("no-status" in codes(converted)) is (status == "unknown")


def test_a_refused_drug_says_why() -> None:
    (made,) = given(oral(orc(), rxa(f18="01^患者拒否^99R~02^嘔気^99R", f19="R11^嘔気^I10", f20="RE"), ROUTE))
    assert [reason["text"] for reason in made["statusReason"]] == ["患者拒否", "嘔気"]
    assert made["reasonCode"][0]["coding"][0]["code"] == "R11"


def test_an_injection_names_its_drug_in_a_contained_medication_with_its_lot() -> None:
    converted = injection(
        orc(), rxa(f8="INJ^注射剤^MR9P", f12="102ml/hr", f15="A1~A2", f16="20260331", f17="001^製薬^99M")
    )
    (made,) = given(converted)
    assert made["meta"]["profile"][0].endswith("/JP_MedicationAdministration_Injection")
    (medication,) = made["contained"]
    assert medication["code"]["text"] == "薬" and medication["form"]["text"] == "注射剤"
    assert medication["batch"] == {"lotNumber": "A1、A2", "expirationDate": "2026-03-31"}
    assert medication["manufacturer"]["display"] == "製薬"
    assert made["dosage"]["rateQuantity"]["code"] == "mL/h"
    assert residue(converted) == {}


def test_a_lot_of_an_oral_drug_stands_in_a_note() -> None:
    (made,) = given(oral(orc(), rxa(f15="A1", f16="20260331", f17="^製薬")))
    assert made["note"] == [{"text": "ロット番号 A1 使用期限 2026-03-31 製造者 製薬"}]
    assert "contained" not in made


@pytest.mark.parametrize(
    ("fields", "dosage"),
    [
        ({"f6": "半分", "f7": "錠"}, {"text": "半分錠"}),
        ({"f6": "2", "f7": "錠"}, {"text": "2錠"}),
        ({"f6": "-1"}, {"text": "-1錠"}),
    ],
)
def test_an_amount_that_is_no_quantity_stands_in_words(fields: dict[str, str], dosage: dict[str, Any]) -> None:
    (made,) = given(oral(orc(), rxa(**fields)))
    assert made["dosage"].pop("rateQuantity")["extension"]  # FHIR mad-1
    assert made["dosage"] == dosage


def test_a_rate_that_cannot_be_read_is_a_comment() -> None:
    (made,) = given(injection(orc(), rxa(f12="全開で")))
    assert made["dosage"]["extension"][0]["valueString"] == "全開で"


def test_a_time_that_is_missing_or_reversed() -> None:
    converted = oral(orc(), rxa(start="", f20="NA"), rxa(OTHER, f4="20240601080000"))
    none, reversed_ = given(converted)
    assert "extension" in none["effectivePeriod"]
    assert reversed_["effectivePeriod"] == {"start": "2024-06-01T08:30:00+09:00"}
    assert places(converted, "period-reversed") == ["RXA[2]-4"]


def test_what_rxe_says_is_the_order_but_for_the_kind() -> None:
    converted = injection(
        orc(), "RXE||05^ＴＰＮ^JHSI0002|500||ML^mL^MR9P", "TQ1|1||||||20240601", "RXR|IV^静注^HL70162", rxa()
    )
    (made,) = given(converted)
    assert any(e.get("valueCodeableConcept", {}).get("text") == "ＴＰＮ" for e in made["extension"])
    assert "route" not in made["dosage"]
    assert set(residue(converted)) == {"RXE[1]-3", "RXE[1]-5", "TQ1[1]-1", "TQ1[1]-7", "RXR[1]-1"}


def test_findings_and_notes_belong_to_what_was_given() -> None:
    obx = "OBX|1|NM|9A755000000000001^収縮期血圧^JC10||98|mmHg|||||F|||202406010830"
    converted = injection(orc(), rxa(), "NTE|1|L|漏れあり", ROUTE, obx)
    (made,) = given(converted)
    assert made["note"] == [{"text": "漏れあり"}]
    assert only(converted, "Observation")["partOf"] == [{"reference": f"MedicationAdministration/{made['id']}"}]


def test_an_order_of_which_nothing_was_given_is_reported() -> None:
    converted = oral(orc(), "RXE||1^薬^99X")
    assert given(converted) == [] and codes(converted) == ["no-administration"]


def test_an_rxa_without_orc_or_drug() -> None:
    converted = oral(rxa(drug=""))
    (made,) = given(converted)
    assert "request" not in made and "extension" in made["medicationCodeableConcept"]
    assert codes(converted) == ["no-rp-number", "no-drug"]


def test_two_thousand_administrations() -> None:
    converted = oral(
        orc(), *(rxa(start=f"202406{1 + n % 28:02d}{n % 24:02d}{n % 60:02d}") for n in range(2_000)), ROUTE
    )
    assert len(given(converted)) == 2_000


@pytest.mark.parametrize(
    ("segments", "data_type"),
    [
        ([rxa(), "RXR|IV^静脈内^HL70162"], "OMP-12"),
        ([rxa(), "RXR|PO^口^HL70162"], "OMP-11"),
        ([rxa(), "RXR|SC^皮下^HL70162", rxa(), ROUTE], "OMP-11"),
        ([rxa()], "OMP-11"),
        (["RXE||00^一般^JHSI0002", rxa()], "OMP-12"),
    ],
)
def test_a_message_without_a_storage_name_is_an_injection_by_its_route(segments: list[str], data_type: str) -> None:
    data = "\r".join([msh("RAS^O17^RAS_O17"), PID, orc(), *segments, ""]).encode("iso2022_jp")
    (converted,) = read_file(data, "message.hl7", FACILITIES)
    assert converted.data_type == data_type


@pytest.mark.parametrize(
    ("segments", "routes"),
    [
        ((ROUTE, rxa(), rxa(OTHER)), ["口", "口"]),
        ((ROUTE, rxa(), "RXR|SL^舌下^HL70162"), ["舌下"]),
        (("RXE||103831601^薬^HOT9|1", ROUTE, rxa()), [None]),  # the route of the order, which the ward may have changed
    ],
)
def test_a_route_that_stands_before_what_was_given(segments: tuple[str, ...], routes: list[str | None]) -> None:
    converted = oral(orc(), *segments)
    assert [made.get("dosage", {}).get("route", {}).get("text") for made in given(converted)] == routes
