"""What the store holds of one person for a document: every resource as it is stored, seen through the scope."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.codec import fhir
from gateway.errors import TooManyResults, UnknownPatient
from gateway.model.caller import Scope
from gateway.model.resource import Clause, DateClause, ReferenceClause, SearchPlan, StoredResource
from gateway.ports import Resources
from gateway.services.ondemand.kinds import Kind, Section

MAX_RESOURCES: Final = 5_000
"""Of one document; a person with more is asked for by a period, or page by page (`$everything`)."""
_PAGE: Final = 500
ALONG: Final = frozenset(
    {"Practitioner", "PractitionerRole", "Organization", "Medication", "Specimen", "Device", "Encounter", "Location"}
)
"""Types of resources that come along when one of a section refers to them."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """The content of one document."""

    kind: Kind
    patients: tuple[dict[str, Any], ...]
    """The person's Patients, one a facility; the youngest first, which stands for the person."""
    sections: tuple[tuple[Section, tuple[dict[str, Any], ...]], ...]
    along: tuple[dict[str, Any], ...]
    """What they refer to, as far as it is stored and seen."""
    date: str
    """FHIR instant: meta.lastUpdated of the youngest resource."""


def gather(
    resources: Resources, patients: Sequence[str], kind: Kind, scope: Scope, period: tuple[str, str] = ("", "")
) -> Gathered:
    """`patients`: logical ids; `period`: FHIR instants from (included) and to (excluded), "" is open; what has no date
    is of no period.

    Raises UnknownPatient when none of them is seen, TooManyResults above MAX_RESOURCES.
    """
    found = [one for id_ in patients if (one := resources.read("Patient", id_, scope)) and not one.deleted]
    if not found:
        raise UnknownPatient("nothing is known of this patient here")
    found.sort(key=lambda one: (one.last_updated, one.id), reverse=True)
    dates, room = [one.last_updated for one in found], MAX_RESOURCES
    sections: list[tuple[Section, tuple[dict[str, Any], ...]]] = []
    for section in kind.sections:
        rows = [
            (one, parsed)
            for type_ in section.types
            for one in _of_type(resources, type_, [one.id for one in found], scope, period)
            if _wanted(parsed := fhir.parse(one.body), section)
        ]
        room -= len(rows)
        if room < 0:
            raise TooManyResults(f"a document of more than {MAX_RESOURCES} resources")
        dates += [one.last_updated for one, _ in rows]
        sections.append((section, tuple(parsed for _, parsed in rows)))
    parsed_patients = tuple(fhir.parse(one.body) for one in found)
    listed = [one for _, rows in sections for one in rows]
    along = _along(resources, [*parsed_patients, *listed], scope)
    return Gathered(kind, parsed_patients, tuple(sections), along, max(dates))


def _of_type(
    resources: Resources, type_: str, patients: Sequence[str], scope: Scope, period: tuple[str, str]
) -> Iterator[StoredResource]:
    """Newest first, read a page at a time. Raises TooManyResults."""
    clauses: list[Clause] = [ReferenceClause("patient", tuple(patients))]
    for prefix, instant in (("ge", period[0]), ("lt", period[1])):
        if instant:
            clauses.append(DateClause("date", ((prefix, instant, instant),)))
    after: tuple[str | int, ...] = ()
    for _ in range(0, 2 * MAX_RESOURCES, _PAGE):
        plan = SearchPlan(type_, None, tuple(clauses), _PAGE, sort=("-date",), after=after, with_total=False)
        page = resources.search(plan, scope)
        yield from page.rows
        after = page.next_after
        if not after:
            return
    raise TooManyResults(f"a person with more than {2 * MAX_RESOURCES} resources of type {type_}")


def _wanted(resource: dict[str, Any], section: Section) -> bool:
    return not section.categories or bool(section.categories & set(_codes(resource.get("category"))))


def _codes(concepts: Any) -> Iterator[str]:
    for concept in concepts if isinstance(concepts, list) else [concepts] if concepts else []:
        for coding in concept.get("coding", ()):
            yield str(coding.get("code", ""))


def _along(resources: Resources, listed: Sequence[dict[str, Any]], scope: Scope) -> tuple[dict[str, Any], ...]:
    have = {f"{one['resourceType']}/{one['id']}" for one in listed}
    wanted = sorted({reference for one in listed for reference in references(one)} - have)
    found: list[dict[str, Any]] = []
    for reference in wanted:
        type_, _, id_ = reference.partition("/")
        if type_ not in ALONG:
            continue
        if len(listed) + len(found) >= 2 * MAX_RESOURCES:
            raise TooManyResults(f"a document of more than {2 * MAX_RESOURCES} resources")
        row = resources.read(type_, id_, scope)
        if row is not None and not row.deleted:
            found.append(fhir.parse(row.body))
    return tuple(found)


def references(value: Any) -> Iterator[str]:
    """`Type/id` of every relative reference in a resource."""
    if isinstance(value, dict):
        reference = value.get("reference")
        if isinstance(reference, str) and reference.count("/") == 1 and ":" not in reference:
            yield reference
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)
