"""The parameters of a v3 demographics query (PRPA_MT201306UV02, ITI TF-2: 3.47.4.1.2) -> PersonQuery, or Demographics
to match by (3.55.4.1.2). Pure.

Parameters are ANDed, the values inside one are ORed. A PersonQuery knows AND only, so a question with several values is
several queries whose answers are joined.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Final

from lxml import etree

from gateway.codec.hl7v3 import attribute, digits, find, find_all, ii_of
from gateway.errors import InvalidParameter
from gateway.model.identity import PatientId
from gateway.model.person import Demographics, PersonQuery
from gateway.translate import person_v3

MAX_QUERIES: Final = 16
"""Combinations of alternative values; more is a question for nobody."""
_UNSUPPORTED: Final = frozenset(
    [
        "livingSubjectBirthPlaceAddress",
        "livingSubjectBirthPlaceName",
        "livingSubjectDeceasedTime",
        "patientStatusCode",
        "principalCareProvisionId",
    ]
)
_LISTS: Final = ("family", "given", "name", "ids")


class BadParameter(InvalidParameter):
    """`location` is the XPath below parameterList."""

    def __init__(self, text: str, location: str, code: str = "102") -> None:
        super().__init__(text)
        self.location = location
        self.code = code
        """HL7 table 0357."""


Change = dict[str, Any]
"""What one value says: fields of PersonQuery."""


@dataclass(frozen=True, slots=True)
class Criteria:
    """A question as PersonQuery objects whose answers are joined."""

    queries: tuple[PersonQuery, ...]
    also: tuple[frozenset[PatientId], ...] = ()
    """Further id parameters: the person has to have one of each."""
    care_provider: bool = False
    """principalCareProviderId was asked for: no record here names one, so nothing can match."""


def criteria(parameters: etree._Element | None) -> Criteria:
    """Raises BadParameter for a value that cannot be read and for parameters that are not answered."""
    alternatives: list[list[Change]] = []
    ids: list[tuple[PatientId, ...]] = []
    provider = False
    for parameter, local, here in _parameters(parameters):
        if local in _UNSUPPORTED:
            raise BadParameter("this parameter is not supported", here, "103")
        if local == "principalCareProviderId":
            provider = True
        elif local == "livingSubjectId":
            ids.append(tuple(dict.fromkeys(_ids(parameter, here))))
        elif local in _READERS:
            read = _READERS[local]
            found = [read(value, place) for value, place in _values(parameter, here)]
            alternatives.append([one for one in found if one] or [{}])
    count = 1
    for one in alternatives:
        count *= len(one)
    if count > MAX_QUERIES:
        raise InvalidParameter("too many combinations of alternative values")
    start = PersonQuery(ids=ids[0] if ids else (), domains=tuple(scoping(parameters)))
    queries = tuple(dict.fromkeys(_merged(start, chosen) for chosen in product(*alternatives)))
    return Criteria(queries, tuple(map(frozenset, ids[1:])), provider)


def scoping(parameters: etree._Element | None) -> list[str]:
    """OIDs of otherIDsScopingOrganization, in order of appearance (their places: `scoping_places`)."""
    return [ii_of(value).root for value, _ in _scoping(parameters)]


def scoping_places(parameters: etree._Element | None) -> list[str]:
    return [place for _, place in _scoping(parameters)]


def _scoping(parameters: etree._Element | None) -> list[tuple[etree._Element, str]]:
    found = find_all(parameters, "otherIDsScopingOrganization")
    return [
        pair for number, one in enumerate(found, 1) for pair in _values(one, f"otherIDsScopingOrganization[{number}]")
    ]


def _parameters(parameters: etree._Element | None) -> Iterator[tuple[etree._Element, str, str]]:
    """(parameter, its local name, `name[n]`)"""
    seen: dict[str, int] = {}
    for child in () if parameters is None else parameters:
        if not isinstance(child.tag, str):
            continue
        local = str(child.tag).rpartition("}")[2]
        seen[local] = seen.get(local, 0) + 1
        yield child, local, f"{local}[{seen[local]}]"


def _values(parameter: etree._Element, here: str) -> list[tuple[etree._Element, str]]:
    """(value, its place); one with a nullFlavor says nothing."""
    found = find_all(parameter, "value")
    places = [f"{here}/value[{number}]" if len(found) > 1 else f"{here}/value" for number in range(1, len(found) + 1)]
    return [(one, place) for one, place in zip(found, places, strict=True) if not attribute(one, "nullFlavor")]


def _ids(parameter: etree._Element, here: str) -> list[PatientId]:
    found = []
    for value, place in _values(parameter, here):
        one = ii_of(value)
        if not one.root:
            raise BadParameter("an id without a root", f"{place}/@root", "101")
        found.append(person_v3.patient_id(one))
    return found


def _merged(start: PersonQuery, changes: tuple[Change, ...]) -> PersonQuery:
    query = start
    for change in changes:
        for name, value in change.items():
            held = getattr(query, name)
            if name in _LISTS:
                value = tuple(dict.fromkeys((*held, *value)))
            elif held not in ("", ("", "")) and held != value:
                raise InvalidParameter("two parameters of one kind contradict each other")
            query = replace(query, **{name: value})
    return query


# -- one value each ------------------------------------------------------------------------------------------------


def _name(value: etree._Element, place: str) -> Change:
    found = person_v3.name_of(value)
    if found is None:
        return {}
    # SRCH: the parts need not be the whole (ITI TF-2: 3.47.4.1.2.2); a beginning is what we offer for it.
    end = "*" if "SRCH" in attribute(value, "use").split() else ""

    def wanted(part: str) -> tuple[str, ...]:
        # A wildcard alone asks for nothing.
        return (part if part.endswith("*") else part + end,) if part.strip("*") else ()

    if found.family or found.given:
        return {"family": wanted(found.family), "given": wanted(found.given)}
    return {"name": tuple(one for word in found.text.split() for one in wanted(word))}


def _birth_time(value: etree._Element, place: str) -> Change:
    written = attribute(value, "value")
    low, high = attribute(value, "value", "low"), attribute(value, "value", "high")
    written = written or attribute(value, "value", "center")
    for one in (written, low, high):
        if one and not person_v3.birth_date(one):
            raise BadParameter("a time that cannot be read", place)
    if written:
        return {"birth_date": person_v3.birth_date(written)}
    if not (low or high):
        return {}
    return {"birth_range": (digits(low)[:8], digits(high)[:8])}


def _gender(value: etree._Element, place: str) -> Change:
    sex = person_v3.sex_of(value)
    if not sex:
        raise BadParameter("no code of AdministrativeGender", f"{place}/@code", "103")
    return {"sex": sex}


def _address(value: etree._Element, place: str) -> Change:
    found = person_v3.address_of(value)
    if found is None:
        return {}
    names = {"postal_code": found.postal_code, "state": found.state, "city": found.city, "line": found.line}
    names |= {"country": found.country, "address": found.text}
    return {name: given for name, given in names.items() if given}


def _telecom(value: etree._Element, place: str) -> Change:
    found = person_v3.telecom_of(value)
    return {"telecom": found} if found else {}


def _mother(value: etree._Element, place: str) -> Change:
    found = person_v3.name_of(value)
    return {} if found is None else {"mothers_maiden_name": found.family or found.text or found.given}


_READERS: Final[dict[str, Callable[[etree._Element, str], Change]]] = {
    "livingSubjectName": _name,
    "livingSubjectBirthTime": _birth_time,
    "livingSubjectAdministrativeGender": _gender,
    "patientAddress": _address,
    "patientTelecom": _telecom,
    "mothersMaidenName": _mother,
}


def minimum_degree(query: etree._Element | None) -> int | None:
    """matchCriterionList/minimumDegreeMatch, 0 to 100. Raises BadParameter."""
    value = find(query, "matchCriterionList/minimumDegreeMatch/value")
    if value is None or attribute(value, "nullFlavor"):
        return None
    raw = attribute(value, "value")
    if not (raw.isascii() and raw.isdigit() and int(raw[:9]) <= 100):
        raise BadParameter("not a number from 0 to 100", "../matchCriterionList/minimumDegreeMatch/value")
    return int(raw)


# -- XCPD ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whom an XCPD request describes."""

    demographics: Demographics
    ids: tuple[PatientId, ...]
    named: bool
    born: bool
    given: frozenset[str]
    """Local names of the parameters that say something."""


def wanted(parameters: etree._Element | None) -> Wanted:
    """Unlike a PDQ query these are facts to match by, so alternative values are further names, addresses, numbers.

    Raises BadParameter.
    """
    said: dict[str, list[Any]] = {}
    ids: list[PatientId] = []
    for parameter, local, here in _parameters(parameters):
        if local == "livingSubjectId":
            # An id of an unknown authority is the asker's own (ITI TF-2: 3.55.4.1.2.2): it is kept, not refused.
            ids += [one for one in _ids(parameter, here) if one.value]
        for value, place in _values(parameter, here):
            found = person_v3.names_of(value) if local == "livingSubjectName" else [_fact(local, value, place)]
            if found := [one for one in found if one]:
                said.setdefault(local, []).extend(found)
    mothers = said.get("mothersMaidenName")
    demographics = Demographics(
        names=tuple(dict.fromkeys(said.get("livingSubjectName", ()))),
        birth_date=next(iter(said.get("livingSubjectBirthTime", ())), ""),
        sex=next(iter(said.get("livingSubjectAdministrativeGender", ())), ""),
        addresses=tuple(dict.fromkeys(said.get("patientAddress", ()))),
        telecoms=tuple(dict.fromkeys(said.get("patientTelecom", ()))),
        mothers_maiden_name=mothers[0] if mothers else None,
    )
    return Wanted(
        demographics,
        tuple(dict.fromkeys(ids)),
        bool(demographics.names),
        bool(demographics.birth_date),
        frozenset(said),
    )


def _fact(local: str, value: etree._Element, place: str) -> Any:
    match local:
        case "mothersMaidenName":
            return person_v3.name_of(value)
        case "livingSubjectBirthTime":
            return _birth_time(value, place).get("birth_date", "")
        case "livingSubjectAdministrativeGender":
            return person_v3.sex_of(value)
        case "patientAddress":
            return person_v3.address_of(value)
        case "patientTelecom":
            return person_v3.telecom_of(value)
    return None
