"""The document registry and repository as a service: who a patient id means, which documents there are, their bytes.

Knows no wire. What a caller may see is decided before (Scope) and applied by storage in its WHERE clause.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import BinaryIO, Final, NamedTuple

from gateway.codec.soap import nowhere
from gateway.errors import (
    DamagedContent,
    GatewayError,
    InvalidParameter,
    MissingHomeCommunity,
    UnknownCommunity,
    UnknownDocument,
    UnknownRepository,
)
from gateway.model.caller import Scope
from gateway.model.clock import Chance, Clock
from gateway.model.document import ON_DEMAND, StoredEntry
from gateway.model.identity import PatientId
from gateway.ports import AuditLog, Blobs, Documents, Identities, Registry
from gateway.services.ondemand.making import Made, OnDemand
from gateway.services.policy.access import ScopeOf
from gateway.services.registry.service import RegistryServices

_CHUNK: Final = 64 * 1024
_OID: Final = "urn:oid:"


def spool() -> BinaryIO:
    """An unnamed file for a part too large for memory; gone when it is closed."""
    return TemporaryFile()


@dataclass(frozen=True, slots=True)
class DocumentServices:
    """The parts the XDS and XCA transactions work with; gateway.app fills it in."""

    documents: Documents
    objects: Registry
    """DocumentEntries, SubmissionSets, Folders and associations, read."""
    blobs: Blobs
    identities: Identities
    audit: AuditLog
    home: str
    """homeCommunityId of this node (`urn:oid:...`)."""
    affinity_domain: str
    """OID of the enterprise patient ids."""
    repository: str
    """repositoryUniqueId."""
    scope_of: ScopeOf
    """Policy: what this caller may see in a transaction. No default, so that nobody can forget it."""
    clock: Clock = field(default_factory=Clock)
    chance: Chance = field(default_factory=Chance)
    spool: Callable[[], BinaryIO] = spool
    changing: RegistryServices | None = None
    """What changes the registry; None: this node only answers."""
    ondemand: OnDemand | None = None
    """What makes documents when they are asked for; None: an on-demand entry has none."""
    deliver: Callable[[str, str, bytes, str], bool] | None = None
    """(address, action, message, Content-Type) -> whether there was room: answers of a gateway that come later."""
    may_reply: Callable[[str], bool] = nowhere
    """Addresses such answers may go to."""
    max_results: int = 1000
    """More documents than this answer a query with TooManyResults."""
    held_bytes: int = 8 * 1024 * 1024
    """Document bytes of one answer kept in memory after their check; the rest is read again from the store."""


def patient_of(cx: str) -> PatientId:
    """A patient id as queries carry it. Raises InvalidParameter; the text does not repeat it."""
    try:
        return PatientId.parse(cx)
    except ValueError as error:
        raise InvalidParameter(f"the patient id is {error}") from None


def same_community(one: str, other: str) -> bool:
    """LENIENT: a homeCommunityId without `urn:oid:` is read as one with it."""
    return one.removeprefix(_OID) == other.removeprefix(_OID)


def check_home(services: DocumentServices, home: str, *, required: bool) -> None:
    """Raises MissingHomeCommunity, UnknownCommunity (ITI TF-2: 3.38.4.1.3)."""
    if not home:
        if required:
            raise MissingHomeCommunity("homeCommunityId is missing")
    elif not same_community(home, services.home):
        raise UnknownCommunity("homeCommunityId is not that of this community")


# -- retrieve ----------------------------------------------------------------------------------------------------


class Wanted(NamedTuple):
    """One document asked for."""

    homeCommunityId: str
    repositoryUniqueId: str
    documentUniqueId: str


@dataclass(frozen=True, slots=True)
class Held:
    """A document whose bytes were read and match their address."""

    entry: StoredEntry
    content: bytes | None
    """None: too much to keep; `chunks` reads the store again."""
    blobs: Blobs
    made: Made | None = None
    """Of an on-demand entry: the document that was made now."""

    def chunks(self) -> Iterator[bytes]:
        """The bytes in pieces. Raises DamagedContent if the store changed since the check."""
        if self.content is not None:
            yield self.content
            return
        with self.blobs.open(self.entry.blob) as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk


class Retrieved(NamedTuple):
    found: tuple[Held, ...]
    failed: tuple[tuple[Wanted, GatewayError], ...]
    """What could not be given, and why."""


def retrieve(services: DocumentServices, wanted: Iterable[Wanted], scope: Scope, *, home_required: bool) -> Retrieved:
    """Documents by repository and uniqueId (ITI TF-2: 3.43.4.1.3, 3.39.4.1.3), each asked for once.

    Every document is read to its end before any is given out: a damaged one becomes a failure, never half an answer.
    A document outside the scope is as unknown as one that does not exist.
    """
    asked = tuple(dict.fromkeys(wanted))
    failed: list[tuple[Wanted, GatewayError]] = []
    ours: list[Wanted] = []
    for request in asked:
        try:
            _check_address(services, request, home_required)
        except GatewayError as error:
            failed.append((request, error))
        else:
            ours.append(request)
    unique_ids = tuple(dict.fromkeys(request.documentUniqueId for request in ours))
    entries = {entry.uniqueId: entry for entry in services.documents.by_unique_id(unique_ids, scope)} if ours else {}
    found: dict[str, Held] = {}
    room = services.held_bytes
    for request in ours:
        entry = entries.get(request.documentUniqueId)
        if entry is not None and entry.objectType == ON_DEMAND and services.ondemand is not None:
            if entry.uniqueId not in found:
                try:
                    made = services.ondemand.make(entry, scope)
                except GatewayError as error:
                    failed.append((request, error))
                else:
                    found[entry.uniqueId] = Held(entry, made.content, services.blobs, made)
        elif entry is None or not entry.blob or entry.repositoryUniqueId != request.repositoryUniqueId:
            failed.append((request, UnknownDocument("no such document here")))
        elif entry.uniqueId not in found:
            try:
                held = _hold(services.blobs, entry, room)
            except (DamagedContent, UnknownDocument) as error:
                failed.append((request, _damaged(error)))
            else:
                found[entry.uniqueId] = held
                room -= len(held.content or b"")
    return Retrieved(tuple(found.values()), tuple(failed))


def _check_address(services: DocumentServices, request: Wanted, home_required: bool) -> None:
    check_home(services, request.homeCommunityId, required=home_required)
    if request.repositoryUniqueId.removeprefix(_OID) != services.repository:
        raise UnknownRepository("repositoryUniqueId is not that of this repository")


def _hold(blobs: Blobs, entry: StoredEntry, room: int) -> Held:
    kept: list[bytes] | None = [] if entry.size <= room else None
    size = 0
    with blobs.open(entry.blob) as stream:
        while chunk := stream.read(_CHUNK):
            size += len(chunk)
            if kept is not None:
                kept.append(chunk)
    if size != entry.size:
        raise DamagedContent("the stored document has another size than its entry says")
    return Held(entry, None if kept is None else b"".join(kept), blobs)


def _damaged(error: GatewayError) -> GatewayError:
    """An entry whose bytes are missing is damage of ours, not a question about an unknown document."""
    return error if isinstance(error, DamagedContent) else DamagedContent("the stored document is missing")
