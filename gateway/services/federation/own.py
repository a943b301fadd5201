"""The own store as one more community that is asked: the same question, no wire."""

from collections.abc import Callable, Iterator
from typing import Final

from gateway.codec import fhir
from gateway.errors import UnknownPatient
from gateway.model.caller import Scope
from gateway.model.clock import Clock
from gateway.model.document import APPROVED, DEPRECATED, ON_DEMAND, STABLE, DocumentQuery
from gateway.model.identity import PatientId
from gateway.model.resource import SearchPlan
from gateway.ports import Identities, Resources
from gateway.services.document_references import shown
from gateway.services.documents import DocumentServices
from gateway.services.federation import documentary
from gateway.services.federation.discovery import Whom
from gateway.services.federation.question import DOCUMENT, Given, Question, Resource, Wanted
from gateway.services.search import SearchRules, plan

MAX_RESOURCES: Final = 2_000
"""Of one community and one search; more is cut, and said so."""
MAX_TOTAL: Final = 5_000
"""Of one community and one question."""
_PAGE: Final = 500
TOO_MANY: Final = "too-many-results"


def own_store(
    resources: Resources,
    documents: DocumentServices,
    identities: Identities,
    rules: SearchRules,
    scope: Scope,
    clock: Clock,
) -> Callable[[Question, Whom, PatientId, float], Given]:
    """Asks this node. `scope` is what the caller may see here."""

    def ask(question: Question, whom: Whom, patient: PatientId, left_s: float) -> Given:
        until = clock.monotonic() + left_s
        eid = identities.enterprise_id(question.patient, scope)
        if eid is None:
            raise UnknownPatient("the patient id is not known here")
        patients = identities.patients(eid, scope)
        found: list[Resource] = []
        alarms: list[str] = []
        for wanted in question.wanted:
            many = (
                _entries(documents, rules.base, eid, wanted, scope)
                if wanted.type == DOCUMENT
                else _search(wanted, patients, until)
            )
            for number, one in enumerate(many, start=1):
                if number > MAX_RESOURCES or len(found) >= MAX_TOTAL:
                    alarms.append(TOO_MANY)
                    break
                found.append(one)
        known = [_read("Patient", id_) for id_ in patients]
        return Given(tuple(found), tuple(one for one in known if one is not None), tuple(dict.fromkeys(alarms)))

    def _search(wanted: Wanted, patients: tuple[str, ...], until: float) -> Iterator[Resource]:
        if not patients:
            return
        asked = list(wanted.parameters)
        asked.append(("_id" if wanted.type == "Patient" else "patient", ",".join(patients)))
        search: SearchPlan = plan(
            wanted.type, [*asked, ("_count", str(_PAGE)), ("_total", "none")], rules=rules, cursor_key=b""
        ).plan
        while True:
            page = resources.search(search, scope)
            for row in page.rows:
                yield Resource(fhir.parse(row.body))
            if not page.next_after:
                return
            if clock.monotonic() > until:
                raise TimeoutError("the own store did not answer in time")
            search = _after(search, page.next_after)

    def _read(type_: str, id_: str) -> Resource | None:
        row = resources.read(type_, id_, scope)
        return None if row is None or row.deleted else Resource(fhir.parse(row.body))

    return ask


def _after(search: SearchPlan, key: tuple[str | int, ...]) -> SearchPlan:
    return SearchPlan(
        search.type, search.ids, search.clauses, search.count, search.sort, key, search.total_only, search.with_total
    )


def _entries(documents: DocumentServices, base: str, eid: str, wanted: Wanted, scope: Scope) -> Iterator[Resource]:
    kinds = (STABLE, ON_DEMAND)  # as ITI-67 has it
    query = DocumentQuery(eid, (APPROVED, DEPRECATED), objectType=kinds, limit=documents.max_results)
    fits = documentary.condition(wanted)
    for made in shown(documents.documents.find(query, scope), base, documents, scope):
        if fits(made):
            yield Resource(made)
