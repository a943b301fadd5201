"""`musubi query`: asked through a running node; who was silent is named."""

import socket
import threading
import tomllib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import query

PATIENT = "9900000000000017^^^&1.2.392.200119.99999.3&ISO"
TOKYO, OSAKA = "urn:oid:1.2.392.200119.99999.1", "urn:oid:1.2.392.200119.99999.20"


@pytest.fixture
def asked(musubi: Any, node: Any, start: Callable[..., Any], free_port: int, tokyo: Path) -> Iterator[Path]:
    """A running node with the storage of 東京, and 大阪 as a peer that takes connections and never says anything."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        peer = f'[[peers]]\nid = "{OSAKA}"\nname = "大阪"\nxca = "http://127.0.0.1:{silent.getsockname()[1]}/xca"\n'
        config: Path = node(port=free_port, more=peer)
        assert musubi("ingest", tokyo, "-c", config).code == 0
        process = start("serve", "-c", config)
        try:
            assert b"/fhir" in process.stderr.readline()
            yield config
        finally:
            process.kill()
            process.communicate()


def ask(musubi: Any, config: Path, *more: str, patient: str = PATIENT) -> Any:
    return musubi("query", "-c", config, "--patient", patient, "--deadline", "0.8", *more)


def test_one_question_and_a_silent_peer(musubi: Any, asked: Path) -> None:
    """One node for all of these: starting it is what takes the time."""
    result = ask(musubi, asked, "--json")
    (answer,) = result.documents
    assert result.code == 3
    assert [(one["community"], one["name"], one["outcome"]) for one in answer["communities"]] == [
        (TOKYO, "東京", "ok"), (OSAKA, "大阪", "timeout"),
    ]  # fmt: skip
    assert all(isinstance(one["ms"], int) for one in answer["communities"])
    assert answer["rows"] and {row["type"] for row in answer["rows"]} == {"lab"}, "東京 sends no prescriptions"
    assert set(answer["rows"][0]) == {
        "type", "date", "name", "code", "value", "unit", "community", "facility", "id",
    }  # fmt: skip
    dates = [row["date"] for row in answer["rows"]]
    assert dates == sorted(dates, reverse=True)

    words = ask(musubi, asked)
    assert words.code == 3 and "大阪: timeout" in words.out.decode() and "東京: ok" in words.out.decode()
    assert answer["rows"][0]["name"] in words.out.decode()

    for communities in ("東京", TOKYO):
        only = ask(musubi, asked, "--json", "--communities", communities)
        assert only.code == 0 and [one["name"] for one in only.documents[0]["communities"]] == ["東京"]

    # What a terminal shows while the answers come: the same rows, from the node's stream.
    shown: dict[str, Any] = {"communities": [], "rows": []}
    address = f"http://127.0.0.1:{tomllib.loads(asked.read_text('utf-8'))['http']['port']}"
    for line in query.stream_node(address, PATIENT, ["lab", "rx"], 30):
        query.take(shown, line)
    assert {one["community"]: one["outcome"] for one in shown["communities"]} == {TOKYO: "ok", OSAKA: "timeout"}
    plain = [{**row, "facility": ""} for row in answer["rows"]]
    assert [{**row, "facility": ""} for row in shown["rows"]] == plain

    documents = ask(musubi, asked, "--json", "--communities", "東京", "--type", "documents").documents[0]["rows"]
    assert documents and {row["type"] for row in documents} == {"document"}
    assert ask(musubi, asked, "--json", "--communities", "東京", "--type", "rx").documents[0]["rows"] == []
    local = ask(musubi, asked, "--json", "--communities", "東京", patient="0001000037^^^&1.2.392.200119.99999.2&ISO")
    assert local.documents[0]["rows"] == answer["rows"], "her number at the hospital is the same person"

    nobody = ask(musubi, asked, "--communities", "東京", patient="1234567890^^^&1.2.392.200119.99999.3&ISO")
    assert nobody.code == 0 and "nothing found" in nobody.out.decode()

    unknown = ask(musubi, asked, "--communities", "京都")
    assert unknown.code in (1, 2) and "京都" in unknown.err and unknown.out == b""


def test_no_node_runs(musubi: Any, node: Any, free_port: int) -> None:
    result = ask(musubi, node(port=free_port))
    assert result.code == 3
    assert result.err == f"musubi: no node answers at http://127.0.0.1:{free_port}; start it with musubi serve\n"


@pytest.mark.parametrize(
    "patient", ["", "0001000037", "0001000037^^^TOKYO-HP", "1^^^&1.2.3&DNS", "^^^&1.2.3&ISO", "1^^^&TOKYO&ISO"]
)
def test_a_patient_who_is_no_cx_is_wrong_usage_and_asks_nobody(musubi: Any, patient: str) -> None:
    result = musubi("query", "--patient", patient)
    assert result.code == 2 and "--patient" in result.err and "0001000037" not in result.err


@pytest.mark.parametrize("arguments", [["--type", "xray"], ["--type", ""], ["--deadline", "0"], ["--deadline", "9999"]])
def test_options_with_a_wrong_value(musubi: Any, arguments: list[str]) -> None:
    result = musubi("query", "--patient", PATIENT, *arguments)
    assert result.code == 2 and arguments[0] in result.err


class Stranger(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>printer</html>")

    def log_message(self, *_: object) -> None:
        """Not on our stderr."""


def test_another_program_answers(musubi: Any, node: Any) -> None:
    server = HTTPServer(("127.0.0.1", 0), Stranger)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        result = ask(musubi, node(port=server.server_port))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert result.code == 3 and "is no Musubi node" in result.err


def test_a_proxy_of_the_environment_is_not_asked(
    musubi: Any, node: Any, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hospitals set HTTP_PROXY for everybody; the node is on this machine."""
    server = HTTPServer(("127.0.0.1", 0), Stranger)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.delenv("no_proxy", raising=False)
    try:
        result = ask(musubi, node(port=free_port))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert result.code == 3 and "no node answers" in result.err
