"""The audit record every answer leaves (ITI TF-2: 3.20; DICOM PS3.15 A.5). Stored in the same commit as the act.

How a record looks to an audit repository is services/audit/; how it is chained is storage/audit_chain.py.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from gateway.model.caller import Caller


class AuditObject(NamedTuple):
    """A ParticipantObject beside the patient."""

    kind: str
    """`query` | `document` | `submission-set` | `resource` | `consent` | `record`"""
    id: str = ""
    query: bytes = b""
    """The question as it was asked, whole (ParticipantObjectQuery)."""
    details: tuple[tuple[str, str], ...] = ()
    """ParticipantObjectDetail: (type, value)."""


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
    node: str = ""
    """Which node asked, by its certificate."""
    user: str = ""
    issuer: str = ""
    """Who vouched for the user."""
    user_name: str = ""
    assertion: str = ""
    """ID of the assertion, `jti` of the token."""
    client: str = ""
    roles: tuple[str, ...] = ()
    purpose: str = ""
    organization: str = ""
    organization_name: str = ""
    home: str = ""
    break_glass: str = ""
    """btg_id of the emergency access it was part of."""
    objects: tuple[AuditObject, ...] = ()
    patients: tuple[str, ...] = ()
    """Enterprise ids of the persons whose data the answer held, when the request named none."""

    def by(self, caller: Caller) -> "AuditRecord":
        """The same record with everything that is known of who asked."""
        return replace(
            self,
            address=caller.address,
            node=caller.node,
            user=caller.user,
            issuer=caller.issuer,
            user_name=caller.user_name,
            assertion=caller.assertion,
            client=caller.client,
            roles=caller.roles,
            purpose=caller.purpose,
            organization=caller.organization,
            organization_name=caller.organization_name,
            home=caller.home,
            break_glass=caller.break_glass,
        )


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as it stands in the trail."""

    n: int
    """Number of the record on this node; no number is ever missing."""
    recorded: str
    """Instant, UTC."""
    record: AuditRecord


class AuditSearch(NamedTuple):
    """Filters of a search in the trail; empty: any. Times: from <= recorded < to."""

    date_from: str = ""
    date_to: str = ""
    patients: tuple[str, ...] = ()
    """Every way a record may name the person: CX of each id, `Patient/id` of each record."""
    eid: str = ""
    user: str = ""
    organization: str = ""
    purpose: str = ""
    transaction: str = ""
    event: str = ""
    outcome: int | None = None
    break_glass: bool = False
    after: int = 0
    """Number of the last record of the page before; pages go from new to old."""
    limit: int = 100


class Checkpoint(NamedTuple):
    """The trail up to a record, in one hash (RFC 6962 section 2.1)."""

    size: int
    recorded: str
    root: bytes
    note: str
    """What was signed, and the signature (services/audit/checkpoint.py)."""
