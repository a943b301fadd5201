"""Who a person is: ids with their assigning authority."""

from dataclasses import dataclass
from typing import Literal, NamedTuple
from uuid import UUID

AuthorityKind = Literal["facility", "medical-id", "insurer", "community"]


@dataclass(frozen=True, slots=True)
class PatientId:
    """An id with the OID of its assigning authority (HL7 v2.5 2.A.14 CX; ITI TF-3 table 4.2.3.1.7-2)."""

    value: str
    authority: str

    @classmethod
    def parse(cls, cx: str) -> "PatientId":
        """Reads `id^^^&oid&ISO` (a namespace before the OID is tolerated). Anything else is a ValueError."""
        parts = cx.split("^")
        hd = parts[3].split("&") if len(parts) > 3 else []
        if not parts[0] or len(hd) != 3 or hd[2] != "ISO" or not hd[1]:
            raise ValueError("not a CX with an ISO authority (id^^^&oid&ISO)")
        return cls(parts[0], hd[1])

    def __str__(self) -> str:
        return f"{self.value}^^^&{self.authority}&ISO"


@dataclass(frozen=True, slots=True)
class Authority:
    """A patient-id domain this node knows (`[[authorities]]` of musubi.toml)."""

    oid: str
    namespace: str = ""
    name: str = ""
    kind: AuthorityKind = "facility"
    aliases: tuple[str, ...] = ()
    institution: str = ""
    """10-digit medical institution code; gives the JP Core patient-number system (JP_Patient.identifier)."""

    @property
    def patient_system(self) -> str:
        """Identifier.system of patient numbers: `urn:oid:1.2.392.100495.20.3.51.1<10 digits>` when we know them."""
        if self.institution:
            return f"urn:oid:1.2.392.100495.20.3.51.1{self.institution}"
        # An OID under 2.25 is a UUID in another spelling, and FHIR validators only take its arcs as a UUID.
        if self.oid.startswith("2.25."):
            return f"urn:uuid:{UUID(int=int(self.oid[5:]))}"
        return f"urn:oid:{self.oid}"


@dataclass(frozen=True, slots=True)
class PersonKey:
    """What one message says about who its patient is; the exact cross-reference works on this and nothing else."""

    ids: tuple[PatientId, ...]
    """The facility's own number first, then shared ids (medical ID, insured-person id) found in the message."""
    birth_date: str = ""
    sex: str = ""


class Facts(NamedTuple):
    """What the current files of one facility id say about its person, all taken together."""

    shared: frozenset[PatientId]
    birth_dates: frozenset[str]
    sexes: frozenset[str]


class Linked(NamedTuple):
    """The exact cross-reference of a group of facility ids that share ids with one another."""

    clusters: tuple[frozenset[PatientId], ...]
    """Facility ids that are one person; every id given is in exactly one."""
    conflicts: int
    """Shared ids whose holders contradict each other and were therefore not all linked."""
