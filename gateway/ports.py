"""What services need of storage, as small protocols over model types. `gateway/storage` implements them.

Every reading method takes a Scope without a default: what a caller may see is part of the query (model/caller.py).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Literal, NamedTuple, Protocol, TypeVar

from gateway.model.audit import AuditRecord, AuditSearch, Checkpoint, StoredRecord
from gateway.model.caller import Scope
from gateway.model.consent import Consent, DataFacts, Rule
from gateway.model.document import Association, DocumentQuery, Shown, StoredEntry
from gateway.model.emergency import Declared
from gateway.model.emergency import State as EmergencyState
from gateway.model.identity import Facts, Linked, Pair, PatientId, Statement
from gateway.model.ingest import Applied, FileOutcome, Kept, KeptBlob, KeptObject, Reject, Seen
from gateway.model.outcome import StayEvent
from gateway.model.person import Comparison, Decision, Demographics, HistoryLine
from gateway.model.registry_query import ContentQuery, FolderQuery, SubmissionSetQuery
from gateway.model.resource import SearchPage, SearchPlan, StoredResource
from gateway.model.subscription import Event, Notification, Subscription

T = TypeVar("T")


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

    def shown(self, patient: PatientId, query: DocumentQuery, scope: Scope) -> list[Shown] | None:
        """`find` for whoever this id means, instead of query.patient, and only what an answer shows; None: the scope
        knows nobody by it."""

    def find_of_many(self, query: DocumentQuery, patients: Sequence[str] | None, scope: Scope) -> list[StoredEntry]:
        """`find` for these enterprise ids instead of query.patient; None: not limited by patient."""

    def by_entry_uuid(self, uuids: tuple[str, ...], scope: Scope) -> list[StoredEntry]: ...

    def by_unique_id(self, unique_ids: tuple[str, ...], scope: Scope) -> list[StoredEntry]: ...

    def originals(self, scope: Scope) -> Iterator[str]:
        """SHA-256 of the original message behind each current document, in canonical order, each once."""

    def associations(self, uuids: tuple[str, ...], scope: Scope) -> list[Association]:
        """Associations with one of `uuids` on either end, both ends visible in the scope."""


class Registry(Protocol):
    """DocumentEntries, SubmissionSets, Folders and the associations between them. `types`: objectTypes, () for all. What
    a scope does not show is as unknown as what does not exist."""

    def find_submission_sets(self, query: SubmissionSetQuery, scope: Scope) -> list[StoredEntry]:
        """Newest first, then by entryUUID. Raises TooManyResults above query.limit."""

    def find_folders(self, query: FolderQuery, scope: Scope) -> list[StoredEntry]:
        """As find_submission_sets."""

    def contents(self, uuids: Sequence[str], query: ContentQuery, scope: Scope) -> list[StoredEntry]:
        """The documents among these objects that are wanted, in the order they were stored."""

    def by_entry_uuid(self, uuids: Sequence[str], scope: Scope, types: Sequence[str] = ()) -> list[StoredEntry]:
        """In the order asked for."""

    def by_unique_id(self, unique_ids: Sequence[str], scope: Scope, types: Sequence[str] = ()) -> list[StoredEntry]:
        """All versions, and all entries a document was registered by; in the order they were stored."""

    def by_logical_id(self, lids: Sequence[str], scope: Scope, types: Sequence[str] = ()) -> list[StoredEntry]:
        """All versions, by logicalID and version."""

    def associations(self, uuids: Sequence[str], scope: Scope) -> list[Association]:
        """Those with one of these objects or associations on either end, both ends visible; by entryUUID."""

    def associations_by_id(self, uuids: Sequence[str], scope: Scope) -> list[Association]: ...


class ObjectRow(NamedTuple):
    """What rules of submission have to know of a stored object. Its person's rows carry the same `person`."""

    n: int
    entryUUID: str
    lid: str
    """Empty in a first version."""
    version: int
    uniqueId: str
    objectType: str
    status: str
    person: "Person"
    repositoryUniqueId: str
    hash: str
    size: int
    blob: str
    time: str
    xml: bytes

    @property
    def logicalID(self) -> str:
        return self.lid or self.entryUUID


class Person(NamedTuple):
    """Whose an object is: what Scope filters on."""

    eid: str
    """Enterprise patient id."""
    patient: str
    """Logical id of the Patient it stands with when persons are linked or told apart."""
    facility: str


class RegistryWork(Protocol):
    """The registry inside one write transaction: what is read here stays so until the commit."""

    def accepted(self, message_id: str, digest: bytes) -> bool:
        """Whether the same message was answered with success before; if not, it is from now on."""

    def person(self, patient: PatientId, source: PatientId | None) -> Person | None:
        """Whose the id is. `source`: the id at the facility, whose Patient is taken when it is the same person's."""

    def objects(self, uuids: Iterable[str]) -> dict[str, ObjectRow]: ...

    def of_unique_id(self, unique_ids: Iterable[str]) -> list[ObjectRow]: ...

    def newest(self, lids: Iterable[str]) -> dict[str, ObjectRow]:
        """logicalID -> its latest version."""

    def versions(self, lid: str) -> list[ObjectRow]: ...

    def associations(self, uuids: Iterable[str]) -> list[Association]:
        """Those with one of these objects or associations on either end, by entryUUID."""

    def associations_by_id(self, uuids: Iterable[str]) -> dict[str, Association]: ...

    def newest_associations(self, lids: Iterable[str]) -> dict[str, Association]: ...

    def add(self, made: KeptObject, status: str, person: Person) -> None: ...

    def link(self, association: Association) -> None:
        """Both ends have to be there. Raises KeyError."""

    def set_status(self, uuids: Iterable[str], status: str) -> None:
        """Of objects and associations. An entry of a file no longer follows the file's versions after that."""

    def touch(self, uuids: Iterable[str], time: str) -> None:
        """lastUpdateTime of Folders."""

    def remove(self, uuids: Iterable[str]) -> None:
        """Objects and associations, for good."""

    def hold(self, blobs: Iterable[KeptBlob]) -> None:
        """Bytes of documents; those of a large one are durable already."""

    def release(self, unique_ids: Iterable[str]) -> list[str]:
        """Takes the bytes from the entries of these documents. Returns the addresses nothing stands on any more."""

    def notify(self, kind: str, payload: str) -> None: ...

    def record(self, audit: AuditRecord) -> None: ...


class Registering(Protocol):
    """Where submissions go. One call of `run` is one transaction, and returns after its commit."""

    def run(self, act: Callable[[RegistryWork], T]) -> T:
        """Raises what `act` raises; then nothing was stored."""


class Received(NamedTuple):
    """A document that was taken in as a stream. Its bytes are safe; they stay only when the transaction of its metadata
    stores `blob` (storage/keep_documents.py keep_blobs)."""

    blob: KeptBlob
    sha1: str
    """Lower-case hex, as a registry's `hash` has it (ITI TF-3: 4.2.3.2.10)."""

    @property
    def size(self) -> int:
        return self.blob.size


class Blobs(Protocol):
    """Original bytes by SHA-256."""

    def open(self, sha256: str) -> BinaryIO:
        """A stream that raises DamagedContent when the bytes read do not match the address; UnknownDocument;
        Unavailable."""

    def receive(self, pieces: Iterable[bytes], max_bytes: int) -> Received:
        """Takes a document of unknown size in pieces; durable when it returns, in bounded memory. Raises LimitExceeded
        above `max_bytes`, Unavailable when the store cannot take it, and what `pieces` raises; nothing stays then."""


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
    InvalidParameter for a number it does not hold. The same request again is answered as before: what followed from
    the first may have been lost on our side."""

    def issue(self, person: Demographics) -> str:
        """The person's number; the same person has the same one."""

    def replace(self, number: str, reason: str) -> str:
        """The number that takes its place."""

    def suspend(self, number: str, reason: str) -> None: ...

    def resume(self, number: str) -> None: ...


class AuditLog(Protocol):
    def record(self, *records: AuditRecord) -> None:
        """Returns after the commit; an answer is given only after that. Raises when it cannot be stored."""


class Emergencies(Protocol):
    """Declared emergency accesses."""

    def declare(self, one: Declared, record: AuditRecord, notices: Sequence[tuple[str, str]]) -> None:
        """Stores it with its record and outbox jobs (kind, payload), in one commit."""

    def find(self, id_: str) -> Declared | None: ...

    def listed(self, state: EmergencyState, limit: int) -> list[Declared]:
        """Due first in front."""

    def review(self, id_: str, state: EmergencyState, reviewer: str, finding: str, record: AuditRecord) -> Declared:
        """Raises UnknownResource, Conflict."""


class AuditTrail(Protocol):
    """The trail as it is read: by who checks it, who sends it on, and who may search it."""

    def search(self, wanted: AuditSearch) -> list[StoredRecord]:
        """Newest first."""

    def after(self, n: int, limit: int) -> list[StoredRecord]:
        """Oldest first."""

    def hashes(self, after: int, limit: int) -> list[tuple[int, bytes]]: ...

    def size(self) -> int: ...

    def checkpoints(self) -> list[Checkpoint]: ...

    def keep(self, checkpoint: Checkpoint) -> None: ...


class KnownFacts(Protocol):
    """What a second look at an answer needs of each piece of data."""

    def of_resources(self, type_: str, ids: Sequence[str]) -> dict[str, DataFacts]: ...

    def of_documents(self, uuids: Sequence[str]) -> dict[str, DataFacts]: ...

    def known_at(self, eids: Iterable[str]) -> dict[str, frozenset[str]]:
        """Enterprise id -> facilities that know the person."""


class Consents(Protocol):
    """Consents as recorded; every version stays."""

    def put(self, one: Consent, record: AuditRecord, expected: int | None = None) -> Consent:
        """Appends the next version. Raises Conflict when the newest is not `expected`."""

    def read(self, id_: str, version: int | None = None) -> Consent | None: ...

    def history(self, id_: str) -> list[Consent]:
        """Newest first."""

    def find(
        self, eids: Sequence[str] | None, active: bool | None, ids: Sequence[str] | None, after: int, limit: int
    ) -> list[tuple[int, Consent]]: ...

    def version(self) -> int: ...

    def rules(self, eids: Iterable[str]) -> dict[str, list[Rule]]: ...


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

    def add(self, kind: str, payload: str) -> None:
        """A job that nothing else caused; returns after the commit."""


class Memory(Protocol):
    """What a face has to know again between two messages of one conversation, also after a restart: small, and gone
    after its time. Keys are JSON lists of texts, so that everything under the beginning of a key can be dropped."""

    def put(self, kind: str, key: Sequence[str], value: str, now: str, until: str, most: int) -> None:
        """Returns after the commit. `now`, `until`: instants (UTC); of a kind at most about `most`, the oldest go."""

    def get(self, kind: str, key: Sequence[str], now: str) -> str | None: ...

    def claim(self, kind: str, key: Sequence[str], value: str, now: str, until: str) -> tuple[str, bool]:
        """(value that stands, whether it is this one): the first to claim a key has it until its time is over, whichever
        process asks. Returns after the commit; nothing claimed is dropped before its time."""

    def drop(self, kind: str, key: Sequence[str]) -> bool:
        """This key and all it begins; whether there was any."""


class Turns(Protocol):
    def mine(self, queue: str) -> bool:
        """Whether this process is the one that works on a queue now. Messages of one queue go out in their order, so the
        processes of a node do not share it: one has it as long as it asks, another takes it over a minute after."""


class Subscriptions(Protocol):
    """Who is told of new documents, and what still has to be told."""

    def add(self, one: Subscription, *first: Event) -> None:
        """Returns after the commit."""

    def get(self, id_: str) -> Subscription | None: ...

    def all(self, face: str = "") -> list[Subscription]: ...

    def change(self, one: Subscription, *last: Event) -> None:
        """Status, end, address, error and the rest; not the number of events."""

    def remove(self, id_: str) -> None:
        """The subscription and what waits for it."""

    def queue(self, jobs: Sequence[int], events: Sequence[Event]) -> None:
        """Finishes outbox jobs and queues what follows from them, in one commit."""

    def due(self, now: str, limit: int) -> list[Notification]:
        """The first open one of each subscription, where it is due: one who is away holds up nobody else."""

    def delivered(self, n: int) -> None: ...

    def failed(self, n: int, due: str, *, parked: bool) -> None:
        """Counts one more attempt."""

    def stop(self, subscription: str) -> None:
        """Parks what is open for it."""

    def youngest(self, subscription: str) -> str:
        """When the last of its notifications was queued (instant); "" when there is none."""

    def parked(self, limit: int = 1000) -> list[Notification]: ...

    def counts(self) -> dict[str, int]:
        """State -> notifications; `done` are not counted."""

    def requeue(self, n: int) -> bool:
        """Opens a parked one again; False when it is none."""

    def drop(self, n: int) -> bool:
        """Gives a parked one up; False when it is none."""

    def held(self, subscriptions: Sequence[str], limit: int) -> list[Notification]:
        """What a pull point holds, oldest first."""

    def since(self, subscription: str, first: int, last: int) -> list[Notification]:
        """Events by number, both ends included."""


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
    """Pure functions of the layers above that storage calls inside its transaction. gateway.app hands them in."""

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
