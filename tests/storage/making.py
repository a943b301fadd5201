"""Small stand-ins for what a worker makes of a file, so that storage is tested without any translation."""

import hashlib
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gateway.codec import fhir
from gateway.codec.ebxml import render_extrinsic
from gateway.codec.ebxml_packages import render_submission_set
from gateway.codec.packing import pack
from gateway.model.audit import AuditRecord
from gateway.model.clock import Clock
from gateway.model.code import Code
from gateway.model.document import DocumentEntry, set_of
from gateway.model.identity import PatientId, PersonKey
from gateway.model.ingest import FileOutcome, Kept, KeptMessage, KeptObject, Version, make_key
from gateway.model.outcome import StayEvent
from gateway.model.resource import Rendered, Token
from gateway.ports import Derivations
from gateway.services import identity
from gateway.storage.engines import open_engine
from gateway.storage.opening import Storage, opened
from gateway.storage.upgrade import upgrade

DOMAIN = "1.2.392.200119.99999.1.1"
HOSPITAL = "1.2.392.200119.99999.2"
MEDICAL_ID = "1.2.392.200119.99999.3"


def name(*parts: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, "|".join(parts)))


def kept(type_: str, id_: str, text: str, *, patient: str = "p1", rank: int = 0, tokens: Sequence[Token] = ()) -> Kept:
    """One resource whose only content is `text`; it is indexed under the token `code = text`."""
    resource: dict[str, Any] = {"resourceType": type_, "id": id_, "meta": {"profile": ["urn:p"]}, "text": text}
    return _kept(resource, patient, rank, tokens or (Token("code", "urn:s", text),))


def _kept(resource: dict[str, Any], patient: str, rank: int, tokens: Sequence[Token]) -> Kept:
    body = fhir.render(resource)
    rendered = Rendered(
        resource["resourceType"], resource["id"], body, patient, rank, date_start="2026-01-01T00:00:00.000Z",
        tokens=tuple(tokens), strings=(("name", resource["text"]),), references=(("subject-of", f"X/{resource['text']}"),),
    )  # fmt: skip
    return Kept.of(rendered)


def reindex(body: bytes, rank: int, patient: str) -> Kept:
    resource = fhir.parse(body)
    return _kept(resource, patient, rank, (Token("code", "urn:s", resource["text"]),))


def project(events: Sequence[StayEvent]) -> list[Kept]:
    """One Encounter a patient, whose text is the set of its events: enough to see which events were projected."""
    patient = events[0].patient
    text = "+".join(sorted(f"{event.data_type}@{event.occurred_at}" for event in events))
    return [kept("Encounter", f"stay-of-{patient}", text, patient=patient)]


def revise(bodies: Sequence[bytes], earlier: str, patient: str) -> list[Kept]:
    """The same resources, whose text says which version they replace; said of a correction, it is said anew."""
    found = [fhir.parse(body) for body in bodies]
    texts = [(one["resourceType"], one["id"], one["text"].partition(" instead of ")[0]) for one in found]
    return [kept(type_, id_, f"{said} instead of {earlier}", patient=patient, rank=-1) for type_, id_, said in texts]


def derivations() -> Derivations:
    return Derivations(
        reindex=reindex,
        project=project,
        unmatched=lambda events: [event for event in events if event.cancelled],
        revise=revise,
        link=identity.link,
        enterprise_id=lambda cluster: identity.enterprise_id(DOMAIN, cluster),
        association_id=lambda type_, source, target: f"urn:uuid:{name(type_, source, target)}",
    )


def entry(kind: str, key: str, version: Version, content: bytes) -> KeptObject:
    made = document_entry(kind, key, version, content)
    return KeptObject.of("bundle" if kind == "bundle" else "original", made, render_extrinsic(made))


def document_entry(kind: str, key: str, version: Version, content: bytes) -> DocumentEntry:
    number = name(kind, key, version.timestamp, version.sha256)
    return DocumentEntry(
        entryUUID=f"urn:uuid:{number}",
        uniqueId=f"2.25.{uuid.UUID(number).int}",
        patientId="",
        sourcePatientId="",
        mimeType="application/fhir+json" if kind == "bundle" else "x-application/hl7-v2+er7",
        classCode=Code("class", "urn:c"),
        typeCode=Code("type", "urn:t"),
        formatCode=Code(kind, "urn:f"),
        healthcareFacilityTypeCode=Code("hospital", "urn:h"),
        practiceSettingCode=Code("01", "urn:p"),
        confidentialityCode=(Code("N", "2.16.840.1.113883.5.25"),),
        creationTime=version.timestamp[:14],
        languageCode="ja-JP",
        repositoryUniqueId="1.2.392.200119.99999.1.2",
        hash=hashlib.sha1(content, usedforsecurity=False).hexdigest(),
        size=len(content),
        blob=hashlib.sha256(content).hexdigest(),
        eventCodeList=(Code("event", "urn:e"),),
    )


def message(
    order: str,
    time: int,
    content: str,
    flag: int = 1,
    *,
    resources: Iterable[Kept] = (),
    events: Iterable[StayEvent] = (),
    number: str = "1",
    facility: str = HOSPITAL,
    shared: Iterable[PatientId] = (),
    birth_date: str = "19500101",
    sex: str = "M",
    patient: str = "",
) -> KeptMessage:
    """A version of the document `order` of patient `number`, made in minute `time`; equal arguments, equal bytes."""
    stamp = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=time)).strftime("%Y%m%d%H%M%S000")
    key = make_key(facility, number, "20260101", "OML-11", order)
    version = Version(stamp, hashlib.sha256(f"{key}{stamp}{content}".encode()).hexdigest(), "01", flag)
    original = f"original {content}".encode()
    bundle = f"bundle {content} {stamp}".encode()
    documents = (entry("bundle", key, version, bundle), entry("original", key, version, original))
    made = set_of(document_entry("original", key, version, original), facility)
    return KeptMessage(
        key=key,
        version=version,
        facility=facility,
        patient=patient or f"p{number}",
        person=PersonKey((PatientId(number, facility), *shared), birth_date, sex),
        resources=tuple(resources),
        stay_events=tuple(events),
        documents=documents,
        submission=KeptObject.of("set", made, render_submission_set(made)),
        transform=f"urn:uuid:{name('xfrm', key, stamp, content)}",
        blobs=tuple(pack(document.blob, data) for document, data in zip(documents, (bundle, original), strict=True)),
    )


def outcome(*messages: KeptMessage, path: str = "") -> FileOutcome:
    """The file of some messages; its path follows from them, flag included, as in a storage."""
    first = messages[0]
    where = path or f"/tree/{first.version.sha256}_{first.version.flag}"
    return FileOutcome(where.encode(), 100, 1, first.version.sha256, tuple(messages))


def record(outcome: FileOutcome, state: str) -> AuditRecord:
    return AuditRecord("110107", "ingest", "C", 0, "test", object=outcome.sha256, detail=state)


def ticking() -> Clock:
    """Every look at it is a second later, so that stored times differ and nothing waits."""
    seconds = iter(range(10**9))
    return Clock(now=lambda: datetime(2026, 6, 1, tzinfo=UTC) + timedelta(seconds=next(seconds)))


@cache
def _template() -> bytes:
    """An empty database of today's schema, so that not every test runs the migrations."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "empty.db"
        engine = open_engine(f"sqlite:///{file}")
        upgrade(engine)
        engine.dispose()
        return file.read_bytes()


def database(folder: Path) -> Path:
    """The database file of a test, empty the first time."""
    file = folder / "musubi.db"
    if not file.exists():
        file.write_bytes(_template())
    return file


def storage(folder: Path, derive: Callable[[], Derivations] = derivations) -> AbstractContextManager[Storage]:
    """Opens (and the first time makes) the storage of a test."""
    return opened(
        f"sqlite:///{database(folder)}", folder / "blobs", affinity_domain=DOMAIN, derive=derive(), clock=ticking()
    )
