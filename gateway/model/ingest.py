"""What ingest keeps of a file, and the rules that make the order of arrival irrelevant. Pure values and functions.

The state of the store is a function of the set of accepted file versions and of the strongest condition flag seen of
each (SS-MIX2 1.2 削除フラグ: 1 valid, 2 superseded, 0 deleted). Nothing in it remembers what came first.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from gateway.model.document import (
    FOLDER,
    SUBMISSION_SET,
    Author,
    DocumentEntry,
    RegistryObject,
    SubmissionSet,
)
from gateway.model.identity import PersonKey, Statement
from gateway.model.outcome import StayEvent
from gateway.model.resource import Rendered

VALID, SUPERSEDED, DELETED = 1, 2, 0

OVER_MLLP = b"mllp:"
"""How the ledger's path of a message begins that came over MLLP and is no file."""

State = Literal["ingested", "unchanged", "superseded", "deleted", "rejected", "ignored"]
"""What became of one file. Every file seen is counted once, under the state of its first message."""

STATES: tuple[State, ...] = ("ingested", "unchanged", "superseded", "deleted", "rejected", "ignored")

_STRENGTH = {VALID: 0, SUPERSEDED: 1, DELETED: 2}


class Reject(NamedTuple):
    """One line of rejects.jsonl. `reason` holds no patient data."""

    order_no: str
    offset: int
    """Byte offset of the message (or of the broken segment) in the file."""
    severity: str
    code: str
    reason: str


class Version(NamedTuple):
    """One version of a document; of two with one timestamp the larger SHA-256 is the newer."""

    timestamp: str
    """17 digits, YYYYMMDDhhmmssfff."""
    sha256: str
    department: str
    """Not part of the key, and hardly ever different; here so that two files are never taken for one."""
    flag: int


class Claim(NamedTuple):
    """What one file says about one resource, as far as choosing between files goes."""

    rank: int
    source_time: str
    hash: bytes

    @property
    def weight(self) -> tuple[int, str, bytes]:
        """Larger wins: the owner before a mention, then the newer, then the larger hash."""
        return (-self.rank, self.source_time, self.hash)


class Kept(NamedTuple):
    """One resource of a message, rendered and indexed (model/resource.py Rendered), flat.

    This and KeptObject are tuples of text because they are what crosses from worker to writer in great numbers: a
    tuple is pickled in a fifth of the time of a frozen dataclass.
    """

    type: str
    id: str
    patient: str
    rank: int
    hash: bytes
    """First 16 bytes of the SHA-256 of `body`."""
    body: bytes
    status: str
    date_start: str
    date_end: str
    tokens: tuple[tuple[str, str, str], ...]
    """(parameter, code, system)"""
    strings: tuple[tuple[str, str], ...]
    references: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, rendered: Rendered) -> "Kept":
        return cls(
            rendered.type,
            rendered.id,
            rendered.patient,
            rendered.rank,
            hashlib.sha256(rendered.body).digest()[:16],
            rendered.body,
            rendered.status,
            rendered.date_start,
            rendered.date_end,
            tuple((token.param, token.code, token.system) for token in rendered.tokens),
            rendered.strings,
            rendered.references,
        )


class KeptObject(NamedTuple):
    """One registry object, flat, and its XML: the columns of the registry from `entryUUID` on, in their order. patientId
    and status are the registry's to fill in."""

    kind: Literal["bundle", "original", "set", ""]
    """What of a file it is; empty for what was submitted."""
    entryUUID: str
    lid: str
    version: int
    uniqueId: str
    objectType: str
    availability: str
    time: str
    title: str
    repositoryUniqueId: str
    mimeType: str
    classCode: str
    classCodeScheme: str
    typeCode: str
    typeCodeScheme: str
    formatCode: str
    formatCodeScheme: str
    practiceSettingCode: str
    practiceSettingCodeScheme: str
    healthcareFacilityTypeCode: str
    healthcareFacilityTypeCodeScheme: str
    serviceStartTime: str
    serviceStopTime: str
    hash: str
    size: int
    blob: str
    codes: tuple[tuple[str, str, str], ...]
    """(attribute, code, scheme) of what may have several values (storage/schema, registry_code)."""
    xml: bytes

    @classmethod
    def of(cls, kind: Literal["bundle", "original", "set", ""], made: RegistryObject, xml: bytes) -> "KeptObject":
        if isinstance(made, DocumentEntry):
            return cls._of_document(kind, made, xml)
        codes: set[tuple[str, str, str]]
        if isinstance(made, SubmissionSet):
            object_type, time = SUBMISSION_SET, made.submissionTime
            codes = {("contentTypeCode", made.contentTypeCode.code, made.contentTypeCode.scheme)}
            codes |= {("sourceId", made.sourceId, "")} | _people(made.author)
        else:
            object_type, time = FOLDER, made.lastUpdateTime
            codes = {("codeList", code.code, code.scheme) for code in made.codeList}
        return cls(
            kind, made.entryUUID, made.logicalID, made.version, made.uniqueId, object_type, "", time, made.title,
            *_NO_TEXTS, size=0, blob="", codes=tuple(sorted(codes)), xml=xml,
        )  # fmt: skip

    @classmethod
    def _of_document(
        cls, kind: Literal["bundle", "original", "set", ""], entry: DocumentEntry, xml: bytes
    ) -> "KeptObject":
        codes = {("confidentialityCode", code.code, code.scheme) for code in entry.confidentialityCode}
        codes.update(("eventCodeList", code.code, code.scheme) for code in entry.eventCodeList)
        codes.update(("referenceIdList", reference, "") for reference in entry.referenceIdList)
        return cls(
            kind,
            entry.entryUUID,
            entry.logicalID,
            entry.version,
            entry.uniqueId,
            entry.objectType,
            entry.documentAvailability,
            entry.creationTime,
            entry.title,
            *(entry.repositoryUniqueId, entry.mimeType),
            *(entry.classCode.code, entry.classCode.scheme),
            *(entry.typeCode.code, entry.typeCode.scheme),
            *(entry.formatCode.code, entry.formatCode.scheme),
            *(entry.practiceSettingCode.code, entry.practiceSettingCode.scheme),
            *(entry.healthcareFacilityTypeCode.code, entry.healthcareFacilityTypeCode.scheme),
            *(entry.serviceStartTime, entry.serviceStopTime),
            entry.hash,
            entry.size,
            entry.blob,
            tuple(sorted(codes | _people(entry.author))),
            xml,
        )


_NO_TEXTS = ("",) * 15
"""What a SubmissionSet or Folder has in the columns from repositoryUniqueId to hash."""


def _people(authors: Iterable[Author]) -> set[tuple[str, str, str]]:
    return {("authorPerson", author.person, "") for author in authors if author.person}


@dataclass(frozen=True, slots=True)
class KeptBlob:
    """Bytes for the blob store, compressed (zlib) in the worker; a large one goes to a file of its own."""

    sha256: str
    size: int
    content: bytes
    large: bool = False
    file: bytes = b""
    """Path from which storage copies a large one, when it was too large to travel in `content`."""


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """Everything storage keeps of one accepted message (電文). One file holds one, a batch file several."""

    key: str
    """Facility, patient, care date, data type, order number: the document of which this is a version."""
    version: Version
    facility: str
    patient: str
    """Logical id of the Patient."""
    person: PersonKey
    resources: tuple[Kept, ...] = ()
    stay_events: tuple[StayEvent, ...] = ()
    documents: tuple[KeptObject, ...] = ()
    submission: KeptObject | None = None
    """The SubmissionSet of `documents`."""
    record: bool = False
    """A piece of a message with versions of its own: another one of its key is a resend and no doubt."""
    named: bool = True
    """By a storage's file name, whose condition flag takes an older version back; a message by itself has none, and the
    newest of its key is simply the newest."""
    revised: bool = False
    """A record of which a newer content is shown as a correction. Its timestamp is the 17 digits of its update time,
    then what decides between two that are equal."""
    transform: str = ""
    """entryUUID of the XFRM association bundle -> original."""
    blobs: tuple[KeptBlob, ...] = ()
    sender: str = ""
    """Who said it (application|facility, user), for the history of persons; "" for a file of the facility."""
    statements: tuple[Statement, ...] = ()
    """Merges, links and the like: they hold on when a newer version of the message comes."""


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """The result of reading one file. Made in a worker process, stored by the writer of the parent."""

    path: bytes
    size: int
    mtime_ns: int
    sha256: str = ""
    messages: tuple[KeptMessage, ...] = ()
    rejects: tuple[Reject, ...] = ()
    findings: tuple[Reject, ...] = ()
    """Errors in messages that were kept all the same (bytes without a character, ...): listed with the rejects."""
    issues: dict[str, int] = field(default_factory=dict)
    """Issue code -> how often."""
    residue: dict[str, int] = field(default_factory=dict)
    """Source field (`OBX-17`) -> how often it was valued and no rule read it."""
    quarantine: tuple[KeptBlob, ...] = ()
    """Bytes of rejected messages that stand in no file: kept beside the documents, found by the ledger's SHA-256."""

    @property
    def reported(self) -> tuple[Reject, ...]:
        """The lines of this file in rejects.jsonl."""
        return (*self.rejects, *self.findings)


@dataclass(slots=True)
class Applied:
    """What a batch changed in the store."""

    states: list[State] = field(default_factory=list)
    """One a FileOutcome, in order."""
    resources: dict[str, int] = field(default_factory=dict)
    """Resource type -> created, changed or removed."""
    issues: dict[str, int] = field(default_factory=dict)
    doubtful: list[str] = field(default_factory=list)
    """Keys with two valid versions; whether they still have is known when the walk is over."""
    cancelling: list[str] = field(default_factory=list)
    """Patients whose stays were projected with cancels (取消) among their events; whether each of them finds its event is
    known when the walk is over."""


class Seen(NamedTuple):
    """A row of the ledger."""

    size: int
    mtime_ns: int
    outcome: str
    sha256: str


def make_key(facility: str, patient: str, care_date: str, data_type: str, order_no: str) -> str:
    """Parts joined by a control character that the readers never let through, so that no part can imitate two."""
    return "\x1f".join((facility, patient, care_date, data_type, order_no))


def stronger(one: int, other: int) -> int:
    """Of two condition flags seen for the same version: a file is renamed from 1 to 2 to 0 and never back."""
    return one if _STRENGTH[one] >= _STRENGTH[other] else other


def valid_versions(versions: Iterable[Version]) -> list[Version]:
    """Versions with flag 1 that are newer than every deletion of the key, oldest first."""
    known = list(versions)
    dead = max((version.timestamp for version in known if version.flag == DELETED), default=None)
    return sorted(version for version in known if version.flag == VALID and (dead is None or version.timestamp > dead))


def current_version(versions: Iterable[Version]) -> Version | None:
    """The version that is shown. The flag beats the timestamp: a superseded version is never shown, however new.

    None: the document is deleted, or only superseded versions of it are known. A key may live again after a deletion.
    """
    valid = valid_versions(versions)
    return valid[-1] if valid else None


def update_time(version: Version) -> str:
    """17 digits: when the sender stored this version of a record (更新日時)."""
    return version.timestamp[:17]


def corrects(current: Version, versions: Iterable[Version]) -> str:
    """Update time of the newest version of a record that the current one replaces with another content; "" for none."""
    return max(
        (
            update_time(version)
            for version in versions
            if update_time(version) < update_time(current) and version.sha256 != current.sha256
        ),
        default="",
    )


def replacements(versions: Iterable[Version]) -> list[tuple[Version, Version]]:
    """(newer, older) pairs of the RPLC chain: consecutive versions that were not deleted (ITI TF-3: 4.2.2.2)."""
    chain = sorted(version for version in versions if version.flag != DELETED)
    return list(zip(chain[1:], chain, strict=False))
