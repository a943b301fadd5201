"""Symbolic ids become entryUUIDs; what is a UUID, or is elsewhere, stays."""

from uuid import UUID

import pytest

from gateway.codec.ebxml_submit import Metadata
from gateway.errors import MetadataError
from gateway.model.document import RPLC
from gateway.services.registry.naming import named
from tests.registry_parts import document, link, member, submission_set

P = "1^^^&1.2.3&ISO"
THERE = "urn:uuid:0c8a3e52-9d1c-4e57-9f63-0d5e7c1b2a01"


def counted() -> UUID:
    counted.n += 1  # type: ignore[attr-defined]
    return UUID(int=counted.n)  # type: ignore[attr-defined]


counted.n = 0  # type: ignore[attr-defined]


def test_references_follow_their_objects() -> None:
    links = (member("Document1"), link(RPLC, "Document1", THERE, id_="r"))
    renamed, names = named(Metadata((submission_set(P),), (document(P),), (), links), counted)
    assert names["Document1"] == renamed.documents[0].entryUUID != "Document1"
    first, second = renamed.associations
    assert (first.sourceObject, first.targetObject) == (names["SubmissionSet01"], names["Document1"])
    assert second.targetObject == THERE
    assert len({one.entryUUID for one in renamed.associations} | set(names.values())) == len(names)


def test_a_uuid_stays() -> None:
    renamed, _ = named(Metadata((submission_set(P),), (document(P, entryUUID=THERE),)), counted)
    assert renamed.documents[0].entryUUID == THERE


def test_what_only_looks_like_a_uuid_is_refused() -> None:
    with pytest.raises(MetadataError, match="urn:uuid:"):
        named(Metadata((submission_set(P, entryUUID="urn:uuid:1"),)), counted)
