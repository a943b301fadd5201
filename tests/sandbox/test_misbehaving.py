"""Every bad community is what its name says; the good one passes its own client."""

import socket
import subprocess
import sys
from dataclasses import replace

import pytest
import requests

from gateway.ihe import iti38, iti39
from gateway.ihe._client import Call, Peer
from gateway.ihe._discovery import Own, Question, ask
from gateway.ihe._transport import session
from gateway.model.identity import PatientId
from gateway.model.person import Demographics
from gateway.sandbox import misbehaving
from gateway.sandbox.stub_community import serve, well
from tests.federation_parts import STUB, TOKYO, stub


def test_a_good_one_answers_all_three() -> None:
    good = stub()
    with serve(well(good)) as url:
        peer, call = Peer(STUB, url, xcpd=url), Call(session(1))
        found = ask(peer, Question(Demographics(), (PatientId("x", "1.2"),)), Own(TOKYO, "1.2", "1.2.3"), call, 5)
        (match,) = found.matches
        assert found.findings == () and match.patient == PatientId("stub-1", good.domain) and match.degree == 100
        entries = iti38.ask(peer, iti38.FindDocuments(match.patient), call, 5)
        assert entries.findings == () and len(entries.entries) == 2
        documents = iti39.retrieve(peer, entries.entries, call, 5)
        assert documents.findings == () and [one.part.read() for one in documents.documents] == [
            data for _, data, _ in good.content
        ]
    with serve(well(replace(good, patient=""))) as url:
        nobody = ask(
            Peer(STUB, url, xcpd=url), Question(Demographics()), Own(TOKYO, "1.2", "1.2.3"), Call(session(1)), 5
        )
    assert nobody.outcome == "nothing"


@pytest.mark.parametrize(
    ("kind", "status"), [("error", 503), ("refuses", 403), ("redirect", 307), ("garbage", 200), ("bomb", 200)]
)
def test_what_comes_over_the_wire(kind: str, status: int) -> None:
    with serve(misbehaving.KINDS[kind](stub())) as url:
        answer = requests.post(url, data=b"x", timeout=5, allow_redirects=False, stream=True)
        assert answer.status_code == status
        if kind == "bomb":
            assert answer.headers["Content-Encoding"] == "gzip" and int(answer.headers["Content-Length"]) < 100_000
        answer.close()


@pytest.mark.parametrize("kind", ["hang", "half-open"])
def test_silence(kind: str) -> None:
    with serve(misbehaving.KINDS[kind](stub())) as url:
        place = ("127.0.0.1", int(url.rpartition(":")[2]))
        wire = socket.create_connection(place, timeout=0.3)
        wire.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        first = wire.recv(100) if kind == "half-open" else b""
        with pytest.raises(TimeoutError):
            wire.recv(100)
        wire.close()
    assert first == (b"HTTP/1.1 2" if kind == "half-open" else b"")


def test_as_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "gateway.sandbox.misbehaving", "error"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            assert requests.post(url, data=b"x", timeout=5).status_code == 503
        finally:
            process.kill()
