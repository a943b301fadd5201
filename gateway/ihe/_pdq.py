"""What ITI-21 and ITI-22 have in common: a page of persons, its continuation, and the way from QPD to the answer."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from gateway.errors import TooManyResults, UnknownAuthority
from gateway.ihe._demographics import Parameter, page, parameters, person_query
from gateway.ihe._qbp import Found, Query, required
from gateway.ihe._transaction import PersonIndex, V2Services
from gateway.ihe.iti9 import unknown_domains, wanted_domains
from gateway.model.identity import Authority
from gateway.model.person import PersonQuery, PersonRecord
from gateway.services.feed import Problem
from gateway.translate.datatypes import component
from gateway.translate.person_v2 import pid

Write = Callable[[PersonRecord, PersonQuery, Sequence[Parameter]], Sequence[Sequence[str]]]
"""(person, question, parameters about the visit) -> the segments of each hit."""
_CERTAIN: Final = 100
"""QRI-1 of a hit for which everything that was asked holds."""


def answer(query: Query, services: V2Services, persons: PersonIndex, write: Write, visit: str = "") -> Found:
    """`visit`: segment of the parameters that `write` judges by itself; then a person may be several hits, and they are
    counted after all of them were written. Raises BadField."""
    asked = parameters(query.qpd[3]) if query.qpd[3].strip("^~& ") else []
    about = [one for one in asked if one.segment == visit]
    wanted = _wanted(query, services, persons, [one for one in asked if one.segment != visit or not visit])
    if isinstance(wanted, Found):
        return wanted
    question = replace(wanted, limit=0, offset=0) if visit else wanted
    try:
        found = persons.search(question, services.scope_of(query.caller, "ITI-22" if visit else "ITI-21"))
    except UnknownAuthority as error:
        return Found("AE", problems=unknown_domains([f"QPD^1^8^{n + 1}" for n in error.bad] or ["QPD^1^8"]))
    except TooManyResults:
        text = "more patients than are answered at once; ask in pages (RCP-2) or for less"
        return Found("AE", problems=(Problem("207", "QPD^1^3", text),))
    hits = [(one, lines) for one in found.records for lines in write(one, question, about)]
    total = found.total
    if visit:
        total = len(hits)
        hits = hits[wanted.offset : wanted.offset + wanted.limit] if wanted.limit else hits[wanted.offset :]
    left = max(0, total - wanted.offset - len(hits))
    pointer = ""
    if left and hits:
        pointer = services.continuations.keep(query.owner, replace(wanted, offset=wanted.offset + len(hits)))
    patient = str(hits[0][0].id) if len(hits) == 1 else ""
    segments = [line for _, lines in hits for line in lines]
    return Found("OK" if hits else "NF", segments, (), (total, len(hits), left), pointer, patient)


def _wanted(
    query: Query, services: V2Services, persons: PersonIndex, asked: Sequence[Parameter]
) -> PersonQuery | Found:
    """The question, or where it goes on; or why there is no answer."""
    dsc = query.message.first("DSC")
    required(query, 2)
    if dsc is not None and component(dsc[1], 1):
        known = services.continuations.find(query.owner, component(dsc[1], 1))
        if known is None:
            text = "nothing goes on here: ask the query again"
            return Found("AE", problems=(Problem("204", "DSC^1^1", text),))
        return known
    required(query, 3)
    rcp = query.message.first("RCP")
    domains, bad = wanted_domains(query, 8, services)
    if bad:
        return Found("AE", problems=bad)
    found = person_query(asked, services.find, [one.oid for one in persons.domains()])
    size = page(PersonQuery(), rcp[2] if rcp is not None else "").limit
    return Found("NF", counts=(0, 0, 0)) if found is None else replace(found, domains=domains, limit=size)


def person_segments(record: PersonRecord, asked: PersonQuery, find: Callable[[str], Authority | None]) -> list[str]:
    """PID of one hit: the id of the answered domain first, then the others that were asked for."""
    others = [id_ for id_ in record.other_ids if not asked.domains or id_.authority in asked.domains]
    return [pid(list(dict.fromkeys((record.id, *others))), record.demographics, find)]


def confidence(record: PersonRecord) -> str:
    """QRI-1, 0 to 100 (HL7 v2.5 5.5.5)."""
    return f"QRI|{_CERTAIN if record.score is None else int(record.score * 100)}"
