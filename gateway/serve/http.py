"""The HTTP face of a node: a thin Flask application around the framework-free handlers.

    /fhir/*                                gateway.fhir
    /xds/registry /xds/repository /xca     gateway.ihe, as a callable (SOAP 1.2; `?wsdl`)
    /pixv3 /pdqv3 /xcpd                    the same
    POST /api/query                        the federated question of `musubi query`
    /livez /readyz /metrics

Here, and only here: who the caller is, the size of bodies, the Host check, security headers, request ids, the log
line and the one `except Exception`. Logs hold route templates, sizes and times; no address, query or body.
"""

import io
import re
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

import orjson
import structlog
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from gateway.errors import BadInput, GatewayError, LimitExceeded, codes_for
from gateway.fhir import FhirRequest, FhirResponse, FhirServices, handle
from gateway.fhir.messages import CONTENT_TYPE, outcome
from gateway.fhir.search import parse_form
from gateway.fhir.trust import TYPES as TRUST_TYPES
from gateway.ihe import FHIR_TYPES, PATHS, wsdl
from gateway.ihe._soap import Asker, WireResponse
from gateway.model.audit import AuditRecord
from gateway.model.caller import NOTHING, UNRESTRICTED, Caller, is_loopback
from gateway.model.clock import Chance, Clock
from gateway.ports import AuditLog, Subscriptions
from gateway.serve import federation_api, medical_id_api, notifications_api, persons_api, token_api, trust_api
from gateway.serve.authentication import Authentication, Open
from gateway.serve.federation_api import FederationApi
from gateway.serve.json_api import JsonApi
from gateway.serve.metrics import Metrics
from gateway.serve.refusals import REFUSALS, challenge, event_of, headers_of, soap_fault
from gateway.serve.token_api import TokenApi
from gateway.services.medical_id import MedicalIds
from gateway.services.policy.access import ScopeOf
from gateway.services.search import TYPES

UPLOADS = frozenset({"/xds/repository"})
"""Paths of messages that carry documents; their handlers read them in pieces."""
ALL_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
MAX_REQUEST_LINE = 8 * 1024
MAX_HEADERS = 100
_SECURITY_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),  # answers hold health data; no proxy or browser keeps them
)
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.\-]+)(?::[0-9]{1,5})?", re.ASCII)

_API = ("reviews", "persons", "medical-ids", "break-glass", "access", "notifications")
_log = structlog.get_logger("musubi.http")


@dataclass(frozen=True, slots=True)
class HttpServices:
    """What the application needs; app.py fills it."""

    fhir: FhirServices
    soap: Callable[[str, str, BinaryIO, Caller, Asker | None], WireResponse]
    """(path, Content-Type, body, caller, who knows the person) -> answer; ihe.dispatch with its services given."""
    federation: FederationApi
    scope: ScopeOf
    """Policy: what this caller may see in a transaction. FHIR asks by interaction (FhirServices.permit)."""
    ready: Callable[[], Mapping[str, bool]]
    """Role -> whether it listens, for every role this process was asked for."""
    audit: AuditLog
    clock: Clock
    chance: Chance
    mode: str = "open"
    max_body_bytes: int = 16 * 1024 * 1024
    """Of FHIR and /api."""
    max_soap_bytes: int = 10 * 1024 * 1024
    max_upload_bytes: int = 256 * 1024 * 1024
    """Of a SOAP message that may carry documents (UPLOADS)."""
    counts: Callable[[], str] = str
    """Metrics of the other roles of this process, as Prometheus text."""
    subscriptions: Subscriptions | None = None
    """Who is told of new documents, and what waits for them."""
    medical_ids: MedicalIds | None = None
    """None: no agency is configured."""
    authentication: Authentication = field(default_factory=Open)
    tokens: TokenApi | None = None
    """The embedded authorisation server; None: this node gives no tokens."""
    strict_401: bool = False
    """401 also for scope and policy (IUA 3.72)."""


def create_app(services: HttpServices) -> Flask:
    app = Flask("gateway", static_folder=None)
    # One byte more than we take: of a chunked body werkzeug gives the bytes up to its limit and says nothing, so a body
    # of exactly the limit and one cut off there would look the same. `_Body` refuses the byte too many.
    app.config["MAX_CONTENT_LENGTH"] = services.max_body_bytes + 1
    app.url_map.strict_slashes = False
    metrics = Metrics()
    _around_requests(app, services, metrics)
    _health(app, services, metrics)
    _fhir(app, services)
    _soap(app, services)
    _api(app, services)
    if services.tokens is not None:
        token_api.register(app, services.tokens, lambda: _node_of(services))
    app.register_error_handler(Exception, lambda error: _failed(services, error))
    return app


def is_loopback_name(host: str) -> bool:
    """Whether a Host header names this machine. Another name is a web page that rebinds its DNS name to 127.0.0.1."""
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    name = found["name"].strip("[]").rstrip(".").lower()
    return name.endswith(".localhost") or is_loopback(name)


def route_of(path: str) -> str:
    """The template of a path: for logs and metrics, which may hold no id. Everything unknown is one route."""
    parts = [part for part in path.split("/") if part]
    health = ("/livez", "/readyz", "/metrics")
    if path in token_api.ROUTES or path in PATHS or path in federation_api.PATHS or path in health:
        return path
    if parts[:1] == ["api"] and parts[1:2] in ([name] for name in _API):
        return f"/api/{parts[1]}"
    if parts[:1] != ["fhir"]:
        return "(other)"
    match parts[1:]:
        case ["Patient", "$ihe-pix" | "$match" as operation]:
            return f"/fhir/Patient/{operation}"
        case ["Patient", _, "$everything" | "$summary" as operation]:
            return f"/fhir/Patient/{{id}}/{operation}"
        case ["metadata"]:
            return "/fhir/metadata"
        case ["$break-glass" | "$federated-stream" as operation]:
            return f"/fhir/{operation}"
        case [type_, *rest] if type_ in (*TYPES, *TRUST_TYPES) or type_ in FHIR_TYPES:
            shapes = {0: "", 1: "/{id}", 2: "/{id}/_history", 3: "/{id}/_history/{version}"}
            return f"/fhir/{type_}" + ("/_search" if rest == ["_search"] else shapes.get(len(rest), "/(other)"))
    return "/fhir/(other)"


def caller_of(services: HttpServices) -> Caller:
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
        request.max_content_length = _limit(services) + 1
        if services.mode == "open" and not is_loopback_name(request.host):
            return _plain(421, "open mode answers to loopback names only (localhost, 127.0.0.1)\n")
        if request.headers.get("Content-Encoding", "identity") != "identity":
            return _plain(415, "request bodies are read without Content-Encoding\n")
        if len(request.environ.get("REQUEST_URI", "")) > MAX_REQUEST_LINE:
            return _plain(414, "the request line is longer than is read\n")
        if len(request.headers) > MAX_HEADERS:
            return _plain(431, "more headers than are read\n")
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


def _health(app: Flask, services: HttpServices, metrics: Metrics) -> None:
    def live() -> Response:
        return _plain(200, "ok\n")

    def ready() -> Response:
        roles = dict(services.ready())
        everything = bool(roles) and all(roles.values())
        return _json(200 if everything else 503, {"ready": everything, "roles": roles})

    def waiting() -> str:
        return notifications_api.metrics(services.subscriptions) if services.subscriptions else ""

    def counts() -> Response:
        return Response(
            metrics.render() + services.federation.metrics() + services.counts() + waiting(),
            content_type="text/plain; version=0.0.4; charset=utf-8",
        )

    app.add_url_rule("/livez", "livez", live)
    app.add_url_rule("/readyz", "readyz", ready)
    app.add_url_rule("/metrics", "metrics", counts)


def _fhir(app: Flask, services: HttpServices) -> None:
    def fhir(path: str = "") -> Response:
        # What this server can do is no secret to a node (FHIR R4 3.1.0.9); it needs no token and shows no data.
        opened = path == "metadata" and request.method in ("GET", "HEAD")
        caller = _node_of(services) if opened else caller_of(services)
        asked = _fhir_request(path, services)
        if services.federation.answers(asked):
            answer = services.federation.answer(asked, caller, services.scope(caller, "federated-query"))
            return _fhir_answer(answer) if isinstance(answer, FhirResponse) else federation_api.streamed(answer)
        base = UNRESTRICTED if services.fhir.permit is None and not opened else NOTHING
        return _fhir_answer(handle(asked, services.fhir, caller, base))

    for rule in ("/fhir", "/fhir/<path:path>"):
        app.add_url_rule(rule, f"fhir {rule}", fhir, methods=ALL_METHODS, provide_automatic_options=False)


def _fhir_request(path: str, services: HttpServices) -> FhirRequest:
    malformed, query = "", []
    try:
        query = parse_form(request.query_string)
    except BadInput as error:
        malformed = str(error)
    return FhirRequest(
        method=request.method,
        path="/" + path,
        query=query,
        headers={name.lower(): value for name, value in request.headers},
        body=_body(services).read(),
        base=request.host_url + "fhir",
        malformed=malformed,
    )


def _fhir_answer(answer: FhirResponse) -> Response:
    response = Response(answer.body if answer.stream is None else answer.stream, status=answer.status)
    del response.headers["Content-Type"]
    for name, value in answer.headers:
        response.headers[name] = value
    return response


def _soap(app: Flask, services: HttpServices) -> None:
    def soap() -> Response:
        if request.method in ("GET", "HEAD"):
            if "wsdl" not in {name.lower() for name in request.args}:
                return _plain(405, "a SOAP endpoint: POST a SOAP 1.2 message, or ask for ?wsdl\n", Allow="POST")
            return Response(wsdl(request.path, request.base_url), content_type="text/xml; charset=utf-8")
        caller, asker = _node_of(services), services.authentication.asker(request.environ)
        answer = services.soap(request.path, request.headers.get("Content-Type", ""), _body(services), caller, asker)
        response = Response(answer.body, status=answer.status)
        for name, value in answer.headers:
            response.headers[name] = value
        return response

    for path in PATHS:
        app.add_url_rule(path, f"soap {path}", soap, methods=["GET", "POST"])


class _Body(io.RawIOBase):
    """The request's body as a stream that raises LimitExceeded rather than end early."""

    def __init__(self, limit: int) -> None:
        self._left, self._limit = limit, limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = request.stream.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise LimitExceeded(f"the body is larger than {self._limit} bytes")
        buffer[: len(data)] = data
        return len(data)


def _body(services: HttpServices) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(_Body(_limit(services)), 64 * 1024))


def _limit(services: HttpServices) -> int:
    """Largest body of the face that is asked, in bytes."""
    if request.path in UPLOADS:
        return services.max_upload_bytes
    return services.max_soap_bytes if request.path in PATHS else services.max_body_bytes


def _api(app: Flask, services: HttpServices) -> None:
    api = JsonApi(services.audit, lambda: caller_of(services), services.scope, lambda: _body(services).read())
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
        error = LimitExceeded(f"the body is larger than {_limit(services)} bytes")
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


def _plain(status: int, text: str, **headers: str) -> Response:
    return Response(text, status=status, content_type="text/plain; charset=utf-8", headers=headers)


def _json(status: int, value: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(value), status=status, content_type="application/json")
