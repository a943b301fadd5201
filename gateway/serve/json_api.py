"""What the JSON faces under /api share: a route with its one audit record, the body, and errors in one shape."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from flask import Flask, Response, request

from gateway.codec import fhir
from gateway.errors import BadInput, GatewayError, InvalidParameter, codes_for
from gateway.model.audit import AuditRecord
from gateway.model.caller import Caller
from gateway.model.identity import PatientId
from gateway.ports import AuditLog
from gateway.services.policy.access import ScopeOf

MAX_REASON: Final = 2_000
"""Characters of the reason somebody gives."""
Answer = tuple[Any, str]
"""What is answered, and the ids of the persons it shows, for the audit record."""


@dataclass(frozen=True, slots=True)
class JsonApi:
    """What the routes need; http.py fills it."""

    audit: AuditLog
    caller: Callable[[], Caller]
    scope: ScopeOf
    body: Callable[[], bytes]

    def route(self, app: Flask, rule: str, method: str, transaction: str, act: Callable[..., Answer]) -> None:
        """`act`(caller, scope, **places of the rule). Raises GatewayError for what is refused.

        `transaction`: what policy is asked about (mappings/policy/transactions.csv), before anything else happens.
        """

        def answer(**places: int) -> Response:
            caller = self.caller()
            try:
                found, seen = act(caller, self.scope(caller, transaction), **places)
            except GatewayError as error:
                codes = codes_for(error)
                self._record(caller, rule, 4 if codes.http < 500 else 8, "", getattr(error, "reason", ""))
                return _json(codes.http, {"error": codes.fhir, "text": str(error)})
            self._record(caller, rule, 0, seen, "")
            return _json(200, found)

        app.add_url_rule(rule, f"{method} {rule}", answer, methods=[method])

    def object(self) -> Mapping[str, Any]:
        """The JSON object of the body. Its Content-Type has to say so: a web page cannot send that without asking
        (CORS)."""
        if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
            raise BadInput("the body is application/json")
        found = fhir.received(self.body())
        if not isinstance(found, dict):
            raise BadInput("the body is a JSON object")
        return found

    def _record(self, caller: Caller, rule: str, outcome: int, seen: str, reason: str) -> None:
        self.audit.record(
            AuditRecord(
                "110112", "persons", "E", outcome, caller.user or caller.node, caller.address, patient=seen,
                object=rule, detail=f"{request.method} {reason}".strip(),
            ).by(caller)
        )  # fmt: skip


def cx(given: object, name: str) -> PatientId:
    """An id as `ID^^^&OID&ISO`. Raises InvalidParameter."""
    if not isinstance(given, str):
        raise InvalidParameter(f"{name} is an id: ID^^^&OID&ISO")
    try:
        return PatientId.parse(given)
    except ValueError as error:
        raise InvalidParameter(f"{name}: {error}") from None


def reason_of(given: Mapping[str, Any]) -> str:
    reason = given.get("reason", "")
    if not isinstance(reason, str) or len(reason) > MAX_REASON:
        raise InvalidParameter(f'"reason" is a text of at most {MAX_REASON} characters')
    return reason


def number(name: str, default: int) -> int:
    """A parameter of the address."""
    given = request.args.get(name, "")
    if not given:
        return default
    if not given.isascii() or not given.isdigit() or len(given) > 12:
        raise InvalidParameter(f"{name} is a whole number")
    return int(given)


def _json(status: int, value: Any) -> Response:
    return Response(orjson.dumps(value), status=status, content_type="application/json")
