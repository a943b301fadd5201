"""What the HTTP face works with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from gateway.fhir import FhirServices
from gateway.ihe._soap import Asker, WireResponse
from gateway.model.caller import Caller
from gateway.model.clock import Chance, Clock
from gateway.ports import AuditLog, Subscriptions
from gateway.serve.authentication import Authentication, Open
from gateway.serve.federation_api import FederationApi
from gateway.serve.token_api import TokenApi
from gateway.services.medical_id import MedicalIds
from gateway.services.policy.access import ScopeOf


@dataclass(frozen=True, slots=True)
class HttpServices:
    """What the application needs; gateway.app fills it."""

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
