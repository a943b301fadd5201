"""Storage: committed ingest against translating plus bare inserts, the writer alone, a second run, memory."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from gateway import app
from gateway.cli.init import TEMPLATE
from gateway.codec.fhir import render
from gateway.codec.packing import pack
from gateway.model.audit import AuditRecord
from gateway.model.ingest import FileOutcome
from gateway.services.ingest.messages import ReadingRules
from gateway.services.ingest.reading import Reader
from gateway.services.ingest.run import BATCH_FILES
from gateway.translate.sources import read_file
from tests.bench import material
from tests.bench.measure import Figure, Spent, best_of, once
from tests.bench.translating import convert_files

RAW_BATCH = 500
_POLL_S = 0.02


def raw_write(file: Path, rows: list[tuple[str, str, bytes]]) -> None:
    """The floor of storing: the same resources into one table, no index but the key, as durable as ours."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(
            "CREATE TABLE resource (type TEXT, id TEXT, body BLOB, PRIMARY KEY (type, id)) WITHOUT ROWID"
        )
        for start in range(0, len(rows), RAW_BATCH):
            connection.execute("BEGIN")
            connection.executemany("INSERT OR REPLACE INTO resource VALUES (?, ?, ?)", rows[start : start + RAW_BATCH])
            connection.execute("COMMIT")


def _rendered(paths: list[str]) -> list[tuple[str, str, bytes]]:
    known = material.facilities()
    return [
        (resource["resourceType"], resource["id"], render(resource))
        for path in paths
        for one in read_file(Path(path).read_bytes(), path, known)
        for resource in one.resources
    ]


def _best(spent: list[Spent]) -> Spent:
    return Spent(min(one.wall for one in spent), min(one.cpu for one in spent))


def ingest(folder: Path, size: material.Size) -> Iterator[Figure]:
    """`musubi ingest` of a whole storage into an empty database, by one and by two workers (wall clock).

    The floor is what one core needs to translate the same files and to put the resources, and nothing else, into one
    table: no validation, no search index, no documents, no audit.
    """
    root = material.storage(folder / "generated", size.files)
    paths = material.paths_of(root)
    rows = _rendered(paths)
    known = material.facilities()
    numbers = count()
    runs = max(1, size.runs // 2)
    material.settle()
    translating = best_of(lambda: convert_files(paths, known), runs)
    writing = _best([once(lambda: raw_write(folder / f"raw-{next(numbers)}.db", rows)) for _ in range(runs)])
    floor = translating.wall + writing.wall
    for workers in (1, 2):
        wall = min(_ingested(folder / f"node-{next(numbers)}", root, workers) for _ in range(runs))
        note = (
            f"{len(paths)} files, {len(paths) / wall:,.0f} files/s; floor: translating {translating.wall:.2f} s and "
            f"{len(rows)} bare inserts {writing.wall:.2f} s"
        )
        yield Figure(f"ingest, {workers} worker{'s' * (workers > 1)}", wall / floor, "x", 2, note=note)


def _ingested(folder: Path, root: Path, workers: int) -> float:
    """Seconds of one run, worker processes' start included, on a database that is there already."""
    with material.node(folder) as node:
        run = app.ingestor(node.settings, node.parts)
        return once(lambda: run.run([str(root)], rejects_file=folder / "rejects.jsonl", workers=workers)).wall


def _reader() -> Reader:
    rules = ReadingRules(tuple(one.authority() for one in material.AUTHORITIES), repository="1.2.392.200119.99999.1.2")
    return Reader(rules, app.validator().check, pack)


def _record(outcome: FileOutcome, state: str) -> AuditRecord:
    return AuditRecord(event="110107", transaction="ingest", action="C", outcome=0, actor="bench", detail=state)


def writer(folder: Path, size: material.Size) -> Iterator[Figure]:
    """The storing half alone: outcomes that were read before into an empty database, in ingest's own batches."""
    root = material.storage(folder / "generated", size.files)
    reader = _reader()
    found = material.found_in(root)
    outcomes = [reader.read(one) for one in found]
    reading = best_of(lambda: [reader.read(one) for one in found], max(1, size.runs // 2))
    rows = _rendered(material.paths_of(root))
    spent, bare = [], []
    for number in range(max(1, size.runs // 2)):
        with material.node(folder / f"node-{number}") as node:
            spent.append(once(partial(_keep, node, outcomes)))
        bare.append(once(partial(raw_write, folder / f"raw-{number}.db", rows)))
    ours, floor = _best(spent), _best(bare)
    note = f"CPU {ours.cpu / len(outcomes) * 1e6:.0f} µs a file; batches of {BATCH_FILES}"
    yield Figure("writer", ours.wall / len(outcomes) * 1e6, "µs a file", note=note)
    note = f"floor: {len(rows)} bare inserts, {floor.wall / len(outcomes) * 1e6:.0f} µs a file"
    yield Figure("writer, to bare inserts", ours.wall / floor.wall, "x", note=note)
    note = "read, translate, validate, index, render documents: what a worker does before it hands over"
    yield Figure("reading before the writer", reading.cpu / len(outcomes) * 1e6, "µs a file", note=note)


def _keep(node: app.Node, outcomes: list[FileOutcome]) -> None:
    for start in range(0, len(outcomes), BATCH_FILES):
        node.parts.keeping.keep(outcomes[start : start + BATCH_FILES], _record)


class _Opens:
    """Counts files opened below a folder, by the interpreter's audit events. A hook cannot be taken away again, so it
    is made once and switched on and off."""

    def __init__(self) -> None:
        self.below: bytes | None = None
        self.count = 0
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and self.below is not None and isinstance(arguments[0], (str, bytes)):
            self.count += os.fsencode(arguments[0]).startswith(self.below)


_opens: list[_Opens] = []


def opens() -> _Opens:
    if not _opens:
        _opens.append(_Opens())
    return _opens[0]


def rescan(folder: Path, size: material.Size) -> Iterator[Figure]:
    """A second run over an unchanged storage: files a second, against walking and asking for each file's status; and
    how many files it opened."""
    root = material.storage(folder / "generated", size.files)
    with material.node(folder / "node", root, workers=1) as node:
        run = app.ingestor(node.settings, node.parts)
        rejects = folder / "rejects.jsonl"
        summary = run.run([str(root)], rejects_file=rejects, workers=1)
        counter = opens()
        counter.count, counter.below = 0, os.fsencode(root)
        run.run([str(root)], rejects_file=rejects, workers=1)
        opened, counter.below = counter.count, None
        spent = best_of(lambda: run.run([str(root)], rejects_file=rejects, workers=1), size.runs)
    floor = best_of(lambda: [os.stat(path) for path in material.paths_of(root)], size.runs)
    note = f"{summary.states['unchanged']} of {summary.seen} files unchanged"
    yield Figure("rescan", summary.seen / spent.wall, "files/s", note=note)
    yield Figure("rescan, files opened", opened, "files", 0, note="of an unchanged storage")
    note = f"floor: os.walk and os.stat, {floor.wall / summary.seen * 1e6:.1f} µs a file"
    yield Figure("rescan, to floor", spent.wall / floor.wall, "x", note=note)


def memory(folder: Path, size: material.Size) -> Iterator[Figure]:
    """Highest resident memory of `musubi ingest` (parent and two workers together) on a small and on a large storage."""
    peaks = {}
    for files in (size.few, size.many):
        here = folder / str(files)
        root = material.storage(here / "tree", files)
        (here / "node").mkdir()
        config = here / "node" / "musubi.toml"
        config.write_text(TEMPLATE, encoding="utf-8")
        command = ["ingest", "--config", str(config), "--workers", "2", "--json", str(root)]
        peaks[files] = peak_of([sys.executable, "-m", "gateway.cli", *command])
    few, many = peaks[size.few], peaks[size.many]
    note = ", ".join(f"{files:,} files {peak.resident / 2**20:.0f} MiB" for files, peak in peaks.items())
    yield Figure("memory", many.resident / few.resident, "x", 1.2, note=note)
    note = ", ".join(f"{files:,} files {peak.private / 2**20:.0f} MiB" for files, peak in peaks.items())
    note += "; without the pages of files (the database is mapped into memory)"
    yield Figure("memory, private", many.private / few.private, "x", note=note)


class Peak(NamedTuple):
    """Bytes, summed over all processes of a command, each at its own highest."""

    resident: int
    """VmHWM: counted by the system itself, so that no moment is missed."""
    private: int
    """RssAnon as it was seen by looking again and again."""


def peak_of(command: list[str]) -> Peak:
    """Runs a command and watches it and all it starts. Raises RuntimeError when it fails, or without /proc."""
    if not Path("/proc/self/status").is_file():
        raise RuntimeError("the memory benchmark needs /proc")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)}
    highest: dict[int, Peak] = {}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment) as process:
        while process.poll() is None:
            for pid in _family(process.pid):
                before, now = highest.get(pid, Peak(0, 0)), _status(pid)
                highest[pid] = Peak(max(before.resident, now.resident), max(before.private, now.private))
            time.sleep(_POLL_S)
        message = process.stderr.read().decode(errors="replace") if process.stderr else ""
    if process.returncode:
        raise RuntimeError(f"{' '.join(command[1:4])} ended with {process.returncode}: {message[-300:]}")
    return Peak(sum(one.resident for one in highest.values()), sum(one.private for one in highest.values()))


def _family(pid: int) -> list[int]:
    """The process and its descendants, as far as they still run."""
    try:
        tasks = Path(f"/proc/{pid}/task").iterdir()
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []
    return [pid, *(one for child in children for one in _family(child))]


def _status(pid: int) -> Peak:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return Peak(0, 0)
    found = {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}
    return Peak(*(int(found[name][0]) * 1024 if name in found else 0 for name in ("VmHWM", "RssAnon")))
