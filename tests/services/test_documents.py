"""The document service below the wire: homes, repositories, and bytes that were checked before they are given out."""

import pytest

from gateway.errors import (
    DamagedContent,
    InvalidParameter,
    MissingHomeCommunity,
    UnknownCommunity,
    UnknownDocument,
    UnknownRepository,
)
from gateway.model.caller import UNRESTRICTED, Scope
from gateway.model.identity import PatientId
from gateway.services.documents import Wanted, check_home, patient_of, retrieve, same_community, spool
from tests.xds_parts import HOME, REPOSITORY, Node, make_node


def failures(node: Node, *wanted: Wanted, home_required: bool = False) -> list[type[Exception]]:
    got = retrieve(node.services, wanted, UNRESTRICTED, home_required=home_required)
    return [type(error) for _, error in got.failed]


def test_each_reason_not_to_give_a_document() -> None:
    node = make_node()
    unique_id = node.bundle.uniqueId
    assert failures(node, Wanted("", REPOSITORY, unique_id)) == []
    assert failures(node, Wanted("", REPOSITORY, unique_id), home_required=True) == [MissingHomeCommunity]
    assert failures(node, Wanted("urn:oid:1.9", REPOSITORY, unique_id)) == [UnknownCommunity]
    assert failures(node, Wanted("", "1.9", unique_id)) == [UnknownRepository]
    assert failures(node, Wanted("", REPOSITORY, "1.9")) == [UnknownDocument]


def test_an_entry_of_another_repository_is_not_ours_to_give() -> None:
    node = make_node()
    node.documents.rows[0] = node.documents.rows[0]._replace(repositoryUniqueId="1.9")
    assert failures(node, Wanted("", REPOSITORY, node.bundle.uniqueId)) == [UnknownDocument]


def test_the_scope_reaches_storage_and_nothing_is_asked_without_need() -> None:
    node = make_node()
    scope = Scope(patients=frozenset({"x"}), confidentiality=None)
    retrieve(node.services, [Wanted("", "1.9", "1")], scope, home_required=False)
    assert node.documents.asked == []
    retrieve(node.services, [Wanted("", REPOSITORY, "1")], scope, home_required=False)
    assert node.documents.asked == [(("1",), scope)]


def test_memory_for_checked_bytes_is_bounded() -> None:
    node = make_node()
    node = node.with_parts(held_bytes=node.bundle.size)
    wanted = [Wanted("", REPOSITORY, node.bundle.uniqueId), Wanted("", REPOSITORY, node.original.uniqueId)]
    got = retrieve(node.services, wanted, UNRESTRICTED, home_required=False)
    assert [held.content is None for held in got.found] == [False, True]
    assert [b"".join(held.chunks()) for held in got.found] == [
        node.blobs.content[node.bundle.blob],
        node.blobs.content[node.original.blob],
    ]


def test_damage_after_the_check_stops_the_stream() -> None:
    node = make_node().with_parts(held_bytes=0)
    got = retrieve(node.services, [Wanted("", REPOSITORY, node.bundle.uniqueId)], UNRESTRICTED, home_required=False)
    node.blobs.damaged.add(node.bundle.blob)
    with pytest.raises(DamagedContent):
        b"".join(got.found[0].chunks())


def test_patient_ids_as_queries_carry_them() -> None:
    assert patient_of("1^^^&1.2&ISO") == PatientId("1", "1.2")
    for text in ("1", "1^^^&1.2", "^^^&1.2&ISO", "1^^^ns"):
        with pytest.raises(InvalidParameter) as caught:
            patient_of(text)
        assert "1.2" not in str(caught.value)


def test_homes() -> None:
    node = make_node()
    assert same_community(HOME, HOME.removeprefix("urn:oid:"))
    assert not same_community(HOME, HOME + "0")
    check_home(node.services, "", required=False)
    check_home(node.services, HOME, required=True)


def test_a_spool_is_an_empty_file() -> None:
    with spool() as file:
        file.write(b"x")
        file.seek(0)
        assert file.read() == b"x"
