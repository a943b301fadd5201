"""One file's bytes -> what storage keeps of it. Runs in worker processes; nothing here writes.

A message is kept whole or not at all: it is rejected when it cannot be read, when it is not sure whose it is
(translate/sources.py QUARANTINE), and when what we made of it breaks FHIR or its JP Core profile.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.codec import charset, fhir
from gateway.codec.ebxml import render_extrinsic
from gateway.codec.packing import pack
from gateway.errors import BadInput
from gateway.model.identity import Authority, PersonKey
from gateway.model.ingest import FileOutcome, Kept, KeptBlob, KeptDocument, KeptMessage, Reject, Version, make_key
from gateway.model.outcome import Issue
from gateway.profiles.validator import Finding, Validator
from gateway.services.identity import only_shared, shared_authorities
from gateway.services.ingest.deriving import kept_resource
from gateway.services.ingest.files import Changed, Content, Found, Gone, TooLarge, Unreadable, read_steadily
from gateway.translate.context import Facilities
from gateway.translate.document_entry import DocumentSource, entries, service_period, source_patient_info
from gateway.translate.ranks import rank
from gateway.translate.sources import Converted, read_file

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


class Reader:
    """Built once a process: the tables behind it are compiled when it is first used."""

    def __init__(self, rules: ReadingRules, check: Check, pack: Pack) -> None:
        self._rules, self._check, self._pack = rules, check, pack
        self._facilities = Facilities(rules.authorities)
        self._shared = shared_authorities(rules.authorities)
        self._sound: set[bytes] = set()

    def read(self, found: Found) -> FileOutcome:
        """Never raises for what a file holds: an error of ours in one file must not stop ten million others.

        A file that is gone gives an outcome without messages and rejects; the next run meets it under its new name.
        """
        if found.error:
            return _rejected(found, Reject("", 0, "fatal", "unreadable", found.error))
        try:
            content = read_steadily(found.path, self._rules.max_file_bytes)
        except Gone:
            return FileOutcome(found.path, found.size, found.mtime_ns)
        except Unreadable as error:
            return _rejected(found, Reject("", 0, "fatal", "unreadable", str(error)))
        except TooLarge:
            text = f"more than {self._rules.max_file_bytes} bytes ([ingest] max_file_bytes)"
            return _rejected(found, Reject("", 0, "fatal", "too-large", text))
        except Changed:
            return _rejected(found, Reject("", 0, "error", "changed-while-read", "the file was being written"))
        try:
            return self.convert(found.path, content)
        except Exception as error:  # noqa: BLE001 - see above; the class name is all that may be said of it
            text = f"error of the program while reading this file: {type(error).__name__}"
            return _rejected(found, Reject("", 0, "fatal", "internal-error", text))

    def convert(self, path: bytes, content: Content) -> FileOutcome:
        """All messages of one file."""
        made = read_file(content.data, _text(path), self._facilities, facility=self._rules.facility)
        parts = dict(charset.split_messages(content.data)) if len(made) > 1 else {}
        messages: list[KeptMessage] = []
        rejects: list[Reject] = []
        findings: list[Reject] = []
        issues: Counter[str] = Counter()
        residue: Counter[str] = Counter()
        for one in made:
            issues.update(issue.code for issue in one.translated.issues)
            if one.error is not None:
                rejects.append(_unread(one, one.error))
                continue
            try:
                messages.append(self._message(one, parts.get(one.message_offset, content.data)))
            except Rejected as error:
                rejects.append(Reject(_order_no(one), one.message_offset, error.severity, error.code, error.reason))
                continue
            findings += _errors(one)
            residue.update(_field(kept.where) for kept in one.translated.residue)
        return FileOutcome(
            path,
            content.size,
            content.mtime_ns,
            hashlib.sha256(content.data).hexdigest(),
            tuple(messages),
            tuple(rejects),
            tuple(findings),
            dict(issues),
            dict(residue),
        )

    def _message(self, one: Converted, original: bytes) -> KeptMessage:
        if (reason := one.rejected) is not None:
            raise Rejected(reason.code, reason.text, reason.severity)
        patient = next((r for r in one.translated.resources if r["resourceType"] == "Patient"), None)
        person = one.translated.person
        if patient is None or one.patient_id is None or not isinstance(person, PersonKey) or not person.ids:
            raise Rejected("no-patient", "the message names no patient")
        everything = one.resources
        resources = _kept(one.translated.resources, one.data_type, patient["id"])
        self._refuse_invalid(everything, {(kept.type, kept.id): kept.hash for kept in resources})
        documents, transform, blobs = self._documents(one, patient, everything, original)
        name = one.name
        return KeptMessage(
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
        self, one: Converted, patient: dict[str, Any], resources: Sequence[dict[str, Any]], original: bytes
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
            original=original,
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
        return documents, transform.entryUUID, (self._pack(made.blob, bundle), self._pack(sent.blob, original))


def make_reader(rules: ReadingRules) -> Reader:
    """The reader of one process, built in each worker. It lives here and not in app.py because a worker imports what it
    unpickles: the web server and the database would cost each of them most of a second."""
    return Reader(rules, Validator.from_environment().remembering().check, pack)


def _kept(resources: Iterable[dict[str, Any]], data_type: str, patient: str) -> tuple[Kept, ...]:
    """Rendered and indexed; of one id given twice the first counts, as in translate/context.py."""
    found: dict[tuple[str, str], Kept] = {}
    for resource in resources:
        key = (resource["resourceType"], resource["id"])
        if key not in found:
            found[key] = kept_resource(resource, rank(key[0], data_type), patient)
    return tuple(found.values())


def _rejected(found: Found, reject: Reject) -> FileOutcome:
    return FileOutcome(found.path, found.size, found.mtime_ns, rejects=(reject,))


def _errors(one: Converted) -> list[Reject]:
    """Errors of a message that is kept, once a code: damaged bytes of a name must not cost a doctor the result."""
    found: dict[str, Reject] = {}
    for issue in one.translated.issues:
        if issue.severity in ("error", "fatal"):
            found.setdefault(issue.code, _unread(one, issue))
    return list(found.values())


def _field(where: str) -> str:
    """`OBX[3]-5.1` -> `OBX-5.1`: the same field of all segments is one line of the count."""
    segment, _, rest = where.partition("[")
    return segment + rest.partition("]")[2] if rest else where.partition(" ")[0]


def _unread(one: Converted, issue: Issue) -> Reject:
    """`where` of a message that cannot be read is `byte N`, counted in the file."""
    place = issue.where.removeprefix("byte ")
    return Reject(
        _order_no(one), int(place) if place.isdigit() else one.message_offset, issue.severity, issue.code, issue.text
    )


def _text(path: bytes) -> str:
    """For reading the name only; a name in another charset keeps its ASCII parts, which are all that SS-MIX2 uses."""
    return path.decode("utf-8", "replace")


def _order_no(one: Converted) -> str:
    """Of the message; of the file name when the message did not give one."""
    return one.order_no or (one.name.order_no if one.name else "")
