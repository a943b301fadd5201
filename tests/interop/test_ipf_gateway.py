"""IPF asks the gateways of a node: as a Document Consumer our initiating gateway, as an initiating gateway our responding
one; its validators judge every answer."""

import hashlib
from collections.abc import Iterator

import pytest

from gateway.model.caller import UNRESTRICTED
from gateway.sandbox.stub_community import serve, well
from tests.federation_parts import (
    ARC,
    MEDICAL_ID,
    STUB,
    TOKYO,
    Member,
    fed_node,
    free_port,
    peer,
    settings,
    stub,
)
from tests.interop.test_ipf import Ipf, class_path

__all__ = ["class_path"]
pytestmark = pytest.mark.oracle
PATIENT = f"patient={MEDICAL_ID}"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Member]:
    """東京, with one more community behind it."""
    directory = tmp_path_factory.mktemp("node")
    with serve(well(stub())) as url, fed_node(directory) as parts:
        member = Member(settings(directory, peer(STUB, url), http={"port": free_port()}), parts)
        member.start()
        yield member
        member.stop()


@pytest.fixture(scope="module")
def ipf(class_path: str, node: Member, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ipf]:
    client = Ipf(class_path, node.settings.http.port, tmp_path_factory.mktemp("log") / "ipf.log")
    yield client
    client.close()


def test_a_consumer_asks_all_communities(ipf: Ipf) -> None:
    """As references: IPF's validator takes whole entries of one patient id alone, and each community has its own."""
    theirs = {one.entryUUID for one in stub().entries()}
    said = ipf.ask("FindDocuments", PATIENT, returns="ObjectRef", path="/xca/initiating")
    assert (said["status"], said["errors"]) == ("SUCCESS", [])
    assert theirs < set(said["references"]) and said["documents"] == []


def test_a_consumer_asks_one_community(ipf: Ipf) -> None:
    uuids = "uuids=" + ",".join(one.entryUUID for one in stub().entries())
    said = ipf.ask("GetDocuments", uuids, f"home={STUB}", path="/xca/initiating")
    assert (said["status"], said["errors"]) == ("SUCCESS", [])
    assert set(said["documents"]) == {one.entryUUID for one in stub().entries()}


def test_a_consumer_retrieves_from_another_community(ipf: Ipf) -> None:
    (first, second), contents = stub().entries(), [data for _, data, _ in stub().content]
    got = ipf.retrieve_of(
        f"{first.repositoryUniqueId},{STUB}",
        first.uniqueId,
        second.uniqueId,
        scheme="xds-iti43",
        path="/xca/initiating",
    )
    assert (got["status"], got["errors"]) == ("SUCCESS", [])
    assert sorted(got["sha256"]) == sorted(hashlib.sha256(data).hexdigest() for data in contents)


def test_a_gateway_asks_ours(ipf: Ipf, node: Member) -> None:
    said = ipf.ask("FindDocuments", PATIENT, f"home={TOKYO}", scheme="xca-iti38")
    assert (said["status"], said["errors"]) == ("SUCCESS", []) and len(said["documents"]) > 5
    entry = node.parts.registry.by_entry_uuid(said["documents"][:1], UNRESTRICTED)[0]
    got = ipf.retrieve_of(f"{ARC}.1.2,{TOKYO}", entry.uniqueId, scheme="xca-iti39", path="/xca")
    content = node.parts.blobs.open(entry.blob).read()
    assert (got["status"], got["sha256"]) == ("SUCCESS", [hashlib.sha256(content).hexdigest()])
