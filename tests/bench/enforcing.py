"""What enforced mode costs a running node: the same FHIR search over one connection that stays open, open and enforced."""

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway import app
from gateway.app import Node
from gateway.model.audit import AuditRecord
from gateway.serve.http import create_app
from gateway.serve.server import HttpServer
from gateway.settings import load
from tests.bench import material
from tests.bench.measure import Figure
from tests.enforced_parts import PERSON, SHARED, bearer, consent, two
from tests.policy_parts import fed
from tests.storage.making import outcome
from tests.trust_parts import free_port

_PATH = f"/fhir/Observation?patient.identifier=urn:oid:{PERSON.authority}%7C{PERSON.value}"
_ROUNDS = 5


def enforcing(folder: Path, size: material.Size) -> Iterator[Figure]:
    """TLS with both certificates, a signed token, policy, consent and the audit record of each request beside open mode.
    The best of some rounds of each, in turns: other work on the machine hits both."""
    count = 200 if size.runs > 1 else 50
    with two(folder / "keys") as pair, _open(folder / "open", pair.a.federation.folder / "node-a.toml") as port:
        consent(pair.a, PERSON)
        token = bearer(pair.a)
        secured = http.client.HTTPSConnection("localhost", pair.a.port, context=pair.a.federation.client())
        plain = http.client.HTTPConnection("localhost", port)
        best = [0.0, 0.0]
        for _ in range(_ROUNDS):
            for at, (connection, headers) in enumerate(((plain, {}), (secured, {"Authorization": token}))):
                best[at] = max(best[at], _rate(connection, headers, count))
        note = f"open {best[0]:.0f}, enforced {best[1]:.0f} searches a second over one connection"
        yield Figure("enforced to open", best[1] / best[0], "x", 0.6, True, note)


def _rate(connection: http.client.HTTPConnection, headers: dict[str, str], count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        connection.request("GET", _PATH, headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200 and b'"match"' in answer.read()
    return count / (time.perf_counter() - began)


@contextmanager
def _open(folder: Path, like: Path) -> Iterator[int]:
    """A node in open mode with the same person; its port."""
    folder.mkdir()
    authorities = "[[authorities]]" + like.read_text().partition("[[authorities]]")[2].partition("[[peers]]")[0]
    port = free_port()
    text = f'[security]\nmode = "open"\n[http]\nport = {port}\n[matching]\nmode = "off"\n{authorities}'
    (folder / "musubi.toml").write_text(text)
    settings = load(folder / "musubi.toml", {})
    with app.storage(settings) as parts:
        made = [outcome(one) for one in fed(PERSON, SHARED.value, 1)]
        parts.keeping.keep(made, lambda one, state: AuditRecord("110107", "ingest", "C", 0, "bench"))
        server = HttpServer(settings, create_app(Node(settings, parts).http({"http": lambda: True})), None)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield port
        finally:
            server.stop()
            thread.join(20)
