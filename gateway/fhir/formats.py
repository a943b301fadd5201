"""XML at the edge of the FHIR face: answers turned into it, and what a caller sent (FHIR R4 2.6.1).

Everything inside speaks JSON. An answer in XML is made of the JSON one, so both always say the same.
"""

from collections.abc import Callable
from typing import Any

from gateway.codec import fhir
from gateway.errors import BadInput, LimitExceeded
from gateway.fhir.messages import FHIR_JSON, FHIR_XML, JSON_NAMES, XML_NAMES, FhirRequest, FhirResponse, Refused

MAX_BODY = 4 * 1024 * 1024
"""Bytes of a resource that is sent here."""

Render = Callable[[dict[str, Any]], bytes]
Parse = Callable[[bytes], dict[str, Any]]


def in_xml(answer: FhirResponse, render: Render) -> FhirResponse:
    """The same answer in XML; one without a FHIR body stays, and so does a document, whatever its type."""
    if (
        not answer.body
        or answer.stream is not None
        or not any(value.startswith(FHIR_JSON) for name, value in answer.headers if name == "Content-Type")
    ):
        return answer
    headers = [(name, value) for name, value in answer.headers if name != "Content-Type"]
    body = render(fhir.parse(answer.body))
    return FhirResponse(answer.status, [("Content-Type", f"{FHIR_XML}; charset=utf-8"), *headers], body)


def resource_in(request: FhirRequest, parse_xml: Parse, max_bytes: int = MAX_BODY) -> dict[str, Any]:
    """The resource that a request carries. Raises Refused(415), LimitExceeded, BadInput."""
    if len(request.body) > max_bytes:
        raise LimitExceeded(f"a resource of more than {max_bytes} bytes")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in XML_NAMES:
        found: Any = parse_xml(request.body)
    elif kind in JSON_NAMES or not kind:
        found = fhir.received(request.body)
    else:
        raise Refused(415, "not-supported", f"a resource is sent as {FHIR_JSON} or {FHIR_XML}")
    if not isinstance(found, dict) or not isinstance(found.get("resourceType"), str):
        raise BadInput("the body is no FHIR resource")
    return found
