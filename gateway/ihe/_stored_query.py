"""What a stored query is, and how its parameters are read (ITI TF-2: 3.18.4.1.2.3). The queries themselves are in
`_queries_*.py`, the table of them in `_stored_queries.py`.

Rules on number: a parameter that is not ANDed stands in one slot only, one that is single has one value; what is
required and absent, and what may only be given alone, is said by its code. Names that a query does not have are
ignored, as ebRS asks (ITI TF-2: 3.18.4.1.2.3.5).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

from gateway.codec.ebxml_read import AdhocQuery
from gateway.errors import InvalidParameter, MissingParameter, NotSinglePatient, ParameterNumber, TooManyResults
from gateway.model.caller import Scope
from gateway.model.document import (
    APPROVED,
    DEPRECATED,
    OFFLINE,
    ON_DEMAND,
    ONLINE,
    STABLE,
    Association,
    CodeFilter,
    Shown,
    StoredEntry,
)
from gateway.model.identity import PatientId
from gateway.services.documents import DocumentServices, patient_of
from gateway.translate.times import fhir_datetime

REFERENCES: Final = 10
"""So many times more objects are answered as ObjectRef than as LeafClass."""

Given = Mapping[str, Any]
"""Parameter name -> value as its coding read it; what was not given is absent."""
Coding = Callable[[str, tuple[str, ...]], Any]


class Parameter(NamedTuple):
    """One parameter of a stored query."""

    name: str
    read: Coding
    required: bool = False
    many: bool = True
    """Several values, ORed."""
    anded: bool = False
    """Several slots, ANDed: its value is a tuple with one member a slot."""

    @property
    def number(self) -> str:
        """As the documentation has it: R required, = one value, m a list of values, A slots ANDed."""
        return f"{'R' if self.required else ''}{'m' if self.many else '='}{'A' if self.anded else ''}"


class Asked(NamedTuple):
    """One query that was read and is to be answered."""

    given: Given
    references: bool
    """returnType ObjectRef: no object itself is wanted."""
    services: DocumentServices
    scope: Scope

    @property
    def limit(self) -> int:
        return self.services.max_results * (REFERENCES if self.references else 1)

    def enterprise_id(self, patient: PatientId) -> str | None:
        return self.services.identities.enterprise_id(patient, self.scope)


class Found(NamedTuple):
    """What answers a query, in the order of the answer."""

    objects: tuple[StoredEntry | Shown, ...] = ()
    associations: tuple[Association, ...] = ()
    patient: str = ""
    """CX whose data these are."""
    known: bool = True
    """False: the patient who was asked about is not known."""


@dataclass(frozen=True)
class StoredQuery:
    """One stored query. The table of these is all that checks, capabilities and documentation know of them."""

    id: str
    name: str
    section: str
    parameters: tuple[Parameter, ...]
    answer: Callable[[Asked], Found]
    one_of: tuple[str, ...] = ()
    """Exactly one of these has to be given."""
    any_of: tuple[str, ...] = ()
    """At least one of these has to be given."""
    by_patient: bool = False
    """Asked about a patient and not by ids: needs no homeCommunityId between communities (ITI TF-2: 3.38.4.1.2)."""

    @cached_property
    def named(self) -> dict[str, Parameter]:
        return {parameter.name: parameter for parameter in self.parameters}

    @cached_property
    def required(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self.parameters if parameter.required)


def read(stored: StoredQuery, query: AdhocQuery) -> Given:
    """The parameters of one query, checked. Raises MissingParameter, ParameterNumber, InvalidParameter."""
    given: dict[str, Any] = {}
    named = stored.named
    for name, values in query.slots:
        parameter = named.get(name)
        if parameter is None:
            continue
        if name in given and not parameter.anded:
            raise ParameterNumber(f"{name} stands in more than one slot")
        if not values:
            continue
        if len(values) > 1 and not parameter.many:
            raise ParameterNumber(f"{name} has more than one value")
        value = parameter.read(name, values)
        given[name] = (*given.get(name, ()), value) if parameter.anded else value
    for name in stored.required:
        if name not in given:
            raise MissingParameter(f"{name} is required")
    if stored.one_of:
        count = sum(name in given for name in stored.one_of)
        if count > 1:
            raise ParameterNumber(f"only one of {', '.join(stored.one_of)} may be given")
        if not count:
            raise MissingParameter(f"one of {', '.join(stored.one_of)} is required")
    if stored.any_of and not any(name in given for name in stored.any_of):
        raise MissingParameter(f"at least one of {', '.join(stored.any_of)} is required")
    return given


# -- codings -----------------------------------------------------------------------------------------------------

_DTM = re.compile(r"[0-9]{4}(?:[0-9]{2}){0,5}", re.ASCII)
_OID = re.compile(r"(?:urn:oid:)?([0-2](?:\.(?:0|[1-9][0-9]*))+)", re.ASCII)
_FIRST: Final = "00000101000000"
"""What a DTM of less precision is filled up with."""


def texts(name: str, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def patient(name: str, values: tuple[str, ...]) -> PatientId:
    return patient_of(values[0])


def patients(name: str, values: tuple[str, ...]) -> tuple[PatientId, ...]:
    return tuple(patient_of(value) for value in dict.fromkeys(values))


def codes(name: str, values: tuple[str, ...]) -> CodeFilter:
    """`code^^scheme` (ITI TF-2: 3.18.4.1.2.3.4). LENIENT: a code alone, the form of 2006, is a code of any scheme.

    An OID is looked for with and without `urn:oid:`, since both are written for the same scheme.
    """
    pairs: list[tuple[str, str]] = []
    for value in values:
        parts = value.split("^")
        if not parts[0] or len(parts) == 2 or len(parts) > 3:
            raise InvalidParameter(f"{name} has a value that is not code^^scheme")
        scheme = parts[2] if len(parts) == 3 else ""
        oid = _OID.fullmatch(scheme)
        pairs += [(parts[0], oid[1]), (parts[0], f"urn:oid:{oid[1]}")] if oid else [(parts[0], scheme)]
    return CodeFilter(tuple(dict.fromkeys(pairs)))


def time(name: str, values: tuple[str, ...]) -> str:
    """DTM of any precision -> 14 digits."""
    value = values[0]
    if not _DTM.fullmatch(value) or fhir_datetime(value) is None:
        raise InvalidParameter(f"{name} is not a time YYYY[MM[DD[hh[mm[ss]]]]]")
    return value + _FIRST[len(value) :]


def _word(*allowed: str) -> Coding:
    known = frozenset(allowed)

    def read_words(name: str, values: tuple[str, ...]) -> tuple[str, ...]:
        if not known.issuperset(values):
            raise InvalidParameter(f"{name} has a value other than {', '.join(allowed)}")
        return values

    return read_words


status = _word(APPROVED, DEPRECATED)
entry_type = _word(STABLE, ON_DEMAND)
availability = _word(ONLINE, OFFLINE)
level = _word("1", "2")

CODINGS: Final[dict[Coding, str]] = {
    texts: "text",
    patient: "CX",
    patients: "CX",
    codes: "code^^scheme",
    time: "DTM",
    status: "status",
    entry_type: "entry type",
    availability: "availability",
    level: "1 or 2",
}
"""What the documentation calls them."""


# -- parameters that many queries have ---------------------------------------------------------------------------

METADATA_LEVEL: Final = Parameter("$MetadataLevel", level, many=False)
"""Of the metadata update options: 2 shows every version, 1 (the default) the last one only."""
ASSOCIATION_STATUS: Final = Parameter("$XDSAssociationStatus", status)
"""Approved where it is not said, at level 2 any."""


def all_versions(given: Given) -> bool:
    return "2" in given.get("$MetadataLevel", ())


def of_status(given: Given, associations: Iterable[Association]) -> list[Association]:
    """Those of the status asked for."""
    wanted = given.get(ASSOCIATION_STATUS.name) or ((APPROVED, DEPRECATED) if all_versions(given) else (APPROVED,))
    return [one for one in associations if one.availabilityStatus in wanted]


def period(given: Given, name: str) -> tuple[str, str]:
    """The two ends of a range, empty where open."""
    return given.get(f"{name}From", ""), given.get(f"{name}To", "")


# -- answers -----------------------------------------------------------------------------------------------------


def last_versions(objects: Iterable[StoredEntry]) -> list[StoredEntry]:
    """Of each object its newest version only, in the order they come."""
    newest: dict[str, StoredEntry] = {}
    for one in objects:
        key = one.logicalID or one.entryUUID
        if key not in newest or newest[key].version <= one.version:
            newest[key] = one
    return list(newest.values())


def of_one_patient(asked: Asked, objects: Iterable[StoredEntry], associations: Iterable[Association] = ()) -> Found:
    """The answer of a query by ids. Raises NotSinglePatient (whole objects of several people are given to nobody who did
    not ask for them), TooManyResults."""
    objects, associations = tuple(objects), tuple(associations)
    people = {one.patientId for one in objects}
    if len(people) > 1 and not asked.references:
        raise NotSinglePatient("the objects belong to more than one patient; ask for ObjectRef")
    if len(objects) + len(associations) > asked.limit:
        raise TooManyResults(f"more than {asked.limit} objects match; ask for less, or for object references")
    return Found(objects, associations, people.pop() if len(people) == 1 else "")


def between(associations: Iterable[Association], ids: set[str]) -> list[Association]:
    """Associations with both ends among `ids`; one of these may be an end of another."""
    rest, kept, inside = list(associations), [], set(ids)
    while True:
        more = [one for one in rest if one.sourceObject in inside and one.targetObject in inside]
        if not more:
            return kept
        kept += more
        rest = [one for one in rest if one not in more]
        inside |= {one.entryUUID for one in more}
