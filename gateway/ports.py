"""What services need of storage, as small protocols over model types. `gateway/storage` implements them.

Every reading method takes a Scope without a default: what a caller may see is part of the query (model/caller.py).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, Protocol

from gateway.model.audit import AuditRecord
from gateway.model.caller import Scope
from gateway.model.document import Association, DocumentQuery, StoredEntry
from gateway.model.identity import Facts, Linked, PatientId
from gateway.model.ingest import Applied, FileOutcome, Kept, Reject, Seen
from gateway.model.outcome import StayEvent
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

    def pending(self, kind: str, limit: int) -> list[Job]:
        """Open jobs of a kind, oldest first."""

    def finish(self, *numbers: int) -> None: ...

    def fail(self, number: int) -> None:
        """Counts one more attempt; the job stays open."""


@dataclass(frozen=True, slots=True)
class Derivations:
    """Pure functions of the layers above that storage calls inside its transaction. app.py hands them in."""

    reindex: Callable[[bytes, int, str], Kept]
    """(body, rank, logical id of the patient) -> index values, when an older body is shown again."""
    project: Callable[[Sequence[StayEvent]], Sequence[Kept]]
    """All current stay events of one patient -> Encounter and Provenance."""
    link: Callable[[Mapping[PatientId, Facts]], Linked]
    """The exact cross-reference."""
    enterprise_id: Callable[[Iterable[PatientId]], str]
    """Enterprise patient id of a cluster of facility ids."""
    association_id: Callable[[str, str, str], str]
    """(association type, source entryUUID, target entryUUID) -> entryUUID of the association."""


class Keeping(Protocol):
    """Where ingest puts what it read. One call is one unit: all of a file, or nothing of it."""

    def seen(self, paths: Sequence[bytes]) -> dict[bytes, Seen]:
        """The ledger's rows of these files."""

    def keep(self, outcomes: Sequence[FileOutcome], audit: Callable[[FileOutcome, str], AuditRecord]) -> Applied:
        """Stores a batch and returns after the commit. `audit` makes the record of one file from its state."""

    def doubtful(self, keys: Sequence[str]) -> int:
        """How many of these documents still have two valid versions."""

    def rejects(self) -> Iterator[tuple[bytes, tuple[Reject, ...]]]:
        """Every file the ledger holds as rejected, in order of path."""

    def forget(self, paths: Sequence[bytes]) -> None:
        """Drops ledger rows of rejected files that are gone."""
