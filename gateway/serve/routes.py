"""What an address is called in logs and metrics, and whether a Host header names this machine."""

import re

from gateway.fhir.trust import TYPES as TRUST_TYPES
from gateway.ihe import FHIR_TYPES, PATHS
from gateway.model.caller import is_loopback
from gateway.serve import federation_api, token_api
from gateway.services.search import TYPES

_API = ("reviews", "persons", "medical-ids", "break-glass", "access", "notifications")
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.\-]+)(?::[0-9]{1,5})?", re.ASCII)


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
