"""What one message (電文), record set or document became: the common result of every source of data."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gateway.codec.ssmix2 import FileName
from gateway.model.identity import PatientId
from gateway.model.outcome import Issue, Translated
from gateway.translate import stay
from gateway.translate.bundle import BundleType, bundle, failure

QUARANTINE = frozenset({"patient-mismatch", "no-patient", "several-patients", "truncated"})
"""Issues after which nothing of a message may be stored: it is not sure whose data they are, or whether they are all."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a message that has versions of its own: one measured record of an exchange file, say. Storage keeps
    each under its own key; the message as a whole is only its document."""

    key: tuple[str, str, str, str]
    """Like `Converted.key`."""
    version_time: str
    """17 digits; decides between versions of one key."""
    sha256: str
    """Of the piece's own bytes in their canonical form."""
    resources: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Converted:
    """What one message became."""

    source: str
    file: str
    """File name without folders."""
    message_offset: int
    sha256: str
    """Of the file when it holds one message, else of the message's own bytes."""
    original: bytes = field(default=b"", repr=False)
    """The message as it came: the second document of the registry. Of one patient only."""
    name: FileName | None = None
    facility: str = ""
    data_type: str = ""
    key: tuple[str, str, str, str] = ("", "", "", "")
    """patient, care date, data type, order number: the key of a document in SS-MIX2."""
    message_time: str = ""
    """MSH-7 as FHIR dateTime."""
    version_time: str = ""
    """17 digits: the file's timestamp, else MSH-7; decides between versions of one key."""
    patient_id: PatientId | None = None
    charset: str = ""
    line_ends: str = ""
    translated: Translated = field(default_factory=lambda: Translated(()))
    parts: tuple[Part, ...] = ()
    """Pieces with versions of their own, whose resources `translated` holds too; empty: the message is one piece."""
    error: Issue | None = None
    """Why the message could not be read at all."""

    @property
    def order_no(self) -> str:
        return self.key[3]

    @property
    def flag(self) -> str:
        return self.name.flag if self.name else "1"

    @property
    def rejected(self) -> Issue | None:
        """The reason nothing of this message may be stored, or None."""
        return self.error or next((i for i in self.translated.issues if i.code in QUARANTINE), None)

    @cached_property
    def resources(self) -> tuple[dict[str, Any], ...]:
        """All resources of this message by itself, its stay Encounter included."""
        events = self.translated.stay_events
        return (*self.translated.resources, *stay.project(events)) if events else self.translated.resources

    def to_bundle(self, kind: BundleType) -> dict[str, Any]:
        """The document `convert` prints for this message; one that could not be read holds an OperationOutcome."""
        made = bundle(self.resources, kind, sha256=self.sha256, file=self.file, flag=self.flag, timestamp=self._instant)
        reason = self.error or (self.rejected if not self.resources else None)
        if reason:
            made["type"] = "collection"
            outcome = failure(reason.severity, reason.code, reason.where, reason.text)
            made["entry"] = [{"fullUrl": f"urn:uuid:{_outcome_id(self.sha256)}", "resource": outcome}]
        return made

    @property
    def bundle(self) -> dict[str, Any]:
        """The Bundle that stands in the registry as this message's document."""
        return bundle(
            self.resources, "collection", sha256=self.sha256, file=self.file, flag="1", timestamp=self._instant
        )

    @property
    def _instant(self) -> str:
        return self.message_time if len(self.message_time) >= 19 else ""


def _outcome_id(sha256: str) -> str:
    return f"{sha256[:8]}-{sha256[8:12]}-5{sha256[13:16]}-8{sha256[17:20]}-{sha256[20:32]}"
