"""The composition root: settings in, running parts out, over a real store."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from gateway import app
from gateway.errors import ConfigurationError, InvalidParameter, Unavailable
from gateway.model.caller import UNRESTRICTED, Caller
from gateway.model.clock import Clock
from gateway.model.identity import PatientId
from gateway.serve.federation_api import FederatedQuestion
from gateway.serve.http import create_app
from gateway.settings import Settings
from gateway.storage.opening import Storage

DEMO = Path(__file__).resolve().parents[1] / "fixtures" / "demo"
ARC = "1.2.392.200119.99999"
MEDICAL_ID = PatientId("9900000000000017", f"{ARC}.3")
LOCAL = PatientId("0001000037", f"{ARC}.2")
MORNING = Clock(lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def settings(directory: Path, **more: Any) -> Settings:
    facility = {"oid": f"{ARC}.2", "namespace": "TOKYO-HP", "institution": "1310000001"}
    medical_id = {"oid": f"{ARC}.3", "namespace": "MEDICAL-ID", "kind": "medical-id"}
    given = {"directory": directory, "security": {"mode": "open"}, "authorities": [facility, medical_id]}
    return Settings.model_validate({**given, "community": {"name": "東京"}, **more})


@pytest.fixture(scope="module")
def fed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Storage]]:
    """A store with the storage of 東京 in it, kept in the morning of one day."""
    chosen = settings(tmp_path_factory.mktemp("node"))
    with app.storage(chosen, MORNING) as parts:
        summary = app.ingestor(chosen, parts).run(
            [str(DEMO / "tokyo" / "1310000001")], rejects_file=chosen.directory / "r"
        )
        assert (summary.seen, summary.states["rejected"]) == (34, 0)
        yield chosen, parts


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def question(**more: Any) -> FederatedQuestion:
    return FederatedQuestion(MEDICAL_ID, ("lab", "rx"), None, 5.0)._replace(**more)


def federate(node: app.Node, asked: FederatedQuestion) -> dict[str, Any]:
    return node.http({}).federation.query(asked, Caller(), UNRESTRICTED)


def test_the_version_is_the_one_of_the_package_or_says_that_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.configured, "version", lambda name: {"musubi-gateway": "9.8.7"}[name])
    assert app.software_version() == "9.8.7"

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(app.configured, "version", missing)
    assert app.software_version() == "0+unknown"


def test_facilities_are_those_of_the_settings(tmp_path: Path) -> None:
    found = app.facilities(settings(tmp_path))
    assert [getattr(found.find(name), "oid", None) for name in ("TOKYO-HP", "1310000001", "OSAKA-HP")] == [
        f"{ARC}.2", f"{ARC}.2", None,
    ]  # fmt: skip


def test_storage_that_cannot_be_used_is_the_operators_matter(tmp_path: Path) -> None:
    (tmp_path / "musubi.db").mkdir()
    with pytest.raises((ConfigurationError, Unavailable)), app.storage(settings(tmp_path)):
        pass  # pragma: no cover - never opened


def test_the_clock_that_is_handed_in_stamps_what_is_kept(fed: tuple[Settings, Storage]) -> None:
    assert app.newest(fed[1]) == "2026-01-02T03:04:05.000Z"


def test_an_empty_store_has_no_newest(tmp_path: Path) -> None:
    with app.storage(settings(tmp_path)) as parts:
        assert app.newest(parts) == "" and app.integrity(parts) == []


def test_integrity_names_what_is_wrong(tmp_path: Path) -> None:
    with app.storage(settings(tmp_path)) as parts:
        with parts.engine.execution_options(write=True).connect() as connection, connection.begin():
            connection.execute(text("DROP TABLE outbox"))
        assert [words for words in app.integrity(parts) if "schema" in words]


def test_the_facility_of_the_command_line_wins(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    with app.storage(chosen) as parts:
        run = app.ingestor(chosen, parts, facility=f"{ARC}.22")
        run.run([str(next(DEMO.rglob("tokyo/**/*_ADT-00_*_1")))], rejects_file=tmp_path / "r")
        (patient,) = [one for one in parts.resources.export(UNRESTRICTED) if one.type == "Patient"]
        assert f'"urn:oid:{ARC}.22"'.encode() in patient.body


def test_own_registry_answers_for_any_id_of_the_person(fed: tuple[Settings, Storage]) -> None:
    node = app.Node(*fed)
    by_medical_id = federate(node, question())
    assert [(one["name"], one["outcome"]) for one in by_medical_id["communities"]] == [("東京", "ok")]
    assert by_medical_id["rows"] and {row["type"] for row in by_medical_id["rows"]} == {"lab"}
    assert federate(node, question(patient=LOCAL))["rows"] == by_medical_id["rows"]
    assert federate(node, question(patient=PatientId("0", f"{ARC}.3")))["communities"][0]["outcome"] == "nothing"


def test_communities_are_chosen_by_name_or_id_and_an_unknown_one_is_refused(fed: tuple[Settings, Storage]) -> None:
    node = app.Node(*fed)
    for wanted in ("東京", f"urn:oid:{ARC}.1"):
        assert len(federate(node, question(communities=(wanted,)))["communities"]) == 1
    with pytest.raises(InvalidParameter, match="no such community: 京都"):
        federate(node, question(communities=("東京", "京都")))


def test_peers_are_asked_by_the_shared_id_and_not_through_a_proxy(
    fed: tuple[Settings, Storage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever id was given, a peer hears the medical ID: a local number means somebody else there."""
    heard: list[bytes] = []
    proxied: list[bytes] = []

    class PeerGateway(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_error(503)

        def log_message(self, *_: object) -> None: ...

    class Proxy(PeerGateway):
        def do_POST(self) -> None:
            proxied.append(b"")
            self.send_error(502)

    with listening(PeerGateway) as url, listening(Proxy) as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.delenv("no_proxy", raising=False)
        peers = [
            {"id": f"urn:oid:{ARC}.20", "name": "大阪", "xca": f"{url}/xca"},
            {"id": f"urn:oid:{ARC}.40", "name": "長崎"},
        ]
        chosen = settings(fed[0].directory, peers=peers)
        answer = federate(app.Node(chosen, fed[1]), question(patient=LOCAL))
    assert [(one["name"], one["outcome"]) for one in answer["communities"]] == [("東京", "ok"), ("大阪", "failed")]
    assert proxied == [] and 1 <= len(heard) <= 2, "a broken way may be tried once more"
    assert b"9900000000000017" in heard[0] and b"0001000037" not in heard[0]


def test_the_http_face_is_ready_when_every_role_listens(fed: tuple[Settings, Storage]) -> None:
    listens = {"http": False}
    node = app.Node(*fed, clock=MORNING)
    client = create_app(node.http({"http": lambda: listens["http"]})).test_client()
    assert client.get("/readyz").status_code == 503
    listens["http"] = True
    assert client.get("/readyz").status_code == 200


def test_every_face_is_there(fed: tuple[Settings, Storage]) -> None:
    client = create_app(app.Node(*fed).http({"http": lambda: True})).test_client()
    assert client.get("/fhir/Patient?_summary=count").get_json()["total"] == 5
    assert client.get("/fhir/metadata").get_json()["software"]["version"] == app.software_version()
    assert b"wsdl" in client.get("/xca?wsdl").data
    body = {"patient": str(MEDICAL_ID), "types": ["lab"]}
    assert client.post("/api/query", json=body).get_json()["communities"][0]["outcome"] == "ok"


def test_an_answer_leaves_its_audit_record(fed: tuple[Settings, Storage]) -> None:
    def records() -> int:
        with fed[1].engine.connect() as connection:
            return int(connection.execute(text("SELECT count(*) FROM audit")).scalar_one())

    client = create_app(app.Node(*fed).http({"http": lambda: True})).test_client()
    before = records()
    client.get("/fhir/Patient?_summary=count")
    client.post("/api/query", json={"patient": str(MEDICAL_ID), "types": ["lab"]})
    assert records() >= before + 2


def test_cursors_of_two_nodes_are_not_interchangeable(fed: tuple[Settings, Storage]) -> None:
    node = app.Node(*fed)
    assert node.fhir().cursor_key != node.fhir().cursor_key and len(node.fhir().cursor_key) == 32


def test_what_may_not_be_served_makes_no_database(tmp_path: Path) -> None:
    for more in ({"security": {"mode": "enforced"}}, {"http": {"host": "0.0.0.0"}}):
        with pytest.raises(ConfigurationError):
            app.serve(settings(tmp_path, **more))
    assert list(tmp_path.iterdir()) == []


def test_a_node_is_made_of_its_settings(fed: tuple[Settings, Storage]) -> None:
    other = fed[0].model_copy(update={"community": fed[0].community.model_copy(update={"id": "urn:oid:1.2.3"})})
    documents = replace(app.Node(*fed), settings=other).documents()
    assert documents.home == "urn:oid:1.2.3" and documents.repository == fed[0].community.repository
