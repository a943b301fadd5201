"""The document registry as answered. Implements ports.Documents; the rows are written by storage/keep_documents.py."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, and_, exists, func, or_, select

from gateway.errors import TooManyResults
from gateway.model.caller import Scope
from gateway.model.document import APPROVED, Association, CodeFilter, DocumentQuery, StoredEntry
from gateway.model.identity import PatientId
from gateway.storage.engines import CHUNK
from gateway.storage.schema import association, document, document_code
from gateway.storage.scope import document_conditions

Condition = ColumnElement[bool]

_ENTRY = (
    document.c.entryUUID,
    document.c.uniqueId,
    document.c.eid,
    document.c.repositoryUniqueId,
    document.c.mimeType,
    document.c.blob,
    document.c.size,
    document.c.hash,
    document.c.status,
    document.c.xml,
)
_SINGLE = ("classCode", "typeCode", "formatCode", "practiceSettingCode", "healthcareFacilityTypeCode")


class DocumentTable:
    """ports.Documents over one database. `affinity_domain`: OID of the enterprise patient ids in the answers."""

    def __init__(self, engine: Engine, affinity_domain: str) -> None:
        self._engine, self._affinity_domain = engine, affinity_domain

    def find(self, query: DocumentQuery, scope: Scope) -> list[StoredEntry]:
        wanted = (
            select(*_ENTRY)
            .where(*_conditions(query), *document_conditions(scope))
            .order_by(document.c.creationTime.desc(), document.c.entryUUID)
            .limit(query.limit + 1)
        )
        found = self._entries(wanted)
        if len(found) > query.limit:
            raise TooManyResults(f"more than {query.limit} documents match; ask for object references or less")
        return found

    def by_entry_uuid(self, uuids: tuple[str, ...], scope: Scope) -> list[StoredEntry]:
        """In the order asked for; unknown ones are left out."""
        return self._among(document.c.entryUUID, uuids, scope, lambda entry: entry.entryUUID)

    def by_unique_id(self, unique_ids: tuple[str, ...], scope: Scope) -> list[StoredEntry]:
        """In the order asked for; unknown ones are left out."""
        return self._among(document.c.uniqueId, unique_ids, scope, lambda entry: entry.uniqueId)

    def associations(self, uuids: tuple[str, ...], scope: Scope) -> list[Association]:
        source, target = document.alias("source"), document.alias("target")
        seen = select(document.c.n).where(document.c.n == association.c.source, *document_conditions(scope))
        reached = select(document.c.n).where(document.c.n == association.c.target, *document_conditions(scope))
        found: dict[str, Association] = {}
        for start in range(0, len(uuids), CHUNK):
            chunk = uuids[start : start + CHUNK]
            mine = select(document.c.n).where(document.c.entryUUID.in_(chunk))
            wanted = (
                select(association.c.entryUUID, association.c.type, source.c.entryUUID, target.c.entryUUID)
                .join(source, source.c.n == association.c.source)
                .join(target, target.c.n == association.c.target)
                .where(
                    or_(association.c.source.in_(mine), association.c.target.in_(mine)), exists(seen), exists(reached)
                )
            )
            with self._engine.connect() as connection:
                found |= {row[0]: Association(*row) for row in connection.execute(wanted)}
        return [found[id_] for id_ in sorted(found)]

    def originals(self, scope: Scope) -> Iterator[str]:
        """SHA-256 of the original bytes behind each current document, in the order of their keys, each once."""
        wanted = (
            select(document.c.key, document.c.blob)
            .where(document.c.kind == "original", document.c.status == APPROVED, *document_conditions(scope))
            .order_by(document.c.key, document.c.blob)
            .distinct()
        )
        with self._engine.connect() as connection:
            for _, address in connection.execution_options(yield_per=CHUNK).execute(wanted):
                yield address

    def _among(self, column: Any, values: Sequence[str], scope: Scope, key: Any) -> list[StoredEntry]:
        found: dict[str, StoredEntry] = {}
        for start in range(0, len(values), CHUNK):
            chunk = values[start : start + CHUNK]
            wanted = select(*_ENTRY).where(column.in_(chunk), *document_conditions(scope))
            found |= {key(entry): entry for entry in self._entries(wanted)}
        return [found[value] for value in dict.fromkeys(values) if value in found]

    def _entries(self, wanted: Select[Any]) -> list[StoredEntry]:
        with self._engine.connect() as connection:
            return [
                StoredEntry(row[0], row[1], str(PatientId(row[2], self._affinity_domain)), *row[3:])
                for row in connection.execute(wanted)
            ]


def _conditions(query: DocumentQuery) -> list[Condition]:
    """FindDocuments (ITI TF-2: 3.18.4.1.2.3.7.1): parameters are ANDed, the values of one are ORed."""
    conditions: list[Condition] = [
        document.c.eid == query.patient,
        document.c.status.in_(query.status),
        document.c.objectType.in_(query.objectType),
    ]
    for attribute in _SINGLE:
        wanted: CodeFilter | None = getattr(query, attribute)
        if wanted is not None:
            code, scheme = document.c[attribute], document.c[f"{attribute}Scheme"]
            conditions.append(_any_code(wanted, code, scheme))
    for attribute, filters in (
        ("confidentialityCode", query.confidentialityCode),
        ("eventCodeList", query.eventCodeList),
    ):
        conditions += [_has(attribute, _any_code(one, document_code.c.code, document_code.c.scheme)) for one in filters]
    for attribute in ("creationTime", "serviceStartTime", "serviceStopTime"):
        conditions += _between(document.c[attribute], *getattr(query, attribute))
    if query.authorPerson:
        likes = [document_code.c.code.ilike(pattern, escape="\\") for pattern in query.authorPerson]
        conditions.append(_has("authorPerson", or_(*likes)))
    return conditions


def _any_code(wanted: CodeFilter, code: Any, scheme: Any) -> Condition:
    return or_(*(and_(code == value, scheme == system) if system else code == value for value, system in wanted.values))


def _has(attribute: str, condition: Condition) -> Condition:
    row = select(document_code.c.n).where(
        document_code.c.n == document.c.n, document_code.c.attribute == attribute, condition
    )
    return exists(row)


_LOWEST = "00000101000000"


def _between(column: Any, from_: str, to: str) -> list[Condition]:
    """From <= t < To on DTM text of any precision; what is not written counts as the lowest it can be. An entry without
    the time does not match."""
    if not from_ and not to:
        return []
    padded = column.concat(func.substr(_LOWEST, func.length(column) + 1))
    conditions: list[Condition] = [column != ""]
    if from_:
        conditions.append(padded >= _pad(from_))
    if to:
        conditions.append(padded < _pad(to))
    return conditions


def _pad(dtm: str) -> str:
    return dtm + _LOWEST[len(dtm) :]
