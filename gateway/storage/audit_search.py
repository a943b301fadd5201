"""Searching the audit trail: who saw this person, what did this user see. Along indexes, newest first."""

from collections.abc import Sequence

from gateway.model.audit import AuditSearch, StoredRecord
from gateway.storage.audit import stored_record
from gateway.storage.audit_chain import AuditChain
from gateway.storage.schema import audit

_COLUMNS = ", ".join(f'a."{column.name}"' for column in audit.columns)
_EQUAL = (("user", "who"), ("organization", "organization"), ("purpose", "purpose"), ("event", "event"))


class AuditTrailTable(AuditChain):
    """ports.AuditTrail over one database."""

    def search(self, wanted: AuditSearch) -> list[StoredRecord]:
        """Newest first. A person is found by every way a record names one, and by whose data an answer held."""
        parts: list[str] = []
        values: list[object] = []
        if wanted.patients or wanted.eid:
            marks = ",".join("?" * len(wanted.patients)) or "NULL"
            parts.append(
                f"a.n IN (SELECT n FROM audit WHERE patient <> '' AND patient IN ({marks})"
                " UNION SELECT n FROM audit_patient WHERE eid = ?)"
            )
            values += [*wanted.patients, wanted.eid]
        for name, column in _EQUAL:
            if value := getattr(wanted, name):
                parts.append(f"a.{column} = ?" + (" AND a.who <> ''" if column == "who" else ""))
                values.append(value)
        if wanted.transaction:
            parts.append('a."transaction" = ?')
            values.append(wanted.transaction)
        if wanted.outcome is not None:
            parts.append("a.outcome = ?")
            values.append(wanted.outcome)
        if wanted.break_glass:
            parts.append("a.break_glass <> ''")
        for bound, sign in ((wanted.date_from, ">="), (wanted.date_to, "<")):
            if bound:
                parts.append(f"a.recorded {sign} ?")
                values.append(bound)
        if wanted.after:
            parts.append("a.n < ?")
            values.append(wanted.after)
        where = f" WHERE {' AND '.join(parts)}" if parts else ""
        return self._read(f"SELECT {_COLUMNS} FROM audit a{where} ORDER BY a.n DESC LIMIT ?", (*values, wanted.limit))

    def after(self, n: int, limit: int) -> list[StoredRecord]:
        """Oldest first."""
        return self._read(f"SELECT {_COLUMNS} FROM audit a WHERE a.n > ? ORDER BY a.n LIMIT ?", (n, limit))

    def _read(self, sql: str, values: Sequence[object]) -> list[StoredRecord]:
        return [stored_record(row) for row in self._rows(sql, values)]
