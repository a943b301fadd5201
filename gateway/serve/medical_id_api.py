"""/api/medical-ids: the life of a medical ID (医療等ID). JSON; ids are written ID^^^&OID&ISO.

GET  /api/medical-ids?id=CX            what it is now, and whose
GET  /api/medical-ids/history?id=CX    when, what, who, why
GET  /api/medical-ids/participants     the facilities of the consortium
POST /api/medical-ids/$issue           {"holder": CX of a facility's number}
POST /api/medical-ids/$replace         {"id": CX, "reason": "..."}; $suspend and $resume likewise
"""

from dataclasses import dataclass
from typing import Any

from flask import Flask, request

from gateway.model.caller import Caller, Scope
from gateway.model.identity import PatientId
from gateway.serve.json_api import Answer, JsonApi, cx, reason_of
from gateway.serve.persons_api import line
from gateway.services.medical_id import MedicalIds


def register(app: Flask, api: JsonApi, ids: MedicalIds) -> None:
    face = MedicalIdApi(api, ids)
    for rule, method, transaction, act in (
        ("", "GET", "medical-ids", face.read),
        ("/history", "GET", "medical-ids", face.history),
        ("/participants", "GET", "medical-ids", face.participants),
        ("/$issue", "POST", "medical-ids-change", face.issue),
        ("/$replace", "POST", "medical-ids-change", face.replace),
        ("/$suspend", "POST", "medical-ids-change", face.suspend),
        ("/$resume", "POST", "medical-ids-change", face.resume),
    ):
        api.route(app, f"/api/medical-ids{rule}", method, transaction, act)


@dataclass(frozen=True, slots=True)
class MedicalIdApi:
    """One method a route. Raises GatewayError."""

    api: JsonApi
    ids: MedicalIds

    def read(self, caller: Caller, scope: Scope) -> Answer:
        return self._state(cx(request.args.get("id", ""), "id"), scope)

    def history(self, caller: Caller, scope: Scope) -> Answer:
        number = cx(request.args.get("id", ""), "id")
        found = self.ids.history(number, scope)
        return {"history": [line(one) for one in found]}, str(number)

    def participants(self, caller: Caller, scope: Scope) -> Answer:
        shown = [
            {
                "institution": one.institution,
                "name": one.name,
                "authorities": sorted(one.domains),
                "since": one.since or None,
                "until": one.until or None,
            }
            for one in self.ids.participants
        ]
        return {"participants": shown}, ""

    def issue(self, caller: Caller, scope: Scope) -> Answer:
        holder = cx(self.api.object().get("holder"), '"holder"')
        number = self.ids.assign(holder, caller, scope)
        return self._state(number, scope)

    def replace(self, caller: Caller, scope: Scope) -> Answer:
        given = self.api.object()
        old = cx(given.get("id"), '"id"')
        return self._state(self.ids.replace(old, reason_of(given), caller, scope), scope)

    def suspend(self, caller: Caller, scope: Scope) -> Answer:
        given = self.api.object()
        number = cx(given.get("id"), '"id"')
        self.ids.suspend(number, reason_of(given), caller, scope)
        return self._state(number, scope)

    def resume(self, caller: Caller, scope: Scope) -> Answer:
        given = self.api.object()
        number = cx(given.get("id"), '"id"')
        self.ids.resume(number, reason_of(given), caller)
        return self._state(number, scope)

    def _state(self, number: PatientId, scope: Scope) -> Answer:
        found = self.ids.state(number, scope)
        shown: dict[str, Any] = {"id": str(number), "state": found.state, "holders": list(map(str, found.holders))}
        if found.replaced_by is not None:
            shown["replacedBy"] = str(found.replaced_by)
        return shown, " ".join([str(number), *map(str, found.holders[:10])])
