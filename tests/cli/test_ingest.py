"""`musubi ingest` from the outside: summaries, rejects, and that the order of arrival leaves no trace."""

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gateway.sandbox.damage import damage

STATES = ("ingested", "unchanged", "superseded", "deleted", "rejected", "ignored")


def summary(result: Any) -> dict[str, Any]:
    found: dict[str, Any] = result.documents[-1]
    assert found["seen"] == sum(found[state] for state in STATES)
    return found


def rows(config: Path, table: str) -> int:
    """Without the mark that says for which rules the identity index was made: opening a database sets it."""
    but = " WHERE path <> CAST('persons:index' AS BLOB)" if table == "ledger" else ""
    with closing(sqlite3.connect(config.parent / "musubi.db")) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}{but}").fetchone()[0])


def tables(config: Path) -> list[str]:
    """All that hold data."""
    with closing(sqlite3.connect(config.parent / "musubi.db")) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'alembic_version'")
        names = [str(name) for (name,) in found]
    assert {"resource", "blob", "registry_object", "ledger", "audit"} <= set(names)
    return names


def rejects(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def exported(musubi: Any, config: Path) -> list[dict[str, Any]]:
    """What `export` writes, but for what says when it was stored."""
    documents: list[dict[str, Any]] = musubi("export", "-c", config).documents
    for document in documents:
        del document["meta"]["versionId"], document["meta"]["lastUpdated"]
    return documents


@pytest.fixture
def storage(tmp_path: Path, tokyo: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(tokyo, tmp_path / "storage" / tokyo.name))


def files(storage: Path) -> list[Path]:
    return sorted(path for path in storage.rglob("*") if path.is_file())


def test_the_summary_and_a_second_run(musubi: Any, node: Any, tokyo: Path) -> None:
    config = node()
    first = musubi("ingest", tokyo, "-c", config, "--json")
    found = summary(first)
    assert first.code == 0 and found["seen"] == 34 and found["rejected"] == found["unchanged"] == 0
    assert found["resources"]["Patient"] == 5 and found["resources"]["Observation"] > 100
    assert Path(found["rejects"]) == config.parent / "rejects.jsonl"
    again = summary(musubi("ingest", tokyo, "-c", config, "--json"))
    assert again["unchanged"] == 34 and again["resources"] == {}


def test_words_for_people(musubi: Any, node: Any, tokyo: Path) -> None:
    result = musubi("ingest", tokyo, "-c", node())
    assert result.out.decode().startswith("34 files: ") and "Observation" in result.out.decode()


def test_a_dry_run_stores_nothing(musubi: Any, node: Any, tokyo: Path) -> None:
    config = node()
    found = summary(musubi("ingest", tokyo, "-c", config, "--json", "--dry-run"))
    assert found["ingested"] > 0 and found["rejects"] is None
    assert sum(rows(config, table) for table in tables(config)) == 0
    assert not (config.parent / "rejects.jsonl").exists()
    assert summary(musubi("ingest", tokyo, "-c", config, "--json"))["ingested"] == found["ingested"]


def test_a_dry_run_finds_what_is_bad(musubi: Any, node: Any, storage: Path) -> None:
    files(storage)[0].write_bytes(b"%PDF")
    result = musubi("ingest", storage, "-c", node(), "--json", "--dry-run")
    assert result.code == 1 and summary(result)["rejected"] == 1


def test_the_order_of_files_and_runs_leaves_no_trace(musubi: Any, node: Any, storage: Path) -> None:
    """Two nodes: one takes the storage as it is, the other its files one by one from the end, in two runs."""
    whole, parts = node("whole"), node("parts", port=8081)
    musubi("ingest", storage, "-c", whole)
    mixed = files(storage)[::-1]
    Random(7).shuffle(mixed)
    for half in (mixed[20:], mixed[:20]):
        assert musubi("ingest", *half, "-c", parts).code == 0
    one, other = exported(musubi, whole), exported(musubi, parts)
    assert one == other and len(one) > 100


def test_what_is_rejected_is_listed_and_leaves_the_list_when_it_is_mended(
    musubi: Any, node: Any, storage: Path, labs: Path
) -> None:
    config = node()
    bad = next(path for path in files(storage) if path.name == labs.name)
    bad.write_bytes(b"")
    result = musubi("ingest", storage, "-c", config, "--json")
    assert result.code == 1 and summary(result)["rejected"] == 1
    (line,) = rejects(config.parent / "rejects.jsonl")
    assert set(line) == {"file", "order_no", "offset", "severity", "code", "reason"}
    assert (line["file"], line["code"], line["offset"]) == (str(bad), "not-hl7", 0)
    assert line["order_no"] == bad.name.split("_")[3]
    assert "not-hl7" in musubi("ingest", storage, "-c", config).out.decode(), "tried again and told again"
    shutil.copy(labs, bad)
    assert summary(musubi("ingest", storage, "-c", config, "--json"))["ingested"] == 1
    assert rejects(config.parent / "rejects.jsonl") == []


def test_a_patient_who_is_not_the_one_of_the_file_name_is_not_stored(musubi: Any, node: Any, storage: Path) -> None:
    bad = files(storage)[0]
    other = bad.with_name(bad.name.replace(bad.name.split("_")[0], "9999999999"))
    bad.rename(other)
    config = node()
    result = musubi("ingest", other, "-c", config, "--json")
    assert result.code == 1 and [line["code"] for line in rejects(config.parent / "rejects.jsonl")] == [
        "patient-mismatch"
    ]
    assert rows(config, "resource") == 0


def test_rejects_may_go_elsewhere(musubi: Any, node: Any, storage: Path, tmp_path: Path) -> None:
    files(storage)[0].write_bytes(b"%PDF")
    config = node()
    result = musubi("ingest", storage, "-c", config, "--json", "--rejects", tmp_path / "bad.jsonl")
    assert summary(result)["rejects"] == str(tmp_path / "bad.jsonl") and len(rejects(tmp_path / "bad.jsonl")) == 1
    assert not (config.parent / "rejects.jsonl").exists()


@pytest.mark.parametrize("place", ["nix/bad.jsonl", "node"])
def test_rejects_that_cannot_be_written_are_refused_before_the_work(
    musubi: Any, node: Any, tokyo: Path, place: str
) -> None:
    config = node()
    result = musubi("ingest", tokyo, "-c", config, "--rejects", place)
    assert result.code == 2 and place in result.err and result.err.count("\n") == 1
    assert [path.name for path in config.parent.iterdir()] == ["musubi.toml"]


def test_paths_with_spaces_japanese_and_line_feeds(musubi: Any, node: Any, storage: Path, tmp_path: Path) -> None:
    odd = tmp_path / "大阪 病院\n次" / storage.name
    shutil.copytree(storage, odd)
    files(odd)[0].write_bytes(b"%PDF")
    config = node()
    result = musubi("ingest", odd, "-c", config, "--json")
    assert summary(result)["seen"] == 34
    (line,) = rejects(config.parent / "rejects.jsonl")
    assert line["file"] == str(files(odd)[0])


def test_a_folder_name_in_shift_jis(musubi: Any, node: Any, storage: Path, tmp_path: Path) -> None:
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/\x93\x8c\x8b\x9e/") + storage.name
    try:
        shutil.copytree(storage, odd)
    except OSError:
        pytest.skip("this file system refuses such a name")
    found = summary(musubi("ingest", odd, "-c", node(), "--json"))
    assert (found["seen"], found["rejected"]) == (34, 0)


def test_links_that_go_round_are_not_followed(musubi: Any, node: Any, storage: Path) -> None:
    (storage / "000" / "round").symlink_to(storage, target_is_directory=True)
    (storage / "self").symlink_to("self")
    (storage / "gone").symlink_to("nowhere")
    result = musubi("ingest", storage, "-c", node(), "--json")
    found = summary(result)
    assert result.code == 1 and found["rejected"] == 2, "two links that lead nowhere"
    assert found["seen"] == 36


def test_what_is_no_document_is_counted_and_left_out(musubi: Any, node: Any, storage: Path) -> None:
    (storage / "Thumbs.db").write_bytes(b"x")
    found = summary(musubi("ingest", storage, "-c", node(), "--json"))
    assert (found["ignored"], found["rejected"]) == (1, 0)


def test_a_storage_that_may_only_be_read(musubi: Any, node: Any, storage: Path) -> None:
    folders = [storage, *(path for path in storage.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert summary(musubi("ingest", storage, "-c", node(), "--json"))["rejected"] == 0
    finally:
        for folder in folders:
            folder.chmod(0o755)


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_node_folder_that_may_only_be_read(musubi: Any, node: Any, tokyo: Path) -> None:
    config = node()
    config.parent.chmod(0o555)
    try:
        result = musubi("ingest", tokyo, "-c", config)
    finally:
        config.parent.chmod(0o755)
    assert result.code in (2, 3) and "[database] url" in result.err and "Traceback" not in result.err


@pytest.mark.parametrize("kind", ["truncated", "cut-in-kanji", "nul", "utf-16", "empty"])
def test_a_damaged_file_never_stops_the_others(musubi: Any, node: Any, storage: Path, labs: Path, kind: str) -> None:
    path = next(path for path in files(storage) if path.name == labs.name)
    path.write_bytes(damage(path.read_bytes(), kind, Random(3)))
    result = musubi("ingest", storage, "-c", node(), "--json")
    found = summary(result)
    assert result.code in (0, 1) and found["seen"] == 34 and found["ingested"] >= 28


def test_the_facility_has_to_be_an_oid(musubi: Any, node: Any, tokyo: Path) -> None:
    result = musubi("ingest", tokyo, "-c", node(), "--facility", "TOKYO-HP")
    assert result.code == 2 and "--facility" in result.err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("[ingst]\nworkers = 1", "unknown key 'ingst' (did you mean 'ingest'?)"),
        ("[ingest]\nworker = 1", "unknown key 'ingest.worker' (did you mean 'workers'?)"),
        ("[ingest]\nworkers = -1", "ingest.workers"),
        (
            "[database]\nurl = 'musubi.db'",
            "database.url has to be a database URL: sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME",
        ),
        ("[database]\nurl = 'oracle://x'", "SQLite and PostgreSQL are spoken"),
        ("[blobs]\nurl = 'ftp://bucket'", "file:FOLDER"),
        ("[broken", "musubi.toml: "),
    ],
)
def test_a_configuration_that_is_wrong(musubi: Any, node: Any, tokyo: Path, more: str, words: str) -> None:
    result = musubi("ingest", tokyo, "-c", node(more=more))
    assert result.code == 2 and result.err.startswith("musubi: ") and words in result.err
    assert result.err.count("\n") == 1


def test_a_database_that_is_none(musubi: Any, node: Any, tokyo: Path) -> None:
    config = node()
    (config.parent / "musubi.db").write_bytes(b"this is a text and no database " * 50)
    result = musubi("ingest", tokyo, "-c", config)
    assert result.code == 2 and "[database] url" in result.err and "Traceback" not in result.err


def test_an_index_says_what_is_read(musubi: Any, node: Any, storage: Path, tmp_path: Path) -> None:
    config = node()
    (found, *_) = (path for path in files(storage) if path.name.endswith("_1") and "_OML-11_" in path.name)
    parts = found.name.split("_")
    directory = str(found.parent.relative_to(storage))
    row = ["STD01", storage.name, *parts[:4], "INS", parts[5], parts[4], directory, found.name, "2026-06-01 12:00:00"]
    index = tmp_path / "ssmixidx.csv"
    index.write_text(",".join(row) + "\n", "utf-8")
    told = summary(musubi("ingest", storage, "--index", index, "-c", config, "--json"))
    assert (told["seen"], told["ingested"]) == (1, 1)
    assert musubi("ingest", storage, "--index", tmp_path / "none", "-c", config).code == 2
