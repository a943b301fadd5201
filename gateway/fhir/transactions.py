"""What an IHE transaction on plain FHIR is to the server: MHD, DSUBm. The modules are in gateway/ihe, above this package,
and are handed in by app.py; PIXm and PDQm, which are interactions with Patient, are in this package."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.fhir.messages import FhirRequest, FhirResponse
from gateway.model.audit import AuditRecord
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
    transaction: str = "rest"
    xml: bool = False
    """A search form asked for XML."""
    silent: bool = False
    """The act stored its own audit record, in the commit that stored what it did."""
    retired: str = ""
    """CX of a record that a merge retired; its end is an audit record of its own (ITI TF-2: 3.8.5.1, 3.104.5.1)."""

    def record(self, caller: Caller, outcome: int, detail: str) -> AuditRecord:
        return AuditRecord(
            self.event, self.transaction, self.action, outcome, caller.user or caller.node, caller.address,
            patient=self.patient, object=self.object, detail=detail,
        )  # fmt: skip


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
