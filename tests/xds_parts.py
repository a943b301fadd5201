"""Parts the XDS and XCA tests share: ports in memory, one small registry, and a way to send it a SOAP message."""

import io
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from lxml import etree

from gateway import ihe
from gateway.codec import ebxml, mtom, soap
from gateway.errors import DamagedContent, TooManyResults, UnknownDocument
from gateway.ihe._soap import WireResponse
from gateway.model.audit import AuditRecord
from gateway.model.caller import UNRESTRICTED, Caller, Scope
from gateway.model.clock import Chance, Clock
from gateway.model.document import APPROVED, Association, DocumentEntry, DocumentQuery, Shown, StoredEntry
from gateway.model.identity import PatientId
from gateway.model.registry_query import ContentQuery, FolderQuery, SubmissionSetQuery
from gateway.services.documents import DocumentServices
from gateway.translate.document_entry import DocumentSource, entries

HOME = "urn:oid:1.2.392.200119.99999.1"
DOMAIN = "1.2.392.200119.99999.1.1"
REPOSITORY = "1.2.392.200119.99999.1.2"
FACILITY = "1.2.392.200119.99999.2"
MEDICAL = "1.2.392.200119.99999.3"
EID = "e1"
PATIENT = PatientId(EID, DOMAIN)
CALLER = Caller(node="tester", address="127.0.0.1")

RIM = f"{{{ebxml.RIM}}}"
RS = f"{{{ebxml.RS}}}"
XDS = f"{{{ebxml.XDS}}}"


def document_pair(
    order: str = "000000011000354", bundle: bytes = b'{"resourceType":"Bundle"}', data_type: str = "OML-11"
) -> tuple[DocumentEntry, DocumentEntry, Association]:
    return entries(
        DocumentSource(
            facility=FACILITY,
            key=("0001000052", "20111220", data_type, order),
            data_type=data_type,
            timestamp="20111220103059000",
            message_time="",
            bundle=bundle,
            original=b"MSH|" + order.encode(),
            patient_id=PatientId("0001000052", FACILITY),
            department="01",
            source_patient_info=(f"PID-3|0001000052^^^&{FACILITY}&ISO", "PID-5|結び^太郎 & 'co'", "PID-8|M"),
            service_start="2011-12-20",
            service_stop="2011-12-20",
        ),
        repository=REPOSITORY,
    )


def stored(entry: DocumentEntry, eid: str = EID) -> StoredEntry:
    return StoredEntry(
        entry.entryUUID,
        entry.uniqueId,
        str(PatientId(eid, DOMAIN)),
        entry.repositoryUniqueId,
        entry.mimeType,
        entry.blob,
        entry.size,
        entry.hash,
        APPROVED,
        ebxml.render_extrinsic(entry),
    )


@dataclass
class MemoryDocuments:
    """ports.Documents and ports.Registry of documents alone: answers with what it was given, and remembers the question
    and the scope."""

    rows: list[StoredEntry] = field(default_factory=list)
    identities: "MemoryIdentities" = field(default_factory=lambda: MemoryIdentities())
    asked: list[tuple[object, Scope]] = field(default_factory=list)
    error: Exception | None = None

    def find(self, query: DocumentQuery, scope: Scope) -> list[StoredEntry]:
        self.asked.append((query, scope))
        if self.error:
            raise self.error
        hits = [
            row
            for row in self.rows
            if row.patientId.split("^")[0] == query.patient and row.availabilityStatus in query.status
        ]
        if len(hits) > query.limit:
            raise TooManyResults("too many")
        return hits

    def shown(self, patient: PatientId, query: DocumentQuery, scope: Scope) -> list[Shown] | None:
        eid = self.identities.enterprise_id(patient, scope)
        if eid is None:
            return None
        found = self.find(replace(query, patient=eid), scope)
        return [Shown(one[0], one[2], one.availabilityStatus, one.xml, one.objectType, one.time) for one in found]

    def find_of_many(self, query: DocumentQuery, patients: Sequence[str] | None, scope: Scope) -> list[StoredEntry]:
        self.asked.append((query, scope))
        return [row for row in self.rows if patients is None or row.patientId.split("^")[0] in patients]

    def by_entry_uuid(self, uuids: Sequence[str], scope: Scope, types: Sequence[str] = ()) -> list[StoredEntry]:
        self.asked.append((uuids, scope))
        return [row for row in self.rows if row.entryUUID in uuids]

    def by_unique_id(self, unique_ids: Sequence[str], scope: Scope, types: Sequence[str] = ()) -> list[StoredEntry]:
        self.asked.append((unique_ids, scope))
        return [row for row in self.rows if row.uniqueId in unique_ids]

    def by_logical_id(self, lids: Sequence[str], scope: Scope, types: Sequence[str] = ()) -> list[StoredEntry]:
        return self.by_entry_uuid(lids, scope, types)

    def find_submission_sets(self, query: SubmissionSetQuery, scope: Scope) -> list[StoredEntry]:
        return []

    def find_folders(self, query: FolderQuery, scope: Scope) -> list[StoredEntry]:
        return []

    def contents(self, uuids: Sequence[str], query: ContentQuery, scope: Scope) -> list[StoredEntry]:
        return self.by_entry_uuid(uuids, scope)

    def associations(self, uuids: Sequence[str], scope: Scope) -> list[Association]:
        return []

    def associations_by_id(self, uuids: Sequence[str], scope: Scope) -> list[Association]:
        return []

    def originals(self, scope: Scope) -> Iterator[str]:
        return iter(())


class _Damaged(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        chunk = super().read(size)
        if not chunk:
            raise DamagedContent("the bytes do not match their address")
        return chunk


@dataclass
class MemoryBlobs:
    content: dict[str, bytes] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)
    opened: list[str] = field(default_factory=list)

    def open(self, sha256: str) -> io.BytesIO:
        self.opened.append(sha256)
        if sha256 not in self.content:
            raise UnknownDocument("no blob")
        return _Damaged(self.content[sha256]) if sha256 in self.damaged else io.BytesIO(self.content[sha256])


@dataclass
class MemoryIdentities:
    known: dict[PatientId, str] = field(default_factory=dict)

    def enterprise_id(self, patient: PatientId, scope: Scope) -> str | None:
        return self.known.get(patient)

    def identifiers(self, enterprise_id: str, scope: Scope) -> tuple[PatientId, ...]:
        return tuple(sorted((id_ for id_, eid in self.known.items() if eid == enterprise_id), key=str))

    def patients(self, enterprise_id: str, scope: Scope) -> tuple[str, ...]:
        return ()


@dataclass
class MemoryAudit:
    records: list[AuditRecord] = field(default_factory=list)
    fails: bool = False

    def record(self, *records: AuditRecord) -> None:
        if self.fails:
            raise OSError("disk full")
        self.records += records


def numbered_uuids() -> Chance:
    numbers: Iterator[int] = iter(range(1, 1_000_000))
    return Chance(new_uuid=lambda: uuid.UUID(int=next(numbers)))


@dataclass
class Node:
    """One community in memory: two documents of one patient."""

    services: DocumentServices
    documents: MemoryDocuments
    blobs: MemoryBlobs
    identities: MemoryIdentities
    audit: MemoryAudit
    bundle: DocumentEntry
    original: DocumentEntry

    def send(self, path: str, data: bytes, content_type: str = soap.MEDIA_TYPE) -> WireResponse:
        response = ihe.dispatch(path, content_type, io.BytesIO(data), self.services, CALLER)
        return response._replace(body=(b"".join(response.body),))

    def ask(self, path: str, action: str, body: bytes) -> etree._Element:
        """The body element of the answer to a plain SOAP question."""
        response = self.send(path, request(action, body))
        assert response.status == 200, b"".join(response.body)
        return answer_body(response)

    def with_parts(self, **changes: object) -> "Node":
        return replace(self, services=replace(self.services, **changes))


def make_node() -> Node:
    bundle, original, _ = document_pair()
    documents = MemoryDocuments([stored(bundle), stored(original)])
    blobs = MemoryBlobs({bundle.blob: b'{"resourceType":"Bundle"}', original.blob: b"MSH|000000011000354"})
    identities = documents.identities
    identities.known.update({PATIENT: EID, PatientId("0001000052", FACILITY): EID, PatientId("M1", MEDICAL): EID})
    audit = MemoryAudit()
    services = DocumentServices(
        documents,
        documents,
        blobs,
        identities,
        audit,
        home=HOME,
        affinity_domain=DOMAIN,
        repository=REPOSITORY,
        scope_of=lambda caller: UNRESTRICTED,
        clock=Clock(now=lambda: datetime(2024, 1, 1, tzinfo=UTC)),
        chance=numbered_uuids(),
    )
    return Node(services, documents, blobs, identities, audit, bundle, original)


def request(action: str, body: bytes) -> bytes:
    return soap.request(action, "urn:uuid:00000000-0000-0000-0000-00000000aaaa", "http://127.0.0.1/", body)


def package(envelope: bytes, action: str = "") -> tuple[bytes, str]:
    """The same message as an MTOM package: (bytes, Content-Type)."""
    return b"".join(mtom.write("B", "root@test", envelope, ())), mtom.content_type("B", "root@test", action)


def content_type(response: WireResponse) -> str:
    return dict(response.headers)["Content-Type"]


def envelope_of(response: WireResponse) -> etree._Element:
    return etree.fromstring(open_package(response).root.read()) if _is_package(response) else _plain(response)


def _is_package(response: WireResponse) -> bool:
    return content_type(response).startswith(mtom.MULTIPART)


def _plain(response: WireResponse) -> etree._Element:
    return etree.fromstring(b"".join(response.body))


def open_package(response: WireResponse) -> mtom.Package:
    return mtom.collect(response.body, content_type(response), io.BytesIO)


def answer_body(response: WireResponse) -> etree._Element:
    body = envelope_of(response).find(f"{{{soap.SOAP}}}Body")
    assert body is not None
    (element,) = body
    return element


def error_codes(body: etree._Element) -> list[str]:
    return [str(error.get("errorCode")) for error in body.iter(f"{RS}RegistryError")]


def fault_codes(response: WireResponse) -> list[str]:
    """Code and subcodes of a SOAP 1.2 fault."""
    return [str(value.text) for value in envelope_of(response).iter(f"{{{soap.SOAP}}}Value")]
