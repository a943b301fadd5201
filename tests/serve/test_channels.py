"""Connections of the HTTP server: TLS on large bodies both ways, slow readers, deadlines, bounds."""

import hashlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from waitress.adjustments import Adjustments
from waitress.task import ThreadedTaskDispatcher

from gateway.model.clock import Clock
from gateway.serve import channels
from gateway.serve.channels import PEER_CERTIFICATE, Guard, GuardedServer, Refusal
from gateway.serve.tls import Contexts
from gateway.services.trust.anchors import Keeper
from tests.trust_parts import Federation

MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    return Federation(tmp_path_factory.mktemp("pki") / "keys")


def application(environ: Any, start: Any) -> Any:
    """/up: SHA-256 of the body and whose certificate it was; /down?n: n mebibytes in pieces."""
    if environ["PATH_INFO"] == "/down":
        start("200 OK", [("Content-Type", "text/plain")])
        return (bytes([number % 256]) * MEBIBYTE for number in range(int(environ["QUERY_STRING"])))
    digest = hashlib.sha256()
    while data := environ["wsgi.input"].read(64 * 1024):
        digest.update(data)
    start("200 OK", [("Content-Type", "text/plain")])
    return [f"{digest.hexdigest()} {len(environ.get(PEER_CERTIFICATE, b''))} {environ['wsgi.url_scheme']}".encode()]


Start = Callable[..., int]


@pytest.fixture
def start(federation: Federation) -> Iterator[Start]:
    started = []

    def begin(tls: bool = True, **limits: Any) -> int:
        contexts = Contexts(federation.settings, Keeper(federation.settings, Clock().monotonic))
        guard = Guard(context=contexts.server if tls else None, **limits)
        adjustments = Adjustments(
            host="127.0.0.1",
            port=0,
            threads=4,
            cleanup_interval=0,
            max_request_body_size=200 * MEBIBYTE,
            url_scheme="https" if tls else "http",
        )
        dispatcher = ThreadedTaskDispatcher()
        dispatcher.set_thread_count(4)
        found: dict[int, Any] = {}
        server = GuardedServer(application, guard, map=found, dispatcher=dispatcher, adj=adjustments)
        stop = threading.Event()

        def loop() -> None:
            while not stop.is_set():
                server.asyncore.loop(timeout=0.05, map=found, count=1)

        thread = threading.Thread(target=loop)
        thread.start()
        started.append((server, dispatcher, found, stop, thread))
        return int(server.effective_port)

    yield begin
    for server, dispatcher, found, stop, thread in started:
        stop.set()
        thread.join(10)
        dispatcher.shutdown()
        server.asyncore.close_all(found)


def connection(federation: Federation, port: int) -> http.client.HTTPSConnection:
    return http.client.HTTPSConnection("localhost", port, timeout=30, context=federation.client())


def test_a_large_body_whole_and_in_pieces(start: Start, federation: Federation) -> None:
    port = start()
    body = bytes(range(256)) * 4096 * 24  # 24 MiB
    expected = hashlib.sha256(body).hexdigest()
    for sent in (body, (body[at : at + 70_000] for at in range(0, len(body), 70_000))):
        wire = connection(federation, port)
        wire.request("POST", "/up", sent)
        digest, certificate, scheme = wire.getresponse().read().decode().split()
        assert (digest, scheme) == (expected, "https") and int(certificate) > 300
        wire.close()


def test_a_large_answer_to_a_reader_that_stops_for_a_while(start: Start, federation: Federation) -> None:
    port = start()
    wire = connection(federation, port)
    wire.request("GET", "/down?40")
    answer = wire.getresponse()
    first = answer.read(MEBIBYTE)
    time.sleep(0.3)  # its socket is full now; others are served meanwhile
    other = connection(federation, port)
    other.request("POST", "/up", b"x")
    assert other.getresponse().status == 200
    assert first == b"\0" * MEBIBYTE
    for number in range(1, 40):
        assert answer.read(MEBIBYTE) == bytes([number]) * MEBIBYTE
    assert answer.read() == b""


def test_several_requests_on_one_connection(start: Start, federation: Federation) -> None:
    wire = connection(federation, start())
    for number in range(50):
        wire.request("POST", "/up", b"a" * number * 100)
        assert wire.getresponse().read().decode().startswith(hashlib.sha256(b"a" * number * 100).hexdigest())


def closed_within(wire: socket.socket, seconds: float) -> bool:
    wire.settimeout(seconds)
    try:
        while wire.recv(4096):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


@pytest.mark.parametrize("tls", [True, False])
def test_deadlines(start: Start, federation: Federation, monkeypatch: pytest.MonkeyPatch, tls: bool) -> None:
    monkeypatch.setattr(channels, "HANDSHAKE_S", 0.3)
    monkeypatch.setattr(channels, "HEADER_S", 0.3)
    monkeypatch.setattr(channels, "SLOW_AFTER_S", 0.3)
    port = start(tls)

    def connect() -> socket.socket:
        plain = socket.create_connection(("127.0.0.1", port), timeout=10)
        return federation.client().wrap_socket(plain, server_hostname="localhost") if tls else plain

    if tls:
        assert closed_within(socket.create_connection(("127.0.0.1", port)), 5)
    for begun in (
        b"GET / HT",
        b"GET /up HTTP/1.1\r\nHost: x\r\nX: ",
        b"POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\nabc",
    ):
        with connect() as wire:
            wire.sendall(begun)
            assert closed_within(wire, 5), begun
    with connect() as wire:  # silent between two requests: that is no slow request
        for _ in range(2):
            wire.sendall(b"GET /up HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while not answer.endswith((b" http", b" https")):
                piece = wire.recv(4096)
                assert piece, answer
                answer += piece
            time.sleep(0.6)


def test_an_address_has_so_many_connections(start: Start, federation: Federation) -> None:
    port = start(per_address=5)
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(5)]
    time.sleep(0.2)
    assert closed_within(socket.create_connection(("127.0.0.1", port)), 5)
    held.pop().close()
    time.sleep(0.2)
    wire = connection(federation, port)
    wire.request("POST", "/up", b"")
    assert wire.getresponse().status == 200
    for one in held:
        one.close()


def test_a_refused_handshake_is_told_with_its_reason(start: Start, federation: Federation) -> None:
    refusals: list[Refusal] = []
    port = start(refused=refusals.append)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        wire = http.client.HTTPSConnection("localhost", port, timeout=10, context=federation.client(""))
        wire.request("GET", "/up")
        wire.getresponse()
    deadline = time.monotonic() + 5
    while not refusals and time.monotonic() < deadline:
        time.sleep(0.01)
    assert refusals == [Refusal("127.0.0.1", "PEER_DID_NOT_RETURN_A_CERTIFICATE")]


def test_random_bytes_end_the_connection_and_nothing_else(start: Start, federation: Federation, tmp_path: Path) -> None:
    import random

    port, chance = start(), random.Random(1)
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", port)) as wire:
            wire.sendall(chance.randbytes(chance.randint(1, 3000)))
    good = federation.client()
    plain = socket.create_connection(("127.0.0.1", port))
    wire = good.wrap_socket(plain, server_hostname="localhost")
    raw = socket.socket(fileno=wire.detach())
    raw.sendall(chance.randbytes(500))  # below TLS, after the handshake
    assert closed_within(raw, 5)
    again = connection(federation, port)
    again.request("POST", "/up", b"")
    assert again.getresponse().status == 200
