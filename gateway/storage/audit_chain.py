"""The hash chain over the audit trail, closed before every commit of the writer: no record without its link, whoever
wrote the record and in whichever process.

    hash(n) = SHA-256(0x00 | canonical bytes of record n, which begin with n and hash(n - 1))

The hashes are the leaves of a tree as in RFC 6962 section 2.1 (0x00 before a leaf is its prefix); services/audit/tree.py.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
from sqlalchemy import Engine

from gateway.errors import Unavailable
from gateway.model.audit import Checkpoint
from gateway.storage.engines import Driver, driver_of
from gateway.storage.schema import audit, audit_chain, audit_checkpoint
from gateway.storage.writer import Writer

FIRST = bytes(32)
"""What stands for the hash before the first record."""
STEP = 5_000
"""Records of one transaction when a trail of before the chain is closed."""

_ALL = 2**31
"""More records than a transaction writes."""
_COLUMNS = ", ".join(f'"{column.name}"' for column in audit.columns)
_MORE = [column.name for column in audit.columns].index("more")


def leaf(row: Sequence[Any], before: bytes) -> bytes:
    """The hash of one row of `audit` (all its columns, in order)."""
    return hashlib.sha256(b"\x00" + orjson.dumps([row[0], before.hex(), *row[1:]])).digest()


def seal(driver: Driver, limit: int = _ALL) -> int:
    """Closes the chain over what was recorded since. Returns how many records that were."""
    last = driver.row("SELECT n, hash FROM audit_chain ORDER BY n DESC LIMIT 1")
    n, before = last or (0, FIRST)
    rows = driver.rows(f"SELECT {_COLUMNS} FROM audit WHERE n > ? ORDER BY n LIMIT ?", (n, limit))
    if not rows:
        return 0
    links, persons = [], []
    for row in rows:
        before = leaf(row, before)
        links.append((row[0], before))
        persons += [(eid, row[0]) for eid in _persons(row[_MORE])]
    driver.insert(audit_chain, links)
    driver.many("INSERT INTO audit_patient (eid, n) VALUES (?, ?) ON CONFLICT DO NOTHING", persons)
    return len(rows)


def _persons(more: str) -> Sequence[str]:
    """Persons whose data an answer held, from the column `more`; none when it is no longer what we wrote."""
    if '"patients":' not in more:
        return ()
    try:
        found = orjson.loads(more)["patients"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ()
    return found if isinstance(found, list) and all(isinstance(one, str) for one in found) else ()


def seal_older(writer: Writer) -> None:
    """A trail that was begun by a version without the chain."""
    while writer.run(lambda driver: seal(driver, STEP)):
        pass


class AuditChain:
    """Reads the trail for whoever checks it, and keeps checkpoints. Implements ports.AuditTrail's chain."""

    def __init__(self, engine: Engine, writer: Writer | None = None) -> None:
        """Without a writer it only reads."""
        self._engine, self._writer = engine, writer

    def hashes(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """(number, hash) of the records after one."""
        rows = self._rows("SELECT n, hash FROM audit_chain WHERE n > ? ORDER BY n LIMIT ?", (after, limit))
        return [(row[0], row[1]) for row in rows]

    def size(self) -> int:
        return int(self._rows("SELECT coalesce(max(n), 0) FROM audit_chain")[0][0])

    def broken(self) -> Iterator[str]:
        """What is wrong with records and chain, in words; nothing when they agree. Reads everything once, in pages."""
        before, n, size = FIRST, 0, self.size()  # first: the node may be at work and the trail grow
        while True:
            rows = self._rows(
                f"SELECT {_COLUMNS}, (SELECT hash FROM audit_chain c WHERE c.n = audit.n) FROM audit"
                " WHERE n > ? ORDER BY n LIMIT ?",
                (n, STEP),
            )
            for *row, stored in rows:
                if row[0] != n + 1:
                    yield f"records {n + 1} to {row[0] - 1} are missing"
                    found = self._rows("SELECT hash FROM audit_chain WHERE n = ?", (row[0] - 1,))
                    before = found[0][0] if found else before
                n = row[0]
                expected = leaf(row, before)
                if stored is None:
                    yield f"record {n} has no link in the chain"
                elif stored != expected:
                    yield f"record {n} was altered"
                before = stored or expected
            if len(rows) < STEP:
                break
        if size > n:
            yield f"records {n + 1} to {size} are missing"
        yield from self._beside()

    def _beside(self) -> Iterator[str]:
        """What stands beside the chain: numbers before the first, links without a record, and the index of persons, by
        which accesses are found. A row taken from the index would hide an access as well as a record taken away."""
        for (n,) in self._rows("SELECT n FROM audit WHERE n < 1 ORDER BY n"):
            yield f"record {n} was inserted"
        for (n,) in self._rows("SELECT n FROM audit_chain WHERE n < 1 ORDER BY n"):
            yield f"link {n} was inserted"
        after = 0
        while rows := self._rows("SELECT n, more FROM audit WHERE n > ? ORDER BY n LIMIT ?", (after, STEP)):
            until = rows[-1][0]
            held = self._rows("SELECT n, eid FROM audit_patient WHERE n > ? AND n <= ?", (after, until))
            after = until
            said = {(n, eid) for n, more in rows for eid in _persons(more)}
            for n in sorted({n for n, _ in said ^ {(row[0], row[1]) for row in held}}):
                yield f"the index of persons was altered at record {n}"
        for (n,) in self._rows(
            "SELECT DISTINCT n FROM audit_patient p WHERE n < 1 OR NOT EXISTS (SELECT 1 FROM audit a WHERE a.n = p.n)"
            " ORDER BY n"
        ):
            yield f"the index of persons was altered at record {n}"

    def checkpoints(self) -> list[Checkpoint]:
        """Oldest first."""
        rows = self._rows("SELECT size, recorded, root, note FROM audit_checkpoint ORDER BY size")
        return [Checkpoint(*row) for row in rows]

    def keep(self, checkpoint: Checkpoint) -> None:
        def act(driver: Driver) -> None:
            if driver.row("SELECT 1 FROM audit_checkpoint WHERE size = ?", (checkpoint.size,)) is None:
                driver.insert(audit_checkpoint, [tuple(checkpoint)])

        if self._writer is None:
            raise Unavailable("this trail is open for reading only")
        self._writer.run(act)

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        with self._engine.connect() as connection:
            return driver_of(connection).rows(sql, values)
