"""The audit trail and the outbox as tables. Implements ports.AuditLog and ports.Outbox."""

import base64
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import Engine, select

from gateway.model.audit import AuditObject, AuditRecord, StoredRecord
from gateway.model.clock import Clock
from gateway.ports import Job
from gateway.storage.engines import Driver
from gateway.storage.schema import audit, outbox
from gateway.storage.writer import Writer


def instant(moment: datetime) -> str:
    """FHIR instant in UTC with milliseconds; equal moments are equal text, and text order is time order."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def audit_row(n: int, now: str, record: AuditRecord) -> tuple[object, ...]:
    """A row of `audit` in column order."""
    return (
        n, now, record.event, record.transaction, record.action, record.outcome, record.actor, record.address,
        record.patient, record.object, record.detail, record.user, record.organization, record.purpose,
        record.break_glass, _more(record),
    )  # fmt: skip


_MORE = ("node", "issuer", "user_name", "assertion", "client", "roles", "organization_name", "home", "patients")


def _more(record: AuditRecord) -> str:
    """What has no column of its own, as JSON without empty members; empty text when there is nothing."""
    more: dict[str, object] = {name: value for name in _MORE if (value := getattr(record, name))}
    if record.objects:
        more["objects"] = [
            [one.kind, one.id, base64.b64encode(one.query).decode(), one.details] for one in record.objects
        ]
    return orjson.dumps(more).decode() if more else ""


def stored_record(row: Sequence[Any]) -> StoredRecord:
    """A row of `audit` as it was recorded."""
    n, recorded, *first, user, organization, purpose, break_glass, more = row
    rest: dict[str, Any] = orjson.loads(more) if more else {}
    for name in ("roles", "patients"):
        rest[name] = tuple(rest.get(name, ()))
    rest["objects"] = tuple(
        AuditObject(kind, id_, base64.b64decode(query), tuple((name, value) for name, value in details))
        for kind, id_, query, details in rest.get("objects", ())
    )
    record = AuditRecord(*first)
    who = {"user": user, "organization": organization, "purpose": purpose, "break_glass": break_glass}
    return StoredRecord(n, recorded, replace(record, **who, **rest))


class AuditTable:
    """ports.AuditLog: `record` returns after the commit; the records of many threads share one."""

    def __init__(self, writer: Writer, clock: Clock) -> None:
        self._writer, self._clock = writer, clock

    def record(self, *records: AuditRecord) -> None:
        now = instant(self._clock.now())

        def act(driver: Driver) -> None:
            driver.insert(audit, [audit_row(driver.number("audit"), now, record) for record in records])

        self._writer.run(act)


class OutboxTable:
    """ports.Outbox. Jobs are written by storage/keep_documents.py, in the transaction of what caused them."""

    def __init__(self, engine: Engine, writer: Writer, clock: Clock) -> None:
        self._engine, self._writer, self._clock = engine, writer, clock

    def pending(self, kind: str, limit: int, after: int = 0) -> list[Job]:
        wanted = (
            select(outbox.c.n, outbox.c.kind, outbox.c.payload, outbox.c.attempts)
            .where(outbox.c.done.is_(None), outbox.c.kind == kind, outbox.c.n > after)
            .order_by(outbox.c.n)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [Job(*row) for row in connection.execute(wanted)]

    def finish(self, *numbers: int) -> None:
        now = instant(self._clock.now())
        rows = [(now, number) for number in numbers]
        self._writer.run(lambda driver: driver.many("UPDATE outbox SET done = ? WHERE n = ? AND done IS NULL", rows))

    def add(self, kind: str, payload: str) -> None:
        now = instant(self._clock.now())
        self._writer.run(lambda driver: driver.insert(outbox, [(driver.number("outbox"), kind, payload, now, None, 0)]))

    def fail(self, number: int) -> None:
        self._writer.run(lambda driver: driver.run("UPDATE outbox SET attempts = attempts + 1 WHERE n = ?", (number,)))
