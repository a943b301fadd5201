"""`?wsdl`, and a WSDL-driven client (zeep) that knows nothing of our code, over a real socket."""

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from gateway import ihe
from gateway.codec import soap
from gateway.ihe import iti18
from gateway.model.document import APPROVED
from tests.oracle.xsd import errors_of
from tests.xds_parts import CALLER, PATIENT, REPOSITORY, RIM, Node, make_node

WSDL = "{http://schemas.xmlsoap.org/wsdl/}"


@pytest.mark.parametrize("path", ihe.PATHS)
def test_the_description_names_every_action_of_its_endpoint(path: str) -> None:
    root = etree.fromstring(ihe.wsdl(path, "http://127.0.0.1:8080" + path))
    actions = {
        str(item.get("{http://www.w3.org/2007/05/addressing/metadata}Action")) for item in root.iter(f"{WSDL}input")
    }
    assert {transaction.action for transaction in ihe.at(path)} <= actions
    address = root.find(".//{http://schemas.xmlsoap.org/wsdl/soap12/}address")
    assert address is not None
    assert address.get("location") == "http://127.0.0.1:8080" + path


def test_no_description_of_what_is_no_endpoint() -> None:
    with pytest.raises(KeyError):
        ihe.wsdl("/fhir", "http://127.0.0.1/fhir")


# -- zeep ---------------------------------------------------------------------------------------------------------


def application(node: Node) -> Any:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        wire = ihe.dispatch(
            environ["PATH_INFO"], environ.get("CONTENT_TYPE", ""), environ["wsgi.input"], node.services, CALLER
        )
        start_response(f"{wire.status} X", wire.headers)
        return wire.body

    return app


@pytest.fixture
def served() -> Iterator[tuple[Node, str]]:
    """A node behind waitress on a free loopback port: (node, base URL)."""
    waitress = pytest.importorskip("waitress")
    node = make_node()
    server = waitress.create_server(application(node), host="127.0.0.1", port=0, threads=2)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield node, f"http://127.0.0.1:{server.effective_port}"
    server.close()
    thread.join(timeout=5)


def service(shared: Path, name: str, url: str, binding: str) -> Any:
    zeep = pytest.importorskip("zeep")
    client = zeep.Client(str(shared / "schemas" / "wsdl" / "xds" / name))  # the WSDL makes it send WS-Addressing
    return client, client.create_service(f"{{urn:ihe:iti:xds-b:2007}}{binding}", url)


def find(registry: Any, patient: str) -> Any:
    return registry.DocumentRegistry_RegistryStoredQuery(
        ResponseOption={"returnType": "LeafClass", "returnComposedObjects": True},
        AdhocQuery={
            "id": iti18.FIND_DOCUMENTS,
            "Slot": [
                {"name": "$XDSDocumentEntryPatientId", "ValueList": {"_value_1": [{"Value": f"'{patient}'"}]}},
                {"name": "$XDSDocumentEntryStatus", "ValueList": {"_value_1": [{"Value": f"('{APPROVED}')"}]}},
            ],
        },
    )


@pytest.mark.oracle
def test_a_stranger_finds_documents(served: tuple[Node, str], shared: Path) -> None:
    """zeep makes the question; it does not know substitution groups, so the schema reads the answer."""
    node, base = served
    client, registry = service(shared, "iti18.wsdl", base + "/xds/registry", "DocumentRegistry_Binding_Soap12")
    with client.settings(raw_response=True):
        response = find(registry, str(PATIENT))
    body = etree.fromstring(response.content)[1][0]
    assert errors_of(shared, body) == []
    assert [item.get("id") for item in body.iter(f"{RIM}ExtrinsicObject")] == [
        node.bundle.entryUUID,
        node.original.entryUUID,
    ]
    nobody = find(registry, "x^^^&1.2.3&ISO")
    assert nobody.status.endswith(":Success")


@pytest.mark.oracle
def test_a_stranger_retrieves_documents(served: tuple[Node, str], shared: Path) -> None:
    node, base = served
    _, repository = service(shared, "iti43.wsdl", base + "/xds/repository", "DocumentRepository_Binding_Soap12")
    answer = repository.DocumentRepository_RetrieveDocumentSet(
        DocumentRequest=[
            {"RepositoryUniqueId": REPOSITORY, "DocumentUniqueId": node.bundle.uniqueId},
            {"RepositoryUniqueId": REPOSITORY, "DocumentUniqueId": node.original.uniqueId},
        ]
    )
    assert answer.RegistryResponse.status.endswith(":Success")
    assert [document.Document for document in answer.DocumentResponse] == [
        node.blobs.content[node.bundle.blob],
        node.blobs.content[node.original.blob],
    ]


@pytest.mark.oracle
@pytest.mark.parametrize("path", ihe.PATHS)
def test_zeep_loads_our_own_description(path: str, tmp_path: Path) -> None:
    zeep = pytest.importorskip("zeep")
    file = tmp_path / "here.wsdl"
    file.write_bytes(ihe.wsdl(path, "http://127.0.0.1" + path))
    (port,) = zeep.Client(str(file)).wsdl.services["Service"].ports.values()
    assert sorted(port.binding._operations) == sorted(t.name.replace(" ", "") for t in ihe.at(path))


def test_a_socket_brings_the_same_bytes_as_a_call(served: tuple[Node, str]) -> None:
    requests = pytest.importorskip("requests")
    _, base = served
    answer = requests.post(base + "/xds/registry", data=b"<a/>", headers={"Content-Type": soap.MEDIA_TYPE}, timeout=10)
    assert (answer.status_code, b"soap:Sender" in answer.content) == (500, True)
