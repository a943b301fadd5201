"""kill -9 of a node that takes ITI-41: what was answered with success is there once and whole, no entry is without its
bytes, and after a sweep no bytes are without an entry."""

import hashlib
import os
import random
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from gateway import app
from gateway.codec import ebxml, mtom, soap
from gateway.codec.mllp import Decoder, frame
from gateway.ihe import iti41
from gateway.settings import load
from tests.registry_parts import document, provided, simple
from tests.v2_parts import lab

CHECKOUT = Path(__file__).resolve().parents[2]
SENDERS, SUBMISSIONS = 4, 12
KILLS, LONG_KILLS = 3, 60
WITHIN_S = 60.0
FACILITY = "1.2.392.200119.99999.2"
PATIENT = f"0001^^^&{FACILITY}&ISO"

CONFIG = """\
[http]
port = {http}
[mllp]
port = {mllp}
[security]
mode = "open"
[[authorities]]
oid = "1.2.392.200119.99999.2"
namespace = "TOKYO-HP"
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def content(number: int) -> bytes:
    """Some small enough for a row, some that are files."""
    return random.Random(number).randbytes(2_000 if number % 3 else 150_000)


def submission(number: int, repository: str) -> tuple[bytes, str]:
    """(message, Content-Type) of submission `number`: always the same bytes."""
    one = document(PATIENT, number, content(number), repositoryUniqueId=repository)
    body = provided(simple(PATIENT, one, number=number), (f"Document{number}", None))
    envelope = soap.request(iti41.TRANSACTION.action, f"urn:uuid:{uuid.UUID(int=number)}", "http://127.0.0.1/", body)
    part = mtom.OutPart(f"Document{number}@test", "text/plain", (content(number),))
    return b"".join(mtom.write("B", "root@test", envelope, [part])), mtom.content_type("B", "root@test")


class Node:
    """One node's folder, and its process while it runs."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.http, self.mllp = folder, free_port(), free_port()
        (folder / "musubi.toml").write_text(CONFIG.format(http=self.http, mllp=self.mllp), encoding="utf-8")
        self.repository = load(folder / "musubi.toml").community.repository

    def start(self) -> "subprocess.Popen[bytes]":
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MUSUBI_")}
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", "serve", "--config", str(self.folder / "musubi.toml")],
            cwd=CHECKOUT, env=clean, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + WITHIN_S
        while time.monotonic() < deadline:
            try:
                if requests.get(f"http://127.0.0.1:{self.http}/readyz", timeout=5).status_code == 200:
                    return process
            except requests.RequestException:
                time.sleep(0.05)
        process.kill()
        raise AssertionError("the node does not listen")

    def know_the_patient(self) -> None:
        with socket.create_connection(("127.0.0.1", self.mllp), timeout=WITHIN_S) as wire:
            wire.sendall(frame(lab("P1", patient="0001^^^^PI")))
            decoder = Decoder(1 << 20)
            while not decoder.feed(wire.recv(65536)):
                pass

    def send(self, numbers: range, acknowledged: set[int]) -> None:
        """Each after the answer to the one before; ends when the node is gone."""
        with requests.Session() as session:
            for number in numbers:
                data, kind = submission(number, self.repository)
                try:
                    answer = session.post(
                        f"http://127.0.0.1:{self.http}/xds/repository", data, headers={"Content-Type": kind},
                        timeout=WITHIN_S,
                    )  # fmt: skip
                except requests.RequestException:
                    return
                assert answer.status_code == 200 and ebxml.SUCCESS.encode() in answer.content, answer.content
                acknowledged.add(number)

    def load(self, kill_after_s: float | None = None) -> set[int]:
        acknowledged: set[int] = set()
        process = self.start()
        try:
            if not (self.folder / "fed").exists():
                self.know_the_patient()
                (self.folder / "fed").touch()
            ranges = [range(1 + n * SUBMISSIONS, 1 + (n + 1) * SUBMISSIONS) for n in range(SENDERS)]
            senders = [threading.Thread(target=self.send, args=(one, acknowledged)) for one in ranges]
            for one in senders:
                one.start()
            if kill_after_s is not None:
                time.sleep(kill_after_s)
                process.kill()
            for one in senders:
                one.join()
        finally:
            process.kill() if kill_after_s is not None else process.terminate()
            process.wait()
        return acknowledged

    def stored(self) -> dict[str, int]:
        """uniqueId of every submitted document -> how often; its parts are all there and its bytes are its own."""
        connection = sqlite3.connect(self.folder / "musubi.db")
        try:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            rows = connection.execute(
                "SELECT o.uniqueId, o.blob, (SELECT count(*) FROM association a JOIN registry_object s ON s.n = a.source"
                " WHERE a.target = o.n AND a.label = 'Original') FROM registry_object o"
                " WHERE o.kind = '' AND o.mimeType <> ''"
            ).fetchall()
        finally:
            connection.close()
        counts: dict[str, int] = {}
        with app.storage(load(self.folder / "musubi.toml")) as parts:
            for unique_id, blob, sets in rows:
                counts[unique_id] = counts.get(unique_id, 0) + 1
                assert sets == 1
                with parts.blobs.open(blob) as stream:
                    data = stream.read()
                assert hashlib.sha256(data).hexdigest() == blob
                assert data == content(int(unique_id.rpartition(".")[2]))
        return counts

    def stray(self) -> set[str]:
        """Blob files that nothing names, after a sweep."""
        with app.storage(load(self.folder / "musubi.toml")) as parts:
            parts.blobs.sweep(datetime.now(UTC) + timedelta(days=2))
            files = set(parts.blobs.files())
        connection = sqlite3.connect(self.folder / "musubi.db")
        try:
            rows = connection.execute("SELECT sha256 FROM blob WHERE content IS NULL").fetchall()
        finally:
            connection.close()
        return files ^ {row[0].hex() for row in rows}


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is a POSIX signal")
def test_every_acknowledged_submission_is_there_once_and_whole(tmp_path: Path, long: bool) -> None:
    everything = set(range(1, 1 + SENDERS * SUBMISSIONS))
    killed_at_work = seed = 0
    while killed_at_work < (LONG_KILLS if long else KILLS):
        chance = random.Random(seed)
        node = Node(tmp_path / f"node{seed}")
        before: set[int] = set()
        for _ in range(2):
            acknowledged = node.load(chance.uniform(0.05, 1.0))
            killed_at_work += bool(acknowledged) and acknowledged != everything
            before |= acknowledged
            counts = node.stored()
            assert {f"1.2.3.{number}" for number in before} <= counts.keys(), f"seed {seed}: acknowledged, not there"
            assert set(counts.values()) <= {1}
        assert node.load() == everything
        assert node.stored() == {f"1.2.3.{number}": 1 for number in everything}, f"seed {seed}"
        assert node.stray() == set()
        seed += 1
