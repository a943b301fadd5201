"""gateway/translate/omg_o19.py: orders of radiology, endoscopy and physiology."""

from decimal import Decimal
from time import perf_counter
from typing import Any

import pytest

from gateway.translate.sources import read_file
from tests.translate.messages import FACILITIES, OID, codes, er7, every, file_name, only, places, read, residue

P = "000000000000100"
KIND = "1000000000000000^Ｘ線単純撮影^JJ1017"
CHEST = "10000002000102000000010000000000^胸部.立位正面^JJ1017"
SIDE = "10000002000106000000010000000000^胸部.立位側面^JJ1017"


def orc(control: str, number: str = P, parent: str = "", state: str = "", **more: str) -> str:
    fields = {1: control, 2: number, 5: state, 8: parent, 9: "20240601101500"}
    fields |= {int(name[1:]): value for name, value in more.items()}
    return "|".join(["ORC", *(fields.get(n, "") for n in range(1, max(fields) + 1))])


def obr(code: str = KIND, number: str = P, parent: str = "", **more: str) -> str:
    fields = {2: number, 4: code, 29: parent} | {int(name[1:]): value for name, value in more.items()}
    return "|".join(["OBR", *(fields.get(n, "") for n in range(1, max(fields) + 1))]).rstrip("|")


def order(*segments: str, data_type: str = "OMG-01", **parts: Any) -> Any:
    return read(data_type, *segments, order=P, **parts)


def statuses(converted: Any) -> list[str]:
    return [request["status"] for request in every(converted, "ServiceRequest")]


CHILDREN = (
    orc("CH", "101", P), "TQ1|1||||||||A^^HL70485", obr(CHEST, "101", P),
    orc("CH", "102", P), "TQ1|1||||||||R", obr(SIDE, "102", P),
)  # fmt: skip


def test_new_and_parent_are_one_order_and_children_are_based_on_it() -> None:
    converted = order(
        orc("NW"), "TQ1|1||||||||S^^HL70485", obr(), orc("PA"), "TQ1|1||||||||S^^HL70485", obr(), *CHILDREN
    )
    head, front, side = every(converted, "ServiceRequest")
    assert head["meta"]["profile"][0].endswith("/JP_ServiceRequest_Common")
    assert (head["status"], head["intent"], head["priority"]) == ("active", "order", "stat")
    assert [i["value"] for i in head["identifier"]] == [P]
    assert "basedOn" not in head
    for child in (front, side):
        assert child["basedOn"] == [{"reference": f"ServiceRequest/{head['id']}"}]
    assert (front["priority"], side["priority"]) == ("asap", "routine")
    assert residue(converted) == {} and codes(converted) == []


def test_jj1017_keeps_its_position_under_a_system_of_the_facility() -> None:
    request = only(order(orc("NW"), obr(CHEST)), "ServiceRequest")
    (coding,) = request["code"]["coding"]
    assert coding["code"] == CHEST.split("^")[0] and len(coding["code"]) == 32
    assert coding["system"] == f"https://musubi.invalid/{OID}/CodeSystem/JJ1017"


def test_a_jj1017_code_of_another_length_is_kept_and_reported() -> None:
    converted = order(orc("NW"), obr("99A000000000000^経皮的超音波検査^JJ1017"))
    assert only(converted, "ServiceRequest")["code"]["coding"][0]["code"] == "99A000000000000"
    assert places(converted, "code-label-mismatch") == ["OBR[1]-4"]


def test_a_jlac10_analyte_is_coded_as_that_part() -> None:
    converted = order(orc("NW"), obr("9A110^標準１２誘導心電図^JC10"), data_type="OMG-03")
    concept = only(converted, "ServiceRequest")["code"]
    assert concept["text"] == "標準１２誘導心電図"
    assert concept["coding"][0]["system"].endswith("/JLAC10-analyte")
    assert codes(converted) == []


def test_clinical_information_is_observed_and_referred_to() -> None:
    converted = order(
        orc("NW"), obr(), orc("PA"), obr(),
        "NTE|1||妊娠の可能性なし",
        "OBX|1|NM|01-02^体重^JSHR001||62.0|kg^kg^ISO+|||||F",
        "OBX|2|CWE|04-03^視覚障害^JSHR||SV^重度^JSHR||||||F",
        "OBX|3|TX|MS3-34^臨床病名^JSHR||肺炎の疑い||||||F",
        "NTE|1||前回も同様",
        *CHILDREN,
    )  # fmt: skip
    head = every(converted, "ServiceRequest")[0]
    weight, sight, diagnosis = every(converted, "Observation")
    assert [r["reference"] for r in head["supportingInfo"]] == [
        f"Observation/{one['id']}" for one in (weight, sight, diagnosis)
    ]
    assert weight["valueQuantity"]["value"] == Decimal("62.0")
    assert weight["meta"]["profile"][0].endswith("/JP_Observation_BodyMeasurement")
    assert "effectiveDateTime" not in weight
    assert sight["valueCodeableConcept"]["text"] == "重度"
    assert diagnosis["valueString"] == "肺炎の疑い" and diagnosis["note"] == [{"text": "前回も同様"}]
    assert head["note"] == [{"text": "妊娠の可能性なし"}]


@pytest.mark.parametrize(
    ("control", "state", "status"),
    [
        ("NW", "", "active"), ("NW", "CM", "completed"), ("NW", "HD", "on-hold"), ("SC", "IP", "active"),
        ("XO", "", "active"), ("RP", "", "active"), ("CA", "", "revoked"), ("DC", "", "revoked"), ("OC", "", "revoked"),
        ("HD", "", "on-hold"), ("DE", "", "entered-in-error"), ("SC", "CA", "revoked"), ("CA", "IP", "revoked"),
        ("", "", "unknown"), ("??", "", "unknown"), ("", "CM", "completed"),
    ],
)  # fmt: skip
def test_orc_1_and_orc_5_tell_the_state(control: str, state: str, status: str) -> None:
    converted = order(orc(control, state=state), obr())
    assert statuses(converted) == [status]
    assert ("no-status" in codes(converted)) == (status == "unknown")
    if (control, state) == ("CA", "IP"):
        assert residue(converted) == {"ORC[1]-5": "IP"}


def test_a_cancelled_order_revokes_the_parts_of_which_nothing_else_is_said() -> None:
    converted = order(
        orc("CA"), obr(), *CHILDREN[:3], orc("CH", "102", P, state="CM"), obr(SIDE, "102", P),
        orc("CA", "103", P), obr(SIDE, "103", P),
    )  # fmt: skip
    assert statuses(converted) == ["revoked", "revoked", "completed", "revoked"]


def test_one_part_may_be_cancelled() -> None:
    converted = order(orc("NW"), obr(), *CHILDREN[:3], orc("CA", "102", P), obr(SIDE, "102", P))
    assert statuses(converted) == ["active", "active", "revoked"]


def test_a_cancel_meets_the_order_it_cancels() -> None:
    placed = order(orc("NW"), obr(), orc("PA"), obr(), *CHILDREN)
    cancelled = order(*(one.replace("ORC|CH", "ORC|CA") for one in CHILDREN[3:]), orc("CA"), obr())
    ids = [request["id"] for request in every(placed, "ServiceRequest")]
    assert {request["id"] for request in every(cancelled, "ServiceRequest")} == {ids[0], ids[2]}


def test_ids_do_not_depend_on_the_order_of_children() -> None:
    one = order(orc("NW"), obr(), *CHILDREN)
    other = order(orc("NW"), obr(), *CHILDREN[3:], *CHILDREN[:3])
    assert {r["id"] for r in every(one, "ServiceRequest")} == {r["id"] for r in every(other, "ServiceRequest")}


def test_the_parent_may_be_named_by_orc_8_or_obr_29_alone_and_be_elsewhere() -> None:
    converted = order(orc("CH", "101"), obr(CHEST, "101", P), orc("CH", "102", f"{P}&HIS"), obr(SIDE, "102"))
    for request in every(converted, "ServiceRequest"):
        assert request["basedOn"][0]["identifier"]["value"] == P
    assert residue(converted) == {"ORC[2]-8.1": "HIS"}


def test_another_examination_under_one_number_is_an_order_of_its_own() -> None:
    converted = order(orc("NW"), obr(CHEST), orc("NW"), obr(SIDE))
    assert len(every(converted, "ServiceRequest")) == 2
    assert len({request["id"] for request in every(converted, "ServiceRequest")}) == 2


def test_what_parent_and_new_contradict_is_residue() -> None:
    converted = order(
        orc("NW"), "TQ1|1||||||20240602||R", obr(), orc("PA", o9="20240602"), "TQ1|1||||||20240603||S", obr(SIDE)
    )
    request = only(converted, "ServiceRequest")
    assert request["priority"] == "routine" and request["occurrenceDateTime"] == "2024-06-02"
    assert residue(converted) == {
        "ORC[2]-9": "20240602", "TQ1[2]-7": "20240603", "TQ1[2]-9": "S", "OBR[2]-4": SIDE,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("start", "end", "element", "expected"),
    [
        ("20240602", "", "occurrenceDateTime", "2024-06-02"),
        ("20240602", "20240604", "occurrencePeriod", {"start": "2024-06-02", "end": "2024-06-04"}),
        ("", "20240604", "occurrencePeriod", {"end": "2024-06-04"}),
        ("20240602", "20240602", "occurrenceDateTime", "2024-06-02"),
    ],
)
def test_when_it_is_wanted(start: str, end: str, element: str, expected: Any) -> None:
    assert only(order(orc("NW"), f"TQ1|1||||||{start}|{end}", obr()), "ServiceRequest")[element] == expected


def test_an_end_before_the_start_is_residue() -> None:
    converted = order(orc("NW"), "TQ1|1||||||20240602|20240601", obr())
    assert only(converted, "ServiceRequest")["occurrenceDateTime"] == "2024-06-02"
    assert residue(converted) == {"TQ1[1]-8": "20240601"} and "period-reversed" in codes(converted)


def test_persons_reasons_and_groups_of_the_order() -> None:
    converted = order(
        orc("NW", o3="F1", o4="G1", o12="110^医師^一郎", o16="01^患者都合^99X", o29="I^入院^HL70482"),
        obr(o13="喘息あり", o31="R05^咳^99X~発熱"),
    )
    request = only(converted, "ServiceRequest")
    assert [i["value"] for i in request["identifier"]] == [P, "F1"]
    assert request["requisition"]["value"] == "G1" and request["requester"]["display"] == "医師 一郎"
    assert request["category"][0]["coding"][0]["code"] == "I"
    assert [note["text"] for note in request["note"]] == ["患者都合", "喘息あり"]
    assert [concept["coding"][0]["code"] for concept in request["reasonCode"]] == ["R05", "発熱"]


def test_an_unknown_priority_is_residue() -> None:
    converted = order(orc("NW"), "TQ1|1||||||||Q^^HL70485", obr())
    assert "priority" not in only(converted, "ServiceRequest")
    assert residue(converted)["TQ1[1]-9"].startswith("Q") and "code-unknown" in codes(converted)


def test_an_order_without_orc_or_without_obr() -> None:
    assert statuses(order(obr())) == ["unknown"]
    request = only(order(orc("NW")), "ServiceRequest")
    assert request["status"] == "active" and "code" not in request


def test_over_mllp_the_code_system_decides_and_the_ids_are_those_of_the_storage() -> None:
    content = er7("OMG-02", orc("NW"), obr("11000000000^検査.上部^LENDO"))
    (fed,) = read_file(content, "message.hl7", FACILITIES)
    (stored,) = read_file(content, file_name("OMG-02", P), FACILITIES)
    assert fed.data_type == "OMG-02"
    assert [r["id"] for r in fed.resources[:-1]] == [r["id"] for r in stored.resources[:-1]]


def test_five_hundred_parts_take_linear_time() -> None:
    def segments(count: int) -> list[str]:
        found = [orc("NW"), obr()]
        for number in range(count):
            found += [orc("CH", f"X{number}", P), obr(f"{number:032d}^部位^JJ1017", f"X{number}", P)]
        return found

    def seconds(count: int) -> float:
        content = er7("OMG-01", *segments(count))
        start = perf_counter()
        (converted,) = read_file(content, file_name("OMG-01", P), FACILITIES)
        assert len(every(converted, "ServiceRequest")) == count + 1
        return perf_counter() - start

    seconds(50)
    least = min(seconds(500) for _ in range(3))
    assert min(seconds(2_000) for _ in range(3)) < 12 * max(least, 0.02)
