"""`services.persons.Persons` in memory: exact ids only, demographics compared as they are written. For tests of faces."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal

from gateway.errors import InvalidParameter, TooManyResults, UnknownAuthority, UnknownPatient
from gateway.model.caller import Caller, Scope
from gateway.model.identity import Authority, PatientId
from gateway.model.person import (
    Comparison,
    Decision,
    Demographics,
    Fed,
    HistoryLine,
    PersonFeed,
    PersonPage,
    PersonQuery,
    PersonRecord,
    Review,
)

AUTHORITIES = (
    Authority("1.2.392.200119.99999.1.1", "REGION", kind="community"),
    Authority("1.2.392.200119.99999.2", "TOKYO-HP", "東京総合病院"),
    Authority("1.2.392.200119.99999.3", "MEDICAL-ID", kind="medical-id"),
    Authority("1.2.392.200119.99999.4", "OSAKA-HP"),
)


@dataclass
class FakePersons:
    authorities: tuple[Authority, ...] = AUTHORITIES
    links: dict[PatientId, str] = field(default_factory=dict)
    """id -> enterprise id; a subsumed id is not in it."""
    details: dict[PatientId, Demographics] = field(default_factory=dict)
    fed: list[PersonFeed] = field(default_factory=list)
    error: Exception | None = None
    """Raised by whatever is asked."""
    score: Callable[[PersonRecord, Demographics], tuple[Decimal, str]] | None = None
    limit: int = 1000

    def put(self, enterprise: str, demographics: Demographics, *ids: PatientId) -> None:
        for one in ids:
            self.links[one] = enterprise
            self.details[one] = demographics

    def feed(self, event: PersonFeed, caller: Caller) -> Fed:
        self._fail()
        for at, one in enumerate((*event.ids, *event.prior)):
            if one.authority not in self._known() and (at == 0 or at >= len(event.ids)):
                raise UnknownAuthority("unknown authority", at)
        if event.kind == "merge":
            survivor, prior = event.ids[0], event.prior[0]
            if survivor == prior or survivor.authority != prior.authority:
                raise InvalidParameter("merge of an id with itself or across domains")
            if prior not in self.links:
                raise UnknownPatient("unknown prior id", len(event.ids))
            eid = self.links.setdefault(survivor, f"e{len(self.links) + 1}")
            old = self.links.pop(prior)
            self.links = {one: eid if held == old else held for one, held in self.links.items()}
        known = [self.links[one] for one in event.ids if one in self.links]
        eid = known[0] if known else f"e{len(self.links) + 1}"
        for one in event.ids:
            self.links[one] = eid
            if event.demographics is not None:
                self.details[one] = event.demographics
        self.fed.append(event)
        return Fed(eid, created=not known, changed=True)

    def cross_reference(self, id: PatientId, domains: tuple[str, ...], scope: Scope) -> tuple[PatientId, ...]:
        self._fail()
        if id.authority not in self._known():
            raise UnknownAuthority("unknown authority")
        self._need(domains)
        if id not in self.links:
            raise UnknownPatient("unknown id")
        mine = (one for one, eid in self.links.items() if eid == self.links[id] and one != id)
        return tuple(sorted((one for one in mine if not domains or one.authority in domains), key=_order))

    def search(self, query: PersonQuery, scope: Scope) -> PersonPage:
        self._fail()
        self._need(query.domains)
        found = [record for record in self._records() if _meets(record, query)]
        if query.domains:
            found = [record for record in found if record.id.authority in query.domains]
        if not query.limit and len(found) > self.limit:
            raise TooManyResults("too many")
        end = query.offset + query.limit if query.limit else None
        return PersonPage(tuple(found[query.offset : end]), len(found))

    def match(
        self,
        demographics: Demographics,
        ids: tuple[PatientId, ...],
        scope: Scope,
        *,
        certain_only: bool = False,
        count: int = 0,
    ) -> tuple[PersonRecord, ...]:
        self._fail()
        found = []
        for record in self._records():
            score, grade = self.score(record, demographics) if self.score else _score(record, demographics, ids)
            if score > 0 and (grade == "certain" or not certain_only):
                found.append(replace(record, score=score, grade=grade))
        return tuple(sorted(found, key=lambda one: -(one.score or 0))[: count or None])

    def preview(self, event: PersonFeed, scope: Scope) -> tuple[tuple[PersonRecord, Comparison], ...]:
        return ()

    def reviews(self, after: int, limit: int, state: str, scope: Scope) -> list[Review]:
        return []

    def decide(self, number: int, decision: Decision, who: str, reason: str, caller: Caller) -> Review:
        raise UnknownPatient("no such review")

    def undo(self, number: int, who: str, caller: Caller) -> Review:
        raise UnknownPatient("no such review")

    def history(self, id: PatientId, scope: Scope) -> list[HistoryLine]:
        return []

    def read(self, patient: str, scope: Scope) -> PersonRecord | None:
        return next((one for one in self._records() if one.patient == patient), None)

    def record(self, id: PatientId, scope: Scope) -> PersonRecord | None:
        self._fail()
        return next((one for one in self._records() if one.id == id), None)

    def domains(self) -> tuple[Authority, ...]:
        return self.authorities

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error

    def _known(self) -> frozenset[str]:
        return frozenset(one.oid for one in self.authorities)

    def _need(self, domains: tuple[str, ...]) -> None:
        if bad := tuple(n for n, one in enumerate(domains) if one not in self._known()):
            raise UnknownAuthority("unknown domain", bad=bad)

    def _records(self) -> list[PersonRecord]:
        return [
            PersonRecord(
                one,
                self.details.get(one, Demographics()),
                eid,
                tuple(
                    sorted((other for other, held in self.links.items() if held == eid and other != one), key=_order)
                ),
                f"patient-{one.value}",
            )
            for one, eid in sorted(self.links.items(), key=lambda pair: _order(pair[0]))
        ]


def _like(wanted: str, found: list[str]) -> bool:
    if wanted.endswith("*"):
        return any(one.startswith(wanted[:-1]) for one in found)
    return wanted in found


def _meets(record: PersonRecord, query: PersonQuery) -> bool:
    is_ = record.demographics
    families, givens = [one.family for one in is_.names], [one.given for one in is_.names]
    low, high = query.birth_range
    address = [(one.postal_code, one.state, one.city, one.line) for one in is_.addresses]
    parts = (query.postal_code, query.state, query.city, query.line)
    mother = is_.mothers_maiden_name
    has = {record.id, *record.other_ids}
    return (
        all(_like(one, families) for one in query.family)
        and all(_like(one, givens) for one in query.given)
        and all(_like(one, families + givens) for one in query.name)
        and is_.birth_date.startswith(query.birth_date)
        and (not low or is_.birth_date >= low)
        and (not high or is_.birth_date <= high)
        and query.sex in ("", is_.sex)
        and (not any(parts) or any(all(w in ("", h) for w, h in zip(parts, held, strict=True)) for held in address))
        and (not query.telecom or query.telecom in is_.telecoms)
        and (not query.mothers_maiden_name or (mother is not None and mother.family == query.mothers_maiden_name))
        and (not query.ids or any(one in has or (not one.value and _any_of(one, has)) for one in query.ids))
    )


def _any_of(wanted: PatientId, has: set[PatientId]) -> bool:
    return any(one.authority == wanted.authority for one in has)


def _score(record: PersonRecord, asked: Demographics, ids: tuple[PatientId, ...]) -> tuple[Decimal, str]:
    if {record.id, *record.other_ids} & set(ids):
        return Decimal("1.00"), "certain"
    same_name = {(one.family, one.given) for one in asked.names} & {
        (one.family, one.given) for one in record.demographics.names
    }
    same_birth = asked.birth_date == record.demographics.birth_date
    if same_name and same_birth and asked.telecoms and set(asked.telecoms) & set(record.demographics.telecoms):
        return Decimal("0.98"), "certain"
    if same_name and same_birth:
        return Decimal("0.90"), "probable"
    return (Decimal("0.40"), "possible") if same_name or same_birth else (Decimal(0), "certainly-not")


def _order(one: PatientId) -> tuple[str, str]:
    return one.authority, one.value
