"""Parts the tests of federation share: the node of 東京 with peers of the sandbox, and a region of real nodes."""

import io
import json
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lxml import etree

from gateway import app
from gateway.codec import ebxml, mtom, soap
from gateway.ihe._soap import WireResponse
from gateway.model.clock import Clock
from gateway.model.identity import PatientId
from gateway.sandbox.stub_community import FHIR_JSON, Stub
from gateway.serve.http import create_app
from gateway.serve.server import HttpServer
from gateway.settings import Settings
from gateway.storage.opening import Storage

DEMO = Path(__file__).resolve().parents[1] / "fixtures" / "demo"
ARC = "1.2.392.200119.99999"
TOKYO, OSAKA, NAGASAKI, STUB, BAD = (f"urn:oid:{ARC}.{n}" for n in (1, 20, 40, 80, 90))
MEDICAL_ID = PatientId("9900000000000017", f"{ARC}.3")
"""見本 結子 of the demo."""
QUERY = f"{{{ebxml.QUERY}}}"
RIM = f"{{{ebxml.RIM}}}"
RS = f"{{{ebxml.RS}}}"
XDS = f"{{{ebxml.XDS}}}"


def settings(directory: Path, *peers: dict[str, Any], number: int = 1, **more: Any) -> Settings:
    facilities = [
        {"oid": f"{ARC}.2", "namespace": "TOKYO-HP", "institution": "1310000001", "name": "架空東京総合病院"},
        {"oid": f"{ARC}.22", "namespace": "OSAKA-HP", "institution": "2710000001"},
        {"oid": f"{ARC}.42", "namespace": "NAGASAKI-HP", "institution": "4210000001"},
    ]
    medical_id = {"oid": f"{ARC}.3", "namespace": "MEDICAL-ID", "kind": "medical-id"}
    community = {
        "id": f"urn:oid:{ARC}.{number}",
        "name": {1: "東京", 20: "大阪", 40: "長崎"}.get(number, str(number)),
        "affinity_domain": f"{ARC}.{number}.1",
        "repository": f"{ARC}.{number}.2",
    }
    given = {
        "directory": directory,
        "security": {"mode": "open"},
        "authorities": [*facilities, medical_id],
        "community": community,
        "peers": list(peers),
    }
    return Settings.model_validate({**given, **more})


def peer(home: str, url: str, name: str = "", faces: Iterable[str] = ("xcpd", "xca"), **more: Any) -> dict[str, Any]:
    return {"id": home, "name": name or home.rpartition(".")[2], **{face: f"{url}/{face}" for face in faces}, **more}


def lab_bundle(number: int, patient: str = "9900000000000017", born: str = "1970-04-05") -> bytes:
    """One laboratory result, as another network's document repository holds it."""
    entries = [
        {"resourceType": "Patient", "id": f"stub-p{number}", "birthDate": born,
         "identifier": [{"system": f"urn:oid:{ARC}.3", "value": patient}]},
        {"resourceType": "Observation", "id": f"stub-o{number}", "status": "final",
         "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category",
                                   "code": "laboratory"}]}],
         "code": {"coding": [{"system": "urn:oid:1.2.392.200119.99999.9", "code": f"K{number}"}], "text": "カリウム"},
         "subject": {"reference": f"Patient/stub-p{number}"}, "effectiveDateTime": f"2025-0{number}-01",
         "valueQuantity": {"value": 4.1, "unit": "mmol/L"}},
    ]  # fmt: skip
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in entries]}
    return json.dumps(bundle, ensure_ascii=False).encode()


def stub(home: str = STUB, documents: int = 2, **more: Any) -> Stub:
    content = tuple((f"lab-{n}", lab_bundle(n), FHIR_JSON) for n in range(1, documents + 1))
    return Stub(home, f"{home.removeprefix('urn:oid:')}.1", "stub-1", content=content, **more)


@contextmanager
def fed_node(
    directory: Path, roots: Iterable[Path] = (DEMO / "tokyo" / "1310000001",), number: int = 1
) -> Iterator[Storage]:
    chosen = settings(directory, number=number)
    with app.storage(chosen) as parts:
        if roots:
            app.ingestor(chosen, parts).run([str(one) for one in roots], rejects_file=directory / "r")
        yield parts


def client_of(directory: Path, parts: Storage, *peers: dict[str, Any], clock: Clock | None = None, **more: Any) -> Any:
    node = app.Node(settings(directory, *peers, **more), parts, clock or Clock())
    return create_app(node.http({"http": lambda: True})).test_client()


# -- XDS ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    """An answer of the initiating gateway."""

    status: str
    errors: list[tuple[str, str]]
    """(errorCode, location)"""
    homes: list[str]
    """Of the objects or documents, in their order."""
    ids: list[str]
    documents: list[bytes]


def find_documents(client: Any, patient: PatientId = MEDICAL_ID, home: str = "") -> Said:
    slots = [
        ("$XDSDocumentEntryPatientId", (str(patient),), False),
        ("$XDSDocumentEntryStatus", ("urn:oasis:names:tc:ebxml-regrep:StatusType:Approved",), True),
    ]
    query = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
    return stored_query(client, query, slots, home)


def stored_query(client: Any, query: str, slots: Any, home: str = "", return_type: str = "LeafClass") -> Said:
    body = ebxml.adhoc_query_request(query, home, return_type, slots)
    return said(post(client, "urn:ihe:iti:2007:RegistryStoredQuery", body))


def retrieve(client: Any, *documents: tuple[str, str, str]) -> Said:
    return said(post(client, "urn:ihe:iti:2007:RetrieveDocumentSet", ebxml.retrieve_request(documents)))


def post(client: Any, action: str, body: bytes, path: str = "/xca/initiating") -> WireResponse:
    data = soap.request(action, "urn:uuid:00000000-0000-0000-0000-00000000aaaa", "http://localhost/", body)
    answer = client.post(path, data=data, content_type=soap.MEDIA_TYPE)
    return WireResponse(answer.status_code, list(answer.headers.items()), (answer.data,))


def said(response: WireResponse) -> Said:
    data, kind = b"".join(response.body), dict(response.headers)["Content-Type"]
    assert response.status == 200, data
    parts: dict[str, mtom.Part] = {}
    if kind.startswith(mtom.MULTIPART):
        package = mtom.collect([data], kind, io.BytesIO)
        data, parts = package.root.read(), package.parts
    (body,) = etree.fromstring(data).find(f"{{{soap.SOAP}}}Body")  # type: ignore[misc]
    errors = [(str(one.get("errorCode")), str(one.get("location"))) for one in body.iter(f"{RS}RegistryError")]
    if body.tag == f"{XDS}RetrieveDocumentSetResponse":
        answers = body.findall(f"{XDS}DocumentResponse")
        response_status = str(body.find(f"{RS}RegistryResponse").get("status"))  # type: ignore[union-attr]
        return Said(
            response_status.rpartition(":")[2],
            errors,
            [str(one.findtext(f"{XDS}HomeCommunityId")) for one in answers],
            [str(one.findtext(f"{XDS}DocumentUniqueId")) for one in answers],
            [parts[mtom.content_id(str(one.find(f".//{{{mtom.XOP}}}Include").get("href")))].read() for one in answers],  # type: ignore[union-attr]
        )
    objects = list(body.find(f"{RIM}RegistryObjectList"))  # type: ignore[arg-type]
    return Said(
        str(body.get("status")).rpartition(":")[2],
        errors,
        [str(one.get("home")) for one in objects],
        [_unique(one) for one in objects],
        [],
    )


def _unique(element: Any) -> str:
    for one in element.findall(f"{RIM}ExternalIdentifier"):
        if one.get("identificationScheme") == ebxml.UNIQUE_ID:
            return str(one.get("value"))
    return str(element.get("id"))


# -- a region of real nodes ----------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Member:
    """One node of a region: its settings, store and address; stopped and started by a test."""

    settings: Settings
    parts: Storage
    running: "tuple[HttpServer, threading.Thread] | None" = None

    @property
    def url(self) -> str:
        return self.settings.http.url

    def start(self) -> None:
        node = app.Node(self.settings, self.parts)
        server = HttpServer(self.settings, create_app(node.http({"http": lambda: True})))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        self.running = (server, thread)

    def stop(self) -> None:
        if self.running is not None:
            server, thread = self.running
            self.running = None
            server.stop()
            thread.join(10)


@contextmanager
def region(directory: Path, faces: Iterable[str] = ("xcpd", "xca", "fhir"), **more: Any) -> Iterator[dict[str, Member]]:
    """東京, 大阪 and 長崎 with their demo storages, each asking the others by `faces`."""
    sites = {
        "東京": ("tokyo", "1310000001", 1),
        "大阪": ("osaka", "2710000001", 20),
        "長崎": ("nagasaki", "4210000001", 40),
    }
    ports = {name: free_port() for name in sites}
    with ExitStack() as stack:
        members = {}
        for name, (folder, institution, number) in sites.items():
            place = directory / folder
            place.mkdir(parents=True)
            parts = stack.enter_context(fed_node(place, [DEMO / folder / institution], number))
            peers = [
                peer(f"urn:oid:{ARC}.{other}", f"http://127.0.0.1:{ports[at]}", at, faces)
                for at, (_, _, other) in sites.items()
                if at != name
            ]
            chosen = settings(place, *peers, number=number, http={"port": ports[name]}, **more)
            members[name] = Member(chosen, parts)
            members[name].start()
            stack.callback(members[name].stop)
        yield members
