"""Declared emergencies and their review. Implements ports.Emergencies."""

from collections.abc import Sequence

from gateway.errors import Conflict, UnknownResource
from gateway.model.audit import AuditRecord
from gateway.model.clock import Clock
from gateway.model.emergency import Declared, State
from gateway.storage.audit import audit_row, instant
from gateway.storage.engines import Driver, Lookups
from gateway.storage.schema import audit, break_glass, outbox
from gateway.storage.writer import Writer

_COLUMNS = ", ".join(column.name for column in break_glass.columns)


class EmergencyTable:
    """ports.Emergencies over one database."""

    def __init__(self, lookups: Lookups, writer: Writer, clock: Clock) -> None:
        self._ask, self._writer, self._clock = lookups, writer, clock

    def declare(self, one: Declared, record: AuditRecord, notices: Sequence[tuple[str, str]]) -> None:
        """Stores it with its audit record and the jobs (kind, payload) that tell of it, in one commit."""
        now = instant(self._clock.now())

        def act(driver: Driver) -> None:
            driver.insert(break_glass, [tuple(one)])
            driver.insert(audit, [audit_row(driver.number("audit"), now, record)])
            driver.insert(outbox, [(driver.number("outbox"), *job, now, None, 0) for job in notices])

        self._writer.run(act)

    def find(self, id_: str) -> Declared | None:
        rows = self._ask.rows(f"SELECT {_COLUMNS} FROM break_glass WHERE id = ?", (id_,))
        return Declared(*rows[0]) if rows else None

    def listed(self, state: State, limit: int) -> list[Declared]:
        """Of one state, what is due first in front."""
        sql = f"SELECT {_COLUMNS} FROM break_glass WHERE state = ? ORDER BY due LIMIT ?"
        return [Declared(*row) for row in self._ask.rows(sql, (state, limit))]

    def review(self, id_: str, state: State, reviewer: str, finding: str, record: AuditRecord) -> Declared:
        """Closes or escalates it. Raises UnknownResource, and Conflict when it was closed already."""
        now = instant(self._clock.now())

        def act(driver: Driver) -> Declared:
            row = driver.row(f"SELECT {_COLUMNS} FROM break_glass WHERE id = ?", (id_,))
            if row is None:
                raise UnknownResource("no such emergency access")
            if row[list(Declared._fields).index("state")] not in ("open", "escalated"):
                raise Conflict("this emergency access was reviewed already")
            driver.run(
                "UPDATE break_glass SET state = ?, reviewer = ?, reviewed = ?, finding = ? WHERE id = ?",
                (state, reviewer, now, finding, id_),
            )
            driver.insert(audit, [audit_row(driver.number("audit"), now, record)])
            return Declared(*row)._replace(state=state, reviewer=reviewer, reviewed=now, finding=finding)

        return self._writer.run(act)
