"""The Flask application around parts that a test can look into."""

import io
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest
from flask import Flask

from gateway.fhir import FhirServices
from gateway.fhir.federated import FederatedServices
from gateway.ihe._soap import WireResponse
from gateway.model.audit import AuditRecord
from gateway.model.caller import UNRESTRICTED, Caller, Scope
from gateway.model.clock import Chance, Clock
from gateway.model.resource import SearchPage, SearchPlan, StoredResource
from gateway.serve.federation_api import FederationApi
from gateway.serve.http import create_app
from gateway.serve.http_services import HttpServices
from gateway.services.federation.fanout import Admission
from gateway.services.federation.outcomes import Outcome
from gateway.services.federation.question import Given, Question
from gateway.services.federation.service import Part
from gateway.services.federation.snapshots import Snapshots
from gateway.services.search import SearchRules

MAX_BODY = 100_000
PATIENT = StoredResource(
    "Patient", "p1", 1, "2026-01-02T03:04:05.678Z", False, b'{"resourceType":"Patient","id":"p1","meta":{}}'
)


@dataclass
class Parts:
    """Stands in for storage, the SOAP side, federation and the audit log. `fails` is raised by whatever is asked."""

    fails: BaseException | None = None
    audit_fails: bool = False
    roles: dict[str, bool] = field(default_factory=lambda: {"http": True})
    records: list[AuditRecord] = field(default_factory=list)
    soap_bodies: list[bytes] = field(default_factory=list)
    questions: list[tuple[Question, dict[str, Any]]] = field(default_factory=list)
    elapsed_s: float = 0.0
    answer: Callable[[], Iterable[bytes]] = lambda: (piece for piece in (b"<a", b"nswer/>"))
    """Of the SOAP side: a stream of unknown length."""

    def record(self, *records: AuditRecord) -> None:
        if self.audit_fails:
            raise OSError("disk full")
        self.records += records

    def read(self, type_: str, id_: str, scope: Scope) -> StoredResource | None:
        if self.fails is not None:
            raise self.fails
        return PATIENT if (type_, id_) == ("Patient", "p1") else None

    def vread(self, type_: str, id_: str, version: int, scope: Scope) -> StoredResource | None:
        return self.read(type_, id_, scope)

    def history(self, type_: str, id_: str, scope: Scope) -> list[StoredResource]:
        return [PATIENT]

    def search(self, plan: SearchPlan, scope: Scope) -> SearchPage:
        return SearchPage((PATIENT,) if plan.type == "Patient" else (), 1, ())

    def export(self, scope: Scope) -> Iterable[StoredResource]:
        return iter(())

    def soap(self, path: str, content_type: str, body: BinaryIO, caller: Caller, asker: Any = None) -> WireResponse:
        self.soap_bodies.append(body.read())
        return WireResponse(200, [("Content-Type", "application/soap+xml")], self.answer())

    # -- federation: `begin` and `record` of services.federation.service.Federation

    home = "urn:oid:1.2"
    deadline_s = 10.0
    peers = ()

    @property
    def audit(self) -> "Parts":
        return self

    @property
    def clock(self) -> Clock:
        return Clock(lambda: datetime(2026, 1, 1, tzinfo=UTC), self.monotonic)

    def own(self, scope: Scope) -> Any:
        return SimpleNamespace(id=self.home)

    def begin(self, question: Question, caller: Caller, scope: Scope, **more: Any) -> Iterable[Part]:
        if self.fails is not None:
            raise self.fails
        self.questions.append((question, more))
        return iter([Part(Outcome(self.home, "東京", "ok", 7), Given())])

    def asked(self, question: Question, caller: Caller, outcomes: Any, transaction: str = "federated-query") -> None:
        patient = str(question.patient)
        self.record(AuditRecord("110112", transaction, "E", 0, caller.node, patient=patient))

    def federation(self) -> FederationApi:
        parts: Any = SimpleNamespace(
            home=self.home, deadline_s=self.deadline_s, peers=(), audit=self, clock=self.clock, own=self.own,
            begin=self.begin, record=self.asked, admission=Admission(1),
        )  # fmt: skip
        chance = Chance(lambda: uuid.UUID(int=7), lambda size: b"x" * size)
        persons: Any = None
        snapshots = Snapshots(self.monotonic)
        fhir = FederatedServices(parts, persons, SearchRules(), b"k" * 32, snapshots, bytes, chance)
        return FederationApi(fhir, {}, lambda: [{"id": self.home}])

    def monotonic(self) -> float:
        self.elapsed_s += 0.03
        return self.elapsed_s

    def app(self) -> Flask:
        fhir = FhirServices(  # type: ignore[arg-type]
            self, self, SearchRules(), b"k" * 32, "0.1.0", "2026-01-01T00:00:00Z", bytes, dict
        )
        services = HttpServices(
            fhir=fhir,
            soap=self.soap,
            federation=self.federation(),
            scope=lambda caller, transaction: UNRESTRICTED,
            ready=lambda: self.roles,
            audit=self,
            clock=Clock(lambda: datetime(2026, 1, 1, tzinfo=UTC), self.monotonic),
            chance=Chance(lambda: uuid.UUID(int=7), lambda size: b"x" * size),
            max_body_bytes=MAX_BODY,
            max_soap_bytes=MAX_BODY,
            max_upload_bytes=MAX_BODY,
        )
        return create_app(services)


@pytest.fixture
def parts() -> Parts:
    return Parts()


@pytest.fixture
def client(parts: Parts) -> Any:
    return parts.app().test_client()


@pytest.fixture
def stream() -> Any:
    """A body of unknown length, as chunked transfer brings it."""
    return lambda size: io.BytesIO(b"a" * size)
