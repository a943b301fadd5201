"""Registry objects and associations by their ids. Implements ports.Registry; written by storage/keep_documents.py (files)
and storage/keep_registry.py (submissions)."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Engine, Select, and_, exists, or_, select

from gateway.model.caller import Scope
from gateway.model.code import Code
from gateway.model.document import SUBMISSION_SET_STATUS, Association, NamedValues, StoredEntry
from gateway.model.identity import PatientId
from gateway.storage.engines import CHUNK
from gateway.storage.schema import association, identity, registry_object
from gateway.storage.scope import document_conditions

ENTRY = (
    registry_object.c.entryUUID,
    registry_object.c.uniqueId,
    registry_object.c.eid,
    registry_object.c.repositoryUniqueId,
    registry_object.c.mimeType,
    registry_object.c.blob,
    registry_object.c.size,
    registry_object.c.hash,
    registry_object.c.status,
    registry_object.c.xml,
    registry_object.c.objectType,
    registry_object.c.lid,
    registry_object.c.version,
    registry_object.c.time,
)
"""What `stored` makes a StoredEntry of."""


class RegistryTable:
    """ports.Registry over one database. `affinity_domain`: OID of the patient ids in the answers."""

    def __init__(self, engine: Engine, affinity_domain: str) -> None:
        self._engine, self._affinity_domain = engine, affinity_domain

    def by_entry_uuid(self, uuids: Sequence[str], scope: Scope, types: Sequence[str] = ()) -> list[StoredEntry]:
        column = registry_object.c.entryUUID
        found = objects_among(self._engine, self._affinity_domain, column, uuids, scope, types)
        known = {one.entryUUID: one for one in found}
        return [known[uuid] for uuid in dict.fromkeys(uuids) if uuid in known]

    def by_unique_id(self, unique_ids: Sequence[str], scope: Scope, types: Sequence[str] = ()) -> list[StoredEntry]:
        column = registry_object.c.uniqueId
        return objects_among(self._engine, self._affinity_domain, column, unique_ids, scope, types)

    def by_logical_id(self, lids: Sequence[str], scope: Scope, types: Sequence[str] = ()) -> list[StoredEntry]:
        first = self.by_entry_uuid(lids, scope, types)
        later = objects_among(
            self._engine, self._affinity_domain, registry_object.c.lid, [one for one in lids if one], scope, types
        )
        return sorted(
            [*(one for one in first if not one.logicalID), *later],
            key=lambda one: (one.logicalID or one.entryUUID, one.version),
        )

    def associations(self, uuids: Sequence[str], scope: Scope) -> list[Association]:
        return associations_at(self._engine, uuids, scope)

    def associations_by_id(self, uuids: Sequence[str], scope: Scope) -> list[Association]:
        found: list[Association] = []
        for chunk in _chunks(uuids):
            found += _associations(self._engine, association.c.entryUUID.in_(chunk), scope)
        return sorted(found, key=lambda one: one.entryUUID)


def associations_at(engine: Engine, uuids: Sequence[str], scope: Scope) -> list[Association]:
    """Associations that have one of these objects (or associations) on either end, by entryUUID."""
    found: dict[str, Association] = {}
    for chunk in _chunks(uuids):
        mine = select(registry_object.c.n).where(registry_object.c.entryUUID.in_(chunk))
        inner = association.alias("named")
        named = select(inner.c.n).where(inner.c.entryUUID.in_(chunk))
        touching = or_(
            association.c.source.in_(mine), association.c.target.in_(mine), association.c.target_association.in_(named)
        )
        found |= {one.entryUUID: one for one in _associations(engine, touching, scope)}
    return [found[id_] for id_ in sorted(found)]


def objects_among(
    engine: Engine, affinity_domain: str, column: Any, values: Sequence[str], scope: Scope, types: Sequence[str]
) -> list[StoredEntry]:
    """Objects with one of `values` in `column`, of some `types` or any, in the order they were stored."""
    found: list[StoredEntry] = []
    conditions = document_conditions(scope)
    if types:
        conditions.append(registry_object.c.objectType.in_(types))
    with engine.connect() as connection:
        for chunk in _chunks(values):
            wanted = select(*ENTRY).where(column.in_(chunk), *conditions)
            if column is registry_object.c.lid:
                wanted = wanted.where(registry_object.c.lid != "")  # as its index is
            found += stored(connection, affinity_domain, wanted.order_by(registry_object.c.n))
    return found


def stored(connection: Connection, affinity_domain: str, wanted: Select[Any]) -> list[StoredEntry]:
    """The rows of a select of ENTRY."""
    rows = connection.execute(wanted).all()
    shown = patient_ids(connection, affinity_domain, {row[2] for row in rows})
    return [StoredEntry(row[0], row[1], shown[row[2]], *row[3:]) for row in rows]


def patient_ids(connection: Connection, affinity_domain: str, eids: Iterable[str]) -> dict[str, str]:
    """Enterprise patient id -> CX of the affinity domain: the id fed for that domain from outside, where there is one."""
    wanted = sorted(set(eids))
    shown = {eid: str(PatientId(eid, affinity_domain)) for eid in wanted}
    for chunk in _chunks(wanted):
        fed = select(identity.c.eid, identity.c.value).where(
            identity.c.eid.in_(chunk), identity.c.authority == affinity_domain
        )
        for eid, value in connection.execute(fed.order_by(identity.c.value.desc())):
            shown[eid] = str(PatientId(value, affinity_domain))
    return shown


def _associations(engine: Engine, condition: ColumnElement[bool], scope: Scope) -> list[Association]:
    source, target = registry_object.alias("source"), registry_object.alias("target")
    inner = association.alias("inner")
    wanted = (
        select(
            association.c.entryUUID, association.c.type, source.c.entryUUID, target.c.entryUUID, inner.c.entryUUID,
            association.c.status, association.c.lid, association.c.version, association.c.label, association.c.extra,
        )
        .join(source, source.c.n == association.c.source)
        .outerjoin(target, target.c.n == association.c.target)
        .outerjoin(inner, inner.c.n == association.c.target_association)
        .where(condition)
    )  # fmt: skip
    if document_conditions(scope):
        wanted = wanted.where(
            _visible(association.c.source, scope),
            or_(association.c.target.is_(None), _visible(association.c.target, scope)),
            or_(
                association.c.target_association.is_(None),
                and_(_visible(inner.c.source, scope), _visible(inner.c.target, scope)),
            ),
        )
    with engine.connect() as connection:
        rows: Iterable[Any] = connection.execute(wanted)
        return [association_of(*row) for row in rows]


def association_of(
    entry_uuid: str,
    type_: str,
    source: str,
    target: str | None,
    target_association: str | None,
    status: str,
    lid: str,
    version: int,
    label: str,
    extra: str | None,
) -> Association:
    """One row as a value."""
    slots: NamedValues = ((SUBMISSION_SET_STATUS, (label,)),) if label else ()
    documentation = None
    if extra:
        held = orjson.loads(extra)
        slots += tuple((name, tuple(values)) for name, values in held["slots"])
        documentation = Code(*held["documentation"]) if held["documentation"] else None
    return Association(
        entry_uuid, type_, source, target or target_association or "", status, lid, version, documentation, slots
    )


def _visible(number: Any, scope: Scope) -> ColumnElement[bool]:
    return exists(select(registry_object.c.n).where(registry_object.c.n == number, *document_conditions(scope)))


def _chunks(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[start : start + CHUNK] for start in range(0, len(values), CHUNK))
