"""SQLite: write-ahead log, every commit synced, one writer at a time in all processes."""

import sqlite3
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool, StaticPool

from gateway.storage.driver import Driver

BUSY_TIMEOUT_S: Final = 60.0
"""How long a writer waits for the writer of another process (`ingest` beside `serve`), in seconds."""

READER_CACHE_KIB: Final = 8 * 1024
WRITER_CACHE_KIB: Final = 64 * 1024
"""Page cache of one connection. The writer keeps the upper levels of every index at hand; no memory map, because its
pages would count as the process's own memory and grow with the database."""


class Sqlite:
    """storage.engines.Database in a file, or in memory for tests."""

    def open(self, url: URL, connections: int, *, writer: bool) -> Engine:
        arguments = {"timeout": BUSY_TIMEOUT_S, "check_same_thread": False, "cached_statements": 512}
        if url.database in (None, "", ":memory:"):
            engine = create_engine(url, poolclass=StaticPool, connect_args=arguments)
        else:
            engine = create_engine(
                url, poolclass=QueuePool, pool_size=connections, max_overflow=0, connect_args=arguments, pool_timeout=30
            )
        event.listen(engine, "connect", partial(_prepare, WRITER_CACHE_KIB if writer else READER_CACHE_KIB))
        event.listen(engine, "begin", _begin)
        return engine

    def make_room(self, url: URL) -> None:
        if url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)

    def there(self, url: URL) -> bool:
        return not url.database or Path(url.database).is_file()

    def aside(self, raw: Any, *, memory: bool) -> None:
        raw.execute(f"PRAGMA temp_store = {'MEMORY' if memory else 'FILE'}")

    def settle(self, connection: Connection) -> None:
        """Nothing: text is compared byte by byte."""

    def driver(self, raw: Any) -> Driver:
        return Driver(raw.cursor())

    def reader(self, raw: Any) -> Driver:
        return Driver(raw)  # a connection executes like a cursor, and every statement gets one of its own

    def lost(self, error: BaseException) -> bool:
        return False

    def cause(self, error: BaseException) -> str | None:
        """The driver's own words (disk full, locked, read-only), which hold no values; None for what is not its own."""
        return f"{type(error).__name__}: {error}" if isinstance(error, sqlite3.Error) else None

    def damage(self, connection: Connection) -> list[str]:
        found = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA quick_check(10)")]
        return [words for words in found if words != "ok"]


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
