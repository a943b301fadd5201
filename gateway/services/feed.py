"""What becomes of one HL7 v2 message that a sender waits with: read, stored, and a receipt for the commit.

The same message again gets the same receipt and is stored once, also after a restart: the ledger holds a row for each
pair of sender and control id, in the transaction that stored the message. What is refused for its content is kept as
bytes (quarantine), because here no file stays behind for the operator to look at.
"""

import hashlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple

from gateway.codec.head import Head
from gateway.codec.packing import pack
from gateway.errors import ConfigurationError, GatewayError, Unavailable
from gateway.model.audit import AuditRecord
from gateway.model.clock import Clock
from gateway.model.ingest import OVER_MLLP, Applied, FileOutcome, KeptMessage, Reject
from gateway.ports import AuditLog, Keeping
from gateway.services import my_number
from gateway.services.ingest.files import Content
from gateway.services.ingest.reading import Reader
from gateway.translate.context import Facilities
from gateway.translate.patient_ids import SHARED
from gateway.translate.person_v2 import authority_of, cx_of
from gateway.translate.rules import table

GROUP: Final = 64
"""Messages of one transaction at most."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Severity = Literal["E", "W", "I"]
"""ERR-4 (HL7 v2.5 table 0516)."""


class Problem(NamedTuple):
    """One thing a sender is told. No text holds a value of the message."""

    code: str
    """HL7 v2.5 table 0357."""
    place: str
    """ERR-2: `PID^1^3^1^4` is PID, first one, field 3, repetition 1, component 4; empty: the message."""
    text: str
    severity: Severity = "E"


class Receipt(NamedTuple):
    """The outcome for the sender. An `AA` is given after the commit only."""

    answer: Literal["AA", "AE", "AR"]
    """Table 0008: accepted; refused for its content; refused for its head or size, or because we cannot."""
    at: datetime
    """When the message came; of one that came before, when it came first."""
    problems: tuple[Problem, ...] = ()
    again: bool = False
    """The message had been stored before."""


class Refused(GatewayError):
    """The message is not stored, for this reason."""

    def __init__(self, answer: Literal["AE", "AR"], problem: Problem, reject: Reject | None = None) -> None:
        super().__init__(problem.text)
        self.answer: Literal["AE", "AR"] = answer
        self.problem = problem
        self.reject = reject or Reject("", 0, "error", "identity-refused", problem.text)
        """What the ledger says of it."""


@dataclass(slots=True)
class Act:
    """What a message says of who is who besides its PID (ITI-8, ITI-30). Made for one message."""

    transaction: str
    action: Literal["C", "U", "D"]
    said: Callable[[str, "Act"], tuple[KeptMessage, ...]]
    """(OID of the domain, itself) -> what is kept of it. Raises Refused."""
    translated: bool = True
    """The message is translated and kept as a document too; one about two patients is not."""
    patient: str = ""
    """CX of the record, once `messages` knew it."""
    retired: tuple[str, ...] = ()
    """CX of the records that a merge retires."""

    def messages(self, facility: str) -> tuple[KeptMessage, ...]:
        return self.said(facility, self)


@dataclass(frozen=True, slots=True)
class Feed:
    """Put together by gateway.app. Safe to call from many threads; messages of one patient have to come one by one."""

    keeping: Keeping
    audit: AuditLog
    readers: "Readers"
    facilities: Facilities
    clock: Clock
    reject_reused: bool = False
    """A control id that came before with another message is refused instead of reported."""
    node: str = ""
    """Who sends, by the certificate of the connection; empty in open mode."""
    _group: "GroupCommit" = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_group", GroupCommit(self.keeping))

    def of(self, node: str) -> "Feed":
        """The same for messages of one node, which share its commits with all others."""
        made = replace(self, node=node)
        object.__setattr__(made, "_group", self._group)
        return made

    def receive(self, message: bytes, head: Head, address: str, act: "Act | None" = None) -> Receipt:
        """Stores one message; `act`: what it says besides of who is who, in the same commit.

        Raises Refused, and Unavailable when the storage cannot take it.
        """
        now = self.clock.now()
        key = ledger_key(head)
        digest = hashlib.sha256(message).hexdigest()
        seen = self.keeping.seen([key]).get(key)
        kept = seen is not None and seen.outcome != "rejected"
        warnings: list[Problem] = []
        if kept and seen is not None and seen.sha256 != digest:
            text = "this control id (MSH-10) came before with another message"
            warnings.append(Problem("205", "MSH^1^10", text, "W"))
            if self.reject_reused:
                self.refuse(head, warnings[0], address)
                raise Refused("AR", warnings[0]._replace(severity="E"))
        content = Content(message, len(message), (now - _EPOCH) // timedelta(microseconds=1) * 1000)
        outcome = FileOutcome(key, content.size, content.mtime_ns, digest)
        same = kept and seen is not None and seen.sha256 == digest
        try:
            facility, more = self._facility(head)
            said = act.messages(facility) if act and not same else ()
        except Refused as error:
            bytes_ = () if error.reject.code == my_number.ISSUE else (pack(digest, message),)
            self._keep(replace(outcome, rejects=(error.reject,), quarantine=bytes_), head, address, act)
            raise
        # Who feeds ids under their authorities needs to be no facility himself.
        warnings += [one for one in more if act is None or one.place != "MSH^1^4"]
        if same and seen is not None:
            outcome = FileOutcome(key, seen.size, seen.mtime_ns, seen.sha256)
            self.audit.record(self._record(outcome, "unchanged", head, address, act))
            return Receipt("AA", _EPOCH + timedelta(microseconds=seen.mtime_ns // 1000), tuple(warnings), again=True)
        if act is None or act.translated:
            outcome = self._read(key, content, facility)
        if not outcome.rejects:
            outcome = replace(outcome, messages=(*outcome.messages, *said))
        self._keep(outcome, head, address, act)
        if outcome.rejects:
            raise Refused(*_refusal(outcome.rejects[0]))
        if act is not None and act.retired:
            self.audit.record(*(self._retirement(cx, head, address, act) for cx in act.retired))
        warnings += [Problem(_error(one.code)[0], "", one.reason, "W") for one in outcome.findings]
        return Receipt("AA", now, tuple(warnings))

    def _keep(self, outcome: FileOutcome, head: Head, address: str, act: "Act | None" = None) -> None:
        self._group.keep(outcome, lambda one, state: self._record(one, state, head, address, act))

    def refuse(self, head: Head | None, problem: Problem, address: str) -> None:
        """Leaves the audit record of a message of which nothing is kept."""
        actor = _actor(head) if head else ""
        detail = f"refused {problem.code}"
        self.audit.record(AuditRecord("110107", "mllp", "E", 4, actor, address, detail=detail, node=self.node))

    def _read(self, key: bytes, content: Content, facility: str) -> FileOutcome:
        with self.readers.one() as reader:
            try:
                outcome = reader.convert_message(key, content, facility)
            except Exception as error:  # noqa: BLE001 - an error of ours: its class is all that may be said of it
                text = f"error of the program while reading this message: {type(error).__name__}"
                reject = Reject("", 0, "fatal", "internal-error", text)
                digest = hashlib.sha256(content.data).hexdigest()
                outcome = FileOutcome(key, content.size, content.mtime_ns, digest, rejects=(reject,))
        # A sender that is there can send again what was damaged on its way; a file cannot.
        damaged = [one for one in outcome.findings if one.code == "undecodable-bytes"]
        if any(one.code == my_number.ISSUE for one in outcome.rejects):
            return replace(outcome, messages=())  # the value stands nowhere, not even in quarantine
        return _quarantined(outcome, content.data, *damaged) if outcome.rejects or damaged else outcome

    def _facility(self, head: Head) -> tuple[str, list[Problem]]:
        """OID of the domain whose patient number PID-3 gives, and what is odd about it. Raises Refused.

        The sender's own number, with its authority or without one, comes before the number of another facility that is
        known here, and that before an id of the affinity domain. Shared ids (医療等ID) never are a patient's number.
        """
        given = cx_of(head.pid[3] if head.pid else "")
        given = [one for one in given if one.value]
        find = self.facilities.find
        sender = find(head.field(4, 1)) or find(head.field(4, 2))
        known = {one.number: authority_of(one.hd, find) if one.hd.strip("&") else sender for one in given}
        for one in given:
            if known[one.number] is None and my_number.is_my_number(one.value):
                raise no_my_number(f"PID^1^3^{one.number}^1")
        owners = [one for one in known.values() if one is not None and one.kind not in SHARED]
        owners.sort(key=lambda one: (sender is None or one.oid != sender.oid, one.kind != "facility"))
        unknown = [number for number, one in known.items() if one is None]
        if not owners:
            if unknown:
                problem = _unknown(unknown[0])
                raise Refused("AE", problem, Reject("", 0, "error", "unknown-authority", problem.text))
            return "", []  # without a patient's number it is refused for that
        warnings = [_unknown(number)._replace(severity="W") for number in unknown]
        if sender is None:
            text = "the sending facility is not known here; the authority of the patient number is"
            warnings.append(Problem("204", "MSH^1^4", text, "W"))
        return owners[0].oid, warnings

    def _record(
        self, outcome: FileOutcome, state: str, head: Head, address: str, act: "Act | None" = None
    ) -> AuditRecord:
        """One a message: DICOM PS3.15 A.5.3.7 Data Import, or Patient Record (ITI TF-2: 3.8.5.1) of a feed."""
        person = next((one.person for one in outcome.messages if one.person.ids), None)
        action = {"ingested": "C", "superseded": "U", "deleted": "D"}.get(state, "E")
        if act is not None:
            action = act.action
        patient = str(person.ids[0]) if person else ""
        return AuditRecord(
            event="110110" if act else "110107",
            transaction=act.transaction if act else "mllp",
            action=action,
            outcome=4 if outcome.rejects else 0,
            actor=_actor(head),
            address=address,
            patient=(act.patient if act else "") or patient,
            object=outcome.sha256,
            detail=" ".join([state, *sorted({reject.code for reject in outcome.rejects})]),
            node=self.node,
        )

    def _retirement(self, patient: str, head: Head, address: str, act: "Act") -> AuditRecord:
        """A merge deletes one record and updates another (ITI TF-2: 3.8.5.1)."""
        return AuditRecord(
            "110110",
            act.transaction,
            "D",
            0,
            _actor(head),
            address,
            patient=patient,
            detail=f"MSH-10={head.control_id}",
            node=self.node,
        )


class Readers:
    """A few readers for many threads: each is made when it is first needed, and works on one message at a time."""

    def __init__(self, make: Callable[[], Reader], count: int) -> None:
        self._make = make
        self._free: queue.LifoQueue[Reader | None] = queue.LifoQueue()
        for _ in range(count):
            self._free.put(None)

    @contextmanager
    def one(self) -> Iterator[Reader]:
        reader = self._free.get()
        try:
            reader = reader or self._make()
            yield reader
        finally:
            self._free.put(reader)


Record = Callable[[FileOutcome, str], AuditRecord]


@dataclass(slots=True)
class _Waiting:
    outcome: FileOutcome
    record: Record
    done: bool = False
    error: BaseException | None = None


class GroupCommit:
    """One transaction for all messages that wait while another one is being committed. Whoever comes first stores
    for those who came meanwhile; everyone returns after the commit of his own."""

    def __init__(self, keeping: Keeping) -> None:
        self._keeping = keeping
        self._commits, self._lock = threading.Lock(), threading.Lock()
        self._waiting: list[_Waiting] = []

    def keep(self, outcome: FileOutcome, record: Record) -> None:
        """Returns after the commit. Raises what made it fail; the others of the group are stored all the same."""
        mine = _Waiting(outcome, record)
        with self._lock:
            self._waiting.append(mine)
        with self._commits:
            while not mine.done:
                with self._lock:
                    group, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
                self._store(group)
        if mine.error is not None:
            raise mine.error

    def _store(self, group: Sequence[_Waiting]) -> None:
        records = {id(one.outcome): one.record for one in group}

        def record(outcome: FileOutcome, state: str) -> AuditRecord:
            return records[id(outcome)](outcome, state)

        try:
            self._apply([one.outcome for one in group], record)
        except (Unavailable, ConfigurationError) as error:
            for one in group:
                one.error = error
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for it
            if len(group) == 1:
                group[0].error = error
            else:
                for one in group:
                    self._store([one])
        for one in group:
            one.done = True

    def _apply(self, outcomes: list[FileOutcome], record: Record) -> Applied:
        return self._keeping.keep(outcomes, record)


def _quarantined(outcome: FileOutcome, message: bytes, *rejects: Reject) -> FileOutcome:
    """Nothing of the message is stored but its bytes."""
    blobs = (pack(outcome.sha256, message),)
    return replace(outcome, messages=(), rejects=(*outcome.rejects, *rejects), quarantine=blobs)


def ledger_key(head: Head) -> bytes:
    """The ledger's path of a message: who sent it (MSH-3, MSH-4) and its control id (MSH-10), unreadable for others."""
    parts = "\x1f".join((head.field(3), head.field(4), head.control_id))
    return OVER_MLLP + hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest().encode("ascii")


def _actor(head: Head) -> str:
    return f"{head.field(3, 1)}|{head.field(4, 1)}"[:200]


def _unknown(repetition: int) -> Problem:
    return Problem("204", f"PID^1^3^{repetition}^4", "the assigning authority of the patient number is not known here")


def no_my_number(place: str) -> Refused:
    """Of a message that has a 個人番号 for a patient's number. Nothing of it is kept, not even as bytes."""
    text = "a patient's number is a My Number, which must not be kept"
    return Refused("AE", Problem("102", place, text), Reject("", 0, "error", "my-number-refused", text))


def _error(code: str) -> tuple[str, str]:
    """ERR-3 and ERR-2 of an issue code."""
    number, _, place = table("ack-errors").get(code, "207").partition(" ")
    return number, place


def _refusal(reject: Reject) -> tuple[Literal["AE", "AR"], Problem]:
    number, place = _error(reject.code)
    return ("AR" if reject.code == "too-large" else "AE"), Problem(number, place, reject.reason)
