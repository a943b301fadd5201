"""What differs between databases, and nothing else of ours knows it. SQLite today; PostgreSQL joins here.

The ingest path speaks to the driver itself (`Driver`): with ~100 small rows a file, SQLAlchemy's compilation and
result objects cost more than the database. Everything else goes through SQLAlchemy Core.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, partial
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.pool import QueuePool, StaticPool

from gateway.errors import ConfigurationError

BUSY_TIMEOUT_S = 60.0
"""How long a writer waits for the writer of another process (`ingest` beside `serve`), in seconds."""

CHUNK = 400
"""Values of one IN list: SQLite's statement cache sees few different statements, and no limit is met."""

READERS = 16
"""Connections kept for reading; more threads wait for one."""


READER_CACHE_KIB = 8 * 1024
WRITER_CACHE_KIB = 64 * 1024
"""Page cache of one connection. The writer keeps the upper levels of every index at hand; no memory map, because its
pages would count as the process's own memory and grow with the database."""


def open_engine(url: str, *, connections: int = READERS, cache_kib: int = READER_CACHE_KIB) -> Engine:
    """An engine whose transactions are ours: readers get one snapshot, writers (`write=True`) BEGIN IMMEDIATE.

    Raises ConfigurationError for a database this version does not speak.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        raise ConfigurationError("[database] url: this version stores in SQLite only (sqlite:///FILE)")
    memory = parsed.database in (None, "", ":memory:")
    arguments = {"timeout": BUSY_TIMEOUT_S, "check_same_thread": False, "cached_statements": 512}
    if memory:
        engine = create_engine(parsed, poolclass=StaticPool, connect_args=arguments)
    else:
        engine = create_engine(
            parsed, poolclass=QueuePool, pool_size=connections, max_overflow=0, connect_args=arguments, pool_timeout=30
        )
    event.listen(engine, "connect", partial(_prepare, cache_kib))
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(cache_kib: int, connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    cursor = connection.cursor()
    # FULL: a commit that was answered survives loss of power, also in WAL mode (sqlite.org/pragma.html#pragma_synchronous).
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "temp_store = MEMORY",
        f"cache_size = -{cache_kib}",
        "wal_autocheckpoint = 16000",
        "journal_size_limit = 67108864",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # IMMEDIATE: the lock is taken (and waited for) before anything is read, so that two writers never meet half-way.
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


class Driver:
    """The raw cursor of one write transaction. Statements use `?`; all values are bound."""

    def __init__(self, connection: Connection) -> None:
        raw: Any = connection.connection.driver_connection
        self._cursor: sqlite3.Cursor = raw.cursor()
        self._next: dict[str, int] = {}

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        return self._cursor.execute(sql, values).fetchall()

    def row(self, sql: str, values: Sequence[object] = ()) -> Any:
        return self._cursor.execute(sql, values).fetchone()

    def run(self, sql: str, values: Sequence[object] = ()) -> int:
        """Rows changed."""
        return self._cursor.execute(sql, values).rowcount

    def many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        self._cursor.executemany(sql, rows)

    def insert(self, table: Table, rows: Sequence[Sequence[object]], *, or_ignore: bool = False) -> None:
        """Rows in column order of the table."""
        if rows:
            self._cursor.executemany(insert_sql(table, or_ignore), rows)

    def among(self, sql: str, values: Iterable[object], before: Sequence[object] = ()) -> Iterator[Any]:
        """Rows of a select whose last condition is `IN (@)`, asked in chunks; parameters `before` come first."""
        wanted = list(values)
        for start in range(0, len(wanted), CHUNK):
            chunk = wanted[start : start + CHUNK]
            # Lists are filled up with their last value, so that only a few shapes of a statement exist.
            size = next(size for size in (1, 4, 16, 64, CHUNK) if size >= len(chunk))
            chunk += chunk[-1:] * (size - len(chunk))
            yield from self._cursor.execute(sql.replace("@", ",".join("?" * size)), [*before, *chunk]).fetchall()

    def number(self, table: str) -> int:
        """The next row number of a table with column `n`. Safe because a write transaction is alone."""
        if table not in self._next:
            self._next[table] = self.row(f"SELECT coalesce(max(n), 0) FROM {table}")[0]
        self._next[table] += 1
        return self._next[table]

    def forget_numbers(self) -> None:
        """After a rollback to a savepoint the tables end where they did before."""
        self._next.clear()


@cache
def insert_sql(table: Table, or_ignore: bool = False) -> str:
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    marks = ", ".join("?" * len(table.columns))
    ignore = " ON CONFLICT DO NOTHING" if or_ignore else ""
    return f"INSERT INTO {table.name} ({columns}) VALUES ({marks}){ignore}"


class Lookups:
    """Prebuilt statements on a reading connection of each thread's own: what is asked thousands of times a second pays
    for neither statement building nor the pool. Every statement is a snapshot of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._own = threading.local()
        self._all: list[Any] = []
        self._lock = threading.Lock()

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        try:
            execute = self._own.execute
        except AttributeError:
            execute = self._open()
        found: list[Any] = execute(sql, values).fetchall()
        return found

    def among(self, sql: str, values: Iterable[object], before: Sequence[object] = ()) -> Iterator[Any]:
        """As Driver.among."""
        wanted = list(values)
        for start in range(0, len(wanted), CHUNK):
            chunk = wanted[start : start + CHUNK]
            size = next(size for size in (1, 4, 16, 64, CHUNK) if size >= len(chunk))
            chunk += chunk[-1:] * (size - len(chunk))
            yield from self.rows(sql.replace("@", ",".join("?" * size)), [*before, *chunk])

    def _open(self) -> Any:
        lent = self._engine.raw_connection()
        raw: Any = lent.driver_connection
        if not isinstance(self._engine.pool, StaticPool):
            lent.detach()  # the pool makes another one; this one is ours
            with self._lock:
                self._all = [one for one in self._all if one[0].is_alive() or one[1].close()]
                self._all.append((threading.current_thread(), raw))
        self._own.execute = raw.execute
        return raw.execute

    def close(self) -> None:
        with self._lock:
            for _, raw in self._all:
                raw.close()
            self._all.clear()
