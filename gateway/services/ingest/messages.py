"""One converted message -> what storage keeps of it: resources, pieces, documents and blobs, checked and rendered."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.codec import fhir
from gateway.codec.ebxml import render_extrinsic
from gateway.errors import BadInput
from gateway.model.identity import Authority, PersonKey
from gateway.model.ingest import Kept, KeptBlob, KeptDocument, KeptMessage, Version, make_key
from gateway.profiles.validator import Finding
from gateway.services.identity import only_shared, shared_authorities
from gateway.services.ingest.deriving import kept_resource
from gateway.translate.converted import Converted, Part
from gateway.translate.document_entry import DocumentSource, entries, service_period, source_patient_info
from gateway.translate.ranks import rank

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
    max_file_bytes: int = 32 * 1024 * 1024


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
        self._sound: set[bytes] = set()

    def kept(self, one: Converted) -> list[KeptMessage]:
        """What is stored of one message: itself and, where it has pieces with versions of their own, each of them.

        Raises Rejected when nothing of it may be stored.
        """
        if (reason := one.rejected) is not None:
            raise Rejected(reason.code, reason.text, reason.severity)
        patient = next((r for r in one.translated.resources if r["resourceType"] == "Patient"), None)
        person = one.translated.person
        if patient is None or one.patient_id is None or not isinstance(person, PersonKey) or not person.ids:
            raise Rejected("no-patient", "the message names no patient")
        everything = one.resources
        own = {id(resource) for part in one.parts for resource in part.resources}
        resources = _kept((r for r in one.translated.resources if id(r) not in own), one.data_type, patient["id"])
        pieces = [(part, _kept(part.resources, one.data_type, patient["id"])) for part in one.parts]
        hashes = {(kept.type, kept.id): kept.hash for many in (resources, *(p[1] for p in pieces)) for kept in many}
        self._refuse_invalid(everything, hashes)
        documents, transform, blobs = self._documents(one, patient, everything)
        name = one.name
        whole = KeptMessage(
            key=make_key(one.facility, *one.key),
            version=Version(one.version_time, one.sha256, name.department if name else "", int(one.flag)),
            facility=one.facility,
            patient=patient["id"],
            person=only_shared(person, self._shared),
            resources=resources,
            stay_events=one.translated.stay_events,
            documents=documents,
            transform=transform,
            blobs=blobs,
        )
        return [whole, *(_piece(whole, part, kept) for part, kept in pieces)]

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
    ) -> tuple[tuple[KeptDocument, ...], str, tuple[KeptBlob, ...]]:
        """The Bundle and the original as registry entries, and the bytes of both."""
        assert one.patient_id is not None
        bundle = fhir.render(one.bundle)
        start, stop = service_period(resources)
        source = DocumentSource(
            facility=one.facility,
            key=one.key,
            data_type=one.data_type,
            timestamp=one.name.timestamp if one.name else "",
            message_time=one.message_time,
            bundle=bundle,
            original=one.original,
            patient_id=one.patient_id,
            department=one.name.department if one.name else "-",
            source_patient_info=source_patient_info(one.patient_id, patient),
            service_start=start,
            service_stop=stop,
        )
        try:
            made, sent, transform = entries(source, repository=self._rules.repository)
        except BadInput:
            raise Rejected("no-time", "neither the file name nor MSH-7 says when this was written") from None
        documents = (
            KeptDocument.of("bundle", made, render_extrinsic(made)),
            KeptDocument.of("original", sent, render_extrinsic(sent)),
        )
        return documents, transform.entryUUID, (self._pack(made.blob, bundle), self._pack(sent.blob, one.original))


def _kept(resources: Iterable[dict[str, Any]], data_type: str, patient: str) -> tuple[Kept, ...]:
    """Rendered and indexed; of one id given twice the first counts, as in translate/context.py."""
    found: dict[tuple[str, str], Kept] = {}
    for resource in resources:
        key = (resource["resourceType"], resource["id"])
        if key not in found:
            found[key] = kept_resource(resource, rank(key[0], data_type), patient)
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
        transform="",
        blobs=(),
    )
