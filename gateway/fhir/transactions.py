"""What an IHE transaction on plain FHIR is to the server: MHD, DSUBm. The modules are in gateway/ihe, above this package,
and are handed in by gateway.app; PIXm and PDQm, which are interactions with Patient, are in this package."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlencode

from gateway.fhir.messages import FhirRequest, FhirResponse
from gateway.model.audit import AuditObject, AuditRecord
from gateway.model.caller import Caller, Scope

QUERY, EXPORT = "110112", "110106"  # DICOM EventID: Query; Export, which IHE uses for the side that hands data out
IMPORT = "110107"
RECORD = "110110"  # Patient Record


@dataclass(slots=True)
class Trace:
    """What the audit record will say; filled as the request is understood. Holds no values of the query."""

    event: str = QUERY
    action: str = "E"
    object: str = ""
    patient: str = ""
    persons: tuple[str, ...] = ()
    """Enterprise ids of the persons whose data the answer holds, when the request names none."""
    transaction: str = "rest"
    xml: bool = False
    """A search form asked for XML."""
    denied: str = ""
    """Which rule of policy said no."""
    silent: bool = False
    """The act stored its own audit record, in the commit that stored what it did."""
    retired: str = ""
    """CX of a record that a merge retired; its end is an audit record of its own (ITI TF-2: 3.8.5.1, 3.104.5.1)."""

    def record(self, caller: Caller, outcome: int, detail: str, request: FhirRequest | None = None) -> AuditRecord:
        return AuditRecord(
            event=self.event,
            transaction=self.transaction,
            action=self.action,
            outcome=outcome,
            actor=caller.user or caller.node,
            address=caller.address,
            patient=self.patient,
            object=self.object,
            detail=f"{detail} denied {self.denied}" if self.denied else detail,
            objects=() if request is None else self._question(request),
            patients=() if self.patient else self.persons,
        ).by(caller)

    def _question(self, request: FhirRequest) -> tuple[AuditObject, ...]:
        """The question whole: the address of a search, and the form when it was posted (BALP: entity query)."""
        if self.event != QUERY:
            return ()
        address = f"{request.path}?{urlencode(request.query)}" if request.query else request.path
        return (AuditObject("query", self.object, b"\n".join(filter(None, (address.encode(), request.body)))),)


class Transaction(Protocol):
    """One IHE transaction, its services already given."""

    @property
    def number(self) -> str: ...
    @property
    def event(self) -> tuple[str, str]:
        """EventID and action of our audit record."""

    def takes(self, method: str, path: Sequence[str]) -> bool:
        """By method and the parts of the path below the base."""

    def answer(self, request: FhirRequest, caller: Caller, scope: Scope, trace: Trace) -> FhirResponse | None:
        """None: what is asked for is none of its own, and the next one is asked. Raises GatewayError."""

    def capability(self) -> Mapping[str, Mapping[str, Any]]:
        """What it adds to the CapabilityStatement: resource type -> parts of rest.resource; "" -> parts of rest."""


@dataclass(frozen=True, slots=True, eq=False)
class Attached:
    """A Transaction made of the functions of one module of gateway/ihe."""

    number: str
    event: tuple[str, str]
    takes: Callable[[str, Sequence[str]], bool]
    answer: Callable[[FhirRequest, Caller, Scope, Trace], FhirResponse | None]
    adds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def capability(self) -> Mapping[str, Mapping[str, Any]]:
        return self.adds
