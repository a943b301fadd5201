"""What services need of storage, as small protocols over model types. `gateway/storage` implements them.

Every reading method takes a Scope without a default: what a caller may see is part of the query (model/caller.py).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Literal, NamedTuple, Protocol

from gateway.model.audit import AuditRecord
from gateway.model.caller import Scope
from gateway.model.document import Association, DocumentQuery, StoredEntry
from gateway.model.identity import Facts, Linked, Pair, PatientId, Statement
from gateway.model.ingest import Applied, FileOutcome, Kept, Reject, Seen
from gateway.model.outcome import StayEvent
from gateway.model.person import Comparison, Decision, Demographics, HistoryLine
from gateway.model.resource import SearchPage, SearchPlan, StoredResource


class Resources(Protocol):
    """FHIR resources by id and by search."""

    def read(self, type_: str, id_: str, scope: Scope) -> StoredResource | None:
        """The current version (deleted=True for a tombstone); None when unknown or out of scope."""

    def vread(self, type_: str, id_: str, version: int, scope: Scope) -> StoredResource | None: ...

    def history(self, type_: str, id_: str, scope: Scope) -> list[StoredResource]:
        """All versions, newest source time first."""

    def search(self, plan: SearchPlan, scope: Scope) -> SearchPage: ...

    def export(self, scope: Scope) -> Iterator[StoredResource]:
        """The current view in canonical order (type, then id), streamed."""


class Documents(Protocol):
    """The document registry."""

    def find(self, query: DocumentQuery, scope: Scope) -> list[StoredEntry]:
        """Ordered by creationTime, newest first, then entryUUID. Raises TooManyResults above query.limit."""

    def by_entry_uuid(self, uuids: tuple[str, ...], scope: Scope) -> list[StoredEntry]: ...

    def by_unique_id(self, unique_ids: tuple[str, ...], scope: Scope) -> list[StoredEntry]: ...

    def originals(self, scope: Scope) -> Iterator[str]:
        """SHA-256 of the original message behind each current document, in canonical order, each once."""

    def associations(self, uuids: tuple[str, ...], scope: Scope) -> list[Association]:
        """Associations with one of `uuids` on either end, both ends visible in the scope."""


class Blobs(Protocol):
    """Original bytes by SHA-256."""

    def open(self, sha256: str) -> BinaryIO:
        """A stream that raises DamagedContent when the bytes read do not match the address; UnknownDocument."""


class Identities(Protocol):
    """The exact cross-reference: which ids are one person."""

    def enterprise_id(self, patient: PatientId, scope: Scope) -> str | None:
        """The enterprise patient id behind any known id (the affinity domain's own ids included)."""

    def identifiers(self, enterprise_id: str, scope: Scope) -> tuple[PatientId, ...]:
        """All ids of the person, sorted."""

    def patients(self, enterprise_id: str, scope: Scope) -> tuple[str, ...]:
        """Logical ids of the person's Patient resources (one a facility)."""


class PersonRow(NamedTuple):
    """One record of the person index."""

    patient: str
    id: PatientId
    enterprise_id: str
    active: bool
    body: bytes
    """The Patient as shown now; empty when only its ids are known."""
    features: bytes = b""


class PairRow(NamedTuple):
    """One pair of the review queue."""

    number: int
    one: PersonRow
    other: PersonRow
    comparison: Comparison
    decision: Decision | Literal[""]
    decided_by: str
    decided_at: str
    reason: str


class TermCondition(NamedTuple):
    """One of `values` has to be a term of one of `kinds`; a prefix when `prefix`."""

    kinds: tuple[str, ...]
    values: tuple[str, ...]
    prefix: bool = False


class PersonConditions(NamedTuple):
    """All of it has to hold."""

    ids: tuple[PatientId, ...] = ()
    """Any of them; an empty value: any record of that authority."""
    patient: str = ""
    terms: tuple[TermCondition, ...] = ()
    births: tuple[str, str] = ("", "")
    """From (included) and up to (excluded); "" is open."""
    sex: str = ""
    active: bool | None = None


class PersonIndex(Protocol):
    """Records of persons: by id, by demographics, by blocking key; what was said and decided about them."""

    def others(self, id_: PatientId, domains: Sequence[str], scope: Scope) -> tuple[PatientId, ...] | None:
        """The ids of the person in these domains (() for all) but this one, sorted; None for an id that leads to
        nobody."""

    def enterprise_id(self, id_: PatientId, scope: Scope) -> str | None: ...

    def members(self, enterprise_ids: Sequence[str], scope: Scope) -> list[PersonRow]:
        """The records of these persons."""

    def by_id(self, id_: PatientId, scope: Scope) -> PersonRow | None: ...

    def by_patient(self, patient: str, scope: Scope) -> PersonRow | None: ...

    def ids(self, enterprise_ids: Sequence[str], scope: Scope) -> dict[str, tuple[PatientId, ...]]:
        """All ids of these persons, sorted."""

    def find(self, wanted: PersonConditions, limit: int, scope: Scope) -> list[PersonRow]:
        """At most `limit` + 1 records, in order of enterprise id, authority and value."""

    def candidates(self, keys: Sequence[int], scope: Scope) -> list[PersonRow]:
        """Records that share a blocking key, with their features."""

    def statements(self, ids: Sequence[PatientId]) -> list[Statement]:
        """Everything that was said about these ids."""

    def pairs(self, after: int, limit: int, state: str, scope: Scope) -> list[PairRow]:
        """Pairs for people, by number: `open`, `decided` or `all`."""

    def pair(self, number: int, scope: Scope) -> PairRow | None: ...

    def open_pairs(self, id_: PatientId) -> int: ...

    def decide(self, number: int, decision: str, who: str, reason: str, audit: AuditRecord) -> None:
        """Stores what a person said (or `undo`), links anew and returns after the commit."""

    def history(self, id_: PatientId, limit: int) -> list[HistoryLine]:
        """Oldest first."""


class MedicalIdAgency(Protocol):
    """Who gives medical IDs out (医療等ID, 広域ID). Every method raises Unavailable when it does not answer, and
    InvalidParameter for a number it does not hold."""

    def issue(self, person: Demographics) -> str:
        """The person's number; the same person has the same one."""

    def replace(self, number: str, reason: str) -> str:
        """The number that takes its place."""

    def suspend(self, number: str, reason: str) -> None: ...

    def resume(self, number: str) -> None: ...


class AuditLog(Protocol):
    def record(self, *records: AuditRecord) -> None:
        """Returns after the commit; an answer is given only after that. Raises when it cannot be stored."""


class Job(NamedTuple):
    """One piece of work that was stored together with what caused it."""

    n: int
    kind: str
    payload: str
    attempts: int


class Outbox(Protocol):
    """Work that has to happen after a commit, at least once: every handler may run twice."""

    def pending(self, kind: str, limit: int, after: int = 0) -> list[Job]:
        """Open jobs of a kind with a number above `after`, oldest first."""

    def finish(self, *numbers: int) -> None: ...

    def fail(self, number: int) -> None:
        """Counts one more attempt; the job stays open."""


class Health(NamedTuple):
    """What is remembered of another community over a restart."""

    home: str
    failures: int
    pause_s: float
    """0: it is asked."""
    open_until_s: float
    """Seconds since 1970; it is left alone until then."""
    last_success: str
    """dateTime; empty: never."""


class PeerHealth(Protocol):
    def load(self) -> list[Health]: ...

    def save(self, health: Health) -> None:
        """Hands it to the writer and does not wait."""


class Correlated(NamedTuple):
    """By which ids another community knows a person."""

    person: str
    """Enterprise id, or the CX of a person who is not known here."""
    home: str
    ids: tuple[PatientId, ...]
    """Empty: it answered that it knows nobody."""
    basis: str
    """What was known of the person here when it was asked; something else now: it is asked again."""
    expires_s: float
    """Seconds since 1970."""


class Correlations(Protocol):
    """Who knows whom, as learnt by patient discovery."""

    def of(self, person: str) -> list[Correlated]: ...

    def put(self, correlated: Correlated) -> None:
        """Hands it to the writer and does not wait; `of` sees it from its commit on."""

    def drop(self, person: str, home: str) -> None: ...


class Described(NamedTuple):
    """What a Patient says about its person, made ready for searching and matching."""

    birth_date: str
    sex: str
    active: bool
    terms: tuple[tuple[str, str], ...]
    """(kind, folded value), each once."""
    features: bytes
    keys: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Describing:
    """How a Patient becomes a record of the person index. Pure."""

    describe: Callable[[bytes, tuple[PatientId, ...]], Described]
    """(body, its ids: the record's own first, then shared ones)"""
    compare: Callable[[bytes, bytes], Comparison] | None = None
    """Features of two records; None: matching is off."""
    version: str = ""
    """Of the matching rules."""
    automatic: bool = False
    """Pairs that matching would link are linked; otherwise they go to people."""


@dataclass(frozen=True, slots=True)
class Derivations:
    """Pure functions of the layers above that storage calls inside its transaction. app.py hands them in."""

    reindex: Callable[[bytes, int, str], Kept]
    """(body, rank, logical id of the patient) -> index values, when an older body is shown again."""
    project: Callable[[Sequence[StayEvent]], Sequence[Kept]]
    """All current stay events of one patient -> Encounter and Provenance."""
    unmatched: Callable[[Sequence[StayEvent]], Sequence[StayEvent]]
    """Those cancels among one patient's current stay events that find no event to take back."""
    revise: Callable[[Sequence[bytes], str, str], Sequence[Kept]]
    """(bodies of a record's current version, update time of what it replaces, logical id of the patient) -> the
    record as a correction."""
    link: Callable[[Mapping[PatientId, Facts], Sequence[Statement], Sequence[Pair]], Linked]
    """The cross-reference."""
    enterprise_id: Callable[[Iterable[PatientId]], str]
    """Enterprise patient id of a cluster of facility ids."""
    association_id: Callable[[str, str, str], str]
    """(association type, source entryUUID, target entryUUID) -> entryUUID of the association."""
    persons: Describing | None = None
    """None: persons are known by their ids only."""
    retire: Callable[[bytes, str], Kept] | None = None
    """(a Patient, logical id of the one that took its place) -> how it is shown after a merge."""


class Keeping(Protocol):
    """Where ingest puts what it read. One call is one unit: all of a file, or nothing of it."""

    def seen(self, paths: Sequence[bytes]) -> dict[bytes, Seen]:
        """The ledger's rows of these files."""

    def keep(self, outcomes: Sequence[FileOutcome], audit: Callable[[FileOutcome, str], AuditRecord]) -> Applied:
        """Stores a batch and returns after the commit. `audit` makes the record of one file from its state."""

    def doubtful(self, keys: Sequence[str]) -> int:
        """How many of these documents still have two valid versions."""

    def unmatched(self, patients: Sequence[str]) -> int:
        """How many cancels of stay events of these patients (logical ids) find no event to take back."""

    def rejects(self) -> Iterator[tuple[bytes, tuple[Reject, ...]]]:
        """Every file the ledger holds as rejected, in order of path."""

    def note(self, path: bytes, seen: Seen) -> None:
        """Writes one row of the ledger that stands for no file: how far an index was read."""

    def forget(self, paths: Sequence[bytes]) -> None:
        """Drops ledger rows of rejected files that are gone."""
