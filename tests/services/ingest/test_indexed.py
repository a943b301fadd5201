"""Reading a storage by its index: only what is new, deletions, and paths that must not be followed."""

import csv
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.codec.index_feed import COLUMNS
from gateway.errors import Unavailable
from gateway.services.ingest import Summary
from tests.services.ingest.test_extended import NAME as CONTENT
from tests.services.ingest.test_extended import TYPE
from tests.services.ingest.trees import export, node, tree


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tree(tmp_path / "1310000001")


def rows_of(root: Path, first_second: int = 0) -> list[list[str]]:
    """The index of a tree, a second a row."""
    found = []
    for at, path in enumerate(sorted(path for path in root.rglob("*") if path.is_file())):
        parts = path.name.split("_")
        directory = str(path.parent.relative_to(root)).replace("/", "\\")
        second = at + first_second
        time = f"2024-06-01 12:{second // 60:02d}:{second % 60:02d}"
        found.append(["STD01", root.name, *parts[:4], "INS", parts[5], parts[4], directory, path.name, time])
    return found


def write(file: Path, rows: list[list[str]]) -> Path:
    with file.open("w", newline="", encoding="utf-8") as lines:
        csv.writer(lines).writerows([COLUMNS, *rows])
    return file


def run(here: Path, root: Path, index: Path | None, **options: object) -> tuple[Summary, list[bytes]]:
    with node(here) as (ingestor, store):
        summary = ingestor.run([str(root)], rejects_file=here / "r.jsonl", index=index, **options)  # type: ignore[arg-type]
        return summary, export(store)


def test_by_its_index_a_storage_gives_what_the_walk_gives(tmp_path: Path, root: Path) -> None:
    _, walked = run(tmp_path / "walk", root, None)
    summary, found = run(tmp_path / "index", root, write(tmp_path / "i.csv", rows_of(root)))
    assert found == walked and summary.seen == 24 and not summary.issues.get("index-file-missing")


def test_sqlite_gives_the_same(tmp_path: Path, root: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "i.db")) as connection, connection:
        connection.execute(f"CREATE TABLE SSMIXIDX ({', '.join(COLUMNS)})")
        connection.executemany(f"INSERT INTO SSMIXIDX VALUES ({', '.join('?' * 12)})", rows_of(root))
    assert run(tmp_path / "a", root, tmp_path / "i.db")[1] == run(tmp_path / "b", root, None)[1]


def test_the_next_run_looks_only_at_rows_from_the_watermark_on(tmp_path: Path, root: Path) -> None:
    rows = rows_of(root)
    index = write(tmp_path / "i.csv", rows[:20])
    assert run(tmp_path / "n", root, index)[0].seen == 20
    write(index, rows)
    summary, found = run(tmp_path / "n", root, index)
    assert summary.states["unchanged"] == 1 and summary.seen == 5  # the row of the watermark itself is looked at again
    assert found == run(tmp_path / "fresh", root, None)[1]


def test_a_run_that_was_killed_or_dry_moves_no_watermark(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = write(tmp_path / "i.csv", rows_of(root))
    assert run(tmp_path / "n", root, index, dry_run=True)[0].seen == 24
    with node(tmp_path / "n") as (ingestor, _):

        def lost(*_: object) -> None:
            raise Unavailable("the database is gone")

        monkeypatch.setattr(ingestor.keeping, "keep", lost)
        with pytest.raises(Unavailable):
            ingestor.run([str(root)], rejects_file=tmp_path / "r", index=index)
    assert run(tmp_path / "n", root, index)[0].states["ingested"] > 10


def test_a_deletion_of_a_file_that_is_gone(tmp_path: Path, root: Path) -> None:
    index = write(tmp_path / "i.csv", rows := rows_of(root))
    run(tmp_path / "n", root, index)
    lab = next(row for row in rows if "_OML-11_" in row[10] and row[10].endswith("_1"))
    (root / lab[9].replace("\\", "/") / lab[10]).unlink()
    gone = [*lab[:6], "DEL", lab[7], "20991231000000000", lab[9], "", "2024-06-01 13:00:00"]
    write(index, [*rows, gone])
    summary, found = run(tmp_path / "n", root, index)
    assert summary.states["deleted"] == 1
    renamed = tmp_path / "other"
    shutil.copytree(root, renamed / root.name)
    assert found == run(tmp_path / "fresh", renamed, None)[1]
    assert run(tmp_path / "n", root, index)[0].states == {"unchanged": 1}


def test_a_file_with_another_flag_than_its_row_is_found(tmp_path: Path, root: Path) -> None:
    rows = rows_of(root)
    lab = next(path for path in sorted(root.rglob("*_OML-11_*_1")))
    lab.rename(lab.with_name(lab.name[:-1] + "2"))
    summary, found = run(tmp_path / "n", root, write(tmp_path / "i.csv", rows))
    assert not summary.issues.get("index-file-missing")
    assert found == run(tmp_path / "walk", root, None)[1]


def test_what_is_wrong_with_rows_is_counted(tmp_path: Path, root: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    rows = rows_of(root)
    secret = rows[0][10]
    shutil.copy(root / rows[0][9].replace("\\", "/") / secret, outside / secret)
    (root / "link").symlink_to(outside)
    (root / rows[1][9].replace("\\", "/") / rows[1][10]).unlink()
    rows[0][9] = "..\\outside"
    rows[2][9] = "link"
    rows[2][10] = secret
    summary, _ = run(tmp_path / "n", root, write(tmp_path / "i.csv", rows))
    assert summary.issues["index-row-unusable"] == 1
    assert summary.issues["index-file-missing"] >= 1
    assert summary.seen == 24 and summary.states["ignored"] == 3


def test_what_is_no_index_lets_the_tree_be_walked(tmp_path: Path, root: Path) -> None:
    (tmp_path / "i.csv").write_text("nothing of this kind\n", "utf-8")
    (tmp_path / "i.db").write_bytes(b"SQLite format 3\x00" + b"\x00" * 100)
    for name in ("i.csv", "i.db"):
        summary, _ = run(tmp_path / name[2:], root, tmp_path / name)
        assert summary.issues["index-unreadable"] == 1 and summary.seen == 24


def test_what_was_rejected_is_tried_again_although_its_row_is_old(tmp_path: Path, root: Path) -> None:
    index = write(tmp_path / "i.csv", rows_of(root))
    victim = next(path for path in sorted(root.rglob("*_OML-11_*_1")))
    content = victim.read_bytes()
    victim.write_bytes(b"")
    assert run(tmp_path / "n", root, index)[0].states["rejected"] == 1
    victim.write_bytes(content)
    assert run(tmp_path / "n", root, index)[0].states["ingested"] == 1


def test_a_row_of_the_extended_storage_names_a_folder(tmp_path: Path) -> None:
    root = tmp_path / "1310000001"
    place = root / "000" / "001" / "0000012345" / "20240601" / TYPE
    (place / f"{CONTENT}1").mkdir(parents=True)
    (place / f"{CONTENT}1" / "scan.pdf").write_bytes(b"%PDF-1.7")
    directory = str(place.relative_to(root))
    row = ["ANX01", root.name, "0000012345", "20240601", TYPE, "777", "INS", "01", "20240601120000123", directory]
    index = write(tmp_path / "i.csv", [[*row, f"{CONTENT}1", "2024-06-01 12:00:00"]])
    summary, found = run(tmp_path / "n", root, index)
    assert summary.states == {"ingested": 1} and found == run(tmp_path / "walk", root, None)[1]
