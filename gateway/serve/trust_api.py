"""/api/break-glass and /api/access: the review of emergency accesses, and who looked at a person's record. JSON, or CSV.

GET  /api/break-glass?state=open|justified|unjustified|escalated   what is due first in front
POST /api/break-glass/ID    {"outcome": "justified" | "unjustified" | "escalated", "finding": "..."}
GET  /api/access?patient=ID^^^&OID&ISO&from=DATE&to=DATE&format=json|csv
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from flask import Flask, Response, request

from gateway.codec import fhir
from gateway.errors import GatewayError, InvalidParameter, MissingParameter, UnknownPatient, codes_for
from gateway.fhir.audit_events import named
from gateway.fhir.trust import TrustFaces
from gateway.model.audit import AuditRecord, AuditSearch
from gateway.model.caller import UNRESTRICTED, Caller
from gateway.model.emergency import STATES, Declared
from gateway.model.identity import PatientId
from gateway.ports import AuditLog
from gateway.services.audit.report import accesses, as_csv
from gateway.services.policy.access import ScopeOf
from gateway.services.policy.tables import bare

LISTED = 500
EXTRACT = 10_000
"""Records of one extract at most."""


@dataclass(frozen=True, slots=True)
class TrustApi:
    """What the routes need; http.py fills it."""

    faces: TrustFaces
    audit: AuditLog
    caller: Callable[[], Caller]
    scope: ScopeOf
    body: Callable[[], bytes]


Answer = tuple[Response, str, bool]
"""The answer, the patient it is about, and whether its audit record is stored already."""


def register(app: Flask, api: TrustApi) -> None:
    def route(rule: str, method: str, event: str, act: Callable[..., Answer]) -> None:
        def answer(**places: str) -> Response:
            caller = api.caller()
            try:
                response, patient, stored = act(api, caller, **places)
            except GatewayError as error:
                codes = codes_for(error)
                reason = getattr(error, "reason", "")
                _record(api, caller, rule, event, 4 if codes.http < 500 else 8, "", reason)
                return _json(codes.http, {"error": codes.fhir, "text": str(error)})
            if not stored:
                _record(api, caller, rule, event, 0, patient, "")
            return response

        app.add_url_rule(rule, f"{method} {rule}", answer, methods=[method])

    route("/api/break-glass", "GET", "110101", _listed)
    route("/api/break-glass/<id>", "POST", "110113", _review)
    route("/api/access", "GET", "110101", _access)


def _listed(api: TrustApi, caller: Caller) -> Answer:
    api.scope(caller, "break-glass-review")
    wanted = request.args.get("state", "open")
    state = next((one for one in STATES if one == wanted), None)
    if state is None:
        raise InvalidParameter(f"state is one of {', '.join(STATES)}")
    desk = api.faces.emergencies
    now = desk.clock.now().isoformat(timespec="milliseconds")
    found = [_shown(one, now) for one in desk.emergencies.listed(state, LISTED)]
    return _json(200, {"emergencies": found}), "", False


def _review(api: TrustApi, caller: Caller, id: str) -> Answer:
    api.scope(caller, "break-glass-decide")
    given = fhir.received(api.body())
    outcome, finding = given.get("outcome"), given.get("finding")
    if not isinstance(outcome, str) or not isinstance(finding, str):
        raise MissingParameter('"outcome" and "finding" are required')
    desk = api.faces.emergencies
    done = desk.review(id, outcome, finding, caller)
    return _json(200, _shown(done, done.reviewed)), done.patient, True


def _access(api: TrustApi, caller: Caller) -> Answer:
    """For the privacy officer, and for the person (purpose REQUEST) about the own record."""
    scope = api.scope(caller, "access-report")
    trail = api.faces.trail
    try:
        patient = PatientId.parse(request.args.get("patient", ""))
    except ValueError:
        raise MissingParameter('"patient" is required: id^^^&oid&ISO') from None
    eid = trail.identities.enterprise_id(patient, UNRESTRICTED)
    if eid is None or (scope.patients is not None and eid not in scope.patients):
        raise UnknownPatient("the patient is not known here")
    wanted = AuditSearch(date_from=_day("from"), date_to=_day("to"), limit=EXTRACT)
    names = {authority.oid: authority.name for authority in trail.persons.domains() if authority.name}
    records = trail.trail.search(named(wanted, patient, trail.identities))
    lines = list(accesses(records, lambda id_: names.get(bare(id_), id_)))
    if request.args.get("format") == "csv":
        answer = Response(as_csv(lines).encode("utf-8-sig"), content_type="text/csv; charset=utf-8")
        return answer, str(patient), False
    return _json(200, {"accesses": [one._asdict() for one in lines]}), str(patient), False


def _day(name: str) -> str:
    given = request.args.get(name, "")
    if given and not (len(given) == 10 and given.replace("-", "").isdigit() and given.isascii()):
        raise InvalidParameter(f"{name} is a day: YYYY-MM-DD")
    return given


def _shown(one: Declared, now: str) -> dict[str, Any]:
    return {**one._asdict(), "overdue": one.state == "open" and one.due < now}


def _record(api: TrustApi, caller: Caller, rule: str, event: str, outcome: int, patient: str, reason: str) -> None:
    api.audit.record(
        AuditRecord(
            event, rule, "R", outcome, caller.user or caller.node, patient=patient, object=rule,
            detail=f"{request.method} denied {reason}" if reason else request.method,
        ).by(caller)
    )  # fmt: skip


def _json(status: int, value: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(value), status=status, content_type="application/json")
