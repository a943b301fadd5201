"""The changing transactions over a real socket: a stranger's client (zeep) made from the published WSDLs."""

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from gateway import ihe
from gateway.codec import ebxml, soap
from gateway.errors import DeprecatedObject, DuplicateInMessage, LimitExceeded, MetadataError, Unavailable
from gateway.ihe import iti42
from gateway.ihe._registering import submission_error
from gateway.model.caller import UNRESTRICTED
from tests.oracle.xsd import errors_of
from tests.registry_parts import Registry, body, document, member, registry, simple, submission_set
from tests.xds_parts import CALLER, make_node, request

_BODY = f"{{{soap.SOAP}}}Body"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Registry, str]]:
    waitress = pytest.importorskip("waitress")
    with registry(tmp_path) as node:

        def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            wire = ihe.dispatch(
                environ["PATH_INFO"], environ.get("CONTENT_TYPE", ""), environ["wsgi.input"], node.services, CALLER
            )
            start_response(f"{wire.status} X", wire.headers)
            return wire.body

        server = waitress.create_server(app, host="127.0.0.1", port=0, threads=2)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        yield node, f"http://127.0.0.1:{server.effective_port}/xds/registry"
        server.close()
        thread.join(timeout=5)


def client_of(shared: Path, wsdl: str, url: str) -> tuple[Any, Any]:
    zeep = pytest.importorskip("zeep")
    client = zeep.Client(str(shared / "schemas" / "wsdl" / "xds" / wsdl))  # the WSDL makes it send WS-Addressing
    return client, client.create_service(next(iter(client.wsdl.bindings)), url)


def sent(shared: Path, wsdl: str, operation: str, url: str, metadata: bytes) -> etree._Element:
    """zeep knows no substitution groups, so the registry objects go into its message as they are."""
    client, service = client_of(shared, wsdl, url)
    message = client.create_message(service, operation, RegistryObjectList={})
    place = message.find(f".//{_BODY}")
    for child in list(place):
        place.remove(child)
    place.append(etree.fromstring(metadata))
    response = client.transport.post_xml(url, message, {"Content-Type": soap.MEDIA_TYPE})
    assert response.status_code == 200, response.content
    (found,) = etree.fromstring(response.content).find(_BODY)
    assert errors_of(shared, found) == []
    return found


@pytest.mark.oracle
def test_a_stranger_registers_updates_and_removes(served: tuple[Registry, str], shared: Path) -> None:
    node, url = served
    p = node.patient
    registered = sent(shared, "iti42.wsdl", "DocumentRegistry_RegisterDocumentSet-b", url, simple(p, document(p)))
    assert registered.get("status") == ebxml.SUCCESS
    entry = node.one("1.2.3.1").entryUUID
    update = body(
        member("Document1", "Original", ("PreviousVersion", "1")),
        document(p, logicalID=entry, title="renamed"),
        submission_set(p, 2),
    )
    updated = sent(shared, "iti57.wsdl", "DocumentRegistry_UpdateDocumentSet", url, update)
    assert updated.get("status") == ebxml.SUCCESS and node.one("1.2.3.1").version == 2
    ids = [row[0] for row in node.rows("SELECT \"entryUUID\" FROM registry_object WHERE kind = ''")]
    ids += [one.entryUUID for one in node.store.registry.associations(ids, UNRESTRICTED)]  # type: ignore[arg-type]
    _, service = client_of(shared, "iti62.wsdl", url)
    wanted = {"_value_1": [{"ObjectRef": {"id": id_}} for id_ in ids]}
    removed = service.DocumentRegistry_DeleteDocumentSet(ObjectRefList=wanted)
    assert removed.status == ebxml.SUCCESS
    assert node.rows("SELECT count(*) FROM registry_object WHERE kind = ''") == [(0,)]


def test_a_node_that_only_answers_takes_no_submission() -> None:
    node = make_node()
    response = node.send("/xds/registry", request(iti42.TRANSACTION.action, simple("p^^^&1.2&ISO")))
    assert response.status == 500 and b"soap:Receiver" in b"".join(response.body)
    assert node.audit.records[-1].outcome == 8


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MetadataError(), "XDSRepositoryMetadataError"),
        (DuplicateInMessage(), "XDSRepositoryDuplicateUniqueIdInMessage"),
        (LimitExceeded(), "XDSRepositoryOutOfResources"),
        (Unavailable(), "XDSRepositoryBusy"),
        (DeprecatedObject(), "XDSRegistryDeprecatedDocumentError"),
    ],
)
def test_which_actor_saw_it(error: Any, code: str) -> None:
    assert submission_error(error).code == code


def test_an_error_of_ours_is_an_answer_without_its_text(served: tuple[Registry, str]) -> None:
    node, _ = served
    node.store.writer.close()

    class Audit:
        def record(self, *records: object) -> None: ...

    from dataclasses import replace

    node.services = replace(node.services, audit=Audit())
    assert node.codes(iti42.TRANSACTION, simple(node.patient, document(node.patient))) == ["XDSRegistryBusy"]
