"""What a translation is told from outside, and where it collects what it found."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from gateway.model.identity import Authority, PatientId
from gateway.model.outcome import Issue, Lineage, Residue, StayEvent, Unmapped
from gateway.translate.exchange_spec.registers import Registers
from gateway.translate.ids import derived_oid, name_uuid

Resource = dict[str, Any]

_REMEMBERED = 64
"""Facilities, and ways to name them, that are kept in memory; then it starts again."""


class Facilities:
    """The authorities this node knows, found by OID, namespace, alias or institution number."""

    def __init__(
        self,
        authorities: Iterable[Authority] = (),
        patient: PatientId | None = None,
        exchange: Registers | None = None,
    ) -> None:
        self.exchange = exchange or Registers()
        """Registration lists and limits of the exchange convention (健康情報等交換規約)."""
        self.patient = patient
        """Whose the inputs are, where they cannot say it themselves (a notebook has no patient number)."""
        self._by_name: dict[str, Authority] = {}
        self._memory: dict[Authority, dict[Any, dict[Any, Any]]] = {}
        self._resolved: dict[tuple[str, str, str], tuple[Authority, tuple[Issue, ...]]] = {}
        self.insurer = ""
        for authority in authorities:
            for name in (authority.oid, authority.namespace, authority.institution, *authority.aliases):
                if name:
                    self._by_name[name] = authority
            if authority.kind == "insurer":
                self.insurer = authority.oid

    def find(self, name: str) -> Authority | None:
        return self._by_name.get(name)

    def memory(self, facility: Authority) -> dict[Any, dict[Any, Any]]:
        """What translation remembers of a facility's segments (translate/rules.py). Facilities nobody configured can
        be many, so their number is bounded."""
        known = self._memory.get(facility)
        if known is None:
            if len(self._memory) >= _REMEMBERED:
                self._memory.clear()
            known = self._memory[facility] = {}
        return known

    def resolve(self, override: str, msh4: str, root: str) -> tuple[Authority, tuple[Issue, ...]]:
        """Which facility a message belongs to: the override wins, else MSH-4, else the storage's root folder.

        A name nobody configured still needs one stable OID, so it gets a derived one and a warning; two names that
        disagree are a warning too (docs/commands.md, "Facility"). Remembered: a storage says the same in every file.
        """
        asked = (override, msh4, root)
        known = self._resolved.get(asked)
        if known is None:
            if len(self._resolved) >= _REMEMBERED:
                self._resolved.clear()
            known = self._resolved[asked] = self._resolve(override, msh4, root)
        return known

    def _resolve(self, override: str, msh4: str, root: str) -> tuple[Authority, tuple[Issue, ...]]:
        namespace, universal = (part.strip(" ") for part in [*msh4.split("^"), ""][:2])
        by_msh4 = self.find(namespace) or self.find(universal)
        institution = _institution(root)
        by_root = self.find(root) or self.find(root.partition("_")[0]) or self.find(institution)
        if override:
            chosen = self.find(override) or Authority(override)
            return chosen, _disagreement(chosen, by_msh4, "MSH[1]-4")
        if by_msh4:
            return by_msh4, _disagreement(by_msh4, by_root, "root folder")
        if by_root:
            return by_root, ()
        name = namespace or institution or root or "unknown"
        text = "the facility is not in [[authorities]]; ids are made under an OID derived from its name"
        unknown = Authority(derived_oid("facility", name), namespace, name="", institution=institution)
        return unknown, (Issue("warning", "facility-unknown", "MSH[1]-4", text),)


def _institution(root: str) -> str:
    """The medical institution number (医療機関番号, 10 digits) that a root folder's name begins with, else "". What follows
    is the volume (`_STD01`, `-2`, ` (歯科)`): all volumes of one facility are one storage."""
    digits = root[:10]
    return digits if len(digits) == 10 and digits.isascii() and digits.isdigit() and not root[10:11].isdigit() else ""


def _disagreement(chosen: Authority, other: Authority | None, where: str) -> tuple[Issue, ...]:
    if other is None or other.oid == chosen.oid:
        return ()
    return (Issue("warning", "facility-conflict", where, "names another known facility than the one used"),)


@dataclass(slots=True)
class Context:
    """One message on its way through translation. Mutable on purpose and never shared between messages."""

    facility: Authority
    facilities: Facilities
    data_type: str
    """SS-MIX2 data type, e.g. OML-11; decides the structure before MSH-9 does."""
    key: tuple[str, str, str, str] = ("", "", "", "")
    """Business key of the message: patient, care date, data type, order number."""
    filed: bool = False
    """The message is a file of a storage, whose name gives the key; else the key is made of its content."""
    patient: str = ""
    """Logical id of the Patient."""
    message_time: str = ""
    """MSH-7 as FHIR dateTime."""
    version_time: str = ""
    """17 digits: when this version was made."""
    source: str = ""
    """Name of the message among all: facility, key and hash."""
    zone: str = "+09:00"
    """SS-MIX2 timestamps carry no offset; Japan has one."""
    resources: dict[tuple[str, str], Resource] = field(default_factory=dict)
    """By (type, id), in message order."""
    issues: list[Issue] = field(default_factory=list)
    residue: list[Residue] = field(default_factory=list)
    unmapped: list[Unmapped] = field(default_factory=list)
    lineage: list[Lineage] | None = None
    """A list when `--explain` was asked for, else None: lineage costs time."""
    events: list[StayEvent] = field(default_factory=list)
    insured: list[str] = field(default_factory=list)
    """Insured-person ids that the message gives its patient."""
    seen: dict[tuple[str, ...], int] = field(default_factory=dict)
    memory: dict[Any, dict[Any, Any]] = field(default_factory=dict)
    """Of the facility: what equal segments gave before."""
    at: int = 0
    """Number of the HL7 field whose row is running: where a converter's finding is."""

    def id(self, type_: str, *key: str) -> str:
        """`ids.resource_id` of this facility."""
        return name_uuid(self.facility.oid, type_, *key)

    def nth(self, *key: str) -> str:
        """Empty for the first use of a key, `#2`, `#3` ... for its duplicates: ids must not depend on position,
        because a preliminary report grows."""
        count = self.seen.get(key, 0) + 1
        self.seen[key] = count
        return "" if count == 1 else f"#{count}"

    def add(self, resource: Resource) -> Resource:
        """Keeps a resource in message order; the first of an id stays in place."""
        return self.resources.setdefault((resource["resourceType"], resource["id"]), resource)

    def issue(self, severity: str, code: str, where: str, text: str) -> None:
        self.issues.append(Issue(severity, code, where, text))

    @property
    def person(self) -> Resource:
        """The Patient of the message."""
        return self.resources["Patient", self.patient]

    def subject(self) -> dict[str, str]:
        return {"reference": f"Patient/{self.patient}"}

    def keep(self, where: str, value: str) -> None:
        """A value that could not be mapped: kept as residue."""
        self.residue.append(Residue(where, value))
