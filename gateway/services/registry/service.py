"""What the changing transactions work with, and what they hand in and get back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Final, NamedTuple

from gateway.codec.ebxml_submit import Metadata
from gateway.model.audit import AuditRecord
from gateway.model.clock import Chance, Clock
from gateway.model.document import STABLE
from gateway.ports import Blobs, Received, Registering

NOTIFY_DOCUMENT: Final = "notify-document"
"""Outbox job of one new DocumentEntry; its payload is the entryUUID."""
NOTIFY_SUBMISSION: Final = "notify-submission"
"""Outbox job of one SubmissionSet; its payload is the entryUUID."""


@dataclass(frozen=True, slots=True)
class RegistryServices:
    """Built in gateway.app."""

    registering: Registering
    blobs: Blobs
    repository: str
    """repositoryUniqueId of this node."""
    clock: Clock = field(default_factory=Clock)
    chance: Chance = field(default_factory=Chance)
    max_document_bytes: int = 1024 * 1024 * 1024

    def now(self) -> str:
        """DTM, UTC."""
        return self.clock.now().astimezone(UTC).strftime("%Y%m%d%H%M%S")


class Submitted(NamedTuple):
    """A submission that is stored."""

    submissionSet: str
    """entryUUID"""
    patient: str
    """CX as submitted."""
    names: Mapping[str, str]
    """Id in the submission -> entryUUID."""
    warnings: tuple[str, ...] = ()
    """What was left out: XDSExtraMetadataNotSaved."""
    repeated: bool = False
    """The same message was stored before, and nothing was stored now."""


@dataclass(frozen=True, slots=True)
class Submission:
    """Everything of one submission, whatever wire it came on."""

    metadata: Metadata
    audit: Callable[[Submitted], AuditRecord]
    """The record that is stored with it."""
    documents: Mapping[str, Received] | None = None
    """Id of the entry in `metadata` -> its bytes, for a repository (ITI-41, ITI-65); None: the bytes are elsewhere and
    the metadata say all (ITI-42)."""
    object_type: str = STABLE
    """STABLE, or ON_DEMAND (ITI-61)."""
    message_id: str = ""
    digest: bytes = b""
    """Of everything that was submitted: the same `message_id` with the same digest is stored once. Both empty: a
    submission that cannot be repeated."""
