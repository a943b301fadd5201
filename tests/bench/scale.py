"""Whether the cost of a file grows with the number of files: the walk with the ledger, and translating, at three sizes."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from gateway import app
from gateway.cli.init import TEMPLATE
from gateway.services.ingest.files import walk
from tests.bench import material
from tests.bench.measure import Figure, Spent, once
from tests.bench.storing import peak_of
from tests.bench.translating import convert_files

_SAMPLE = 2_000
"""Files that are translated, spread over the whole tree."""
_LEDGER = "INSERT INTO ledger (path, size, mtime_ns, sha256, outcome) VALUES (?, ?, ?, '', 'ingested')"


def tree_scale(folder: Path, size: material.Size) -> Iterator[Figure]:
    """`musubi ingest` over a storage that is known already (walk, status, ledger), its highest memory, and translating;
    each figure of the largest tree is compared with that of the smallest.

    CPU time: a ratio of wall clocks taken minutes apart says more about the neighbours than about us. The ledger is
    filled by its table, because committing a million files first would take most of an hour.
    """
    walked: dict[int, float] = {}
    translated: dict[int, float] = {}
    peaks: dict[int, int] = {}
    for files in size.trees:
        here = folder / str(files)
        root = material.storage(here / "tree", files)
        spent, peaks[files] = _rescan(here / "node", root)
        walked[files] = spent.cpu / files * 1e6
        paths = material.paths_of(root)
        sample = paths[:: max(1, len(paths) // _SAMPLE)][:_SAMPLE]
        known = material.facilities()
        convert_files(sample[:50], known)
        runs = [once(lambda some=sample, place=known: convert_files(some, place)) for _ in range(2)]
        translated[files] = min(one.cpu for one in runs) / len(sample) * 1e6
    few, many = size.trees[0], size.trees[-1]
    for name, costs in (("walk and ledger", walked), ("translating", translated)):
        note = ", ".join(f"{files:,} files {cost:.0f} µs CPU a file" for files, cost in costs.items())
        yield Figure(f"tree-scale, {name}", costs[many] / costs[few], "x", 1.5, note=note)
    note = ", ".join(f"{files:,} files {peak / 2**20:.0f} MiB" for files, peak in peaks.items())
    yield Figure("tree-scale, memory of a re-scan", peaks[many] / peaks[few], "x", 1.2, note=note)


def _rescan(folder: Path, root: Path) -> tuple[Spent, int]:
    """(best of two runs in this process, bytes of memory that the command touches that belong to no file)"""
    folder.mkdir(parents=True)
    config = folder / "musubi.toml"
    config.write_text(TEMPLATE, encoding="utf-8")
    with material.node(folder):
        pass
    with closing(sqlite3.connect(folder / "musubi.db")) as connection, connection:
        rows = ((one.path, one.size, one.mtime_ns) for one in walk([str(root)], lambda _: False) if one)
        connection.executemany(_LEDGER, rows)
    with material.node(folder) as node:
        run = app.ingestor(node.settings, node.parts)
        spent = [once(lambda: run.run([str(root)], rejects_file=folder / "rejects.jsonl", workers=1)) for _ in range(2)]
    command = [sys.executable, "-m", "gateway.cli", "ingest", "--config", str(config), "--json", str(root)]
    return min(spent, key=lambda one: one.cpu), peak_of(command).private
