"""Which database, and what differs between them: nothing else of ours knows it. SQLite for one machine, PostgreSQL for
many processes. Each is one class (sqlite.py, postgresql.py) that says how it is opened, how a write transaction is
alone, how it takes the statements of driver.py, and what its errors mean.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import StaticPool

from gateway.errors import ConfigurationError, Unavailable
from gateway.storage.driver import CHUNK, Driver
from gateway.storage.postgresql import Postgresql
from gateway.storage.sqlite import Sqlite

__all__ = ["CHUNK", "Database", "Driver", "Lookups", "cause", "database_of", "driver_of", "open_engine"]

READERS: Final = 16
"""Connections kept for reading; more threads wait for one."""

T = TypeVar("T")


class Database(Protocol):
    """One kind of database."""

    def open(self, url: URL, connections: int, *, writer: bool) -> Engine:
        """Raises ConfigurationError when it cannot be spoken."""

    def make_room(self, url: URL) -> None:
        """Before the first connection. Raises OSError."""

    def there(self, url: URL) -> bool:
        """Whether there can be a database; asked before one is opened for reading alone."""

    def aside(self, raw: Any, *, memory: bool) -> None:
        """Over a driver's connection outside a transaction: whether what a statement puts aside stays in memory."""

    def settle(self, connection: Connection) -> None:
        """After migrations, in their transaction: what no migration says."""

    def driver(self, raw: Any) -> Driver:
        """Over a driver's connection inside a transaction."""

    def reader(self, raw: Any) -> Driver:
        """Over a driver's connection of its own, every statement a snapshot."""

    def lost(self, error: BaseException) -> bool:
        """The connection is gone, not the question wrong."""

    def cause(self, error: BaseException) -> str | None:
        """Why the database refused, without values; None when it was not the database."""

    def damage(self, connection: Connection) -> list[str]:
        """What the database finds wrong with itself."""


_DATABASES: Final[Mapping[str, Database]] = {"sqlite": Sqlite(), "postgresql": Postgresql()}


def open_engine(url: str, *, connections: int = READERS, writer: bool = False) -> Engine:
    """An engine whose transactions are ours: readers get one snapshot, a writer (`write=True`) is alone.

    Raises ConfigurationError for a database this version does not speak.
    """
    try:
        parsed = make_url(url)
        database = _DATABASES[parsed.get_backend_name()]
    except (ArgumentError, KeyError):
        raise ConfigurationError(
            "[database] url: SQLite and PostgreSQL are spoken (sqlite:///FILE, postgresql+psycopg://USER@HOST/NAME)"
        ) from None
    return database.open(parsed, connections, writer=writer)


def database_of(where: Engine | Connection) -> Database:
    return _DATABASES[where.dialect.name]


def driver_of(connection: Connection) -> Driver:
    """The raw driver of a Core connection's transaction."""
    return database_of(connection).driver(connection.connection.driver_connection)


def cause(where: Engine | Connection, error: BaseException) -> str | None:
    """A failure of the database or its driver in words without statement and values; None for any other."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    return database_of(where).cause(origin) if origin is not None else None


class Lookups:
    """Prebuilt statements on a reading connection of each thread's own: what is asked thousands of times a second pays
    for neither statement building nor the pool. Every statement is a snapshot of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._database = engine, database_of(engine)
        self._own = threading.local()
        self._all: list[tuple[threading.Thread, Any]] = []
        self._lock = threading.Lock()

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        """Raises Unavailable when the database is gone and does not come back at once."""
        return self._ask(lambda driver: driver.rows(sql, values))

    def among(self, sql: str, values: Iterable[object], before: Sequence[object] = ()) -> Iterator[Any]:
        """As Driver.among."""
        wanted = list(values)
        return iter(self._ask(lambda driver: list(driver.among(sql, wanted, before))))

    def _ask(self, question: Callable[[Driver], list[Any]]) -> list[Any]:
        try:
            driver = self._own.driver
        except AttributeError:
            driver = self._open()
        try:
            return question(driver)
        except Exception as error:
            if not self._database.lost(error):
                raise
        # Reading changes nothing, so it is asked once more, on a new connection.
        try:
            return question(self._open())
        except Exception as error:
            if not self._database.lost(error):
                raise
            del self._own.driver
            raise Unavailable(f"storage: {self._database.cause(error)}") from None

    def _open(self) -> Driver:
        try:
            lent = self._engine.raw_connection()
        except Exception as error:
            if (words := cause(self._engine, error)) is None:
                raise
            raise Unavailable(f"storage: {words}") from None
        raw: Any = lent.driver_connection
        if not isinstance(self._engine.pool, StaticPool):
            lent.detach()  # the pool makes another one; this one is ours
            me = threading.current_thread()
            with self._lock:
                ended = [one for one in self._all if one[0] is me or not one[0].is_alive()]
                self._all = [one for one in self._all if one not in ended] + [(me, raw)]
            for _, connection in ended:
                connection.close()
        driver = self._database.reader(raw)
        self._own.driver = driver
        return driver

    def close(self) -> None:
        with self._lock:
            for _, raw in self._all:
                raw.close()
            self._all.clear()
