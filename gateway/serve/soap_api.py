"""SOAP endpoints: the message to gateway.ihe as a stream, the answer back; `?wsdl` describes them."""

from collections.abc import Callable

from flask import Flask, Response, request

from gateway.ihe import PATHS, wsdl
from gateway.model.caller import Caller
from gateway.serve.bodies import body, plain
from gateway.serve.http_services import HttpServices


def register(app: Flask, services: HttpServices, node: Callable[[], Caller]) -> None:
    def soap() -> Response:
        if request.method in ("GET", "HEAD"):
            if "wsdl" not in {name.lower() for name in request.args}:
                return plain(405, "a SOAP endpoint: POST a SOAP 1.2 message, or ask for ?wsdl\n", Allow="POST")
            return Response(wsdl(request.path, request.base_url), content_type="text/xml; charset=utf-8")
        caller, asker = node(), services.authentication.asker(request.environ)
        answer = services.soap(request.path, request.headers.get("Content-Type", ""), body(services), caller, asker)
        response = Response(answer.body, status=answer.status)
        for name, value in answer.headers:
            response.headers[name] = value
        return response

    for path in PATHS:
        app.add_url_rule(path, f"soap {path}", soap, methods=["GET", "POST"])
