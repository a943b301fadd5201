"""Who a person is: ids with their assigning authority."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
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


StatementKind = Literal["merge", "change-id", "link", "unlink", "delete", "undo", "issue"]
"""`issue`: a shared id was given to a record. It links nobody by itself; the record's own facts do."""


class Statement(NamedTuple):
    """What a source or a person said outright about who is whom. Statements are never changed; `undo` takes one back."""

    kind: StatementKind
    one: PatientId
    """The survivor of a merge, the new id of a change, one of a link; the record that is deleted."""
    other: PatientId
    """The subsumed id, the old id, the other of a link; `one` again where there is only one."""
    event_time: str
    """17 digits; statements count in this order, whenever they come."""
    hash: str
    """SHA-256 of what was said, by whom and under which control id: the same statement again is no news."""
    who: str = ""
    transaction: str = ""
    rule: str = ""
    """Why: the words of whoever said it; empty for a message."""
    undoes: str = ""
    """Hash of the statement that an `undo` takes back."""


def standing(statements: Iterable[Statement]) -> list[Statement]:
    """Statements that no other takes back; an `undo` may be undone too."""
    known = {one.hash: one for one in statements}
    undone: dict[str, list[str]] = {}
    for one in known.values():
        if one.kind == "undo":
            undone.setdefault(one.undoes, []).append(one.hash)

    def stands(hash_: str) -> bool:
        # Depth is the number of undos of undos; nobody can name a statement that is not there yet.
        return not any(stands(by) for by in undone.get(hash_, ()))

    return [one for one in known.values() if one.kind != "undo" and stands(one.hash)]


def subsumed_by(statements: Iterable[Statement]) -> dict[PatientId, PatientId]:
    """Id -> the id that took its place. Merges count in order of their event; one that would close a circle, or retire
    an id twice, counts for nothing."""
    found: dict[PatientId, PatientId] = {}
    for one in sorted(standing(statements), key=lambda one: (one.event_time, one.hash)):
        if one.kind in ("merge", "change-id") and one.other not in found and resolve(one.one, found) != one.other:
            found[one.other] = one.one
    return found


def resolve(id_: PatientId, subsumed: Mapping[PatientId, PatientId]) -> PatientId:
    """The id that stands for this one today."""
    while id_ in subsumed:
        id_ = subsumed[id_]
    return id_


class Pair(NamedTuple):
    """What matching, or a person, thinks of two records."""

    one: PatientId
    other: PatientId
    outcome: str
    """model.person.Outcome"""
    probability: Decimal
    rule: str
    decision: str = ""
    """model.person.Decision of a person; stands above what matching thinks."""


class Linked(NamedTuple):
    """The cross-reference of a group of facility ids that are tied to one another by anything at all."""

    clusters: tuple[frozenset[PatientId], ...]
    """Facility ids that are one person; every id given is in exactly one."""
    conflicts: int
    """Shared ids whose holders contradict each other and were therefore not all linked."""
    subsumed: tuple[tuple[PatientId, PatientId], ...] = ()
    """(id, the id that took its place in a merge or a change of number)"""
    held: frozenset[tuple[PatientId, PatientId]] = frozenset()
    """Pairs matching would link, and something else forbids: people have to look at them."""
