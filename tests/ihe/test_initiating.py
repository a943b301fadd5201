"""One community asked end to end, over a session that reaches a node in memory."""

import pytest
import requests

from gateway.errors import BadInput, Unavailable, UnknownPatient
from gateway.ihe._client import Peer
from gateway.ihe.initiating import ask_of
from gateway.model.clock import Clock
from gateway.model.identity import PatientId
from gateway.services.federate import Community, Question, ask_all
from tests.ihe.peers import MemorySession, call_to
from tests.xds_parts import HOME, MEDICAL, PATIENT, make_node

PEER = Peer(HOME, "http://127.0.0.1:8081/xca", "大阪")


def test_bundles_come_with_their_entries() -> None:
    node = make_node()
    call = call_to(node)
    items = ask_of(PEER, call)(Question(PATIENT), 5)
    assert [(item.entry.entryUUID, item.bundle) for item in items] == [
        (node.bundle.entryUUID, {"resourceType": "Bundle"}),
        (node.original.entryUUID, None),
    ]
    assert [record.transaction for record in node.audit.records] == ["ITI-38", "ITI-39"]


def test_for_documents_alone_nothing_is_fetched() -> None:
    node = make_node()
    call = call_to(node)
    items = ask_of(PEER, call)(Question(PATIENT, ("document",)), 5)
    assert (len(items), [item.bundle for item in items]) == (2, [None, None])
    assert isinstance(call.session, MemorySession)
    assert call.session.sent == 1


def test_an_unknown_patient_and_a_failure_are_two_things() -> None:
    node = make_node()
    with pytest.raises(UnknownPatient):
        ask_of(PEER, call_to(node))(Question(PatientId("x", MEDICAL)), 5)
    node.documents.error = RuntimeError("x")
    with pytest.raises(Unavailable):
        ask_of(PEER, call_to(node))(Question(PATIENT), 5)


def test_documents_that_all_fail_are_a_failure() -> None:
    node = make_node()
    node.blobs.damaged |= {node.bundle.blob, node.original.blob}
    with pytest.raises(Unavailable):
        ask_of(PEER, call_to(node))(Question(PATIENT), 5)


def test_a_bundle_that_is_no_json_is_bad_input() -> None:
    node = make_node()
    bad = b"x" * node.bundle.size
    node.blobs.content[node.bundle.blob] = bad
    # The entry's hash would catch other bytes first; a peer may leave the hash out.
    row = node.documents.rows[0]
    node.documents.rows[0] = type(row)(
        row.entryUUID,
        row.uniqueId,
        row.patientId,
        row.repositoryUniqueId,
        row.mimeType,
        row.blob,
        row.size,
        "",
        row.availabilityStatus,
        row.xml.replace(node.bundle.hash.encode(), b""),
    )
    with pytest.raises(BadInput):
        ask_of(PEER, call_to(node))(Question(PATIENT), 5)


def test_in_the_federation_each_community_has_its_outcome() -> None:
    good, silent = make_node(), make_node()
    communities = [
        Community(HOME, "大阪", ask_of(PEER, call_to(good))),
        Community("urn:oid:2", "長崎", ask_of(PEER, call_to(silent, error=requests.ReadTimeout()))),
    ]
    answer = ask_all(Question(PATIENT), communities, 5, Clock())
    assert [(outcome.name, outcome.outcome) for outcome in answer.communities] == [("大阪", "ok"), ("長崎", "timeout")]
    assert [row.type for row in answer.rows] == ["document"]
