"""What is asked of each community, and what it gives back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from gateway.model.identity import PatientId
from gateway.services.federation.channel import Channel
from gateway.services.federation.discovery import Discover, Whom

DOCUMENT: Final = "DocumentReference"
ER7: Final = frozenset({"application/hl7-v2", "x-application/hl7-v2+er7"})
"""Media types of original messages: what communities register today, and what some still have from before."""
FHIR_JSON: Final = "application/fhir+json"


class Wanted(NamedTuple):
    """One FHIR search, without its patient and without how its answer should look."""

    type: str
    parameters: tuple[tuple[str, str], ...] = ()


class Question(NamedTuple):
    patient: PatientId
    wanted: tuple[Wanted, ...]


class Resource(NamedTuple):
    """One resource of one community."""

    body: dict[str, Any]
    url: str = ""
    """Where it stands there; empty for one that came inside a document."""

    @property
    def type(self) -> str:
        return str(self.body.get("resourceType", ""))

    @property
    def id(self) -> str:
        return str(self.body.get("id", ""))


class Given(NamedTuple):
    """What a community gave, after what cannot be believed was taken out."""

    resources: tuple[Resource, ...] = ()
    """What was wanted."""
    patients: tuple[Resource, ...] = ()
    """Patients they are about, as that community has them."""
    alarms: tuple[str, ...] = ()
    """What was taken out or is missing: its answer is not whole. Stable words, no data."""


Ask = Callable[[Question, Whom, PatientId, float], Given]
"""(question, of whom, the id known there, seconds left). Raises TimeoutError, Forbidden, UnknownPatient (the community
does not know the id), Unavailable, any GatewayError."""


@dataclass(frozen=True, slots=True)
class Community:
    """One that can be asked."""

    channel: Channel
    ask: Ask
    discover: Discover | None = None
    """None: it is asked by the shared id, or by the id as it was given."""

    @property
    def id(self) -> str:
        return self.channel.home

    @property
    def name(self) -> str:
        return self.channel.name
