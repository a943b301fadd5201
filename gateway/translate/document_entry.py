"""One ingested file as two XDS documents: the FHIR Bundle made of it, and the message as it came (ITI TF-3: 4.2.3.2).

Pure: the same facts give the same ids and the same metadata on any node, in any order, on any re-run. Codes come from
`mappings/affinity-domain/*.csv`, one row a SS-MIX2 data type.
"""

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from gateway import mapping_files
from gateway.codec.ebxml import MAX_VALUE
from gateway.model.code import Code
from gateway.model.document import XFRM, Association, Author, DocumentEntry
from gateway.model.identity import PatientId
from gateway.translate.ids import name_uuid
from gateway.translate.times import dtm_utc, fhir_datetime, utc_range

LANGUAGE: Final = "ja-JP"

_GENDER: Final = {"male": "M", "female": "F", "other": "O", "unknown": "U"}
"""administrative-gender back to HL7 table 0001, which PID-8 of sourcePatientInfo is written in."""

_MAIN_DATE: Final = {
    "Observation": "effective",
    "DiagnosticReport": "effective",
    "MedicationAdministration": "effective",
    "Procedure": "performed",
    "Encounter": "period",
    "Immunization": "occurrence",
    "MedicationRequest": "authoredOn",
    "ServiceRequest": "authoredOn",
    "NutritionOrder": "dateTime",
}
"""Element that says when the service a resource documents was given."""


@dataclass(frozen=True, slots=True)
class DocumentSource:
    """What one file says about the two documents made of it."""

    facility: str
    """OID of the facility; also the authority of `patient_id`."""
    key: tuple[str, ...]
    """Business key of the document without facility and version: patient, care date, data type, order number."""
    data_type: str
    """SS-MIX2 data type such as OML-11; one without a row in the tables gets the default codes."""
    timestamp: str
    """17 digits of the file name (when this version was made, on the hospital's clock), or empty."""
    message_time: str
    """MSH-7 as FHIR dateTime, or empty; creationTime when there is no file timestamp."""
    bundle: bytes
    original: bytes
    patient_id: PatientId
    """The facility's own id of the patient."""
    department: str = "-"
    """Code of user table 0069 (診療科), or `-`."""
    source_patient_info: tuple[str, ...] = ()
    service_start: str = ""
    """FHIR date or dateTime; empty when the file says nothing about it."""
    service_stop: str = ""
    author: tuple[Author, ...] = ()
    zone: str = "+09:00"


def entries(source: DocumentSource, *, repository: str) -> tuple[DocumentEntry, DocumentEntry, Association]:
    """(entry of the Bundle, entry of the original message, XFRM Bundle -> original).

    entryUUID is name-based on facility, key, version timestamp, SHA-256 of the document's bytes and the kind;
    uniqueId is the same number under 2.25, so one uniqueId always means the same bytes. `patientId` is left empty:
    only the registry knows which enterprise patient a facility's id belongs to. Raises BadInput when no time of
    creation can be read.
    """
    bundle = _entry(source, "bundle", source.bundle, repository)
    original = _entry(source, "original", source.original, repository)
    link = association_id(XFRM, bundle.entryUUID, original.entryUUID)
    xfrm = Association(link, XFRM, bundle.entryUUID, original.entryUUID)
    return bundle, original, xfrm


def association_id(association_type: str, source: str, target: str) -> str:
    """entryUUID of the association of that type between two entries, e.g. RPLC: new entry -> old entry."""
    return f"urn:uuid:{name_uuid('association', association_type, source, target)}"


def _entry(source: DocumentSource, kind: str, content: bytes, repository: str) -> DocumentEntry:
    codes = _codes()
    sha256 = hashlib.sha256(content).hexdigest()
    number = name_uuid("document", source.facility, *source.key, source.timestamp, sha256, kind)
    format_code, mime = codes.formats[kind]
    type_code, title = codes.types.get(source.data_type) or codes.types["*"]
    event = codes.events.get(source.data_type)
    return DocumentEntry(
        entryUUID=f"urn:uuid:{number}",
        uniqueId=f"2.25.{uuid.UUID(number).int}",
        patientId="",
        sourcePatientId=str(source.patient_id),
        mimeType=mime,
        classCode=codes.classes.get(source.data_type) or codes.classes["*"],
        typeCode=type_code,
        formatCode=format_code,
        healthcareFacilityTypeCode=codes.facilities.get(source.facility) or codes.facilities["*"],
        practiceSettingCode=_practice_setting(source.department),
        confidentialityCode=(codes.confidentiality.get(source.data_type) or codes.confidentiality["*"],),
        creationTime=_creation_time(source),
        languageCode=LANGUAGE,
        repositoryUniqueId=repository,
        hash=hashlib.sha1(content, usedforsecurity=False).hexdigest(),
        size=len(content),
        blob=sha256,
        title=title,
        serviceStartTime=dtm_utc(source.service_start) if source.service_start else "",
        serviceStopTime=dtm_utc(source.service_stop) if source.service_stop else "",
        sourcePatientInfo=source.source_patient_info,
        author=source.author,
        eventCodeList=(event,) if event else (),
    )


def _creation_time(source: DocumentSource) -> str:
    """DTM in UTC: of the file version, else of the message."""
    local = fhir_datetime(source.timestamp, source.zone) if source.timestamp else None
    return dtm_utc(local or source.message_time)


def _practice_setting(department: str) -> Code:
    settings = _codes().settings
    if not department or department == "-":
        return settings["-"]
    return Code(department, settings["department"].scheme)


# -- from resources ----------------------------------------------------------------------------------------------


def service_period(resources: Iterable[dict[str, Any]]) -> tuple[str, str]:
    """(earliest start, latest end) of the services a file documents, as the FHIR values stand there; empty when none.

    Which element counts is `_MAIN_DATE`. Values compare by the time they cover, so a day and an instant may meet.
    """
    starts: list[str] = []
    stops: list[str] = []
    for resource in resources:
        element = _MAIN_DATE.get(resource["resourceType"])
        if element is None:
            continue
        period = resource.get(element if element == "period" else f"{element}Period")
        single = resource.get(f"{element}DateTime") or resource.get(f"{element}Instant") or resource.get(element)
        if isinstance(period, dict):
            starts += filter(None, [period.get("start")])
            stops += filter(None, [period.get("end")])
        elif isinstance(single, str):
            starts.append(single)
            stops.append(single)
    return (
        min(starts, key=utc_range, default=""),
        max(stops, key=lambda value: (utc_range(value)[1], utc_range(value)[0]), default=""),
    )


def source_patient_info(patient_id: PatientId, patient: dict[str, Any] | None) -> tuple[str, ...]:
    """Slot values `PID-3|..` to `PID-11|..` (ITI TF-3: 4.2.3.2.24) from the Patient the file was translated to.

    A PID-5 repetition for each name. A value ebRIM cannot carry (256 characters) is left out here: the documents
    themselves hold it whole, and half an address is worse than none.
    """
    values = [f"PID-3|{patient_id}"]
    if patient is not None:
        values += [f"PID-5|{name}" for name in map(_xpn, patient.get("name", ())) if name]
        if birth := patient.get("birthDate", ""):
            values.append(f"PID-7|{birth.replace('-', '')}")
        if gender := _GENDER.get(patient.get("gender", "")):
            values.append(f"PID-8|{gender}")
        values += [f"PID-11|{address}" for address in map(_xad, patient.get("address", ())) if address]
    return tuple(value for value in values if len(value) <= MAX_VALUE)


def _hl7(text: str) -> str:
    """Delimiters of HL7 v2 inside a component, escaped (v2.5 2.7)."""
    return (
        text.replace("\\", "\\E\\")
        .replace("|", "\\F\\")
        .replace("^", "\\S\\")
        .replace("&", "\\T\\")
        .replace("~", "\\R\\")
    )


def _components(values: Sequence[str]) -> str:
    return "^".join(map(_hl7, values)).rstrip("^")


def _xpn(name: dict[str, Any]) -> str:
    family, given = name.get("family", ""), name.get("given", ())
    return _components((family, *given[:1], " ".join(given[1:]))) if family or given else _hl7(name.get("text", ""))


def _xad(address: dict[str, Any]) -> str:
    lines = address.get("line", ())
    street = " ".join(lines) if lines else address.get("text", "")
    return _components(
        (street, "", address.get("city", ""), address.get("state", ""), address.get("postalCode", ""),
         address.get("country", ""))
    )  # fmt: skip


# -- tables ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Codes:
    classes: dict[str, Code]
    types: dict[str, tuple[Code, str]]
    """Code and title."""
    events: dict[str, Code]
    formats: dict[str, tuple[Code, str]]
    """Code and MIME type by kind."""
    facilities: dict[str, Code]
    settings: dict[str, Code]
    confidentiality: dict[str, Code]


@cache
def _codes() -> _Codes:
    """The affinity domain's tables, read once a process."""
    return _Codes(
        classes={row["data_type"]: _code(row) for row in _rows("class")},
        types={row["data_type"]: (_code(row), row["title"]) for row in _rows("type")},
        events={row["data_type"]: _code(row) for row in _rows("event")},
        formats={row["kind"]: (_code(row), row["mime"]) for row in _rows("format")},
        facilities={row["facility"]: _code(row) for row in _rows("facility-type")},
        settings={row["department"]: _code(row) for row in _rows("practice-setting")},
        confidentiality={row["data_type"]: _code(row) for row in _rows("confidentiality")},
    )


def _rows(table: str) -> list[dict[str, str]]:
    return list(mapping_files.read_csv(mapping_files.path("affinity-domain", f"{table}.csv")))


def _code(row: dict[str, str]) -> Code:
    return Code(row["code"], row["scheme"], row["display"])
