"""What a translation found: issues, residue, lineage. Plain values, made in great numbers."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Issue(NamedTuple):
    """One finding. `code` is a stable word of `mappings/issue-codes.csv`; `text` never holds patient data."""

    severity: str
    """fatal | error | warning | information (http://hl7.org/fhir/issue-severity)"""
    code: str
    where: str
    """`OBX[3]-5.1` for HL7 v2, a FHIRPath for FHIR, line and column for CSV."""
    text: str


class Residue(NamedTuple):
    """A valued source field that no rule consumed: kept, counted, never dropped silently."""

    where: str
    value: str


class Unmapped(NamedTuple):
    """A valued source field that is left out on purpose, with the reason from the rows file."""

    where: str
    reason: str


class CodeUse(NamedTuple):
    """One row of a code table that stands behind a value."""

    table: str
    source: str
    target: str


class Lineage(NamedTuple):
    """Where one FHIR element came from."""

    target: str
    """`Observation/<id>.status`"""
    source: str
    """`OBX[3]-11`"""
    rule: str
    """Name of the rows file and the row: `ss-mix2/OBX-Observation#status`"""
    table: str
    """Code table that the row names, or empty."""
    cite: str
    via: str = ""
    """Converter that the row names, or empty."""
    codes: tuple[CodeUse, ...] = ()
    """The rows of code tables that were used."""


@dataclass(frozen=True, slots=True)
class Translated:
    """The result of translating one message. `resources` are FHIR R4 dicts in message order."""

    resources: tuple[dict[str, Any], ...]
    issues: tuple[Issue, ...] = ()
    residue: tuple[Residue, ...] = ()
    unmapped: tuple[Unmapped, ...] = ()
    lineage: tuple[Lineage, ...] = ()
    stay_events: tuple["StayEvent", ...] = ()
    person: Any = None
    """model.identity.PersonKey of the message's patient; None when the message names nobody."""


@dataclass(frozen=True, slots=True)
class StayEvent:
    """One ADT event of an inpatient stay. Encounters of stays are projected from all events of a patient, so that
    a discharge that arrives before its admission still joins it (translate/stay.py)."""

    patient: str
    """Logical id of the Patient resource."""
    data_type: str
    """SS-MIX2 data type: ADT-22, ADT-52, ..."""
    occurred_at: str
    """FHIR dateTime of the event: PV1-44 for an admission, PV1-45 for a discharge, PV2-8 or PV2-9 for a plan, EVN-6 for
    the others. A cancel carries the time of the event it takes back."""
    source_time: str
    """17-digit timestamp of the file version; decides between two versions of one event."""
    source: str
    """Name of the message: facility and file name, also the last tie-break of the order."""
    cancelled: bool = False
    fragment: dict[str, Any] = field(default_factory=dict)
    """Encounter elements this event sets."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Provenance of the message, without its target: the projection knows which Encounter it became."""
    admitted_at: str = ""
    """PV1-44 as FHIR dateTime, whatever the event: it names the stay."""
    planned_at: str = ""
    """PV2-8 of an admission: the time of the plan it fulfils."""
    recorded_at: str = ""
    """EVN-2: when the event was typed; where a plan for the future was made."""
