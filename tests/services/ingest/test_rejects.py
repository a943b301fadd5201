"""rejects.jsonl is replaced whole, and what a killed run left is cleared away."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import orjson

from gateway.model.ingest import Reject
from gateway.ports import Keeping
from gateway.services.ingest.rejects import write_rejects


class Ledger:
    def __init__(self, *files: Path) -> None:
        self.files = files
        self.forgotten: list[bytes] = []

    def rejects(self) -> Iterator[tuple[bytes, tuple[Reject, ...]]]:
        for file in self.files:
            yield os.fsencode(file), (Reject("1", 3, "fatal", "not-hl7", "no MSH"),)

    def forget(self, paths: Sequence[bytes]) -> None:
        self.forgotten += paths


def write(path: Path, ledger: Ledger) -> list[dict[str, Any]]:
    count = write_rejects(path, cast(Keeping, ledger))
    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    assert len(lines) == count
    return lines


def test_a_line_names_file_place_and_reason_and_a_file_that_is_gone_leaves_the_list(tmp_path: Path) -> None:
    there, gone = tmp_path / "there", tmp_path / "gone"
    there.write_bytes(b"x")
    ledger = Ledger(there, gone)
    (line,) = write(tmp_path / "rejects.jsonl", ledger)
    assert line == {
        "file": str(there),
        "order_no": "1",
        "offset": 3,
        "severity": "fatal",
        "code": "not-hl7",
        "reason": "no MSH",
    }
    assert ledger.forgotten == [os.fsencode(gone)]


def test_what_a_killed_run_left_is_removed_and_what_a_running_one_writes_is_not(tmp_path: Path) -> None:
    dead, alive = tmp_path / "rejects.jsonl.99999999-1.part", tmp_path / f"rejects.jsonl.{os.getppid()}-1.part"
    for part in (dead, alive):
        part.write_bytes(b"half")
    assert write(tmp_path / "rejects.jsonl", Ledger()) == []
    assert not dead.exists()
    assert alive.exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["rejects.jsonl", alive.name]
