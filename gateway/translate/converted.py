"""What one message (電文), record set or document became: the common result of every source of data."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gateway.codec.document import DocumentFacts
from gateway.codec.ssmix2 import ExtendedType, FileName
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
    revised: bool = True
    """A content that replaces another is shown as its correction, which only we know of (更新日時); False: the sender says
    himself what is a correction."""


@dataclass(frozen=True, slots=True)
class FileDocument:
    """A file that is a document by itself (拡張ストレージ): not translated, registered as it is."""

    facts: DocumentFacts
    type: ExtendedType
    """Data type of its folder; names class, type and title of the registry entry."""
    care_date: str = ""
    """FHIR date of the service, or ""."""


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
    document: FileDocument | None = None
    """Set when the file is a document that is kept as it is, instead of a message."""
    outcome: dict[str, Any] | None = None
    """OperationOutcome that answers the input, where its source says how findings are answered."""
    tombstone: bool = False
    """Says only that the document of this key was deleted at `version_time`; there is no message."""
    feeds: str = ""
    """What a message of a patient identity source says (table identity-feeds): of several Patients that were added or
    revised so the newest is shown, and a merge only mentions its survivor. "" for others."""

    @property
    def order_no(self) -> str:
        """As it was sent. The key of a result in parts names its groups behind it (translate/result_parts.py)."""
        order_no, groups, _ = self.key[3].rpartition("/")
        return order_no if groups and self.parts and self.name is None else self.key[3]

    @property
    def flag(self) -> str:
        return self.name.flag if self.name else "1"

    @property
    def rejected(self) -> Issue | None:
        """The reason nothing of this message may be stored, or None."""
        return self.error or next((i for i in self.translated.issues if i.code in QUARANTINE), None)

    @property
    def issues(self) -> tuple[Issue, ...]:
        """All that is to be said of this message by itself, the reason of `error` first."""
        found = (*((self.error,) if self.error else ()), *self.translated.issues)
        if not stay.unmatched(self.translated.stay_events):
            return found
        text = "the event that is taken back is in another message; by itself this one shows nothing but the cancel"
        return (*found, Issue("information", "cancel-without-event", "MSH[1]-9", text))

    @property
    def resources(self) -> tuple[dict[str, Any], ...]:
        """All resources of this message by itself, its stay Encounter included."""
        return self._with_stay if self.translated.stay_events else self.translated.resources

    @cached_property
    def _with_stay(self) -> tuple[dict[str, Any], ...]:
        return (*self.translated.resources, *stay.project(self.translated.stay_events))

    def to_bundle(self, kind: BundleType) -> dict[str, Any]:
        """The document `convert` prints for this message; one that could not be read holds an OperationOutcome."""
        made = bundle(self.resources, kind, sha256=self.sha256, file=self.file, flag=self.flag, timestamp=self._instant)
        reason = self.error or (self.rejected if not self.resources else None)
        if reason:
            made["type"] = "collection"
            made["entry"] = [self._outcome_entry(reason)]
        elif self.outcome is not None and kind == "collection":
            made["entry"].append(self._outcome_entry(None))
        return made

    def _outcome_entry(self, reason: Issue | None) -> dict[str, Any]:
        outcome = self.outcome
        if outcome is None and reason is not None:
            outcome = failure(reason.severity, reason.code, reason.where, reason.text)
        return {"fullUrl": f"urn:uuid:{_outcome_id(self.sha256)}", "resource": outcome}

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
