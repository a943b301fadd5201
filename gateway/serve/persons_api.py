"""/api/reviews and /api/persons: the queue of doubtful pairs, what people decide on it, links, merges taken back, preview
and history. JSON.

GET    /api/reviews?state=open|decided|all&after=N&limit=N
GET    /api/reviews/N
POST   /api/reviews/N            {"decision": "same" | "different" | "defer", "reason": "..."}
DELETE /api/reviews/N/decision   takes the decision back
GET    /api/persons?id=ID^^^&OID&ISO          the record and the other ids of its person
GET    /api/persons/history?id=...            of the id; with &person=true of all ids of the person
POST   /api/persons/$preview     {"patient": <FHIR Patient>}: what storing it would be compared with
POST   /api/persons/$undo-merge  {"id": CX of the retired number, "reason": "..."}
POST   /api/persons/$link        {"id": CX, "other": CX, "reason": "..."}; $unlink holds them apart
"""

from dataclasses import asdict, dataclass
from typing import Any

from flask import Flask, request

from gateway.errors import InvalidParameter, MissingParameter, UnknownPatient, UnknownResource
from gateway.fhir.pixm import ids_of
from gateway.model.caller import Caller, Scope
from gateway.model.identity import PatientId
from gateway.model.person import Comparison, Fed, HistoryLine, PersonFeed, PersonRecord, Review
from gateway.serve.json_api import Answer, JsonApi, cx, number, reason_of
from gateway.services.persons import Desk, Persons
from gateway.services.persons.patients import demographics_of

PAGE = 100
MAX_PAGE = 1_000


def register(app: Flask, api: JsonApi, persons: Persons) -> None:
    face = PersonsApi(api, persons, Desk(persons))
    for rule, method, transaction, act in (
        ("/api/reviews", "GET", "reviews", face.reviews),
        ("/api/reviews/<int:place>", "GET", "reviews", face.review),
        ("/api/reviews/<int:place>", "POST", "reviews-decide", face.decide),
        ("/api/reviews/<int:place>/decision", "DELETE", "reviews-decide", face.undo),
        ("/api/persons", "GET", "persons", face.read),
        ("/api/persons/history", "GET", "persons", face.history),
        ("/api/persons/$preview", "POST", "persons", face.preview),
        ("/api/persons/$undo-merge", "POST", "persons-change", face.undo_merge),
        ("/api/persons/$link", "POST", "persons-change", face.link),
        ("/api/persons/$unlink", "POST", "persons-change", face.unlink),
    ):
        api.route(app, rule, method, transaction, act)


@dataclass(frozen=True, slots=True)
class PersonsApi:
    """One method a route: (caller, scope, places of the rule) -> answer. Raises GatewayError."""

    api: JsonApi
    persons: Persons
    desk: Desk

    def reviews(self, caller: Caller, scope: Scope) -> Answer:
        state = request.args.get("state", "open")
        if state not in ("open", "decided", "all"):
            raise InvalidParameter("state is open, decided or all")
        after, limit = number("after", 0), min(max(1, number("limit", PAGE)), MAX_PAGE)
        found = self.desk.reviews(after, limit, state, scope)
        more = found[-1].number if len(found) == limit else None
        return {"reviews": [_shown(one) for one in found], "next": more}, _seen(*found)

    def review(self, caller: Caller, scope: Scope, place: int) -> Answer:
        found = self._pair(scope, place)
        return _shown(found), _seen(found)

    def decide(self, caller: Caller, scope: Scope, place: int) -> Answer:
        given = self.api.object()
        decision, reason = given.get("decision"), reason_of(given)
        if decision not in ("same", "different", "defer"):
            raise InvalidParameter('"decision" is same, different or defer')
        self._pair(scope, place)
        found = self.desk.decide(place, decision, _who(caller), reason, caller)
        return _shown(found), _seen(found)

    def undo(self, caller: Caller, scope: Scope, place: int) -> Answer:
        self._pair(scope, place)
        found = self.desk.undo(place, _who(caller), caller)
        return _shown(found), _seen(found)

    def _pair(self, scope: Scope, place: int) -> Review:
        found = self.desk.review(place, scope)
        if found is None:
            raise UnknownResource("no such pair")
        return found

    def read(self, caller: Caller, scope: Scope) -> Answer:
        asked = cx(request.args.get("id", ""), "id")
        others = self.persons.cross_reference(asked, (), scope)
        records = [self.persons.record(one, scope) for one in (asked, *others)]
        shown = {"id": str(asked), "ids": list(map(str, others)), "records": [person(one) for one in records if one]}
        return shown, str(asked)

    def history(self, caller: Caller, scope: Scope) -> Answer:
        asked = cx(request.args.get("id", ""), "id")
        tell = self.desk.history_of_person if request.args.get("person") == "true" else self.desk.history
        return {"history": [line(one) for one in tell(asked, scope)]}, str(asked)

    def preview(self, caller: Caller, scope: Scope) -> Answer:
        patient = self.api.object().get("patient")
        if not isinstance(patient, dict) or patient.get("resourceType") != "Patient":
            raise MissingParameter('"patient" is a FHIR Patient')
        ids = ids_of(patient, self.persons)
        if not ids:
            raise InvalidParameter("the Patient carries no identifier of an authority known here")
        event = PersonFeed("add", ids, demographics=demographics_of(patient), transaction="preview")
        found = self.persons.preview(event, scope)
        candidates = [{"record": person(record), "comparison": _comparison(said)} for record, said in found]
        return {"candidates": candidates}, " ".join(str(record.id) for record, _ in found[:10])

    def undo_merge(self, caller: Caller, scope: Scope) -> Answer:
        given = self.api.object()
        retired = cx(given.get("id"), '"id"')
        if not self.desk.history(retired, scope, 1):
            raise UnknownPatient("no merge retired this number")
        fed = self.desk.undo_merge(retired, _who(caller), caller, reason_of(given))
        return _fed(retired, fed), str(retired)

    def link(self, caller: Caller, scope: Scope) -> Answer:
        return self._tie(caller, scope, together=True)

    def unlink(self, caller: Caller, scope: Scope) -> Answer:
        return self._tie(caller, scope, together=False)

    def _tie(self, caller: Caller, scope: Scope, *, together: bool) -> Answer:
        given = self.api.object()
        one, other = cx(given.get("id"), '"id"'), cx(given.get("other"), '"other"')
        for id_ in (one, other):
            self.persons.cross_reference(id_, (), scope)  # unknown, or not to be seen
        fed = self.desk.tie(one, other, together, _who(caller), caller, reason_of(given))
        return _fed(one, fed), f"{one} {other}"


def _who(caller: Caller) -> str:
    return caller.user or caller.node


# -- shapes -----------------------------------------------------------------------------------------------------------


def _shown(one: Review) -> dict[str, Any]:
    return {
        "number": one.number,
        "state": "decided" if one.decision else "open",
        "decision": one.decision or None,
        "decidedBy": one.decided_by or None,
        "decidedAt": one.decided_at or None,
        "reason": one.reason or None,
        "one": person(one.one),
        "other": person(one.other),
        "comparison": _comparison(one.comparison),
    }


def _fed(id_: PatientId, fed: Fed) -> dict[str, Any]:
    """A person after something was said of him."""
    return {"id": str(id_), "enterpriseId": fed.enterprise_id, "ids": list(map(str, fed.links)), "changed": fed.changed}


def person(one: PersonRecord) -> dict[str, Any]:
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


def line(one: HistoryLine) -> dict[str, Any]:
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
