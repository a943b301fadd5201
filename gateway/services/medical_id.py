"""医療等ID: the life of a medical ID at this node: issued, replaced, suspended, resumed. Who gives the numbers out is an
agency behind a port (ports.MedicalIdAgency); what is known here of a number is what was stated about it.

A medical ID is an id that facilities share (an authority of kind `medical-id`), so issuing one to two facility numbers
links them, replacing one leads the old number's holders to the new one, and a suspended one leads nowhere.
"""

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from gateway.errors import InvalidParameter, UnknownPatient
from gateway.model.audit import AuditRecord
from gateway.model.caller import UNRESTRICTED, Caller
from gateway.model.clock import Clock
from gateway.model.identity import PatientId, PersonKey, Statement, StatementKind, standing, subsumed_by
from gateway.model.ingest import VALID, KeptMessage, Version, make_key
from gateway.model.person import HistoryLine, PersonFeed
from gateway.ports import Keeping, MedicalIdAgency, PersonIndex
from gateway.services.persons import Persons, feeding

TRANSACTION: Final = "medical-id"
State = Literal["active", "replaced", "suspended", "unknown"]


class Standing(NamedTuple):
    """What a medical ID is now."""

    state: State
    holders: tuple[PatientId, ...] = ()
    """Facility numbers of the person it leads to."""
    replaced_by: PatientId | None = None


@dataclass(frozen=True, slots=True)
class MedicalIds:
    """Put together by app.py. `authority`: OID of the medical ID."""

    persons: Persons
    index: PersonIndex
    keeping: Keeping
    agency: MedicalIdAgency
    clock: Clock
    authority: str

    def issue(self, holder: PatientId, caller: Caller) -> PatientId:
        """Asks the agency for the number of the person behind a facility's number, and ties it to that. The same
        person has the same number, whoever asks. Raises UnknownPatient and Unavailable."""
        record = self.persons.record(holder, UNRESTRICTED)
        if record is None:
            raise UnknownPatient("the patient's id is not known here")
        issued = PatientId(self.agency.issue(record.demographics), self.authority)
        now = feeding.japan_time(self.clock.now())
        person = PersonKey((holder, issued), record.demographics.birth_date[:8], record.demographics.sex)
        key = make_key(holder.authority, holder.value, "", TRANSACTION, "")
        digest = feeding.statement("link", holder, issued, now, self._who(caller), TRANSACTION).hash
        version = Version(now, digest, "", VALID)
        self._keep(
            KeptMessage(key, version, holder.authority, record.patient, person), "link", (holder, issued), now, caller
        )
        return issued

    def replace(self, old: PatientId, reason: str, caller: Caller) -> PatientId:
        """A new number in place of one that was lost or misused; whoever still sends the old one means the new one.
        Raises UnknownPatient for one that leads nowhere."""
        self._active(old)
        new = PatientId(self.agency.replace(old.value, reason), self.authority)
        self._say("change-id", new, old, caller)
        return new

    def suspend(self, number: PatientId, reason: str, caller: Caller) -> None:
        """From now on the number leads nowhere and links nobody."""
        self._active(number)
        self.agency.suspend(number.value, reason)
        self._say("delete", number, number, caller)

    def resume(self, number: PatientId, caller: Caller) -> None:
        """Takes a suspension back. Raises InvalidParameter for a number that is not suspended."""
        held = [one for one in self._standing(number) if one.kind == "delete" and one.one == number]
        if not held:
            raise InvalidParameter("the number is not suspended")
        self.agency.resume(number.value)
        for one in held:
            self._say("undo", number, number, caller, undoes=one.hash)

    def state(self, number: PatientId) -> Standing:
        said = self._standing(number)
        if any(one.kind == "delete" and one.one == number for one in said):
            return Standing("suspended")
        if (new := subsumed_by(said).get(number)) is not None:
            return Standing("replaced", replaced_by=new)
        others = self.index.others(number, (), UNRESTRICTED)
        if others is None:
            return Standing("unknown")
        return Standing("active", tuple(one for one in others if self.index.by_id(one, UNRESTRICTED) is not None))

    def history(self, number: PatientId) -> list[HistoryLine]:
        """Oldest first."""
        return self.index.history(number, 1000)

    def _active(self, number: PatientId) -> None:
        if number.authority != self.authority:
            raise InvalidParameter("not a medical ID")
        if self.state(number).state != "active":
            raise UnknownPatient("the medical ID leads nowhere")

    def _standing(self, number: PatientId) -> list[Statement]:
        return standing(self.index.statements((number,)))

    def _say(self, kind: StatementKind, one: PatientId, other: PatientId, caller: Caller, undoes: str = "") -> None:
        now = feeding.japan_time(self.clock.now())
        said = feeding.statement(kind, one, other, now, self._who(caller), TRANSACTION, undoes=undoes)
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
