"""Consents as recorded and answered. Implements ports.Consents; the rows are written by storage/keep_consents.py."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from gateway.errors import Conflict
from gateway.model.audit import AuditRecord
from gateway.model.clock import Clock
from gateway.model.consent import ONE, Consent, DataFacts, Rule
from gateway.storage.audit import audit_row, instant
from gateway.storage.engines import Driver, Lookups
from gateway.storage.keep_consents import COLUMNS, consent_of, keep_consent
from gateway.storage.schema import audit
from gateway.storage.scope import LABEL, rules_of
from gateway.storage.writer import Writer


class ConsentTable:
    """ports.Consents over one database."""

    def __init__(self, lookups: Lookups, writer: Writer, clock: Clock) -> None:
        self._ask, self._writer, self._clock = lookups, writer, clock

    def put(self, one: Consent, record: AuditRecord, expected: int | None = None) -> Consent:
        """Appends the next version of `one.id`. Raises Conflict when the newest is not `expected`."""
        now = instant(self._clock.now())

        def act(driver: Driver) -> Consent:
            newest = driver.row("SELECT coalesce(max(version), 0) FROM consent WHERE id = ?", (one.id,))[0]
            if expected is not None and newest != expected:
                raise Conflict("the consent was changed by somebody else; read it again")
            kept = replace(one, version=newest + 1, recorded=now)
            keep_consent(driver, kept)
            driver.insert(audit, [audit_row(driver.number("audit"), now, record)])
            return kept

        return self._writer.run(act)

    def read(self, id_: str, version: int | None = None) -> Consent | None:
        """The newest version, or the one asked for."""
        which, more = ("current = 1", ()) if version is None else ("version = ?", (version,))
        rows = self._ask.rows(f"SELECT {COLUMNS} FROM consent WHERE id = ? AND {which}", (id_, *more))
        return consent_of(rows[0]) if rows else None

    def history(self, id_: str) -> list[Consent]:
        """Newest first."""
        sql = f"SELECT {COLUMNS} FROM consent WHERE id = ? ORDER BY version DESC"
        return [consent_of(row) for row in self._ask.rows(sql, (id_,))]

    def find(
        self, eids: Sequence[str] | None, active: bool | None, ids: Sequence[str] | None, after: int, limit: int
    ) -> list[tuple[int, Consent]]:
        """(row number, newest version), in the order they were recorded; those above `after`."""
        parts = ["current = 1", "n > ?"]
        bound: list[Any] = [after]
        for column, some in (("eid", eids), ("id", ids)):
            if some is not None:
                parts.append(f"{column} IN ({','.join('?' * len(some)) or 'NULL'})")
                bound += some
        if active is not None:
            parts.append("active = ?")
            bound.append(int(active))
        sql = f"SELECT n, {COLUMNS} FROM consent WHERE {' AND '.join(parts)} ORDER BY n LIMIT ?"
        return [(n, consent_of(row)) for n, *row in self._ask.rows(sql, (*bound, limit))]

    def version(self) -> int:
        """Grows whenever the rules that count change."""
        rows = self._ask.rows("SELECT version FROM consent_state WHERE one = 1")
        return int(rows[0][0]) if rows else 0

    def rules(self, eids: Iterable[str]) -> dict[str, list[Rule]]:
        """The rules that count for these persons."""
        return rules_of(self._ask, eids)


class FactsTable:
    """What a second look at an answer needs of each piece of data in it. Implements ports.KnownFacts."""

    def __init__(self, lookups: Lookups) -> None:
        self._ask = lookups

    def of_resources(self, type_: str, ids: Sequence[str]) -> dict[str, DataFacts]:
        """Logical id -> facts, in one or two statements for a page."""
        sql = "SELECT n, rid, type, eid, facility, date_start FROM resource WHERE type = ? AND rid IN (@)"
        rows = list(self._ask.among(sql, ids, (type_,)))
        tokens: dict[int, list[tuple[str, str, str]]] = {}
        coded = (
            "SELECT n, param, system, code FROM resource_token"
            " WHERE param IN ('category', 'type', 'code', '_security') AND n IN (@)"
        )
        for n, *token in self._ask.among(coded, [row[0] for row in rows]):
            tokens.setdefault(n, []).append((token[0], token[1], token[2]))
        found = {}
        for n, rid, type_of, eid, facility, date in rows:
            said = tokens.get(n, ())
            labels = tuple(code for param, _, code in said if param == LABEL)
            found[rid] = DataFacts(type_of, eid, facility, date, labels, ((ONE, "", rid), *said))
        return found

    def persons_of(self, type_: str, ids: Sequence[str]) -> tuple[str, ...]:
        """Enterprise ids behind these resources, sorted."""
        sql = "SELECT DISTINCT eid FROM resource WHERE type = ? AND rid IN (@)"
        return tuple(sorted({row[0] for row in self._ask.among(sql, ids, (type_,)) if row[0]}))

    def of_documents(self, uuids: Sequence[str]) -> dict[str, DataFacts]:
        """entryUUID -> facts."""
        sql = (
            'SELECT n, "uniqueId", "entryUUID", eid, facility, "serviceStartTime", time, "typeCodeScheme", "typeCode",'
            ' "classCodeScheme", "classCode" FROM registry_object WHERE "entryUUID" IN (@)'
        )
        rows = list(self._ask.among(sql, uuids))
        labels: dict[int, list[str]] = {}
        coded = "SELECT n, code FROM registry_code WHERE attribute = 'confidentialityCode' AND n IN (@)"
        for n, code in self._ask.among(coded, [row[0] for row in rows]):
            labels.setdefault(n, []).append(code)
        return {
            entry: DataFacts(
                "DocumentReference",
                eid,
                facility,
                _instant_of(start or created),
                tuple(labels.get(n, ())),
                (("type", *type_), ("category", *class_), (ONE, "", entry), (ONE, "", unique)),
            )
            for n, unique, entry, eid, facility, start, created, *codes in rows
            for type_, class_ in [(codes[:2], codes[2:])]
        }

    def known_at(self, eids: Iterable[str]) -> dict[str, frozenset[str]]:
        """Enterprise id -> facilities that know the person."""
        found: dict[str, set[str]] = {}
        sql = "SELECT eid, facility FROM identity_patient WHERE eid IN (@)"
        for eid, facility in self._ask.among(sql, sorted(set(eids))):
            found.setdefault(eid, set()).add(facility)
        return {eid: frozenset(some) for eid, some in found.items()}


def _instant_of(dtm: str) -> str:
    if not dtm:
        return ""
    full = dtm + "00000101000000"[len(dtm) :]
    return f"{full[:4]}-{full[4:6]}-{full[6:8]}T{full[8:10]}:{full[10:12]}:{full[12:14]}.000Z"
