"""What callers may see: grants, consent, emergencies, and the trail of it all."""

from typing import Literal

from pydantic import Field, model_validator

from gateway.settings.forms import Section


class GrantSettings(Section):
    """Who may do what with which data, and why. What no grant permits is denied. docs/policy.md"""

    role: str = Field(min_length=1)
    """`code^^scheme`, as assertions and tokens say it."""
    purposes: tuple[str, ...] = Field(min_length=1)
    """Words of XSPA: TREATMENT, EMERGENCY, REQUEST ..."""
    actions: tuple[Literal["query", "retrieve", "read", "submit"], ...] = Field(min_length=1)
    types: tuple[str, ...] = ("*",)
    """SMART v2: `Observation?category=laboratory`, `DocumentReference?type=system|code`, `*`."""
    confidentiality: Literal["U", "L", "M", "N", "R", "V"] = "N"
    """Ceiling: what is labelled higher stays hidden."""
    relation: Literal["any", "required"] = "any"
    """required: only persons whom the caller's own organisation knows."""


class ConsentSettings(Section):
    """What the person says. docs/consent.md"""

    default: Literal["deny", "permit"] = "deny"
    """deny: opt-in, data of a person are shared after consent alone. permit: unless the person says no."""


class BreakGlassSettings(Section):
    """Emergency access. docs/policy.md"""

    minutes: int = Field(default=60, ge=1, le=240)
    fresh_minutes: int = Field(default=15, ge=1, le=60)
    """How long ago the caller may have proved who they are."""
    notice_hours: int = Field(default=24, ge=0, le=720)
    """After so many hours the patient is told."""
    review_days: int = Field(default=7, ge=1, le=90)
    notice_url: str = ""
    """Where notices of emergencies are posted (JSON); empty: the work list and the list of accesses tell them."""


class DestinationSettings(Section):
    """Where audit records are sent: by syslog over TLS (`host`), or as FHIR AuditEvents (`url`)."""

    name: str = Field(min_length=1)
    host: str = ""
    port: int = Field(default=6514, ge=1, le=65535)
    url: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""

    @model_validator(mode="after")
    def _one_way(self) -> "DestinationSettings":
        if bool(self.host) == bool(self.url):
            raise ValueError("a destination has a host (syslog over TLS) or a url (FHIR)")
        return self


class AuditSettings(Section):
    """docs/audit.md"""

    key_file: str = ""
    """Ed25519 private key (PEM) that signs checkpoints; empty: none are made."""
    checkpoint_file: str = ""
    """Checkpoints are appended there as well: a place of its own, best one that is written once."""
    checkpoint_records: int = Field(default=1000, ge=1)
    checkpoint_minutes: int = Field(default=10, ge=1)
    destinations: tuple[DestinationSettings, ...] = ()
    watched: tuple[str, ...] = ()
    """Persons (CX) whose every access raises an alert."""
