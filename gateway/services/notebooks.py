"""Medication notebooks (電子版お薬手帳) in the store: whose they are, and what a person was dispensed as files for apps
and QR codes."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.codec import fhir
from gateway.codec.jahistc import render
from gateway.codec.jahistc_parts import split
from gateway.model.caller import Scope
from gateway.model.identity import Facts, PatientId
from gateway.model.ingest import FileOutcome, Reject
from gateway.model.resource import ReferenceClause, SearchPlan
from gateway.ports import Identities, Resources
from gateway.services.identity import contradict
from gateway.translate.jahistc.layout import notebooks_of
from gateway.translate.jahistc.source import NAME

_ABOUT_PERSON = (
    "Patient",
    "MedicationDispense",
    "MedicationStatement",
    "AllergyIntolerance",
    "Condition",
    "Observation",
    "Communication",
    "CareTeam",
    "Provenance",
)
_PAGE = 500
_SEX = {"male": "M", "female": "F"}


@dataclass(slots=True)
class Owner:
    """Whose the notebooks of a run are said to be, as far as the store and the notebooks taken before know the person."""

    known: Facts = field(default_factory=lambda: _facts("", ""))

    def checked(self, outcome: FileOutcome) -> FileOutcome:
        """The outcome of one file; of a notebook whose record 1 contradicts the person a rejection: it is another's."""
        persons = [one.person for one in outcome.messages if f"\x1f{NAME}\x1f" in one.key and one.person]
        said = [_facts(one.birth_date, one.sex) for one in persons]
        if any(contradict(self.known, one) for one in said):
            text = (
                "record 1 says another day of birth or sex than is known of the patient it was sent in for (--patient)"
            )
            reject = Reject("", 0, "error", "patient-mismatch", text)
            return replace(outcome, messages=(), rejects=(*outcome.rejects, reject))
        for one in said:
            self.learn(one)
        return outcome

    def learn(self, one: Facts) -> None:
        births, sexes = self.known.birth_dates | one.birth_dates, self.known.sexes | one.sexes
        self.known = Facts(frozenset(), births, sexes)


def _facts(birth_date: str, sex: str) -> Facts:
    return Facts(frozenset(), frozenset({birth_date} - {""}), frozenset({sex} - {""}))


def owner_of(patient: PatientId, identities: Identities, resources: Resources, scope: Scope) -> Owner:
    """What the Patient resources of this person say; nothing of one who is not known yet."""
    made = Owner()
    person = identities.enterprise_id(patient, scope)
    for id_ in identities.patients(person, scope) if person else ():
        stored = resources.read("Patient", id_, scope)
        if stored is not None and not stored.deleted:
            body = fhir.parse(stored.body)
            made.learn(_facts(body.get("birthDate", ""), _SEX.get(body.get("gender", ""), "")))
    return made


@dataclass(frozen=True, slots=True)
class NotebookFile:
    content: bytes
    lost: tuple[str, ...]
    """Items with a character that JIS X 0208 does not have."""


def export(resources: Resources, patients: tuple[str, ...], scope: Scope, max_bytes: int = 0) -> list[NotebookFile]:
    """The notebooks of one person. `patients`: logical ids of the person's Patient resources. `max_bytes`: split each
    into parts (record 911) of at most so many bytes; 0: do not."""
    from_store = list(_resources(resources, patients, scope))
    made: list[NotebookFile] = []
    for notebook in notebooks_of(from_store):
        whole = render(notebook.records, version=notebook.version, direction=notebook.direction)
        parts = [whole.data]
        if max_bytes and len(whole.data) > max_bytes:
            parts = split(notebook, data_id=_data_id(whole.data), max_bytes=max_bytes)
        made += [NotebookFile(part, whole.lost) for part in parts]
    return made


def _data_id(data: bytes) -> str:
    """14 digits that are the same for the same content."""
    return f"{int.from_bytes(hashlib.sha256(data).digest()[:8]) % 10**14:014}"


def _resources(resources: Resources, patients: tuple[str, ...], scope: Scope) -> Iterator[dict[str, Any]]:
    """What is about the person, and the people and institutions it names."""
    named: set[tuple[str, str]] = set()
    for type_ in _ABOUT_PERSON:
        clause = () if type_ == "Patient" else (ReferenceClause("patient", patients),)
        ids = patients if type_ == "Patient" else None
        for body in _all(resources, SearchPlan(type_, ids, clause, _PAGE, with_total=False), scope):
            found = fhir.parse(body)
            named |= set(_references(found))
            yield found
    for type_ in ("Organization", "Practitioner", "PractitionerRole"):
        ids = tuple(sorted(id_ for kind, id_ in named if kind == type_))
        for at in range(0, len(ids), _PAGE):
            plan = SearchPlan(type_, ids[at : at + _PAGE], (), _PAGE, with_total=False)
            yield from map(fhir.parse, _all(resources, plan, scope))


def _all(resources: Resources, plan: SearchPlan, scope: Scope) -> Iterator[bytes]:
    while True:
        page = resources.search(plan, scope)
        yield from (row.body for row in page.rows)
        if not page.next_after:
            return
        plan = replace(plan, after=page.next_after)


def _references(value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        reference = value.get("reference")
        if isinstance(reference, str) and reference.count("/") == 1:
            type_, _, id_ = reference.partition("/")
            yield type_, id_
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)
