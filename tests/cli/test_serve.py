"""`musubi serve`: what it refuses, what it says, and that it stops when it is told to."""

import signal
import socket
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from gateway.codec.mllp import Decoder, frame


@pytest.fixture
def serving(node: Any, start: Callable[..., Any], free_port: int) -> Iterator[tuple[Any, Path, int]]:
    """A running node, its configuration and its port. It says on stderr that it listens, so nobody has to poll."""
    config = node(port=free_port)
    process = start("serve", "-c", config)
    try:
        line = process.stderr.readline().decode()
        head = f"東京 (urn:oid:1.2.392.200119.99999.1) at http://127.0.0.1:{free_port}/fhir, mllp://127.0.0.1:"
        assert line.startswith(head) and line[len(head) :].strip().isdigit()
        yield process, config, free_port
    finally:
        process.kill()
        process.communicate()


def get(url: str) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=20)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"MUSUBI_SECURITY__MODE": "enforced"}, ["enforced", "tls.cert_file", "[[security.nodes]]"]),
        ({"MUSUBI_HTTP__HOST": "0.0.0.0"}, ["loopback", "0.0.0.0"]),
        ({"MUSUBI_HTTP__HOST": "192.0.2.1"}, ["loopback", "192.0.2.1"]),
        ({"MUSUBI_HTTP__HOST": "::"}, ["loopback"]),
        ({"MUSUBI_HTTP__HOST": "gateway.example"}, ["loopback", "gateway.example"]),
        ({"MUSUBI_MLLP__HOST": "0.0.0.0"}, ["loopback", "mllp.host", "0.0.0.0"]),
    ],
)
def test_what_may_not_be_served_is_refused_before_anything_is_made(
    musubi: Any, node: Any, monkeypatch: pytest.MonkeyPatch, more: dict[str, str], words: list[str]
) -> None:
    config = node()
    for name, value in more.items():
        monkeypatch.setenv(name, value)
    result = musubi("serve", "-c", config)
    assert result.code == 2 and all(word in result.err for word in words)
    assert result.err.count("\n") == 1, "no word of serving before the refusal"
    assert [path.name for path in config.parent.iterdir()] == ["musubi.toml"]


def test_a_file_without_a_mode_is_enforced(musubi: Any, tmp_path: Path) -> None:
    (tmp_path / "musubi.toml").write_text("[http]\nport = 8080\n")
    result = musubi("serve")
    assert result.code == 2 and "enforced" in result.err


@pytest.mark.parametrize("role", ["worker", "http,nix", ""])
def test_a_role_it_does_not_know(musubi: Any, node: Any, role: str) -> None:
    result = musubi("serve", "-c", node(), "--role", role)
    assert result.code == 2 and "--role" in result.err


def test_a_port_in_use(musubi: Any, node: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = musubi("serve", "-c", node(port=port))
    assert result.code == 3 and str(port) in result.err and result.err.count("\n") == 1


def test_an_mllp_port_in_use(musubi: Any, node: Any, free_port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = musubi("serve", "-c", node(port=free_port, mllp=port))
        assert result.code == 3 and f"mllp: cannot listen on 127.0.0.1 port {port}" in result.err
        assert result.err.count("\n") == 1


def test_the_http_role_alone_leaves_the_mllp_port_free(node: Any, start: Any, free_port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = node(port=free_port, mllp=taken.getsockname()[1])
        process = start("serve", "-c", config, "--role", "http")
        try:
            assert process.stderr.readline().decode().endswith(f" at http://127.0.0.1:{free_port}/fhir\n")
            assert get(f"http://127.0.0.1:{free_port}/readyz").json()["roles"] == {"http": True}
        finally:
            process.kill()
            process.communicate()


def mllp_port(config: Path) -> int:
    return int(tomllib.loads(config.read_text(encoding="utf-8"))["mllp"]["port"])


def send(port: int, message: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
        wire.sendall(frame(message))
        decoder = Decoder(1 << 20)
        while not (blocks := decoder.feed(wire.recv(65536))):
            pass
        return blocks[0].data


def test_what_came_over_mllp_is_served_and_counted(serving: tuple[Any, Path, int], labs: Path) -> None:
    _, config, port = serving
    for _ in range(2):
        assert b"\rMSA|AA|" in send(mllp_port(config), labs.read_bytes())
    found = get(f"http://127.0.0.1:{port}/fhir/Observation?category=laboratory&_summary=count").json()
    assert found["total"] > 0
    counts = get(f"http://127.0.0.1:{port}/metrics").text
    for answer in ("AA", "again"):
        assert f'musubi_mllp_messages_total{{type="OUL^R22",answer="{answer}"}} 1\n' in counts


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_mllp_role_alone_receives_and_stops(node: Any, start: Any, labs: Path, number: signal.Signals) -> None:
    config = node()
    process = start("serve", "-c", config, "--role", "mllp")
    try:
        assert process.stderr.readline().decode().endswith(f" at mllp://127.0.0.1:{mllp_port(config)}\n")
        assert b"\rMSA|AA|" in send(mllp_port(config), labs.read_bytes())
        process.send_signal(number)
        _, words = process.communicate(timeout=30)
        assert process.returncode == 0 and b"Traceback" not in words
    finally:
        process.kill()
        process.communicate()


def test_it_is_ready_serves_and_stops_on_sigterm(serving: tuple[Any, Path, int]) -> None:
    process, _, port = serving
    ready = get(f"http://127.0.0.1:{port}/readyz")
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "roles": {"http": True, "mllp": True}})
    assert get(f"http://127.0.0.1:{port}/fhir/metadata").json()["resourceType"] == "CapabilityStatement"
    process.send_signal(signal.SIGTERM)
    _, words = process.communicate(timeout=30)
    assert process.returncode == 0 and b"Traceback" not in words


def test_ctrl_c_stops_it_cleanly_too(serving: tuple[Any, Path, int]) -> None:
    process, _, _ = serving
    process.send_signal(signal.SIGINT)
    _, words = process.communicate(timeout=30)
    assert process.returncode == 0 and b"Traceback" not in words


def test_ingest_beside_it_and_what_came_is_served(musubi: Any, serving: tuple[Any, Path, int], tokyo: Path) -> None:
    _, config, port = serving
    before = get(f"http://127.0.0.1:{port}/fhir/Patient?_summary=count").json()["total"]
    assert musubi("ingest", tokyo, "-c", config).code == 0
    after = get(f"http://127.0.0.1:{port}/fhir/Patient?_summary=count").json()["total"]
    assert (before, after) == (0, 5)


def test_doctor_beside_it(musubi: Any, serving: tuple[Any, Path, int]) -> None:
    _, config, _ = serving
    result = musubi("doctor", "-c", config)
    assert result.code == 0 and "ok      node: runs\n" in result.out.decode()
