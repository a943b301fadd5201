"""What one submission has to be by itself: the pure rules, without a wire or a registry."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.codec.ebxml_submit import Metadata
from gateway.errors import DuplicateInMessage, MetadataError
from gateway.model.document import HAS_MEMBER, ON_DEMAND, RPLC, DocumentEntry
from gateway.services.registry.checks import check_submission, is_entry_uuid
from tests.registry_parts import document, folder, link, member, submission_set

P = "1^^^&1.2.3&ISO"


def metadata(*documents: DocumentEntry, **changes: Any) -> Metadata:
    made = Metadata(
        (submission_set(P),), documents or (document(P),), (), tuple(member(one.entryUUID) for one in documents)
    )
    return replace(made, **changes)


def test_a_sound_submission_gives_its_set() -> None:
    assert check_submission(metadata(document(P))) == submission_set(P)


@pytest.mark.parametrize("sets", [(), (submission_set(P), submission_set(P, 2, entryUUID="S2"))])
def test_one_set(sets: Any) -> None:
    with pytest.raises(MetadataError, match="SubmissionSets where there has to be one"):
        check_submission(metadata(document(P), submissionSets=sets))


def test_everything_wrong_is_named_at_once_and_no_value_is_repeated() -> None:
    secret = "名前^^^&1.2.3"
    made = metadata(
        document(P, creationTime="", languageCode=""),
        document(secret, 2),
        submissionSets=(submission_set(P, sourceId="x"),),
    )
    with pytest.raises(MetadataError) as refused:
        check_submission(made)
    text = str(refused.value)
    for part in ("DocumentEntry.creationTime, DocumentEntry.languageCode are missing", "patientId", "sourceId"):
        assert part in text
    assert secret not in text


def test_a_thousand_wrong_objects_make_no_endless_answer() -> None:
    many = [document(P, n, title="x" * 200, mimeType=f"none {n}") for n in range(1000)]
    with pytest.raises(MetadataError) as refused:
        check_submission(metadata(*many))
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize(
    "patient", ["1^^^ns&1.2.3&ISO", "1^^^&1.2.3&ISO^PI", "1^^^&1.2.3&DNS", "1^^^1.2.3", "^^^&1.2.3&ISO", "1", ""]
)
def test_a_patient_id_has_one_form(patient: str) -> None:
    with pytest.raises(MetadataError, match="patientId"):
        check_submission(metadata(document(patient)))


def test_an_on_demand_entry_has_no_bytes_and_needs_no_creation_time() -> None:
    made = document(P, objectType=ON_DEMAND, creationTime="", hash="", size=-1)
    assert check_submission(metadata(made), object_type=ON_DEMAND)
    with pytest.raises(MetadataError, match="neither hash nor size"):
        check_submission(metadata(replace(made, hash="0" * 40)), object_type=ON_DEMAND)
    with pytest.raises(MetadataError, match="objectType"):
        check_submission(metadata(made))


def test_a_repository_is_asked_for_hash_and_size_a_source_is_not() -> None:
    made = metadata(document(P, hash="", size=-1, repositoryUniqueId=""))
    assert check_submission(made, hashed=False)
    with pytest.raises(MetadataError, match=r"hash, DocumentEntry\.size, DocumentEntry\.repositoryUniqueId"):
        check_submission(made)


@pytest.mark.parametrize(
    ("link_", "text"),
    [
        (link("urn:x", "Document1", "Document2"), "unknown type"),
        (link(HAS_MEMBER, "Document1", "Document1"), "itself"),
        (link(HAS_MEMBER, "Document1", "Document2"), "DocumentEntry as its source"),
        (link(RPLC, "Folder1", "Document1"), "whose source is none"),
        (replace(member("Document1"), entryUUID="again"), "twice"),
        (link(RPLC, "", "Document1", id_="r"), "without sourceObject"),
    ],
)
def test_associations_that_cannot_be(link_: Any, text: str) -> None:
    links = (member("Document1"), member("Document2"), member("Folder1", ""), link_)
    made = metadata(document(P), document(P, 2), folders=(folder(P),), associations=links)
    with pytest.raises(MetadataError, match=text):
        check_submission(made)


def test_ids_and_unique_ids_stand_for_one_object_each() -> None:
    with pytest.raises(DuplicateInMessage):
        check_submission(metadata(document(P), document(P, 2, uniqueId="1.2.3.1")))
    with pytest.raises(MetadataError, match="one id"):
        check_submission(
            metadata(document(P), document(P, 2, entryUUID="Document1"), associations=(member("Document1"),))
        )


def test_entry_uuids() -> None:
    assert is_entry_uuid("urn:uuid:0C8a3e52-9d1c-4e57-9f63-0d5e7c1b2a01")
    assert not any(map(is_entry_uuid, ("", "urn:uuid:", "urn:oid:1.2", "0c8a3e52-9d1c-4e57-9f63-0d5e7c1b2a01")))
