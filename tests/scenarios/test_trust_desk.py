"""The desks around the data: audit search, list of accesses, review of emergencies, notices, the second look, the CLI."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from gateway import app as parts_of
from gateway.cli import run
from gateway.errors import Unavailable
from gateway.model.audit import AuditRecord
from gateway.model.caller import UNRESTRICTED, Caller, Scope
from gateway.model.resource import SearchPlan
from gateway.serve.audit_tls import TlsConnection
from gateway.serve.trust_api import TrustApi, register
from gateway.services.break_glass import Notices
from gateway.settings import Settings
from tests.policy_parts import HOSPITAL, Region, caller, cx, patient, region

ONE, TWO = patient("1"), patient("2")
OFFICER = caller("PRIVACY", "OPERATIONS", user="officer")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Region]:
    with region(tmp_path) as made:
        yield made


class Desk:
    """The JSON API as somebody."""

    def __init__(self, node: Region) -> None:
        self.who: Caller = OFFICER
        self.body = b""
        flask = Flask("test")
        api = TrustApi(node.node.trust(), node.parts.audit, lambda: self.who, node.node.scope_of, lambda: self.body)
        register(flask, api)
        self.client = flask.test_client()

    def get(self, path: str) -> Any:
        return self.client.get(path)

    def post(self, path: str, given: Any, who: Caller = OFFICER) -> Any:
        self.who, self.body = who, json.dumps(given).encode()
        return self.client.post(path)


def declared(node: Region) -> str:
    given = {"patient": str(ONE), "reason": "LIFE", "text": "意識不明で搬送、既往歴を確認する必要がある"}
    status, said = node.fhir(caller(purpose="EMERGENCY"), "/$break-glass", "POST", given)
    assert status == 201
    return str(said["parameter"][0]["valueString"])


# -- ITI-81 ----------------------------------------------------------------------------------------------------------


def test_who_saw_this_patient(node: Region) -> None:
    node.consent(ONE, {"type": "permit"})
    node.fhir(caller(), f"/Observation?patient.identifier={cx(ONE)}")  # names the person
    node.fhir(caller(user="other"), "/Observation?category=laboratory")  # does not, and shows the data
    node.fhir(caller(user="third"), f"/Observation/lab-1-{HOSPITAL[-1]}")
    node.fhir(caller(user="fourth"), f"/Observation?patient.identifier={cx(TWO)}")
    status, bundle = node.fhir(OFFICER, f"/AuditEvent?date=ge2026-01-01&patient.identifier={cx(ONE)}&_count=3")
    assert status == 200
    events = [entry["resource"] for entry in bundle["entry"]]
    onward = next(one["url"] for one in bundle["link"] if one["relation"] == "next").removeprefix("http://h/fhir")
    status, more = node.fhir(OFFICER, onward)
    events += [entry["resource"] for entry in more["entry"]]
    users = {agent["who"]["identifier"]["value"] for event in events for agent in event["agent"] if agent["requestor"]}
    assert {"doctor-1", "other", "third"} <= users and "fourth" not in users
    used = [one.record for one in node.records() if one.record.event == "110101"]
    assert len(used) == 2 and used[0].user == "officer" and used[0].patient == str(ONE)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("date=2026-04-01", 200), ("date=lt2026-01-01", 200), ("date=gt2026-01-01&date=le2026-12-31&outcome=0", 200),
        ("date=ge2026&agent=nobody&purpose=TREAT&type=110112&subtype=rest", 200), ("date=ge2026&purpose=FUN", 200),
        ("", 400), ("date=soon", 400), ("date=2026&outcome=1", 400), ("date=2026&color=red", 400),
    ],
)  # fmt: skip
def test_how_the_trail_is_searched(node: Region, query: str, status: int) -> None:
    assert node.fhir(OFFICER, f"/AuditEvent?{query}")[0] == status


def test_nobody_else_searches_it_and_nobody_writes_it(node: Region) -> None:
    assert node.fhir(caller("PHARMACIST"), "/AuditEvent?date=2026")[0] == 403
    assert node.fhir(caller(), "/AuditEvent?date=2026")[0] == 403  # `*` is the record of a person, not the trail
    own = caller("PATIENT", "REQUEST", patient=str(ONE))
    assert node.fhir(own, "/AuditEvent?date=2026")[0] == 403  # events name staff
    assert node.fhir(OFFICER, "/AuditEvent", "POST", {"resourceType": "AuditEvent"})[0] == 405
    assert node.fhir(OFFICER, "/AuditEvent/1")[0] == 404


# -- emergencies -------------------------------------------------------------------------------------------------------


def test_an_emergency_is_reviewed_by_somebody_else(node: Region) -> None:
    desk, id_ = Desk(node), declared(node)
    (found,) = desk.get("/api/break-glass").get_json()["emergencies"]
    assert (found["id"], found["state"], found["overdue"]) == (id_, "open", False)
    node.watch.passes(days=8)
    assert desk.get("/api/break-glass").get_json()["emergencies"][0]["overdue"] is True
    said = {"outcome": "justified", "finding": "救急搬送の記録と一致することを確認した"}
    own = replace(OFFICER, user="doctor-1")
    assert desk.post(f"/api/break-glass/{id_}", said, own).status_code == 403
    assert desk.post(f"/api/break-glass/{id_}", {**said, "finding": "ok"}).status_code == 400
    assert desk.post(f"/api/break-glass/{id_}", {**said, "outcome": "fine"}).status_code == 400
    assert desk.post(f"/api/break-glass/{id_}", {}).status_code == 400
    assert desk.post("/api/break-glass/none", said).status_code == 404
    assert desk.post(f"/api/break-glass/{id_}", {**said, "outcome": "escalated"}).status_code == 200
    assert desk.post(f"/api/break-glass/{id_}", said).get_json()["state"] == "justified"
    assert desk.post(f"/api/break-glass/{id_}", said).status_code == 409
    assert desk.get("/api/break-glass?state=justified").get_json()["emergencies"][0]["reviewer"] == "officer"
    assert desk.get("/api/break-glass?state=odd").status_code == 400
    assert desk.post(f"/api/break-glass/{id_}", said, caller()).status_code == 403
    desk.who = caller("PHARMACIST")
    assert desk.get("/api/break-glass").status_code == 403


def test_both_communities_are_told_at_once_and_the_patient_later(node: Region) -> None:
    declared(node)
    told: list[tuple[str, dict[str, str]]] = []
    up = [False]

    def send(kind: str, notice: dict[str, str]) -> None:
        if not up[0]:
            raise Unavailable("away")
        told.append((kind, notice))

    work = Notices(node.parts.outbox, node.parts.audit, node.watch.clock(), send)
    assert not work.run_once()
    up[0] = True
    assert work.run_once() and not work.run_once()
    assert [kind for kind, _ in told] == ["break-glass-notice"]  # the caller's community is this one
    assert "doctor-1" not in str(told)
    node.watch.passes(hours=25)
    assert work.run_once()
    assert told[-1][0] == "break-glass-patient" and told[-1][1]["patient"] == str(ONE)


# -- the list of accesses ------------------------------------------------------------------------------------------


def test_the_list_of_accesses(node: Region) -> None:
    node.consent(ONE, {"type": "permit"})
    node.fhir(caller(), f"/Observation?patient.identifier={cx(ONE)}")
    desk = Desk(node)
    from urllib.parse import quote

    address = f"/api/access?patient={quote(str(ONE))}"
    lines = desk.get(address).get_json()["accesses"]
    assert lines[0]["facility"] == "東京総合病院" and lines[0]["purpose"] == "診療" and "山田" not in str(lines)
    text = desk.get(f"{address}&format=csv&from=2026-01-01").get_data().decode("utf-8-sig")
    assert text.startswith("日時,施設,目的") and "東京総合病院" in text
    assert desk.get("/api/access").status_code == 400
    assert desk.get(f"{address}&from=x").status_code == 400
    desk.who = caller("PHARMACIST")
    assert desk.get(address).status_code == 403
    desk.who = caller("PATIENT", "REQUEST", patient=str(ONE))
    assert desk.get(address).get_json()["accesses"]
    desk.who = caller("PATIENT", "REQUEST", patient=str(TWO))
    assert desk.get(address).status_code == 404


# -- the second look -------------------------------------------------------------------------------------------------


def test_what_a_query_lets_through_is_held_back_and_told(node: Region) -> None:
    """The query is asked without limits, as if its conditions were wrong."""
    from gateway.services.policy.guard import GuardedDocuments, GuardedResources

    scope = node.node.access().fhir(caller(), "search", "Observation")

    class Careless:
        def __getattr__(self, name: str) -> Any:
            inner = getattr(node.parts.resources, name)
            return lambda *given: inner(*given[:-1], UNRESTRICTED)

    class Forgetful(Careless):
        def __getattr__(self, name: str) -> Any:
            inner = getattr(node.parts.documents, name)
            return lambda *given: inner(*given[:-1], UNRESTRICTED)

    careful = GuardedResources(Careless(), node.node.guard())  # type: ignore[arg-type]
    id_ = f"lab-1-{HOSPITAL[-1]}"
    assert careful.search(SearchPlan("Observation", None, (), 50), scope).rows == ()
    assert careful.read("Observation", id_, scope) is None and careful.history("Observation", id_, scope) == []
    assert careful.vread("Observation", id_, 1, scope) is None
    every = tuple(
        row[0] for row in node.parts.lookups.rows("SELECT uniqueId FROM registry_object WHERE mimeType <> ''")
    )
    documents = GuardedDocuments(Forgetful(), node.node.guard())  # type: ignore[arg-type]
    assert documents.by_unique_id(every, scope) == []
    alarms = [one.record for one in node.records() if one.record.transaction == "guard"]
    assert len(alarms) == 5 and {one.outcome for one in alarms} == {12}
    node.consent(ONE, {"type": "permit"})
    assert careful.read("Observation", id_, scope) is not None  # the kept rules went with the change
    assert len(careful.search(SearchPlan("Observation", None, (), 50), UNRESTRICTED).rows) == 20
    assert len(documents.by_unique_id(every, Scope(None, None))) == len(every)


# -- the command line ------------------------------------------------------------------------------------------------


CONFIG = f"""
[security]
mode = "open"
[[authorities]]
oid = "{HOSPITAL}"
name = "東京総合病院"
"""


def command(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    code = run(list(words))
    out = capsys.readouterr().out
    return code, json.loads(out) if out.startswith("{") else out


def test_consent_and_audit_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "musubi.toml"
    config.write_text(CONFIG, encoding="utf-8")
    where = ("--config", str(config), "--patient", str(ONE), "--json")
    assert run(["audit", "verify", "--config", str(config)]) == 2  # there is no database yet
    assert command(capsys, "consent", "withdraw", *where)[0] == 2
    with region(tmp_path, security={"mode": "open"}):
        pass
    code, said = command(capsys, "consent", "grant", *where, "--class", "medication", "--signed", "2026-04-01")
    assert code == 0 and said["consents"][0]["active"] is True
    assert command(capsys, "consent", "exclude", *where, "--exclude", "1.2.3")[1]["consents"][0]["version"] == 2
    assert command(capsys, "consent", "change", *where)[1]["consents"][0]["version"] == 3
    assert command(capsys, "consent", "research-opt-out", *where)[1]["consents"][1]["category"] == "research"
    told = command(capsys, "consent", "withdraw", *where)[1]["consents"]
    assert [(one["category"], one["active"]) for one in told] == [("research", True), ("privacy", False)]
    assert command(capsys, "consent", "grant", *where, "--class", "gossip")[0] == 2
    assert command(capsys, "consent", "list", *where)[1]["consents"] == told
    code, found = command(capsys, "audit", "verify", "--config", str(config), "--json")
    assert (code, found["findings"]) == (0, [])
    code, proof = command(capsys, "audit", "prove", "2", "--config", str(config))
    assert code == 0 and proof["record"] == 2 and proof["size"] == found["records"]
    assert command(capsys, "audit", "prove", "999", "--config", str(config))[0] == 2
    lines = command(capsys, "audit", "access", "--config", str(config), "--patient", str(ONE))[1]
    assert lines.startswith("日時")
    with parts_of.storage(Settings(directory=tmp_path, security={"mode": "open"})) as store:  # type: ignore[arg-type]
        store.writer.run(lambda driver: driver.run("UPDATE audit SET actor = 'nobody' WHERE n = 2"))
    code, found = command(capsys, "audit", "verify", "--config", str(config), "--json")
    assert (code, found["findings"]) == (1, ["record 2 was altered"])


# -- TLS to an audit repository ---------------------------------------------------------------------------------------


def test_records_leave_over_tls_and_a_closed_connection_is_noticed(tmp_path: Path) -> None:
    cert, key = throw_away(tmp_path)
    listener = socket.create_server(("127.0.0.1", 0))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    got: list[bytes] = []

    def serve() -> None:
        plain, _ = listener.accept()
        with context.wrap_socket(plain, server_side=True) as connection:
            got.append(connection.recv(5))
            connection.shutdown(socket.SHUT_RDWR)

    thread = threading.Thread(target=serve)
    thread.start()
    connection = TlsConnection("localhost", listener.getsockname()[1], cert, None, None)
    assert not connection.broken()
    connection.send(b"hello")
    thread.join()
    assert got == [b"hello"] and connection.broken()
    connection.close()
    listener.close()
    with pytest.raises(OSError):
        TlsConnection("localhost", listener.getsockname()[1] if listener.fileno() >= 0 else 1, cert, None, None)


def throw_away(folder: Path) -> tuple[Path, Path]:
    from datetime import UTC, datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .add_extension(x509.BasicConstraints(True, None), True).sign(key, hashes.SHA256())
    )  # fmt: skip
    cert_file, key_file = folder / "c.pem", folder / "k.pem"
    cert_file.write_bytes(made.public_bytes(Encoding.PEM))
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return cert_file, key_file


def test_a_record_that_cannot_be_stored_fails_the_request(node: Region) -> None:
    node.parts.writer.close()
    with pytest.raises(Unavailable):
        node.fhir(caller(), "/Observation")
    assert AuditRecord("1", "t", "E", 0, "x").by(caller()).user == "doctor-1"
