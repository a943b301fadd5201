"""ITI-62: what is removed is gone, and nothing that stays is left pointing at nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.codec.ebxml import RIM
from gateway.codec.ebxml_submit import LCM
from gateway.ihe import iti42, iti62
from gateway.model.caller import UNRESTRICTED
from gateway.model.document import HAS_MEMBER
from tests.oracle.xsd import errors_of
from tests.registry_parts import Registry, document, folder, link, member, registry, simple

T = iti62.TRANSACTION


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Registry]:
    with registry(tmp_path) as made:
        p = made.patient
        more = (folder(p), member("Folder1", ""), link(HAS_MEMBER, "Folder1", "Document1", id_="fd"), member("fd", ""))
        assert made.codes(iti42.TRANSACTION, simple(p, document(p), more=more)) == []
        yield made


def removal(*ids: str) -> bytes:
    refs = "".join(f'<rim:ObjectRef id="{id_}"/>' for id_ in ids)
    return (
        f'<lcm:RemoveObjectsRequest xmlns:lcm="{LCM}" xmlns:rim="{RIM}"><rim:ObjectRefList>{refs}</rim:ObjectRefList>'
        "</lcm:RemoveObjectsRequest>"
    ).encode()


def everything(node: Registry) -> list[str]:
    objects = [node.one(one).entryUUID for one in ("1.2.3.1", "1.2.4.1", "1.2.6.1")]
    return objects + [one.entryUUID for one in node.store.registry.associations(objects, UNRESTRICTED)]


def test_a_whole_submission_is_removed(node: Registry, shared: Path) -> None:
    answer = node.answer(T, removal(*everything(node)))
    assert answer.get("status", "").endswith("Success") and errors_of(shared, answer) == []
    assert node.rows("SELECT count(*) FROM registry_object WHERE kind = ''") == [(0,)]
    assert node.rows(
        "SELECT count(*) FROM registry_code c LEFT JOIN registry_object o ON o.n = c.n WHERE o.n IS NULL"
    ) == [(0,)]
    assert node.rows("SELECT event, action, outcome FROM audit ORDER BY n DESC LIMIT 1") == [("110110", "D", 0)]


def test_what_stays_keeps_its_ends(node: Registry) -> None:
    before = node.counts()
    ids = everything(node)
    assert node.codes(T, removal(ids[0])) == ["ReferencesExistException"]
    assert node.codes(T, removal(*ids[:-1])) == ["ReferencesExistException"]
    assert node.codes(T, removal("urn:uuid:00000000-0000-0000-0000-000000000000")) == ["UnresolvedReferenceException"]
    assert node.counts() == before


def test_no_document_is_left_without_a_set(node: Registry) -> None:
    entry = node.one("1.2.3.1").entryUUID
    (original,) = [one for one in node.links("1.2.3.1") if one.slot("SubmissionSetStatus")]
    assert node.codes(T, removal(original.entryUUID)) == ["XDSUnreferencedObjectException"]
    of_folder = [one for one in node.links("1.2.6.1") if one.targetObject == entry]
    of_set = node.store.registry.associations([one.entryUUID for one in of_folder], UNRESTRICTED)
    assert node.codes(T, removal(*(one.entryUUID for one in (*of_folder, *of_set)))) == []
    assert node.status("1.2.3.1") == ["Approved"]


def test_no_submission_set_is_left_without_anything(node: Registry) -> None:
    """The kit's cases: the document with its membership, and everything but the set."""
    p = node.patient
    assert node.codes(iti42.TRANSACTION, simple(p, document(p, 2), number=2)) == []
    (original,) = node.links("1.2.3.2")
    entry, set_ = node.one("1.2.3.2").entryUUID, node.one("1.2.4.2").entryUUID
    before = node.counts()
    assert node.codes(T, removal(entry, original.entryUUID)) == ["XDSUnreferencedObjectException"]
    all_but_set = [id_ for id_ in everything(node) if id_ != node.one("1.2.4.1").entryUUID]
    assert node.codes(T, removal(*all_but_set)) == ["XDSUnreferencedObjectException"]
    assert node.codes(T, removal(set_)) == ["ReferencesExistException"]
    assert node.counts() == before
    assert node.codes(T, removal(entry, original.entryUUID, set_)) == []


def test_no_such_request_is_a_fault(node: Registry) -> None:
    assert node.send(T, removal()).status == 500
