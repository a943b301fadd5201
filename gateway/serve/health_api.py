"""/livez /readyz /metrics: for whoever watches the process."""

from flask import Flask, Response

from gateway.serve import notifications_api
from gateway.serve.bodies import as_json, plain
from gateway.serve.http_services import HttpServices
from gateway.serve.metrics import Metrics


def register(app: Flask, services: HttpServices, metrics: Metrics) -> None:
    def live() -> Response:
        return plain(200, "ok\n")

    def ready() -> Response:
        roles = dict(services.ready())
        everything = bool(roles) and all(roles.values())
        return as_json(200 if everything else 503, {"ready": everything, "roles": roles})

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
