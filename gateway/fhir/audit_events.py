"""ITI-81 Retrieve ATNA Audit Event (ITI TF-2: 3.81): GET /AuditEvent for a role that was granted it. Read only.

date (ge, gt, le, lt, eq), patient, patient.identifier, agent, agent.identifier, type, subtype, outcome, purpose, _count
"""

import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from gateway.codec import fhir
from gateway.errors import BadInput, InvalidParameter, MissingParameter
from gateway.fhir.consents import Told
from gateway.fhir.messages import FhirRequest, json_answer
from gateway.fhir.search import parameters, searchset
from gateway.model.audit import AuditSearch
from gateway.model.caller import UNRESTRICTED
from gateway.model.identity import PatientId
from gateway.ports import AuditTrail, Identities
from gateway.services.audit.event import audit_event, event_id
from gateway.services.persons import Persons
from gateway.services.policy.tables import purpose_of
from gateway.translate.times import utc_range

TRANSACTION: Final = "ITI-81"
EVENT: Final = ("110101", "R")
"""Audit Log Used."""
_PAGE, _MOST = 100, 1000
_DATE = re.compile(r"(ge|gt|le|lt|eq|)([0-9].*)", re.ASCII)
_IGNORED: Final = frozenset({"_format", "_pretty", "_total", "_sort"})


@dataclass(frozen=True, slots=True)
class Trail:
    """What the search works with."""

    trail: AuditTrail
    identities: Identities
    persons: Persons
    home: str


def search(request: FhirRequest, services: Trail) -> Told:
    """Newest first; a page names the next one. ITI-81 asks for a date, so that nobody reads ten years by mistake."""
    wanted, patient, dated = AuditSearch(limit=_PAGE + 1), "", False
    given = parameters(request)
    for name, value in given:
        if name == "date":
            wanted, dated = _dated(wanted, value), True
        elif name in ("patient", "patient.identifier", "entity", "subject"):
            id_ = _person(name, value, services)
            wanted, patient = _about(wanted, id_, services), str(id_ or "")
        elif name in _EQUAL:
            equal: dict[str, Any] = {_EQUAL[name]: value.rpartition("|")[2]}
            wanted = wanted._replace(**equal)
        elif name == "purpose":
            wanted = wanted._replace(purpose=purpose_of(value.rpartition("|")[2]) or "?")
        elif name == "outcome":
            if value not in ("0", "4", "8", "12"):
                raise InvalidParameter("outcome is 0, 4, 8 or 12")
            wanted = wanted._replace(outcome=int(value))
        elif name == "_count" and value.isascii() and value.isdigit():
            wanted = wanted._replace(limit=min(int(value[:6]), _MOST) + 1)
        elif name == "_cursor" and value.isascii() and value.isdigit():
            wanted = wanted._replace(after=int(value[:15]))
        elif name not in _IGNORED:
            raise InvalidParameter("AuditEvent is not searched by one of these parameters")
    if not dated:
        raise MissingParameter("date is required (ITI TF-2: 3.81.4.1.2)")
    found = services.trail.search(wanted)
    page = found[: wanted.limit - 1]
    query = [(name, value) for name, value in given if name != "_cursor"]
    links = [("self", f"{request.base}/AuditEvent?{urlencode(query)}")]
    if len(found) > len(page) and page:
        more = urlencode([*query, ("_cursor", str(page[-1].n))])
        links.append(("next", f"{request.base}/AuditEvent?{more}"))
    entries = [
        b'{"fullUrl":"%b","resource":%b,"search":{"mode":"match"}}'
        % (
            f"{request.base}/AuditEvent/{event_id(services.home, one.n)}".encode(),
            fhir.render(audit_event(one, services.home)),
        )
        for one in page
    ]
    whole = len(found) == len(page) and not wanted.after
    return Told(json_answer(200, searchset(len(page) if whole else None, links, entries)), patient)


_EQUAL: Final = {"agent": "user", "agent.identifier": "user", "type": "event", "subtype": "transaction"}


def _dated(wanted: AuditSearch, value: str) -> AuditSearch:
    found = _DATE.fullmatch(value)
    try:
        if found is None:
            raise BadInput("date")
        start, end = utc_range(found[2].replace(" ", "+"))
    except BadInput:
        raise InvalidParameter("date is not a date") from None
    prefix = found[1]
    bounds: dict[str, Any] = {}
    if prefix in ("ge", "eq", ""):
        bounds["date_from"] = max(wanted.date_from, start)
    if prefix == "gt":
        bounds["date_from"] = max(wanted.date_from, end)
    if prefix in ("le", "eq", ""):
        bounds["date_to"] = min(filter(None, (wanted.date_to, end)))
    if prefix == "lt":
        bounds["date_to"] = min(filter(None, (wanted.date_to, start)))
    return wanted._replace(**bounds)


def _person(name: str, value: str, services: Trail) -> PatientId | None:
    if name == "patient.identifier":
        system, _, number = value.rpartition("|")
        for authority in services.persons.domains():
            if system in (f"urn:oid:{authority.oid}", authority.patient_system, authority.oid, authority.namespace):
                return PatientId(number, authority.oid)
        return None
    row = services.persons.index.by_patient(value.rpartition("/")[2], UNRESTRICTED)
    return row.id if row else None


def _about(wanted: AuditSearch, id_: PatientId | None, services: Trail) -> AuditSearch:
    """Every way a record may name the person."""
    if id_ is None:
        return wanted._replace(eid="?")
    return named(wanted, id_, services.identities)


def named(wanted: AuditSearch, id_: PatientId, identities: Identities) -> AuditSearch:
    eid = identities.enterprise_id(id_, UNRESTRICTED)
    if eid is None:
        return wanted._replace(patients=(str(id_),), eid="?")
    ids = {str(id_), *map(str, identities.identifiers(eid, UNRESTRICTED))}
    patients = {f"Patient/{one}" for one in identities.patients(eid, UNRESTRICTED)}
    return wanted._replace(patients=tuple(sorted(ids | patients)), eid=eid)
