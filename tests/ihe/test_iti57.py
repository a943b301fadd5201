"""ITI-57: new versions, status, associations, version conflicts; the errors of the update."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.codec.ebxml_read import read_object
from gateway.ihe import iti42, iti57
from gateway.model.caller import UNRESTRICTED
from gateway.model.document import (
    APND,
    APPROVED,
    DEPRECATED,
    HAS_MEMBER,
    RPLC,
    SIGNS,
    SUBMIT_ASSOCIATION,
    UPDATE_STATUS,
    DocumentEntry,
    Folder,
)
from tests.oracle.xsd import errors_of
from tests.registry_parts import Registry, body, document, folder, link, member, registry, simple, submission_set

T = iti57.TRANSACTION
NOBODY = "urn:uuid:00000000-0000-0000-0000-00000000dead"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Registry]:
    """A document in a folder."""
    with registry(tmp_path) as made:
        p = made.patient
        more = (folder(p), member("Folder1", ""), link(HAS_MEMBER, "Folder1", "Document1", id_="fd"), member("fd", ""))
        assert made.codes(iti42.TRANSACTION, simple(p, document(p), more=more)) == []
        yield made


def new_version(node: Registry, previous: str = "1", propagate: str = "", **changes: object) -> bytes:
    """Document 1 as a new version."""
    lid = changes.pop(
        "logicalID",
        node.rows('SELECT "entryUUID" FROM registry_object WHERE "uniqueId" = \'1.2.3.1\' ORDER BY n')[0][0],
    )
    slots = [("PreviousVersion", previous)] if previous else []
    slots += [("AssociationPropagation", propagate)] if propagate else []
    made = document(node.patient, logicalID=lid, **changes)
    return body(member("Document1", "Original", *slots), made, submission_set(node.patient, node.sent + 10))


def order(node: Registry, type_: str, target: str, *slots: tuple[str, str]) -> bytes:
    return body(link(type_, "SubmissionSet01", target, *slots), submission_set(node.patient, node.sent + 10))


def status_change(node: Registry, target: str, before: str = APPROVED, after: str = DEPRECATED) -> bytes:
    return order(node, UPDATE_STATUS, target, ("OriginalStatus", before), ("NewStatus", after))


def test_a_new_version_replaces_the_attributes(node: Registry, shared: Path) -> None:
    first = node.one("1.2.3.1")
    answer = node.answer(T, new_version(node, title="renamed"))
    assert answer.get("status", "").endswith("Success") and errors_of(shared, answer) == []
    second = node.one("1.2.3.1")
    assert node.status("1.2.3.1") == ["Deprecated", "Approved"]
    assert (second.logicalID, second.version, second.blob) == (first.entryUUID, 2, first.blob)
    assert b'versionName="2"' in second.xml and f'lid="{first.entryUUID}"'.encode() in second.xml
    read = read_object(second)
    assert isinstance(read, DocumentEntry) and read.title == "renamed"
    assert node.codes(T, new_version(node, previous="2", title="again")) == []
    versions = node.store.registry.by_logical_id((first.entryUUID,), UNRESTRICTED)
    assert [one.version for one in versions] == [1, 2, 3]


def test_associations_of_the_old_version_hold_for_the_new_one(node: Registry) -> None:
    held = node.one("1.2.6.1")
    assert node.codes(T, new_version(node)) == []
    new = node.one("1.2.3.1").entryUUID
    assert new in {one.targetObject for one in node.links("1.2.6.1")}
    assert node.one("1.2.6.1").time > held.time
    sets = [one for one in node.links("1.2.3.1") if one.slot("PreviousVersion")]
    assert len(sets) == 1


def test_propagation_can_be_declined(node: Registry) -> None:
    assert node.codes(T, new_version(node, propagate="no")) == []
    assert node.one("1.2.3.1").entryUUID not in {one.targetObject for one in node.links("1.2.6.1")}


def test_a_folder_has_versions_too(node: Registry) -> None:
    first = node.one("1.2.6.1")
    made = folder(node.patient, logicalID=first.entryUUID, title="renamed")
    sent = body(member("Folder1", "", ("PreviousVersion", "1")), made, submission_set(node.patient, 9))
    assert node.codes(T, sent) == []
    second = node.one("1.2.6.1")
    read = read_object(second)
    assert isinstance(read, Folder) and read.title == "renamed" and second.version == 2
    assert node.status("1.2.6.1") == ["Deprecated", "Approved"]
    assert node.one("1.2.3.1").entryUUID in {one.targetObject for one in node.links("1.2.6.1")}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"previous": "2"}, "XDSMetadataVersionError"),
        ({"previous": ""}, "XDSMetadataUpdateError"),
        ({"uniqueId": "1.2.3.99"}, "XDSMetadataUpdateError"),
        ({"hash": "0" * 40}, "XDSMetadataUpdateError"),
        ({"size": 1}, "XDSMetadataUpdateError"),
        ({"logicalID": NOBODY}, "XDSMetadataUpdateError"),
        ({"logicalID": ""}, "XDSMetadataUpdateError"),
        ({"creationTime": ""}, "XDSRegistryMetadataError"),
        ({"patientId": "other"}, "XDSPatientIDReconciliationError"),
    ],
)
def test_refusals_change_nothing(node: Registry, change: dict[str, object], code: str) -> None:
    if change.get("patientId"):
        change = {"patientId": node.other}
    before = node.counts()
    assert node.codes(T, new_version(node, **change)) == [code]  # type: ignore[arg-type]
    assert node.counts() == before and node.status("1.2.3.1") == ["Approved"]


def test_two_updates_of_one_version_do_not_both_succeed(node: Registry) -> None:
    assert node.codes(T, new_version(node, title="one")) == []
    assert node.codes(T, new_version(node, title="two")) == ["XDSMetadataVersionError"]


def test_status_changes_and_back(node: Registry) -> None:
    entry = node.one("1.2.3.1").entryUUID
    before = node.counts()["association"]
    assert node.codes(T, status_change(node, entry)) == []
    assert node.status("1.2.3.1") == ["Deprecated"]
    assert node.codes(T, status_change(node, entry)) == ["XDSMetadataUpdateError"]
    assert node.codes(T, status_change(node, entry, DEPRECATED, APPROVED)) == []
    assert node.status("1.2.3.1") == ["Approved"]
    assert node.counts()["association"] == before
    (one,) = [one for one in node.links("1.2.6.1") if one.targetObject == entry]
    assert node.codes(T, status_change(node, one.entryUUID)) == []
    (one,) = node.store.registry.associations_by_id((one.entryUUID,), UNRESTRICTED)
    assert one.availabilityStatus == DEPRECATED


def test_status_of_what_may_not_change(node: Registry) -> None:
    entry = node.one("1.2.3.1").entryUUID
    assert node.codes(T, status_change(node, NOBODY)) == ["UnresolvedReferenceException"]
    assert node.codes(T, status_change(node, node.one("1.2.4.1").entryUUID)) == ["XDSMetadataUpdateOperationError"]
    assert node.codes(T, status_change(node, entry, after="urn:x")) == ["XDSMetadataUpdateError"]
    assert node.codes(T, new_version(node)) == []
    assert node.codes(T, status_change(node, entry, DEPRECATED, APPROVED)) == ["XDSMetadataUpdateError"]


def test_the_membership_in_a_submission_set_keeps_its_status(node: Registry) -> None:
    (original,) = [one for one in node.links("1.2.3.1") if one.slot("SubmissionSetStatus")]
    assert node.codes(T, status_change(node, original.entryUUID)) == ["XDSMetadataUpdateError"]


def test_a_new_version_of_a_deprecated_document_is_deprecated(node: Registry) -> None:
    assert node.codes(T, status_change(node, node.one("1.2.3.1").entryUUID)) == []
    assert node.codes(T, new_version(node)) == []
    assert node.status("1.2.3.1") == ["Deprecated", "Deprecated"]


@pytest.mark.parametrize(("propagate", "codes"), [("no", []), ("yes", ["XDSMetadataUpdateOperationError"])])
def test_an_association_to_a_new_version_is_for_who_does_not_propagate(
    node: Registry, propagate: str, codes: list[str]
) -> None:
    """Propagation by the registry and associations by hand do not go together (CP-ITI-1029)."""
    p = node.patient
    assert node.codes(iti42.TRANSACTION, simple(p, document(p, 2), number=2)) == []
    lid, other = node.one("1.2.3.1").entryUUID, node.one("1.2.3.2").entryUUID
    sent = body(
        link(SUBMIT_ASSOCIATION, "SubmissionSet01", "new"),
        link(APND, other, "Document1", id_="new"),
        member("Document1", "Original", ("PreviousVersion", "1"), ("AssociationPropagation", propagate)),
        document(p, logicalID=lid),
        submission_set(p, 9),
    )
    before = node.counts()
    assert node.codes(T, sent) == codes
    if codes:
        assert node.counts() == before
    else:
        assert APND in {one.associationType for one in node.links("1.2.3.1")}


def test_an_association_between_documents_that_are_there(node: Registry) -> None:
    p = node.patient
    assert node.codes(iti42.TRANSACTION, simple(p, document(p, 2), number=2)) == []
    one, two = node.one("1.2.3.1").entryUUID, node.one("1.2.3.2").entryUUID

    def sent(made: object) -> bytes:
        return body(link(SUBMIT_ASSOCIATION, "SubmissionSet01", "new"), made, submission_set(p, node.sent + 10))  # type: ignore[arg-type]

    assert node.codes(T, sent(link(APND, two, one, id_="new"))) == []
    assert APND in {made.associationType for made in node.links("1.2.3.2")}
    assert node.codes(T, sent(link(APND, two, one, id_="new"))) == ["XDSMetadataUpdateError"]
    held = node.one("1.2.6.1")
    assert node.codes(T, sent(link(HAS_MEMBER, held.entryUUID, two, id_="new"))) == []
    assert node.one("1.2.6.1").time > held.time
    assert node.codes(T, sent(link(RPLC, two, one, id_="new"))) == ["XDSMetadataUpdateOperationError"]
    assert node.codes(T, sent(link(APND, two, NOBODY, id_="new"))) == ["UnresolvedReferenceException"]
    assert node.codes(T, status_change(node, one)) == []
    assert node.codes(T, sent(link(SIGNS, two, one, id_="new"))) == ["XDSMetadataUpdateError"]


def test_a_set_that_orders_nothing_is_refused(node: Registry) -> None:
    assert node.codes(T, body(submission_set(node.patient, 9))) == ["XDSMetadataUpdateOperationError"]
    entry = node.one("1.2.3.1").entryUUID
    sent = body(member(entry, "Reference"), submission_set(node.patient, 9))
    assert node.codes(T, sent) == ["XDSMetadataUpdateOperationError"]


def test_an_update_of_an_ingested_document_outlives_the_next_file(node: Registry) -> None:
    rows = node.rows('SELECT "entryUUID", "uniqueId" FROM registry_object WHERE kind = \'original\' ORDER BY n LIMIT 1')
    entry, unique_id = map(str, rows[0])
    assert node.codes(T, status_change(node, entry)) == []
    assert node.status(unique_id) == ["Deprecated"]


def test_submissions_refuse_what_is_for_updates(node: Registry) -> None:
    entry = node.one("1.2.3.1").entryUUID
    assert node.codes(iti42.TRANSACTION, status_change(node, entry)) == ["XDSRegistryMetadataError"]


def test_the_set_of_an_update_is_there_to_be_asked_for(node: Registry) -> None:
    sent = new_version(node)
    assert node.codes(T, sent) == []
    assert node.one(f"1.2.4.{node.sent + 9}").availabilityStatus == APPROVED
