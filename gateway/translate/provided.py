"""What is made of a Provide Document Bundle (IHE MHD 2:3.65.4.1.2), what is wrong with it, and what reading it needs to know."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from gateway.model.document import Association, DocumentEntry, Folder, SubmissionSet

Level = Literal["Minimal", "UnContained.Comprehensive", "Comprehensive"]
METADATA: Final = "XDSRepositoryMetadataError"


class Problem(NamedTuple):
    code: str
    """ITI TF-3 table 4.2.4.1-2"""
    text: str
    where: str
    """FHIRPath"""


class Person(NamedTuple):
    """Who a subject is: CX of the affinity domain, and the CX by which the source names the person."""

    patientId: str
    sourcePatientId: str
    reference: str
    """`Patient/id`, or empty."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the server knows."""

    base: str
    person: Callable[[Mapping[str, Any], Mapping[str, Any] | None], Person | None]
    """(Reference of a subject, the Patient in the Bundle it leads to) -> who; None when nobody is known by it."""
    resource: Callable[[str], Mapping[str, Any] | None]
    """`Type/id` -> the resource of this server."""
    document: Callable[[str], str]
    """uniqueId -> entryUUID of a registered document, or ""."""
    new_uuid: Callable[[], str]
    """`urn:uuid:...`"""
    render_xml: Callable[[dict[str, Any]], bytes]
    render_json: Callable[[dict[str, Any]], bytes]


@dataclass(slots=True)
class Provided:
    """One submission."""

    level: Level
    submission: SubmissionSet | None = None
    entries: list[DocumentEntry] = field(default_factory=list)
    folders: list[Folder] = field(default_factory=list)
    associations: list[Association] = field(default_factory=list)
    documents: dict[str, bytes] = field(default_factory=dict)
    """entryUUID -> bytes"""
    places: list[str] = field(default_factory=list)
    """One a Bundle.entry: `Type/id` of what became of it; "" where nothing new did."""
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    person: Person | None = None
