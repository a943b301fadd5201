"""`musubi report`: a storage or the node in counts, as a table and as JSON."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import DEMO

KEYS = {
    "files", "messages", "rejected", "types", "charsets", "coded", "unmapped", "units", "conflicts", "jlac10", "issues",
    "residue", "forgotten",
}  # fmt: skip


def test_a_storage_in_counts(musubi: Any, tokyo: Path) -> None:
    result = musubi("report", tokyo, "--json")
    counts = json.loads(result.out)
    assert result.code == 0 and set(counts) == KEYS
    assert counts["files"] == counts["messages"] == sum(counts["types"].values()) == 34
    shares = {row["field"]: row for row in counts["coded"]}
    assert shares["OBX-3"]["standard"] > 100 and shares["OBX-3"]["text"] == 0
    assert counts["jlac10"] == {"17": shares["OBX-3"]["standard"]}


def test_the_table_says_the_same_without_a_terminal(musubi: Any, tokyo: Path) -> None:
    text = musubi("report", tokyo).out.decode()
    assert text.startswith("34 files, 34 messages") and "\x1b" not in text
    assert "OBX-3" in text and "データ種別" in text


def test_worker_processes_count_the_same(musubi: Any, tmp_path: Path, labs: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(201):  # above 200 files worker processes read
        (folder / f"{number}").write_bytes(labs.read_bytes())
    counts = json.loads(musubi("report", folder, "--workers", "1", "--json").out)
    one = json.loads(musubi("report", labs, "--json").out)
    assert counts["messages"] == 201
    assert counts["coded"][0]["standard"] == 201 * one["coded"][0]["standard"]


def test_a_node_is_counted_by_what_it_keeps(musubi: Any, node: Callable[..., Path], tokyo: Path) -> None:
    config = node()
    assert musubi("report", "--node", "--config", config).code == 2  # no database yet
    assert musubi("ingest", tokyo, "--config", config).code == 0
    result = musubi("report", "--node", "--json", "--config", config)
    counts = json.loads(result.out)
    assert result.code == 0 and counts["messages"] == 29  # without the superseded and deleted ones of 34
    assert counts["types"]["ADT-00"] == 5


def test_lists_end_at_the_top(musubi: Any) -> None:
    counts = json.loads(musubi("report", DEMO, "--json", "--top", "1").out)
    assert len(counts["unmapped"]) == 1 and len(counts["types"]) > 1


@pytest.mark.parametrize(
    "arguments", [(), (".", "--node"), ("nowhere",), (".", "--facility", "x"), (".", "--top", "0")]
)
def test_wrong_usage_is_2(musubi: Any, arguments: tuple[str, ...]) -> None:
    assert musubi("report", *arguments).code == 2


def test_bad_files_are_counted_and_the_exit_is_0(musubi: Any, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"no message")
    result = musubi("report", tmp_path / "x.txt", "--json")
    assert result.code == 0 and json.loads(result.out)["rejected"] == {"not-hl7": 1}
