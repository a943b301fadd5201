"""One ingested file as XDS documents (ITI TF-3: 4.2.3.2): of a message the FHIR Bundle made of it, and the message as it
came; of a file that is a document by itself (拡張ストレージ) that one.

Pure: the same facts give the same ids and the same metadata on any node, in any order, on any re-run. Codes are those of
the affinity domain (affinity_domain.py).
"""

import hashlib
import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.codec.document import DocumentFacts
from gateway.codec.ebxml_parts import MAX_VALUE
from gateway.model.code import Code
from gateway.model.document import XFRM, Association, Author, DocumentEntry
from gateway.model.identity import PatientId
from gateway.translate import affinity_domain
from gateway.translate.ids import name_uuid
from gateway.translate.times import dtm_utc, fhir_datetime, utc_range
from gateway.translate.xds_people import hl7, xcn_of

MAX_TITLE: Final = 128

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
    patient_id: PatientId
    """The facility's own id of the patient."""
    bundle: bytes = b""
    original: bytes = b""
    """Both empty for a file that is a document by itself."""
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
    bundle = _entry(source, "bundle", _Bytes.of(source.bundle), repository)
    original = _entry(source, "original", _Bytes.of(source.original), repository)
    link = association_id(XFRM, bundle.entryUUID, original.entryUUID)
    xfrm = Association(link, XFRM, bundle.entryUUID, original.entryUUID)
    return bundle, original, xfrm


def association_id(association_type: str, source: str, target: str) -> str:
    """entryUUID of the association of that type between two entries, e.g. RPLC: new entry -> old entry."""
    return f"urn:uuid:{name_uuid('association', association_type, source, target)}"


def file_entry(source: DocumentSource, facts: DocumentFacts, *, repository: str) -> DocumentEntry:
    """Entry of a file that is a document by itself. Its class and type come from its data type folder: the LOINC code
    by the tables where they have it, any other code as given there. Raises BadInput when no time can be read."""
    kind = "cda" if facts.cda is not None else "file"
    entry = _entry(source, kind, _Bytes(facts.size, facts.sha256, facts.sha1), repository)
    title = facts.cda.title if facts.cda is not None and facts.cda.title else entry.title
    return replace(entry, mimeType=facts.mime, title=_short(title))


def _short(title: str) -> str:
    """XDSDocumentEntry.title has 128 characters (ITI TF-3: table 4.2.3.2-1); the document itself has it whole."""
    return title if len(title) <= MAX_TITLE else title[: MAX_TITLE - 1] + "…"


def entry_number(source: DocumentSource, sha256: str, kind: str) -> str:
    """The UUID behind entryUUID and uniqueId."""
    return name_uuid("document", source.facility, *source.key, source.timestamp, sha256, kind)


def _unique_id(number: str) -> str:
    """The same number under the arc of UUIDs (ITU-T X.667)."""
    return f"2.25.{uuid.UUID(number).int}"


def unique_uri(number: str) -> str:
    """uniqueId as the masterIdentifier of a DocumentReference (ITI TF-3: 4.5.1.1)."""
    return f"urn:oid:{_unique_id(number)}"


@dataclass(frozen=True, slots=True)
class _Bytes:
    """What an entry says of the bytes it stands for."""

    size: int
    sha256: str
    sha1: str

    @classmethod
    def of(cls, content: bytes) -> "_Bytes":
        sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        return cls(len(content), hashlib.sha256(content).hexdigest(), sha1)


def _entry(source: DocumentSource, kind: str, content: _Bytes, repository: str) -> DocumentEntry:
    number = entry_number(source, content.sha256, kind)
    format_code, mime = affinity_domain.format_and_mime(kind, source.data_type)
    class_code, type_code, title = affinity_domain.class_and_type(source.data_type)
    event = affinity_domain.event_code(source.data_type)
    return DocumentEntry(
        entryUUID=f"urn:uuid:{number}",
        uniqueId=_unique_id(number),
        patientId="",
        sourcePatientId=str(source.patient_id),
        mimeType=mime,
        classCode=class_code,
        typeCode=type_code,
        formatCode=format_code,
        healthcareFacilityTypeCode=affinity_domain.facility_type(source.facility),
        practiceSettingCode=affinity_domain.practice_setting(source.department),
        confidentialityCode=(_confidentiality(source),),
        creationTime=_creation_time(source),
        languageCode=affinity_domain.language(source.data_type),
        repositoryUniqueId=repository,
        hash=content.sha1,
        size=content.size,
        blob=content.sha256,
        title=title,
        serviceStartTime=dtm_utc(source.service_start) if source.service_start else "",
        serviceStopTime=dtm_utc(source.service_stop) if source.service_stop else "",
        sourcePatientInfo=source.source_patient_info,
        author=source.author,
        eventCodeList=(event,) if event else (),
    )


def _confidentiality(source: DocumentSource) -> Code:
    """Of the data type; higher when a resource of the Bundle is labelled higher: what hides the resource hides the
    documents it stands in, the original message too."""
    code = affinity_domain.confidentiality(source.data_type)
    found = [label.decode() for label in _LABEL.findall(source.bundle)]
    highest = max([code.code, *found], key=lambda label: _LEVELS.find(label))
    return code if highest == code.code else Code(highest, code.scheme, highest)


_LABEL: Final = re.compile(rb'CodeSystem/v3-Confidentiality","code":"([A-Z])"')
_LEVELS: Final = "ULMNRV"


def _creation_time(source: DocumentSource) -> str:
    """DTM in UTC: of the file version, else of the message."""
    local = fhir_datetime(source.timestamp, source.zone) if source.timestamp else None
    return dtm_utc(local or source.message_time)


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


_AUTHOR: Final = {
    "MedicationRequest": ("requester",),
    "ServiceRequest": ("requester",),
    "NutritionOrder": ("orderer",),
    "Condition": ("recorder", "asserter"),
    "AllergyIntolerance": ("recorder",),
    "DiagnosticReport": ("resultsInterpreter", "performer"),
}
"""Elements that name who wrote what a file documents. The orderer of a test did not write its result."""


def authors(resources: Sequence[dict[str, Any]], institution: str, oid: str) -> tuple[Author, ...]:
    """Who wrote the documents of one file (ITI TF-3: 4.2.3.2.1): each doctor named as such, in message order, and the
    facility (name and OID) as authorInstitution; the facility alone when nobody is named and its name is known.

    Values that ebRIM cannot carry are left out, as in `source_patient_info`.
    """
    xon = f"{hl7(institution)}^^^^^^^^^{oid}" if institution else ""
    where = (xon,) if xon and len(xon) <= MAX_VALUE else ()
    doctors = {f"Practitioner/{one['id']}": one for one in resources if one["resourceType"] == "Practitioner"}
    people: dict[str, None] = {}
    for resource in resources:
        for element in _AUTHOR.get(resource["resourceType"], ()):
            named = resource.get(element, ())
            for reference in named if isinstance(named, list) else [named]:
                doctor = doctors.get(reference.get("reference", "")) if reference else None
                if doctor is not None and (xcn := xcn_of(doctor)):
                    people[xcn] = None
    if people:
        return tuple(Author(person, where) for person in people)
    return (Author(institution=where),) if where else ()
