"""ITI-92: only what may be modified, of documents only; bare and wrapped."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.codec.ebxml_submit import RMU
from gateway.ihe import iti42, iti92
from gateway.model.document import APPROVED, DEPRECATED, UPDATE_STATUS
from tests.registry_parts import Registry, body, document, folder, link, member, registry, simple, submission_set

T = iti92.TRANSACTION


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Registry]:
    with registry(tmp_path) as made:
        p = made.patient
        more = (folder(p), member("Folder1", ""))
        assert made.codes(iti42.TRANSACTION, simple(p, document(p), more=more)) == []
        yield made


def sent(node: Registry, **changes: object) -> bytes:
    lid = node.one("1.2.3.1")
    made = document(node.patient, logicalID=lid.logicalID or lid.entryUUID, **changes)
    slot = ("PreviousVersion", str(lid.version))
    return body(member("Document1", "Original", slot), made, submission_set(node.patient, 9))


@pytest.mark.parametrize("wrapped", [False, True])
def test_what_may_change_changes(node: Registry, wrapped: bool) -> None:
    request = sent(node, title="renamed", comments="")
    if wrapped:
        name = b"RestrictedUpdateDocumentSetRequest"
        request = b'<u:%s xmlns:u="%s">%s</u:%s>' % (name, RMU.encode(), request, name)
    assert node.codes(T, request) == []
    assert node.status("1.2.3.1") == ["Deprecated", "Approved"]


@pytest.mark.parametrize(
    "change", [{"mimeType": "text/html"}, {"uniqueId": "1.2.3.7"}, {"hash": "0" * 40}, {"repositoryUniqueId": "1.2.9"}]
)
def test_what_may_not_change_is_named(node: Registry, change: dict[str, object]) -> None:
    assert node.codes(T, sent(node, **change)) == ["UnmodifiableMetadataError"]
    assert node.status("1.2.3.1") == ["Approved"]


def test_documents_only(node: Registry) -> None:
    held = node.one("1.2.6.1")
    made = folder(node.patient, logicalID=held.entryUUID, title="renamed")
    request = body(member("Folder1", "", ("PreviousVersion", "1")), made, submission_set(node.patient, 9))
    assert node.codes(T, request) == ["XDSObjectTypeError"]


def test_neither_status_nor_associations(node: Registry) -> None:
    entry = node.one("1.2.3.1").entryUUID
    slots = (("OriginalStatus", APPROVED), ("NewStatus", DEPRECATED))
    sent = body(link(UPDATE_STATUS, "SubmissionSet01", entry, *slots), submission_set(node.patient, 9))
    assert node.codes(T, sent) == ["UnmodifiableMetadataError"]
    assert node.status("1.2.3.1") == ["Approved"]


@pytest.mark.parametrize(
    ("changes", "previous", "code"),
    [
        ({"logicalID": ""}, "1", "XDSInvalidRequestException"),
        ({"logicalID": "urn:uuid:00000000-0000-0000-0000-00000000dead"}, "1", "XDSMetadataIdentifierError"),
        ({}, "", "XDSMetadataAnnotationError"),
        ({}, "2", "XDSMetadataVersionError"),
    ],
)
def test_a_restricted_update_has_its_own_codes(
    node: Registry, changes: dict[str, object], previous: str, code: str
) -> None:
    made = document(node.patient, **{"logicalID": node.one("1.2.3.1").entryUUID, **changes})  # type: ignore[arg-type]
    slots = [("PreviousVersion", previous)] if previous else []
    request = body(member("Document1", "Original", *slots), made, submission_set(node.patient, 9))
    assert node.codes(T, request) == [code]
    assert node.status("1.2.3.1") == ["Approved"]
