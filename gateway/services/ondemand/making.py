"""An on-demand entry of the registry -> its document as of now, and the snapshot (ITI TF-2: 3.43.4.1.3, 3.61)."""

import hashlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from gateway.codec.ebxml_read import read_object
from gateway.codec.ebxml_submit import Metadata
from gateway.errors import UnknownDocument
from gateway.model.audit import AuditRecord
from gateway.model.caller import Scope
from gateway.model.document import (
    HAS_MEMBER,
    IS_SNAPSHOT_OF,
    ORIGINAL_MEMBER,
    STABLE,
    Association,
    DocumentEntry,
    StoredEntry,
    set_of,
)
from gateway.model.identity import PatientId
from gateway.ports import Identities, Resources
from gateway.services.ondemand import bundle, cda
from gateway.services.ondemand.gathering import gather
from gateway.services.ondemand.kinds import CDA, Kind, kind_of
from gateway.services.registry.service import RegistryServices, Submission, Submitted
from gateway.services.registry.submitting import submit

_PIECE: Final = 256 * 1024
_PARTS: Final = ((0, 4, 1), (4, 2, 1), (6, 2, 1), (8, 2, 0), (10, 2, 0), (12, 2, 0))
"""Of a DTM: offset, length, lowest value."""


class Made(NamedTuple):
    """A document that was made."""

    uniqueId: str
    """The same for the same content of the store."""
    content: bytes
    repositoryUniqueId: str = ""
    """Where it can be retrieved again; empty when no snapshot is kept."""


@dataclass(frozen=True, slots=True)
class OnDemand:
    """Built in gateway.app."""

    resources: Resources
    identities: Identities
    author: str
    """Name of the node."""
    base: str
    """Of FHIR addresses."""
    registry: RegistryServices
    snapshots: bool = False
    """Keep what was given out as a stable document."""

    def make(self, stored: StoredEntry, scope: Scope) -> Made:
        """Raises UnknownDocument when this node makes no document for such an entry, UnknownPatient, TooManyResults."""
        entry = read_object(stored)
        assert isinstance(entry, DocumentEntry)
        kind = kind_of(entry.typeCode.code, entry.mimeType)
        if kind is None:
            raise UnknownDocument("this node makes no document of this type and form")
        content = self._content(entry, PatientId.parse(stored.patientId), kind, scope)
        digest = hashlib.sha256(content).hexdigest()
        made = Made(f"2.25.{uuid.uuid5(uuid.UUID(stored.entryUUID[9:]), digest).int}", content)
        return self._kept(entry, made) if self.snapshots else made

    def patients(self, patient: PatientId, scope: Scope) -> Sequence[str]:
        eid = self.identities.enterprise_id(patient, scope)
        return self.identities.patients(eid, scope) if eid else ()

    def _content(self, entry: DocumentEntry, patient: PatientId, kind: Kind, scope: Scope) -> bytes:
        period = _period(entry) if kind.name == "laboratory" else ("", "")
        gathered = gather(self.resources, self.patients(patient, scope), kind, scope, period)
        document = bundle.document(gathered, self.author, self.base)
        if entry.mimeType != CDA:
            return document
        number = uuid.uuid5(uuid.NAMESPACE_OID, hashlib.sha256(document).hexdigest())
        return cda.document(gathered, self.author, self.registry.repository, number)

    def _kept(self, entry: DocumentEntry, made: Made) -> Made:
        """The snapshot is a submission of our own: a stable entry, tied to the on-demand one. Once is enough."""
        repository = self.registry.repository
        kept = made._replace(repositoryUniqueId=repository)
        now = self.registry.now()
        received = self.registry.blobs.receive(
            (made.content[at : at + _PIECE] for at in range(0, len(made.content), _PIECE)), len(made.content)
        )
        number = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, f'{entry.entryUUID}|{made.uniqueId}')}"
        snapshot = replace(
            entry, entryUUID=number, uniqueId=made.uniqueId, objectType=STABLE, creationTime=now,
            repositoryUniqueId=repository, hash=received.sha1, size=received.size, blob="", logicalID="", version=1,
        )  # fmt: skip
        package = replace(set_of(snapshot, repository), submissionTime=now)
        metadata = Metadata(
            (package,),
            (snapshot,),
            (),
            (
                _link(HAS_MEMBER, package.entryUUID, number),
                _link(IS_SNAPSHOT_OF, number, entry.entryUUID),
            ),
        )
        submission = Submission(
            metadata, audit=_audit(entry.patientId), documents={number: received},
            message_id=number, digest=bytes.fromhex(received.blob.sha256),
        )  # fmt: skip
        submit(self.registry, submission)
        return kept


def _link(type_: str, source: str, target: str) -> Association:
    number = uuid.uuid5(uuid.NAMESPACE_OID, f"{type_}|{source}|{target}")
    slots = ORIGINAL_MEMBER if type_ == HAS_MEMBER else ()
    return Association(f"urn:uuid:{number}", type_, source, target, slots=slots)


def _audit(patient: str) -> Callable[[Submitted], AuditRecord]:
    def record(submitted: Submitted) -> AuditRecord:
        return AuditRecord(
            "110107", "on-demand-snapshot", "C", 0, "on-demand document source", patient=patient,
            object=submitted.submissionSet, detail="repeated" if submitted.repeated else "snapshot",
        )  # fmt: skip

    return record


def _period(entry: DocumentEntry) -> tuple[str, str]:
    """serviceStartTime and serviceStopTime (DTM, UTC) as FHIR instants; the end is that of what is written: of a day,
    the midnight after it."""
    return _instant(entry.serviceStartTime), _instant(entry.serviceStopTime, end=True)


def _instant(dtm: str, *, end: bool = False) -> str:
    if not dtm:
        return ""
    numbers = [int(dtm[at : at + size] or floor) for at, size, floor in _PARTS]
    try:
        moment = datetime(*numbers, tzinfo=UTC)  # type: ignore[arg-type,misc]
        if end and len(dtm) >= 8:
            moment += timedelta(seconds={8: 86_400, 10: 3600, 12: 60}.get(len(dtm), 1))
        elif end:
            next_month = (moment.year * 12 + moment.month - 1) + (1 if len(dtm) == 6 else 12)
            moment = moment.replace(year=next_month // 12, month=next_month % 12 + 1)
    except (ValueError, OverflowError):
        raise UnknownDocument("the period of the entry cannot be read") from None
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
