"""XDS metadata as values; attribute names as ITI TF-3: 4.2.3.2 prints them."""

from dataclasses import dataclass
from typing import NamedTuple

from gateway.model.code import Code

APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
DEPRECATED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated"
STABLE = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
ON_DEMAND = "urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248"

RPLC = "urn:ihe:iti:2007:AssociationType:RPLC"
XFRM = "urn:ihe:iti:2007:AssociationType:XFRM"
HAS_MEMBER = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"


@dataclass(frozen=True, slots=True)
class Author:
    """authorPerson is an XCN, authorInstitution an XON (ITI TF-3: 4.2.3.1.4)."""

    person: str = ""
    institution: tuple[str, ...] = ()
    role: tuple[str, ...] = ()
    specialty: tuple[str, ...] = ()


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


@dataclass(frozen=True, slots=True)
class Association:
    """source -> target, e.g. XFRM: transformed document -> original document (ITI TF-3: 4.2.2)."""

    entryUUID: str
    associationType: str
    sourceObject: str
    targetObject: str
    availabilityStatus: str = APPROVED


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
    authorPerson: tuple[str, ...] = ()
    """SQL LIKE patterns over authorPerson, ORed."""
    objectType: tuple[str, ...] = (STABLE,)
    limit: int = 1000
    """One more than this many hits is XDSTooManyResults."""


class StoredEntry(NamedTuple):
    """What the registry answers with: the id, and the ExtrinsicObject as rendered when it was stored.

    `patientId` is the CX of the affinity domain. `xml` is complete but for home, patient id and status, which have a
    mark each: ITI-18 and ITI-38 fill them in when they answer (codec/ebxml.py, `splice`).
    """

    entryUUID: str
    uniqueId: str
    patientId: str
    repositoryUniqueId: str
    mimeType: str
    blob: str
    size: int
    hash: str
    availabilityStatus: str
    xml: bytes
    creationTime: str = ""
