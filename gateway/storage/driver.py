"""The raw cursor of one write transaction, as the ingest path speaks to it.

With ~100 small rows a file, SQLAlchemy's compilation and result objects cost more than the database, so this path
writes its own statements. They stand once, in the form below, for every database (storage/engines.py):

* `?` is a bound value; there is no other way for a value into a statement;
* `IN (@)` takes a list, and stands last;
* `SELECT value FROM json_each(?)` takes the texts of a JSON list.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import Table

CHUNK: Final = 400
"""Values of one IN list: SQLite's statement cache sees few different statements, and no limit is met."""
_SIZES: Final = (1, 4, 16, 64, CHUNK)


class Driver:
    """Statements over a DB-API cursor, as SQLite takes them."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self._next: dict[str, int] = {}

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        found: list[Any] = self._cursor.execute(sql, values).fetchall()
        return found

    def row(self, sql: str, values: Sequence[object] = ()) -> Any:
        return self._cursor.execute(sql, values).fetchone()

    def run(self, sql: str, values: Sequence[object] = ()) -> int:
        """Rows changed."""
        changed: int = self._cursor.execute(sql, values).rowcount
        return changed

    def many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        self._cursor.executemany(sql, rows)

    def insert(self, table: Table, rows: Sequence[Sequence[object]]) -> None:
        """Rows in column order of the table."""
        if rows:
            self._cursor.executemany(insert_sql(table), rows)

    def among(self, sql: str, values: Iterable[object], before: Sequence[object] = ()) -> Iterator[Any]:
        """Rows of a select whose last condition is `IN (@)`, asked in chunks; parameters `before` come first."""
        for chunk in chunks(values):
            yield from self.rows(in_list(sql, len(chunk)), [*before, *chunk])

    def number(self, table: str) -> int:
        """The next row number of a table with column `n`. Safe because a write transaction is alone."""
        if table not in self._next:
            self._next[table] = self.row(f"SELECT coalesce(max(n), 0) FROM {table}")[0]
        self._next[table] += 1
        return self._next[table]

    def forget_numbers(self) -> None:
        """After a rollback to a savepoint the tables end where they did before."""
        self._next.clear()


def chunks(values: Iterable[object]) -> Iterator[list[object]]:
    """Lists filled up with their last value, so that only a few shapes of a statement exist."""
    wanted = list(values)
    for start in range(0, len(wanted), CHUNK):
        chunk = wanted[start : start + CHUNK]
        size = next(size for size in _SIZES if size >= len(chunk))
        yield chunk + chunk[-1:] * (size - len(chunk))


@cache
def in_list(sql: str, size: int) -> str:
    return sql.replace("@", ",".join("?" * size))


@cache
def insert_sql(table: Table) -> str:
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    return f"INSERT INTO {table.name} ({columns}) VALUES ({', '.join('?' * len(table.columns))})"
