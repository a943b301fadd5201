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
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import orjson
import structlog
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from gateway.errors import BadInput, LimitExceeded, codes_for
from gateway.fhir import FhirRequest, FhirResponse, FhirServices, handle
from gateway.fhir.messages import CONTENT_TYPE, outcome
from gateway.fhir.search import parse_form
from gateway.ihe import PATHS, wsdl
from gateway.ihe._soap import WireResponse
from gateway.model.audit import AuditRecord
from gateway.model.caller import Caller, Scope, is_loopback
from gateway.model.clock import Chance, Clock
from gateway.ports import AuditLog
from gateway.serve import federation_api
from gateway.serve.federation_api import FederationApi
from gateway.serve.metrics import Metrics
from gateway.serve.persons_api import PersonsApi, register
from gateway.services.search import TYPES

ALL_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_SECURITY_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),  # answers hold health data; no proxy or browser keeps them
)
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.\-]+)(?::[0-9]{1,5})?", re.ASCII)

_log = structlog.get_logger("musubi.http")


@dataclass(frozen=True, slots=True)
class HttpServices:
    """What the application needs; app.py fills it."""

    fhir: FhirServices
    soap: Callable[[str, str, BinaryIO, Caller], WireResponse]
    """(path, Content-Type, body, caller) -> answer; ihe.dispatch with its services already given."""
    federation: FederationApi
    scope: Callable[[Caller], Scope]
    """Policy: what this caller may see."""
    ready: Callable[[], Mapping[str, bool]]
    """Role -> whether it listens, for every role this process was asked for."""
    audit: AuditLog
    clock: Clock
    chance: Chance
    mode: str = "open"
    max_body_bytes: int = 16 * 1024 * 1024
    counts: Callable[[], str] = str
    """Metrics of the other roles of this process, as Prometheus text."""


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
    if path in PATHS or path in federation_api.PATHS or path in ("/livez", "/readyz", "/metrics"):
        return path
    if parts[:2] in (["api", "reviews"], ["api", "persons"]):
        return f"/api/{parts[1]}"
    if parts[:1] != ["fhir"]:
        return "(other)"
    match parts[1:]:
        case ["Patient", "$ihe-pix" | "$match" as operation]:
            return f"/fhir/Patient/{operation}"
        case ["metadata"]:
            return "/fhir/metadata"
        case ["$federated-stream"]:
            return "/fhir/$federated-stream"
        case [type_, *rest] if type_ in TYPES:
            shapes = {0: "", 1: "/{id}", 2: "/{id}/_history", 3: "/{id}/_history/{version}"}
            return f"/fhir/{type_}" + ("/_search" if rest == ["_search"] else shapes.get(len(rest), "/(other)"))
    return "/fhir/(other)"


def caller_of(mode: str) -> Caller:
    """Open mode: the loopback caller, with the address it came from."""
    return Caller(address=request.remote_addr or "")


def _around_requests(app: Flask, services: HttpServices, metrics: Metrics) -> None:
    def begin() -> Response | None:
        g.started_s = services.clock.monotonic()
        g.request_id = str(services.chance.new_uuid())
        if services.mode == "open" and not is_loopback_name(request.host):
            return _plain(421, "open mode answers to loopback names only (localhost, 127.0.0.1)\n")
        if request.headers.get("Content-Encoding", "identity") != "identity":
            return _plain(415, "request bodies are read without Content-Encoding\n")
        return None

    def end(response: Response) -> Response:
        for name, value in _SECURITY_HEADERS:
            response.headers.setdefault(name, value)
        response.headers["X-Request-Id"] = g.request_id
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

    def counts() -> Response:
        return Response(
            metrics.render() + services.federation.metrics() + services.counts(),
            content_type="text/plain; version=0.0.4; charset=utf-8",
        )

    app.add_url_rule("/livez", "livez", live)
    app.add_url_rule("/readyz", "readyz", ready)
    app.add_url_rule("/metrics", "metrics", counts)


def _fhir(app: Flask, services: HttpServices) -> None:
    def fhir(path: str = "") -> Response:
        caller = caller_of(services.mode)
        asked, scope = _fhir_request(path, services), services.scope(caller)
        if services.federation.answers(asked):
            answer = services.federation.answer(asked, caller, scope)
            return _fhir_answer(answer) if isinstance(answer, FhirResponse) else federation_api.streamed(answer)
        return _fhir_answer(handle(asked, services.fhir, caller, scope))

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
    response = Response(answer.body, status=answer.status)
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
        caller = caller_of(services.mode)
        answer = services.soap(request.path, request.headers.get("Content-Type", ""), _body(services), caller)
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
    return cast(BinaryIO, io.BufferedReader(_Body(services.max_body_bytes), 64 * 1024))


def _api(app: Flask, services: HttpServices) -> None:
    def question() -> tuple[str, bytes]:
        return request.headers.get("Content-Type", ""), _body(services).read()

    federation_api.register(app, services.federation, lambda: caller_of(services.mode), services.scope, question)
    if services.fhir.persons is not None:
        register(
            app,
            PersonsApi(
                services.fhir.persons,
                services.audit,
                lambda: caller_of(services.mode),
                services.scope,
                lambda: _body(services).read(),
            ),
        )


def _failed(services: HttpServices, error: Exception) -> Response:
    """Everything that was not answered: HTTP errors of the framework in our words, and the one catch-all."""
    route = route_of(request.path)
    response = _refusal(services, route, error)
    if route.startswith("/"):
        _audit_failure(services, response.status_code)
    return response


def _audit_failure(services: HttpServices, status: int, transaction: str = "http") -> None:
    caller = caller_of(services.mode)
    record = AuditRecord(
        event="110112",
        transaction=transaction,
        action="E",
        outcome=4 if status < 500 else 12,
        actor=caller.user or caller.node,
        address=caller.address,
        detail=f"{request.method} {status}",
    )
    # The answer is a refusal without data; it is given also when the audit log is what failed.
    with suppress(Exception):
        services.audit.record(record)


def _refusal(services: HttpServices, route: str, error: Exception) -> Response:
    if isinstance(error, RequestEntityTooLarge):
        error = LimitExceeded(f"the body is larger than {services.max_body_bytes} bytes")
    if isinstance(error, HTTPException):
        headers = {name: value for name, value in error.get_headers() if name == "Allow"}
        return _problem(route, error.code or 500, "not-supported", f"{error.name.lower()}", headers)
    if isinstance(error, LimitExceeded):
        return _problem(route, codes_for(error).http, codes_for(error).fhir, str(error))
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
