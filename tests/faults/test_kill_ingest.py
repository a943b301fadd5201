"""kill -9 of a real `musubi ingest` at random moments, then again, then to the end: the same store as without."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.sandbox.ssmix2 import generate

CHECKOUT = Path(__file__).resolve().parents[2]
FILES = 60
KILLS = 50
LONG_KILLS = 200
MOST_RUNS = 4
"""Runs allowed for each wanted kill: one that ends before it could be killed counts as a run only."""

CONFIGURATION = """
[community]
id = "urn:oid:1.2.392.200119.99999.1"
[security]
mode = "open"
[[authorities]]
oid = "1.2.392.200119.99999.2"
namespace = "TOKYO-HP"
"""


def command(node: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.faults.runner", *arguments, "--config", str(node / "musubi.toml")]


def new_node(folder: Path) -> Path:
    folder.mkdir()
    (folder / "musubi.toml").write_text(CONFIGURATION, "utf-8")
    return folder


def start(node: Path, tree: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command(node, "ingest", str(tree), "--json"), cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def finish(node: Path, tree: Path) -> None:
    process = start(node, tree)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors.decode()


OF_FILES = "path <> CAST('persons:index' AS BLOB)"
"""Rows of the ledger that are files: one is the mark of the rules for which the identity index was made."""


def kept(node: Path) -> int:
    """Files the ledger holds; 0 before there is a database."""
    try:
        connection = sqlite3.connect(f"file:{node / 'musubi.db'}?mode=ro", uri=True, timeout=5)
    except sqlite3.Error:
        return 0
    try:
        return int(connection.execute(f"SELECT count(*) FROM ledger WHERE {OF_FILES}").fetchone()[0])
    except sqlite3.Error:
        return 0
    finally:
        connection.close()


def kill_after(node: Path, tree: Path, files: int, pause_s: float) -> bool:
    """Kills once so many files are kept and a little longer. False when the run was over before."""
    process = start(node, tree)
    while process.poll() is None and kept(node) < files:
        time.sleep(0.01)
    if process.poll() is None:
        time.sleep(pause_s)
    killed = process.poll() is None
    if killed:
        os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    return killed


def export(node: Path) -> list[bytes]:
    made = subprocess.run(command(node, "export"), cwd=CHECKOUT, capture_output=True, check=True)
    lines = []
    for line in made.stdout.splitlines():
        head, mark, rest = line.partition(b'"versionId":')
        assert mark
        lines.append(head + rest.partition(b'Z"')[2])
    return lines


QUERIES = {
    "resources": "SELECT type, rid, deleted, body, version, eid, date_start, rank, source_time FROM resource",
    "files": "SELECT key, timestamp, sha256, flag, current FROM source_file",
    "ledger": f"SELECT path, size, sha256, outcome FROM ledger WHERE {OF_FILES}",
    "documents": 'SELECT "entryUUID", status, eid FROM registry_object',
    "associations": "SELECT entryUUID FROM association",
    "identity": "SELECT authority, value, eid FROM identity",
    "persons": "SELECT authority, value, facts, files FROM person",
    "versions": "SELECT r.rid, v.hash FROM resource_version v JOIN resource r ON r.n = v.n",
    "blobs": "SELECT sha256, size, content IS NULL FROM blob",
    "jobs": "SELECT kind, payload FROM outbox",
    "audit": "SELECT object, detail FROM audit WHERE detail NOT LIKE '%=%' AND \"transaction\" = 'ingest'",
    "tokens": "SELECT r.rid, t.param, t.system, t.code FROM resource_token t JOIN resource r ON r.n = t.n",
}


def state(node: Path) -> dict[str, list[tuple[object, ...]]]:
    connection = sqlite3.connect(node / "musubi.db")
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return {name: sorted(connection.execute(sql).fetchall(), key=repr) for name, sql in QUERIES.items()}
    finally:
        connection.close()


def stray_files(node: Path) -> tuple[set[str], set[str]]:
    """(blob files without a row, rows without a file)."""
    connection = sqlite3.connect(node / "musubi.db")
    try:
        rows = {row[0].hex() for row in connection.execute("SELECT sha256 FROM blob WHERE content IS NULL")}
        used = {row[0] for row in connection.execute("SELECT blob FROM registry_object")}
    finally:
        connection.close()
    files = {path.name for path in (node / "blobs").glob("??/??/*")}
    assert rows <= used
    return files - rows, rows - files


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is a POSIX signal")
def test_a_killed_ingest_goes_on_and_ends_as_if_nothing_had_happened(tmp_path: Path, long: bool) -> None:
    tree = tmp_path / "tree"
    generate(tree, seed=11, patients=5, files=FILES)
    calm = new_node(tmp_path / "calm")
    finish(calm, tree)
    expected, exported = state(calm), export(calm)
    assert len(expected["ledger"]) == FILES
    assert any(in_file for *_, in_file in expected["blobs"]), "no blob is large enough to be a file"

    kills = runs = seed = 0
    wanted = LONG_KILLS if long else KILLS
    while kills < wanted:
        chance = random.Random(seed)
        node = new_node(tmp_path / f"node{seed}")
        for _ in range(chance.randint(2, 6)):
            kills += kill_after(node, tree, chance.randint(0, FILES - 12), chance.uniform(0, 0.06))
            runs += 1
        assert kept(node) <= FILES
        finish(node, tree)
        assert state(node) == expected, f"seed {seed}"
        assert stray_files(node) == (set(), set()), f"seed {seed}"
        assert runs < MOST_RUNS * wanted, "most runs were over before they could be killed"
        seed += 1
    assert export(node) == exported


def children(pid: int) -> set[int]:
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found.update(int(child) for child in task.read_text().split())
    return found


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], deadline_s: float = 30.0) -> bool:
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks at /proc")
def test_worker_processes_end_with_a_killed_parent(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    generate(tree, seed=12, patients=15, files=450)
    node = new_node(tmp_path / "node")
    arguments = ["ingest", str(tree), "--json", "--workers", "2", "--config", str(node / "musubi.toml")]
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", *arguments], cwd=CHECKOUT, stdout=subprocess.DEVNULL
    )
    family: set[int] = set()
    try:
        # Two workers, and the resource tracker of multiprocessing.
        assert wait_until(lambda: len(children(process.pid)) >= 3 or process.poll() is not None)
        assert wait_until(lambda: kept(node) > 0 or process.poll() is not None)
        family = children(process.pid)
        assert process.poll() is None, "the run was over before it could be killed"
    finally:
        process.kill()
        process.wait()
    assert family
    assert wait_until(lambda: not any(map(running, family))), "orphans"
    finish(node, tree)
    assert kept(node) == 450
