"""ITI-44: feeds of HL7 v3, their receipts and what they tell the index."""

import io
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway import ihe
from gateway.codec import mtom, soap
from gateway.errors import Forbidden
from gateway.ihe._transaction import Sender
from gateway.model.person import PersonAddress, PersonName
from tests.v3_parts import (
    MEDICAL,
    OSAKA,
    PERSON,
    TARO,
    TOKYO,
    UNKNOWN,
    V3Node,
    code,
    details,
    feed,
    make_v3_node,
    path_of,
    tid,
)
from tests.xds_parts import CALLER

ADD, REVISE, MERGE = (f"PRPA_IN20130{n}UV02" for n in (1, 2, 4))
EVENT = "controlActProcess/subject/registrationEvent"


@pytest.fixture
def node() -> V3Node:
    return make_v3_node()


def tell(node: V3Node, name: str, *ids: Any, **changes: Any) -> etree._Element:
    return node.ask("/pixv3", f"urn:hl7-org:v3:{name}", feed(name, *ids, **changes))


@pytest.mark.parametrize(("name", "kind"), [(ADD, "add"), (REVISE, "revise")])
def test_a_person_arrives_whole(node: V3Node, name: str, kind: str) -> None:
    answer = tell(node, name, tid("T1"), tid("M1", MEDICAL))
    assert (code(answer), details(answer)) == ("CA", [])
    assert answer.find(path_of("acknowledgement/targetMessage/id")).get("extension") == "m1"  # type: ignore[union-attr]
    (event,) = node.persons.fed
    assert (event.kind, event.transaction, event.ids) == (kind, "ITI-44", (tid("T1"), tid("M1", MEDICAL)))
    assert (event.sender, event.control_id, event.event_time) == ("1.2.3.5|HIS", "1.2.3.4|m1", "20240102030405000")
    told = event.demographics
    assert told is not None
    assert told.names == TARO.names
    assert (told.birth_date, told.sex, told.telecoms) == ("19840203", "M", ("03-1234-5678",))
    assert told.addresses == (PersonAddress("1000001", "東京都", "千代田区", "千代田1-1"),)


def test_the_time_of_the_event_wins_and_is_japans(node: V3Node) -> None:
    tell(node, ADD, tid("T1"), act='<effectiveTime value="20240101230000.1234+0000"/>')
    tell(node, ADD, tid("T2"), act='<effectiveTime><low value="202401012300"/></effectiveTime>')
    assert [one.event_time for one in node.persons.fed] == ["20240102080000123", "20240101230000000"]


def test_other_ids_belong_to_the_person(node: V3Node) -> None:
    others = (
        f'<asOtherIDs classCode="CIT"><id root="{MEDICAL}" extension="M1"/><scopingOrganization classCode="ORG"'
        f' determinerCode="INSTANCE"><id root="{MEDICAL}"/></scopingOrganization></asOtherIDs>'
    )
    tell(node, ADD, tid("T1"), person=PERSON + others)
    assert node.persons.fed[0].ids == (tid("T1"), tid("M1", MEDICAL))


def test_a_newborn_without_a_name_is_taken(node: V3Node) -> None:
    answer = tell(node, ADD, tid("T1"), person='<name nullFlavor="UNK"/>')
    assert code(answer) == "CA"
    told = node.persons.fed[0].demographics
    assert told is not None
    assert told.names == ()


@pytest.mark.parametrize(
    ("ids", "change", "number", "location"),
    [
        ((), None, "101", "/subject1/patient/id"),
        ((tid("T1", UNKNOWN),), None, "204", "/subject1/patient/id[1]/@root"),
        ((tid("T1"), tid("X", UNKNOWN)), None, "204", "/subject1/patient/id[2]/@root"),
        ((tid("T1"),), (b' extension="T1"', b""), "101", "/subject1/patient/id[1]/@extension"),
        (
            (tid("T1"),),
            (f'root="{TOKYO}" extension="T1"'.encode(), b'extension="T1"'),
            "101",
            "/subject1/patient/id[1]/@root",
        ),
    ],
)
def test_a_bad_id_is_named(node: V3Node, ids: tuple[Any, ...], change: Any, number: str, location: str) -> None:
    body = feed(ADD, *ids)
    if change:
        body = body.replace(*change, 1)
    answer = node.ask("/pixv3", f"urn:hl7-org:v3:{ADD}", body)
    assert (code(answer), details(answer)) == ("CE", [("E", number, [f"/{ADD}/{EVENT}{location}"])])
    assert node.persons.fed == []
    (record,) = node.audit.records
    assert (record.event, record.transaction, record.action, record.outcome) == ("110110", "ITI-44", "C", 4)


def test_an_other_id_may_be_of_anybody(node: V3Node) -> None:
    """A licence or an insurance number in OtherIDs links nobody, and is no reason to refuse the person."""
    others = (
        f'<asOtherIDs classCode="CIT"><id root="{UNKNOWN}" extension="X"/><scopingOrganization classCode="ORG"'
        f' determinerCode="INSTANCE"><id root="{UNKNOWN}"/></scopingOrganization></asOtherIDs>'
    )
    assert code(tell(node, ADD, tid("T1"), person=PERSON + others)) == "CA"
    (event,) = node.persons.fed
    assert event.ids == (tid("T1"), tid("X", UNKNOWN))


def test_senders_assign_in_their_own_domains(node: V3Node) -> None:
    node.change(senders=(Sender("HIS", "", frozenset({TOKYO})), Sender("1.2.9", "", frozenset({MEDICAL}))))
    assert code(tell(node, ADD, tid("T1"))) == "CA"
    answer = tell(node, ADD, tid("T1"), tid("M1", MEDICAL))
    assert details(answer) == [("E", "204", [f"/{ADD}/{EVENT}/subject1/patient/id[2]/@root"])]
    node.change(senders=(Sender("", "1.2.392.200119.99999.20", frozenset({OSAKA})),))
    assert (code(tell(node, ADD, tid("O1", OSAKA))), code(tell(node, ADD, tid("T1")))) == ("CA", "CE")


# -- merge -------------------------------------------------------------------------------------------------------


def test_a_merge_names_who_survives(node: V3Node) -> None:
    node.persons.put("e1", TARO, tid("T1"))
    node.persons.put("e2", TARO, tid("T2"), tid("O2", OSAKA))
    assert code(tell(node, MERGE, tid("T1"), prior=(tid("T2"),))) == "CA"
    (event,) = node.persons.fed
    assert (event.kind, event.ids, event.prior) == ("merge", (tid("T1"),), (tid("T2"),))
    assert node.persons.links == {tid("T1"): "e1", tid("O2", OSAKA): "e1"}
    (record,) = node.audit.records  # that of the survivor went in with the commit
    assert (record.event, record.action, record.outcome, record.patient) == ("110110", "D", 0, str(tid("T2")))


PRIOR = f"/{MERGE}/{EVENT}/replacementOf/priorRegistration/subject1/priorRegisteredRole/id"


@pytest.mark.parametrize(
    ("survivor", "prior", "number", "locations"),
    [
        (tid("T1"), (), "101", [PRIOR]),
        (tid("T1"), (tid("T9"),), "204", [f"{PRIOR}[1]/@extension"]),
        (tid("T1"), (tid("T2", UNKNOWN),), "204", [f"{PRIOR}[1]/@root"]),
        (tid("T1"), (tid("T1"),), "102", [f"{PRIOR}[1]"]),
        (tid("T1"), (tid("O2", OSAKA),), "204", [f"{PRIOR}[1]/@root"]),
    ],
)
def test_a_merge_that_is_none(node: V3Node, survivor: Any, prior: Any, number: str, locations: list[str]) -> None:
    node.persons.put("e1", TARO, tid("T1"))
    node.persons.put("e2", TARO, tid("T2"), tid("O2", OSAKA))
    answer = tell(node, MERGE, survivor, prior=prior)
    assert (code(answer), details(answer)) == ("CE", [("E", number, locations)])
    assert node.persons.fed == []


def test_a_replacement_in_a_revision_is_no_merge(node: V3Node) -> None:
    node.persons.put("e2", TARO, tid("T2"))
    tell(node, REVISE, tid("T1"), prior=(tid("T2"),))
    assert (node.persons.fed[0].kind, node.persons.fed[0].prior) == ("revise", ())


# -- heads and errors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "number"), [({"processing": "X"}, "202"), ({"interaction": "PRPA_IN201302UV02"}, "200")]
)
def test_a_head_that_cannot_be_worked_with_is_rejected(node: V3Node, changes: Any, number: str) -> None:
    answer = tell(node, ADD, tid("T1"), **changes)
    assert (code(answer), [one[1] for one in details(answer)]) == ("CR", [number])


@pytest.mark.parametrize("processing", ["P", "T", "D"])
def test_every_processing_code_of_the_table_is_taken(node: V3Node, processing: str) -> None:
    answer = tell(node, ADD, tid("T1"), processing=processing)
    assert code(answer) == "CA"
    assert answer.find(path_of("processingCode")).get("code") == processing  # type: ignore[union-attr]


def test_two_events_in_one_message_are_refused_whole(node: V3Node) -> None:
    body = feed(ADD, tid("T1"))
    start, end = body.index(b"<subject typeCode"), body.index(b"</subject>") + len(b"</subject>")
    answer = node.ask("/pixv3", f"urn:hl7-org:v3:{ADD}", body[:end] + body[start:end] + body[end:])
    assert (code(answer), node.persons.fed) == ("CE", [])


def test_policy_and_failures(node: V3Node) -> None:
    node.persons.error = Forbidden("policy")
    assert code(tell(node, ADD, tid("T1"))) == "CR"
    node.persons.error = ZeroDivisionError("T1")
    assert (code(tell(node, ADD, tid("T1"))), node.audit.records[-1].outcome) == ("CE", 12)


def test_a_feed_that_was_stored_is_recorded_by_its_commit(node: V3Node) -> None:
    tell(node, ADD, tid("T1"))
    assert node.audit.records == []


def test_the_body_has_to_be_that_of_the_action(node: V3Node) -> None:
    response = node.send("/pixv3", f"urn:hl7-org:v3:{ADD}", feed(REVISE, tid("T1")))
    assert (response.status, b"soap:Sender" in b"".join(response.body)) == (500, True)


def test_names_in_every_form(node: V3Node) -> None:
    person = (
        "<name>結城　太郎</name>"
        '<name use="ABC"><given>Taro</given><given>J</given><family>Yuki</family></name>'
        '<name use="L"><family qualifier="BR">佐藤</family><given>花子</given></name>'
        "<name><family>鈴木</family><validTime><high value='2001'/></validTime></name>"
        '<administrativeGenderCode nullFlavor="UNK"/><birthTime value="1984"/><deceasedTime value="2020"/>'
        '<multipleBirthInd value="true"/><multipleBirthOrderNumber value="2"/>'
        '<addr use="BAD">東京都千代田区1-1</addr>'
    )
    assert code(tell(node, ADD, tid("T1"), person=person)) == "CA"
    told = node.persons.fed[0].demographics
    assert told is not None
    assert told.names == (
        PersonName(text="結城 太郎"),
        PersonName("Yuki", "Taro J", kind="romaji"),
        PersonName("佐藤", "花子", use="maiden"),
        PersonName("鈴木", use="old"),
    )
    assert (told.sex, told.birth_date, told.deceased, told.multiple_birth, told.birth_order) == (
        "U",
        "1984",
        True,
        True,
        2,
    )
    assert told.addresses == (PersonAddress(text="東京都千代田区1-1", use="old"),)


# -- whatever comes ------------------------------------------------------------------------------------------------

GOOD = soap.request(f"urn:hl7-org:v3:{ADD}", "urn:uuid:a", "http://127.0.0.1/", feed(ADD, tid("T1")))
EDITS = st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 12), st.binary(max_size=6)), min_size=1, max_size=4)


@given(EDITS)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_edit_of_a_message_is_an_error_of_ours(edits: list[tuple[int, int, bytes]]) -> None:
    data = GOOD
    for at, cut, new in edits:
        data = data[:at] + new + data[at + cut :]
    node = make_v3_node()
    response = ihe.dispatch("/pixv3", soap.MEDIA_TYPE, io.BytesIO(data), node.services, CALLER)
    assert response.status in (200, 500)
    assert b"an error of this node" not in b"".join(response.body)
    assert len(node.audit.records) + len(node.persons.fed) == 1


def test_mtom_is_unpacked_and_soap_1_1_is_not_spoken() -> None:
    node = make_v3_node()
    packed = mtom.write("B", "root@test", GOOD, ())
    kind = mtom.content_type("B", "root@test", f"urn:hl7-org:v3:{ADD}")
    response = ihe.dispatch("/pixv3", kind, io.BytesIO(b"".join(packed)), node.services, CALLER)
    assert (response.status, len(node.persons.fed)) == (200, 1)
    old = GOOD.replace(soap.SOAP.encode(), soap.SOAP11.encode())
    response = ihe.dispatch("/pixv3", "text/xml", io.BytesIO(old), node.services, CALLER)
    assert (response.status, b"VersionMismatch" in b"".join(response.body)) == (500, True)


@pytest.mark.parametrize("bad", [b"<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>", b"\x00", b"\xff\xfe"])
def test_what_is_no_honest_xml_is_refused(bad: bytes) -> None:
    node = make_v3_node()
    data = GOOD.replace(b"?>", b"?>" + bad, 1)
    response = ihe.dispatch("/pixv3", soap.MEDIA_TYPE, io.BytesIO(data), node.services, CALLER)
    assert (response.status, node.persons.fed) == (500, [])


def test_a_very_long_name_is_only_a_name(node: V3Node) -> None:
    answer = tell(node, ADD, tid("T1"), person=f"<name><family>{'長' * 100_000}</family></name>")
    assert code(answer) == "CA"
