"""The second look at what goes out: other code than the WHERE clause (storage/scope.py), over facts read anew.

What the query let through and this does not is left out and told to the operator (an alarm in the audit trail): either
is enough to keep data in, so one mistake of ours discloses nothing. In open mode nothing is limited and nothing is done.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from gateway.model.audit import AuditRecord
from gateway.model.caller import UNRESTRICTED, Scope
from gateway.model.consent import DataFacts, Rule, sees
from gateway.model.document import Association, DocumentQuery, StoredEntry
from gateway.model.resource import SearchPage, SearchPlan, StoredResource
from gateway.ports import AuditLog, Documents, KnownFacts, Resources

_MOST: Final = 10_000
"""Persons whose rules are kept."""


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
        return self._shown(self.inner.find(query, scope), scope)

    def by_entry_uuid(self, uuids: tuple[str, ...], scope: Scope) -> list[StoredEntry]:
        return self._shown(self.inner.by_entry_uuid(uuids, scope), scope)

    def by_unique_id(self, unique_ids: tuple[str, ...], scope: Scope) -> list[StoredEntry]:
        return self._shown(self.inner.by_unique_id(unique_ids, scope), scope)

    def originals(self, scope: Scope) -> Iterator[str]:
        return self.inner.originals(scope)

    def associations(self, uuids: tuple[str, ...], scope: Scope) -> list[Association]:
        return self.inner.associations(uuids, scope)

    def _shown(self, found: list[StoredEntry], scope: Scope) -> list[StoredEntry]:
        if scope == UNRESTRICTED or not found:
            return found
        ids = [one.uniqueId for one in found]
        seen = self.guard.shown(scope, self.guard.facts.of_documents(ids), ids, "DocumentReference")
        return [one for one in found if one.uniqueId in seen]
