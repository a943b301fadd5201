"""The audit record every answer leaves (ITI TF-2: 3.20; DICOM PS3.15 A.5). Stored in the same commit as the act."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AuditRecord:
    event: str
    """EventID code, e.g. 110112 (Query), 110106 (Export), 110107 (Import)."""
    transaction: str
    """EventTypeCode: ITI-18, ITI-43, rest, ingest ..."""
    action: str
    """C R U D E"""
    outcome: int
    """EventOutcomeIndicator: 0 success, 4 minor, 8 serious, 12 major failure."""
    actor: str
    """Node or user that asked."""
    address: str = ""
    patient: str = ""
    """CX of the patient concerned, when there is one."""
    object: str = ""
    """Document uniqueIds, resource reference, SHA-256 of the ingested file, or the query id. No query values."""
    detail: str = ""
