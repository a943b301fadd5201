"""ITI-55: who is meant, the five cases of an answer, its three ways back, and our own questions to others."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from lxml import etree

from gateway.codec import hl7v3, soap
from gateway.codec.hl7v3 import II
from gateway.errors import BadInput, Forbidden, GatewayError, TooManyResults, Unavailable
from gateway.ihe import _discovery, _lifetime, iti55
from gateway.ihe._client import Call, Peer
from gateway.ihe._discovery import Own, Question
from gateway.model.clock import Clock
from gateway.model.person import Demographics, PersonName
from tests.ihe.peers import MemorySession
from tests.v3_parts import (
    HOME,
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
    name_value,
    parameter,
    path_of,
    pdq_query,
    response_code,
    subjects,
    tid,
    valid,
)
from tests.xds_parts import numbered_uuids

ACTION = "urn:hl7-org:v3:PRPA_IN201305UV02:CrossGatewayPatientDiscovery"
DEFERRED = "urn:hl7-org:v3:PRPA_IN201305UV02:Deferred:CrossGatewayPatientDiscovery"
ANSWER = "urn:hl7-org:v3:PRPA_IN201306UV02:CrossGatewayPatientDiscovery"
DEFERRED_ANSWER = "urn:hl7-org:v3:PRPA_IN201306UV02:Deferred:CrossGatewayPatientDiscovery"
BORN = parameter("livingSubjectBirthTime", '<value value="19840203"/>')
NAMED = parameter("livingSubjectName", name_value("結城", "太郎"))
AUTHOR = (
    '<authorOrPerformer typeCode="AUT"><assignedDevice classCode="ASSIGNED"><id root="1.2.392.200119.99999.20.1"/>'
    "</assignedDevice></authorOrPerformer>"
)
THEIRS = '<value root="1.2.392.200119.99999.20.1" extension="OWN-7"/>'


def with_id(*values: str) -> str:
    return parameter("livingSubjectId", *values)


@pytest.fixture
def node() -> V3Node:
    node = make_v3_node()
    node.persons.put("e1", TARO, tid("T1"), tid("M1", MEDICAL))
    return node


def ask(node: V3Node, *parameters: str, **changes: Any) -> etree._Element:
    return node.ask("/xcpd", ACTION, pdq_query(*parameters, author=AUTHOR, **changes))


def custodian(answer: etree._Element) -> tuple[str | None, str | None, str | None]:
    entity = answer.find(path_of("controlActProcess/subject/registrationEvent/custodian/assignedEntity"))
    assert entity is not None
    id_, told = entity.find(path_of("id")), entity.find(path_of("code"))
    assert id_ is not None
    assert told is not None
    return id_.get("root"), id_.get("extension"), told.get("code")


def issues(answer: etree._Element, path: str) -> list[str | None]:
    found = answer.findall(path_of("controlActProcess/reasonOf/detectedIssueEvent"))
    return [one.get("code") for event in found for one in event.findall(path_of(path))]


def requested(answer: etree._Element) -> list[str | None]:
    return issues(answer, "triggerFor/actOrderRequired/code")


def managed(answer: etree._Element) -> list[str | None]:
    return issues(answer, "mitigatedBy/detectedIssueManagement/code")


# -- the three modes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [
        [BORN, NAMED],
        [BORN, with_id(THEIRS), NAMED],
        [BORN, with_id(f'<value root="{MEDICAL}" extension="M1"/>'), NAMED],
        [with_id(f'<value root="{MEDICAL}" extension="M1"/>')],
        [with_id(THEIRS, f'<value root="{TOKYO}" extension="T1"/>')],
    ],
)
def test_a_person_is_found(node: V3Node, parameters: list[str]) -> None:
    answer = ask(node, *parameters)
    assert (code(answer), response_code(answer)) == ("AA", "OK")
    (patient,) = subjects(answer)
    assert ids_of(patient) == [(REGION, "e1")]
    assert patient.findtext(path_of("patientPerson/name/family")) == "結城"
    degree = patient.find(path_of("subjectOf1/queryMatchObservation/value"))
    assert degree is not None
    assert 90 <= int(str(degree.get("value"))) <= 100
    assert custodian(answer) == (HOME.removeprefix("urn:oid:"), None, "SupportsHealthDataLocator")
    organization = path_of("sender/device/asAgent/representedOrganization")
    found = answer.find(organization)
    assert found is not None
    assert ids_of(found) == [(HOME.removeprefix("urn:oid:"), "None")]
    assert answer.find(path_of("controlActProcess/queryByParameter/queryId")) is not None


def test_only_ids_the_asker_named_are_told(node: V3Node) -> None:
    (patient,) = subjects(ask(node, BORN, with_id(THEIRS, f'<value root="{MEDICAL}" extension="M1"/>'), NAMED))
    assert ids_of(patient, "patientPerson/asOtherIDs/id") == [(MEDICAL, "M1")]
    (patient,) = subjects(ask(node, BORN, NAMED))
    assert ids_of(patient, "patientPerson/asOtherIDs/id") == []


@pytest.mark.parametrize(
    "parameters",
    [
        [BORN, parameter("livingSubjectName", name_value("無い", "名"))],
        [with_id(f'<value root="{TOKYO}" extension="T9"/>')],
        [with_id(f'<value root="{UNKNOWN}" extension="T9"/>')],
        [
            parameter("livingSubjectAdministrativeGender", '<value code="F"/>'),
            with_id(f'<value root="{TOKYO}" extension="T1"/>'),
        ],
    ],
)
def test_nobody_is_no_error(node: V3Node, parameters: list[str]) -> None:
    answer = ask(node, *parameters)
    assert (code(answer), response_code(answer), subjects(answer), details(answer)) == ("AA", "NF", [], [])


@pytest.mark.parametrize(
    "parameters",
    [[], [BORN], [NAMED], [parameter("patientTelecom", '<value value="tel:1"/>')], [with_id(THEIRS), NAMED]],
)
def test_a_request_that_says_too_little(node: V3Node, parameters: list[str]) -> None:
    response = node.send("/xcpd", ACTION, pdq_query(*parameters))
    answer = etree.fromstring(b"".join(response.body))[1][0]
    assert (code(answer), response_code(answer), managed(answer)) == ("AE", "AE", ["AnswerNotAvailable"])
    assert [one[1] for one in details(answer)] == ["101"]


# -- several persons -----------------------------------------------------------------------------------------------


def test_two_who_fit_are_not_given_away(node: V3Node) -> None:
    node.persons.put("e2", replace(TARO, telecoms=("06-1",)), tid("T2"))
    answer = ask(node, BORN, NAMED)
    assert (code(answer), response_code(answer), subjects(answer)) == ("AA", "OK", [])
    assert requested(answer) == [
        "LivingSubjectAdministrativeGenderRequested",
        "PatientAddressRequested",
        "PatientTelecomRequested",
        "MothersMaidenNameRequested",
    ]
    gender = parameter("livingSubjectAdministrativeGender", '<value code="M"/>')
    assert "LivingSubjectAdministrativeGenderRequested" not in requested(ask(node, gender, BORN, NAMED))
    phone = parameter("patientTelecom", '<value value="tel:03-1234-5678"/>')
    assert ids_of(subjects(ask(node, BORN, NAMED, phone))[0]) == [(REGION, "e1")]


def test_when_there_is_nothing_left_to_ask_people_have_to_look(node: V3Node) -> None:
    node.persons.put("e2", TARO, tid("T2"))
    answer = ask(
        node,
        parameter("livingSubjectAdministrativeGender", '<value code="M"/>'),
        BORN,
        NAMED,
        parameter("mothersMaidenName", name_value("佐藤")),
        parameter("patientAddress", "<value><postalCode>1000001</postalCode></value>"),
        parameter("patientTelecom", '<value value="tel:03-1234-5678"/>'),
    )
    assert (code(answer), response_code(answer), managed(answer)) == ("AE", "AE", ["AnswerNotAvailable"])


def test_who_states_a_degree_takes_several(node: V3Node) -> None:
    node.persons.put("e2", TARO, tid("T2"))
    assert len(subjects(ask(node, BORN, NAMED, degree=80))) == 2
    assert len(subjects(ask(node, BORN, NAMED, degree=100))) == 2  # they meet everything that was asked for
    other = parameter("patientTelecom", '<value value="tel:9"/>')  # matching thinks 90 of them
    assert len(subjects(ask(node, BORN, NAMED, other, degree=90))) == 2
    answer = ask(node, BORN, NAMED, other, degree=95)
    assert (subjects(answer), response_code(answer)) == ([], "NF")


def test_one_certain_outweighs_the_probable(node: V3Node) -> None:
    node.persons.put("e2", replace(TARO, telecoms=()), tid("T2"))
    answer = ask(node, BORN, with_id(f'<value root="{TOKYO}" extension="T2"/>'), NAMED)
    assert [ids_of(one) for one in subjects(answer)] == [[(REGION, "e2")]]


def test_what_matching_rules_out_is_not_brought_back_by_search(node: V3Node) -> None:
    node.persons.score = lambda record, asked: (Decimal("0.01"), "certainly-not")
    assert response_code(ask(node, BORN, NAMED)) == "NF"


def test_an_index_without_matching_still_finds_who_meets_everything(node: V3Node, monkeypatch: Any) -> None:
    monkeypatch.setattr(node.persons, "match", lambda *a, **k: ())
    assert response_code(ask(node, BORN, NAMED)) == "OK"


# -- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "ack", "management"),
    [
        (Unavailable("busy"), "AE", "ResponderBusy"),
        (Forbidden("policy"), "AR", "AnswerNotAvailable"),
        (TooManyResults("many"), "AE", "AnswerNotAvailable"),
        (ZeroDivisionError("secret"), "AE", "InternalError"),
        (GatewayError("?"), "AE", "InternalError"),
    ],
)
def test_who_cannot_answer_says_why(node: V3Node, error: Exception, ack: str, management: str) -> None:
    node.persons.error = error
    answer = ask(node, BORN, NAMED)
    assert (code(answer), response_code(answer), managed(answer)) == (ack, "AE", [management])
    assert "secret" not in etree.tostring(answer, encoding="unicode")


# -- asynchronous and deferred -------------------------------------------------------------------------------------


def reply_to(address: str) -> str:
    return f"<wsa:ReplyTo><wsa:Address>{address}</wsa:Address></wsa:ReplyTo>"


def test_an_asynchronous_answer_is_posted_later(node: V3Node) -> None:
    response = node.send("/xcpd", ACTION, pdq_query(BORN, NAMED), reply_to("http://127.0.0.1:9/here"))
    assert (response.status, response.body) == (202, (b"",))
    ((address, action, data),) = node.later.sent
    assert (address, action) == ("http://127.0.0.1:9/here", ANSWER)
    envelope = etree.fromstring(data)
    headers = {etree.QName(one).localname: one.text for one in envelope[0]}
    assert headers["RelatesTo"] == "urn:uuid:00000000-0000-0000-0000-00000000aaaa"
    assert (headers["To"], headers["Action"]) == ("http://127.0.0.1:9/here", ANSWER)
    valid(envelope[1][0])
    assert response_code(envelope[1][0]) == "OK"


@pytest.mark.parametrize("address", ["http://10.0.0.1/x", "file:///etc/passwd", "http://127.0.0.1.evil.example/"])
def test_an_answer_goes_to_no_strange_address(node: V3Node, address: str) -> None:
    response = node.send("/xcpd", ACTION, pdq_query(BORN, NAMED), reply_to(address))
    assert (response.status, node.later.sent) == (500, [])
    assert b"OnlyAnonymousAddressSupported" in b"".join(response.body)


@pytest.mark.parametrize("path", ["/pixv3", "/pdqv3"])
def test_other_endpoints_answer_on_the_same_connection_only(node: V3Node, path: str) -> None:
    response = node.send(path, "urn:x", b"<a/>", reply_to("http://127.0.0.1:9/here"))
    assert b"OnlyAnonymousAddressSupported" in b"".join(response.body)


def test_a_full_queue_is_told(node: V3Node) -> None:
    node.later.room = False
    response = node.send("/xcpd", ACTION, pdq_query(BORN, NAMED), reply_to("http://127.0.0.1:9/here"))
    assert (response.status, b"soap:Receiver" in b"".join(response.body)) == (500, True)
    answer = node.ask("/xcpd", DEFERRED, pdq_query(BORN, NAMED, deferred="http://127.0.0.1:9/later"))
    assert (code(answer), [one[1] for one in details(answer)]) == ("CE", ["207"])


def test_a_deferred_question_gets_a_receipt_and_later_its_answer(node: V3Node) -> None:
    receipt = node.ask("/xcpd", DEFERRED, pdq_query(BORN, NAMED, deferred="http://127.0.0.1:9/later"))
    assert (etree.QName(receipt).localname, code(receipt)) == ("MCCI_IN000002UV01", "CA")
    ((address, action, data),) = node.later.sent
    assert (address, action) == ("http://127.0.0.1:9/later", DEFERRED_ANSWER)
    answer = etree.fromstring(data)[1][0]
    valid(answer)
    assert (response_code(answer), answer.find(path_of("acceptAckCode")).get("code")) == ("OK", "AL")  # type: ignore[union-attr]
    assert answer.find(path_of("acknowledgement/targetMessage/id")).get("extension") == "m1"  # type: ignore[union-attr]


def test_a_deferred_answer_goes_to_no_strange_address(node: V3Node) -> None:
    receipt = node.ask("/xcpd", DEFERRED, pdq_query(BORN, NAMED, deferred="http://10.1.1.1/later"))
    assert (code(receipt), node.later.sent) == ("CE", [])
    assert details(receipt) == [("E", "102", ["/PRPA_IN201305UV02/respondTo/telecom/@value"])]


def test_a_deferred_failure_is_delivered_as_well(node: V3Node) -> None:
    node.persons.error = Unavailable("busy")
    assert code(node.ask("/xcpd", DEFERRED, pdq_query(BORN, NAMED, deferred="http://127.0.0.1:9/later"))) == "CA"
    assert managed(etree.fromstring(node.later.sent[0][2])[1][0]) == ["ResponderBusy"]


# -- correlations --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("duration", "found"),
    [
        ("P7D", 604800.0),
        ("PT1H30M", 5400.0),
        ("P1Y", 31536000.0),
        ("P", None),
        ("x", None),
        ("PT", None),
        ("-P1D", None),
    ],
)
def test_durations(duration: str, found: float | None) -> None:
    assert _lifetime.seconds(duration) == found


def test_who_asks_is_remembered_as_long_as_he_says(node: V3Node) -> None:
    header = '<x:CorrelationTimeToLive xmlns:x="urn:ihe:iti:xcpd:2009" soap:mustUnderstand="true">{}</x:CorrelationTimeToLive>'
    body = pdq_query(BORN, with_id(THEIRS), NAMED, author=AUTHOR)
    node.ask("/xcpd", ACTION, body, header.format("PT0S"))
    assert node.services.correlations.get("e1") is None
    response = node.send("/xcpd", ACTION, body, header.format("P1D"))
    assert b"CorrelationTimeToLive" in b"".join(response.body)
    (told,) = node.services.correlations.get("e1") or ()
    assert (told.home, told.id) == ("urn:oid:1.2.392.200119.99999.20", tid("OWN-7", "1.2.392.200119.99999.20.1"))
    node.ask("/xcpd", ACTION, body)
    assert len(node.services.correlations.get("e1") or ()) == 1


# -- initiating gateway --------------------------------------------------------------------------------------------

PEER = Peer(HOME, "", "Tokyo", xcpd="http://127.0.0.1/xcpd")
OWN = Own("urn:oid:1.2.392.200119.99999.20", "1.2.392.200119.99999.20", "1.2.392.200119.99999.20.1")
WANTED = Question(replace(TARO, names=TARO.names[:1]), (tid("OWN-7", OWN.affinity_domain), tid("M1", MEDICAL)))


def call_to(node: V3Node, **changes: Any) -> Call:
    return Call(MemorySession(node, path="/xcpd", **changes), Clock(), numbered_uuids())


def test_a_stranger_is_asked_and_believed(node: V3Node) -> None:
    found = iti55.ask(PEER, WANTED, OWN, call_to(node), 5)
    assert (found.outcome, found.findings) == ("found", ())
    (match,) = found.matches
    assert (match.patient, match.locator, match.others) == (tid("e1", REGION), True, (tid("M1", MEDICAL),))
    assert match.degree == 100
    assert match.demographics.names == TARO.names
    (told,) = node.services.correlations.get("e1") or ()
    assert (told.home, told.id.value) == (OWN.home, "OWN-7")


def test_our_questions_are_valid() -> None:
    for question in (WANTED, Question(Demographics(), (tid("M1", MEDICAL),)), WANTED._replace(minimum=80)):
        for respond_to in ("", "http://127.0.0.1/xcpd"):
            valid(etree.fromstring(_discovery.request(question, OWN, II("1.2.3", "m"), "20240101", PEER, respond_to)))


def test_nobody_there_and_more_wanted(node: V3Node) -> None:
    nobody = Question(Demographics(names=(PersonName("無", "い"),), birth_date="1999"))
    assert iti55.ask(PEER, nobody, OWN, call_to(node), 5).outcome == "nothing"
    node.persons.put("e2", TARO, tid("T2"))
    found = iti55.ask(PEER, Question(Demographics(names=TARO.names[:1], birth_date="19840203")), OWN, call_to(node), 5)
    assert (found.outcome, len(found.requested)) == ("more", 4)


def test_a_community_that_cannot_answer_has_failed(node: V3Node) -> None:
    node.persons.error = Unavailable("busy")
    with pytest.raises(Unavailable, match="ResponderBusy"):
        iti55.ask(PEER, WANTED, OWN, call_to(node), 5)


def answer_with(node: V3Node, *changes: tuple[bytes, bytes]) -> _discovery.Discovery:
    message_id = II(OWN.device, "m1")
    question = _discovery.request(WANTED, OWN, message_id, "20240101000000", PEER)
    data = etree.tostring(node.ask("/xcpd", ACTION, question))
    for change in changes:
        assert change[0] in data
        data = data.replace(*change)
    return _discovery.read(etree.fromstring(data), PEER, message_id)


def test_answers_are_distrusted(node: V3Node) -> None:
    home = HOME.removeprefix("urn:oid:").encode()
    entity = b'<assignedEntity classCode="ASSIGNED"><id root="' + home
    found = answer_with(node, (entity + b'"', b'<assignedEntity classCode="ASSIGNED"><id root="1.9.8"'))
    assert (found.matches, [one.code for one in found.findings]) == ((), ["foreign-home"])
    found = answer_with(node, (b' extension="e1"', b""))
    assert [one.code for one in found.findings] == ["incomplete-match"]
    found = answer_with(node, (b"IHE_PDQ", b"IHE_PQ"))
    assert found.matches[0].degree == 100
    with pytest.raises(BadInput, match="another message"):
        answer_with(node, (b'extension="m1"', b'extension="m2"'))


def test_deferred_both_ways(node: V3Node) -> None:
    """Our question to a peer, its receipt, its answer to our /xcpd, and what we make of it."""
    key, message_id = _discovery.ask_deferred(PEER, WANTED, OWN, call_to(node), 5, "http://127.0.0.1:9/xcpd")
    ((_, action, data),) = node.later.sent
    body = etree.fromstring(data)[1][0]
    asker = make_v3_node()
    assert code(asker.ask("/xcpd", action, etree.tostring(body))) == "CE"  # nobody asked
    held: list[Any] = []
    asker.services.discoveries.put(key, held.append)
    assert code(asker.ask("/xcpd", action, etree.tostring(body))) == "CA"
    assert _discovery.read(held[0], PEER, message_id).matches[0].patient == tid("e1", REGION)
    assert code(asker.ask("/xcpd", action, etree.tostring(body))) == "CE"  # once is enough


def test_an_asynchronous_answer_that_nobody_asked_for_is_a_fault(node: V3Node) -> None:
    body = hl7v3.message(
        hl7v3.Head("PRPA_IN201306UV02", II("1.2", "x"), "2024", "1.2", II("1.3")), hl7v3.control_act("x")
    )
    assert node.send("/xcpd", ANSWER, body).status == 500
    held: list[Any] = []
    node.services.discoveries.put("urn:uuid:q", held.append)
    relates = f'<wsa:RelatesTo xmlns:wsa="{soap.WSA}">urn:uuid:q</wsa:RelatesTo>'
    assert node.send("/xcpd", ANSWER, body, relates).status == 202
    assert len(held) == 1


def test_a_node_that_only_knows_the_shared_id(node: V3Node) -> None:
    found = iti55.ask(PEER, Question(Demographics(), (tid("M1", MEDICAL),)), OWN, call_to(node), 5)
    assert found.matches[0].patient == tid("e1", REGION)
    assert iti55.ask(PEER, Question(Demographics(), (tid("O9", OSAKA),)), OWN, call_to(node), 5).outcome == "nothing"
