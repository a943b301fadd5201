"""Runs over small storages, through the real translation and the real database."""

import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest
from sqlalchemy import func, select

from gateway.errors import ConfigurationError, Unavailable
from gateway.model.ingest import STATES
from gateway.sandbox.damage import KINDS, damage
from gateway.services.ingest import Summary, run, workers
from gateway.services.ingest.files import Found
from gateway.storage.opening import Storage
from gateway.storage.schema import metadata
from tests.services.ingest.trees import export, make_reader, node, tree

pytestmark = pytest.mark.usefixtures("each_engine")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tree(tmp_path_factory.mktemp("tree") / "root")


def ingest(folder: Path, *paths: Path, **options: object) -> tuple[Summary, list[bytes]]:
    with node(folder) as (ingestor, store):
        summary = ingestor.run([str(path) for path in paths], rejects_file=folder / "rejects.jsonl", **options)  # type: ignore[arg-type]
        return summary, export(store)


def counts(store: Storage) -> dict[str, int]:
    with store.engine.connect() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }


def test_every_file_is_counted_once_and_nothing_of_a_sound_tree_is_rejected(tmp_path: Path, root: Path) -> None:
    summary, exported = ingest(tmp_path, root)
    assert summary.seen == 24 == sum(summary.states[state] for state in STATES)
    assert summary.states["rejected"] == 0
    assert summary.resources["Patient"] == 4
    assert len(exported) == sum(summary.resources.values())
    assert (tmp_path / "rejects.jsonl").read_bytes() == b""
    said = summary.as_dict()
    assert said["seen"] == 24 and said["rejects"] == str(tmp_path / "rejects.jsonl")


def test_a_second_run_looks_and_writes_only_that_it_ran(tmp_path: Path, root: Path) -> None:
    ingest(tmp_path, root)
    with node(tmp_path) as (ingestor, store):
        before, exported = counts(store), export(store)

        def refuse() -> None:
            raise AssertionError("an unchanged file was read")

        ingestor.make_reader = refuse  # type: ignore[assignment]
        summary = ingestor.run([str(root)], rejects_file=tmp_path / "rejects.jsonl")
        assert summary.states == {"unchanged": 24}
        assert counts(store) == before | {name: before[name] + 1 for name in ("audit", "audit_chain")}
        assert export(store) == exported


def test_two_nodes_fed_in_other_orders_and_pieces_export_the_same_bytes(tmp_path: Path, root: Path) -> None:
    _, exported = ingest(tmp_path / "one", root)
    files = [path for path in root.rglob("*") if path.is_file()]
    random.Random(5).shuffle(files)
    with node(tmp_path / "two") as (ingestor, store):
        for start in range(0, len(files), 5):
            ingestor.run([str(path) for path in files[start : start + 5]], rejects_file=tmp_path / "two.jsonl")
        assert export(store) == exported


def test_a_dry_run_counts_and_stores_nothing(tmp_path: Path, root: Path) -> None:
    with node(tmp_path) as (ingestor, store):
        before = counts(store)
        summary = ingestor.run([str(root)], rejects_file=tmp_path / "rejects.jsonl", dry_run=True)
        assert summary.seen == 24 and summary.states["rejected"] == 0
        assert summary.as_dict()["rejects"] is None
        assert counts(store) == before
        assert not (tmp_path / "rejects.jsonl").exists()


def damaged(root: Path, folder: Path) -> Path:
    """A copy of the tree with one file of each kind of damage and some junk."""
    shutil.copytree(root, folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path, kind in zip(files, KINDS, strict=False):
        path.write_bytes(damage(path.read_bytes(), kind, random.Random(1)))
    (folder / "Thumbs.db").write_bytes(b"junk")
    (folder / "letter.pdf").write_bytes(b"%PDF-1.7 not a message")
    (folder / "empty").write_bytes(b"")
    return folder


KEPT_ERRORS = {"undecodable-bytes", "unclosed-shift"}
"""Damage that is reported and does not keep the rest of a message out."""


def test_damaged_files_are_listed_once_with_a_reason_and_no_word_of_the_patient(tmp_path: Path, root: Path) -> None:
    bad = damaged(root, tmp_path / "bad")
    for _ in range(2):
        summary, _ = ingest(tmp_path / "node", bad)
        assert summary.seen == 27 == sum(summary.states[state] for state in STATES)
        assert summary.states["ignored"] == 1
        lines = [orjson.loads(line) for line in (tmp_path / "node" / "rejects.jsonl").read_bytes().splitlines()]
        assert all(set(line) == {"file", "order_no", "offset", "severity", "code", "reason"} for line in lines)
        listed = Counter((line["file"], line["code"]) for line in lines)
        kept = {line["file"] for line in lines if line["code"] in KEPT_ERRORS}
        refused = {line["file"] for line in lines if line["code"] not in KEPT_ERRORS}
        assert len(refused) == summary.states["rejected"]
        assert kept and not kept & refused
        assert max(listed.values()) == 1
        assert {str(bad / "letter.pdf"), str(bad / "empty")} <= refused
        assert not any(line["code"] == "internal-error" for line in lines)


def test_a_rejected_file_that_is_repaired_or_gone_leaves_the_list(tmp_path: Path, root: Path) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    good = next(path for path in sorted(root.rglob("*_1")) if path.is_file())
    (bad / "gone").write_bytes(b"no message")
    (bad / good.name).write_bytes(b"")
    summary, _ = ingest(tmp_path / "node", bad)
    assert summary.states["rejected"] == 2
    (bad / "gone").unlink()
    (bad / good.name).write_bytes(good.read_bytes())
    summary, _ = ingest(tmp_path / "node", bad)
    assert summary.states == {"ingested": 1}
    assert (tmp_path / "node" / "rejects.jsonl").read_bytes() == b""


def test_a_rename_from_1_to_0_deletes(tmp_path: Path, root: Path) -> None:
    copy = tmp_path / "tree"
    shutil.copytree(root, copy)
    ingest(tmp_path / "node", copy)
    lab = next(path for path in sorted(copy.rglob("*_OML-11_*_1")))
    lab.rename(lab.with_name(lab.name[:-1] + "0"))
    summary, exported = ingest(tmp_path / "node", copy)
    assert summary.states == {"unchanged": 23, "deleted": 1}
    assert summary.resources["Observation"] > 0
    _, again = ingest(tmp_path / "fresh", copy)
    assert exported == again


def test_a_path_that_does_not_exist_is_wrong_usage(tmp_path: Path) -> None:
    with node(tmp_path) as (ingestor, _), pytest.raises(ConfigurationError, match="no such file"):
        ingestor.run([str(tmp_path / "none")], rejects_file=tmp_path / "r")


def test_an_error_while_storing_rejects_that_file_only(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlucky = sorted(os.fsencode(str(path)) for path in root.rglob("*_ADT-00_*") if path.is_file())[0]
    with node(tmp_path) as (ingestor, _):
        keep = ingestor.keeping.keep

        def picky(outcomes: list[object], record: object) -> object:
            if any(outcome.path == unlucky and outcome.messages for outcome in outcomes):  # type: ignore[attr-defined]
                raise ValueError("patient's name")
            return keep(outcomes, record)  # type: ignore[arg-type]

        monkeypatch.setattr(ingestor.keeping, "keep", picky)
        summary = ingestor.run([str(root)], rejects_file=tmp_path / "rejects.jsonl")
    assert summary.states["rejected"] == 1 and summary.seen == 24
    (line,) = (tmp_path / "rejects.jsonl").read_bytes().splitlines()
    assert orjson.loads(line)["code"] == "internal-error" and b"name" not in line.partition(b'"code"')[2]


def test_a_lost_storage_stops_the_run(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with node(tmp_path) as (ingestor, _):

        def lost(*_: object) -> None:
            raise Unavailable("storage: disk full")

        monkeypatch.setattr(ingestor.keeping, "keep", lost)
        with pytest.raises(Unavailable):
            ingestor.run([str(root)], rejects_file=tmp_path / "rejects.jsonl")


def test_worker_processes_give_what_one_process_gives(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, alone = ingest(tmp_path / "alone", root)
    monkeypatch.setattr(workers, "ALONE", 3)
    monkeypatch.setattr(workers, "CHUNK", 4)
    monkeypatch.setattr(run, "BATCH_FILES", 7)
    summary, many = ingest(tmp_path / "many", root, workers=2)
    assert summary.seen == 24
    assert many == alone


def test_a_worker_that_dies_is_an_unavailable_part(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "ALONE", 0)
    with pytest.raises(Unavailable, match="worker"):
        list(workers.read_all([next(iter(_found(root)))], dying, 1))


def _found(root: Path) -> list[Found]:
    return [found for found in run.walk([str(root)], lambda _: False) if found]


def dying() -> object:
    os._exit(9)


def test_few_files_start_no_process(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "ProcessPoolExecutor", None)
    assert len(list(workers.read_all(_found(root), make_reader, 0))) == 24


def test_a_file_renamed_between_walk_and_read_is_ignored_this_time(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = _found(root)

    def ghostly(paths: list[str], ignored: object) -> Iterator[Found]:
        yield Found(b"/nowhere/renamed", 5, 5)
        yield from real

    monkeypatch.setattr(run, "walk", ghostly)
    summary, _ = ingest(tmp_path, root)
    assert (summary.seen, summary.states["ignored"], summary.states["rejected"]) == (25, 1, 0)
    assert (tmp_path / "rejects.jsonl").read_bytes() == b""


def test_two_runs_at_once_on_one_database_end_as_one(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, expected = ingest(tmp_path / "alone", root)
    monkeypatch.setattr(run, "BATCH_FILES", 2)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(ingest, tmp_path / "shared", root) for _ in range(2)]
        summaries = [one.result()[0] for one in both]
    assert ingest(tmp_path / "shared", root)[1] == expected
    assert all(summary.seen == 24 and not summary.states["rejected"] for summary in summaries)
    assert sum(summary.changed for summary in summaries) == 24
