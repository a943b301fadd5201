"""A record as DICOM XML, as syslog frame, as FHIR AuditEvent, and as a line a patient reads."""

import base64
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from gateway.model.audit import AuditObject, AuditRecord, StoredRecord
from gateway.services.audit.dicom import audit_message
from gateway.services.audit.event import audit_event, event_id
from gateway.services.audit.report import accesses, as_csv
from gateway.services.audit.syslog import frame

SCHEMA = etree.RelaxNG(etree.parse(Path(__file__).with_name("audit_message.rng")))
HOME = "urn:oid:1.2.392.200119.99999.1"
QUERY = AuditRecord(
    "110112", "ITI-18", "E", 0, "u1", "10.0.0.7", patient="1^^^&1.2.3&ISO", object="urn:uuid:14d4debf", detail="2 found",
    node="n1", user="u1", issuer="https://sts", user_name="山田", assertion="_a", roles=("DOCTOR^^1.2.4",),
    purpose="TREATMENT", organization="urn:oid:1.2.5", home=HOME, break_glass="b1",
    objects=(AuditObject("query", "urn:uuid:14d4debf", "<q>佐藤</q>".encode(), (("QueryEncoding", "UTF-8"),)),),
)  # fmt: skip
RETRIEVE = replace(
    QUERY, event="110106", transaction="ITI-43", action="R", objects=(AuditObject("document", "2.25.1", details=(("Repository Unique Id", "1.2.9"),)),),
)  # fmt: skip
REST = AuditRecord("110112", "rest", "E", 4, "n1", object="Observation?code", detail="GET 403", patients=("e1",))
START = AuditRecord("110100", "110120", "E", 0, "musubi serve")
ALL = {"query": QUERY, "retrieve": RETRIEVE, "rest": REST, "start": START}


def stored(record: AuditRecord, n: int = 7) -> StoredRecord:
    return StoredRecord(n, "2026-04-01T16:00:00.000Z", record)


@pytest.mark.parametrize("name", ALL)
def test_the_xml_has_the_structure_of_the_standard(name: str) -> None:
    document = etree.fromstring(audit_message(stored(ALL[name]), HOME))
    SCHEMA.assertValid(document)


def test_the_xml_says_who_asked_what_of_whom() -> None:
    document = etree.fromstring(audit_message(stored(QUERY), HOME))
    users = [one.get("UserID") for one in document.iter("ActiveParticipant")]
    assert users == ["n1", "山田<u1@https://sts>", HOME]
    assert document.find(".//PurposeOfUse").get("csd-code") == "TREATMENT"
    query = document.findtext(".//ParticipantObjectQuery")
    assert base64.b64decode(query).decode() == "<q>佐藤</q>"
    assert [one.get("ParticipantObjectID") for one in document.iter("ParticipantObjectIdentification")] == [
        "1^^^&1.2.3&ISO", "urn:uuid:14d4debf", f"{HOME}#audit-7",
    ]  # fmt: skip


def test_what_xml_cannot_carry_loses_no_record() -> None:
    document = etree.fromstring(audit_message(stored(replace(QUERY, user="a\x00b\ud800")), HOME))
    assert "a\ufffdb\ufffd" in str(document.xpath("string(//ActiveParticipant[2]/@UserID)"))


def test_the_roles_turn_with_the_direction_of_the_data() -> None:
    def roles(record: AuditRecord) -> list[str]:
        document = etree.fromstring(audit_message(stored(record), HOME))
        return [str(one.get("csd-code")) for one in document.iter("RoleIDCode") if one.get("codeSystemName") == "DCM"]

    assert roles(QUERY) == ["110153", "110152"] and roles(RETRIEVE) == ["110152", "110153"]


def test_a_frame_counts_its_octets_and_marks_what_comes_again() -> None:
    data = frame(stored(QUERY), HOME, "node")
    length, _, message = data.partition(b" ")
    assert int(length) == len(message)
    assert message.startswith(b"<85>1 2026-04-01T16:00:00.000Z node musubi - IHE+RFC-3881 [musubi@32473 record=")
    assert b"\xef\xbb\xbf<AuditMessage>" in message and b"resent" not in message
    assert b'resent="true"' in frame(stored(QUERY), HOME, "node", again=True)


def test_the_audit_event_is_that_of_balp() -> None:
    event = audit_event(stored(QUERY), HOME)
    assert event["id"] == event_id(HOME, 7) and event["outcome"] == "0"
    (user,) = [one for one in event["agent"] if one["requestor"]]
    assert user["who"]["identifier"] == {"system": "https://sts", "value": "u1"} and user["policy"] == ["_a"]
    assert user["purposeOfUse"][0]["coding"][0]["code"] == "TREAT"
    assert event["entity"][0]["what"]["identifier"] == {"system": "urn:oid:1.2.3", "value": "1"}
    assert base64.b64decode(event["entity"][1]["query"]).decode() == "<q>佐藤</q>"
    search = audit_event(stored(REST), HOME)
    assert search["type"]["code"] == "rest" and search["subtype"][0]["code"] == "search"


def test_every_audit_event_is_valid_fhir(shared: Path) -> None:
    from gateway.app import validator

    for record in ALL.values():
        errors = [
            one for one in validator().check(audit_event(stored(record), HOME)) if one.severity in ("error", "fatal")
        ]
        assert errors == []


def test_the_list_of_accesses_names_facilities_and_no_staff() -> None:
    lines = list(accesses([stored(QUERY), stored(REST), stored(START)], {"urn:oid:1.2.5": "東京総合病院"}.get))  # type: ignore[arg-type]
    assert [tuple(one) for one in lines] == [
        ("2026-04-02 01:00:00", "東京総合病院", "診療", "文書一覧の照会", "文書・患者情報", "緊急", "閲覧")
    ]
    assert "山田" not in as_csv(lines)
    assert "'=1+1" in as_csv([lines[0]._replace(facility="=1+1")])
