"""What the translation of one notebook knows and collects, and the small FHIR pieces its modules share."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from gateway import mapping_files
from gateway.codec.jahistc import Record, layout
from gateway.model.identity import Authority
from gateway.model.outcome import Issue, Lineage, Residue
from gateway.translate.ids import resource_id

Resource = dict[str, Any]

BASE = "https://musubi.invalid/StructureDefinition/"
RECORD_SYSTEM = "https://musubi.invalid/CodeSystem/jahistc-record"
"""Kinds of records (手帳のレコード番号) as codes: no published system has them."""
FORM_SYSTEM = "https://musubi.invalid/CodeSystem/jahistc-form"
RECEIPT_SYSTEM = "https://musubi.invalid/CodeSystem/receipt-drug-code"
"""Codes of receipt computing (レセプト電算処理システム用コード): JP Core has no system for them."""
CREATOR_SYSTEM = "https://musubi.invalid/CodeSystem/jahistc-creator"
JAN_SYSTEM = "https://musubi.invalid/CodeSystem/JAN"
CITE = "JAHIS 24-104 (Ver.2.6)"


@dataclass(slots=True)
class Making:
    """One notebook on its way to FHIR."""

    facility: Authority
    """Whose code systems and ids are meant where the notebook names no institution."""
    patient: str
    """Logical id of the Patient."""
    resources: dict[tuple[str, str], Resource] = field(default_factory=dict)
    homes: list[tuple[Record, Resource | None]] = field(default_factory=list)
    """Every record in order with the resource that says it; None: the order of records keeps it (layout.py)."""
    creators: dict[str, list[Resource]] = field(default_factory=dict)
    """Creator code (作成者) -> what it made."""
    adrift: set[int] = field(default_factory=set)
    """Records (by `id()`) that belong to nothing in their block."""
    issues: list[Issue] = field(default_factory=list)
    residue: list[Residue] = field(default_factory=list)
    lineage: list[Lineage] | None = None
    seen: dict[tuple[str, ...], int] = field(default_factory=dict)

    def id(self, type_: str, *key: str) -> str:
        """Of the person's things: by patient and content, never by the place in the file."""
        count = self.seen[type_, *key] = self.seen.get((type_, *key), 0) + 1
        again = () if count == 1 else (f"#{count}",)
        return resource_id(self.facility.oid, type_, "jahistc", self.patient, *key, *again)

    def add(self, resource: Resource) -> Resource:
        return self.resources.setdefault((resource["resourceType"], resource["id"]), resource)

    def house(self, record: Record, resource: Resource | None) -> None:
        """Notes where a record's content stands, and who made it."""
        self.homes.append((record, resource))
        creator = record.item("creator")
        if creator and resource is not None:
            made = self.creators.setdefault(creator, [])
            if resource not in made:
                made.append(resource)

    def subject(self) -> dict[str, str]:
        return {"reference": f"Patient/{self.patient}"}

    def warn(self, code: str, record: Record, item: str, text: str) -> None:
        self.issues.append(Issue("warning", code, place(record, item), text))

    def account(self, layout: str) -> None:
        """Last of all: what no resource says is residue (a record nobody knows or that belongs to nothing, items behind
        the last known one); of the rest, lineage for what only the order of the records keeps. `layout`: element
        that holds it."""
        told = {row.source for row in self.lineage or ()}
        for record, home in self.homes:
            known = items_of(record.number)
            if not known or id(record) in self.adrift or (record.number == "31" and home is None):
                self.residue.append(Residue(f"{place(record)}, record {record.number}", ",".join(record.items)))
                continue
            more = [value for value in record.items[len(known) :] if value.strip(" \u3000")]
            if more:
                self.residue.append(Residue(f"{place(record)}, record {record.number}", ",".join(more)))
            left = [item for item in known if record.item(item) and place(record, item) not in told]
            self.from_(layout, record, *left)

    def from_(self, target: str, record: Record, *items: str) -> None:
        """Lineage of one element, when it is wanted."""
        if self.lineage is not None:
            rule = f"jahistc/{record.number}"
            self.lineage += [
                Lineage(target, place(record, item), rule, "", CITE) for item in items if record.item(item)
            ]


def place(record: Record, item: str = "") -> str:
    """`line 7, column 3 (201.name)`: where a person finds the item in the file."""
    if not item:
        return f"line {record.line}"
    return f"line {record.line}, column {column(record.number, item)}"


@cache
def items_of(number: str) -> tuple[str, ...]:
    """Names of a record's items in order; of a record nobody knows none."""
    return tuple(item.name for item in layout().get(number, ("", ()))[1])


@cache
def column(number: str, item: str) -> int:
    """Column of an item, counted from 1 with the record number as the first."""
    return items_of(number).index(item) + 2


@cache
def codes(name: str) -> dict[str, tuple[str, str]]:
    """Code -> (FHIR target, Japanese words) of one list in codes.csv."""
    rows = mapping_files.read_csv(mapping_files.path("jahistc", "codes.csv"))
    return {row["code"]: (row["target"], row["ja"]) for row in rows if row["list"] == name}


@cache
def forms() -> dict[str, dict[str, str]]:
    return {row["code"]: row for row in mapping_files.read_csv(mapping_files.path("jahistc", "forms.csv"))}


def record_concept(number: str, words: str) -> Resource:
    return {"coding": [{"system": RECORD_SYSTEM, "code": number, "display": words}]}


def is_record(concept: Resource, number: str) -> bool:
    """Whether a concept is that of `record_concept(number, ...)`."""
    return any((c.get("system"), c.get("code")) == (RECORD_SYSTEM, number) for c in concept.get("coding", ()))
