"""Ways in which a community is a bad peer. Each is an `Answering` of stub_community.py; `KINDS` names them all.

`python -m gateway.sandbox.misbehaving KIND --port N` runs one.
"""

import argparse
import gzip
import time
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import Final

from gateway.codec import soap
from gateway.codec.ebxml import RegistryError
from gateway.sandbox.stub_community import FHIR_JSON, Answering, Reply, Stub, serve, well, write

_FOR_EVER_S: Final = 3600.0
_PAUSE_S: Final = 0.02
_OTHER_HOME: Final = "urn:oid:1.2.392.200119.99999.404"


def hang(stub: Stub) -> Answering:
    """Takes the question and says nothing."""
    return lambda handler, body: time.sleep(_FOR_EVER_S)


def half_open(stub: Stub) -> Answering:
    """For https: takes the connection and never finishes the handshake; over plain HTTP it says a part of the status
    line and stops."""

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        handler.wfile.write(b"HTTP/1.1 2")
        handler.wfile.flush()
        time.sleep(_FOR_EVER_S)

    return answer


def drip(stub: Stub) -> Answering:
    """One byte now and then, in headers and body alike: no pause is ever long."""

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        reply = stub.answer(body)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {reply.content_type}\r\nContent-Length: {len(reply.body)}\r\n\r\n"
        for byte in head.encode("ascii") + reply.body:
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()
            time.sleep(_PAUSE_S)

    return answer


def cut(stub: Stub) -> Answering:
    """Closes the connection in the middle of its answer."""

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        reply = stub.answer(body)
        handler.send_response(200)
        handler.send_header("Content-Type", reply.content_type)
        handler.send_header("Content-Length", str(len(reply.body)))
        handler.end_headers()
        handler.wfile.write(reply.body[: len(reply.body) // 2])
        handler.wfile.flush()
        handler.close_connection = True
        handler.connection.close()

    return answer


def garbage(stub: Stub) -> Answering:
    """Bytes that are no XML under the right Content-Type."""
    noise = bytes(range(256)) * 64
    return lambda handler, body: write(handler, Reply(200, soap.MEDIA_TYPE, noise))


def endless(stub: Stub) -> Answering:
    """A body without an end, as fast as it is taken."""

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", soap.MEDIA_TYPE)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.close_connection = True
        filler = b"<!--" + b" " * 65_000 + b"-->"
        handler.wfile.write(b"<e>")
        while True:
            handler.wfile.write(filler)

    return answer


def bomb(stub: Stub) -> Answering:
    """A compressed answer that nobody asked to be compressed: a few kilobytes that would be gigabytes."""
    packed = gzip.compress(b" " * 64 * 1024 * 1024, 9)

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", soap.MEDIA_TYPE)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(packed)))
        handler.end_headers()
        handler.wfile.write(packed)

    return answer


def wrong_home(stub: Stub) -> Answering:
    return well(replace(stub, entry_home=_OTHER_HOME))


def no_home(stub: Stub) -> Answering:
    return well(replace(stub, entry_home="-"))


def wrong_patient(stub: Stub) -> Answering:
    return well(replace(stub, entry_patient=f"somebody-else^^^&{stub.domain}&ISO"))


def wrong_relation(stub: Stub) -> Answering:
    """Answers somebody else's question."""
    return well(replace(stub, relates_to="urn:uuid:00000000-0000-4000-8000-000000000404"))


def no_relation(stub: Stub) -> Answering:
    return well(replace(stub, relates_to="-"))


def unasked(stub: Stub) -> Answering:
    return well(replace(stub, unasked=True))


def lost(stub: Stub) -> Answering:
    """Success, and one document of them is not there."""
    return well(replace(stub, lost=frozenset({stub.content[0][0]}) if stub.content else frozenset()))


def partial(stub: Stub) -> Answering:
    return well(replace(stub, errors=(RegistryError("XDSRegistryError", "a part of it broke", location=stub.home),)))


def error(stub: Stub) -> Answering:
    return lambda handler, body: write(handler, Reply(503, "text/html", b"<html>down for maintenance</html>"))


def refuses(stub: Stub) -> Answering:
    return lambda handler, body: write(handler, Reply(403, "text/html", b"<html>no</html>"))


def redirect(stub: Stub) -> Answering:
    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        handler.send_response(307)
        handler.send_header("Location", "http://127.0.0.1:1/inside")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


KINDS: Final[dict[str, Callable[[Stub], Answering]]] = {
    "hang": hang,
    "half-open": half_open,
    "drip": drip,
    "cut": cut,
    "garbage": garbage,
    "endless": endless,
    "bomb": bomb,
    "wrong-home": wrong_home,
    "no-home": no_home,
    "wrong-patient": wrong_patient,
    "wrong-relation": wrong_relation,
    "no-relation": no_relation,
    "unasked": unasked,
    "lost": lost,
    "partial": partial,
    "error": error,
    "refuses": refuses,
    "redirect": redirect,
}

SAMPLE: Final = Stub(
    home="urn:oid:1.2.392.200119.99999.90",
    domain="1.2.392.200119.99999.90.1",
    patient="stub-1",
    content=(("lab", b'{"resourceType":"Bundle","type":"collection"}', FHIR_JSON),),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m gateway.sandbox.misbehaving", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("kind", choices=["well", *sorted(KINDS)])
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    answering = well(SAMPLE) if given.kind == "well" else KINDS[given.kind](SAMPLE)
    with serve(answering, given.port) as address:
        print(f"{SAMPLE.home} {given.kind} at {address}", flush=True)
        time.sleep(_FOR_EVER_S * 24)


if __name__ == "__main__":
    main()
