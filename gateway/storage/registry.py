"""Registry objects and associations as answered. Implements ports.Registry; written by storage/keep_documents.py (files)
and storage/keep_registry.py (submissions)."""

from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

import orjson

from gateway.errors import TooManyResults
from gateway.model.caller import Scope
from gateway.model.code import Code
from gateway.model.document import (
    FOLDER,
    SUBMISSION_SET,
    SUBMISSION_SET_STATUS,
    Association,
    CodeFilter,
    NamedValues,
    StoredEntry,
)
from gateway.model.identity import PatientId
from gateway.model.registry_query import ContentQuery, FolderQuery, Range, SubmissionSetQuery
from gateway.storage.engines import CHUNK, Lookups
from gateway.storage.reads import Where, listed, object_scope

# In the order of StoredEntry, with the enterprise id for the patient.
_OBJECT = (
    'd."entryUUID", d."uniqueId", d.eid, d."repositoryUniqueId", d."mimeType", d.blob, d.size, d.hash, d.status,'
    ' {xml}, d."objectType", d.lid, d.version, d.time FROM registry_object d'
)
_WHOLE = f"SELECT {_OBJECT.format(xml='d.xml')}"
_BARE = f"SELECT {_OBJECT.format(xml='NULL')}"
_FED = "SELECT min(value) FROM identity WHERE eid = ? AND authority = ?"
_ASSOCIATION = (
    'SELECT a."entryUUID", a.type, source."entryUUID", target."entryUUID", inside."entryUUID", a.status, a.lid,'
    " a.version, a.label, a.extra FROM association a JOIN registry_object source ON source.n = a.source"
    " LEFT JOIN registry_object target ON target.n = a.target"
    " LEFT JOIN association inside ON inside.n = a.target_association"
)

_TOUCHING = (
    'a.source IN (SELECT n FROM registry_object WHERE "entryUUID" IN',
    'a.target IN (SELECT n FROM registry_object WHERE "entryUUID" IN',
    'a.target_association IS NOT NULL AND a.target_association IN (SELECT n FROM association WHERE "entryUUID" IN',
)
"""Asked one after another: each goes along its own index."""


class RegistryTable:
    """ports.Registry over one database. `affinity_domain`: OID of the patient ids in the answers."""

    def __init__(self, lookups: Lookups, affinity_domain: str) -> None:
        self._ask, self._affinity_domain = lookups, affinity_domain

    # -- by attributes

    def find_submission_sets(self, query: SubmissionSetQuery, scope: Scope) -> list[StoredEntry]:
        where = Where()
        where.add('d.eid = ? AND d."objectType" = ?', query.patient, SUBMISSION_SET)
        where.among("d.status", query.status)
        if query.sourceId:
            has(where, "sourceId", [("c.code = ?", (value,)) for value in query.sourceId])
        if query.contentType is not None:
            has(where, "contentTypeCode", codes(query.contentType, "c.code", "c.scheme"))
        if query.authorPerson:
            has(where, "authorPerson", likes("c.code", query.authorPerson))
        between(where, "d.time", query.submissionTime)
        return self.found(where, scope, query.limit, references=query.references)

    def find_folders(self, query: FolderQuery, scope: Scope) -> list[StoredEntry]:
        where = Where()
        where.add('d."objectType" = ?', FOLDER)
        if query.patients is not None:
            where.among("d.eid", query.patients)
        where.among("d.status", query.status)
        for one in query.codeList:
            has(where, "codeList", codes(one, "c.code", "c.scheme"))
        between(where, "d.time", query.lastUpdateTime)
        return self.found(where, scope, query.limit, references=query.references)

    def found(self, where: Where, scope: Scope, limit: int, *, references: bool = False) -> list[StoredEntry]:
        """Newest first, then by entryUUID. Raises TooManyResults."""
        object_scope(scope, where)
        select = _BARE if references else _WHOLE
        rows = self._ask.rows(f"{select} WHERE {where} LIMIT {limit + 1:d}", where.values)
        return self._shown(newest_first(rows, limit))

    # -- by id

    def by_entry_uuid(self, uuids: Sequence[str], scope: Scope, types: Sequence[str] = ()) -> list[StoredEntry]:
        known = {one.entryUUID: one for one in self.among('d."entryUUID"', uuids, scope, types)}
        return [known[uuid] for uuid in dict.fromkeys(uuids) if uuid in known]

    def by_unique_id(self, unique_ids: Sequence[str], scope: Scope, types: Sequence[str] = ()) -> list[StoredEntry]:
        return self.among('d."uniqueId"', unique_ids, scope, types)

    def by_logical_id(self, lids: Sequence[str], scope: Scope, types: Sequence[str] = ()) -> list[StoredEntry]:
        first = [one for one in self.by_entry_uuid(lids, scope, types) if not one.logicalID]
        later = self.among("d.lid", [one for one in lids if one], scope, types, extra="d.lid <> ''")
        return sorted([*first, *later], key=lambda one: (one.logicalID or one.entryUUID, one.version))

    def contents(self, uuids: Sequence[str], query: ContentQuery, scope: Scope) -> list[StoredEntry]:
        rows: list[Any] = []
        for chunk in _chunks(uuids):
            where = Where()
            where.among('d."entryUUID"', chunk)
            where.among('d."objectType"', query.objectType)
            if query.formatCode is not None:
                where.any_of(codes(query.formatCode, 'd."formatCode"', 'd."formatCodeScheme"'))
            for one in query.confidentialityCode:
                has(where, "confidentialityCode", codes(one, "c.code", "c.scheme"))
            object_scope(scope, where)
            rows += self._ask.rows(f"{_WHOLE} WHERE {where} ORDER BY d.n", where.values)
        return self._shown(rows)

    def among(
        self, column: str, values: Sequence[str], scope: Scope, types: Sequence[str] = (), extra: str = ""
    ) -> list[StoredEntry]:
        """Objects with one of `values` in `column`, of some `types` or any, in the order they were stored. `extra` is a
        condition that an index asks for."""
        rows: list[Any] = []
        for chunk in _chunks(values):
            where = Where()
            where.among(column, chunk)
            if extra:
                where.add(extra)
            if types:
                where.among('d."objectType"', types)
            object_scope(scope, where)
            rows += self._ask.rows(f"{_WHOLE} WHERE {where} ORDER BY d.n", where.values)
        return self._shown(rows)

    # -- associations

    def associations(self, uuids: Sequence[str], scope: Scope) -> list[Association]:
        """Those that have one of these objects (or associations) on either end, by entryUUID."""
        found: dict[str, Association] = {}
        for chunk in _chunks(uuids):
            marks, bound = listed(chunk)
            for touching in _TOUCHING:
                where = Where()
                where.add(f"{touching} ({marks}))", *bound)
                found |= {one.entryUUID: one for one in self._associations(where, scope)}
        return [found[id_] for id_ in sorted(found)]

    def associations_by_id(self, uuids: Sequence[str], scope: Scope) -> list[Association]:
        found: list[Association] = []
        for chunk in _chunks(uuids):
            where = Where()
            where.among('a."entryUUID"', chunk)
            found += self._associations(where, scope)
        return sorted(found, key=lambda one: one.entryUUID)

    def _associations(self, where: Where, scope: Scope) -> Iterator[Association]:
        """Both ends have to be in the scope; of an association to an association, the ends of that one too."""
        _seen(where, "a.source", scope)
        _seen(where, "a.target", scope, or_none=True)
        _seen(where, "inside.source", scope, or_none=True)
        _seen(where, "inside.target", scope, or_none=True)
        return (association_of(*row) for row in self._ask.rows(f"{_ASSOCIATION} WHERE {where}", where.values))

    # -- patient ids

    def _patient_id(self, eid: str) -> str:
        """CX of the affinity domain: the id fed for it from outside where there is one, else the enterprise id."""
        ((fed,),) = self._ask.rows(_FED, (eid, self._affinity_domain))
        return str(PatientId(fed or eid, self._affinity_domain))

    def _shown(self, rows: Sequence[Any]) -> list[StoredEntry]:
        patients = {eid: self._patient_id(eid) for eid in dict.fromkeys(map(itemgetter(2), rows))}
        return [StoredEntry(row[0], row[1], patients[row[2]], *row[3:]) for row in rows]


def newest_first(rows: list[Any], limit: int) -> list[Any]:
    """By time, then by entryUUID; sorted here, because a database would carry every stored object through its sorter.
    Raises TooManyResults."""
    if len(rows) > limit:
        raise TooManyResults(f"more than {limit} objects match; ask for less, or for object references")
    rows.sort(key=itemgetter(0))
    rows.sort(key=itemgetter(-1), reverse=True)
    return rows


# -- conditions --------------------------------------------------------------------------------------------------

Conditions = Sequence[tuple[str, Sequence[object]]]


def codes(wanted: CodeFilter, code: str, scheme: str) -> Conditions:
    return [
        (f"({code} = ? AND {scheme} = ?)", (value, system)) if system else (f"{code} = ?", (value,))
        for value, system in wanted.values
    ]


def likes(column: str, patterns: Iterable[str]) -> Conditions:
    """SQL LIKE with % and _. On both sides in lower case, because SQLite and PostgreSQL do not agree on it."""
    return [(f"lower({column}) LIKE lower(?) ESCAPE '\\'", (pattern,)) for pattern in patterns]


def has(where: Where, attribute: str, conditions: Conditions) -> None:
    """One of the values an object has of `attribute` meets one of the conditions on `c`."""
    inner = Where()
    inner.add("c.n = d.n AND c.attribute = ?", attribute)
    inner.any_of(conditions)
    where.add(f"EXISTS (SELECT 1 FROM registry_code c WHERE {inner})", *inner.values)


_LOWEST = "00000101000000"


def between(where: Where, column: str, wanted: Range, *, or_without: str = "") -> None:
    """From <= t < To on DTM text of any precision; what is not written counts as the lowest it can be. An object without
    the time does not match, or under the condition `or_without`."""
    from_, to = wanted
    if not from_ and not to:
        return
    padded = f"{column} || substr('{_LOWEST}', length({column}) + 1)"
    tests, values = [f"{column} <> ''"], []
    for sign, limit in ((">=", from_), ("<", to)):
        if limit:
            tests.append(f"{padded} {sign} ?")
            values.append(limit + _LOWEST[len(limit) :])
    inside = " AND ".join(tests)
    where.add(f"(({inside}) OR ({column} = '' AND {or_without}))" if or_without else inside, *values)


def _seen(where: Where, number: str, scope: Scope, *, or_none: bool = False) -> None:
    """The object of this number is in the scope."""
    inner = Where()
    object_scope(scope, inner, "o")
    if str(inner) == str(Where()):
        return
    seen = (f"EXISTS (SELECT 1 FROM registry_object o WHERE o.n = {number} AND {inner})", inner.values)
    where.any_of([(f"{number} IS NULL", ()), seen] if or_none else [seen])


# -- rows --------------------------------------------------------------------------------------------------------


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


def _chunks(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[start : start + CHUNK] for start in range(0, len(values), CHUNK))
