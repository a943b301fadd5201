"""gateway/translate/oml_o33.py: laboratory orders."""

from typing import Any

import pytest

from gateway.profiles.validator import Validator
from tests.translate.messages import MESSAGE_TYPES, codes, every, only, places, read, residue

MESSAGE_TYPES.setdefault("OML-01", "OML^O33^OML_O33")
SPM = "SPM|1|S1||023^血清^JC10|||||||||||||202406010900"
OBR = "OBR|1|5000||E002^生化学的検査^99O03"
TP = "OBX|1||3A010000002327101^総蛋白^JC10^10222^ＴＰ^99X03||||||||O"
AST = "OBX|2||3B035000002327201^GOT^JC10^10207^GOT^99X03||||||||O"


def orc(control: str = "NW", state: str = "", **fields: str) -> str:
    numbered = {1: control, 2: "5000", 5: state} | {int(name[1:]): value for name, value in fields.items()}
    return "|".join(["ORC", *(numbered.get(n, "") for n in range(1, max(numbered) + 1))])


def order(*segments: str, **parts: Any) -> Any:
    converted = read("OML-01", *segments, order="000000000005000", **parts)
    validator = Validator.default()
    assert [f for r in converted.resources for f in validator.check(r) if f.severity in ("error", "fatal")] == []
    return converted


def test_an_order_of_two_tests() -> None:
    converted = order(SPM, orc(f9="20240601080000", f12="110^医師^一郎", f29="O^外来^HL70482"), OBR, TP, AST)
    made = only(converted, "ServiceRequest")
    assert (made["status"], made["intent"], made["authoredOn"]) == ("active", "order", "2024-06-01T08:00:00+09:00")
    assert made["code"]["text"] == "生化学的検査"
    assert [one["coding"][0]["code"] for one in made["orderDetail"]] == ["3A010000002327101", "3B035000002327201"]
    assert made["specimen"] == [{"reference": f"Specimen/{only(converted, 'Specimen')['id']}"}]
    assert made["requester"]["reference"] == f"Practitioner/{only(converted, 'Practitioner')['id']}"
    assert made["meta"]["profile"][0].endswith("/JP_ServiceRequest_Common")
    assert every(converted, "Observation") == every(converted, "DiagnosticReport") == []
    assert residue(converted) == {}


def test_the_result_finds_its_request_by_the_order_number() -> None:
    request = only(order(SPM, orc(), OBR, TP), "ServiceRequest")
    result = read("OML-11", SPM, OBR, "OBX|1|NM|3A010000002327101^総蛋白^JC10||7||||||F", order="5000")
    (based,) = only(result, "DiagnosticReport")["basedOn"]
    assert based["type"] == "ServiceRequest"
    (identifier,) = request["identifier"]
    assert {key: identifier[key] for key in ("system", "value")} == based["identifier"]


def test_each_group_is_a_request_of_its_own() -> None:
    converted = order(SPM, orc(), OBR, TP, "SPM|2|S2||001^尿^JC10", orc("CA"), "OBR|1|5000||E003^尿検査^99O03", AST)
    first, second = every(converted, "ServiceRequest")
    assert (first["status"], second["status"]) == ("active", "revoked")
    assert first["specimen"] != second["specimen"]
    assert first["id"] != second["id"]


@pytest.mark.parametrize(
    ("control", "state", "status"),
    [
        ("NW", "", "active"), ("RP", "", "active"), ("XO", "", "active"), ("CA", "", "revoked"), ("DC", "", "revoked"),
        ("OC", "IP", "revoked"), ("HD", "", "on-hold"), ("SC", "CM", "completed"), ("SC", "IP", "active"),
        ("SC", "A", "active"), ("SC", "CA", "revoked"), ("SC", "HD", "on-hold"), ("NW", "CM", "completed"),
        ("SC", "", "unknown"), ("", "CM", "completed"), ("", "", "unknown"), ("??", "", "unknown"), ("NW", "??", "active"),
    ],
)  # fmt: skip
def test_status(control: str, state: str, status: str) -> None:
    converted = order(SPM, orc(control, state), OBR, TP)
    assert only(converted, "ServiceRequest")["status"] == status
    assert ("no-order-status" in codes(converted)) == (status == "unknown")
    assert ("code-unknown" in codes(converted)) == ("??" in (control, state))
    left = {"OC": {"ORC[1]-5"}}.get(control, set()) | {
        f"ORC[1]-{n}" for n, code in ((1, control), (5, state)) if code == "??"
    }
    assert {kept.where for kept in converted.translated.residue if kept.where in ("ORC[1]-1", "ORC[1]-5")} == left


def test_a_cancelled_order_keeps_its_id() -> None:
    new, cancelled = (only(order(SPM, orc(control), OBR, TP), "ServiceRequest") for control in ("NW", "CA"))
    assert new["id"] == cancelled["id"]


@pytest.mark.parametrize(("sent", "priority"), [("S", "stat"), ("A", "asap"), ("R", "routine")])
def test_priority_and_time(sent: str, priority: str) -> None:
    converted = order(SPM, orc(), f"TQ1|1||||||20240601093000||{sent}^^HL70485", OBR, TP)
    made = only(converted, "ServiceRequest")
    assert (made["priority"], made["occurrenceDateTime"]) == (priority, "2024-06-01T09:30:00+09:00")
    assert only(order(SPM, orc(), f"{OBR}|{sent}"), "ServiceRequest")["priority"] == priority


def test_tq1_replaces_the_fields_of_older_messages_and_they_are_residue() -> None:
    converted = order(SPM, orc(), "TQ1|1||||||20240601093000||S", f"{OBR}|R|20240601100000")
    made = only(converted, "ServiceRequest")
    assert (made["priority"], made["occurrenceDateTime"]) == ("stat", "2024-06-01T09:30:00+09:00")
    assert residue(converted) == {"OBR[1]-5": "R", "OBR[1]-6": "20240601100000"}


def test_an_unknown_priority_is_reported() -> None:
    converted = order(SPM, orc(), "TQ1|1||||||||Z", OBR)
    assert "priority" not in only(converted, "ServiceRequest")
    assert places(converted, "code-unknown") == ["TQ1[1]-9"]


def test_what_the_laboratory_must_know_is_an_observation_of_the_request() -> None:
    converted = order(SPM, orc(), OBR, TP, "OBX|2|NM|9X1^蓄尿量^99X||1500|mL|||||F", "NTE|1||24時間")
    made, given = only(converted, "ServiceRequest"), only(converted, "Observation")
    assert made["supportingInfo"] == [{"reference": f"Observation/{given['id']}"}]
    assert len(made["orderDetail"]) == 1
    assert (given["valueQuantity"]["value"], given["note"]) == (1500, [{"text": "24時間"}])
    assert given["effectiveDateTime"] == "2024-06-01T09:00:00+09:00"


def test_without_any_time_what_is_given_claims_no_laboratory_profile() -> None:
    given = only(order(orc(), OBR, "OBX|1|ST|9X1^病名^99X||胃炎||||||F"), "Observation")
    assert given["meta"]["profile"][0].endswith("/JP_Observation_Common")


def test_comments_of_order_and_test_are_notes() -> None:
    converted = order(SPM, orc(), OBR, "NTE|1|P|至急", TP, "NTE|1|P|前回高値")
    assert only(converted, "ServiceRequest")["note"] == [{"text": "至急"}, {"text": "前回高値"}]
    assert residue(converted) == {}


def test_without_a_group_code_the_tests_are_what_is_asked_for() -> None:
    made = only(order(SPM, orc(), "OBR|1|5000", TP, AST), "ServiceRequest")
    assert "orderDetail" not in made
    assert made["code"]["text"] == "ＴＰ、GOT"


def test_a_test_withdrawn_from_the_order_is_no_detail_of_it() -> None:
    converted = order(SPM, orc(), OBR, TP, AST.replace("|O", "|X"))
    assert len(only(converted, "ServiceRequest")["orderDetail"]) == 1
    assert only(converted, "Observation")["status"] == "cancelled"


def test_two_requesters_that_differ() -> None:
    converted = order(orc(f12="110^医師"), f"{OBR}||||||||||||111^別医師")
    assert only(converted, "ServiceRequest")["requester"]["display"] == "医師"
    assert residue(converted)["OBR[1]-16"] == "111^別医師"


def test_obx_before_any_order_and_stray_comments_are_residue() -> None:
    converted = order("NTE|1||迷子", SPM, TP)
    assert every(converted, "ServiceRequest") == []
    assert residue(converted)["NTE[1]-3"] == "迷子"
    assert "OBX[1]-3" in residue(converted)
    assert places(converted, "comment-without-owner") == ["NTE[1]-3"]


def test_group_number_specimen_source_and_reason() -> None:
    converted = order(orc(f4="G1"), f"{OBR}|||||||||発熱||001&尿&JC10||||||||||||||||R50^発熱^I10", TP)
    made = only(converted, "ServiceRequest")
    assert made["requisition"]["value"] == "G1"
    assert made["specimen"] == [{"reference": f"Specimen/{only(converted, 'Specimen')['id']}"}]
    assert made["note"] == [{"text": "発熱"}]
    assert made["reasonCode"][0]["text"] == "発熱"
