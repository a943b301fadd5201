"""The codes documents get in this affinity domain (共有する文書のコード), from `mappings/affinity-domain/*.csv`; a site's
rows take the place of ours (mapping_files.affinity). The only place that reads these tables.

A key is what a document is known by where it comes from: a SS-MIX2 data type (OML-11), a LOINC number of a document
type (18842-5), or `*` for everything else.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from gateway import mapping_files
from gateway.codec.ssmix2 import ExtendedType, extended_type
from gateway.model.code import Code

LOINC_OID: Final = "2.16.840.1.113883.6.1"
LOINC: Final = "http://loinc.org"
_DEFAULT: Final = "*"


@dataclass(frozen=True, slots=True)
class Tables:
    classes: dict[str, Code]
    types: dict[str, tuple[Code, str]]
    """Code and title."""
    events: dict[str, Code]
    formats: dict[str, tuple[Code, str]]
    """Code and MIME type by kind."""
    facilities: dict[str, Code]
    settings: dict[str, Code]
    confidentiality: dict[str, Code]
    content_types: dict[str, Code]
    """By the code of the documents' type."""
    languages: dict[str, str]
    resources: dict[tuple[str, str], str]
    """(FHIR type, code of its category or "") -> key of the other tables."""


@cache
def tables() -> Tables:
    """Read once a process."""
    return Tables(
        classes=_codes("class"),
        types={_key(row): (_code(row), row["title"]) for row in mapping_files.affinity("type")},
        events=_codes("event"),
        formats={_key(row): (_code(row), row["mime"]) for row in mapping_files.affinity("format")},
        facilities=_codes("facility-type"),
        settings=_codes("practice-setting"),
        confidentiality=_codes("confidentiality"),
        content_types=_codes("content-type"),
        languages={_key(row): row["language"] for row in mapping_files.affinity("language")},
        resources={_split(_key(row)): row["data_type"] for row in mapping_files.affinity("resource")},
    )


def _codes(table: str) -> dict[str, Code]:
    return {_key(row): _code(row) for row in mapping_files.affinity(table)}


def _key(row: Mapping[str, str]) -> str:
    return next(iter(row.values()))


def _code(row: Mapping[str, str]) -> Code:
    return Code(row["code"], row["scheme"], row["display"])


def _split(key: str) -> tuple[str, str]:
    type_, _, category = key.partition(" ")
    return type_, category


# -- by what a document is known by ---------------------------------------------------------------------------------


def class_and_type(key: str) -> tuple[Code, Code, str]:
    """(classCode, typeCode, title) of a data type, of a folder of the extended storage, or of a LOINC number."""
    if "^" in key:
        return folder_codes(extended_type(key))
    known = tables()
    return known.classes.get(key) or known.classes[_DEFAULT], *(known.types.get(key) or known.types[_DEFAULT])


def folder_codes(type_: ExtendedType) -> tuple[Code, Code, str]:
    """(classCode, typeCode, title) of an extended data type."""
    known = tables()
    title = type_.name or type_.loinc_name
    if found := known.types.get(type_.loinc):
        return known.classes.get(type_.loinc, known.classes[_DEFAULT]), found[0], title or found[1]
    default, default_title = known.types[_DEFAULT]
    if type_.loinc:
        type_code = Code(type_.loinc, LOINC_OID, type_.loinc_name or title)
    elif type_.code:
        type_code = Code(type_.code, type_.system or default.scheme, title or type_.code)
    else:
        type_code = default
    return known.classes[_DEFAULT], type_code, title or type_.code or default_title


def key_of(resource: Mapping[str, Any]) -> str:
    """The key of a FHIR resource that is, or stands for, a document: of a Composition the LOINC number of its type, of
    others the row of `resource.csv` for its type and category; `*` when no row has it."""
    type_ = str(resource.get("resourceType", ""))
    if type_ == "Composition":
        numbers = [one.get("code", "") for one in _coding([resource.get("type", {})]) if one.get("system") == LOINC]
        return next((number for number in numbers if number in tables().types), _DEFAULT)
    category = resource.get("category", [])
    codes = [str(one.get("code", "")) for one in _coding(category if isinstance(category, list) else [category])]
    known = tables().resources
    return next((known[type_, code] for code in (*codes, "") if (type_, code) in known), _DEFAULT)


def _coding(concepts: Iterable[Any]) -> list[Mapping[str, Any]]:
    return [one for concept in concepts if isinstance(concept, Mapping) for one in concept.get("coding", ())]


def event_code(key: str) -> Code | None:
    return tables().events.get(key)


def format_and_mime(kind: str, key: str = "") -> tuple[Code, str]:
    """(formatCode, MIME type) of one kind of document (bundle, original, cda, file), by its key where that has a row."""
    known = tables().formats
    return known.get(f"{kind} {key}") or known[kind]


def facility_type(facility: str) -> Code:
    """By the OID of the facility."""
    known = tables().facilities
    return known.get(facility) or known[_DEFAULT]


def practice_setting(department: str) -> Code:
    """By the code of the department (診療科, user table 0069), or `-`."""
    known = tables().settings
    if not department or department == "-":
        return known["-"]
    return known.get(department) or Code(department, known["department"].scheme)


def confidentiality(key: str) -> Code:
    known = tables().confidentiality
    return known.get(key) or known[_DEFAULT]


def content_type(type_code: str) -> Code:
    """contentTypeCode of a submission of documents of this type, where its sender names none."""
    known = tables().content_types
    return known.get(type_code) or known[_DEFAULT]


def language(key: str) -> str:
    known = tables().languages
    return known.get(key) or known[_DEFAULT]
