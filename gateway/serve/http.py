"""The HTTP face of a node: a thin Flask application around the framework-free handlers.

    /fhir/*                                gateway.fhir
    /xds/registry /xds/repository /xca     gateway.ihe, as a callable (SOAP 1.2; `?wsdl`)
    /pixv3 /pdqv3 /xcpd                    the same
    POST /api/query                        the federated question of `musubi query`
    /livez /readyz /metrics

Here, and only here: who the caller is, the size of bodies, the Host check, security headers, request ids, the log
line and the one `except Exception`. Logs hold route templates, sizes and times; no address, query or body.
"""

import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import cast

import orjson
import structlog
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from gateway.errors import GatewayError, LimitExceeded, codes_for
from gateway.fhir.messages import CONTENT_TYPE, outcome
from gateway.ihe import PATHS
from gateway.model.audit import AuditRecord
from gateway.model.caller import Caller
from gateway.serve import (
    federation_api,
    fhir_api,
    health_api,
    medical_id_api,
    notifications_api,
    persons_api,
    soap_api,
    token_api,
    trust_api,
)
from gateway.serve.bodies import body, limit_of, plain
from gateway.serve.fhir_api import ALL_METHODS
from gateway.serve.http_services import HttpServices
from gateway.serve.json_api import JsonApi
from gateway.serve.metrics import Metrics
from gateway.serve.refusals import REFUSALS, challenge, event_of, headers_of, soap_fault
from gateway.serve.routes import is_loopback_name, route_of

MAX_REQUEST_LINE = 8 * 1024
MAX_HEADERS = 100
_SECURITY_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),  # answers hold health data; no proxy or browser keeps them
)

_log = structlog.get_logger("musubi.http")


def create_app(services: HttpServices) -> Flask:
    app = Flask("gateway", static_folder=None)
    # One byte more than we take: of a chunked body werkzeug gives the bytes up to its limit and says nothing, so a body
    # of exactly the limit and one cut off there would look the same. bodies.Body refuses the byte too many.
    app.config["MAX_CONTENT_LENGTH"] = services.max_body_bytes + 1
    app.url_map.strict_slashes = False
    metrics = Metrics()
    _around_requests(app, services, metrics)
    caller, node = partial(_caller_of, services), partial(_node_of, services)
    health_api.register(app, services, metrics)
    fhir_api.register(app, services, caller, node)
    soap_api.register(app, services, node)
    _api(app, services, caller)
    if services.tokens is not None:
        token_api.register(app, services.tokens, node)
    app.register_error_handler(Exception, lambda error: _failed(services, error))
    return app


def _caller_of(services: HttpServices) -> Caller:
    """Who asks, by connection and token. Raises Forbidden, Unauthenticated, Unavailable."""
    g.caller = services.authentication.caller(request.environ)
    return cast(Caller, g.caller)


def _node_of(services: HttpServices) -> Caller:
    """The node alone."""
    g.caller = services.authentication.node(request.environ)
    return cast(Caller, g.caller)


def _around_requests(app: Flask, services: HttpServices, metrics: Metrics) -> None:
    def begin() -> Response | None:
        g.started_s = services.clock.monotonic()
        g.request_id = str(services.chance.new_uuid())
        request.max_content_length = limit_of(services) + 1
        if services.mode == "open" and not is_loopback_name(request.host):
            return plain(421, "open mode answers to loopback names only (localhost, 127.0.0.1)\n")
        if request.headers.get("Content-Encoding", "identity") != "identity":
            return plain(415, "request bodies are read without Content-Encoding\n")
        if len(request.environ.get("REQUEST_URI", "")) > MAX_REQUEST_LINE:
            return plain(414, "the request line is longer than is read\n")
        if len(request.headers) > MAX_HEADERS:
            return plain(431, "more headers than are read\n")
        services.authentication.enter(request.environ)
        return None

    def end(response: Response) -> Response:
        for name, value in _SECURITY_HEADERS:
            response.headers.setdefault(name, value)
        response.headers["X-Request-Id"] = g.request_id
        if services.strict_401 and response.status_code == 403 and request.path.startswith("/fhir"):
            response.status_code = 401
            response.headers["WWW-Authenticate"] = challenge("insufficient_scope")
        seconds = services.clock.monotonic() - g.started_s
        route = route_of(request.path)
        method = request.method if request.method in ALL_METHODS else "(other)"
        metrics.observe(route, method, response.status_code, seconds)
        _log.info(
            "request",
            route=route,
            method=method,
            status=response.status_code,
            ms=round(seconds * 1000, 1),
            bytes=response.content_length,
            request_id=g.request_id,
        )
        return response

    app.before_request(begin)
    app.after_request(end)


def _api(app: Flask, services: HttpServices, caller: Callable[[], Caller]) -> None:
    api = JsonApi(services.audit, caller, services.scope, lambda: body(services).read())
    federation_api.register(app, services.federation, api)
    if services.fhir.trust is not None:
        trust_api.register(app, trust_api.TrustApi(services.fhir.trust, api.audit, api.caller, api.scope, api.body))
    if services.fhir.persons is not None:
        persons_api.register(app, api, services.fhir.persons)
    if services.subscriptions is not None:
        notifications_api.register(app, api, services.subscriptions)
    if services.medical_ids is not None:
        medical_id_api.register(app, api, services.medical_ids)


def _failed(services: HttpServices, error: Exception) -> Response:
    """Everything that was not answered: HTTP errors of the framework in our words, and the one catch-all."""
    route = route_of(request.path)
    response = _refusal(services, route, error)
    if route.startswith("/") or isinstance(error, GatewayError):
        _audit_failure(services, response.status_code, error=error)
    return response


def _audit_failure(
    services: HttpServices, status: int, transaction: str = "http", error: Exception | None = None
) -> None:
    caller = cast(Caller, getattr(g, "caller", None) or Caller(node="", address=request.remote_addr or ""))
    event, transaction, detail = event_of(error, transaction)
    record = AuditRecord(
        event=event,
        transaction=transaction,
        action="E",
        outcome=4 if status < 500 else 12,
        actor=caller.user or caller.node,
        address=caller.address,
        detail=f"{request.method} {status} {detail}".rstrip(),
    ).by(caller)
    # The answer is a refusal without data; it is given also when the audit log is what failed.
    with suppress(Exception):
        services.audit.record(record)


def _refusal(services: HttpServices, route: str, error: Exception) -> Response:
    if isinstance(error, RequestEntityTooLarge):
        error = LimitExceeded(f"the body is larger than {limit_of(services)} bytes")
    if isinstance(error, HTTPException):
        headers = {name: value for name, value in error.get_headers() if name == "Allow"}
        return _problem(route, error.code or 500, "not-supported", f"{error.name.lower()}", headers)
    if isinstance(error, REFUSALS) and route in PATHS:
        body = soap_fault(error, f"urn:uuid:{g.request_id}")
        kind = "application/soap+xml; charset=UTF-8"
        return Response(body, status=codes_for(error).http, content_type=kind, headers=headers_of(error))
    if isinstance(error, (LimitExceeded, *REFUSALS)):
        codes = codes_for(error)
        return _problem(route, codes.http, codes.fhir, str(error), headers_of(error))
    frames = traceback.extract_tb(error.__traceback__)
    where = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames[-6:]]
    # The text of a foreign exception may hold a value of the request, so only its type and place are logged.
    _log.error("failed", route=route, error=type(error).__name__, where=where, request_id=g.request_id)
    text = f"an error of this server; reference {g.request_id}"
    return _problem(route, codes_for(error).http, codes_for(error).fhir, text)


def _problem(route: str, status: int, code: str, text: str, headers: Mapping[str, str] | None = None) -> Response:
    if route.startswith("/fhir"):
        body, kind = outcome("error", code, text), CONTENT_TYPE
    elif route.startswith("/api"):
        body, kind = orjson.dumps({"error": code, "text": text}), "application/json"
    else:
        body, kind = text.encode("utf-8") + b"\n", "text/plain; charset=utf-8"
    return Response(body, status=status, content_type=kind, headers=dict(headers or {}))
