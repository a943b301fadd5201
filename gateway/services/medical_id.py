"""医療等ID: the life of a medical ID at this node: issued, replaced, suspended, resumed. Who gives the numbers out is an
agency behind a port (ports.MedicalIdAgency); what is known here of a number is what was stated about it.

A medical ID is an id that facilities share (an authority of kind `medical-id`), so issuing one to two facility numbers
links them, replacing one leads the old number's holders to the new one, and a suspended one leads nowhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple

from gateway.errors import Forbidden, InvalidParameter, UnknownPatient
from gateway.model.audit import AuditRecord
from gateway.model.caller import Caller, Scope
from gateway.model.clock import Clock
from gateway.model.identity import PatientId, PersonKey, Statement, StatementKind, standing, subsumed_by
from gateway.model.ingest import VALID, KeptMessage, Version, make_key
from gateway.model.person import HistoryLine, PersonFeed
from gateway.ports import Keeping, MedicalIdAgency, PersonIndex
from gateway.services.persons import Desk, Persons, feeding

TRANSACTION: Final = "medical-id"
State = Literal["active", "replaced", "suspended", "unknown"]


class Standing(NamedTuple):
    """What a medical ID is now."""

    state: State
    holders: tuple[PatientId, ...] = ()
    """Facility numbers of the person it leads to."""
    replaced_by: PatientId | None = None


class Participant(NamedTuple):
    """A facility of the consortium whose patients are given medical IDs."""

    institution: str
    """10 digits (医療機関番号): prefecture, score table, number."""
    name: str
    domains: frozenset[str]
    """OIDs in which it numbers its patients."""
    since: str = ""
    until: str = ""
    """First and last day (YYYY-MM-DD); empty: open."""

    def active(self, day: str) -> bool:
        return self.since <= day and (not self.until or day <= self.until)


@dataclass(frozen=True, slots=True)
class MedicalIds:
    """Put together by gateway.app. `authority`: OID of the medical ID."""

    persons: Persons
    index: PersonIndex
    keeping: Keeping
    agency: MedicalIdAgency
    clock: Clock
    authority: str
    participants: tuple[Participant, ...] = ()
    """Who may ask for numbers; none: every facility that is known here."""

    def assign(self, holder: PatientId, caller: Caller, scope: Scope) -> PatientId:
        """Asks the agency for the number of the person behind a facility's number, and ties it to that. The same
        person has the same number, whoever asks. Raises UnknownPatient, Forbidden (the facility takes no part),
        InvalidParameter (the agency refuses) and Unavailable."""
        self._check_participant(holder)
        record = self.persons.record(holder, scope)
        if record is None:
            raise UnknownPatient("the patient's id is not known here")
        issued = PatientId(self.agency.issue(record.demographics), self.authority)
        if holder in self.state(issued, scope).holders and issued in record.other_ids:
            return issued
        now = feeding.japan_time(self.clock.now())
        person = PersonKey((holder, issued), record.demographics.birth_date[:8], record.demographics.sex)
        key = make_key(holder.authority, holder.value, "", TRANSACTION, "")
        said = feeding.statement("issue", holder, issued, now, self._who(caller), TRANSACTION)
        version = Version(now, said.hash, "", VALID)
        message = KeptMessage(key, version, holder.authority, record.patient, person, sender=said.who)
        self._keep(replace(message, statements=(said,)), "issue", (holder, issued), now, caller)
        return issued

    def replace(self, old: PatientId, reason: str, caller: Caller, scope: Scope) -> PatientId:
        """A new number in place of one that was lost or misused; whoever still sends the old one means the new one.
        Raises UnknownPatient for one that leads nowhere."""
        self._active(old, scope)
        new = PatientId(self.agency.replace(old.value, reason), self.authority)
        self._say("change-id", new, old, caller, reason)
        return new

    def suspend(self, number: PatientId, reason: str, caller: Caller, scope: Scope) -> None:
        """From now on the number leads nowhere and links nobody."""
        self._active(number, scope)
        self.agency.suspend(number.value, reason)
        self._say("delete", number, number, caller, reason)

    def resume(self, number: PatientId, reason: str, caller: Caller) -> None:
        """Takes a suspension back. Raises InvalidParameter for a number that is not suspended."""
        self._own(number)
        held = [one for one in self._standing(number) if one.kind == "delete" and one.one == number]
        if not held:
            raise InvalidParameter("the number is not suspended")
        self.agency.resume(number.value)
        for one in held:
            self._say("undo", number, number, caller, reason, undoes=one.hash)

    def state(self, number: PatientId, scope: Scope) -> Standing:
        """Raises InvalidParameter for an id of another authority. What the scope does not see is unknown."""
        self._own(number)
        said = self._standing(number)
        if any(one.kind == "delete" and one.one == number for one in said):
            return Standing("suspended")
        if (new := subsumed_by(said).get(number)) is not None:
            return Standing("replaced", replaced_by=new)
        others = self.index.others(number, (), scope)
        if others is None:
            return Standing("unknown")
        return Standing("active", tuple(one for one in others if self.index.by_id(one, scope) is not None))

    def history(self, number: PatientId, scope: Scope) -> Sequence[HistoryLine]:
        """Oldest first."""
        self._own(number)
        return Desk(self.persons).history(number, scope)

    def _check_participant(self, holder: PatientId) -> None:
        if not self.participants:
            return
        today = self.clock.now().astimezone(feeding.JAPAN).date().isoformat()
        if not any(holder.authority in one.domains and one.active(today) for one in self.participants):
            raise Forbidden("the facility takes no part in the medical ID today")

    def _own(self, number: PatientId) -> None:
        if number.authority != self.authority:
            raise InvalidParameter("not a medical ID")

    def _active(self, number: PatientId, scope: Scope) -> None:
        if self.state(number, scope).state != "active":
            raise UnknownPatient("the medical ID leads nowhere")

    def _standing(self, number: PatientId) -> list[Statement]:
        return standing(self.index.statements((number,)))

    def _say(
        self, kind: StatementKind, one: PatientId, other: PatientId, caller: Caller, reason: str, undoes: str = ""
    ) -> None:
        now = feeding.japan_time(self.clock.now())
        said = feeding.statement(
            kind, one, other, now, self._who(caller), TRANSACTION, undoes=undoes, rule=reason
        )  # fmt: skip
        event = PersonFeed("link", (one,), (other,), event_time=now, sender=said.who, transaction=TRANSACTION)
        self._keep(feeding.bare(event, (said,)), kind, (one, other), now, caller)

    def _keep(
        self, message: KeptMessage, what: str, ids: tuple[PatientId, PatientId], now: str, caller: Caller
    ) -> None:
        event = PersonFeed("link", ids, event_time=now, sender=self._who(caller), transaction=TRANSACTION)
        record = AuditRecord(
            "110110", TRANSACTION, "U", 0, self._who(caller), caller.address, patient=str(ids[0]), detail=what
        )
        self.keeping.keep([feeding.outcome(event, (message,))], lambda one, state: record)

    @staticmethod
    def _who(caller: Caller) -> str:
        return caller.user or caller.node
