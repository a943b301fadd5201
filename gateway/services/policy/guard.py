"""The second look at what goes out: other code than the WHERE clause (storage/scope.py), over facts read anew.

What the query let through and this does not is left out and told to the operator (an alarm in the audit trail): either
is enough to keep data in, so one mistake of ours discloses nothing. In open mode nothing is limited and nothing is done.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from gateway.model.audit import AuditRecord
from gateway.model.caller import UNRESTRICTED, Scope
from gateway.model.consent import DataFacts, Rule, sees
from gateway.model.document import DOCUMENT_TYPES, Association, DocumentQuery, Shown, StoredEntry
from gateway.model.identity import PatientId
from gateway.model.registry_query import ContentQuery, FolderQuery, SubmissionSetQuery
from gateway.model.resource import SearchPage, SearchPlan, StoredResource
from gateway.ports import AuditLog, Documents, KnownFacts, Registry, Resources

_MOST: Final = 10_000
"""Persons whose rules are kept."""


Row = TypeVar("Row", StoredEntry, Shown)


class Rules(Protocol):
    """What the guard needs of the consent store."""

    def version(self) -> int: ...
    def rules(self, eids: Sequence[str]) -> Mapping[str, Sequence[Rule]]: ...


@dataclass(slots=True)
class Guard:
    """The decision on pieces of data; the rules of persons are kept until any consent changes."""

    facts: KnownFacts
    consents: Rules
    audit: AuditLog
    _version: int = -1
    _kept: dict[str, Sequence[Rule]] = field(default_factory=dict)

    def shown(self, scope: Scope, found: Mapping[str, DataFacts], wanted: Sequence[str], what: str) -> set[str]:
        """Those of `wanted` (keys of `found`) that the scope shows."""
        eids = sorted({facts.eid for facts in found.values() if facts.eid})
        rules = self._rules(eids) if scope.consent is not None else {}
        known = self.facts.known_at(eids) if scope.known_at is not None else {}
        seen = {
            key
            for key, facts in found.items()
            if sees(scope, facts, rules.get(facts.eid, ()), known.get(facts.eid, frozenset()))
        }
        if missing := [key for key in wanted if key not in seen]:
            alarm = AuditRecord("110113", "guard", "E", 12, "guard", object=what, detail=f"{len(missing)} held back")
            self.audit.record(alarm)
        return seen

    def documents(self, found: list[Row], scope: Scope) -> list[Row]:
        """Of stored objects those documents that the scope shows; SubmissionSets and Folders as they are."""
        documents = [one.entryUUID for one in found if one.objectType in DOCUMENT_TYPES]
        if scope == UNRESTRICTED or not documents:
            return found
        seen = self.shown(scope, self.facts.of_documents(documents), documents, "DocumentReference")
        return [one for one in found if one.entryUUID in seen or one.objectType not in DOCUMENT_TYPES]

    def _rules(self, eids: Sequence[str]) -> Mapping[str, Sequence[Rule]]:
        version = self.consents.version()
        if version != self._version or len(self._kept) > _MOST:
            self._version, self._kept = version, {}
        kept = self._kept
        if unknown := [eid for eid in eids if eid not in kept]:
            found = self.consents.rules(unknown)
            kept.update((eid, found.get(eid, ())) for eid in unknown)
        return {eid: kept[eid] for eid in eids}


@dataclass(frozen=True, slots=True)
class GuardedResources:
    """ports.Resources, looked at again on the way out."""

    inner: Resources
    guard: Guard

    def read(self, type_: str, id_: str, scope: Scope) -> StoredResource | None:
        found = self.inner.read(type_, id_, scope)
        return found if found is None or self._all(scope, [found]) else None

    def vread(self, type_: str, id_: str, version: int, scope: Scope) -> StoredResource | None:
        found = self.inner.vread(type_, id_, version, scope)
        return found if found is None or self._all(scope, [found]) else None

    def history(self, type_: str, id_: str, scope: Scope) -> list[StoredResource]:
        found = self.inner.history(type_, id_, scope)
        return found if not found or self._all(scope, found[:1]) else []

    def search(self, plan: SearchPlan, scope: Scope) -> SearchPage:
        page = self.inner.search(plan, scope)
        if scope == UNRESTRICTED or not (page.rows or page.included):
            return page
        seen = self._seen(scope, [*page.rows, *page.included])
        return page._replace(
            rows=tuple(row for row in page.rows if (row.type, row.id) in seen),
            included=tuple(row for row in page.included if (row.type, row.id) in seen),
        )

    def export(self, scope: Scope) -> Iterator[StoredResource]:
        return self.inner.export(scope)

    def _all(self, scope: Scope, rows: Sequence[StoredResource]) -> bool:
        return scope == UNRESTRICTED or len(self._seen(scope, rows)) == len(rows)

    def _seen(self, scope: Scope, rows: Sequence[StoredResource]) -> set[tuple[str, str]]:
        by_type: dict[str, list[str]] = {}
        for row in rows:
            by_type.setdefault(row.type, []).append(row.id)
        seen: set[tuple[str, str]] = set()
        for type_, ids in by_type.items():
            found = self.guard.facts.of_resources(type_, ids)
            seen.update((type_, id_) for id_ in self.guard.shown(scope, found, ids, type_))
        return seen


@dataclass(frozen=True, slots=True)
class GuardedDocuments:
    """ports.Documents, looked at again on the way out."""

    inner: Documents
    guard: Guard

    def find(self, query: DocumentQuery, scope: Scope) -> list[StoredEntry]:
        return self.guard.documents(self.inner.find(query, scope), scope)

    def by_entry_uuid(self, uuids: tuple[str, ...], scope: Scope) -> list[StoredEntry]:
        return self.guard.documents(self.inner.by_entry_uuid(uuids, scope), scope)

    def by_unique_id(self, unique_ids: tuple[str, ...], scope: Scope) -> list[StoredEntry]:
        return self.guard.documents(self.inner.by_unique_id(unique_ids, scope), scope)

    def originals(self, scope: Scope) -> Iterator[str]:
        return self.inner.originals(scope)

    def associations(self, uuids: tuple[str, ...], scope: Scope) -> list[Association]:
        return self.inner.associations(uuids, scope)

    def shown(self, patient: PatientId, query: DocumentQuery, scope: Scope) -> list[Shown] | None:
        found = self.inner.shown(patient, query, scope)
        return None if found is None else self.guard.documents(found, scope)

    def find_of_many(self, query: DocumentQuery, patients: Sequence[str] | None, scope: Scope) -> list[StoredEntry]:
        return self.guard.documents(self.inner.find_of_many(query, patients, scope), scope)


@dataclass(frozen=True, slots=True)
class GuardedRegistry:
    """ports.Registry, its documents looked at again on the way out. SubmissionSets and Folders follow their documents in
    the query itself (storage/reads.py)."""

    inner: Registry
    guard: Guard

    def find_submission_sets(self, query: SubmissionSetQuery, scope: Scope) -> list[StoredEntry]:
        return self.inner.find_submission_sets(query, scope)

    def find_folders(self, query: FolderQuery, scope: Scope) -> list[StoredEntry]:
        return self.inner.find_folders(query, scope)

    def contents(self, uuids: Sequence[str], query: ContentQuery, scope: Scope) -> list[StoredEntry]:
        return self.guard.documents(self.inner.contents(uuids, query, scope), scope)

    def by_entry_uuid(self, uuids: Sequence[str], scope: Scope, types: Sequence[str] = ()) -> list[StoredEntry]:
        return self.guard.documents(self.inner.by_entry_uuid(uuids, scope, types), scope)

    def by_unique_id(self, unique_ids: Sequence[str], scope: Scope, types: Sequence[str] = ()) -> list[StoredEntry]:
        return self.guard.documents(self.inner.by_unique_id(unique_ids, scope, types), scope)

    def by_logical_id(self, lids: Sequence[str], scope: Scope, types: Sequence[str] = ()) -> list[StoredEntry]:
        return self.guard.documents(self.inner.by_logical_id(lids, scope, types), scope)

    def associations(self, uuids: Sequence[str], scope: Scope) -> list[Association]:
        return self.inner.associations(uuids, scope)

    def associations_by_id(self, uuids: Sequence[str], scope: Scope) -> list[Association]:
        return self.inner.associations_by_id(uuids, scope)
