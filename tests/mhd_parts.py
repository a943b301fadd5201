"""A node with the storage of 東京 in it, asked over its FHIR face as a Document Consumer or Source would."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import orjson

from gateway import app
from gateway.fhir import FhirRequest, FhirResponse, FhirServices, handle
from gateway.model.caller import UNRESTRICTED, Caller, Scope
from gateway.model.clock import Clock
from gateway.settings import Settings
from gateway.storage.opening import Storage

DEMO = Path(__file__).resolve().parents[1] / "fixtures" / "demo" / "tokyo" / "1310000001"
BASE = "http://127.0.0.1:8080/fhir"
ARC = "1.2.392.200119.99999"
FACILITY = f"{ARC}.2"
DOMAIN = f"{ARC}.1.1"
HOME = "urn:oid:1.2.392.200119.99999.1"
TARO = "0001000037"
"""A patient of the demo storage."""
JSON = "application/fhir+json"


@dataclass
class Face:
    services: FhirServices
    parts: Storage
    settings: Settings
    caller: Caller = field(default_factory=Caller)
    scope: Scope = UNRESTRICTED

    def ask(
        self, path: str, query: str = "", *, method: str = "GET", body: bytes = b"", **headers: str
    ) -> FhirResponse:
        """`headers` with `_` for `-`."""
        named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        request = FhirRequest(method, path, parse_qsl(query, keep_blank_values=True), named, body, BASE)
        return handle(request, self.services, self.caller, self.scope)

    def json(self, path: str, query: str = "", *, status: int = 200, **more: Any) -> dict[str, Any]:
        answer = self.ask(path, query, **more)
        assert answer.status == status, answer.body
        found: dict[str, Any] = orjson.loads(answer.body)
        return found

    def matches(self, path: str, query: str) -> list[dict[str, Any]]:
        entries = self.json(path, query).get("entry", [])
        return [one["resource"] for one in entries if one["search"]["mode"] == "match"]

    def content(self, answer: FhirResponse) -> bytes:
        return b"".join(answer.stream) if answer.stream is not None else answer.body

    def patient(self, value: str = TARO) -> str:
        """Logical id of a patient by the facility's number."""
        (one,) = self.matches("/Patient", f"identifier=urn:oid:{FACILITY}|{value}")
        found: str = one["id"]
        return found

    def within(self, scope: Scope) -> "Face":
        return replace(self, scope=scope)

    def audits(self) -> list[tuple[Any, ...]]:
        """(event, transaction, action, outcome, patient, object) of all records."""
        with self.parts.engine.connect() as connection:
            rows = connection.exec_driver_sql(
                'SELECT event, "transaction", action, outcome, patient, object FROM audit ORDER BY n'
            )
            return [tuple(row) for row in rows]


def settings(directory: Path, **more: Any) -> Settings:
    facility = {"oid": FACILITY, "namespace": "TOKYO-HP"}
    given = {"directory": directory, "security": {"mode": "open"}, "authorities": [facility]}
    return Settings.model_validate({**given, "community": {"name": "東京"}, **more})


@contextmanager
def face(directory: Path, only: str = "", *, clock: Clock | None = None, **more: Any) -> Iterator[Face]:
    chosen = settings(directory, **more)
    with app.storage(chosen, clock) as parts:
        files = [str(file) for file in sorted(DEMO.rglob(f"*_{only}_*"))] if only else [str(DEMO)]
        app.ingestor(chosen, parts, facility=FACILITY).run(files, rejects_file=directory / "rejects")
        node = app.Node(chosen, parts, clock or Clock())
        yield Face(node.fhir(), parts, chosen)
