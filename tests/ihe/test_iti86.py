"""ITI-86: the bytes are gone, the metadata stay, and who asks is told that there is no such document."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.codec.ebxml import XDS as XDS_NAME
from gateway.codec.ebxml_submit import RMD
from gateway.ihe import iti41, iti86
from tests.ihe.test_iti41 import fetch
from tests.oracle.xsd import errors_of
from tests.registry_parts import REPOSITORY, Registry, document, provided, registry, simple

T = iti86.TRANSACTION


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Registry]:
    with registry(tmp_path) as made:
        p = made.patient
        sent = provided(simple(p, document(p)), ("Document1", None))
        assert made.codes(iti41.TRANSACTION, sent, ("Document1@test", b"hello")) == []
        yield made


def removal(*wanted: tuple[str, str]) -> bytes:
    inside = "".join(
        f"<xds:DocumentRequest><xds:RepositoryUniqueId>{repository}</xds:RepositoryUniqueId>"
        f"<xds:DocumentUniqueId>{unique_id}</xds:DocumentUniqueId></xds:DocumentRequest>"
        for repository, unique_id in wanted
    )
    name = "RemoveDocumentsRequest"
    return f'<rmd:{name} xmlns:rmd="{RMD}" xmlns:xds="{XDS_NAME}">{inside}</rmd:{name}>'.encode()


def test_the_bytes_are_gone(node: Registry, shared: Path) -> None:
    blobs = node.counts()["blob"]
    answer = node.answer(T, removal((REPOSITORY, "1.2.3.1")))
    assert answer.get("status", "").endswith("Success") and errors_of(shared, answer) == []
    assert fetch(node, "1.2.3.1") == ["XDSDocumentUniqueIdError"]
    assert node.status("1.2.3.1") == ["Approved"] and node.counts()["blob"] == blobs - 1
    assert node.codes(T, removal((REPOSITORY, "1.2.3.1"))) == ["XDSRemoveDocumentsError"]


def test_all_or_nothing(node: Registry) -> None:
    assert node.codes(T, removal((REPOSITORY, "1.2.3.1"), (REPOSITORY, "1.2.3.9"))) == ["XDSRemoveDocumentsError"]
    assert node.codes(T, removal(("1.2.9", "1.2.3.1"))) == ["XDSUnknownRepositoryId"]
    assert fetch(node, "1.2.3.1") == b"hello"


def test_bytes_that_also_came_as_a_file_stay(node: Registry) -> None:
    rows = node.rows("SELECT \"uniqueId\", blob FROM registry_object WHERE kind = 'original' ORDER BY n LIMIT 1")
    unique_id, address = map(str, rows[0])
    assert node.codes(T, removal((REPOSITORY, unique_id))) == []
    assert node.rows(f"SELECT count(*) FROM blob WHERE hex(sha256) = '{address.upper()}'") == [(1,)]
