"""XDS metadata as values; attribute names as ITI TF-3: 4.2.3 prints them."""

import uuid
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from gateway.model.code import Code

APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
DEPRECATED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated"
STABLE = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
ON_DEMAND = "urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248"

SUBMISSION_SET = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"
FOLDER = "urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2"
"""Class nodes of registry packages; here also the `objectType` of a stored SubmissionSet and Folder."""
DOCUMENT_TYPES: Final = (STABLE, ON_DEMAND)

RPLC = "urn:ihe:iti:2007:AssociationType:RPLC"
APND = "urn:ihe:iti:2007:AssociationType:APND"
XFRM = "urn:ihe:iti:2007:AssociationType:XFRM"
XFRM_RPLC = "urn:ihe:iti:2007:AssociationType:XFRM_RPLC"
SIGNS = "urn:ihe:iti:2007:AssociationType:signs"
IS_SNAPSHOT_OF = "urn:ihe:iti:2010:AssociationType:IsSnapshotOf"
UPDATE_STATUS = "urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus"
SUBMIT_ASSOCIATION = "urn:ihe:iti:2010:AssociationType:SubmitAssociation"
HAS_MEMBER = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
RELATIONSHIPS: Final = (RPLC, APND, XFRM, XFRM_RPLC, SIGNS, IS_SNAPSHOT_OF)
"""Document to document (ITI TF-3: 4.2.2.2)."""

ONLINE = "urn:ihe:iti:2010:DocumentAvailability:Online"
OFFLINE = "urn:ihe:iti:2010:DocumentAvailability:Offline"

NamedValues = tuple[tuple[str, tuple[str, ...]], ...]
"""Slots: (name, values)."""


@dataclass(frozen=True, slots=True)
class Author:
    """authorPerson is an XCN, authorInstitution an XON (ITI TF-3: 4.2.3.1.4)."""

    person: str = ""
    institution: tuple[str, ...] = ()
    role: tuple[str, ...] = ()
    specialty: tuple[str, ...] = ()
    telecommunication: tuple[str, ...] = ()
    """XTN"""


@dataclass(frozen=True, slots=True)
class DocumentEntry:
    """One document's metadata. Times are HL7 DTM in UTC; `patientId` is the CX of the affinity domain."""

    entryUUID: str
    uniqueId: str
    patientId: str
    sourcePatientId: str
    mimeType: str
    classCode: Code
    typeCode: Code
    formatCode: Code
    healthcareFacilityTypeCode: Code
    practiceSettingCode: Code
    confidentialityCode: tuple[Code, ...]
    creationTime: str
    languageCode: str
    repositoryUniqueId: str
    hash: str
    """SHA-1 of the document's bytes, 40 lower-case hex digits."""
    size: int
    """Bytes."""
    blob: str
    """SHA-256 of the document's bytes: its address in the blob store."""
    title: str = ""
    serviceStartTime: str = ""
    serviceStopTime: str = ""
    sourcePatientInfo: tuple[str, ...] = ()
    author: tuple[Author, ...] = ()
    eventCodeList: tuple[Code, ...] = ()
    availabilityStatus: str = APPROVED
    objectType: str = STABLE
    homeCommunityId: str = ""
    version: int = 1
    URI: str = ""
    comments: str = ""
    legalAuthenticator: str = ""
    """XCN"""
    referenceIdList: tuple[str, ...] = ()
    """CXi (ITI TF-3: 4.2.3.2.28)"""
    documentAvailability: str = ""
    """ONLINE, OFFLINE, or empty: online."""
    logicalID: str = ""
    """`lid`: entryUUID of the first version; empty in that version itself."""
    limitedMetadata: bool = False
    extra: NamedValues = ()
    """Slots of other specifications (ITI TF-3: 4.2.3.1.6), kept and given back."""


@dataclass(frozen=True, slots=True)
class SubmissionSet:
    """What was submitted together (ITI TF-3: 4.2.3.3)."""

    entryUUID: str
    uniqueId: str
    patientId: str
    sourceId: str
    """OID of the submitting system."""
    submissionTime: str
    contentTypeCode: Code
    author: tuple[Author, ...] = ()
    title: str = ""
    comments: str = ""
    intendedRecipient: tuple[str, ...] = ()
    availabilityStatus: str = APPROVED
    homeCommunityId: str = ""
    """Slot of the same name: the community a Cross-Community Document Provide is meant for."""
    logicalID: str = ""
    version: int = 1
    limitedMetadata: bool = False
    extra: NamedValues = ()


@dataclass(frozen=True, slots=True)
class Folder:
    """Documents somebody put together (ITI TF-3: 4.2.3.4). `lastUpdateTime` is the registry's to say."""

    entryUUID: str
    uniqueId: str
    patientId: str
    codeList: tuple[Code, ...]
    lastUpdateTime: str = ""
    title: str = ""
    comments: str = ""
    availabilityStatus: str = APPROVED
    logicalID: str = ""
    version: int = 1
    limitedMetadata: bool = False
    extra: NamedValues = ()


RegistryObject = DocumentEntry | SubmissionSet | Folder


@dataclass(frozen=True, slots=True)
class Association:
    """source -> target, e.g. XFRM: transformed document -> original document (ITI TF-3: 4.2.2)."""

    entryUUID: str
    associationType: str
    sourceObject: str
    targetObject: str
    availabilityStatus: str = APPROVED
    logicalID: str = ""
    version: int = 1
    documentation: Code | None = None
    """What the association means, by the scheme urn:uuid:abd807a3-... (ITI TF-3: 4.2.2.2.6)."""
    slots: NamedValues = ()
    """SubmissionSetStatus, PreviousVersion, OriginalStatus, NewStatus, AssociationPropagation, and extra ones."""

    def slot(self, name: str) -> str:
        """The first value of a slot, or empty."""
        return next((values[0] for found, values in self.slots if found == name and values), "")


SUBMISSION_SET_STATUS: Final = "SubmissionSetStatus"
ORIGINAL: Final = "Original"
REFERENCE: Final = "Reference"
ORIGINAL_MEMBER: Final[NamedValues] = ((SUBMISSION_SET_STATUS, (ORIGINAL,)),)


# -- the sets of what no submitter put into one ---------------------------------------------------------------------

_SET, _MEMBER = 0x5355_0000, 0x4D42_0000


def _beside(entry_uuid: str, mask: int) -> str:
    """Another UUID that follows from this one. The mask leaves the low bits alone, which the ids of an object's parts
    differ in (codec/ebxml.py)."""
    return f"urn:uuid:{int(entry_uuid[9:17], 16) ^ mask:08x}{entry_uuid[17:]}"


def set_of(entry: DocumentEntry, source_id: str) -> SubmissionSet:
    """The SubmissionSet of documents that came as a file and not by a submission, made of the last of its entries.

    Its ids follow from that entry's, so the same file has the same set anywhere. The submission time is when the source
    made this version, its content type the class of the document: nothing else is known of it.
    """
    entry_uuid = _beside(entry.entryUUID, _SET)
    return SubmissionSet(
        entryUUID=entry_uuid,
        uniqueId=f"2.25.{uuid.UUID(entry_uuid[9:]).int}",
        patientId=entry.patientId,
        sourceId=source_id,
        submissionTime=entry.creationTime,
        contentTypeCode=entry.classCode,
        author=entry.author,
        title=entry.title,
    )


def member_id(entry_uuid: str) -> str:
    """entryUUID of the HasMember that ties a document to the set of `set_of`."""
    return _beside(entry_uuid, _MEMBER)


@dataclass(frozen=True, slots=True)
class CodeFilter:
    """Values of one coded query parameter: (code, scheme) pairs, ORed. A blank scheme matches any."""

    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class DocumentQuery:
    """FindDocuments (ITI-18, urn:uuid:14d4debf-...) after its Slots were read. Time ranges: From <= t < To."""

    patient: str
    """Enterprise patient id."""
    status: tuple[str, ...]
    classCode: CodeFilter | None = None
    typeCode: CodeFilter | None = None
    formatCode: CodeFilter | None = None
    practiceSettingCode: CodeFilter | None = None
    healthcareFacilityTypeCode: CodeFilter | None = None
    confidentialityCode: tuple[CodeFilter, ...] = ()
    eventCodeList: tuple[CodeFilter, ...] = ()
    creationTime: tuple[str, str] = ("", "")
    serviceStartTime: tuple[str, str] = ("", "")
    serviceStopTime: tuple[str, str] = ("", "")
    openPeriod: bool = False
    """Of an entry that has one end of its service time, the other is open (FHIR R4 3.1.1.4.7); else it has no such time
    (ITI-18)."""
    authorPerson: tuple[str, ...] = ()
    """SQL LIKE patterns over authorPerson, ORed."""
    objectType: tuple[str, ...] = (STABLE,)
    referenceIdList: tuple[tuple[str, ...], ...] = ()
    """CXi; the inner ones ORed, the outer ones ANDed."""
    title: tuple[str, ...] = ()
    """SQL LIKE patterns, ORed."""
    availability: tuple[str, ...] = ()
    """ONLINE, OFFLINE; empty: any."""
    limit: int = 1000
    """One more than this many hits is XDSTooManyResults."""
    references: bool = False
    """Only ids are wanted: `xml` stays empty."""


class StoredEntry(NamedTuple):
    """What the registry answers with: the ids, and the DocumentEntry, SubmissionSet or Folder as rendered when stored.

    `patientId` is the CX of the affinity domain. `xml` is complete but for home, patient id, status and the
    lastUpdateTime of a Folder, which have a mark each, filled in when an answer is given (codec/ebxml.py, `complete`).
    """

    entryUUID: str
    uniqueId: str
    patientId: str
    repositoryUniqueId: str
    mimeType: str
    blob: str
    """Empty where the bytes are in another repository, were removed, or there are none."""
    size: int
    hash: str
    availabilityStatus: str
    xml: bytes
    objectType: str = STABLE
    """STABLE, ON_DEMAND, SUBMISSION_SET or FOLDER."""
    logicalID: str = ""
    """Empty in a first version: it is entryUUID."""
    version: int = 1
    time: str = ""
    """creationTime, submissionTime or lastUpdateTime (DTM, UTC)."""


class Shown(NamedTuple):
    """What an answer shows of a stored object; names and meaning as in StoredEntry."""

    entryUUID: str
    patientId: str
    availabilityStatus: str
    xml: bytes
    """Empty where only references are wanted."""
    objectType: str
    time: str


ObjectKind = Literal["document", "submissionset", "folder"]


def kind_of(object_type: str) -> ObjectKind:
    """What a stored object is by its `objectType`."""
    return "submissionset" if object_type == SUBMISSION_SET else "folder" if object_type == FOLDER else "document"
