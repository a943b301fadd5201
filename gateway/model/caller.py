"""Who asks, and what of the data they may see."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import NamedTuple

NORMAL = "N"
"""Confidentiality of data that carry no label (v3-Confidentiality, 2.16.840.1.113883.5.25)."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The requesting party as authenticated at the edge: the node by its certificate, the person by an assertion (XUA) or
    a token (IUA). In open mode it is the anonymous loopback caller. Nothing here is ever filled in by a default that was
    not said and checked: what is empty was not said."""

    node: str = "loopback"
    """Id of the `[[security.nodes]]` row of the certificate."""
    user: str = ""
    """NameID of the assertion, `sub` of the token."""
    user_name: str = ""
    issuer: str = ""
    """Who vouches for the user."""
    assertion: str = ""
    """ID of the assertion, `jti` of the token."""
    roles: tuple[str, ...] = ()
    """`code^^scheme`"""
    purpose: str = ""
    """XSPA word: TREATMENT, EMERGENCY, REQUEST ..."""
    organization: str = ""
    """Id (URI) of the organisation the person acts for."""
    organization_name: str = ""
    home: str = ""
    """homeCommunityId the assertion or token names."""
    patient: str = ""
    """CX of the one patient the assertion (resource-id) or token (patient_id) is about."""
    client: str = ""
    """client_id of the token."""
    scopes: tuple[str, ...] = ()
    """SMART scopes of the token."""
    authenticated: str = ""
    """When the person proved who they are: instant, UTC."""
    break_glass: str = ""
    """btg_id the caller refers to."""
    address: str = "127.0.0.1"


class Term(NamedTuple):
    """A resource has one of these codes under a search parameter."""

    param: str
    """`category`, `type`, `code`: a token parameter of mappings/search-parameters.csv."""
    values: tuple[tuple[str, str], ...]
    """(system, code), ORed; an empty system: any."""


class TypeFilter(NamedTuple):
    """Resources of one type, as SMART v2 writes it: `Observation?category=laboratory`. Documents are DocumentReference
    on every face: `type` is their typeCode, `category` their classCode."""

    type: str
    """`*`: every type."""
    terms: tuple[Term, ...] = ()
    """All of them have to hold."""
    since: str = ""
    """Main date not before this instant (UTC, milliseconds, Z); what has no date is then hidden."""


class ConsentView(NamedTuple):
    """Which of the stored consent rules (model/consent.py) count for this caller now."""

    permit: bool
    """What holds for data of a person of whom no rule says anything."""
    purposes: frozenset[str]
    organization: str
    roles: frozenset[str]
    at: str
    """Instant, UTC, of the form of TypeFilter.since."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a caller may see; policy makes it, storage applies it in the WHERE clause (storage/scope.py).

    No function that reads takes a Scope with a default: a call that forgets it does not run. All parts have to agree.
    """

    patients: frozenset[str] | None
    """Enterprise patient ids; None: not limited by patient."""
    confidentiality: frozenset[str] | None
    """Codes of 2.16.840.1.113883.5.25; None: not limited."""
    excluded_facilities: frozenset[str] = field(default_factory=frozenset)
    """Facility OIDs whose data stay hidden."""
    types: tuple[TypeFilter, ...] | None = None
    """What one of these names is seen; None: not limited by type."""
    known_at: frozenset[str] | None = None
    """Facility OIDs: data of a person are seen when one of these facilities knows the person; None: not limited."""
    consent: ConsentView | None = None
    """None: not subject to consent (open mode, the node's own housekeeping, a person's own record)."""


UNRESTRICTED = Scope(patients=None, confidentiality=None)
"""Open mode, and the node's own housekeeping (ingest, export by the operator)."""

NOTHING = Scope(patients=frozenset(), confidentiality=frozenset(), types=())
"""Nobody's data."""


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine alone: all that open mode listens on and sends to."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
