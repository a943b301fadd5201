"""The embedded authorisation server over HTTP: tokens, their key set, introspection, and the documents that name them.

POST /oauth/token, POST /oauth/introspect, GET /oauth/jwks
GET  /fhir/.well-known/smart-configuration, GET /.well-known/oauth-authorization-server (ITI-103)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from flask import Flask, Response, request

from gateway.errors import BadInput
from gateway.fhir.search import parse_form
from gateway.model.audit import AuditRecord
from gateway.model.caller import Caller
from gateway.ports import AuditLog
from gateway.services.trust.anchors import Anchors
from gateway.services.trust.token_server import PATHS, Refused, TokenServer, metadata

SMART: Final = "/fhir/.well-known/smart-configuration"
OAUTH: Final = "/.well-known/oauth-authorization-server"
ROUTES: Final = frozenset({*PATHS.values(), SMART, OAUTH})
_MAX_FORM: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class TokenApi:
    server: TokenServer
    anchors: Callable[[], Anchors]
    audit: AuditLog


def register(app: Flask, api: TokenApi, caller: Callable[[], Caller]) -> None:
    def token() -> Response:
        return _answered(api, caller(), "ITI-71", api.server.token)

    def introspect() -> Response:
        return _answered(api, caller(), "ITI-102", api.server.introspect)

    def documents() -> Response:
        return _json(200, metadata(api.server.base))

    app.add_url_rule(PATHS["token"], "token", token, methods=["POST"])
    app.add_url_rule(PATHS["introspect"], "introspect", introspect, methods=["POST"])
    app.add_url_rule(PATHS["jwks"], "jwks", lambda: _json(200, api.server.jwks()))
    app.add_url_rule(SMART, "smart configuration", documents)
    app.add_url_rule(OAUTH, "authorization server", documents)


def _answered(
    api: TokenApi,
    caller: Caller,
    transaction: str,
    act: Callable[[Mapping[str, str], Anchors], dict[str, Any]],
) -> Response:
    """The record is stored before the answer is given (110114: somebody proved who they are, or did not)."""
    client = ""
    try:
        form = _form()
        client = form.get("client_id", "")
        answer, status, outcome = act(form, api.anchors()), 200, 0
    except Refused as error:
        answer, status, outcome = {"error": error.error, "error_description": str(error)}, error.status, 8
    except BadInput:
        answer, status, outcome = {"error": "invalid_request"}, 400, 8
    api.audit.record(AuditRecord("110114", transaction, "E", outcome, caller.node, caller.address, detail=client[:100]))
    return _json(status, answer)


def _form() -> dict[str, str]:
    """Raises BadInput: another media type, too large, or a parameter twice (RFC 6749 3.2)."""
    if request.mimetype != "application/x-www-form-urlencoded":
        raise BadInput("a form is expected")
    data = request.stream.read(_MAX_FORM + 1)
    if len(data) > _MAX_FORM:
        raise BadInput("a form larger than is read")
    pairs = parse_form(data)
    form = dict(pairs)
    if len(form) != len(pairs):
        raise BadInput("a parameter stands twice")
    return form


def _json(status: int, value: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(value), status=status, content_type="application/json")
