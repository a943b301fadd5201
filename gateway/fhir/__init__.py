"""Plain FHIR R4 REST, without a web framework: `handle` takes a FhirRequest and gives a FhirResponse."""

from gateway.fhir.messages import FhirRequest, FhirResponse
from gateway.fhir.server import FhirServices, handle

__all__ = ["FhirRequest", "FhirResponse", "FhirServices", "handle"]
