"""Large documents: one of hundreds of megabytes in (ITI-41, MTOM) and out (ITI-43), and what a node's memory says to it;
and many of one megabyte, against the disk alone."""

import hashlib
import http.client
import io
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from gateway import app, ihe
from gateway.cli.init import TEMPLATE
from gateway.codec import ebxml, mtom, soap
from gateway.codec.mtom import OutPart, PartBegin, PartData, Splitter, parse_media_type
from gateway.ihe import iti41, iti43
from gateway.model.identity import PatientId
from gateway.settings import load
from tests.bench import material
from tests.bench.measure import Figure
from tests.registry_parts import document, provided, simple
from tests.xds_parts import CALLER

MEMORY_MIB = 64
"""Growth of the resident memory that a document of any size may cost."""
FSYNC_RATIO = 0.5
_PIECE = 256 * 1024
_BLOCK = os.urandom(_PIECE)


def large(folder: Path, size: material.Size) -> Iterator[Figure]:
    """A document is sent to `musubi serve` in a process of its own and fetched again; the process's high-water mark of
    resident memory, as the system counts it, is taken before, after the way in and after the way out."""
    if not Path("/proc/self/clear_refs").exists():
        raise RuntimeError("memory is measured through /proc")
    length = size.document
    with _node(folder, length) as (pid, port, patient, repository):
        _put(port, patient, repository, 1, 64 * 1024)  # what is loaded on first use belongs to no document
        _get(port, repository, 1)
        before = _reset(pid)
        started = perf_counter()
        _put(port, patient, repository, 2, length)
        into, peak_in = perf_counter() - started, _peak(pid)
        _reset(pid)
        started = perf_counter()
        got = _get(port, repository, 2)
        out, peak_out = perf_counter() - started, _peak(pid)
        if got != _digest(2, length):
            raise RuntimeError("the document came back changed")
    for way, peak, seconds in (("in", peak_in, into), ("out", peak_out, out)):
        grown = max(0.01, (peak - before) / 2**20)
        note = f"{length / 2**20:,.0f} MiB in {seconds:.1f} s, {length / 2**20 / seconds:,.0f} MiB/s; before {before / 2**20:.0f} MiB"
        yield Figure(f"large document {way}, memory", grown, "MiB", MEMORY_MIB, note=note)


def documents(folder: Path, size: material.Size) -> Iterator[Figure]:
    """Documents of one megabyte one after the other, in process, each committed with its metadata before the next.

    The floor is the disk: the same bytes into files, each synced.
    """
    count, length = size.queries, 1024 * 1024
    root = material.storage(folder / "tree", 24, 2)
    with material.node(folder / "node", root) as node:
        services = node.documents()
        patient, repository = _patient(node), node.settings.community.repository
        envelopes = [
            b"".join(_package(patient, repository, number, length)) for number in range(1, count + 2)
        ]  # fmt: skip
        kind = mtom.content_type("B", "root@bench")

        def send(message: bytes) -> None:
            answered = b"".join(ihe.dispatch("/xds/repository", kind, io.BytesIO(message), services, CALLER).body)
            if ebxml.SUCCESS.encode() not in answered:
                raise RuntimeError(f"refused: {answered[-400:]!r}")

        send(envelopes.pop())
        started = perf_counter()
        for message in envelopes:
            send(message)
        ours = perf_counter() - started
    started = perf_counter()
    for number in range(count):
        with (folder / f"raw-{number}").open("wb") as file:
            for piece in _content(number, length):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
    floor = perf_counter() - started
    note = f"{count} documents of 1 MiB: {count / ours:,.0f}/s; floor: write and fsync {count / floor:,.0f}/s"
    yield Figure("iti41, to the disk", floor / ours, "x", FSYNC_RATIO, at_least=True, note=note)


def _content(number: int, length: int) -> Iterator[bytes]:
    yield number.to_bytes(8, "big")
    for start in range(8, length, _PIECE):
        yield _BLOCK[: min(_PIECE, length - start)]


def _digest(number: int, length: int) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    for piece in _content(number, length):
        digest.update(piece)
    return digest.hexdigest()


def _package(patient: str, repository: str, number: int, length: int) -> Iterable[bytes]:
    """The pieces of an ITI-41 message with one document."""
    entry = document(
        patient, number, repositoryUniqueId=repository, hash="", size=length, sourcePatientId=patient,
        uniqueId=f"1.2.3.{number}",
    )  # fmt: skip
    body = provided(simple(patient, entry, number=number), (entry.entryUUID, None))
    envelope = soap.request(iti41.TRANSACTION.action, f"urn:uuid:{uuid.uuid4()}", "http://127.0.0.1/", body)
    part = OutPart(f"{entry.entryUUID}@test", "text/plain", _content(number, length))
    return mtom.write("B", "root@bench", envelope, [part])


def _put(port: int, patient: str, repository: str, number: int, length: int) -> None:
    answer = _post(port, mtom.content_type("B", "root@bench"), _package(patient, repository, number, length))
    said = answer.read()
    if answer.status != 200 or ebxml.SUCCESS.encode() not in said:
        raise RuntimeError(f"refused with {answer.status}: {said[-500:]!r}")


def _get(port: int, repository: str, number: int) -> str:
    """SHA-1 of the document that comes."""
    body = ebxml.retrieve_request([("", repository, f"1.2.3.{number}")])
    envelope = soap.request(iti43.TRANSACTION.action, f"urn:uuid:{uuid.uuid4()}", "http://127.0.0.1/", body)
    answer = _post(port, soap.MEDIA_TYPE, [envelope])
    limits = mtom.MtomLimits(part_bytes=1 << 40, total_bytes=1 << 40)
    splitter = Splitter(parse_media_type(answer.headers["Content-Type"])[1]["boundary"], limits)
    parts, digest = 0, hashlib.sha1(usedforsecurity=False)
    while piece := answer.read(_PIECE):
        for event in splitter.feed(piece):
            parts += isinstance(event, PartBegin)
            if parts == 2 and isinstance(event, PartData):
                digest.update(event.data)
    splitter.close()
    return digest.hexdigest()


def _post(port: int, content_type: str, pieces: Iterable[bytes]) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.request(
        "POST", "/xds/repository", body=pieces, headers={"Content-Type": content_type}, encode_chunked=True
    )
    return connection.getresponse()


def _patient(node: app.Node) -> str:
    """CX of somebody the node knows."""
    (number, *_) = node.parts.lookups.rows("SELECT eid FROM identity_patient ORDER BY eid LIMIT 1")[0]
    return str(PatientId(number, node.settings.community.affinity_domain))


@contextmanager
def _node(folder: Path, length: int) -> Iterator[tuple[int, int, str, str]]:
    """(process id, port, a patient, its repository) of a node that takes documents of this length."""
    root = material.storage(folder / "tree", 24, 2)
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        port, mllp = one.getsockname()[1], two.getsockname()[1]
    config = folder / "node" / "musubi.toml"
    config.parent.mkdir()
    text = TEMPLATE.replace("port = 8080", f"port = {port}").replace("port = 2575", f"port = {mllp}")
    config.write_text(f"{text}\n[soap]\nmax_document_bytes = {length}\nmax_message_bytes = {length + 2**20}\n", "utf-8")
    settings = load(config, {})
    with app.storage(settings) as parts:
        app.ingestor(settings, parts).run([str(root)], rejects_file=folder / "rejects.jsonl", workers=1)
        patient = _patient(app.Node(settings, parts))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)}
    command = [sys.executable, "-m", "gateway.cli", "serve", "--config", str(config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stderr is not None
        process.stderr.readline()
        try:
            yield process.pid, port, patient, settings.community.repository
        finally:
            process.terminate()
            process.stderr.read()


def _reset(pid: int) -> int:
    """Starts the high-water mark anew (proc(5): clear_refs); bytes resident now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _peak(pid)


def _peak(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmHWM in /proc")
