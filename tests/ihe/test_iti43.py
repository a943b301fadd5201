"""ITI-43 from bytes to bytes: packages out, PartialSuccess, and nothing damaged ever served."""

import hashlib
import io
import tracemalloc
from pathlib import Path

import pytest
from lxml import etree

from gateway import ihe
from gateway.codec import ebxml
from gateway.ihe import iti43
from tests.oracle.xsd import errors_of
from tests.xds_parts import (
    CALLER,
    HOME,
    PATIENT,
    REPOSITORY,
    XDS,
    Node,
    answer_body,
    content_type,
    error_codes,
    fault_codes,
    make_node,
    open_package,
    package,
    request,
)

ACTION = iti43.TRANSACTION.action
Answer = tuple[etree._Element, dict[str, bytes], str]


def ask(node: Node, *wanted: tuple[str, str, str], as_package: bool = False) -> Answer:
    """(body of the answer, bytes by uniqueId, Content-Type)"""
    envelope = request(ACTION, ebxml.retrieve_request(wanted))
    response = (
        node.send("/xds/repository", *package(envelope)) if as_package else node.send("/xds/repository", envelope)
    )
    assert response.status == 200, b"".join(response.body)
    parts, body = open_package(response).parts, answer_body(response)
    found = {}
    for document in body.iter(f"{XDS}DocumentResponse"):
        include = document.find(f"{XDS}Document")[0]
        found[document.findtext(f"{XDS}DocumentUniqueId")] = parts[include.get("href")[4:]].read()
    return body, found, content_type(response)


def status(body: etree._Element) -> str:
    return str(body[0].get("status"))


@pytest.mark.parametrize("as_package", [False, True])
def test_several_documents_come_back_whole(as_package: bool) -> None:
    node = make_node()
    wanted = [("", REPOSITORY, node.bundle.uniqueId), (HOME, REPOSITORY, node.original.uniqueId)]
    body, found, kind = ask(node, *wanted, as_package=as_package)
    assert status(body) == ebxml.SUCCESS
    assert {key: hashlib.sha256(data).hexdigest() for key, data in found.items()} == {
        node.bundle.uniqueId: node.bundle.blob,
        node.original.uniqueId: node.original.blob,
    }
    assert [element.text for element in body.iter(f"{XDS}mimeType")] == [node.bundle.mimeType, node.original.mimeType]
    assert kind.startswith('multipart/related; type="application/xop+xml"')


def test_part_of_it_is_partial_success() -> None:
    node = make_node()
    body, found, _ = ask(
        node,
        ("", REPOSITORY, node.bundle.uniqueId),
        ("", REPOSITORY, "1.2.3.unknown"),
        ("", "1.2.3", node.original.uniqueId),
        ("urn:oid:9.9", REPOSITORY, node.original.uniqueId),
    )
    assert status(body) == ebxml.PARTIAL_SUCCESS
    assert list(found) == [node.bundle.uniqueId]
    assert sorted(error_codes(body)) == ["XDSDocumentUniqueIdError", "XDSUnknownCommunity", "XDSUnknownRepositoryId"]
    assert node.audit.records[-1].outcome == 4


def test_nothing_found_is_a_failure_and_still_a_package() -> None:
    node = make_node()
    body, found, kind = ask(node, ("", REPOSITORY, "1.2.3"))
    assert (status(body), found, error_codes(body)) == (ebxml.FAILURE, {}, ["XDSDocumentUniqueIdError"])
    assert kind.startswith("multipart/related")
    assert b"1.2.3" in etree.tostring(body)


def test_the_same_document_asked_twice_comes_once() -> None:
    node = make_node()
    body, found, _ = ask(node, *[("", REPOSITORY, node.bundle.uniqueId)] * 2)
    assert (status(body), len(found)) == (ebxml.SUCCESS, 1)


@pytest.mark.parametrize("held_bytes", [0, 8 * 1024 * 1024])
def test_a_damaged_document_is_named_and_not_served(held_bytes: int) -> None:
    node = make_node().with_parts(held_bytes=held_bytes)
    node.blobs.damaged.add(node.bundle.blob)
    wanted = [("", REPOSITORY, node.bundle.uniqueId), ("", REPOSITORY, node.original.uniqueId)]
    body, found, _ = ask(node, *wanted)
    assert (status(body), error_codes(body)) == (ebxml.PARTIAL_SUCCESS, ["XDSRepositoryError"])
    assert list(found) == [node.original.uniqueId]


def test_a_missing_blob_is_damage_of_ours() -> None:
    node = make_node()
    del node.blobs.content[node.bundle.blob]
    body, found, _ = ask(node, ("", REPOSITORY, node.bundle.uniqueId))
    assert (error_codes(body), found) == (["XDSRepositoryError"], {})


def test_bytes_of_another_size_than_the_entry_says_are_damage() -> None:
    node = make_node()
    node.documents.rows[0] = node.documents.rows[0]._replace(size=1)
    body, found, _ = ask(node, ("", REPOSITORY, node.bundle.uniqueId))
    assert (error_codes(body), found) == (["XDSRepositoryError"], {})


def test_a_document_too_large_to_hold_is_read_again() -> None:
    node = make_node().with_parts(held_bytes=0)
    _, found, _ = ask(node, ("", REPOSITORY, node.bundle.uniqueId))
    assert found[node.bundle.uniqueId] == node.blobs.content[node.bundle.blob]
    assert node.blobs.opened == [node.bundle.blob] * 2


def test_an_empty_request_is_a_fault() -> None:
    node = make_node()
    response = node.send("/xds/repository", request(ACTION, ebxml.retrieve_request([])))
    assert (response.status, fault_codes(response)) == (500, ["soap:Sender"])


def test_the_audit_record_names_documents_and_patient() -> None:
    node = make_node()
    ask(node, ("", REPOSITORY, node.bundle.uniqueId))
    (record,) = node.audit.records
    assert (record.event, record.transaction, record.action, record.outcome) == ("110106", "ITI-43", "R", 0)
    assert (record.object, record.patient) == (node.bundle.uniqueId, str(PATIENT))


def test_the_answer_is_recorded_before_its_bytes_are_read() -> None:
    node = make_node()
    node.audit.fails = True
    response = node.send("/xds/repository", request(ACTION, ebxml.retrieve_request([("", REPOSITORY, "1.2")])))
    assert (response.status, fault_codes(response)) == (500, ["soap:Receiver"])


class _Zeros(io.RawIOBase):
    """A document of many bytes that are made when they are read."""

    def __init__(self, size: int) -> None:
        self.left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        count = min(len(buffer), self.left)
        buffer[:count] = bytes(count)
        self.left -= count
        return count


def test_a_large_document_never_stands_in_memory_whole() -> None:
    size = 40 * 1024 * 1024
    node = make_node()
    node.documents.rows[0] = node.documents.rows[0]._replace(size=size)
    node = node.with_parts(blobs=type("Blobs", (), {"open": lambda self, sha256: _Zeros(size)})())
    envelope = request(ACTION, ebxml.retrieve_request([("", REPOSITORY, node.bundle.uniqueId)]))
    tracemalloc.start()
    try:
        kind = "application/soap+xml"
        response = ihe.dispatch("/xds/repository", kind, io.BytesIO(envelope), node.services, CALLER)
        sent = sum(len(chunk) for chunk in response.body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert response.status == 200
    assert sent > size
    assert peak < 4 * 1024 * 1024


def test_the_schema_finds_every_kind_of_answer_valid(shared: Path) -> None:
    node = make_node()
    good, bad = (HOME, REPOSITORY, node.bundle.uniqueId), ("", "1.9", "1.2.3")
    for wanted in ([good], [good, bad], [bad]):
        assert errors_of(shared, ask(node, *wanted)[0]) == []
