import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.errors import ConfigurationError
from gateway.storage.driver import CHUNK, insert_sql
from gateway.storage.engines import driver_of, open_engine
from gateway.storage.schema import outbox


def test_the_log_is_ahead_of_the_data_and_every_commit_is_synced(tmp_path: Path) -> None:
    with open_engine(f"sqlite:///{tmp_path / 'x.db'}").connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1


def test_a_database_that_is_not_spoken_is_a_configuration_error() -> None:
    for url in ("mysql://localhost/musubi", "postgresql+psycopg2://localhost/musubi", "no url"):
        with pytest.raises(ConfigurationError, match=r"SQLite|psycopg 3"):
            open_engine(url)


def test_a_writer_holds_the_lock_from_its_first_word(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    with open_engine(f"sqlite:///{file}").execution_options(write=True).connect() as connection, connection.begin():
        other = sqlite3.connect(file, timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()


def test_a_reader_keeps_one_snapshot(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'x.db'}")
    write = engine.execution_options(write=True)
    with write.connect() as connection, connection.begin():
        connection.execute(text("CREATE TABLE t (n INTEGER)"))
    with engine.connect() as reader:
        assert reader.execute(text("SELECT count(*) FROM t")).scalar() == 0
        with write.connect() as connection, connection.begin():
            connection.execute(text("INSERT INTO t VALUES (1)"))
        assert reader.execute(text("SELECT count(*) FROM t")).scalar() == 0


@pytest.mark.parametrize("count", [0, 1, 5, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_a_long_list_is_asked_in_chunks_and_every_row_comes_once(tmp_path: Path, count: int) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'x.db'}").execution_options(write=True)
    with engine.connect() as connection, connection.begin():
        connection.execute(text("CREATE TABLE t (n INTEGER)"))
        driver = driver_of(connection)
        driver.many("INSERT INTO t VALUES (?)", [(n,) for n in range(count + 10)])
        rows = list(driver.among("SELECT n FROM t WHERE n >= ? AND n IN (@)", range(count), (0,)))
        assert sorted(rows) == [(n,) for n in range(count)]


def test_an_insert_names_its_columns() -> None:
    sql = insert_sql(outbox)
    assert sql.startswith('INSERT INTO outbox ("n", "kind"') and sql.endswith("VALUES (?, ?, ?, ?, ?, ?)")
