"""ITI-56: which communities hold data of a person."""

import pytest
from lxml import etree

from gateway.ihe import iti56
from gateway.ihe._v3 import Correlation
from tests.v3_parts import HOME, MEDICAL, REGION, TARO, UNKNOWN, V3Node, make_v3_node, tid

ACTION = "urn:ihe:iti:2009:PatientLocationQuery"
XCPD = "{urn:ihe:iti:xcpd:2009}"
OTHER = "urn:oid:1.2.392.200119.99999.20"


@pytest.fixture
def node() -> V3Node:
    node = make_v3_node()
    node.persons.put("e1", TARO, tid("T1"), tid("M1", MEDICAL))
    return node


def request(root: str, extension: str) -> bytes:
    return (
        '<PatientLocationQueryRequest xmlns="urn:ihe:iti:xcpd:2009">'
        f'<RequestedPatientId root="{root}" extension="{extension}"/></PatientLocationQueryRequest>'
    ).encode()


def rows(answer: etree._Element) -> list[tuple[str | None, str | None, str | None, str | None]]:
    found = []
    for row in answer.findall(f"{XCPD}PatientLocationResponse"):
        home, own, asked = row
        assert [etree.QName(one).localname for one in row] == [
            "HomeCommunityId",
            "CorrespondingPatientId",
            "RequestedPatientId",
        ]
        found.append((home.text, own.get("root"), own.get("extension"), asked.get("extension")))
    return found


def test_this_community_and_those_that_told_of_the_person(node: V3Node) -> None:
    assert rows(node.ask("/xcpd", ACTION, request(MEDICAL, "M1"))) == [(HOME, REGION, "e1", "M1")]
    node.services.correlations.put("e1", (Correlation(OTHER, tid("OWN-7", "1.2.3")), Correlation(HOME, tid("x"))))
    assert rows(node.ask("/xcpd", ACTION, request(MEDICAL, "M1"))) == [
        (HOME, REGION, "e1", "M1"),
        (OTHER, "1.2.3", "OWN-7", "M1"),
    ]


@pytest.mark.parametrize(("root", "extension"), [(MEDICAL, "M9"), (UNKNOWN, "M1")])
def test_a_person_nobody_knows_is_nowhere(node: V3Node, root: str, extension: str) -> None:
    answer = node.ask("/xcpd", ACTION, request(root, extension))
    assert (answer.tag, rows(answer)) == (iti56.RESPONSE, [])


@pytest.mark.parametrize(
    "body", [b"<a/>", request("", "x"), request(MEDICAL, ""), request("", "").replace(b"Requested", b"X")]
)
def test_what_is_no_question_gets_a_fault(node: V3Node, body: bytes) -> None:
    response = node.send("/xcpd", ACTION, body)
    assert (response.status, b"soap:Sender" in b"".join(response.body)) == (500, True)
    assert len(node.audit.records) == 1


def test_the_record_names_the_patient(node: V3Node) -> None:
    node.ask("/xcpd", ACTION, request(MEDICAL, "M1"))
    (record,) = node.audit.records
    assert (record.event, record.transaction, record.outcome, record.patient) == (
        "110112",
        "ITI-56",
        0,
        str(tid("M1", MEDICAL)),
    )


def test_an_asynchronous_answer(node: V3Node) -> None:
    reply_to = "<wsa:ReplyTo><wsa:Address>http://127.0.0.1:9/here</wsa:Address></wsa:ReplyTo>"
    assert node.send("/xcpd", ACTION, request(MEDICAL, "M1"), reply_to).status == 202
    ((address, action, data),) = node.later.sent
    assert (address, action) == ("http://127.0.0.1:9/here", f"{ACTION}Response")
    assert len(rows(etree.fromstring(data)[1][0])) == 1
