"""ITI-45: every case of the table of ITI TF-2: 3.45.4.2.3, from bytes to bytes."""

import pytest

from gateway.errors import Forbidden, Unavailable
from gateway.ihe import iti45
from tests.v3_parts import (
    MEDICAL,
    OSAKA,
    REGION,
    TARO,
    TOKYO,
    UNKNOWN,
    V3Node,
    code,
    details,
    ids_of,
    make_v3_node,
    path_of,
    pix_query,
    response_code,
    subjects,
    tid,
)

ACTION = "urn:hl7-org:v3:PRPA_IN201309UV02"
BASE = "/PRPA_IN201309UV02/controlActProcess/queryByParameter/parameterList"


@pytest.fixture
def node() -> V3Node:
    node = make_v3_node()
    node.persons.put("e1", TARO, tid("T1"), tid("O1", OSAKA), tid("O2", OSAKA), tid("M1", MEDICAL))
    node.persons.put("e2", TARO, tid("T2"))
    return node


def test_case_1_the_ids_of_the_asked_domains(node: V3Node) -> None:
    answer = node.ask("/pixv3", ACTION, pix_query(tid("T1"), MEDICAL))
    assert (code(answer), response_code(answer), details(answer)) == ("AA", "OK", [])
    (patient,) = subjects(answer)
    assert ids_of(patient) == [(MEDICAL, "M1")]
    assert patient.find(path_of("patientPerson/name")).get("nullFlavor") == "NA"  # type: ignore[union-attr]


def test_without_a_data_source_all_domains_but_not_the_asked_id(node: V3Node) -> None:
    (patient,) = subjects(node.ask("/pixv3", ACTION, pix_query(tid("T1"))))
    assert ids_of(patient) == [(MEDICAL, "M1"), (OSAKA, "O1"), (OSAKA, "O2")]
    assert patient.find(path_of("id")).get("assigningAuthorityName") == "MEDICAL-ID"  # type: ignore[union-attr]


def test_case_6_several_ids_in_one_domain(node: V3Node) -> None:
    (patient,) = subjects(node.ask("/pixv3", ACTION, pix_query(tid("T1"), OSAKA)))
    assert ids_of(patient) == [(OSAKA, "O1"), (OSAKA, "O2")]


@pytest.mark.parametrize("question", [(tid("T2"), OSAKA), (tid("T2"),), (tid("T1"), REGION)])
def test_case_2_known_but_nothing_there(node: V3Node, question: tuple[object, ...]) -> None:
    answer = node.ask("/pixv3", ACTION, pix_query(*question))  # type: ignore[arg-type]
    assert (code(answer), response_code(answer), details(answer)) == ("AA", "NF", [])
    assert subjects(answer) == []


@pytest.mark.parametrize(
    ("question", "locations"),
    [
        ((tid("T9"),), [f"{BASE}/patientIdentifier/value/@extension"]),
        ((tid("T1", UNKNOWN),), [f"{BASE}/patientIdentifier/value/@root"]),
        ((tid("T1"), UNKNOWN), [f"{BASE}/dataSource[1]/value/@root"]),
        ((tid("T1"), OSAKA, UNKNOWN, MEDICAL, "1.9.9.9"), [f"{BASE}/dataSource[{n}]/value/@root" for n in (2, 4)]),
        (('<value root="1.2.392.200119.99999.2"/>',), [f"{BASE}/patientIdentifier/value/@extension"]),
        (('<value extension="T1"/>',), [f"{BASE}/patientIdentifier/value/@root"]),
        (('<value nullFlavor="UNK"/>',), [f"{BASE}/patientIdentifier/value/@root"]),
    ],
)
def test_cases_3_to_5_name_the_place(node: V3Node, question: tuple[object, ...], locations: list[str]) -> None:
    answer = node.ask("/pixv3", ACTION, pix_query(*question))  # type: ignore[arg-type]
    assert (code(answer), response_code(answer)) == ("AE", "AE")
    assert details(answer) == [("E", "204", [place]) for place in locations]
    assert subjects(answer) == []


def test_the_question_is_echoed_and_related(node: V3Node) -> None:
    for question in (pix_query(tid("T1")), pix_query(tid("T9")), pix_query(tid("T2"), OSAKA)):
        answer = node.ask("/pixv3", ACTION, question)
        assert answer.find(path_of("acknowledgement/targetMessage/id")).get("extension") == "m1"  # type: ignore[union-attr]
        echo = answer.find(path_of("controlActProcess/queryByParameter/queryId"))
        ack = answer.find(path_of("controlActProcess/queryAck/queryId"))
        assert (echo.get("extension"), ack.get("extension")) == ("q1", "q1")  # type: ignore[union-attr]
        receiver = answer.find(path_of("receiver/device/id"))
        assert (receiver.get("root"), receiver.get("extension")) == ("1.2.3.5", "HIS")  # type: ignore[union-attr]


def test_two_identifiers_are_no_question(node: V3Node) -> None:
    two = f'<value root="{TOKYO}" extension="T1"/><value root="{TOKYO}" extension="T2"/>'
    answer = node.ask("/pixv3", ACTION, pix_query(two))
    assert (code(answer), details(answer)) == ("AE", [("E", "101", [f"{BASE}/patientIdentifier"])])


def test_several_values_in_one_data_source(node: V3Node) -> None:
    body = pix_query(tid("T1"), OSAKA).replace(
        f'<value root="{OSAKA}"/>'.encode(), f'<value root="{OSAKA}"/><value root="{UNKNOWN}"/>'.encode()
    )
    assert details(node.ask("/pixv3", ACTION, body)) == [("E", "204", [f"{BASE}/dataSource[1]/value[2]/@root"])]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ((b'extension="PRPA_IN201309UV02"', b'extension="PRPA_IN201305UV02"'), "200"),
        ((b'processingCode code="P"', b'processingCode code="X"'), "202"),
    ],
)
def test_a_head_that_cannot_be_worked_with_is_rejected(node: V3Node, change: tuple[bytes, bytes], found: str) -> None:
    answer = node.ask("/pixv3", ACTION, pix_query(tid("T1")).replace(*change))
    assert (code(answer), response_code(answer)) == ("AR", "AE")
    assert [one[1] for one in details(answer)] == [found]


def test_a_strict_node_wants_to_be_the_receiver(node: V3Node) -> None:
    node.change(strict_receiver=True)
    assert code(node.ask("/pixv3", ACTION, pix_query(tid("T1")))) == "AR"
    ours = pix_query(tid("T1")).replace(b'root="1.9.9"', b'root="1.2.392.200119.99999.1"')
    assert code(node.ask("/pixv3", ACTION, ours)) == "AA"


@pytest.mark.parametrize(
    ("error", "ack", "number"),
    [
        (Unavailable("no storage"), "AE", "207"),
        (Forbidden("policy"), "AR", "207"),
        (ZeroDivisionError("T1 is a secret"), "AE", "207"),
    ],
)
def test_errors_of_ours_are_answers_without_secrets(node: V3Node, error: Exception, ack: str, number: str) -> None:
    node.persons.error = error
    response = node.send("/pixv3", ACTION, pix_query(tid("T1")))
    assert b"secret" not in b"".join(response.body)
    answer = node.ask("/pixv3", ACTION, pix_query(tid("T1")))
    assert (code(answer), response_code(answer), details(answer)[0][1]) == (ack, "AE", number)


def test_every_answer_leaves_a_record(node: V3Node) -> None:
    node.ask("/pixv3", ACTION, pix_query(tid("T1")))
    node.ask("/pixv3", ACTION, pix_query(tid("T9")))
    assert [(one.event, one.transaction, one.action, one.outcome) for one in node.audit.records] == [
        ("110112", "ITI-45", "E", 0),
        ("110112", "ITI-45", "E", 4),
    ]
    assert node.audit.records[0].patient == str(tid("T1"))


@pytest.mark.parametrize(
    "body",
    [
        b"<a/>",
        b'<PRPA_IN201309UV02 xmlns="urn:other"/>',
        b'<PRPA_IN201309UV02 xmlns="urn:hl7-org:v3"/>',
        b'<PRPA_IN201305UV02 xmlns="urn:hl7-org:v3"><id root="1.2"/></PRPA_IN201305UV02>',
    ],
)
def test_what_is_no_question_gets_a_fault(node: V3Node, body: bytes) -> None:
    response = node.send("/pixv3", ACTION, body)
    assert response.status == 500
    assert b"soap:Sender" in b"".join(response.body)
    assert len(node.audit.records) == 1


def test_the_transaction_describes_itself() -> None:
    assert iti45.TRANSACTION.answer_action == "urn:hl7-org:v3:PRPA_IN201310UV02"
