"""Who asks, and what of the data they may see."""

from dataclasses import dataclass, field
from ipaddress import ip_address


@dataclass(frozen=True, slots=True)
class Caller:
    """The requesting party as authenticated at the edge. In open mode it is the anonymous loopback caller."""

    node: str = "loopback"
    user: str = ""
    role: str = ""
    purpose: str = ""
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


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine alone: all that open mode listens on and sends to."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
