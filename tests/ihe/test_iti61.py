"""ITI-61: on-demand entries, which have neither hash nor size, and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.ihe import iti61
from gateway.ihe.iti42 import TRANSACTION as ITI42
from gateway.model.document import IS_SNAPSHOT_OF, ON_DEMAND, DocumentEntry
from tests.registry_parts import Registry, document, link, registry, simple

T = iti61.TRANSACTION


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Registry]:
    with registry(tmp_path) as made:
        yield made


def on_demand(node: Registry) -> DocumentEntry:
    return document(node.patient, objectType=ON_DEMAND, hash="", size=0, creationTime="")


def test_an_entry_without_bytes(node: Registry) -> None:
    answer = node.send(T, simple(node.patient, on_demand(node)))
    assert b"urn:ihe:iti:2010:RegisterOnDemandDocumentResponse" in b"".join(answer.body)
    stored = node.one("1.2.3.1")
    assert stored.objectType == ON_DEMAND and b'name="hash"' not in stored.xml and b'name="size"' not in stored.xml


def test_stable_entries_and_hashes_are_refused(node: Registry) -> None:
    before = node.counts()
    assert node.codes(T, simple(node.patient, document(node.patient))) == ["XDSRegistryMetadataError"]
    hashed = document(node.patient, objectType=ON_DEMAND)
    assert node.codes(T, simple(node.patient, hashed)) == ["XDSRegistryMetadataError"]
    assert node.counts() == before


def test_a_snapshot_of_it(node: Registry) -> None:
    p = node.patient
    assert node.codes(T, simple(p, on_demand(node))) == []
    made = node.one("1.2.3.1").entryUUID
    assert node.codes(T, simple(p, on_demand(node), number=2)) == ["XDSDuplicateUniqueIdInRegistry"]
    snapshot = simple(p, document(p, 2), number=2, more=(link(IS_SNAPSHOT_OF, "Document2", made),))
    assert node.codes(ITI42, snapshot) == []
    stable = node.one("1.2.3.2").entryUUID
    wrong = simple(p, document(p, 3), number=3, more=(link(IS_SNAPSHOT_OF, "Document3", stable),))
    assert node.codes(ITI42, wrong) == ["XDSRegistryMetadataError"]
