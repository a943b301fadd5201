"""What people do about persons: the queue of doubtful pairs, a merge taken back, two records linked or held apart, and the
history of it all. What they say stands above matching, and each of it can be taken back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from gateway.errors import InvalidParameter, UnknownPatient, UnknownResource
from gateway.model.audit import AuditRecord
from gateway.model.caller import UNRESTRICTED, Caller, Scope
from gateway.model.identity import PatientId, resolve, standing, subsumed_by
from gateway.model.person import Decision, Fed, HistoryLine, PersonFeed, Review
from gateway.ports import PairRow
from gateway.services.identity import canonical
from gateway.services.persons import feeding
from gateway.services.persons.service import Persons, record_of

TRANSACTION: Final = "desk"


@dataclass(frozen=True, slots=True)
class Desk:
    """Over one identity index. Safe to call from many threads."""

    persons: Persons

    # -- the queue

    def reviews(self, after: int, limit: int, state: str, scope: Scope) -> list[Review]:
        """Pairs for people, by number, from the one after `after`; `state`: open, decided or all."""
        rows = self.persons.index.pairs(after, max(1, min(limit, 1000)), state, scope)
        return [self._review(row, scope) for row in rows]

    def review(self, number: int, scope: Scope) -> Review | None:
        row = self.persons.index.pair(number, scope)
        return self._review(row, scope) if row else None

    def decide(self, number: int, decision: Decision, who: str, reason: str, caller: Caller) -> Review:
        """What a person says of a pair. It stands above matching until somebody decides otherwise or takes it back.
        Raises UnknownResource for a pair that is not in the queue."""
        if decision not in ("same", "different", "defer"):
            raise InvalidParameter("a decision is same, different or defer")
        return self._decide(number, decision, who, reason, caller)

    def undo(self, number: int, who: str, caller: Caller) -> Review:
        """Takes the decision on a pair back: matching speaks again."""
        row = self.persons.index.pair(number, UNRESTRICTED)
        if row is not None and not row.decision:
            raise InvalidParameter("nothing was decided on this pair")
        return self._decide(number, "undo", who, "", caller)

    def _decide(self, number: int, decision: str, who: str, reason: str, caller: Caller) -> Review:
        index = self.persons.index
        if index.pair(number, UNRESTRICTED) is None:
            raise UnknownResource("no such pair")
        record = AuditRecord(
            "110110", "review", "U", 0, who or caller.user or caller.node, caller.address, object=f"pair {number}",
            detail=decision,
        )  # fmt: skip
        index.decide(number, decision, who, reason, record)
        found = index.pair(number, UNRESTRICTED)
        if found is None:
            raise UnknownResource("the pair is in the queue no longer")
        return self._review(found, UNRESTRICTED)

    def _review(self, row: PairRow, scope: Scope) -> Review:
        one, other = self.persons.records([row.one, row.other], scope)
        return Review(row.number, one, other, row.comparison, row.decision, row.decided_by, row.decided_at, row.reason)

    # -- merges and links

    def undo_merge(self, prior: PatientId, who: str, caller: Caller, reason: str = "") -> Fed:
        """Takes back the merge, or the change of number, that retired this id: the record stands by itself again.
        Raises UnknownPatient when none did."""
        said = self.persons.statements_about((prior,))
        merges = [one for one in standing(said) if one.other == prior and one.kind in ("merge", "change-id")]
        if not merges:
            raise UnknownPatient("no merge retired this number")
        now = feeding.japan_time(self.persons.clock.now())
        undone = tuple(
            feeding.statement("undo", one.one, one.other, now, who, TRANSACTION, undoes=one.hash, rule=reason)
            for one in merges
        )
        event = PersonFeed("unlink", (prior,), (merges[0].one,), event_time=now, sender=who, transaction=TRANSACTION)
        outcome = feeding.outcome(event, (feeding.bare(event, undone),))
        self.persons.keeping.keep([outcome], lambda one, state: record_of(event, caller, state))
        return self.persons.fed(event, False, True)

    def tie(self, one: PatientId, other: PatientId, together: bool, who: str, caller: Caller, reason: str = "") -> Fed:
        """Links two records, or holds them apart, whatever their ids and matching say; the newest word counts. Raises
        UnknownAuthority and UnknownPatient (`at` 0 or 1), and InvalidParameter for a record and itself."""
        if one == other:
            raise InvalidParameter("two records are linked or held apart, not one")
        now = feeding.japan_time(self.persons.clock.now())
        kind: Literal["link", "unlink"] = "link" if together else "unlink"
        event = PersonFeed(kind, (one,), (other,), event_time=now, sender=who, transaction=TRANSACTION)
        event = self.persons.checked(event)
        said = feeding.statement(kind, one, other, now, who, TRANSACTION, rule=reason)
        outcome = feeding.outcome(event, (feeding.bare(event, (said,)),))
        applied = self.persons.keeping.keep([outcome], lambda one, state: record_of(event, caller, state))
        return self.persons.fed(event, False, applied.states[0] != "unchanged")

    # -- history

    def history(self, id: PatientId, scope: Scope, limit: int = 1000) -> list[HistoryLine]:
        """What happened to an id, oldest first; empty for one that the scope does not see."""
        if not self._seen(id, scope):
            return []
        return self.persons.index.history(canonical(id, self.persons.known), limit)

    def history_of_person(self, id: PatientId, scope: Scope, limit: int = 1000) -> list[HistoryLine]:
        """The same of all ids the person has, those that merges retired included."""
        if not self._seen(id, scope):
            return []
        last = resolve(id, self._retired((id,)))
        ids = {id, last, *(self.persons.index.others(last, (), scope) or ())}
        said = self.persons.statements_about(tuple(ids))
        ids.update(subsumed_by(said))
        # A medical ID that is suspended leads to nobody, and is this person's all the same.
        ids.update(one.other for one in said if one.kind == "issue" and one.one in ids)
        lines = {line: None for one in sorted(ids, key=str) for line in self.history(one, scope, limit)}
        return sorted(lines, key=lambda line: line.at)[:limit]

    def _retired(self, ids: Sequence[PatientId]) -> dict[PatientId, PatientId]:
        return subsumed_by(self.persons.statements_about(ids))

    def _seen(self, id_: PatientId, scope: Scope) -> bool:
        """A retired number is seen by whoever sees its survivor."""
        if scope == UNRESTRICTED:
            return True
        return self.persons.index.enterprise_id(resolve(id_, self._retired((id_,))), scope) is not None
