"""Persons: the one service behind PIX, PDQ and XCPD in HL7 v2, v3 and FHIR. What a face asks here is answered the same
on each wire; docs/adr/0017-one-identity-index.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

from gateway.codec import fhir
from gateway.errors import InvalidParameter, TooManyResults, UnknownAuthority, UnknownPatient
from gateway.model.audit import AuditRecord
from gateway.model.caller import UNRESTRICTED, Caller, Scope
from gateway.model.clock import Clock
from gateway.model.identity import Authority, PatientId, Statement, subsumed_by
from gateway.model.ingest import KeptMessage
from gateway.model.person import (
    Comparison,
    Demographics,
    Fed,
    PersonFeed,
    PersonPage,
    PersonQuery,
    PersonRecord,
)
from gateway.ports import Keeping, PersonIndex, PersonRow
from gateway.services import my_number
from gateway.services.identity import canonical
from gateway.services.matching import Features, Matching
from gateway.services.persons import feeding, searching
from gateway.services.persons.describing import key_number
from gateway.services.persons.patients import demographics_of

MAX_FOUND: Final = 10_000
"""Records one search may hit; a question that hits more is too wide."""
MAX_PAGE: Final = 1_000
"""Records answered when the asker names no limit."""
_GRADES: Final = ((Decimal("0.95"), "probable"), (Decimal("0.5"), "possible"))
_POSSIBLE: Final = Decimal("0.05")
"""Probability below which a candidate is not worth showing."""


@dataclass(frozen=True, slots=True)
class Persons:
    """Put together by gateway.app. Safe to call from many threads."""

    index: PersonIndex
    keeping: Keeping
    clock: Clock
    authorities: tuple[Authority, ...]
    affinity_domain: str
    matching: Matching | None = None
    automatic: bool = True
    max_found: int = MAX_FOUND
    max_page: int = MAX_PAGE
    _known: Mapping[str, Authority] = field(init=False)
    _insurers: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        known = {one.oid: one for one in self.authorities}
        known.setdefault(self.affinity_domain, Authority(self.affinity_domain, kind="community"))
        object.__setattr__(self, "_known", known)
        object.__setattr__(self, "_insurers", frozenset(oid for oid, one in known.items() if one.kind == "insurer"))

    @property
    def known(self) -> Mapping[str, Authority]:
        """By OID."""
        return self._known

    def domains(self) -> tuple[Authority, ...]:
        """The authorities known here, the affinity domain included."""
        return tuple(sorted(self._known.values(), key=lambda one: one.oid))

    # -- cross-reference

    def cross_reference(self, id: PatientId, domains: tuple[str, ...], scope: Scope) -> tuple[PatientId, ...]:
        """All other ids of the person in the asked domains (in all when none is asked), sorted.

        Raises UnknownAuthority for the id's own authority (`at` -1, no `bad`) or for asked domains (`bad`), and
        UnknownPatient for an id that is not known here or was retired by a merge (ITI TF-2: 3.9.4.2.2 cases 3 to 5).
        """
        known = self._known
        if id.authority not in known:
            raise UnknownAuthority("the assigning authority of the patient's id is not known here")
        for asked in domains:
            if asked not in known:
                bad = tuple(n for n, oid in enumerate(domains) if oid not in known)
                raise UnknownAuthority("an asked domain is not known here", bad=bad)
        found = self.index.others(canonical(id, known) if id.authority in self._insurers else id, domains, scope)
        if found is None:
            raise UnknownPatient("the patient's id is not known here")
        return found

    # -- feeds

    def feed(self, event: PersonFeed, caller: Caller, *, patient: Mapping[str, Any] | None = None) -> Fed:
        """Stores one feed and links what it touches, in one commit. `patient`: the Patient as its sender wrote it
        (ITI-104), stored in place of one made of the demographics.

        Raises UnknownAuthority and UnknownPatient (`at` counts over ids, then prior ids) and InvalidParameter: a
        merge that is circular, repeated or crosses domains, a change to a number that is in use, a My Number; and
        MissingName.
        """
        event = self.checked(event)
        feeding.check_name(event)
        own = event.ids[0]
        before = self.index.by_id(own, UNRESTRICTED)
        if event.kind == "change-id" and event.demographics is None and patient is None:
            patient = self._renumbered(event)
        outcome = feeding.outcome(event, feeding.messages(event, self._known, patient=patient))
        applied = self.keeping.keep([outcome], lambda one, state: record_of(event, caller, state))
        return self.fed(event, before is None, applied.states[0] != "unchanged")

    def messages(self, event: PersonFeed) -> tuple[KeptMessage, ...]:
        """For a face that stores the feed together with a translated message (ADT over MLLP): what to add to its
        FileOutcome. The translated message brings the Patient. Raises as `feed` does."""
        return feeding.messages(self.checked(event), self._known, with_patient=False)

    def fed(self, event: PersonFeed, created: bool, changed: bool) -> Fed:
        """The state after a feed was stored."""
        own = event.ids[0]
        eid = self.index.enterprise_id(own, UNRESTRICTED) or ""
        links = self.index.others(own, (), UNRESTRICTED) or ()
        warnings = []
        if not eid and event.kind in ("add", "revise"):
            warnings.append("the number was retired by a merge or deleted; what was said of it is kept")
        if any(one.authority not in self._known for one in event.ids):
            warnings.append("an id of an authority that is not known here links nobody")
        return Fed(
            eid,
            created and bool(eid),
            changed,
            tuple(one for one in links if one.authority != self.affinity_domain),
            self.index.open_pairs(own),
            tuple(warnings),
        )

    def checked(self, event: PersonFeed) -> PersonFeed:
        """The event as it may be stored: with a time. Raises as `feed` does; nothing is stored."""
        if not event.ids or (event.kind in ("merge", "link", "unlink", "change-id") and not event.prior):
            raise InvalidParameter("a feed names the record's own id, and a merge or link the other one")
        feeding.check_size(event)
        everything = (*event.ids, *event.prior)
        my_number.refuse(everything, self._known)
        for at, id_ in enumerate(everything):
            if id_.authority not in self._known and (at == 0 or at >= len(event.ids)):
                raise UnknownAuthority("the assigning authority of a patient's id is not known here", at=at)
        feeding.check_ids(id_ for id_ in everything if id_.authority in self._known)
        if not event.event_time:
            event = replace(event, event_time=feeding.japan_time(self.clock.now()))
        if event.kind in ("merge", "change-id"):
            self._check_merge(event)
        elif event.kind in ("link", "unlink", "delete"):
            for at, id_ in enumerate((event.ids[0], *event.prior)):
                if self.index.by_id(id_, UNRESTRICTED) is None and not self._said(event):
                    raise UnknownPatient("the record is not known here", at=0 if at == 0 else len(event.ids) + at - 1)
        return event

    def _check_merge(self, event: PersonFeed) -> None:
        """ITI TF-2: 3.8.4.2, 3.30: one domain, no circle, no second merge of a number."""
        for at, prior in enumerate(event.prior, start=len(event.ids)):
            one = feeding.survivor(event, prior)
            if one == prior:
                raise InvalidParameter("a record cannot be merged into itself")
            if self._said(event):
                continue
            retired = subsumed_by(self.statements_about((one, prior)))
            if one in retired:
                raise InvalidParameter("the surviving number was itself retired by a merge")
            if prior in retired:
                raise InvalidParameter("the number was already retired by a merge")
            if self.index.by_id(prior, UNRESTRICTED) is None:
                raise UnknownPatient("the record to be merged is not known here", at=at)
            if event.kind == "merge" and event.demographics is None and self.index.by_id(one, UNRESTRICTED) is None:
                raise UnknownPatient("the surviving record is not known here", at=event.ids.index(one))
            if event.kind == "change-id" and self.index.by_id(one, UNRESTRICTED) is not None:
                raise InvalidParameter("the new number is in use")

    def _said(self, event: PersonFeed) -> bool:
        """Whether exactly this was stored before: saying it again is no news, and no error."""
        known = {one.hash for one in self.index.statements((event.ids[0], *event.prior))}
        return all(one.hash in known for one in feeding.statements(event))

    def statements_about(self, ids: Sequence[PatientId]) -> list[Statement]:
        """Statements about ids and about those they lead to."""
        seen: dict[PatientId, None] = {}
        found: dict[str, Statement] = {}
        waiting = list(ids)
        while waiting:
            id_ = waiting.pop()
            if id_ in seen:
                continue
            seen[id_] = None
            for one in self.index.statements((id_,)):
                found[one.hash] = one
                if one.kind in ("merge", "change-id"):
                    waiting += [one.one, one.other]
        return list(found.values())

    def _renumbered(self, event: PersonFeed) -> Mapping[str, Any] | None:
        """The Patient of the old number under the new one."""
        old, new = event.prior[0], event.ids[0]
        row = self.index.by_id(old, UNRESTRICTED)
        if row is None or not row.body:
            return None
        patient = dict(fhir.parse(row.body))
        system = self._known[new.authority].patient_system
        patient["identifier"] = [
            {**one, "value": new.value} if one.get("system") == system and one.get("value") == old.value else one
            for one in patient.get("identifier", ())
        ]
        return patient

    # -- reading and searching

    def search(self, query: PersonQuery, scope: Scope) -> PersonPage:
        """Records that fit, one a person and answered domain, in an order that is the same for every page.

        Without `domains` the records that fit are answered; with them, those the person has there. Raises
        UnknownAuthority (`bad`: positions in `domains`; `at`: in `ids`) and TooManyResults.
        """
        if bad := tuple(n for n, oid in enumerate(query.domains) if oid not in self._known):
            raise UnknownAuthority("an asked domain is not known here", bad=bad)
        for at, id_ in enumerate(query.ids):
            if id_.authority not in self._known:
                raise UnknownAuthority("the authority of an asked id is not known here", at=at)
        conditions = searching.conditions(query, self.index, self._known, scope)
        rows = self.index.find(conditions, self.max_found, scope) if conditions is not None else []
        if len(rows) > self.max_found:
            raise TooManyResults("the question fits too many persons; say more about the person")
        if query.exact:
            rows = [row for row in rows if searching.fits_exactly(query, demographics_of(fhir.parse(row.body)))]
        chosen = self._answered(rows, query.domains, scope)
        total = len(chosen)
        if not query.limit and total - query.offset > self.max_page:
            raise TooManyResults("the question fits too many persons; ask for pages or say more about the person")
        page = chosen[query.offset : query.offset + query.limit] if query.limit else chosen[query.offset :]
        return PersonPage(tuple(self.records(page, scope)), total)

    def _answered(self, rows: list[PersonRow], domains: tuple[str, ...], scope: Scope) -> list[PersonRow]:
        """One row a person and domain."""
        fits: dict[tuple[str, str], PersonRow] = {}
        for row in rows:
            fits.setdefault((row.enterprise_id, row.id.authority), row)
        if not domains:
            return list(fits.values())
        eids = list(dict.fromkeys(row.enterprise_id for row in rows))
        by_domain: dict[tuple[str, str], PersonRow] = {}
        for row in self.index.members(eids, scope):
            by_domain.setdefault((row.enterprise_id, row.id.authority), row)
        ids = self.index.ids(eids, scope)
        chosen: list[PersonRow] = []
        for eid in eids:
            best = next(row for row in rows if row.enterprise_id == eid)
            for oid in sorted(set(domains)):
                known = fits.get((eid, oid)) or by_domain.get((eid, oid))
                if known is None:
                    # Known there by an id alone: a medical ID, an insured person's number, our own enterprise id.
                    own = next((one for one in ids.get(eid, ()) if one.authority == oid), None)
                    if own is None and oid == self.affinity_domain:
                        own = PatientId(eid, oid)
                    known = best._replace(id=own) if own else None
                if known is not None:
                    chosen.append(known)
        return chosen

    def read(self, patient: str, scope: Scope) -> PersonRecord | None:
        """The record behind a Patient resource; None when it is unknown, retired or out of scope."""
        row = self.index.by_patient(patient, scope)
        return next(iter(self.records([row], scope)), None) if row else None

    def records_of(self, id: PatientId, scope: Scope) -> tuple[PatientId, ...]:
        """The records an id stands for: itself, else those of the person whose enterprise id it is."""
        if self.index.by_id(id, scope) is not None:
            return (id,)
        found = self.index.members([id.value], scope) if id.authority == self.affinity_domain else ()
        return tuple(row.id for row in found)

    def record(self, id: PatientId, scope: Scope) -> PersonRecord | None:
        row = self.index.by_id(id, scope)
        return next(iter(self.records([row], scope)), None) if row else None

    def records(self, rows: Sequence[PersonRow], scope: Scope) -> list[PersonRecord]:
        """Rows of the index as they are shown."""
        ids = self.index.ids([row.enterprise_id for row in rows], scope)
        return [
            PersonRecord(
                id=row.id,
                demographics=demographics_of(fhir.parse(row.body)) if row.body else Demographics(),
                enterprise_id=row.enterprise_id,
                other_ids=tuple(one for one in ids.get(row.enterprise_id, ()) if one != row.id),
                patient=row.patient,
                active=row.active,
            )
            for row in rows
        ]

    # -- matching

    def match(
        self,
        demographics: Demographics,
        ids: tuple[PatientId, ...],
        scope: Scope,
        *,
        certain_only: bool = False,
        count: int = 0,
    ) -> tuple[PersonRecord, ...]:
        """Records that may be this person, best first, with score and grade. Empty where nothing can be compared."""
        if self.matching is None:
            return ()
        found: list[PersonRecord] = []
        rows = self._compared(demographics, ids, scope)
        for row, comparison in rows:
            if comparison.probability < _POSSIBLE and comparison.outcome == "separate":
                continue
            grade = _grade(comparison)
            if certain_only and grade != "certain":
                continue
            record = self.records([row], scope)[0]
            found.append(replace(record, score=comparison.probability, grade=grade))
        return tuple(found[:count] if count else found)

    def preview(self, event: PersonFeed, scope: Scope) -> tuple[tuple[PersonRecord, Comparison], ...]:
        """What storing this feed would compare the record with, best first. Nothing is stored."""
        event = self.checked(event)
        if self.matching is None or event.demographics is None:
            return ()
        rows = [
            (row, said)
            for row, said in self._compared(event.demographics, event.ids, scope)
            if row.id not in event.ids and row.id not in event.prior
        ]
        if not self.automatic:
            rows = [(row, said._replace(outcome="review") if said.outcome == "link" else said) for row, said in rows]
        return tuple((self.records([row], scope)[0], said) for row, said in rows)

    def _compared(
        self, known: Demographics, ids: tuple[PatientId, ...], scope: Scope
    ) -> list[tuple[PersonRow, Comparison]]:
        assert self.matching is not None
        mine = self.matching.features(known, tuple(canonical(one, self._known) for one in ids))
        keys = [key_number(key) for key in self.matching.keys(mine)]
        compared = [
            (row, self.matching.compare(mine, Features.from_json(row.features)))
            for row in self.index.candidates(keys, scope)
            if row.features
        ]
        return sorted(compared, key=lambda one: (-one[1].probability, -one[1].score, str(one[0].id)))


def _grade(comparison: Comparison) -> str:
    if comparison.outcome == "link":
        return "certain"
    if comparison.outcome == "separate" and comparison.rule != "score":
        return "certainly-not"
    return next((grade for least, grade in _GRADES if comparison.probability >= least), "possible")


def record_of(event: PersonFeed, caller: Caller, state: str) -> AuditRecord:
    """110110 Patient Record (ITI TF-2: 3.8.5.1, 3.44.5.1, 3.104.5.1): created, updated or deleted."""
    action = {"add": "C", "delete": "D"}.get(event.kind, "U")
    return AuditRecord(
        "110110", event.transaction, action, 0, event.sender or caller.user or caller.node, caller.address,
        patient=str(event.ids[0]), object=event.control_id, detail=f"{event.kind} {state}",
    )  # fmt: skip
