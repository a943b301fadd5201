"""/fhir: a Flask request to a FhirRequest, its answer back. Federated questions go to serve/federation_api.py."""

from collections.abc import Callable

from flask import Flask, Response, request

from gateway.errors import BadInput
from gateway.fhir import FhirRequest, FhirResponse, handle
from gateway.fhir.search import parse_form
from gateway.model.caller import NOTHING, UNRESTRICTED, Caller
from gateway.serve import federation_api
from gateway.serve.bodies import body
from gateway.serve.http_services import HttpServices

ALL_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def register(app: Flask, services: HttpServices, caller: Callable[[], Caller], node: Callable[[], Caller]) -> None:
    """`caller`: who asks, by connection and token; `node`: the connection alone."""

    def fhir(path: str = "") -> Response:
        # What this server can do is no secret to a node (FHIR R4 3.1.0.9); it needs no token and shows no data.
        opened = path == "metadata" and request.method in ("GET", "HEAD")
        who = node() if opened else caller()
        asked = _fhir_request(path, services)
        if services.federation.answers(asked):
            answer = services.federation.answer(asked, who, services.scope(who, "federated-query"))
            return _fhir_answer(answer) if isinstance(answer, FhirResponse) else federation_api.streamed(answer)
        base = UNRESTRICTED if services.fhir.permit is None and not opened else NOTHING
        return _fhir_answer(handle(asked, services.fhir, who, base))

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
        body=body(services).read(),
        base=request.host_url + "fhir",
        malformed=malformed,
    )


def _fhir_answer(answer: FhirResponse) -> Response:
    response = Response(answer.body if answer.stream is None else answer.stream, status=answer.status)
    del response.headers["Content-Type"]
    for name, value in answer.headers:
        response.headers[name] = value
    return response
