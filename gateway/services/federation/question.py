"""What is asked of each community, and what it gives back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from gateway.model.caller import Caller, Scope, TypeFilter
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


def within(given: Given, scope: Scope) -> Given:
    """What of it the types of a scope show. A filter with an age shows nothing here: it belongs to an emergency, which is
    declared to one community."""
    wanted = scope.types
    if wanted is None:
        return given
    shown = tuple(one for one in given.resources if any(_shows(filter_, one) for filter_ in wanted))
    return given._replace(resources=shown)


def _shows(wanted: TypeFilter, one: Resource) -> bool:
    if wanted.type not in ("*", one.type) or wanted.since:
        return False
    return all(
        any(_is(code, of) for code in _codes(one.body.get(term.param)) for of in term.values) for term in wanted.terms
    )


def _is(code: tuple[str, str], wanted: tuple[str, str]) -> bool:
    return code[1] == wanted[1] and wanted[0] in ("", code[0])


def _codes(element: object) -> list[tuple[str, str]]:
    concepts = element if isinstance(element, list) else [element]
    codings = [one.get("coding") for one in concepts if isinstance(one, dict)]
    return [
        (str(one.get("system", "")), str(one.get("code", "")))
        for coding in codings
        if isinstance(coding, list)
        for one in coding
        if isinstance(one, dict)
    ]


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
    speaking: "Callable[[Caller], Community] | None" = None
    """The same community, asked in the name of a caller; None: nobody has to be named."""

    def by(self, caller: Caller) -> "Community":
        return self.speaking(caller) if self.speaking else self

    @property
    def id(self) -> str:
        return self.channel.home

    @property
    def name(self) -> str:
        return self.channel.name
