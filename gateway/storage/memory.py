"""What a face remembers between two messages, as rows that go by themselves. Implements ports.Memory."""

from collections import Counter
from collections.abc import Sequence

import orjson

from gateway.storage.engines import Driver, Lookups
from gateway.storage.writer import Writer

_SWEEP = 64
"""Puts of a kind between two countings of it."""


class MemoryTable:
    """ports.Memory over one database."""

    def __init__(self, lookups: Lookups, writer: Writer) -> None:
        self._ask, self._writer = lookups, writer
        self._puts: Counter[str] = Counter()

    def put(self, kind: str, key: Sequence[str], value: str, now: str, until: str, most: int) -> None:
        words = orjson.dumps(list(key)).decode()
        # Not exact among threads, and it need not be: the first put of a process sweeps, so a restart does too.
        sweep = self._puts[kind] % _SWEEP == 0
        self._puts[kind] += 1

        def act(driver: Driver) -> None:
            driver.run(
                "INSERT INTO face_memory (kind, key, value, until) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value, until = excluded.until",
                (kind, words, value, until),
            )
            if sweep:
                _sweep(driver, kind, now, most)

        self._writer.run(act)

    def get(self, kind: str, key: Sequence[str], now: str) -> str | None:
        rows = self._ask.rows(
            "SELECT value FROM face_memory WHERE kind = ? AND key = ? AND until > ?",
            (kind, orjson.dumps(list(key)).decode(), now),
        )
        return rows[0][0] if rows else None

    def claim(self, kind: str, key: Sequence[str], value: str, now: str, until: str) -> tuple[str, bool]:
        words = orjson.dumps(list(key)).decode()

        def act(driver: Driver) -> tuple[str, bool]:
            # One statement: with a look before it two processes could both be the first.
            taken = driver.run(
                "INSERT INTO face_memory (kind, key, value, until) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value, until = excluded.until"
                " WHERE face_memory.until <= ?",
                (kind, words, value, until, now),
            )
            if taken:
                return value, True
            (held,) = driver.row("SELECT value FROM face_memory WHERE kind = ? AND key = ?", (kind, words)) or ("",)
            return str(held), False

        if self._puts[kind] % _SWEEP == 0:
            self._writer.run(
                lambda driver: driver.run("DELETE FROM face_memory WHERE kind = ? AND until <= ?", (kind, now))
            )
        self._puts[kind] += 1
        return self._writer.run(act)

    def drop(self, kind: str, key: Sequence[str]) -> bool:
        words = orjson.dumps(list(key)).decode()
        below = words[:-1] + ","  # a longer list that begins like this one
        sql = "DELETE FROM face_memory WHERE kind = ? AND (key = ? OR (key >= ? AND key < ?))"
        values = (kind, words, below, below[:-1] + "-")
        return self._writer.run(lambda driver: driver.run(sql, values)) > 0

    def sweep(self, now: str) -> None:
        """Removes what is over: values of questions hold names, and are kept no longer than needed."""
        self._writer.run(lambda driver: driver.run("DELETE FROM face_memory WHERE until <= ?", (now,)))


def _sweep(driver: Driver, kind: str, now: str, most: int) -> None:
    driver.run("DELETE FROM face_memory WHERE kind = ? AND until <= ?", (kind, now))
    (count,) = driver.row("SELECT count(*) FROM face_memory WHERE kind = ?", (kind,))
    if count > most:
        driver.run(
            "DELETE FROM face_memory WHERE kind = ? AND key IN"
            " (SELECT key FROM face_memory WHERE kind = ? ORDER BY until LIMIT ?)",
            (kind, kind, count - most),
        )
