"""The client's side of MLLP, against what a broken receiver may do. The good way: tests/ihe/test_iti10.py."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gateway.errors import Forbidden, Unavailable
from gateway.ihe._mllp_client import send

MESSAGE = b"MSH|^~\\&|A|B|C|D|2026||ADT^A31^ADT_A05|7|P|2.5\rPID|||1\r"


@contextmanager
def receiver(answer: bytes) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(20)


def ack(code: str, id_: str = "7") -> bytes:
    return f"\x0bMSH|^~\\&|C|D|A|B|2026||ACK|9|P|2.5\rMSA|{code}|{id_}\r\x1c\r".encode()


@pytest.mark.parametrize("code", ["AA", "CA"])
def test_accepted(code: str) -> None:
    with receiver(ack(code)) as port:
        send("127.0.0.1", port, MESSAGE, 10)


@pytest.mark.parametrize("code", ["AE", "AR", "CE", "CR", ""])
def test_refused(code: str) -> None:
    with receiver(ack(code)) as port, pytest.raises(Forbidden):
        send("127.0.0.1", port, MESSAGE, 10)


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", ack("AA", "8"), b"\x0bgarbage\x1c\r", b"\x0bMSH|^~\\&|half"]
)
def test_no_answer_worth_the_name(answer: bytes) -> None:
    with receiver(answer) as port, pytest.raises(Unavailable):
        send("127.0.0.1", port, MESSAGE, 5)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(Unavailable):
        send("127.0.0.1", port, MESSAGE, 2)
