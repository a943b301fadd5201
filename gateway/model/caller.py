"""Who asks, and what of the data they may see."""

from dataclasses import dataclass, field
from ipaddress import ip_address


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


@dataclass(frozen=True, slots=True)
class Scope:
    """What a caller may see; policy makes it, storage applies it in the WHERE clause.

    No function that reads takes a Scope with a default: a call that forgets it does not run.
    """

    patients: frozenset[str] | None
    """Enterprise patient ids; None: not limited by patient."""
    confidentiality: frozenset[str] | None
    """Codes of 2.16.840.1.113883.5.25; None: not limited."""
    excluded_facilities: frozenset[str] = field(default_factory=frozenset)
    """Facility OIDs whose data stay hidden."""


UNRESTRICTED = Scope(patients=None, confidentiality=None)
"""Open mode, and the node's own housekeeping (ingest, export by the operator)."""

NOTHING = Scope(patients=frozenset(), confidentiality=frozenset())
"""Nobody's data."""


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine alone: all that open mode listens on and sends to."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
