"""A registry over real storage with one known person, and submissions to send it."""

import hashlib
import io
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lxml import etree
from sqlalchemy import text

from gateway import ihe
from gateway.codec import ebxml, mtom, soap
from gateway.codec.ebxml_packages import render_object
from gateway.codec.ebxml_submit import submit_request
from gateway.ihe._soap import Operation, WireResponse
from gateway.model.caller import UNRESTRICTED
from gateway.model.code import Code
from gateway.model.document import (
    HAS_MEMBER,
    Association,
    Author,
    DocumentEntry,
    Folder,
    RegistryObject,
    StoredEntry,
    SubmissionSet,
)
from gateway.model.identity import PatientId
from gateway.services.documents import DocumentServices
from gateway.services.registry.service import RegistryServices
from gateway.storage.opening import Storage
from tests.storage.making import DOMAIN, HOSPITAL, message, outcome, record, storage, ticking
from tests.xds_parts import CALLER, HOME, REPOSITORY, answer_body, error_codes, numbered_uuids

NORMAL = Code("N", "2.16.840.1.113883.5.25", "Normal")


@dataclass
class Registry:
    """One node; `patient` is the CX of the affinity domain, `other` another person's."""

    store: Storage
    services: DocumentServices
    patient: str
    other: str
    sent: int = 0

    def send(
        self, transaction: Operation, body: bytes, parts: Sequence[tuple[str, bytes]] = (), *, message_id: str = ""
    ) -> WireResponse:
        """A plain message, or an MTOM package of the message and `parts` (Content-ID, bytes)."""
        self.sent += 1
        number = message_id or f"urn:uuid:{uuid.UUID(int=self.sent + (1 << 64))}"
        envelope = soap.request(transaction.action, number, "http://127.0.0.1/", body)
        kind = soap.MEDIA_TYPE
        if parts:
            out = [mtom.OutPart(cid, "text/plain", (data,)) for cid, data in parts]
            envelope, kind = b"".join(mtom.write("B", "root@test", envelope, out)), mtom.content_type("B", "root@test")
        response = ihe.dispatch(transaction.path, kind, io.BytesIO(envelope), self.services, CALLER)
        return response._replace(body=(b"".join(response.body),))

    def answer(
        self, transaction: Operation, body: bytes, *parts: tuple[str, bytes], message_id: str = ""
    ) -> etree._Element:
        response = self.send(transaction, body, parts, message_id=message_id)
        assert response.status == 200, b"".join(response.body)
        return answer_body(response)

    def codes(self, transaction: Operation, body: bytes, *parts: tuple[str, bytes], message_id: str = "") -> list[str]:
        """Error codes of the answer; a success has none."""
        answered = self.answer(transaction, body, *parts, message_id=message_id)
        codes = error_codes(answered)
        warned = all(
            error.get("severity", "").endswith("Warning") for error in answered.iter(f"{{{ebxml.RS}}}RegistryError")
        )
        assert (answered.get("status") == ebxml.SUCCESS) == warned
        return codes

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        with self.store.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]

    def counts(self) -> dict[str, int]:
        """Rows of everything a submission may write."""
        tables = ("registry_object", "registry_code", "association", "submission", "blob", "outbox")
        return {table: int(str(self.rows(f"SELECT count(*) FROM {table}")[0][0])) for table in tables}

    def one(self, unique_id: str) -> StoredEntry:
        """The newest row of a uniqueId."""
        return self.store.registry.by_unique_id((unique_id,), UNRESTRICTED)[-1]

    def status(self, unique_id: str) -> list[str]:
        """Short status of all rows of a uniqueId, oldest first."""
        found = self.store.registry.by_unique_id((unique_id,), UNRESTRICTED)
        return [one.availabilityStatus.rpartition(":")[2] for one in found]

    def links(self, unique_id: str) -> list[Association]:
        return self.store.registry.associations((self.one(unique_id).entryUUID,), UNRESTRICTED)


@contextmanager
def registry(folder: Path) -> Iterator[Registry]:
    with storage(folder) as store:
        store.keeping.keep([outcome(message("a", 0, "x")), outcome(message("b", 0, "y", number="2"))], record)
        patients = []
        for number in ("1", "2"):
            eid = store.identities.enterprise_id(PatientId(number, HOSPITAL), UNRESTRICTED)
            assert eid is not None
            patients.append(str(PatientId(eid, DOMAIN)))
        chance, clock = numbered_uuids(), ticking()
        services = DocumentServices(
            store.documents,
            store.registry,
            store.blobs,
            store.identities,
            store.audit,
            home=HOME,
            affinity_domain=DOMAIN,
            repository=REPOSITORY,
            scope_of=lambda caller, transaction: UNRESTRICTED,
            clock=clock,
            chance=chance,
            changing=RegistryServices(store.registering, store.blobs, REPOSITORY, clock, chance),
        )
        yield Registry(store, services, *patients)


def document(patient: str, number: int = 1, content: bytes = b"hello", **changes: object) -> DocumentEntry:
    """An entry with every attribute of a stable document; its symbolic id is `Document<number>`."""
    made = DocumentEntry(
        entryUUID=f"Document{number}",
        uniqueId=f"1.2.3.{number}",
        patientId=patient,
        sourcePatientId=f"1^^^&{HOSPITAL}&ISO",
        mimeType="text/plain",
        classCode=Code("class", "urn:c", "Class & more"),
        typeCode=Code("type", "urn:t", "Type"),
        formatCode=Code("format", "urn:f", "Format"),
        healthcareFacilityTypeCode=Code("hospital", "urn:h", "Hospital"),
        practiceSettingCode=Code("01", "urn:p", "内科"),
        confidentialityCode=(NORMAL,),
        creationTime="20260101",
        languageCode="ja-JP",
        repositoryUniqueId=REPOSITORY,
        hash=hashlib.sha1(content, usedforsecurity=False).hexdigest(),
        size=len(content),
        blob="",
        title="診療情報提供書",
        comments="<comment>",
        legalAuthenticator="^Welby^Marcus",
        referenceIdList=("R1^^^&1.2.3&ISO^urn:ihe:iti:xds:2013:order",),
        author=(Author("^Smitty^Gerald", ("Hospital",), ("attending",), ("Ortho",), ("^^Internet^a@b",)),),
        eventCodeList=(Code("event", "urn:e", "Event"),),
        sourcePatientInfo=("PID-5|結び^太郎",),
        serviceStartTime="202601010000",
        extra=(("urn:example:extra", ("one", "two")),),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def submission_set(patient: str, number: int = 1, **changes: object) -> SubmissionSet:
    made = SubmissionSet(
        entryUUID="SubmissionSet01",
        uniqueId=f"1.2.4.{number}",
        patientId=patient,
        sourceId="1.2.5",
        submissionTime="20260102030405",
        contentTypeCode=Code("content", "urn:ct", "Content"),
        author=(Author("^Smitty^Gerald"),),
        title="A set",
        intendedRecipient=("Hospital|^Welby",),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def folder(patient: str, number: int = 1, **changes: object) -> Folder:
    made = Folder(
        f"Folder{number}", f"1.2.6.{number}", patient, (Code("folder", "urn:fc", "Folder"),), "1999", "A folder"
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def link(
    type_: str, source: str, target: str, *slots: tuple[str, str], id_: str = "", **changes: object
) -> Association:
    made = Association(id_ or f"as-{type_[-8:]}-{source}-{target}", type_, source, target)
    return replace(made, slots=tuple((name, (value,)) for name, value in slots), **changes)  # type: ignore[arg-type]


def member(target: str, status: str = "Original", *slots: tuple[str, str]) -> Association:
    return link(HAS_MEMBER, "SubmissionSet01", target, *((("SubmissionSetStatus", status),) if status else ()), *slots)


def rendered(made: RegistryObject | Association, status: str = "") -> bytes:
    """As a sender writes it: symbolic ids, its patient id, no home."""
    number = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, made.entryUUID)}"
    id_ = made.entryUUID
    symbolic = len(id_) != len(number)
    placed = replace(made, entryUUID=number) if symbolic else made
    if isinstance(placed, Association):
        xml = ebxml.render_association(placed)
    else:
        xml = ebxml.splice(
            render_object(placed), home="", patient_id=placed.patientId, status=status or placed.availabilityStatus,
            time=getattr(placed, "lastUpdateTime", ""),
        )  # fmt: skip
    return xml.replace(number.encode(), id_.encode()) if symbolic else xml


def body(*objects: RegistryObject | Association) -> bytes:
    return submit_request(rendered(one) for one in objects)


def simple(patient: str, *documents: DocumentEntry, number: int = 1, more: Sequence[object] = ()) -> bytes:
    """A submission of documents and whatever more; associations come first, as some senders have them."""
    links = [member(one.entryUUID) for one in documents]
    return body(*links, *more, *documents, submission_set(patient, number))  # type: ignore[arg-type]


def provided(metadata: bytes, *documents: tuple[str, bytes | None], inline: Sequence[tuple[str, bytes]] = ()) -> bytes:
    """xds:ProvideAndRegisterDocumentSetRequest; a document is (id, None) for the MIME part `<id>@test`, or inline."""
    inside = "".join(
        f'<xds:Document id="{id_}"><xop:Include xmlns:xop="{mtom.XOP}" href="cid:{id_}%40test"/></xds:Document>'
        for id_, _ in documents
    ).encode()
    for id_, text_ in inline:
        inside += b'<xds:Document id="%s">%s</xds:Document>' % (id_.encode(), text_)
    return (
        b'<xds:ProvideAndRegisterDocumentSetRequest xmlns:xds="urn:ihe:iti:xds-b:2007">%s%s'
        b"</xds:ProvideAndRegisterDocumentSetRequest>" % (metadata, inside)
    )
