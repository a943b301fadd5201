"""/api/reviews and /api/persons: the queue of doubtful pairs, what people decide on it, preview and history. JSON.

GET    /api/reviews?state=open|decided|all&after=N&limit=N
GET    /api/reviews/N
POST   /api/reviews/N            {"decision": "same" | "different" | "defer", "reason": "..."}
DELETE /api/reviews/N/decision   takes the decision back
POST   /api/persons/$preview     {"patient": <FHIR Patient>}: what storing it would be compared with
GET    /api/persons/history?id=ID^^^&OID&ISO
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from flask import Flask, Response, request

from gateway.codec import fhir
from gateway.errors import BadInput, GatewayError, InvalidParameter, MissingParameter, UnknownResource, codes_for
from gateway.fhir.pixm import ids_of
from gateway.model.audit import AuditRecord
from gateway.model.caller import Caller
from gateway.model.identity import PatientId
from gateway.model.person import Comparison, HistoryLine, PersonFeed, PersonRecord, Review
from gateway.ports import AuditLog
from gateway.services.persons import Persons
from gateway.services.persons.patients import demographics_of
from gateway.services.policy.access import ScopeOf

PAGE = 100
MAX_PAGE = 1_000
MAX_REASON = 2_000
"""Characters of the reason somebody gives."""


@dataclass(frozen=True, slots=True)
class PersonsApi:
    """What the routes need; http.py fills it."""

    persons: Persons
    audit: AuditLog
    caller: Callable[[], Caller]
    scope: ScopeOf
    body: Callable[[], bytes]


def register(app: Flask, api: PersonsApi) -> None:
    def route(rule: str, method: str, act: Callable[..., Any]) -> None:
        def answer(**places: int) -> Response:
            caller = api.caller()
            try:
                found, seen = act(api, caller, **places)
            except GatewayError as error:
                codes = codes_for(error)
                _record(api, caller, rule, 4 if codes.http < 500 else 8, "")
                return _json(codes.http, {"error": codes.fhir, "text": str(error)})
            _record(api, caller, rule, 0, seen)
            return _json(200, found)

        app.add_url_rule(rule, f"{method} {rule}", answer, methods=[method])

    route("/api/reviews", "GET", _reviews)
    route("/api/reviews/<int:number>", "GET", _review)
    route("/api/reviews/<int:number>", "POST", _decide)
    route("/api/reviews/<int:number>/decision", "DELETE", _undo)
    route("/api/persons/$preview", "POST", _preview)
    route("/api/persons/history", "GET", _history)


Answer = tuple[Any, str]
"""What is answered, and the ids of the persons it shows, for the audit record."""


def _reviews(api: PersonsApi, caller: Caller) -> Answer:
    state = request.args.get("state", "open")
    if state not in ("open", "decided", "all"):
        raise InvalidParameter("state is open, decided or all")
    after, limit = _number("after", 0), min(max(1, _number("limit", PAGE)), MAX_PAGE)
    found = api.persons.reviews(after, limit, state, api.scope(caller, "reviews"))
    shown = {"reviews": [_shown(one) for one in found], "next": found[-1].number if len(found) == limit else None}
    return shown, _seen(*found)


def _review(api: PersonsApi, caller: Caller, number: int) -> Answer:
    found = api.persons.review(number, api.scope(caller, "reviews"))
    if found is None:
        raise UnknownResource("no such pair")
    return _shown(found), _seen(found)


def _decide(api: PersonsApi, caller: Caller, number: int) -> Answer:
    given = _object(api)
    decision, reason = given.get("decision"), given.get("reason", "")
    if decision not in ("same", "different", "defer"):
        raise InvalidParameter('"decision" is same, different or defer')
    if not isinstance(reason, str) or len(reason) > MAX_REASON:
        raise InvalidParameter(f'"reason" is a text of at most {MAX_REASON} characters')
    if api.persons.review(number, api.scope(caller, "reviews-decide")) is None:
        raise UnknownResource("no such pair")
    found = api.persons.decide(number, decision, caller.user or caller.node, reason, caller)
    return _shown(found), _seen(found)


def _undo(api: PersonsApi, caller: Caller, number: int) -> Answer:
    if api.persons.review(number, api.scope(caller, "reviews-decide")) is None:
        raise UnknownResource("no such pair")
    found = api.persons.undo(number, caller.user or caller.node, caller)
    return _shown(found), _seen(found)


def _preview(api: PersonsApi, caller: Caller) -> Answer:
    patient = _object(api).get("patient")
    if not isinstance(patient, dict) or patient.get("resourceType") != "Patient":
        raise MissingParameter('"patient" is a FHIR Patient')
    ids = ids_of(patient, api.persons)
    if not ids:
        raise InvalidParameter("the Patient carries no identifier of an authority known here")
    event = PersonFeed("add", ids, demographics=demographics_of(patient), transaction="preview")
    found = api.persons.preview(event, api.scope(caller, "persons"))
    candidates = [{"record": _person(record), "comparison": _comparison(said)} for record, said in found]
    return {"candidates": candidates}, " ".join(str(record.id) for record, _ in found[:10])


def _history(api: PersonsApi, caller: Caller) -> Answer:
    try:
        id_ = PatientId.parse(request.args.get("id", ""))
    except ValueError as error:
        raise InvalidParameter(f"id: {error}") from None
    return {"history": [_line(one) for one in api.persons.history(id_, api.scope(caller, "persons"))]}, str(id_)


# -- shapes -----------------------------------------------------------------------------------------------------------


def _shown(one: Review) -> dict[str, Any]:
    return {
        "number": one.number,
        "state": "decided" if one.decision else "open",
        "decision": one.decision or None,
        "decidedBy": one.decided_by or None,
        "decidedAt": one.decided_at or None,
        "reason": one.reason or None,
        "one": _person(one.one),
        "other": _person(one.other),
        "comparison": _comparison(one.comparison),
    }


def _person(one: PersonRecord) -> dict[str, Any]:
    return {
        "id": str(one.id),
        "patient": one.patient or None,
        "enterpriseId": one.enterprise_id,
        "otherIds": [str(other) for other in one.other_ids],
        "active": one.active,
        "demographics": {key: value for key, value in _plain(asdict(one.demographics)).items() if value},
    }


def _plain(value: Any) -> Any:
    """Named tuples as objects without empty parts."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if hasattr(value, "_asdict"):
        return {key: inner for key, inner in value._asdict().items() if inner}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _comparison(one: Comparison) -> dict[str, Any]:
    return {
        "outcome": one.outcome,
        "rule": one.rule,
        "score": str(one.score),
        "probability": str(one.probability),
        "attributes": [
            {"attribute": attribute, "agreement": level, "weight": str(weight)}
            for attribute, level, weight in one.attributes
        ],
    }


def _line(one: HistoryLine) -> dict[str, Any]:
    return {
        "at": one.at,
        "eventTime": one.event_time,
        "what": one.what,
        "ids": [str(id_) for id_ in one.ids],
        "who": one.who,
        "rule": one.rule,
        "version": one.version,
    }


def _seen(*reviews: Review) -> str:
    return " ".join(dict.fromkeys(str(record.id) for one in reviews[:5] for record in (one.one, one.other)))


# -- the request ------------------------------------------------------------------------------------------------------


def _object(api: PersonsApi) -> Mapping[str, Any]:
    """The JSON object of the body. Its Content-Type has to say so: a web page cannot send that without asking (CORS)."""
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
        raise BadInput("the body is application/json")
    found = fhir.parse(api.body())
    if not isinstance(found, dict):
        raise BadInput("the body is a JSON object")
    return found


def _number(name: str, default: int) -> int:
    given = request.args.get(name, "")
    if not given:
        return default
    if not given.isascii() or not given.isdigit() or len(given) > 12:
        raise InvalidParameter(f"{name} is a whole number")
    return int(given)


def _record(api: PersonsApi, caller: Caller, rule: str, outcome: int, seen: str) -> None:
    api.audit.record(
        AuditRecord(
            "110112", "persons", "E", outcome, caller.user or caller.node, caller.address, patient=seen, object=rule,
            detail=request.method,
        ).by(caller)
    )  # fmt: skip


def _json(status: int, value: Any) -> Response:
    return Response(orjson.dumps(value), status=status, content_type="application/json")
