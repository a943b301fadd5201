"""What a registry is asked, after the slots of a stored query were read (ITI TF-2: 3.18). Ranges: From <= t < To."""

from dataclasses import dataclass

from gateway.model.document import CodeFilter

Range = tuple[str, str]
"""DTM of 14 digits; empty: open."""


@dataclass(frozen=True, slots=True)
class SubmissionSetQuery:
    """FindSubmissionSets (urn:uuid:f26abbcb-...)."""

    patient: str
    """Enterprise patient id."""
    status: tuple[str, ...]
    sourceId: tuple[str, ...] = ()
    submissionTime: Range = ("", "")
    authorPerson: tuple[str, ...] = ()
    """SQL LIKE patterns, ORed."""
    contentType: CodeFilter | None = None
    limit: int = 1000
    references: bool = False
    """Only ids are wanted: `xml` stays empty."""


@dataclass(frozen=True, slots=True)
class FolderQuery:
    """FindFolders (urn:uuid:958f3006-...), and of many patients (ITI-51)."""

    patients: tuple[str, ...] | None
    """Enterprise patient ids; None: not limited by patient."""
    status: tuple[str, ...]
    lastUpdateTime: Range = ("", "")
    codeList: tuple[CodeFilter, ...] = ()
    """ANDed."""
    limit: int = 1000
    references: bool = False


@dataclass(frozen=True, slots=True)
class ContentQuery:
    """Which documents of a SubmissionSet or Folder are wanted."""

    objectType: tuple[str, ...]
    formatCode: CodeFilter | None = None
    confidentialityCode: tuple[CodeFilter, ...] = ()
    """ANDed."""
