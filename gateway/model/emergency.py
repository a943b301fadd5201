"""A declared emergency access (break-glass, 救急時閲覧): who opened whose record, why, until when, and what review said."""

from typing import Literal, NamedTuple

State = Literal["open", "justified", "unjustified", "escalated"]
STATES: tuple[State, ...] = ("open", "justified", "unjustified", "escalated")

NOTICE = "break-glass-notice"
"""Kind of the outbox job that tells both communities."""
PATIENT_NOTICE = "break-glass-patient"
"""Kind of the outbox job that tells the patient, after a while."""


class Declared(NamedTuple):
    id: str
    """btg_id"""
    eid: str
    patient: str
    """As the caller named the person."""
    user: str
    issuer: str
    node: str
    organization: str
    role: str
    reason: str
    """Code."""
    text: str
    """Why, in the caller's own words."""
    started: str
    """Instant, UTC, like all times here."""
    ends: str
    state: State
    due: str
    """When it has to be reviewed."""
    reviewer: str = ""
    reviewed: str = ""
    finding: str = ""
    """What the reviewer wrote."""
