"""The client's side of MLLP: one message, one acknowledgement, one connection."""

import socket
from collections.abc import Callable
from time import monotonic
from typing import Final

from gateway.codec.charset import decode
from gateway.codec.er7 import parse
from gateway.codec.head import read_head
from gateway.codec.mllp import Decoder, frame
from gateway.errors import BadInput, Forbidden, Unavailable

_MAX_ANSWER: Final = 1024 * 1024
_READ: Final = 64 * 1024


Wrap = Callable[[socket.socket, str], socket.socket]
"""(connection, host) -> the same with TLS. Raises OSError."""


def plain(connection: socket.socket, host: str) -> socket.socket:
    return connection


def send(host: str, port: int, message: bytes, deadline_s: float, wrap: Wrap = plain) -> None:
    """Returns when the message was accepted (AA or CA). Raises Unavailable when nobody answers in time or what answers is
    no acknowledgement of this message, and Forbidden when it is refused (AE, AR, CE, CR)."""
    ends_s = monotonic() + deadline_s
    decoder = Decoder(_MAX_ANSWER)
    try:
        with wrap(socket.create_connection((host, port), timeout=deadline_s), host) as connection:
            connection.sendall(frame(message))
            while True:
                left_s = ends_s - monotonic()
                if left_s <= 0:
                    raise Unavailable("the receiver gave no answer in time")
                connection.settimeout(left_s)
                data = connection.recv(_READ)
                blocks = decoder.feed(data) if data else decoder.pause()
                if blocks:
                    _judge(blocks[0].data, message)
                    return
                if not data or decoder.broken:
                    raise Unavailable("the receiver closed the connection without an answer")
    except OSError as error:
        raise Unavailable(f"the receiver cannot be reached: {type(error).__name__}") from None


def _judge(answer: bytes, message: bytes) -> None:
    try:
        msa = parse(decode(answer)).first("MSA")
    except BadInput:
        msa = None
    if msa is None or msa[2] != read_head(message).control_id:
        raise Unavailable("what came back is no acknowledgement of this message")
    if msa[1] not in ("AA", "CA"):
        raise Forbidden(f"the receiver refused the message ({msa[1][:2]})")
