"""PIX Query (ITI TF-2: 3.9): QBP^Q23^QBP_Q21 -> RSP^K23^RSP_K23. Which other ids a person has.

| case | MSA-1 | QAK-2 | ERR-2 |
| 1, 6 found, also several of one domain | AA | OK | |
| 2 known, nothing in the asked domains | AA | NF | |
| 3 id unknown | AE | AE | QPD^1^3^1^1 |
| 4 domain of the id unknown | AE | AE | QPD^1^3^1^4 |
| 5 asked domains unknown | AE | AE | QPD^1^4^n, one repetition each |
"""

from collections.abc import Sequence
from typing import Final

from gateway.codec.head import Head
from gateway.errors import UnknownAuthority, UnknownPatient
from gateway.ihe._qbp import Found, Query, read_query, record, refused, required, respond
from gateway.ihe._transaction import PersonIndex, Response, V2Services, V2Transaction
from gateway.model.identity import PatientId
from gateway.services.feed import Problem
from gateway.translate.person_v2 import BadField, authority_of, cx_of, nameless_pid, patient_id

NUMBER: Final = "ITI-9"
STRUCTURE: Final = "RSP^K23^RSP_K23"
EVENTS: Final = frozenset({"QBP^Q23"})


def takes(head: Head) -> bool:
    return f"{head.type}^{head.trigger}" in EVENTS


def handle(message: bytes, head: Head, address: str, services: V2Services) -> Response:
    """Raises Refused for a message without QPD, and what the storage raises."""
    assert services.persons is not None
    query = read_query(message, head, services.feed.clock.now(), address, services.node)
    try:
        found = _answer(query, services, services.persons)
    except BadField as error:
        found = refused(error)
    record(services, query, NUMBER, found)
    return respond(query, found, STRUCTURE)


def _answer(query: Query, services: V2Services, persons: PersonIndex) -> Found:
    required(query, 1, 2, 3)
    asked = cx_of(query.qpd[3])
    if len(asked) != 1:
        raise BadField("102", "QPD^1^3", "a PIX query asks about one id")
    id_ = patient_id(asked[0], "QPD^1^3", services.find)
    domains, bad = wanted_domains(query, 4, services)
    if bad:
        return Found("AE", problems=bad, patient=str(id_))
    try:
        others = persons.cross_reference(id_, domains, services.scope_of(query.caller, NUMBER))
    except UnknownAuthority as error:
        places = [f"QPD^1^4^{n + 1}" for n in error.bad] or ["QPD^1^3^1^4"]
        return Found("AE", problems=unknown_domains(places), patient=str(id_))
    except UnknownPatient:
        text = "no patient is known by this id"
        return Found("AE", problems=(Problem("204", "QPD^1^3^1^1", text),), patient=str(id_))
    if not others:
        return Found("NF", patient=str(id_))
    return Found("OK", (nameless_pid(_ordered(others, domains), services.find),), patient=str(id_))


def _ordered(ids: tuple[PatientId, ...], domains: tuple[str, ...]) -> list[PatientId]:
    """In the order in which the domains were asked for."""
    place = {oid: n for n, oid in reversed(list(enumerate(domains)))}
    return sorted(ids, key=lambda id_: place.get(id_.authority, 0))


def wanted_domains(query: Query, field: int, services: V2Services) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
    """OIDs of a repeating field of domains (QPD-4, QPD-8: `^^^namespace&oid&ISO`), and what is wrong with those that nobody
    knows. An empty field asks for all."""
    domains, bad = [], []
    for number, repetition in enumerate(query.qpd[field].split("~"), 1):
        if not repetition.strip("^& "):
            continue
        parts = repetition.split("^")
        # LENIENT: a bare `namespace` or `&oid&ISO` in the place of the id, as some consumers write a domain.
        named = parts[3] if len(parts) > 3 and parts[3] else parts[0]
        authority = authority_of(named, services.find)
        if authority is None:
            bad.append(f"QPD^1^{field}^{number}")
        else:
            domains.append(authority.oid)
    return tuple(dict.fromkeys(domains)), unknown_domains(bad)


def unknown_domains(places: Sequence[str]) -> tuple[Problem, ...]:
    """One ERR, with a repetition of ERR-2 for each of them (ITI TF-2: 3.9.4.2.2.6 case 5)."""
    return (Problem("204", "~".join(places), "the domain is not known here"),) if places else ()


TRANSACTION: Final = V2Transaction(NUMBER, lambda: EVENTS, takes, handle)
