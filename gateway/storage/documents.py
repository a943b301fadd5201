"""The document registry as answered. Implements ports.Documents; the rows are written by storage/keep_documents.py."""

from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter

from gateway.errors import TooManyResults
from gateway.model.caller import Scope
from gateway.model.document import APPROVED, Association, CodeFilter, DocumentQuery, StoredEntry
from gateway.storage.engines import CHUNK, Lookups
from gateway.storage.reads import Where, document_scope, listed

# In the order of StoredEntry; the mark takes what makes a CX of an enterprise id.
_ENTRY = (
    'SELECT d."entryUUID", d."uniqueId", d.eid || ?, d."repositoryUniqueId", d."mimeType", d.blob, d.size, d.hash,'
    ' d.status, d.xml, d."creationTime" FROM document d'
)
_SINGLE = ("classCode", "typeCode", "formatCode", "practiceSettingCode", "healthcareFacilityTypeCode")
_PAGE = 500
"""Rows of `originals` read at a time."""


class DocumentTable:
    """ports.Documents over one database. `affinity_domain`: OID of the enterprise patient ids in the answers."""

    def __init__(self, lookups: Lookups, affinity_domain: str) -> None:
        self._ask, self._rest_of_cx = lookups, f"^^^&{affinity_domain}&ISO"

    def find(self, query: DocumentQuery, scope: Scope) -> list[StoredEntry]:
        where = _conditions(query)
        document_scope(scope, where)
        found = self._entries(where, f" LIMIT {query.limit + 1:d}")
        if len(found) > query.limit:
            raise TooManyResults(f"more than {query.limit} documents match; ask for object references or less")
        # Sorted here: a database would carry every stored object through its sorter.
        found.sort(key=itemgetter(0))
        found.sort(key=itemgetter(-1), reverse=True)
        return found

    def by_entry_uuid(self, uuids: tuple[str, ...], scope: Scope) -> list[StoredEntry]:
        """In the order asked for; unknown ones are left out."""
        return self._among('d."entryUUID"', uuids, scope, itemgetter(0))

    def by_unique_id(self, unique_ids: tuple[str, ...], scope: Scope) -> list[StoredEntry]:
        """In the order asked for; unknown ones are left out."""
        return self._among('d."uniqueId"', unique_ids, scope, itemgetter(1))

    def associations(self, uuids: tuple[str, ...], scope: Scope) -> list[Association]:
        found: dict[str, Association] = {}
        for start in range(0, len(uuids), CHUNK):
            marks, chunk = listed(uuids[start : start + CHUNK])
            mine = f'SELECT n FROM document WHERE "entryUUID" IN ({marks})'
            where = Where()
            where.add(f"(a.source IN ({mine}) OR a.target IN ({mine}))", *chunk, *chunk)
            document_scope(scope, where, "source")
            document_scope(scope, where, "target")
            sql = (
                'SELECT a."entryUUID", a.type, source."entryUUID", target."entryUUID" FROM association a'
                " JOIN document source ON source.n = a.source JOIN document target ON target.n = a.target"
                f" WHERE {where}"
            )
            found |= {row[0]: Association(*row) for row in self._ask.rows(sql, where.values)}
        return [found[id_] for id_ in sorted(found)]

    def originals(self, scope: Scope) -> Iterator[str]:
        """SHA-256 of the original bytes behind each current document, in the order of their keys, each once."""
        after: tuple[str, str] | None = None
        while True:
            where = Where()
            where.add("d.kind = 'original' AND d.status = ?", APPROVED)
            document_scope(scope, where)
            if after:
                where.add("(d.key, d.blob) > (?, ?)", *after)
            sql = f"SELECT DISTINCT d.key, d.blob FROM document d WHERE {where} ORDER BY d.key, d.blob LIMIT {_PAGE:d}"
            rows = self._ask.rows(sql, where.values)
            yield from (address for _, address in rows)
            if len(rows) < _PAGE:
                return
            after = (rows[-1][0], rows[-1][1])

    def _among(
        self, column: str, values: Sequence[str], scope: Scope, key: Callable[[StoredEntry], str]
    ) -> list[StoredEntry]:
        found: dict[str, StoredEntry] = {}
        for start in range(0, len(values), CHUNK):
            where = Where()
            where.among(column, values[start : start + CHUNK])
            document_scope(scope, where)
            found |= {key(entry): entry for entry in self._entries(where)}
        return [found[value] for value in dict.fromkeys(values) if value in found]

    def _entries(self, where: Where, end: str = "") -> list[StoredEntry]:
        rows = self._ask.rows(f"{_ENTRY} WHERE {where}{end}", [self._rest_of_cx, *where.values])
        return list(map(StoredEntry._make, rows))


def _conditions(query: DocumentQuery) -> Where:
    """FindDocuments (ITI TF-2: 3.18.4.1.2.3.7.1): parameters are ANDed, the values of one are ORed."""
    where = Where()
    where.add("d.eid = ?", query.patient)
    where.among("d.status", query.status)
    where.among('d."objectType"', query.objectType)
    for attribute in _SINGLE:
        wanted: CodeFilter | None = getattr(query, attribute)
        if wanted is not None:
            where.any_of(_codes(wanted, f'd."{attribute}"', f'd."{attribute}Scheme"'))
    for one in query.confidentialityCode:
        _has(where, "confidentialityCode", _codes(one, "c.code", "c.scheme"))
    for one in query.eventCodeList:
        _has(where, "eventCodeList", _codes(one, "c.code", "c.scheme"))
    _between(where, 'd."creationTime"', *query.creationTime)
    _between(where, 'd."serviceStartTime"', *query.serviceStartTime)
    _between(where, 'd."serviceStopTime"', *query.serviceStopTime)
    if query.authorPerson:
        _has(where, "authorPerson", [("c.code LIKE ? ESCAPE '\\'", (pattern,)) for pattern in query.authorPerson])
    return where


def _codes(wanted: CodeFilter, code: str, scheme: str) -> list[tuple[str, Sequence[object]]]:
    return [
        (f"({code} = ? AND {scheme} = ?)", (value, system)) if system else (f"{code} = ?", (value,))
        for value, system in wanted.values
    ]


def _has(where: Where, attribute: str, conditions: Sequence[tuple[str, Sequence[object]]]) -> None:
    """One of the values an entry has of `attribute` meets one of the conditions on `c`."""
    inner = Where()
    inner.add("c.n = d.n AND c.attribute = ?", attribute)
    inner.any_of(conditions)
    where.add(f"EXISTS (SELECT 1 FROM document_code c WHERE {inner})", *inner.values)


_LOWEST = "00000101000000"


def _between(where: Where, column: str, from_: str, to: str) -> None:
    """From <= t < To on DTM text of any precision; what is not written counts as the lowest it can be. An entry without
    the time does not match."""
    if not from_ and not to:
        return
    padded = f"{column} || substr('{_LOWEST}', length({column}) + 1)"
    where.add(f"{column} <> ''")
    if from_:
        where.add(f"{padded} >= ?", _pad(from_))
    if to:
        where.add(f"{padded} < ?", _pad(to))


def _pad(dtm: str) -> str:
    return dtm + _LOWEST[len(dtm) :]
