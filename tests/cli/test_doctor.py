"""`musubi doctor`: every check can say ok and can say that something is wrong."""

import json
import shutil
import socket
import sqlite3
import threading
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import doctor
from gateway.settings import Peer

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
Usage = namedtuple("Usage", "total used free")


def lines(result: Any) -> dict[str, list[tuple[str, str]]]:
    """check -> (status, text), from the words for people."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line in result.out.decode().splitlines():
        status, (check, _, text) = line.split(maxsplit=1)[0], line[8:].partition(": ")
        found.setdefault(check, []).append((status, text))
    return found


@pytest.fixture
def fed(musubi: Any, node: Any, free_port: int, tokyo: Path) -> Path:
    config: Path = node(port=free_port)
    assert musubi("ingest", tokyo, "-c", config).code == 0
    return config


@pytest.fixture
def answering() -> Iterator[Callable[..., str]]:
    """Starts an HTTP server that gives one answer to everything; its address."""
    servers: list[tuple[HTTPServer, threading.Thread]] = []

    def begin(status: int = 200, body: bytes = b"<wsdl/>", date: datetime | None = None) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response_only(status)
                self.send_header("Date", (date or datetime.now(UTC)).strftime("%a, %d %b %Y %H:%M:%S GMT"))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Not on our stderr."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield begin
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_node_that_is_well(musubi: Any, fed: Path) -> None:
    result = musubi("doctor", "-c", fed)
    found = lines(result)
    assert result.code == 0 and {status for checks in found.values() for status, _ in checks} <= {"ok", "warning"}
    assert set(found) == {"configuration", "authorities", "storage", "blobs", "disk", "notifications", "clock", "node"}
    assert found["storage"][0][0] == "ok" and "last change 20" in found["clock"][0][1]


def test_as_json(musubi: Any, fed: Path) -> None:
    (answer,) = musubi("doctor", "-c", fed, "--json").documents
    assert all(list(one) == ["check", "status", "text"] for one in answer["checks"])
    assert {one["status"] for one in answer["checks"]} <= {"ok", "warning", "error"} and len(answer["checks"]) >= 7


def test_nothing_is_made_where_nothing_is(musubi: Any, node: Any, free_port: int) -> None:
    config = node(port=free_port)
    result = musubi("doctor", "-c", config)
    assert result.code == 0 and lines(result)["storage"][0][0] == "warning"
    assert [path.name for path in config.parent.iterdir()] == ["musubi.toml"]


def test_a_wrong_configuration_is_a_failed_check_and_a_missing_one_wrong_usage(musubi: Any, node: Any) -> None:
    result = musubi("doctor", "-c", node(more="[ingst]\n"))
    assert result.code == 1 and "did you mean 'ingest'" in lines(result)["configuration"][0][1]
    assert musubi("doctor", "-c", "nix.toml").code == 2


def test_what_serve_would_refuse_is_an_error(musubi: Any, fed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSUBI_SECURITY__MODE", "enforced")
    result = musubi("doctor", "-c", fed)
    assert result.code == 1 and lines(result)["configuration"][0][0] == "error"
    assert lines(result)["storage"][0][0] == "ok", "the other checks are made all the same"


def test_a_database_that_is_none(musubi: Any, fed: Path) -> None:
    (fed.parent / "musubi.db").write_bytes(b"no database at all, only words " * 100)
    result = musubi("doctor", "-c", fed)
    assert result.code == 1 and lines(result)["storage"][0][0] == "error"


def test_a_damaged_database(musubi: Any, fed: Path) -> None:
    """An index whose pages lost their content: opening does not notice, the database's check of itself does."""
    file = fed.parent / "musubi.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'resource_token'").fetchone()
    with file.open("r+b") as raw:
        raw.seek((page - 1) * size)
        raw.write(b"\xff" * size)
    result = musubi("doctor", "-c", fed)
    assert result.code in (1, 3) and lines(result)["storage"][0][0] == "error", result.out.decode()


def test_a_table_that_is_missing(musubi: Any, fed: Path) -> None:
    with closing(sqlite3.connect(fed.parent / "musubi.db")) as connection:
        connection.execute("DROP TABLE outbox")
    result = musubi("doctor", "-c", fed)
    assert result.code == 1 and "schema" in lines(result)["storage"][0][1]


@pytest.mark.parametrize(("free", "status"), [(50 * 1024**2, "error"), (1024**3, "warning"), (3 * 1024**3, "ok")])
def test_disk(musubi: Any, fed: Path, monkeypatch: pytest.MonkeyPatch, free: int, status: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 0, free))
    result = musubi("doctor", "-c", fed)
    assert {one for one, _ in lines(result)["disk"]} == {status}
    assert result.code == (1 if status == "error" else 0)


@pytest.mark.parametrize(
    ("now", "newest", "status"),
    [
        (NOW, "", "ok"),
        (NOW, "2026-01-02T03:04:30.000Z", "ok"),
        (NOW, "2026-01-02T04:04:05.000Z", "error"),
        (datetime(1970, 1, 1, tzinfo=UTC), "", "error"),
    ],
)
def test_the_clock(now: datetime, newest: str, status: str) -> None:
    assert doctor.clock(now, newest).status == status


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert doctor.writable("blobs", tmp_path / "new" / "er").status == "ok"
    assert doctor.writable("blobs", tmp_path / "file").status == "error"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


AUTHORITIES = {
    "no facility": ("", "no facility is known"),
    "nameless": ('[[authorities]]\noid = "1.2.3"\n', "neither namespace nor institution"),
    "twice": (
        '[[authorities]]\noid = "1.2.3"\ninstitution = "1310000001"\n'
        '[[authorities]]\noid = "1.2.4"\ninstitution = "1310000001"\n',
        "stands for two facilities",
    ),
    "no shared ids": (
        '[[authorities]]\noid = "1.2.3"\nnamespace = "A"\n[[peers]]\nid = "urn:oid:1.2.9"\n',
        "no medical-id or insurer",
    ),
}


@pytest.mark.parametrize("name", AUTHORITIES)
def test_authorities_that_lack_something(musubi: Any, tmp_path: Path, free_port: int, name: str) -> None:
    text, words = AUTHORITIES[name]
    (tmp_path / "musubi.toml").write_text(f'[http]\nport = {free_port}\n[security]\nmode = "open"\n{text}')
    result = musubi("doctor")
    assert result.code == 0 and any(
        status == "warning" and words in text for status, text in lines(result)["authorities"]
    )


def test_two_communities_of_one_id(musubi: Any, node: Any, free_port: int) -> None:
    config = node(port=free_port, more='[[peers]]\nid = "urn:oid:1.2.392.200119.99999.1"\n')
    found = lines(musubi("doctor", "-c", config))["communities"]
    assert [status for status, _ in found] == ["error", "warning"]


def test_a_peer_that_answers_and_one_that_does_not(
    musubi: Any, node: Any, answering: Callable[..., str], free_port: int
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
        peers = "".join(
            f'[[peers]]\nid = "urn:oid:1.2.{n}"\nname = "{name}"\nxca = "{url}/xca"\nfhir = "{url}/fhir"\n'
            for n, name, url in ((7, "大阪", answering()), (8, "長崎", nobody))
        )
        result = musubi("doctor", "-c", node(port=free_port, more=peers), "--json")
    found = [(c["status"], c["text"].split(",")[0]) for c in result.documents[0]["checks"] if c["check"] == "peer"]
    assert found == [("ok", "大阪"), ("ok", "大阪"), ("error", "長崎"), ("error", "長崎")]
    assert result.code == 3


def test_an_error_of_our_own_counts_more_than_a_silent_peer(musubi: Any, fed: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        peer = f'[[peers]]\nid = "urn:oid:1.2.8"\nxca = "http://127.0.0.1:{closed.getsockname()[1]}/xca"\n'
        fed.write_text(fed.read_text("utf-8") + peer, "utf-8")
        assert musubi("doctor", "-c", fed).code == 3
        (fed.parent / "musubi.db").write_bytes(b"no database at all, only words " * 100)
        assert musubi("doctor", "-c", fed).code == 1


@pytest.mark.parametrize(
    ("status", "late", "found"),
    [
        (200, timedelta(0), ["ok"]),
        (401, timedelta(0), ["warning"]),
        (500, timedelta(0), ["warning"]),
        (200, timedelta(minutes=10), ["ok", "warning"]),
        (200, -timedelta(minutes=10), ["ok", "warning"]),
    ],
)
def test_what_a_peer_may_answer(answering: Callable[..., str], status: int, late: timedelta, found: list[str]) -> None:
    peer = Peer(id="urn:oid:1.2.7", xca=answering(status, date=NOW + late) + "/xca")
    assert [check.status for check in doctor.reach(peer, lambda: NOW)] == found


def test_a_peer_that_takes_the_connection_and_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PEER_TIMEOUT_S", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        peer = Peer(id="urn:oid:1.2.7", xca=f"http://127.0.0.1:{silent.getsockname()[1]}/xca")
        (check,) = doctor.reach(peer, lambda: NOW)
    assert (check.status, check.unreachable) == ("error", True) and "no answer" in check.text


@pytest.mark.parametrize("url", ["nonsense", "http://", "ftp://127.0.0.1/x"])
def test_an_address_that_is_none(url: str) -> None:
    (check,) = doctor.reach(Peer(id="urn:oid:1.2.7", xca=url), lambda: NOW)
    assert check.status == "error"


def test_the_port_of_the_node(musubi: Any, node: Any, answering: Callable[..., str], free_port: int) -> None:
    stranger = int(answering(body=b"<html>printer</html>").rpartition(":")[2])
    for name, port, expected in (("a", free_port, "ok"), ("b", stranger, "error")):
        result = musubi("doctor", "-c", node(name, port=port))
        assert lines(result)["node"][0][0] == expected, name
    waiting = int(answering(503, json.dumps({"ready": False}).encode()).rpartition(":")[2])
    assert lines(musubi("doctor", "-c", node("c", port=waiting)))["node"][0][0] == "warning"
