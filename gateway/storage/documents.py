"""The document registry as answered. Implements ports.Documents; the rows are written by storage/keep_documents.py."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, and_, exists, func, or_, select

from gateway.errors import TooManyResults
from gateway.model.caller import Scope
from gateway.model.document import APPROVED, DOCUMENT_TYPES, Association, CodeFilter, DocumentQuery, StoredEntry
from gateway.storage.engines import CHUNK
from gateway.storage.registry import ENTRY, associations_at, objects_among, stored
from gateway.storage.schema import registry_code, registry_object
from gateway.storage.scope import document_conditions

Condition = ColumnElement[bool]

_SINGLE = ("classCode", "typeCode", "formatCode", "practiceSettingCode", "healthcareFacilityTypeCode")


class DocumentTable:
    """ports.Documents over one database. `affinity_domain`: OID of the enterprise patient ids in the answers."""

    def __init__(self, engine: Engine, affinity_domain: str) -> None:
        self._engine, self._affinity_domain = engine, affinity_domain

    def find(self, query: DocumentQuery, scope: Scope) -> list[StoredEntry]:
        wanted = (
            select(*ENTRY)
            .where(*_conditions(query), *document_conditions(scope))
            .order_by(registry_object.c.time.desc(), registry_object.c.entryUUID)
            .limit(query.limit + 1)
        )
        found = self._entries(wanted)
        if len(found) > query.limit:
            raise TooManyResults(f"more than {query.limit} documents match; ask for object references or less")
        return found

    def by_entry_uuid(self, uuids: tuple[str, ...], scope: Scope) -> list[StoredEntry]:
        """In the order asked for; unknown ones are left out."""
        return self._among(registry_object.c.entryUUID, uuids, scope, lambda entry: entry.entryUUID)

    def by_unique_id(self, unique_ids: tuple[str, ...], scope: Scope) -> list[StoredEntry]:
        """In the order asked for; unknown ones are left out."""
        return self._among(registry_object.c.uniqueId, unique_ids, scope, lambda entry: entry.uniqueId)

    def associations(self, uuids: tuple[str, ...], scope: Scope) -> list[Association]:
        return associations_at(self._engine, uuids, scope)

    def originals(self, scope: Scope) -> Iterator[str]:
        """SHA-256 of the original bytes behind each current document, in the order of their keys, each once."""
        wanted = (
            select(registry_object.c.key, registry_object.c.blob)
            .where(
                registry_object.c.kind == "original", registry_object.c.status == APPROVED, *document_conditions(scope)
            )
            .order_by(registry_object.c.key, registry_object.c.blob)
            .distinct()
        )
        with self._engine.connect() as connection:
            for _, address in connection.execution_options(yield_per=CHUNK).execute(wanted):
                yield address

    def _among(self, column: Any, values: Sequence[str], scope: Scope, key: Any) -> list[StoredEntry]:
        """Of several entries of one uniqueId the approved one, else the newest, is given."""
        found: dict[str, StoredEntry] = {}
        for entry in objects_among(self._engine, self._affinity_domain, column, values, scope, DOCUMENT_TYPES):
            known = found.get(key(entry))
            if known is None or known.availabilityStatus != APPROVED or entry.availabilityStatus == APPROVED:
                found[key(entry)] = entry
        return [found[value] for value in dict.fromkeys(values) if value in found]

    def _entries(self, wanted: Select[Any]) -> list[StoredEntry]:
        with self._engine.connect() as connection:
            return stored(connection, self._affinity_domain, wanted)


def _conditions(query: DocumentQuery) -> list[Condition]:
    """FindDocuments (ITI TF-2: 3.18.4.1.2.3.7.1): parameters are ANDed, the values of one are ORed."""
    conditions: list[Condition] = [
        registry_object.c.eid == query.patient,
        registry_object.c.status.in_(query.status),
        registry_object.c.objectType.in_(query.objectType),
    ]
    for attribute in _SINGLE:
        wanted: CodeFilter | None = getattr(query, attribute)
        if wanted is not None:
            code, scheme = registry_object.c[attribute], registry_object.c[f"{attribute}Scheme"]
            conditions.append(_any_code(wanted, code, scheme))
    for attribute, filters in (
        ("confidentialityCode", query.confidentialityCode),
        ("eventCodeList", query.eventCodeList),
    ):
        conditions += [_has(attribute, _any_code(one, registry_code.c.code, registry_code.c.scheme)) for one in filters]
    for attribute in ("creationTime", "serviceStartTime", "serviceStopTime"):
        column = registry_object.c["time" if attribute == "creationTime" else attribute]
        conditions += _between(column, *getattr(query, attribute))
    if query.authorPerson:
        likes = [registry_code.c.code.like(pattern, escape="\\") for pattern in query.authorPerson]
        conditions.append(_has("authorPerson", or_(*likes)))
    return conditions


def _any_code(wanted: CodeFilter, code: Any, scheme: Any) -> Condition:
    return or_(*(and_(code == value, scheme == system) if system else code == value for value, system in wanted.values))


def _has(attribute: str, condition: Condition) -> Condition:
    row = select(registry_code.c.n).where(
        registry_code.c.n == registry_object.c.n, registry_code.c.attribute == attribute, condition
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
