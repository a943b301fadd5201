"""PostgreSQL 13 and later over psycopg 3: one writing transaction at a time, as in SQLite, also over many processes.

What is stored is decided by reading what is there, so two writers must not meet half-way. An advisory lock makes the
writing transactions of all processes take turns; it is taken before the first statement reads, in READ COMMITTED, so
that everything the one before wrote is seen. Readers have a snapshot and wait for nobody. Reasons and costs:
docs/adr/0021-one-writer-on-postgresql.md.

psycopg is an extra (`postgresql`), so it is imported where the first such database is opened.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.pool import QueuePool

from gateway.errors import ConfigurationError, Unavailable
from gateway.storage.driver import CHUNK, Driver, insert_sql

LOCK_TIMEOUT_S: Final = 60
"""How long a writer waits for the writer of another process, in seconds."""
STATEMENT_TIMEOUT_S: Final = 120
"""One statement; a question that takes longer is nobody's any more."""
IDLE_TIMEOUT_S: Final = 600
"""Silence inside a transaction, after which the server ends it: a process that hangs must not keep the writers' turn."""
_CONNECT: Final = {
    "connect_timeout": 10,
    "application_name": "musubi",
    # A peer that vanished without a word is noticed after about a minute, not after hours.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
_TURN: Final = 0x4D757375  # "Musu": with the schema's hash, the key of the advisory lock
_SESSION: Final = (
    f"SET statement_timeout = '{STATEMENT_TIMEOUT_S}s'; SET lock_timeout = '{LOCK_TIMEOUT_S}s';"
    f" SET idle_in_transaction_session_timeout = '{IDLE_TIMEOUT_S}s'; SET client_encoding = 'UTF8';"
    " SET default_transaction_isolation = 'repeatable read';"
    # An acknowledgement is a receipt: whatever the server's default, a commit is on its disk before it is answered.
    " SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
)
_BEGIN_WRITE: Final = (
    f"SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock({_TURN}, hashtext(current_schema()))"
)
_COPY_FROM: Final = 4
"""Rows from which COPY is faster than as many bound INSERTs."""


class Postgresql:
    """storage.engines.Database on a server."""

    def open(self, url: URL, connections: int, *, writer: bool) -> Engine:
        try:
            import psycopg  # an extra
        except ImportError:
            raise ConfigurationError(
                "[database] url: PostgreSQL needs psycopg: pip install musubi-gateway[postgresql]"
            ) from None
        if url.drivername in ("postgresql", "postgres"):
            url = url.set(drivername="postgresql+psycopg")
        if url.drivername != "postgresql+psycopg":
            raise ConfigurationError("[database] url: PostgreSQL is spoken with psycopg 3 (postgresql+psycopg://...)")
        arguments = {key: value for key, value in _CONNECT.items() if key not in url.query}
        engine = create_engine(
            url, poolclass=QueuePool, pool_size=connections, max_overflow=0, pool_timeout=30, pool_pre_ping=True,
            connect_args=arguments,
        )  # fmt: skip
        dumper = _dumper(psycopg)

        def prepare(connection: Any, _record: object) -> None:
            connection.adapters.register_dumper(str, dumper)
            connection.execute(_SESSION)
            connection.commit()

        event.listen(engine, "connect", prepare)
        event.listen(engine, "begin", _begin)
        event.listen(engine, "handle_error", self._unavailable)
        return engine

    def make_room(self, url: URL) -> None:
        """Nothing: the database is made by whoever runs the server."""

    def there(self, url: URL) -> bool:
        """The server says so when it is asked."""
        return True

    def aside(self, raw: Any, *, memory: bool) -> None:
        """The server keeps to its work_mem."""

    def settle(self, connection: Connection) -> None:
        """Text in byte order, which is that of SQLite and of Python: the answers of one database are those of another,
        and an index serves comparison and prefix. Asked of the catalogue, so that no migration has to think of it.

        Raises ConfigurationError when the database does not keep UTF-8.
        """
        if connection.exec_driver_sql("SHOW server_encoding").scalar() != "UTF8":
            raise ConfigurationError("[database] url: the database has to be made with ENCODING 'UTF8'")
        columns: dict[str, list[str]] = {}
        for table, column in connection.exec_driver_sql(_OTHER_ORDER):
            columns.setdefault(table, []).append(f'ALTER COLUMN "{column}" TYPE text COLLATE "C"')
        for table, changes in columns.items():
            connection.exec_driver_sql(f'ALTER TABLE "{table}" {", ".join(changes)}')

    def driver(self, raw: Any) -> Driver:
        return PostgresqlDriver(raw.cursor(binary=True))

    def reader(self, raw: Any) -> Driver:
        raw.autocommit = True  # every statement is a snapshot of its own
        return PostgresqlDriver(raw.cursor(binary=True))

    def lost(self, error: BaseException) -> bool:
        """The connection is gone, or the server is going."""
        import psycopg  # an extra

        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)

    def cause(self, error: BaseException) -> str | None:
        """What the server calls it; its further words (DETAIL) would hold values, and so may those of a DataError."""
        import psycopg  # an extra

        if not isinstance(error, psycopg.Error):
            return None
        words = error.diag.message_primary if not isinstance(error, psycopg.DataError) else None
        if words is None and isinstance(error, psycopg.OperationalError):
            words = str(error).partition("\n")[0]
        return f"{type(error).__name__}: {words or error.sqlstate or 'no further words'}"

    def damage(self, connection: Connection) -> list[str]:
        """Indexes that are not valid, and pages whose checksum was wrong (where the server keeps checksums)."""
        found = [f"index {row[0]} is not valid" for row in connection.exec_driver_sql(_INVALID)]
        pages = connection.exec_driver_sql(_CHECKSUMS).scalar()
        return found + ([f"{pages} pages with a wrong checksum"] if pages else [])

    def _unavailable(self, context: ExceptionContext) -> None:
        """The server is not there, or no longer: said in our words; the pool makes a new connection for the next one."""
        original = context.original_exception
        gone = context.is_disconnect or (context.connection is None and self.lost(original))
        if gone and not context.is_pre_ping:
            raise Unavailable(f"storage: {self.cause(original)}")


_OTHER_ORDER: Final = (
    "SELECT c.table_name, c.column_name FROM information_schema.columns c JOIN information_schema.tables t"
    " ON t.table_schema = c.table_schema AND t.table_name = c.table_name AND t.table_type = 'BASE TABLE'"
    " WHERE c.table_schema = current_schema() AND c.data_type = 'text' AND c.collation_name IS DISTINCT FROM 'C'"
    " ORDER BY c.table_name, c.ordinal_position"
)
_INVALID: Final = (
    "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " WHERE c.relnamespace = current_schema()::regnamespace AND NOT i.indisvalid ORDER BY c.relname"
)
_CHECKSUMS: Final = "SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()"


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("write", False):
        connection.exec_driver_sql(_BEGIN_WRITE)


@cache
def _dumper(psycopg: Any) -> Any:
    """Text as PostgreSQL takes it. It has no NUL; readers refuse it long before (codec/), and what comes here all the
    same is stored, and asked for, as U+FFFD, rather than stop a batch."""

    class Text(psycopg.types.string.StrDumperUnknown):  # type: ignore[misc]
        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace("\0", "\ufffd") if "\0" in obj else obj)

    return Text


@lru_cache(maxsize=4096)
def spoken(sql: str) -> str:
    """A statement of storage/driver.py as psycopg takes it."""
    return (
        sql.replace("%", "%%")
        .replace("SELECT value FROM json_each(?)", "SELECT json_array_elements_text(?::json)")
        .replace("IN (@)", "= ANY(?)")
        .replace("?", "%s")
    )


class PostgresqlDriver(Driver):
    """The same over a psycopg cursor."""

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        found: list[Any] = self._cursor.execute(spoken(sql), values).fetchall()
        return found

    def row(self, sql: str, values: Sequence[object] = ()) -> Any:
        return self._cursor.execute(spoken(sql), values).fetchone()

    def run(self, sql: str, values: Sequence[object] = ()) -> int:
        changed: int = self._cursor.execute(spoken(sql), values or None).rowcount
        return changed

    def many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        if rows := list(rows):
            self._cursor.executemany(spoken(sql), rows)

    def insert(self, table: Table, rows: Sequence[Sequence[object]]) -> None:
        if len(rows) < _COPY_FROM:
            self.many(insert_sql(table), rows)
            return
        with self._cursor.copy(_copy_sql(table)) as copy:
            for row in rows:
                copy.write_row(row)

    def among(self, sql: str, values: Iterable[object], before: Sequence[object] = ()) -> Iterator[Any]:
        wanted = list(values)
        for start in range(0, len(wanted), CHUNK):
            yield from self.rows(sql, [*before, wanted[start : start + CHUNK]])


@cache
def _copy_sql(table: Table) -> str:
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    return f"COPY {table.name} ({columns}) FROM STDIN"
