"""Documents as answered. Implements ports.Documents; the rows are written by storage/keep_documents.py."""

from collections.abc import Iterator, Sequence

from gateway.model.caller import Scope
from gateway.model.document import (
    APPROVED,
    DOCUMENT_TYPES,
    ONLINE,
    Association,
    CodeFilter,
    DocumentQuery,
    Shown,
    StoredEntry,
)
from gateway.model.identity import PatientId
from gateway.storage.engines import Lookups
from gateway.storage.identities import IdentityTable
from gateway.storage.reads import Where, object_scope
from gateway.storage.registry import RegistryTable, between, codes, has, likes, newest_first

# Who an id means, and the id they are shown by: one step of the statement that reads their documents.
_PERSON = (
    "WITH p(eid) AS (SELECT coalesce((SELECT eid FROM identity WHERE authority = ? AND value = ?), ?)),"
    " f(cx) AS (SELECT coalesce((SELECT min(i.value) FROM identity i WHERE i.eid = p.eid AND i.authority = ?), p.eid)"
    " || ? FROM p)"
)
_SHOWN = (
    f'{_PERSON} SELECT d."entryUUID", f.cx, d.status, {{xml}}, d."objectType", d.time'
    " FROM p CROSS JOIN f CROSS JOIN registry_object d WHERE d.eid = p.eid AND {where} LIMIT {limit:d}"
)
_SINGLE = ("classCode", "typeCode", "formatCode", "practiceSettingCode", "healthcareFacilityTypeCode")
_PAGE = 500
"""Rows of `originals` read at a time."""


class DocumentTable:
    """ports.Documents over one database."""

    def __init__(self, lookups: Lookups, registry: RegistryTable, identities: IdentityTable, domain: str) -> None:
        self._ask, self._registry, self._identities, self._domain = lookups, registry, identities, domain

    def find(self, query: DocumentQuery, scope: Scope) -> list[StoredEntry]:
        where = Where()
        where.add("d.eid = ?", query.patient)
        _conditions(query, where)
        return self._registry.found(where, scope, query.limit, references=query.references)

    def shown(self, patient: PatientId, query: DocumentQuery, scope: Scope) -> list[Shown] | None:
        limited = bool(scope.excluded_facilities) or scope.consent is not None
        if limited and self._identities.enterprise_id(patient, scope) is None:
            return None  # the whole person may be hidden, whatever documents there are
        where = Where()
        _conditions(query, where)
        object_scope(scope, where)
        own = patient.value if patient.authority == self._domain else None
        sql = _SHOWN.format(xml="NULL" if query.references else "d.xml", where=where, limit=query.limit + 1)
        rows = self._ask.rows(
            sql, [patient.authority, patient.value, own, self._domain, f"^^^&{self._domain}&ISO", *where.values]
        )
        if not rows and self._identities.enterprise_id(patient, scope) is None:
            return None
        return list(map(Shown._make, newest_first(rows, query.limit)))

    def find_of_many(self, query: DocumentQuery, patients: Sequence[str] | None, scope: Scope) -> list[StoredEntry]:
        where = Where()
        if patients is not None:
            where.among("d.eid", patients)
        _conditions(query, where)
        return self._registry.found(where, scope, query.limit, references=query.references)

    def by_entry_uuid(self, uuids: tuple[str, ...], scope: Scope) -> list[StoredEntry]:
        """In the order asked for; unknown ones are left out."""
        return self._registry.by_entry_uuid(uuids, scope, DOCUMENT_TYPES)

    def by_unique_id(self, unique_ids: tuple[str, ...], scope: Scope) -> list[StoredEntry]:
        """In the order asked for; unknown ones are left out. Of several entries of one uniqueId the approved one, else the
        newest, is given."""
        return _one_each(self._registry.by_unique_id(unique_ids, scope, DOCUMENT_TYPES), unique_ids)

    def associations(self, uuids: tuple[str, ...], scope: Scope) -> list[Association]:
        return self._registry.associations(uuids, scope)

    def originals(self, scope: Scope) -> Iterator[str]:
        """SHA-256 of the original bytes behind each current document, in the order of their keys, each once."""
        after: tuple[str, str] | None = None
        while True:
            where = Where()
            where.add("d.kind = 'original' AND d.status = ?", APPROVED)
            object_scope(scope, where)
            if after:
                where.add("(d.key, d.blob) > (?, ?)", *after)
            sql = (
                f"SELECT DISTINCT d.key, d.blob FROM registry_object d WHERE {where}"
                f" ORDER BY d.key, d.blob LIMIT {_PAGE:d}"
            )
            rows = self._ask.rows(sql, where.values)
            yield from (address for _, address in rows)
            if len(rows) < _PAGE:
                return
            after = (rows[-1][0], rows[-1][1])


def _one_each(entries: Sequence[StoredEntry], unique_ids: Sequence[str]) -> list[StoredEntry]:
    found: dict[str, StoredEntry] = {}
    for entry in entries:
        known = found.get(entry.uniqueId)
        if known is None or known.availabilityStatus != APPROVED or entry.availabilityStatus == APPROVED:
            found[entry.uniqueId] = entry
    return [found[value] for value in dict.fromkeys(unique_ids) if value in found]


def _conditions(query: DocumentQuery, where: Where) -> None:
    """FindDocuments (ITI TF-2: 3.18.4.1.2.3.7.1): parameters are ANDed, the values of one are ORed."""
    where.among('d."objectType"', query.objectType)
    where.among("d.status", query.status)
    for attribute in _SINGLE:
        wanted: CodeFilter | None = getattr(query, attribute)
        if wanted is not None:
            where.any_of(codes(wanted, f'd."{attribute}"', f'd."{attribute}Scheme"'))
    for one in query.confidentialityCode:
        has(where, "confidentialityCode", codes(one, "c.code", "c.scheme"))
    for one in query.eventCodeList:
        has(where, "eventCodeList", codes(one, "c.code", "c.scheme"))
    for references in query.referenceIdList:
        has(where, "referenceIdList", [("c.code = ?", (value,)) for value in references])
    between(where, "d.time", query.creationTime)
    started, stopped = 'd."serviceStartTime"', 'd."serviceStopTime"'
    # What has no start began before any time, what has no end goes on.
    never_began = query.openPeriod and not query.serviceStartTime[0]
    goes_on = query.openPeriod and not query.serviceStopTime[1]
    between(where, started, query.serviceStartTime, or_without=f"{stopped} <> ''" if never_began else "")
    between(where, stopped, query.serviceStopTime, or_without=f"{started} <> ''" if goes_on else "")
    if query.authorPerson:
        has(where, "authorPerson", likes("c.code", query.authorPerson))
    if query.title:
        where.any_of(likes("d.title", query.title))
    if query.availability:
        # Nothing written is online.
        where.among("d.availability", [*query.availability, *([""] if ONLINE in query.availability else [])])
