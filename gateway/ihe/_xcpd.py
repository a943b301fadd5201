"""Who an XCPD request means (ITI TF-2: 3.55.4.1.2): by demographics, by demographics and an id, by a shared id alone."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Final, NamedTuple

from gateway.errors import MissingParameter, UnknownPatient
from gateway.ihe._lifetime import time_to_live
from gateway.ihe._v3 import Asked, Correlation, V3Services
from gateway.ihe.iti47 import degree
from gateway.model.caller import Scope
from gateway.model.identity import PatientId
from gateway.model.person import Demographics, PersonName, PersonQuery, PersonRecord
from gateway.translate.person_query_v3 import Wanted

_CANDIDATES: Final = 50
_GRADES: Final = ("certain", "probable")
_REQUESTABLE: Final = {
    "livingSubjectAdministrativeGender": "LivingSubjectAdministrativeGenderRequested",
    "patientAddress": "PatientAddressRequested",
    "patientTelecom": "PatientTelecomRequested",
    "mothersMaidenName": "MothersMaidenNameRequested",
}
"""What can still tell two persons apart here (codes of 1.3.6.1.4.1.19376.1.2.27.1)."""
MAX_HOMES: Final = 20
"""Communities that are remembered for one person."""


class Candidates(NamedTuple):
    records: tuple[PersonRecord, ...]
    """One a person, best first."""
    requested: tuple[str, ...] = ()
    """Several persons fit: what to ask with, and no record is given away."""
    undecided: bool = False
    """Several persons fit, and there is nothing left to ask with: people have to look."""


def find(wanted: Wanted, minimum: int | None, services: V3Services, scope: Scope) -> Candidates:
    """Raises MissingParameter when the request says too little to mean one person."""
    if wanted.named and wanted.born:
        found = _by_demographics(wanted, services, scope)
    elif wanted.ids:
        found = _by_ids(wanted, services, scope)
        if not found and (wanted.named or wanted.born):
            raise MissingParameter("without an id that is known here, name and birth time are required")
    else:
        raise MissingParameter("name and birth time, or an id, are required")
    if minimum is not None:
        # Who states a degree takes several candidates and decides for himself.
        return Candidates(tuple(one for one in found if degree(one) >= minimum))
    certain = [one for one in found if one.grade == "certain"]
    # A twin is as likely as the one who was asked for in everything but the given name.
    whole = any(name.family and name.given for name in wanted.demographics.names)
    best = certain or [one for one in found if whole and one.score == 1]
    chosen = best if len(best) == 1 else found
    if len(chosen) < 2:
        return Candidates(tuple(chosen))
    requested = tuple(code for name, code in _REQUESTABLE.items() if name not in wanted.given)
    return Candidates((), requested, not requested)


def _by_ids(wanted: Wanted, services: V3Services, scope: Scope) -> list[PersonRecord]:
    found = [
        replace(record, grade=record.grade or "certain")
        for one in wanted.ids
        for record in by_id(one, services, scope)
        if not _contradicts(wanted.demographics, record.demographics)
    ]
    return _persons(found)


def by_id(wanted: PatientId, services: V3Services, scope: Scope) -> tuple[PersonRecord, ...]:
    """The records of the person with this id, whether it is a facility's, a shared one or our own; none for an id or
    an authority that nobody knows here."""
    try:
        return services.persons.search(PersonQuery(ids=(wanted,), limit=_CANDIDATES), scope).records
    except UnknownPatient:
        return ()


def _contradicts(asked: Demographics, known: Demographics) -> bool:
    length = min(len(asked.birth_date), len(known.birth_date))
    born_elsewhen = asked.birth_date[:length] != known.birth_date[:length]
    return born_elsewhen or {asked.sex, known.sex} == {"M", "F"}


def _by_demographics(wanted: Wanted, services: V3Services, scope: Scope) -> list[PersonRecord]:
    """Those that matching calls certain or probable, and those who meet everything that was asked for: their degree is
    100, as in a demographics query."""
    ids = tuple(one for one in wanted.ids if one.authority in {known.oid for known in services.persons.domains()})
    matched = services.persons.match(wanted.demographics, ids, scope, count=_CANDIDATES)
    likely = {one.enterprise_id: one for one in reversed(matched) if one.grade in _GRADES}
    ruled_out = {one.enterprise_id for one in matched if one.grade == "certainly-not"}
    for query in _queries(wanted.demographics):
        for record in services.persons.search(query, scope).records:
            if record.enterprise_id not in ruled_out:
                known = likely.get(record.enterprise_id, replace(record, grade="probable"))
                likely[record.enterprise_id] = replace(known, score=Decimal(1))
    return _persons(likely.values())


def _queries(wanted: Demographics) -> list[PersonQuery]:
    """Everything that was asked for has to hold, by any of the names."""
    address, mother = wanted.addresses[0] if wanted.addresses else None, wanted.mothers_maiden_name
    base = PersonQuery(
        birth_date=wanted.birth_date,
        sex=wanted.sex if wanted.sex in ("M", "F") else "",
        postal_code=address.postal_code if address else "",
        state=address.state if address else "",
        city=address.city if address else "",
        line=address.line if address else "",
        telecom=wanted.telecoms[0] if wanted.telecoms else "",
        mothers_maiden_name=(mother.family or mother.text or mother.given) if mother else "",
        limit=_CANDIDATES,
    )
    return [replace(base, **parts) for parts in map(_name, wanted.names[:4])]  # type: ignore[arg-type]


def _name(name: PersonName) -> dict[str, tuple[str, ...]]:
    if not (name.family and name.given):
        return {"name": tuple((name.text or name.family or name.given).split())}
    return {"family": (name.family,), "given": (name.given,)}


def _persons(records: Iterable[PersonRecord]) -> list[PersonRecord]:
    """The best record of each person."""
    best: dict[str, PersonRecord] = {}
    for record in records:
        best.setdefault(record.enterprise_id or str(record.id), record)
    return sorted(best.values(), key=lambda one: (one.grade != "certain", -degree(one), str(one.id)))


# -- correlations --------------------------------------------------------------------------------------------------


def remember(asked: Asked, wanted: Wanted, authority: str, record: PersonRecord, services: V3Services) -> None:
    """The asking community knows this person by that id: ITI-56 tells it to others."""
    home = asked.wrapper.organization
    own = next((one for one in wanted.ids if one.authority == authority), None)
    if not home or own is None or not record.enterprise_id:
        return
    told = Correlation(f"urn:oid:{home}", own)
    known = services.correlations.get(record.enterprise_id) or ()
    kept = tuple(one for one in known if one.home != told.home)[-MAX_HOMES + 1 :]
    services.correlations.put(record.enterprise_id, (*kept, told), time_to_live(asked.envelope))


def shared(wanted: Wanted, record: PersonRecord) -> tuple[PatientId, ...]:
    """The ids of the question that are this person's: nobody is told an id he did not name."""
    known = {record.id, *record.other_ids}
    return tuple(one for one in wanted.ids if one in known)
