"""ITI-38: as ITI-18 with the home community everywhere; and our own question with an answer we do not trust."""

from dataclasses import replace

import pytest
from lxml import etree

from gateway.codec import ebxml
from gateway.errors import BadInput, UnknownPatient
from gateway.ihe import iti18, iti38
from gateway.ihe._client import Peer
from gateway.model.document import APPROVED, DocumentEntry
from gateway.model.identity import PatientId
from tests.ihe.peers import call_to
from tests.xds_parts import (
    DOMAIN,
    HOME,
    MEDICAL,
    PATIENT,
    RIM,
    RS,
    Node,
    document_pair,
    error_codes,
    make_node,
    stored,
)

P = "$XDSDocumentEntry"
PEER = Peer(HOME, "http://127.0.0.1:8081/xca")
MEDICAL_ID = PatientId("M1", MEDICAL)


def find(node: Node, patient: PatientId, home: str = HOME) -> etree._Element:
    slots = [(f"{P}PatientId", (str(patient),), False), (f"{P}Status", (APPROVED,), True)]
    body = ebxml.adhoc_query_request(iti18.FIND_DOCUMENTS, home, "LeafClass", slots)
    return node.ask("/xca", iti38.TRANSACTION.action, body)


@pytest.mark.parametrize("patient", [PATIENT, MEDICAL_ID], ids=["our domain", "medical ID"])
def test_any_known_id_of_the_person_finds_the_documents(patient: PatientId) -> None:
    body = find(make_node(), patient)
    objects = body.findall(f"{RIM}RegistryObjectList/*")
    assert (body.get("status"), len(objects)) == (ebxml.SUCCESS, 2)
    assert {item.get("home") for item in objects} == {HOME}


def test_an_unknown_patient_is_an_error_that_names_the_community() -> None:
    body = find(make_node(), PatientId("x", MEDICAL))
    assert (body.get("status"), error_codes(body)) == (ebxml.FAILURE, ["XDSUnknownPatientId"])
    assert [error.get("location") for error in body.iter(f"{RS}RegistryError")] == [HOME]


def test_a_foreign_home_is_an_unknown_community() -> None:
    assert error_codes(find(make_node(), PATIENT, "urn:oid:1.2.3")) == ["XDSUnknownCommunity"]


def test_a_query_by_ids_needs_the_home() -> None:
    node = make_node()
    slots = [(f"{P}EntryUUID", (node.bundle.entryUUID,), True)]
    body = ebxml.adhoc_query_request(iti18.GET_DOCUMENTS, "", "LeafClass", slots)
    assert error_codes(node.ask("/xca", iti38.TRANSACTION.action, body)) == ["XDSMissingHomeCommunityId"]
    body = ebxml.adhoc_query_request(iti18.GET_DOCUMENTS, HOME, "LeafClass", slots)
    assert error_codes(node.ask("/xca", iti38.TRANSACTION.action, body)) == []


def test_a_query_by_patient_without_a_home_is_for_us() -> None:
    assert error_codes(find(make_node(), PATIENT, "")) == []


# -- initiating gateway ------------------------------------------------------------------------------------------


def ask(node: Node, patient: PatientId = PATIENT) -> iti38.Answer:
    return iti38.ask(PEER, iti38.FindDocuments(patient), call_to(node), 5)


def test_a_question_brings_the_entries_back_as_values() -> None:
    node = make_node()
    answer = ask(node)
    assert answer.findings == ()
    assert [entry.entryUUID for entry in answer.entries] == [node.bundle.entryUUID, node.original.entryUUID]
    got = answer.entries[0]
    assert got == replace(node.bundle, patientId=str(PATIENT), homeCommunityId=HOME, blob="")


def test_an_unknown_patient_is_told_apart_from_a_failure() -> None:
    with pytest.raises(UnknownPatient):
        ask(make_node(), PatientId("x", MEDICAL))


def answered(node: Node, *entries: tuple[DocumentEntry, str, str]) -> iti38.Answer:
    """What `ask` makes of an answer with these (entry, home, patient id as CX)."""
    objects = [
        ebxml.splice(ebxml.render_extrinsic(entry), home=home, patient_id=patient, status=APPROVED)
        for entry, home, patient in entries
    ]
    body = ebxml.adhoc_query_response(ebxml.SUCCESS, (), objects)
    call = call_to(node, instead=body, action=iti38.TRANSACTION.action)
    return iti38.ask(PEER, iti38.FindDocuments(PATIENT), call, 5)


def codes(answer: iti38.Answer) -> list[str]:
    return [finding.code for finding in answer.findings]


def test_objects_of_others_are_dropped_and_named() -> None:
    node = make_node()
    other, third, _ = document_pair(order="2")
    answer = answered(
        node,
        (node.bundle, HOME, str(PATIENT)),
        (node.original, "urn:oid:1.2.3", str(PATIENT)),
        (other, HOME, f"other^^^&{DOMAIN}&ISO"),
        (third, HOME, "not a CX"),
    )
    assert [entry.entryUUID for entry in answer.entries] == [node.bundle.entryUUID]
    assert codes(answer) == ["foreign-home", "foreign-patient", "foreign-patient"]


def test_a_missing_home_is_filled_in_and_named() -> None:
    node = make_node()
    answer = answered(node, (node.bundle, "", str(PATIENT)))
    assert [entry.homeCommunityId for entry in answer.entries] == [HOME]
    assert codes(answer) == ["XDSMissingHomeCommunityId"]


def test_two_patients_of_a_foreign_domain_leave_nothing() -> None:
    node = make_node()
    answer = answered(node, (node.bundle, HOME, "a^^^&1.2.9&ISO"), (node.original, HOME, "b^^^&1.2.9&ISO"))
    assert (answer.entries, codes(answer)) == ((), ["several-patients"])


def test_an_entry_given_twice_counts_once() -> None:
    node = make_node()
    assert len(answered(node, *[(node.bundle, HOME, str(PATIENT))] * 2).entries) == 1


@pytest.mark.parametrize(("relates_to", "refused"), [("urn:uuid:other", True), ("", False)])
def test_an_answer_to_another_message_is_refused(relates_to: str, refused: bool) -> None:
    node = make_node()
    call = call_to(node, relates_to=relates_to)
    if refused:
        with pytest.raises(BadInput, match="another message"):
            iti38.ask(PEER, iti38.FindDocuments(PATIENT), call, 5)
    else:
        assert codes(iti38.ask(PEER, iti38.FindDocuments(PATIENT), call, 5)) == ["missing-relates-to"]


def test_an_answer_of_another_kind_is_refused() -> None:
    node = make_node()
    node.documents.rows.append(stored(document_pair(order="3")[0]))
    body = ebxml.retrieve_response(ebxml.SUCCESS, (), [])
    with pytest.raises(BadInput):
        iti38.ask(PEER, iti38.FindDocuments(PATIENT), call_to(node, instead=body, action="x"), 5)
