"""A real socket: answers, limits of the server itself, and a clean stop."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from gateway.errors import ConfigurationError, Unavailable
from gateway.serve.server import HttpServer, Together
from gateway.settings import Http, Security, Settings


def settings(port: int, **more: Any) -> Settings:
    return Settings(http=Http(port=port, max_body_bytes=100_000, **more), security=Security(mode="open"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def running(parts: Any) -> Iterator[int]:
    port = free_port()
    server = HttpServer(settings(port), parts.app())
    assert server.listening
    thread = threading.Thread(target=server.run)
    thread.start()
    yield port
    server.stop()
    thread.join(timeout=20)
    assert not thread.is_alive() and not server.listening


def ask(port: int, method: str, path: str, body: Any = None, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, body, headers)
    return connection.getresponse()


def test_it_answers(running: int) -> None:
    answer = ask(running, "GET", "/fhir/Patient/p1")
    assert answer.status == 200 and b'"Patient"' in answer.read()
    assert "server" not in {name.lower() for name, _ in answer.getheaders()}


def test_chunked_in_and_streamed_out(running: int, parts: Any) -> None:
    pieces = (b"<q>" for _ in range(3))
    answer = ask(running, "POST", "/xca", pieces, **{"Content-Type": "application/soap+xml"})
    assert (answer.status, answer.read()) == (200, b"<answer/>")
    assert parts.soap_bodies == [b"<q><q><q>"]


def test_an_answer_that_breaks_off_is_logged_without_data(running: int, parts: Any, caplog: Any) -> None:
    def broken() -> Iterator[bytes]:
        yield b"a" * 100
        raise RuntimeError("山田花子")

    parts.answer = broken
    answer = ask(running, "POST", "/xca", b"q")
    with pytest.raises(http.client.HTTPException):
        answer.read()
    (record,) = [one for one in caplog.records if one.name == "waitress"]
    assert record.getMessage() == "an answer broke off: RuntimeError" and "山田" not in caplog.text


def test_a_chunked_body_too_large_is_413(running: int, parts: Any) -> None:
    pieces = (b"a" * 20_000 for _ in range(6))
    with suppress(BrokenPipeError, ConnectionResetError):  # the server may close before everything was sent
        assert ask(running, "POST", "/xca", pieces).status == 413
    assert parts.soap_bodies == []


def test_two_lengths_are_refused(running: int) -> None:
    with socket.create_connection(("127.0.0.1", running), timeout=20) as wire:
        wire.sendall(b"POST /xca HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd")
        assert b" 400 " in wire.recv(4096).split(b"\r\n")[0]


def test_a_taken_port_is_said_so(running: int, parts: Any) -> None:
    with pytest.raises(Unavailable, match=str(running)):
        HttpServer(settings(running), parts.app())


def test_open_mode_listens_on_loopback_only(parts: Any) -> None:
    with pytest.raises(ConfigurationError):
        HttpServer(settings(free_port(), host="0.0.0.0"), parts.app())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(number: signal.Signals) -> None:
    port = free_port()
    program = (
        "from flask import Flask\n"
        "from gateway.serve.server import HttpServer, run_until_signal\n"
        "from gateway.settings import Http, Security, Settings\n"
        f"settings = Settings(http=Http(port={port}), security=Security(mode='open'))\n"
        "server = HttpServer(settings, Flask('x'))\n"
        "print('listening', flush=True)\n"
        "run_until_signal(server)\n"
        "print('stopped', flush=True)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "listening\n"
        assert ask(port, "GET", "/").status == 404  # answered: the loop runs and the handlers are in place
        process.send_signal(number)
        assert process.stdout.readline() == "stopped\n"
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()


class Quiet:
    """A listener that runs until it is told to stop, or raises at once."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.told, self.ran = error, threading.Event(), False

    def run(self) -> None:
        if self.error is not None:
            raise self.error
        assert self.told.wait(20)
        self.ran = True

    def stop(self) -> None:
        self.told.set()


def test_several_listeners_stop_together() -> None:
    listeners = [Quiet(), Quiet(), Quiet()]
    together = Together(*listeners)
    thread = threading.Thread(target=together.run)
    thread.start()
    together.stop()
    thread.join(20)
    assert not thread.is_alive() and all(one.ran for one in listeners)


@pytest.mark.parametrize("at", [0, 1])
def test_one_that_fails_ends_the_others_and_is_heard_of(at: int) -> None:
    listeners = [Quiet(), Quiet()]
    listeners[at].error = Unavailable("gone")
    with pytest.raises(Unavailable, match="gone"):
        Together(*listeners).run()
    assert listeners[1 - at].ran


def test_a_second_stop_does_no_harm(parts: Any) -> None:
    server = HttpServer(settings(free_port()), parts.app())
    thread = threading.Thread(target=server.run)
    thread.start()
    server.stop()
    thread.join(20)
    server.stop()
    assert not server.listening
