"""Group commit: one caller's failure is its own, and a future is done only after the commit."""

import threading
from concurrent.futures import Future
from pathlib import Path

import pytest
from sqlalchemy import event

from gateway.errors import Unavailable
from gateway.storage.engines import Driver, open_engine
from gateway.storage.writer import Writer
from tests.storage.making import database_url


@pytest.fixture
def url(each_engine: str, tmp_path: Path) -> str:
    url = database_url(tmp_path)
    number = "INTEGER PRIMARY KEY" if each_engine == "sqlite" else "SERIAL PRIMARY KEY"
    engine = open_engine(url)
    with engine.execution_options(write=True).connect() as connection, connection.begin():
        connection.exec_driver_sql(f"CREATE TABLE t (n {number}, v TEXT)")
    engine.dispose()
    return url


def put(value: str) -> object:
    return lambda driver: driver.run("INSERT INTO t (v) VALUES (?)", (value,))


def values(url: str) -> list[str]:
    with open_engine(url).connect() as connection:
        return list(connection.exec_driver_sql("SELECT v FROM t ORDER BY v").scalars())


def grouped(url: str, acts: list[object]) -> tuple[list[Future[object]], int]:
    """Hands in all acts while the writer is busy, so that they share one transaction. Returns their futures and the
    number of commits they took."""
    engine = open_engine(url)
    commits: list[object] = []
    writer = Writer(engine)
    entered, go = threading.Event(), threading.Event()

    def wait(_driver: Driver) -> None:
        entered.set()
        go.wait()

    first = writer.submit(wait)
    entered.wait()
    futures = [writer.submit(act) for act in acts]  # type: ignore[arg-type]
    event.listen(engine, "commit", commits.append)
    go.set()
    first.result()
    writer.close()
    return futures, len(commits) - 1


def test_many_callers_share_one_commit(url: str) -> None:
    futures, commits = grouped(url, [put(str(number)) for number in range(20)])
    assert all(future.result() == 1 for future in futures)
    assert commits == 1
    assert len(values(url)) == 20


def test_a_failing_caller_takes_only_its_own_rows_back(url: str) -> None:
    def fail(driver: Driver) -> None:
        driver.run("INSERT INTO t (v) VALUES ('lost')")
        raise KeyError("mine")

    futures, _ = grouped(url, [put("before"), fail, put("after")])
    with pytest.raises(KeyError, match="mine"):
        futures[1].result()
    assert values(url) == ["after", "before"]


def test_numbers_go_on_where_the_table_ends_after_a_failure(url: str) -> None:
    def fail(driver: Driver) -> None:
        driver.run("INSERT INTO t (n, v) VALUES (?, 'lost')", (driver.number("t"),))
        raise KeyError

    def take(driver: Driver) -> int:
        number = driver.number("t")
        driver.run("INSERT INTO t (n, v) VALUES (?, 'kept')", (number,))
        return number

    futures, _ = grouped(url, [take, fail, take])
    assert [futures[0].result(), futures[2].result()] == [1, 2]


def test_an_error_of_the_database_is_told_without_statement_or_values(url: str) -> None:
    writer = Writer(open_engine(url))
    with pytest.raises(Unavailable) as caught:
        writer.run(lambda driver: driver.run("INSERT INTO nowhere VALUES ('山田太郎')"))
    assert "no such table" in str(caught.value) or "does not exist" in str(caught.value)
    assert "山田" not in str(caught.value)
    assert writer.run(put("still alive")) == 1  # type: ignore[arg-type]
    writer.close()


def test_a_failed_commit_fails_every_caller(url: str) -> None:
    engine = open_engine(url)
    writer = Writer(engine)

    def refuse(_connection: object) -> None:
        raise OSError("disk full")

    event.listen(engine, "commit", refuse)
    with pytest.raises(OSError, match="disk full"):
        writer.run(put("lost"))  # type: ignore[arg-type]
    event.remove(engine, "commit", refuse)
    writer.close()
    assert values(url) == []


def test_close_finishes_what_was_handed_in_and_refuses_more(url: str) -> None:
    writer = Writer(open_engine(url))
    futures = [writer.submit(put(str(number))) for number in range(5)]  # type: ignore[arg-type]
    writer.close()
    writer.close()
    assert all(future.done() for future in futures)
    with pytest.raises(Unavailable):
        writer.submit(put("late"))  # type: ignore[arg-type]


def test_two_processes_worth_of_writers_take_turns(url: str) -> None:
    writers = [Writer(open_engine(url)) for _ in range(3)]
    futures = [writer.submit(put(f"{at}-{number}")) for number in range(20) for at, writer in enumerate(writers)]  # type: ignore[arg-type]
    for future in futures:
        future.result()
    for writer in writers:
        writer.close()
    assert len(values(url)) == 60
