"""kill -9 of a node that receives over MLLP: what was acknowledged is there, and after sending again all is there once."""

import os
import random
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gateway.codec.mllp import Decoder, frame
from tests.v2_parts import LEDGER, lab

CHECKOUT = Path(__file__).resolve().parents[2]
SENDERS = 4
MESSAGES = 30
KILLS, LONG_KILLS = 3, 60
LISTENS_WITHIN_S = 60.0

CONFIG = """\
[mllp]
port = {port}
[security]
mode = "open"
[[authorities]]
oid = "1.2.392.200119.99999.2"
namespace = "TOKYO-HP"
"""
QUERIES = {
    "resources": "SELECT type, rid FROM resource",
    "versions": "SELECT key, timestamp, sha256, current FROM source_file",
    "documents": 'SELECT "entryUUID", status FROM registry_object',
    "ledger": f"SELECT path, sha256, outcome FROM {LEDGER}",
    "stored": "SELECT object FROM audit WHERE action = 'C'",
}


def message(sender: int, number: int) -> bytes:
    """Each sender corrects the results of three patients of its own again and again."""
    patient = f"{sender}{number % 3:03d}"
    return lab(
        f"S{sender}-{number}", patient=f"{patient}^^^^PI", order=f"{patient}{number % 5:011d}", value=f"{number}.5",
        time=f"202601021{number // 10:01d}{number % 10:02d}00",
    )  # fmt: skip


def new_node(folder: Path) -> Path:
    folder.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "musubi.toml").write_text(CONFIG.format(port=port), encoding="utf-8")
    return folder


def port_of(node: Path) -> int:
    return int((node / "musubi.toml").read_text().splitlines()[1].rpartition(" ")[2])


def running(node: Path) -> "subprocess.Popen[bytes]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MUSUBI_")}
    arguments = ["serve", "--role", "mllp", "--config", str(node / "musubi.toml")]
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", *arguments], cwd=CHECKOUT, env=clean, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    assert b"mllp://" in process.stderr.readline()
    threading.Thread(target=process.stderr.read, daemon=True).start()
    return process


def send(node: Path, sender: int, acknowledged: set[bytes]) -> None:
    """All messages of one sender, the next one after the answer; ends when the node is gone."""
    try:
        with socket.create_connection(("127.0.0.1", port_of(node)), timeout=LISTENS_WITHIN_S) as wire:
            decoder = Decoder(1 << 20)
            for number in range(MESSAGES):
                wire.sendall(frame(message(sender, number)))
                while not (blocks := decoder.feed(data := wire.recv(65536))):
                    if not data:
                        return
                control_id = f"S{sender}-{number}".encode()
                assert blocks[0].data.endswith(b"\rMSA|AA|" + control_id + b"\r"), blocks[0].data
                acknowledged.add(control_id)
    except OSError:
        return


def feed(node: Path, kill_after_s: float | None = None) -> set[bytes]:
    """Control ids that were acknowledged until the node was killed, or all."""
    acknowledged: set[bytes] = set()
    process = running(node)
    try:
        senders = [threading.Thread(target=send, args=(node, sender, acknowledged)) for sender in range(SENDERS)]
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


def state(node: Path) -> dict[str, list[tuple[object, ...]]]:
    connection = sqlite3.connect(node / "musubi.db")
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return {name: sorted(connection.execute(sql).fetchall(), key=repr) for name, sql in QUERIES.items()}
    finally:
        connection.close()


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is a POSIX signal")
def test_what_was_acknowledged_survives_and_what_is_sent_again_is_stored_once(tmp_path: Path, long: bool) -> None:
    everything = {f"S{sender}-{number}".encode() for sender in range(SENDERS) for number in range(MESSAGES)}
    calm = new_node(tmp_path / "calm")
    assert feed(calm) == everything
    expected = state(calm)
    assert len(expected["ledger"]) == len(everything)

    killed_at_work = seed = 0
    while killed_at_work < (LONG_KILLS if long else KILLS):
        chance = random.Random(seed)
        node = new_node(tmp_path / f"node{seed}")
        before: set[bytes] = set()
        for _ in range(2):
            acknowledged = feed(node, chance.uniform(0.05, 1.5))
            killed_at_work += bool(acknowledged) and acknowledged != everything
            before |= acknowledged
            assert len(state(node)["ledger"]) >= len(before), f"seed {seed}: acknowledged, and not there"
        assert feed(node) == everything
        assert state(node) == expected, f"seed {seed}"
        seed += 1
        assert seed < 200, "no run was killed at work"
