"""The registry inside a write transaction: what a submission reads, adds and changes. Implements ports.Registering.

The rules are the caller's (services/registry); here are rows. `run` gives a closure the one writer of the process, so
nothing it read can change before its commit.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

import orjson

from gateway.model.audit import AuditRecord
from gateway.model.clock import Clock
from gateway.model.document import SUBMISSION_SET_STATUS, Association
from gateway.model.identity import PatientId
from gateway.model.ingest import KeptBlob, KeptObject
from gateway.ports import ObjectRow, Person, RegistryWork
from gateway.storage.audit import audit_row, instant
from gateway.storage.engines import Driver
from gateway.storage.keep_documents import object_row
from gateway.storage.registry import association_of
from gateway.storage.schema import association, audit, blob, outbox, registry_code, registry_object, submission
from gateway.storage.writer import Writer

T = TypeVar("T")

_OBJECT: Final = (
    'SELECT n, "entryUUID", lid, version, "uniqueId", "objectType", status, eid, patient, facility,'
    ' "repositoryUniqueId", hash, size, blob, time, xml FROM registry_object WHERE '
)
_ASSOCIATION: Final = (
    'SELECT a."entryUUID", a.type, s."entryUUID", t."entryUUID", i."entryUUID", a.status, a.lid, a.version, a.label,'
    " a.extra FROM association a JOIN registry_object s ON s.n = a.source"
    " LEFT JOIN registry_object t ON t.n = a.target LEFT JOIN association i ON i.n = a.target_association WHERE "
)
_TOLD_APART: Final = (SUBMISSION_SET_STATUS,)
"""Slots of an association that have a column."""


class RegistryStore:
    """ports.Registering over one database. `affinity_domain`: OID under which enterprise ids are ids themselves."""

    def __init__(self, writer: Writer, clock: Clock, affinity_domain: str) -> None:
        self._writer, self._clock, self._affinity_domain = writer, clock, affinity_domain

    def run(self, act: Callable[[RegistryWork], T]) -> T:
        now = instant(self._clock.now())
        return self._writer.run(lambda driver: act(Work(driver, now, self._affinity_domain)))


class Work:
    """ports.RegistryWork over the driver of one transaction. `now`: instant, UTC."""

    def __init__(self, driver: Driver, now: str, affinity_domain: str) -> None:
        self._driver, self._now, self._affinity_domain = driver, now, affinity_domain

    def accepted(self, message_id: str, digest: bytes) -> bool:
        sql = "SELECT 1 FROM submission WHERE message_id = ? AND digest = ?"
        if self._driver.row(sql, (message_id, digest)):
            return True
        self._driver.insert(submission, [(message_id, digest, self._now)])
        return False

    # -- reading

    def person(self, patient: PatientId, source: PatientId | None) -> Person | None:
        eid = self._eid(patient)
        if not eid:
            return None
        records = self._driver.rows(
            "SELECT authority, value, patient, facility FROM identity_patient WHERE eid = ? ORDER BY patient", (eid,)
        )
        if not records:
            return None
        # Where it came from, else the id it was submitted for, else any: then it goes where that one goes.
        for wanted in (source, patient):
            for authority, value, logical, facility in records:
                if wanted == PatientId(value, authority):
                    return Person(eid, logical, source.authority if source else facility)
        return Person(eid, records[0][2], source.authority if source else records[0][3])

    def _eid(self, id_: PatientId) -> str:
        sql = "SELECT eid FROM identity WHERE authority = ? AND value = ?"
        row = self._driver.row(sql, (id_.authority, id_.value))
        if row:
            return str(row[0])
        return id_.value if id_.authority == self._affinity_domain else ""

    def objects(self, uuids: Iterable[str]) -> dict[str, ObjectRow]:
        return {one.entryUUID: one for one in self._objects('"entryUUID" IN (@)', uuids)}

    def of_unique_id(self, unique_ids: Iterable[str]) -> list[ObjectRow]:
        return self._objects('"uniqueId" IN (@)', unique_ids)

    def newest(self, lids: Iterable[str]) -> dict[str, ObjectRow]:
        wanted = [lid for lid in lids if lid]
        first = self._objects('"entryUUID" IN (@)', wanted)
        found = {one.entryUUID: one for one in first if not one.lid}
        for one in self._objects("lid <> '' AND lid IN (@)", wanted):
            if one.lid not in found or found[one.lid].version < one.version:
                found[one.lid] = one
        return found

    def versions(self, lid: str) -> list[ObjectRow]:
        first = [one for one in self._objects('"entryUUID" IN (@)', [lid]) if not one.lid]
        later = self._objects("lid <> '' AND lid IN (@)", [lid])
        return sorted([*first, *later], key=lambda one: one.version)

    def _objects(self, condition: str, values: Iterable[str]) -> list[ObjectRow]:
        return sorted(
            ObjectRow._make((*row[:7], Person._make(row[7:10]), *row[10:]))
            for row in self._driver.among(_OBJECT + condition, values)
        )

    def associations(self, uuids: Iterable[str]) -> list[Association]:
        wanted = list(uuids)
        found: dict[str, Association] = {}
        for condition in (
            'a.source IN (SELECT n FROM registry_object WHERE "entryUUID" IN (@))',
            'a.target IN (SELECT n FROM registry_object WHERE "entryUUID" IN (@))',
            "a.target_association IS NOT NULL AND a.target_association IN"
            ' (SELECT n FROM association WHERE "entryUUID" IN (@))',
        ):
            rows = self._driver.among(_ASSOCIATION + condition, wanted)
            found |= {row[0]: association_of(*row) for row in rows}
        return [found[uuid] for uuid in sorted(found)]

    def associations_by_id(self, uuids: Iterable[str]) -> dict[str, Association]:
        rows = self._driver.among(_ASSOCIATION + 'a."entryUUID" IN (@)', uuids)
        return {row[0]: association_of(*row) for row in rows}

    def newest_associations(self, lids: Iterable[str]) -> dict[str, Association]:
        wanted = [lid for lid in lids if lid]
        found = {uuid: one for uuid, one in self.associations_by_id(wanted).items() if not one.logicalID}
        for row in self._driver.among(_ASSOCIATION + "a.lid <> '' AND a.lid IN (@)", wanted):
            one = association_of(*row)
            if one.logicalID not in found or found[one.logicalID].version < one.version:
                found[one.logicalID] = one
        return found

    # -- writing

    def add(self, made: KeptObject, status: str, person: Person) -> None:
        n = self._driver.number("registry_object")
        self._driver.insert(registry_object, [object_row(n, made, status, (*person, "", ""))])
        self._driver.insert(registry_code, [(n, *code) for code in made.codes])

    def link(self, association_: Association) -> None:
        self._driver.insert(association, [self._row(association_)])

    def _row(self, made: Association) -> tuple[object, ...]:
        numbers = self._numbers("registry_object", [made.sourceObject, made.targetObject])
        target = numbers.get(made.targetObject)
        inner = None if target is not None else self._numbers("association", [made.targetObject])[made.targetObject]
        slots = [slot for slot in made.slots if slot[0] not in _TOLD_APART]
        documentation = made.documentation
        extra = None
        if slots or documentation is not None:
            meaning = documentation and [documentation.code, documentation.scheme, documentation.display]
            extra = orjson.dumps({"documentation": meaning, "slots": slots}).decode()
        return (
            self._driver.number("association"), made.entryUUID, made.logicalID, made.version, made.associationType,
            made.availabilityStatus, numbers[made.sourceObject], target, inner, made.slot(SUBMISSION_SET_STATUS), extra,
        )  # fmt: skip

    def _numbers(self, table: str, uuids: Sequence[str]) -> dict[str, int]:
        return dict(self._driver.among(f'SELECT "entryUUID", n FROM {table} WHERE "entryUUID" IN (@)', uuids))

    def set_status(self, uuids: Iterable[str], status: str) -> None:
        rows = [(status, uuid) for uuid in uuids]
        # An entry of a file parts from the file: what somebody said of it holds, whichever versions come.
        self._driver.many("UPDATE registry_object SET status = ?, key = '' WHERE \"entryUUID\" = ?", rows)
        self._driver.many('UPDATE association SET status = ? WHERE "entryUUID" = ?', rows)

    def touch(self, uuids: Iterable[str], time: str) -> None:
        self._driver.many('UPDATE registry_object SET time = ? WHERE "entryUUID" = ?', [(time, uuid) for uuid in uuids])

    def remove(self, uuids: Iterable[str]) -> None:
        wanted = list(uuids)
        numbers = [(n,) for n in self._numbers("registry_object", wanted).values()]
        self._driver.many('DELETE FROM association WHERE "entryUUID" = ?', [(uuid,) for uuid in wanted])
        self._driver.many("DELETE FROM registry_code WHERE n = ?", numbers)
        self._driver.many("DELETE FROM registry_object WHERE n = ?", numbers)

    def hold(self, blobs: Iterable[KeptBlob]) -> None:
        new = {bytes.fromhex(one.sha256): one for one in blobs}
        for (address,) in self._driver.among("SELECT sha256 FROM blob WHERE sha256 IN (@)", list(new)):
            del new[address]
        rows = [
            (self._driver.number("blob"), address, one.size, None if one.large else one.content, 0)
            for address, one in new.items()
        ]
        self._driver.insert(blob, rows)

    def release(self, unique_ids: Iterable[str]) -> list[str]:
        held = [one for one in self.of_unique_id(unique_ids) if one.blob]
        self._driver.many("UPDATE registry_object SET blob = '' WHERE n = ?", [(one.n,) for one in held])
        free: list[str] = []
        for address in sorted({one.blob for one in held}):
            # As the partial index has it; what came as a file keeps its bytes by `ingested`.
            used = "SELECT 1 FROM registry_object WHERE key = '' AND blob <> '' AND blob = ? LIMIT 1"
            if not self._driver.row(used, (address,)):
                gone = "DELETE FROM blob WHERE sha256 = ? AND ingested = 0"
                if self._driver.run(gone, (bytes.fromhex(address),)):
                    free.append(address)
        return free

    def notify(self, kind: str, payload: str) -> None:
        self._driver.insert(outbox, [(self._driver.number("outbox"), kind, payload, self._now, None, 0)])

    def record(self, record: AuditRecord) -> None:
        self._driver.insert(audit, [audit_row(self._driver.number("audit"), self._now, record)])
