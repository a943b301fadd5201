"""Which documents are made on demand, by the LOINC code of an entry's typeCode, and their sections."""

from dataclasses import dataclass
from functools import cache
from typing import Final

from gateway import mapping_files

LOINC: Final = "2.16.840.1.113883.6.1"
FHIR: Final = "application/fhir+json"
CDA: Final = "text/xml"
FORMS: Final = (FHIR, CDA)
"""mimeType of an entry -> the form of its document; CDA for the summary alone."""


@dataclass(frozen=True, slots=True)
class Section:
    """One section of a document."""

    name: str
    title: str
    loinc: str
    display: str
    types: tuple[str, ...]
    """FHIR resource types."""
    categories: frozenset[str]
    """Codes one of which a resource's category has; empty: all."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One document."""

    name: str
    title: str
    loinc: str
    display: str
    sections: tuple[Section, ...]


@cache
def kinds() -> dict[str, Kind]:
    """By name."""
    sections: dict[str, list[Section]] = {}
    for row in mapping_files.read_csv(mapping_files.path("on-demand", "sections.csv")):
        section = Section(
            row["section"], f"{row['title_ja']} / {row['title_en']}", row["loinc"], row["loinc_display"],
            tuple(row["types"].split()), frozenset(row["categories"].split()),
        )  # fmt: skip
        sections.setdefault(row["document"], []).append(section)
    return {
        row["document"]: Kind(
            row["document"], f"{row['title_ja']} / {row['title_en']}", row["loinc"], row["loinc_display"],
            tuple(sections[row["document"]]),
        )
        for row in mapping_files.read_csv(mapping_files.path("on-demand", "documents.csv"))
    }  # fmt: skip


def kind_of(type_code: str, mime_type: str) -> Kind | None:
    """The document behind an entry; None: this node makes none for it."""
    found = next((kind for kind in kinds().values() if kind.loinc == type_code), None)
    if found is None or mime_type not in FORMS or (mime_type == CDA and found.name != "summary"):
        return None
    return found
