"""Emergency access: declared for one patient, told to both communities and later to the patient, reviewed by somebody
else. What a declared emergency shows is services/policy/decision.py; here it begins and ends.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

from gateway.errors import Forbidden, InvalidParameter, Unavailable, UnknownPatient
from gateway.model.audit import AuditRecord
from gateway.model.caller import Caller, Scope
from gateway.model.clock import Chance, Clock
from gateway.model.emergency import NOTICE, PATIENT_NOTICE, STATES, Declared, State
from gateway.model.identity import PatientId
from gateway.ports import AuditLog, Emergencies, Identities, Job, Outbox
from gateway.services.policy.decision import Emergency

ALERT: Final = "110113"
STARTED, STOPPED = "110127", "110138"
"""DICOM: Emergency Override Started, Stopped."""
MIN_TEXT: Final = 10
MAX_TEXT: Final = 2000
_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True)
class Rules:
    """`[break_glass]` of the configuration."""

    minutes: int = 60
    fresh_minutes: int = 15
    notice_hours: int = 24
    review_days: int = 7


@dataclass(frozen=True, slots=True)
class EmergencyDesk:
    """Put together by gateway.app."""

    emergencies: Emergencies
    identities: Identities
    rules: Rules
    home: str
    clock: Clock
    chance: Chance

    def declare(self, patient: PatientId, reason: str, text: str, caller: Caller, scope: Scope) -> Declared:
        """Opens the record of one patient. `scope`: what policy let the caller declare for.

        Raises Forbidden unless the caller proved who they are a moment ago, InvalidParameter, UnknownPatient.
        """
        now = self.clock.now().astimezone(UTC)
        if not self._fresh(caller.authenticated, now):
            raise Forbidden("an emergency is declared right after signing in", "not-fresh")
        text = " ".join(text.split())
        if not MIN_TEXT <= len(text) <= MAX_TEXT:
            raise InvalidParameter(f"the reason is told in {MIN_TEXT} to {MAX_TEXT} characters")
        if not reason.strip() or len(reason) > 64:
            raise InvalidParameter("a reason code is required")
        eid = self.identities.enterprise_id(patient, scope)
        if eid is None:
            raise UnknownPatient("the patient is not known here")
        declared = Declared(
            str(self.chance.new_uuid()),
            eid,
            str(patient),
            caller.user,
            caller.issuer,
            caller.node,
            caller.organization,
            " ".join(caller.roles),
            reason.strip(),
            text,
            _instant(now),
            _instant(now + timedelta(minutes=self.rules.minutes)),
            "open",
            _instant(now + timedelta(days=self.rules.review_days)),
        )
        record = AuditRecord(
            ALERT, "break-glass", "E", 0, caller.user, patient=str(patient), object=declared.id,
            detail=f"{STARTED} {declared.reason}",
        ).by(caller)  # fmt: skip
        self.emergencies.declare(declared, record, self._notices(declared, caller, now))
        return declared

    def find(self, id_: str) -> Emergency | None:
        """What a caller's btg_id refers to, as policy wants it."""
        one = self.emergencies.find(id_)
        return Emergency(one.id, one.user, one.issuer, one.node, one.eid, one.started, one.ends) if one else None

    def review(self, id_: str, state: str, finding: str, caller: Caller) -> Declared:
        """What somebody else than the user thinks of it. Raises InvalidParameter, Forbidden, Conflict."""
        if state not in STATES[1:]:
            raise InvalidParameter(f"the outcome of a review is one of {', '.join(STATES[1:])}")
        if not MIN_TEXT <= len(finding.strip()) <= MAX_TEXT:
            raise InvalidParameter(f"a review is told in {MIN_TEXT} to {MAX_TEXT} characters")
        one = self.emergencies.find(id_)
        if one is not None and (one.user, one.issuer) == (caller.user, caller.issuer):
            raise Forbidden("nobody reviews their own emergency access", "own-review")
        record = AuditRecord(
            ALERT, "break-glass-review", "U", 0, caller.user or caller.node, patient=one.patient if one else "",
            object=id_, detail=f"{STOPPED} {state}",
        ).by(caller)  # fmt: skip
        return self.emergencies.review(id_, _state(state), caller.user or caller.node, finding.strip(), record)

    def _fresh(self, authenticated: str, now: datetime) -> bool:
        try:
            then = datetime.fromisoformat(authenticated)
        except ValueError:
            return False
        if then.tzinfo is None:
            return False
        return timedelta(seconds=-60) <= now - then <= timedelta(minutes=self.rules.fresh_minutes)

    def _notices(self, one: Declared, caller: Caller, now: datetime) -> list[tuple[str, str]]:
        """Both communities at once; the patient when it cannot disturb the care any more. Facility level: no names."""
        told = {"id": one.id, "organization": one.organization, "reason": one.reason, "started": one.started}
        jobs = []
        for community in dict.fromkeys((self.home, caller.home or self.home)):
            payload = {**told, "community": community, "due": one.started}
            jobs.append((NOTICE, orjson.dumps(payload).decode()))
        later = _instant(now + timedelta(hours=self.rules.notice_hours))
        payload = {**told, "patient": one.patient, "due": later}
        return [*jobs, (PATIENT_NOTICE, orjson.dumps(payload).decode())]


@dataclass(slots=True)
class Notices:
    """Sends what is due; one thread calls `run_once`. What cannot be delivered stays in the outbox."""

    outbox: Outbox
    audit: AuditLog
    clock: Clock
    send: Callable[[str, dict[str, str]], None]
    """(kind, notice); raises Unavailable when nobody takes it now."""

    def run_once(self) -> bool:
        now = _instant(self.clock.now().astimezone(UTC))
        worked = False
        for kind in (NOTICE, PATIENT_NOTICE):
            for job in self._due(kind, now):
                notice = orjson.loads(job.payload)
                try:
                    self.send(kind, notice)
                except Unavailable:
                    self.outbox.fail(job.n)
                    break
                self.outbox.finish(job.n)
                about = notice.get("community", "patient")
                self.audit.record(AuditRecord("110113", kind, "E", 0, "notices", object=notice["id"], detail=about))
                worked = True
        return worked

    def _due(self, kind: str, now: str) -> list[Job]:
        return [job for job in self.outbox.pending(kind, _AT_ONCE) if orjson.loads(job.payload)["due"] <= now]


def _instant(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _state(word: str) -> State:
    return next(one for one in STATES if one == word)
