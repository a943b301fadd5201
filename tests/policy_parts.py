"""A node in enforced mode with a few persons, facilities, labels and kinds of data, and callers to try it with."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

import orjson

from gateway import app, ihe
from gateway.fhir import FhirRequest, FhirResponse, FhirServices, handle
from gateway.model.audit import AuditRecord
from gateway.model.caller import NOTHING, Caller
from gateway.model.clock import Clock
from gateway.model.identity import PatientId
from gateway.model.ingest import Kept, KeptMessage
from gateway.services.persons.patients import patient_id
from gateway.services.search import index
from gateway.settings import Settings
from gateway.storage.opening import Storage
from tests.storage.making import message, outcome

ARC = "1.2.392.200119.99999"
HOSPITAL, CLINIC, PHARMACY = f"{ARC}.2", f"{ARC}.4", f"{ARC}.5"
MEDICAL_ID = f"{ARC}.3"
ROLES = f"{ARC}.30"
CATEGORY = "http://jpfhir.jp/fhir/core/CodeSystem/JP_SimpleObservationCategory_CS"
LABEL = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
PRIVACY = "http://terminology.hl7.org/CodeSystem/consentscope"
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"

GRANTS = [
    {"role": f"DOCTOR^^{ROLES}", "purposes": ["TREATMENT", "EMERGENCY"], "actions": ["query", "retrieve", "read"],
     "types": ["*"], "confidentiality": "R"},
    {"role": f"PHARMACIST^^{ROLES}", "purposes": ["TREATMENT"], "actions": ["query", "retrieve", "read"],
     "types": ["Patient", "MedicationRequest", "AllergyIntolerance", "Observation?category=laboratory",
               f"DocumentReference?category={ARC}.10.1|medication"]},
    {"role": f"CLERK^^{ROLES}", "purposes": ["OPERATIONS", "TREATMENT"], "actions": ["query", "read"],
     "types": ["Patient", "Coverage"]},
    {"role": f"PATIENT^^{ROLES}", "purposes": ["REQUEST"], "actions": ["query", "retrieve", "read"],
     "types": ["*", "AuditEvent"]},
    {"role": f"INSURER^^{ROLES}", "purposes": ["PAYMENT"], "actions": ["query", "read"], "types": ["Coverage"],
     "relation": "required"},
    {"role": f"COMPANY-DOCTOR^^{ROLES}", "purposes": ["OPERATIONS"], "actions": ["query", "read"],
     "types": ["Patient", "Observation?category=vital-signs"], "relation": "required"},
    {"role": f"DESK^^{ROLES}", "purposes": ["OPERATIONS"], "actions": ["query", "read", "submit"],
     "types": ["Consent", "Patient"]},
    {"role": f"PRIVACY^^{ROLES}", "purposes": ["OPERATIONS"], "actions": ["query", "read", "submit"],
     "types": ["AuditEvent"]},
]  # fmt: skip

NOW = datetime(2026, 4, 1, 3, 0, tzinfo=UTC)


class Watch:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: self.now.timestamp())

    def passes(self, **more: float) -> None:
        self.now += timedelta(**more)


def settings(directory: Path, **more: Any) -> Settings:
    given: dict[str, Any] = {
        "directory": directory,
        "security": {"mode": "enforced", "grants": GRANTS},
        "matching": {"mode": "off"},
        "authorities": [
            {"oid": HOSPITAL, "namespace": "TOKYO-HP", "name": "東京総合病院"},
            {"oid": CLINIC, "namespace": "CLINIC", "name": "みなと診療所"},
            {"oid": PHARMACY, "namespace": "PHARMACY", "name": "はま薬局"},
            {"oid": MEDICAL_ID, "namespace": "MEDICAL-ID", "kind": "medical-id"},
        ],
    }
    return Settings.model_validate({**given, **more})


def caller(role: str = "DOCTOR", purpose: str = "TREATMENT", **more: Any) -> Caller:
    given: dict[str, Any] = {
        "node": "n1",
        "user": f"{role.lower()}-1",
        "user_name": "山田",
        "issuer": "https://sts.example",
        "assertion": "_a1",
        "roles": (f"{role}^^{ROLES}",),
        "purpose": purpose,
        "organization": f"urn:oid:{HOSPITAL}",
        "home": f"urn:oid:{ARC}.1",
        "authenticated": NOW.isoformat(),
    }
    return Caller(**{**given, **more})


@dataclass
class Region:
    """The node, and ways to ask it as somebody."""

    parts: Storage
    node: app.Node
    watch: Watch
    face: FhirServices

    def fhir(
        self, who: Caller, path: str, method: str = "GET", body: Any = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """(status, body as JSON)."""
        answer = self.fhir_raw(who, path, method, body, **headers)
        return answer.status, orjson.loads(answer.body) if answer.body else {}

    def fhir_raw(self, who: Caller, path: str, method: str = "GET", body: Any = None, **headers: str) -> FhirResponse:
        place, _, query = path.partition("?")
        data = orjson.dumps(body) if body is not None else b""
        kind = {"content-type": "application/fhir+json"} if body is not None else {}
        request = FhirRequest(
            method, place, parse_qsl(query, keep_blank_values=True), {**kind, **headers}, data, "http://h/fhir"
        )
        return handle(request, self.face, who, NOTHING)

    def ids(self, who: Caller, path: str) -> set[str]:
        """Ids of a search over all of its pages; the total has to agree."""
        found: set[str] = set()
        status, bundle = self.fhir(who, path)
        if status == 403:
            return set()
        assert status == 200, bundle
        total = bundle["total"]
        while True:
            found |= {entry["resource"]["id"] for entry in bundle.get("entry", ())}
            more = [one["url"] for one in bundle["link"] if one["relation"] == "next"]
            if not more:
                break
            status, bundle = self.fhir(who, more[0].removeprefix("http://h/fhir"))
            assert status == 200, bundle
        assert total == len(found), (path, total, found)
        return found

    def soap(self, who: Caller, path: str, data: bytes) -> bytes:
        services = self.node.v3() if path in ihe.PERSON_PATHS else self.node.documents()
        answer = ihe.dispatch(path, "application/soap+xml", io.BytesIO(data), services, who)
        return b"".join(answer.body)

    def records(self) -> list[Any]:
        return self.parts.trail.after(0, 100_000)

    def consent(self, patient: PatientId, provision: dict[str, Any] | None, **more: Any) -> str:
        """Records a Consent through ITI-108; its id."""
        body = {
            "resourceType": "Consent",
            "status": "active",
            "scope": {"coding": [{"system": PRIVACY, "code": "patient-privacy"}]},
            "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
            "patient": {"identifier": {"system": f"urn:oid:{patient.authority}", "value": patient.value}},
            "dateTime": self.watch.now.isoformat(),
            "policy": [{"uri": "https://example.org/policy"}],
            **({"provision": provision} if provision else {}),
            **more,
        }
        status, kept = self.fhir(caller("DESK", "OPERATIONS"), "/Consent", "POST", body)
        assert status == 201, kept
        return str(kept["id"])


def patient(number: str, facility: str = HOSPITAL) -> PatientId:
    return PatientId(number, facility)


def logical(id_: PatientId) -> str:
    return patient_id(id_)


def kept(resource: dict[str, Any], of: str) -> Kept:
    return Kept.of(index({"meta": {}, **resource}, rank=0, patient=of))


def resources(id_: PatientId) -> list[dict[str, Any]]:
    """One of each kind, labels and dates differing."""
    who = logical(id_)
    subject = {"reference": f"Patient/{who}"}

    def named(type_: str, name: str, **more: Any) -> dict[str, Any]:
        return {"resourceType": type_, "id": f"{name}-{id_.value}-{id_.authority.rpartition('.')[2]}", **more}

    def observation(name: str, category: str, day: str, **more: Any) -> dict[str, Any]:
        code = {"coding": [{"system": "urn:x", "code": name}]}
        coded = [{"coding": [{"system": CATEGORY, "code": category}]}]
        return named("Observation", name, status="final", category=coded, code=code, subject=subject,
                     effectiveDateTime=day, **more)  # fmt: skip

    restricted = {"meta": {"security": [{"system": LABEL, "code": "R"}]}}
    secret = {"meta": {"security": [{"system": LABEL, "code": "V"}]}}
    return [
        {"resourceType": "Patient", "id": who, "meta": {}, "active": True, "gender": "male", "birthDate": "1950-01-01",
         "name": [{"family": f"佐藤{id_.value}", "given": ["太郎"]}],
         "identifier": [{"system": f"urn:oid:{id_.authority}", "value": id_.value}]},
        observation("lab", "laboratory", "2026-03-01T09:00:00+09:00"),
        observation("oldlab", "laboratory", "2020-03-01T09:00:00+09:00"),
        observation("hiv", "laboratory", "2026-03-02T09:00:00+09:00", **restricted),
        observation("bp", "vital-signs", "2026-03-03T09:00:00+09:00"),
        named("MedicationRequest", "rx", status="active", intent="order", subject=subject, authoredOn="2026-03-04"),
        named("AllergyIntolerance", "allergy", patient=subject),
        named("Condition", "secret", subject=subject, onsetDateTime="2025-12-01", **secret),
        named("Coverage", "insured", status="active", beneficiary=subject),
    ]  # fmt: skip


def fed(id_: PatientId, shared: str, order: int) -> list[KeptMessage]:
    """Two messages of a person at a facility: a laboratory result and a prescription, each with two documents."""
    found = []
    for n, (class_, scheme, label) in enumerate(
        (("11502-2", "2.16.840.1.113883.6.1", "N"), ("medication", f"{ARC}.10.1", "N"), ("problem", f"{ARC}.10.1", "R"))
    ):
        some = resources(id_)[n::3]
        one = message(
            f"{order}{n}", order * 10 + n, f"{id_}{n}", number=id_.value, facility=id_.authority,
            shared=[PatientId(shared, MEDICAL_ID)] if shared else (), patient=logical(id_),
            resources=[kept(resource, logical(id_)) for resource in some],
        )  # fmt: skip
        documents = tuple(
            document._replace(
                classCode=class_, classCodeScheme=scheme, serviceStartTime=f"2026030{n + 1}000000",
                codes=tuple(
                    code if code[0] != "confidentialityCode" else (code[0], label, code[2]) for code in document.codes
                ),
            )
            for document in one.documents
        )  # fmt: skip
        found.append(replace(one, documents=documents))
    return found


PERSONS = (
    (patient("1"), "M1"), (patient("1", CLINIC), "M1"), (patient("2"), "M2"), (patient("3"), ""),
    (patient("3", CLINIC), ""),
)  # fmt: skip
"""One known at two facilities under one medical ID, and three others."""


@contextmanager
def region(directory: Path, **more: Any) -> Iterator[Region]:
    watch = Watch()
    chosen = settings(directory, **more)
    with app.storage(chosen, watch.clock()) as parts:
        outcomes = [outcome(one) for n, (id_, shared) in enumerate(PERSONS, start=1) for one in fed(id_, shared, n)]
        parts.keeping.keep(outcomes, lambda one, state: AuditRecord("110107", "ingest", "C", 0, "test"))
        node = app.Node(chosen, parts, watch.clock())
        yield Region(parts, node, watch, node.fhir())


def cx(id_: PatientId) -> str:
    return quote(f"urn:oid:{id_.authority}|{id_.value}")
