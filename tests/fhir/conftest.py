"""A FHIR face over an in-memory database, with an audit log that can be looked at."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import orjson
import pytest
from sqlalchemy import insert, update

from gateway.fhir import FhirRequest, FhirResponse, FhirServices, handle
from gateway.model.audit import AuditRecord
from gateway.model.caller import UNRESTRICTED, Caller, Scope
from gateway.profiles.validator import Validator
from gateway.profiles.xml_format import FhirXml
from gateway.services.search import SearchRules, index
from gateway.storage.engines import open_engine
from gateway.storage.resources import ResourceTable
from gateway.storage.schema import (
    metadata,
    resource,
    resource_reference,
    resource_string,
    resource_token,
    resource_version,
)

BASE = "http://localhost:8080/fhir"
XML = FhirXml(Validator.default().tables)


class Audit:
    """ports.AuditLog in memory; `broken` makes it fail as a full disk does."""

    def __init__(self) -> None:
        self.records: list[AuditRecord] = []
        self.broken = False

    def record(self, *records: AuditRecord) -> None:
        if self.broken:
            raise OSError("no space left on device")
        self.records += records


@dataclass
class Node:
    """What a test does with a node: put resources in, ask, look at the audit log."""

    services: FhirServices
    engine: Any
    audit: Audit
    caller: Caller = field(default_factory=Caller)
    scope: Scope = UNRESTRICTED

    def add(self, one: dict[str, Any], *, last_updated: str = "2026-01-02T03:04:05.678Z", eid: str = "") -> None:
        found = index({"meta": {}, **one}, rank=0)
        row = {
            "type": found.type,
            "rid": found.id,
            "last_updated": last_updated,
            "body": found.body,
            "patient": found.patient,
            "eid": eid or found.patient,
            "status": found.status,
            "date_start": found.date_start,
            "date_end": found.date_end,
        }
        with self.engine.begin() as db:
            (n,) = db.execute(insert(resource).values(row)).inserted_primary_key
            base = {"n": n, "type": found.type}
            token = {**base, "patient": found.patient, "date_start": found.date_start}
            for table, rows in (
                (resource_token, [{**token, **each._asdict()} for each in found.tokens]),
                (resource_string, [{**base, "param": name, "value": text} for name, text in found.strings]),
                (resource_reference, [{**base, "param": name, "target": to} for name, to in found.references]),
            ):
                if rows:
                    db.execute(insert(table), rows)

    def delete(self, type_: str, id_: str) -> None:
        """What was shown becomes version 1 of the history, the tombstone is version 2."""
        with self.engine.begin() as db:
            mine = (resource.c.type == type_) & (resource.c.rid == id_)
            row = db.execute(resource.select().where(mine)).one()
            old = {"n": row.n, "version": row.version, "last_updated": row.last_updated, "body": row.body}
            old["hash"] = sha256(row.body).digest()[:16]
            db.execute(insert(resource_version).values(old))
            change = {"version": row.version + 1, "deleted": 1, "body": None, "source_time": "9"}
            db.execute(update(resource).where(mine).values(change))

    def ask(
        self,
        path: str,
        *query: tuple[str, str],
        method: str = "GET",
        headers: dict[str, str] | None = None,
        body: bytes = b"",
    ) -> FhirResponse:
        request = FhirRequest(method, path, list(query), headers or {}, body, BASE)
        return handle(request, self.services, self.caller, self.scope)

    def json(self, path: str, *query: tuple[str, str], status: int = 200, **more: Any) -> dict[str, Any]:
        answer = self.ask(path, *query, **more)
        assert answer.status == status, answer.body
        value: dict[str, Any] = orjson.loads(answer.body)
        return value


@pytest.fixture
def node() -> Iterator[Node]:
    engine = open_engine("sqlite://")
    metadata.create_all(engine)
    audit = Audit()
    services = FhirServices(
        resources=ResourceTable(engine),
        audit=audit,
        rules=SearchRules(),
        cursor_key=b"k" * 32,
        version="0.1.0",
        started="2026-01-01T00:00:00+09:00",
        render_xml=XML.render,
        parse_xml=XML.parse,
    )
    yield Node(services, engine, audit)
    engine.dispose()


@pytest.fixture
def another(node: Node) -> Callable[..., Node]:
    """The same node with another caller, scope or key."""

    def made(*, key: bytes = b"", **changes: Any) -> Node:
        services = replace(node.services, cursor_key=key) if key else node.services
        return replace(node, services=services, **changes)

    return made


@pytest.fixture
def observation() -> Callable[..., dict[str, Any]]:
    def made(id_: str, patient: str = "p1", date: str = "2024-05-01", **more: Any) -> dict[str, Any]:
        return {
            "resourceType": "Observation",
            "id": id_,
            "status": "final",
            "code": {"coding": [{"system": "http://codes", "code": "Na"}]},
            "subject": {"reference": f"Patient/{patient}"},
            "effectiveDateTime": date,
            **more,
        }

    return made
