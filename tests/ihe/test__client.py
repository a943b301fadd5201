"""The client over real sockets: a peer that drips, one that says nothing, one that redirects."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
import requests

from gateway.errors import BadInput, Unavailable
from gateway.ihe._client import Call
from tests.xds_parts import numbered_uuids

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\nContent-Length: 100000\r\n\r\n"
Serve = Callable[[Callable[[socket.socket, threading.Event], None]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A server of one connection on a free loopback port; the function talks on it until the event is set."""
    over = threading.Event()
    threads: list[threading.Thread] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def start(talk: Callable[[socket.socket, threading.Event], None]) -> str:
            def run() -> None:
                connection, _ = listener.accept()
                with closing(connection):
                    connection.recv(65536)
                    talk(connection, over)

            threads.append(threading.Thread(target=run, daemon=True))
            threads[-1].start()
            return f"http://127.0.0.1:{listener.getsockname()[1]}/xca"

        yield start
        over.set()
        for thread in threads:
            thread.join(30)


def send(url: str, deadline_s: float) -> None:
    with requests.Session() as session:
        Call(session, chance=numbered_uuids()).send(url, "urn:a", b"<b/>", deadline_s=deadline_s)


def drip(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD)
    while not over.wait(0.02):
        try:
            connection.sendall(b" ")
        except OSError:
            return


def silent(connection: socket.socket, over: threading.Event) -> None:
    over.wait(30)


def redirect(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 307 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")


def cut(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD + b"<soap")


@pytest.mark.parametrize("talk", [drip, silent])
def test_a_peer_that_does_not_finish_is_given_up_at_the_deadline(serve: Serve, talk: Callable[..., None]) -> None:
    with pytest.raises(TimeoutError):
        send(serve(talk), 0.3)


@pytest.mark.parametrize(("talk", "error"), [(redirect, BadInput), (cut, (BadInput, Unavailable))])
def test_a_peer_that_redirects_or_breaks_off(serve: Serve, talk: Callable[..., None], error: type[Exception]) -> None:
    with pytest.raises(error):
        send(serve(talk), 10)


def test_a_peer_that_is_not_there() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unavailable):
        send(f"http://127.0.0.1:{port}/xca", 10)
