"""FHIR resources as stored, and the question a search asks of storage."""

from dataclasses import dataclass
from typing import Literal, NamedTuple


class Token(NamedTuple):
    """One searchable code or identifier. `text` carries CodeableConcept.text for the :text modifier."""

    param: str
    system: str
    code: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """One resource, rendered once at write time, with everything storage needs to find it again.

    `body` is the canonical JSON (codec/fhir.py) without meta.versionId and meta.lastUpdated; storage splices these
    in when it answers. Same facts, same bytes, on any node.
    """

    type: str
    id: str
    body: bytes
    patient: str
    """Logical id of the Patient this resource is about; for a Patient its own; empty for Practitioner and so on."""
    rank: int
    """0 for the source that owns the resource (Patient in ADT-00), 1 for a mention. Lower wins, then newer wins."""
    status: str = ""
    date_start: str = ""
    """First instant of the resource's own date, UTC, `YYYY-MM-DDThh:mm:ss.fffZ`; empty when it has none."""
    date_end: str = ""
    """Instant after the last one, same form: a day has 24 hours between the two."""
    tokens: tuple[Token, ...] = ()
    strings: tuple[tuple[str, str], ...] = ()
    """(parameter, normalised text) of string parameters."""
    references: tuple[tuple[str, str], ...] = ()
    """(parameter, `Type/id`) of reference parameters other than patient."""


class StoredResource(NamedTuple):
    """One version as answered. `body` has meta.versionId and meta.lastUpdated spliced in."""

    type: str
    id: str
    version: int
    last_updated: str
    deleted: bool
    body: bytes


@dataclass(frozen=True, slots=True)
class TokenClause:
    """Values ORed: (system, code); None matches any of that half, an empty system means "has no system"."""

    param: str
    values: tuple[tuple[str | None, str | None], ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class DateClause:
    """One date comparison; several clauses are ANDed. `start` and `end` bound what was written (end exclusive)."""

    param: str
    """`date`: the main date of the type; `_lastUpdated`; `@name`: another date, kept in Rendered.strings."""
    values: tuple[tuple[str, str, str], ...]
    """(prefix eq|ne|gt|lt|ge|le|sa|eb|ap, start, end), ORed."""


@dataclass(frozen=True, slots=True)
class StringClause:
    param: str
    values: tuple[str, ...]
    match: Literal["starts", "contains", "exact"] = "starts"


@dataclass(frozen=True, slots=True)
class ReferenceClause:
    """`Type/id` values ORed; for `patient` the bare logical ids."""

    param: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PatientIdentifierClause:
    """patient.identifier=system|value: resources of every Patient that is the same person (exact cross-reference)."""

    values: tuple[tuple[str, str], ...]
    """(system, value), ORed; an empty system: the value is an enterprise patient id."""


Clause = TokenClause | DateClause | StringClause | ReferenceClause | PatientIdentifierClause


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """A FHIR search on one type after its parameters were read and checked (services/search.py)."""

    type: str
    ids: tuple[str, ...] | None
    """_id values, or None when not asked."""
    clauses: tuple[Clause, ...]
    count: int
    sort: tuple[str, ...] = ()
    """`date`, `-date`, `_lastUpdated`, `-_lastUpdated`; storage adds its own key as the last, total order."""
    after: tuple[str | int, ...] = ()
    """Key of the last row of the page before; paging is by key, never by offset."""
    total_only: bool = False
    with_total: bool = True
    """False: SearchPage.total may be left at -1 (`_total=none`)."""
    includes: tuple[tuple[str, str], ...] = ()
    """`_include`: (reference parameter of this type, target type or "" for any)."""
    revincludes: tuple[tuple[str, str], ...] = ()
    """`_revinclude`: (source type, its reference parameter)."""


class SearchPage(NamedTuple):
    rows: tuple[StoredResource, ...]
    total: int
    """All matches the scope sees; -1 when the plan did not ask for it."""
    next_after: tuple[str | int, ...]
    """Key to continue with; empty on the last page."""
    included: tuple[StoredResource, ...] = ()
    """What `includes` and `revincludes` of the plan brought along, each once, none of it in `rows`."""
