"""Who knows a person, and by which id: asked once (XCPD), remembered until it expires or we learn better of the person.

What is remembered is bound to its basis, everything that is known of the person here: after a merge, a link or a
correction the basis is another, and the communities are asked again. So is one that says it does not know the id.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeVar

from gateway.errors import UnknownPatient
from gateway.model.caller import Scope
from gateway.model.clock import Clock
from gateway.model.identity import Authority, PatientId
from gateway.model.person import Demographics, PersonQuery, PersonRecord
from gateway.ports import Correlated, Correlations
from gateway.services.persons import Persons

T = TypeVar("T")

_SHARED_KINDS: Final = ("medical-id", "insurer")
"""Ids that mean the same person everywhere, the best first."""


class Whom(NamedTuple):
    """The person a question is about, as far as this node knows them."""

    person: str
    """Enterprise id; the CX as given when nobody is known here by it."""
    asked: PatientId
    """As it was given."""
    known: bool
    ids: tuple[PatientId, ...]
    """What other communities are told: our own id first, then shared ones; never a number of another house."""
    shared: PatientId | None
    """Medical ID, else the insured person's number."""
    demographics: Demographics
    basis: str


class Found(NamedTuple):
    """What a community said of a person."""

    ids: tuple[PatientId, ...]
    """Empty: it knows nobody."""
    ttl_s: float | None = None
    """How long it may be relied on, where it said so (CorrelationTimeToLive)."""
    alarms: tuple[str, ...] = ()


Discover = Callable[[Whom, float], Found]
"""(whom, seconds left). Raises as `Ask` does."""


@dataclass(frozen=True, slots=True)
class DiscoveryRules:
    found_s: float = 86_400.0
    """Where a community does not say how long."""
    longest_s: float = 7 * 86_400.0
    nothing_s: float = 300.0
    """How long a "knows nobody" keeps us from asking again: patients move."""


class Memory:
    """What is known at the beginning of one question; asked of the store once, not once a community."""

    def __init__(self, whom: Whom, rows: list[Correlated]) -> None:
        self.whom = whom
        self._rows = {row.home: row for row in rows if row.basis == whom.basis}

    def of(self, home: str) -> Correlated | None:
        return self._rows.get(home)


@dataclass(frozen=True, slots=True)
class Discovery:
    persons: Persons
    correlations: Correlations
    clock: Clock
    authorities: tuple[Authority, ...]
    affinity_domain: str
    rules: DiscoveryRules = field(default_factory=DiscoveryRules)

    def whom(self, patient: PatientId, scope: Scope) -> Whom:
        """Everything this node knows of the person behind an id of any kind."""
        record = self._record(patient, scope)
        if record is None or not record.enterprise_id:
            shared = patient if patient.authority in self._shared() else None
            return Whom(str(patient), patient, False, (patient,), shared, Demographics(), "unknown")
        everything = tuple(sorted({record.id, *record.other_ids}, key=str))
        rank = {oid: at for at, oid in enumerate(self._shared())}
        shared_ids = sorted((one for one in everything if one.authority in rank), key=lambda one: rank[one.authority])
        if patient in shared_ids:
            shared_ids.sort(key=lambda one: one != patient)
        own = PatientId(record.enterprise_id, self.affinity_domain)
        said = "\n".join([*map(str, everything), repr(record.demographics)])
        return Whom(
            record.enterprise_id,
            patient,
            True,
            (own, *shared_ids),
            shared_ids[0] if shared_ids else None,
            record.demographics,
            hashlib.sha256(said.encode()).hexdigest()[:32],
        )

    def _record(self, patient: PatientId, scope: Scope) -> PersonRecord | None:
        try:
            found = self.persons.search(PersonQuery(ids=(patient,), limit=1), scope).records
        except UnknownPatient:  # or its authority is not known here
            return None
        return found[0] if found else None

    def _shared(self) -> tuple[str, ...]:
        return tuple(one.oid for kind in _SHARED_KINDS for one in self.authorities if one.kind == kind)

    def memory(self, whom: Whom) -> Memory:
        return Memory(whom, self.correlations.of(whom.person))

    def asked(
        self,
        home: str,
        memory: Memory,
        discover: Discover | None,
        ask: Callable[[PatientId, float], T],
        left_s: float,
    ) -> T:
        """`ask` with the id by which the community knows the person. Raises UnknownPatient where it knows nobody, and
        whatever `discover` and `ask` raise.

        An id that the community does not know any more is forgotten and asked for anew, within the same question.
        """
        whom = memory.whom
        if discover is None:
            return ask(whom.shared or whom.asked, left_s)
        until = self.clock.monotonic() + left_s
        remembered = memory.of(home)
        ids = remembered.ids if remembered is not None else self._learn(home, whom, discover, left_s)
        if not ids:
            raise UnknownPatient("the community knows nobody by what we know of the person")
        try:
            return ask(ids[0], until - self.clock.monotonic())
        except UnknownPatient:
            self.correlations.drop(whom.person, home)
            if remembered is None:
                raise
        again = self._learn(home, whom, discover, until - self.clock.monotonic())
        if not again:
            raise UnknownPatient("the community knows the person no longer")
        return ask(again[0], until - self.clock.monotonic())

    def _learn(self, home: str, whom: Whom, discover: Discover, left_s: float) -> tuple[PatientId, ...]:
        found = discover(whom, left_s)
        self.keep(home, whom, found)
        return found.ids

    def keep(self, home: str, whom: Whom, found: Found) -> None:
        """Remembers an answer, whenever it came."""
        usual_s = self.rules.found_s if found.ids else self.rules.nothing_s
        lasts_s = min(found.ttl_s if found.ttl_s is not None and found.ids else usual_s, self.rules.longest_s)
        expires_s = self.clock.now().timestamp() + lasts_s
        self.correlations.put(Correlated(whom.person, home, found.ids, whom.basis, expires_s))


def contradicts(whom: Whom, birth_date: str, ids: Mapping[str, str]) -> bool:
    """Whether somebody else is meant: another birth date, or another number of a kind that means one person everywhere.

    `birth_date`: digits, of any precision; `ids`: authority -> value. What is not known proves nothing.
    """
    length = min(len(birth_date), len(whom.demographics.birth_date))
    if birth_date[:length] != whom.demographics.birth_date[:length]:
        return True
    return any(ids.get(one.authority, one.value) != one.value for one in whom.ids)
