"""The total time holds whatever a peer drips: the status line, headers, body, chunk sizes, a TLS handshake."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import pytest

from gateway.errors import Unavailable
from gateway.ihe import _fhir_client
from gateway.ihe._client import Call
from gateway.ihe._transport import session

LIMIT_S = 0.4
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\n"
Serve = Callable[[bytes, bytes], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A peer that sends `first` at once and then `drop` again and again, a hundred times a second."""
    over = threading.Event()
    listeners = []

    def start(first: bytes, drop: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def run() -> None:
            with suppress(OSError):
                connection, _ = listener.accept()
                with closing(connection):
                    connection.recv(65536)
                    connection.sendall(first)
                    while not over.wait(0.01):
                        connection.sendall(drop)

        threading.Thread(target=run, daemon=True).start()
        return f"127.0.0.1:{listener.getsockname()[1]}"

    yield start
    over.set()
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize(
    ("first", "drop"),
    [
        (b"HTTP/1.1 2", b"0"),
        (b"HTTP/1.1 200 OK\r\nX-Long: ", b"a"),
        (HEAD + b"Content-Length: 100000\r\n\r\n", b" "),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b""),
    ],
)
def test_a_drip_is_given_up_at_the_deadline(serve: Serve, first: bytes, drop: bytes) -> None:
    url = f"http://{serve(first, drop)}/xca"
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        Call(session(1)).send(url, "urn:a", b"<b/>", deadline_s=LIMIT_S)
    assert LIMIT_S * 0.9 < time.monotonic() - began < LIMIT_S + 0.3


def test_by_fhir_the_same(serve: Serve) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: 100000\r\n\r\n"
    with pytest.raises(TimeoutError):
        _fhir_client.get(f"http://{serve(head, b' ')}/fhir/metadata", Call(session(1)), LIMIT_S)


def test_a_handshake_that_does_not_end(serve: Serve) -> None:
    """Half a TLS record, and then nothing that would finish it."""
    url = f"https://{serve(bytes.fromhex('160303ffff'), b'')}/xca"
    began = time.monotonic()
    with pytest.raises((TimeoutError, Unavailable)):
        Call(session(1)).send(url, "urn:a", b"<b/>", deadline_s=LIMIT_S)
    assert time.monotonic() - began < LIMIT_S + 0.3


def test_a_connection_is_used_again_with_the_time_of_the_next_question() -> None:
    body = b"<x/>"
    answer = HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    accepted = []
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def run() -> None:
            connection, _ = listener.accept()
            accepted.append(1)
            with closing(connection), suppress(OSError):
                while connection.recv(65536):
                    connection.sendall(answer)

        threading.Thread(target=run, daemon=True).start()
        call = Call(session(1))
        for _ in range(3):
            with pytest.raises(Exception, match="SOAP envelope"):
                call.send(f"http://127.0.0.1:{listener.getsockname()[1]}/x", "urn:a", b"<b/>", deadline_s=LIMIT_S)
            time.sleep(LIMIT_S / 2)
    assert accepted == [1], "three questions, one connection, more time in all than one question has"
