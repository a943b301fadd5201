"""Other communities, and how they are asked."""

from pydantic import Field

from gateway.settings.forms import COMMUNITY_ID, Section


class Peer(Section):
    """Another community. What is not given is not asked."""

    id: str = Field(pattern=COMMUNITY_ID, max_length=72)
    name: str = ""
    xcpd: str = ""
    xca: str = ""
    fhir: str = ""
    timeout_s: float = Field(default=10, gt=0, le=300)
    documents_per_request: int = Field(default=0, ge=0)
    """0: all wanted documents in one ITI-39; some gateways take one at a time."""
    audience: str = ""
    """What it wants assertions to be made out for; empty: the URL that is asked."""
    fhir_audience: str = ""
    """What it wants tokens to be made out for; empty: its FHIR base."""
    homes: tuple[str, ...] = ()
    """homeCommunityIds of the communities behind it: an exchange centre (hub) that asks them for us."""


class Federation(Section):
    deadline_s: float = Field(default=10, gt=0, le=300)
    """Total for one federated question: discovery, query, retrieval and merge."""
    max_questions: int = Field(default=32, ge=1, le=1000)
    """Federated questions at the same time; one more is refused at once. They have threads of their own."""
    connections: int = Field(default=8, ge=1, le=100)
    """Exchanges with one community at the same time."""
    breaker_failures: int = Field(default=5, ge=1, le=1000)
    """Failures in a row after which a community is left alone."""
    breaker_pause_s: float = Field(default=3, gt=0, le=3600)
    """For so long at first."""
    breaker_longest_pause_s: float = Field(default=30, gt=0, le=3600)
    """Each failed attempt doubles the pause, up to this."""
    directory: str = ""
    """File with further communities (TOML, [[peers]]); empty: none."""
    mcsd: str = ""
    """Base URL of a FHIR directory of communities (IHE mCSD, ITI-90); empty: none."""
