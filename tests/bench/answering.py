"""Answers: the profile check, ITI-18, a FHIR searchset, and a question to three communities."""

import gzip
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
from lxml import etree

from gateway import app, ihe
from gateway.codec import ebxml, soap
from gateway.codec.fhir import render
from gateway.fhir.messages import FhirRequest
from gateway.fhir.server import handle
from gateway.ihe.iti18 import FIND_DOCUMENTS
from gateway.model.audit import AuditRecord
from gateway.model.caller import UNRESTRICTED, Caller
from gateway.model.document import APPROVED
from gateway.model.identity import PatientId
from gateway.translate.sources import read_file
from tests.bench import material
from tests.bench.measure import Figure, best_of, side_by_side

SCHEMA = Path(__file__).resolve().parents[3] / "shared" / "fhir" / "r4" / "fhir.schema.r4.json.gz"
CALLER = Caller(node="bench")


class _NoAudit:
    """An audit log that keeps nothing: what an answer costs without the commit of its audit record."""

    def record(self, *records: AuditRecord) -> None:
        pass


def check(folder: Path, size: material.Size) -> Iterator[Figure]:
    """The profile check of every resource of a storage, beside writing it as JSON and the R4 JSON schema."""
    paths = material.paths_of(material.storage(folder / "generated", min(size.files, 1_000)))
    known = material.facilities()
    resources = [
        resource
        for path in paths
        for one in read_file(Path(path).read_bytes(), path, known)
        for resource in one.resources
    ]
    checked = app.validator().check
    material.settle()
    ours, dumping = side_by_side(
        lambda: [checked(one) for one in resources], lambda: [render(one) for one in resources], size.runs, 1
    )
    note = f"{len(resources)} resources, structure and JP Core profile"
    yield Figure("check", ours.cpu / len(resources) * 1e6, "µs a resource", note=note)
    note = f"floor: writing it as JSON, {dumping.cpu / len(resources) * 1e6:.1f} µs"
    yield Figure("check, to JSON", ours.cpu / dumping.cpu, "x", note=note)
    if SCHEMA.is_file():
        schema = json.loads(gzip.decompress(SCHEMA.read_bytes()))
        # One validator a type: the schema's own entry point tries every type of FHIR in turn.
        valid = {
            type_: jsonschema_rs.Draft6Validator({**schema, "$ref": f"#/definitions/{type_}"}).is_valid
            for type_ in {one["resourceType"] for one in resources}
        }
        plain = [orjson.loads(render(one)) for one in resources]
        passed = sum(valid[one["resourceType"]](one) for one in plain)
        theirs = best_of(lambda: [valid[one["resourceType"]](one) for one in plain], min(size.runs, 3))
        each = theirs.cpu / len(resources) * 1e6
        note = f"R4 JSON schema by jsonschema-rs, structure only: {each:.1f} µs ({passed} of {len(plain)} pass)"
        yield Figure("check, to JSON schema", ours.cpu / theirs.cpu, "x", note=note)


# -- ITI-18 and FHIR search ----------------------------------------------------------------------------------------


def _people(node: app.Node, folder: Path) -> dict[str, int]:
    """Enterprise id -> number of valid documents."""
    with material.plain_database(folder) as database:
        sql = "SELECT eid, count(*) FROM registry_object WHERE status = ? AND kind <> 'set' GROUP BY eid"
        return dict(database.execute(sql, (APPROVED,)).fetchall())


def _nearest(counts: dict[str, int], wanted: int) -> str:
    return min(counts, key=lambda eid: (abs(counts[eid] - wanted), eid))


def find_documents(patient: str) -> bytes:
    """An ITI-18 FindDocuments of one patient (ITI TF-2: 3.18), as SOAP."""
    slots = "".join(
        f'<rim:Slot name="$XDSDocumentEntry{name}"><rim:ValueList><rim:Value>{value}</rim:Value></rim:ValueList></rim:Slot>'
        for name, value in (
            ("PatientId", "'" + patient.replace("&", "&amp;") + "'"),
            ("Status", f"('{APPROVED}')"),
        )
    )
    body = (
        f'<query:AdhocQueryRequest xmlns:query="{ebxml.QUERY}" xmlns:rim="{ebxml.RIM}">'
        '<query:ResponseOption returnComposedObjects="true" returnType="LeafClass"/>'
        f'<rim:AdhocQuery id="{FIND_DOCUMENTS}">{slots}</rim:AdhocQuery></query:AdhocQueryRequest>'
    )
    action = "urn:ihe:iti:2007:RegistryStoredQuery"
    number = "urn:uuid:00000000-0000-4000-8000-000000000001"
    return soap.request(action, number, "http://127.0.0.1/xds/registry", body.encode())


_ROWS = (
    "SELECT entryUUID, uniqueId, eid, repositoryUniqueId, mimeType, blob, size, hash, status, xml FROM registry_object"
    " WHERE eid = ? AND objectType = 'urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1' AND status = ?"
    " ORDER BY time DESC, entryUUID"
)


def iti18(folder: Path, size: material.Size) -> Iterator[Figure]:
    """FindDocuments with 20 and with 100 entries, in process; a FHIR searchset of 100 Observations."""
    # Some files are older versions or deleted ones: about a tenth more than the valid documents, two entries each.
    few = material.storage(folder / "few", size.files)
    many = material.storage(folder / "many", size.long_courses * 58, patients=size.long_courses)
    with material.node(folder / "few-node", few) as node:
        yield from _twenty(node, folder / "few-node", size)
    with material.node(folder / "many-node", many) as node:
        yield from _hundred(node, folder / "many-node", size)


def _question(node: app.Node, eid: str, audit: Any) -> tuple[Callable[[], bytes], bytes]:
    services = replace(node.documents(), audit=audit)
    patient = str(PatientId(eid, node.settings.community.affinity_domain))
    data = find_documents(patient)

    def ask() -> bytes:
        answer = ihe.dispatch("/xds/registry", soap.MEDIA_TYPE, io.BytesIO(data), services, CALLER)
        return b"".join(answer.body)

    return ask, data


def _twenty(node: app.Node, folder: Path, size: material.Size) -> Iterator[Figure]:
    counts = _people(node, folder)
    eid = _nearest(counts, 20)
    ask, data = _question(node, eid, _NoAudit())
    durable, _ = _question(node, eid, node.parts.audit)
    assert ask().count(b"<rim:ExtrinsicObject") == counts[eid]
    with material.plain_database(folder) as database:

        def floor() -> bytes:
            etree.fromstring(data)
            rows = database.execute(_ROWS, (eid, APPROVED)).fetchall()
            return b"".join(
                (b"<Envelope><Body><Response>", *(row[9] for row in rows), b"</Response></Body></Envelope>")
            )

        ours, least = side_by_side(ask, floor, size.runs, size.queries)
    committed = best_of(durable, min(size.runs, 3), size.queries)
    note = (
        f"{counts[eid]} entries: {ours.cpu * 1e6:.0f} µs CPU against {least.cpu * 1e6:.0f} µs for lxml, SQLite and join"
    )
    yield Figure("iti18, floor to ours", least.cpu / ours.cpu, "", 0.5, at_least=True, note=note)
    note = f"the same with its audit record committed: {committed.wall * 1e6:.0f} µs"
    yield Figure("iti18, with audit", committed.wall / ours.wall, "x", note=note)


def _hundred(node: app.Node, folder: Path, size: material.Size) -> Iterator[Figure]:
    counts = _people(node, folder)
    eid = _nearest(counts, 100)
    ask, _ = _question(node, eid, _NoAudit())
    with material.plain_database(folder) as database:
        ours, reading = side_by_side(
            ask, lambda: database.execute(_ROWS, (eid, APPROVED)).fetchall(), size.runs, size.queries
        )
        note = (
            f"{counts[eid]} entries: {ours.cpu * 1e6:.0f} µs CPU against {reading.cpu * 1e6:.0f} µs to read their rows"
        )
        yield Figure("iti18, 100 entries", ours.cpu / reading.cpu, "x", 2, note=note)
        yield _searchset(node, database, size)


def _searchset(node: app.Node, database: Any, size: material.Size) -> Figure:
    sql = "SELECT patient FROM resource WHERE type = 'Observation' AND deleted = 0 GROUP BY patient ORDER BY count(*) DESC"
    (patient,) = database.execute(sql).fetchone()
    services = replace(node.fhir(), audit=_NoAudit())
    query = [("patient", patient), ("_count", "100")]
    request = FhirRequest("GET", "/Observation", query, {}, b"", "http://127.0.0.1:8080/fhir")

    def ask() -> bytes:
        return handle(request, services, CALLER, UNRESTRICTED).body

    rows = (
        "SELECT n, type, rid, version, last_updated, deleted, body, patient, date_start FROM resource"
        " WHERE type = 'Observation' AND patient = ? AND deleted = 0 ORDER BY n LIMIT 100"
    )
    entries = len(orjson.loads(ask())["entry"])
    ours, reading = side_by_side(ask, lambda: database.execute(rows, (patient,)).fetchall(), size.runs, size.queries)
    note = f"{entries} Observations: {ours.wall * 1e6:.0f} µs against {reading.wall * 1e6:.0f} µs to read their rows"
    return Figure("searchset of 100", ours.wall / reading.wall, "x", 2, note=note)
