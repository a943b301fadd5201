"""A small registry in a real database, whose objects have short names: what the stored queries are tried on.

Person A has two submission sets: S1 with documents D1 (class a, event e1 and e2, at 2020), D2 (class b, restricted) and
folder F1 that holds D1; S2 with D3, which replaces D1, and D4, a snapshot of the on-demand document O1. D3 has a second
version D3b. Person B has set S3 with document E1. Besides, each has a document that came as a file.
"""

import io
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from lxml import etree

from gateway import ihe
from gateway.codec import ebxml, soap
from gateway.codec.ebxml_packages import render_object
from gateway.model.caller import UNRESTRICTED, Caller, Scope
from gateway.model.code import Code
from gateway.model.document import (
    APPROVED,
    DEPRECATED,
    HAS_MEMBER,
    IS_SNAPSHOT_OF,
    ON_DEMAND,
    ORIGINAL_MEMBER,
    RPLC,
    Association,
    Author,
    DocumentEntry,
    Folder,
    RegistryObject,
    SubmissionSet,
)
from gateway.model.identity import PatientId
from gateway.model.ingest import KeptObject
from gateway.ports import RegistryWork
from gateway.services.documents import DocumentServices
from gateway.services.registry.service import RegistryServices
from gateway.storage.opening import Storage
from tests.storage.making import DOMAIN, HOSPITAL, message, outcome, record, storage
from tests.xds_parts import HOME, REPOSITORY, RIM, answer_body, request

CONFIDENTIALITY = "2.16.840.1.113883.5.25"
A, B = PatientId("1", HOSPITAL), PatientId("2", HOSPITAL)


def number(name: str) -> str:
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, name)}"


def unique(name: str) -> str:
    return f"1.2.3.{sum(name.encode())}.{name.encode().hex().translate(str.maketrans('abcdef', '123456'))}"


def document(name: str, class_: str = "a", *, time: str = "20200101000000", label: str = "N") -> DocumentEntry:
    return DocumentEntry(
        entryUUID=number(name), uniqueId=unique(name), patientId="", sourcePatientId=str(A), mimeType="text/plain",
        classCode=Code(class_, "urn:c"), typeCode=Code("t", "urn:t"), formatCode=Code(f"f-{class_}", "urn:f"),
        healthcareFacilityTypeCode=Code("h", "urn:h"), practiceSettingCode=Code("p", "urn:p"),
        confidentialityCode=(Code(label, CONFIDENTIALITY),), creationTime=time, languageCode="ja-JP",
        repositoryUniqueId=REPOSITORY, hash="0" * 40, size=1, blob="0" * 64, title=f"Title of {name}",
        author=(Author(f"{name}^Sato^Ichiro"),), referenceIdList=(f"ref-{name}^^^&1.2.3&ISO^urn:ihe:iti:xds:2013:order",),
    )  # fmt: skip


def submission(name: str, time: str, source: str = "1.2.3.4", content: str = "c1") -> SubmissionSet:
    return SubmissionSet(
        number(name), unique(name), "", source, time, Code(content, "urn:k"), author=(Author("9^Suzuki^Hana"),)
    )


def member(name: str, source: str, target: str) -> Association:
    return Association(number(name), HAS_MEMBER, number(source), number(target), slots=ORIGINAL_MEMBER)


_D3 = document("D3", time="20210101000000")
OF_A: tuple[tuple[RegistryObject, str], ...] = (
    (submission("S1", "20200102000000"), APPROVED),
    (submission("S2", "20210102000000", "1.2.3.5", "c2"), APPROVED),
    (replace(document("D1"), eventCodeList=(Code("e1", "urn:e"), Code("e2", "urn:e"))), DEPRECATED),
    (document("D2", "b", label="R"), APPROVED),
    (_D3, DEPRECATED),
    (replace(_D3, entryUUID=number("D3b"), logicalID=number("D3"), version=2, title="Another title"), APPROVED),
    (
        replace(document("D4", time="20210601000000"), serviceStartTime="20201231", serviceStopTime="202101"),
        APPROVED,
    ),
    (replace(document("O1"), objectType=ON_DEMAND, creationTime="", hash="", size=0, blob=""), APPROVED),
    (
        Folder(number("F1"), unique("F1"), "", (Code("x", "urn:x"), Code("y", "urn:x")), "20200103000000", "A folder"),
        APPROVED,
    ),
)
OF_B: tuple[tuple[RegistryObject, str], ...] = (
    (submission("S3", "20220101000000"), APPROVED),
    (document("E1", "b"), APPROVED),
)
TIES = (
    member("s1-d1", "S1", "D1"),
    member("s1-d2", "S1", "D2"),
    member("s1-f1", "S1", "F1"),
    member("f1-d1", "F1", "D1"),
    member("s1-(f1-d1)", "S1", "f1-d1"),
    member("s2-d3", "S2", "D3"),
    member("s2-d4", "S2", "D4"),
    Association(number("d3-d1"), RPLC, number("D3"), number("D1")),
    Association(number("d4-o1"), IS_SNAPSHOT_OF, number("D4"), number("O1")),
    replace(member("old", "F1", "D2"), availabilityStatus=DEPRECATED),
    member("s3-e1", "S3", "E1"),
)
NAMES = {number(name): name for name in (["S1", "S2", "S3", "D1", "D2", "D3", "D3b", "D4", "O1", "E1", "F1"])} | {
    tie.entryUUID: name
    for tie, name in zip(
        TIES,
        ["s1-d1", "s1-d2", "s1-f1", "f1-d1", "s1-(f1-d1)", "s2-d3", "s2-d4", "d3-d1", "d4-o1", "old", "s3-e1"],
        strict=True,
    )
}
Slots = Sequence[tuple[str, tuple[str, ...], bool]]


def _submit(work: RegistryWork) -> None:
    for patient, objects in ((A, OF_A), (B, OF_B)):
        person = work.person(patient, None)
        assert person is not None
        for made, status in objects:
            work.add(KeptObject.of("", made, render_object(made)), status, person)
    for tie in TIES:
        work.link(tie)


class _NoAudit:
    def record(self, *records: object) -> None:
        pass


@dataclass
class Registry:
    parts: Storage
    services: DocumentServices
    scope: Scope = field(default=UNRESTRICTED)

    def ask(
        self,
        query: str,
        slots: Slots,
        return_type: str = "LeafClass",
        action: str = "urn:ihe:iti:2007:RegistryStoredQuery",
    ) -> etree._Element:
        body = ebxml.adhoc_query_request(query, "", return_type, slots)
        services = replace(self.services, scope_of=lambda caller, transaction: self.scope)
        data = io.BytesIO(request(action, body))
        return answer_body(ihe.dispatch("/xds/registry", soap.MEDIA_TYPE, data, services, Caller(node="tester")))


def names(body: etree._Element) -> list[str]:
    """What an answer holds, by short name; what came as a file is `file`, its set `set`, its associations `tie`."""
    found = body.find(f"{RIM}RegistryObjectList")
    assert found is not None
    return [NAMES.get(str(one.get("id")), _kind(one)) for one in found]


def _kind(one: etree._Element) -> str:
    local = etree.QName(one).localname
    return {"ExtrinsicObject": "file", "RegistryPackage": "set", "Association": "tie", "ObjectRef": "ref"}[local]


@contextmanager
def registry(folder: Path) -> Iterator[Registry]:
    with storage(folder) as parts:
        files = [outcome(message("a", 0, "one")), outcome(message("b", 5, "two", number="2"))]
        parts.keeping.keep(files, record)
        parts.registering.run(_submit)
        services = DocumentServices(
            parts.documents, parts.registry, parts.blobs, parts.identities, _NoAudit(),
            home=HOME, affinity_domain=DOMAIN, repository=REPOSITORY, scope_of=lambda caller, transaction: UNRESTRICTED,
            changing=RegistryServices(parts.registering, parts.blobs, REPOSITORY),
        )  # fmt: skip
        yield Registry(parts, services)
