"""One converted message -> what storage keeps of it: resources, pieces, documents and blobs, checked and rendered."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from gateway.codec import fhir
from gateway.codec.ebxml import render_extrinsic
from gateway.codec.ebxml_packages import render_submission_set
from gateway.errors import BadInput
from gateway.model.document import DocumentEntry, set_of
from gateway.model.identity import Authority, PatientId, PersonKey
from gateway.model.ingest import DELETED, Kept, KeptBlob, KeptMessage, KeptObject, Version, make_key
from gateway.profiles.validator import Finding
from gateway.services import my_number
from gateway.services.identity import only_shared, shared_authorities
from gateway.services.ingest.deriving import kept_resource
from gateway.translate.converted import Converted, FileDocument, Part
from gateway.translate.document_entry import (
    DocumentSource,
    authors,
    entries,
    file_entry,
    service_period,
)
from gateway.translate.exchange_spec.registers import Registers
from gateway.translate.ranks import NUMBER_ONLY, rank
from gateway.translate.xds_people import source_patient_info

REMEMBERED: Final = 10_000
"""Hashes of resources that were found valid, at most (about 1 MB)."""

Check = Callable[[dict[str, Any]], Sequence[Finding]]
Pack = Callable[[str, bytes], KeptBlob]


@dataclass(frozen=True, slots=True)
class ReadingRules:
    """What a worker has to know of the configuration. Small and picklable: every worker process gets a copy."""

    authorities: tuple[Authority, ...]
    repository: str
    """repositoryUniqueId of the document entries."""
    facility: str = ""
    """OID that wins over what the messages and folders say (`--facility`)."""
    patient: PatientId | None = None
    """Whose the inputs are, where they cannot say it themselves (`--patient`)."""
    max_file_bytes: int = 32 * 1024 * 1024
    max_document_bytes: int = 2 * 1024 * 1024 * 1024
    """Of a document that is kept as it is: it passes by in pieces."""
    exchange: Registers = field(default_factory=Registers)
    """Registration lists and limits of exchange files."""
    overlay: Path | None = None
    """The site's additions to the mapping: every process that translates names it before it begins."""


class Rejected(Exception):
    """One message that is not kept, with the reason."""

    def __init__(self, code: str, reason: str, severity: str = "error") -> None:
        super().__init__(code)
        self.code, self.reason, self.severity = code, reason, severity


class Messages:
    """Makes KeptMessages; one a process, because it remembers which resources were found valid."""

    def __init__(self, rules: ReadingRules, check: Check, pack: Pack) -> None:
        self._rules, self._check, self._pack = rules, check, pack
        self._shared = shared_authorities(rules.authorities)
        self._names = {authority.oid: authority.name for authority in rules.authorities}
        self._authorities = {authority.oid: authority for authority in rules.authorities}
        self._sound: set[bytes] = set()

    def kept(self, one: Converted, file: bytes = b"") -> list[KeptMessage]:
        """What is stored of one message: itself and, where it has pieces with versions of their own, each of them.

        `file`: path of a document that is too large to be in `one.original`. Raises Rejected when nothing of it may
        be stored.
        """
        if (reason := one.rejected) is not None:
            raise Rejected(reason.code, reason.text, reason.severity)
        if one.tombstone:
            return [_tombstone(one)]
        patient = next((r for r in one.translated.resources if r["resourceType"] == "Patient"), None)
        person = one.translated.person
        if patient is None or one.patient_id is None or not isinstance(person, PersonKey) or not person.ids:
            raise Rejected("no-patient", "the message names no patient")
        self._refuse_my_number(patient, person, one.facility)
        everything = one.resources
        own = {id(resource) for part in one.parts for resource in part.resources}
        resources = _kept(
            (r for r in one.translated.resources if id(r) not in own),
            one.data_type,
            patient["id"],
            feeds=one.feeds,
        )
        pieces = [(part, _kept(part.resources, one.data_type, patient["id"])) for part in one.parts]
        hashes = {(kept.type, kept.id): kept.hash for many in (resources, *(p[1] for p in pieces)) for kept in many}
        self._refuse_invalid(everything, hashes)
        if one.document is None:
            documents, made, transform, blobs = self._documents(one, patient, everything)
        else:
            documents, made, transform, blobs = self._document(one, patient, one.document, file)
        name = one.name
        whole = KeptMessage(
            key=make_key(one.facility, *one.key),
            version=Version(one.version_time, one.sha256, name.department if name else "", int(one.flag)),
            facility=one.facility,
            patient=patient["id"],
            person=only_shared(person, self._shared, self._authorities),
            resources=resources,
            stay_events=one.translated.stay_events,
            documents=documents,
            submission=_submission(made, one.facility),
            named=name is not None,
            transform=transform,
            blobs=blobs,
        )
        return [whole, *(_piece(whole, part, kept) for part, kept in pieces)]

    def _refuse_my_number(self, patient: dict[str, Any], person: PersonKey, facility: str) -> None:
        """個人番号 among the patient's numbers, under an authority that is not known here: nothing of the message is
        kept, because the original holds it too."""
        try:
            my_number.refuse(person.ids, {*self._authorities, facility})
            systems = {one.patient_system for one in (*self._authorities.values(), Authority(facility))}
            systems.update(f"urn:oid:{oid}" for oid in (*self._authorities, facility))
            numbers = patient.get("identifier", ())
            my_number.refuse((PatientId(one.get("value", ""), one.get("system", "")) for one in numbers), systems)
        except my_number.MyNumberRefused as error:
            raise Rejected("my-number-refused", str(error)) from None

    def _refuse_invalid(self, resources: Iterable[dict[str, Any]], hashes: Mapping[tuple[str, str], bytes]) -> None:
        """The same bytes are checked once: patient, doctor and hospital come with every message."""
        for resource in resources:
            hash_ = hashes.get((resource["resourceType"], resource["id"]))
            if hash_ is not None and hash_ in self._sound:
                continue
            for finding in self._check(resource):
                if finding.severity in ("error", "fatal"):
                    raise Rejected("invalid-output", f"{finding.expression}: {finding.text}")
            if hash_ is not None:
                if len(self._sound) >= REMEMBERED:
                    self._sound.clear()
                self._sound.add(hash_)

    def _documents(
        self, one: Converted, patient: dict[str, Any], resources: Sequence[dict[str, Any]]
    ) -> tuple[tuple[KeptObject, ...], DocumentEntry, str, tuple[KeptBlob, ...]]:
        """The Bundle and the original as registry entries, the last of them, and the bytes of both."""
        bundle = fhir.render(one.bundle)
        start, stop = service_period(resources)
        source = replace(
            _source(one, patient),
            bundle=bundle,
            original=one.original,
            service_start=start,
            service_stop=stop,
            author=authors(resources, self._names.get(one.facility, ""), one.facility),
        )
        try:
            made, sent, transform = entries(source, repository=self._rules.repository)
        except BadInput:
            raise Rejected("no-time", "neither the file name nor MSH-7 says when this was written") from None
        documents = (
            KeptObject.of("bundle", made, render_extrinsic(made)),
            KeptObject.of("original", sent, render_extrinsic(sent)),
        )
        return (
            documents,
            sent,
            transform.entryUUID,
            (self._pack(made.blob, bundle), self._pack(sent.blob, one.original)),
        )

    def _document(
        self, one: Converted, patient: dict[str, Any], document: FileDocument, file: bytes
    ) -> tuple[tuple[KeptObject, ...], DocumentEntry, str, tuple[KeptBlob, ...]]:
        """A file that is a document by itself: one entry, and its bytes, which storage copies when they are many."""
        facts = document.facts
        source = replace(
            _source(one, patient),
            service_start=document.care_date,
            service_stop=document.care_date,
            author=authors((), self._names.get(one.facility, ""), one.facility),
        )
        try:
            entry = file_entry(source, facts, repository=self._rules.repository)
        except BadInput:
            raise Rejected("no-time", "the name of the content folder says no real time") from None
        if one.original or not facts.size:
            blob = self._pack(facts.sha256, one.original)
        else:
            blob = KeptBlob(facts.sha256, facts.size, b"", large=True, file=file)
        return (KeptObject.of("original", entry, render_extrinsic(entry)),), entry, "", (blob,)


def _submission(entry: DocumentEntry, facility: str) -> KeptObject:
    made = set_of(entry, facility)
    return KeptObject.of("set", made, render_submission_set(made))


def _source(one: Converted, patient: dict[str, Any]) -> DocumentSource:
    """What all documents of one message or file have in common."""
    assert one.patient_id is not None
    return DocumentSource(
        facility=one.facility,
        key=one.key,
        data_type=one.data_type,
        timestamp=one.name.timestamp if one.name else "",
        message_time=one.message_time,
        patient_id=one.patient_id,
        department=one.name.department if one.name else "-",
        source_patient_info=source_patient_info(one.patient_id, patient),
    )


def _tombstone(one: Converted) -> KeptMessage:
    """A deletion without a message: a version of the key with flag 0 and nothing else."""
    version = Version(one.version_time, one.sha256, one.name.department if one.name else "", DELETED)
    return KeptMessage(make_key(one.facility, *one.key), version, one.facility, "", PersonKey(()))


_NAMED: Final = frozenset({"name", "birthDate", "gender"})
"""Elements of which a Patient that is worth showing has one."""


_FEEDS: Final = {"add": 0, "revise": 0, "change-id": 0, "merge": 1}
"""Rank of the Patient of an identity feed."""


def _kept(resources: Iterable[dict[str, Any]], data_type: str, patient: str, *, feeds: str = "") -> tuple[Kept, ...]:
    """Rendered and indexed; of one id given twice the first counts, as in translate/context.py."""
    found: dict[tuple[str, str], Kept] = {}
    for resource in resources:
        key = (resource["resourceType"], resource["id"])
        if key not in found:
            known = rank(key[0], data_type)
            if key[0] == "Patient":
                known = NUMBER_ONLY if not _NAMED & resource.keys() else _FEEDS.get(feeds, known)
            found[key] = kept_resource(resource, known, patient)
    return tuple(found.values())


def _piece(whole: KeptMessage, part: Part, resources: tuple[Kept, ...]) -> KeptMessage:
    """One record of a message, stored under its own key; the message's documents hold it too."""
    return replace(
        whole,
        key=make_key(whole.facility, *part.key),
        version=Version(part.version_time, part.sha256, "", whole.version.flag),
        resources=resources,
        stay_events=(),
        documents=(),
        submission=None,
        record=True,
        revised=part.revised,
        transform="",
        blobs=(),
    )
