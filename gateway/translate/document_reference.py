"""A DocumentEntry of the registry as a DocumentReference (IHE MHD 4.2, 3:4.5.1.1; StructureDefinition
IHE.MHD.Comprehensive.DocumentReference) and the words both directions share. Pure.

Nothing is made up: what the entry does not say is absent, and an entry that says too little for the comprehensive profile
declares the minimal one. `date` is creationTime where that is precise to the second, as MHD 3 mapped it; the registry
knows no other time of the reference itself.
"""

import uuid
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from gateway.model.document import (
    APND,
    APPROVED,
    DEPRECATED,
    IS_SNAPSHOT_OF,
    ON_DEMAND,
    RPLC,
    SIGNS,
    XFRM,
    XFRM_RPLC,
    DocumentEntry,
)
from gateway.model.identity import PatientId
from gateway.translate import code_system, times, xds_people

Json = dict[str, Any]

MHD: Final = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/"
URI_SYSTEM: Final = "urn:ietf:rfc:3986"
OID: Final = "urn:oid:"
UUID: Final = "urn:uuid:"
HOME: Final = f"{MHD}ihe-HomeCommunityId"
REPOSITORY: Final = "https://musubi.invalid/StructureDefinition/repositoryUniqueId"
"""MHD has no element for it and leaves it to the URL; a consumer that speaks XDS too wants the number itself."""
ENCOUNTER: Final = "urn:ihe:iti:xds:2015:encounterId"
BCP47: Final = "urn:ietf:bcp:47"
UTC: Final = "+00:00"
_UNSIGNED_INT: Final = 2**31

STATUS: Final = {APPROVED: "current", DEPRECATED: "superseded"}
"""availabilityStatus -> DocumentReference.status (table 2:3.67.4.1.3.1-2)."""
RELATES: Final = {
    RPLC: "replaces",
    XFRM_RPLC: "replaces",
    XFRM: "transforms",
    APND: "appends",
    SIGNS: "signs",
    IS_SNAPSHOT_OF: "transforms",
}
"""associationType -> relatesTo.code (ConceptMap AssociationTypeVsRelatesTo)."""


class Place(NamedTuple):
    """Where the resources are shown, and for whom."""

    base: str
    """Absolute URL of the FHIR base that has the document too; empty: none has it."""
    home: str
    """homeCommunityId."""
    subject: Json
    """Reference to the Patient."""


class Relation(NamedTuple):
    """One association that starts at the document."""

    associationType: str
    target: str
    """entryUUID"""


def logical_id(entry_uuid: str) -> str:
    """DocumentReference.id and List.id: the UUID of the entry."""
    return entry_uuid.removeprefix(UUID)


def entry_uuid(id_: str) -> str:
    """The entryUUID of a logical id; "" for one that is no UUID, and so of none of the registry's objects."""
    try:
        return f"{UUID}{uuid.UUID(id_)}" if len(id_) == 36 else ""
    except ValueError:
        return ""


def document_reference(entry: DocumentEntry, place: Place, relations: Sequence[Relation] = ()) -> Json:
    contained: list[Json] = []
    made: Json = {"resourceType": "DocumentReference", "id": logical_id(entry.entryUUID)}
    made["meta"] = {"profile": [f"{MHD}IHE.MHD.{'Comprehensive' if _is_whole(entry) else 'Minimal'}.DocumentReference"]}
    made["contained"] = contained
    made["extension"] = _extensions(entry, place)
    made["masterIdentifier"] = unique_identifier(entry.uniqueId)
    made["identifier"] = [official(entry.entryUUID)]
    made["status"] = STATUS.get(entry.availabilityStatus, "current")
    if entry.typeCode.code:
        made["type"] = code_system.concept(entry.typeCode)
    if entry.classCode.code:
        made["category"] = [code_system.concept(entry.classCode)]
    if place.subject:
        made["subject"] = place.subject
    if date := times.fhir_instant(entry.creationTime, UTC):
        made["date"] = date
    made["author"] = [found for number, one in enumerate(entry.author) if (found := contain(one, number, contained))]
    if person := xds_people.practitioner(entry.legalAuthenticator):
        contained.append({**person, "id": "authenticator"})
        made["authenticator"] = {"reference": "#authenticator"}
    made["relatesTo"] = [
        {"code": RELATES[one.associationType], "target": {"reference": f"DocumentReference/{logical_id(one.target)}"}}
        for one in relations
        if one.associationType in RELATES
    ]
    if entry.comments:
        made["description"] = entry.comments
    made["securityLabel"] = [code_system.concept(code) for code in entry.confidentialityCode]
    made["content"] = [_content(entry, place)]
    made["context"] = _context(entry, contained)
    return {name: value for name, value in made.items() if value not in ([], {})}


def of_community(entry: DocumentEntry, home: str) -> Json:
    """The entry of another community, that answered by XDS: its document is fetched by home, repository and uniqueId."""
    try:
        patient = PatientId.parse(entry.patientId)
    except ValueError:
        return document_reference(entry, Place("", home, {}))
    identifier = {"system": OID + patient.authority, "value": patient.value}
    return document_reference(entry, Place("", home, {"type": "Patient", "identifier": identifier}))


def home_of(resource: Mapping[str, Any]) -> str:
    """homeCommunityId (`urn:oid:...`) of a DocumentReference; "" for one that does not say it."""
    home = _extension(resource, HOME)
    return OID + home if home else ""


def key_of(resource: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """(home, repositoryUniqueId, uniqueId) of a DocumentReference that says all of it."""
    master = resource.get("masterIdentifier")
    unique = unique_id_of(master) if isinstance(master, dict) else ""
    home, repository = home_of(resource), _extension(resource, REPOSITORY)
    return (home, repository, unique) if home and repository and unique else None


def _extension(resource: Mapping[str, Any], url: str) -> str:
    """The OID an extension says. LENIENT: as valueUri, valueString or valueOid, and its URL in any case of letters."""
    for one in resource.get("extension") or ():
        if isinstance(one, dict) and str(one.get("url", "")).lower() == url.lower():
            value = next((one[name] for name in ("valueOid", "valueUri", "valueString") if one.get(name)), "")
            return str(value).removeprefix(OID)
    return ""


def _hash(digits: str) -> str:
    """Base64 of a hash in hexadecimal digits; "" for what is none, which another registry may send."""
    try:
        return b64encode(bytes.fromhex(digits)).decode("ascii")
    except ValueError:
        return ""


def _is_whole(entry: DocumentEntry) -> bool:
    """Whether it has all that the comprehensive profile requires."""
    codes = (entry.classCode, entry.typeCode, entry.formatCode, entry.healthcareFacilityTypeCode)
    return (
        all(code.code for code in (*codes, entry.practiceSettingCode))
        and bool(entry.confidentialityCode and entry.languageCode and entry.creationTime)
        and bool(entry.sourcePatientId or entry.sourcePatientInfo)
    )


def _extensions(entry: DocumentEntry, place: Place) -> list[Json]:
    home = entry.homeCommunityId or place.home
    found = [{"url": HOME, "valueOid": home if home.startswith(OID) else OID + home}] if home else []
    if entry.repositoryUniqueId:
        found.append({"url": REPOSITORY, "valueOid": OID + entry.repositoryUniqueId.removeprefix(OID)})
    return found


def _content(entry: DocumentEntry, place: Place) -> Json:
    attachment: Json = {"contentType": entry.mimeType}
    if entry.languageCode:
        attachment["language"] = entry.languageCode
    if place.base:
        attachment["url"] = f"{place.base}/Binary/{logical_id(entry.entryUUID)}"
    if entry.objectType != ON_DEMAND:  # the mark of an on-demand document is that both are absent (2:3.67.4.2.2.1.2)
        if entry.size < _UNSIGNED_INT and (entry.size or entry.hash):  # 0 beside no hash: it was not said
            attachment["size"] = entry.size
        if hash_ := _hash(entry.hash):
            attachment["hash"] = hash_
    if entry.title:
        attachment["title"] = entry.title
    if created := times.fhir_datetime(entry.creationTime, UTC):
        attachment["creation"] = created
    return {"attachment": attachment} | (
        {"format": code_system.coding(entry.formatCode)} if entry.formatCode.code else {}
    )


def _context(entry: DocumentEntry, contained: list[Json]) -> Json:
    made: Json = {}
    related = [xds_people.cx_identifier(cxi) for cxi in entry.referenceIdList]
    kinds = [(cxi.split("^") + [""] * 5)[4] for cxi in entry.referenceIdList]
    made["encounter"] = [{"identifier": one} for one, kind in zip(related, kinds, strict=True) if kind == ENCOUNTER]
    made["event"] = [code_system.concept(code) for code in entry.eventCodeList]
    period = {
        "start": times.fhir_datetime(entry.serviceStartTime, UTC) if entry.serviceStartTime else None,
        "end": times.fhir_datetime(entry.serviceStopTime, UTC) if entry.serviceStopTime else None,
    }
    made["period"] = {name: value for name, value in period.items() if value}
    if entry.healthcareFacilityTypeCode.code:
        made["facilityType"] = code_system.concept(entry.healthcareFacilityTypeCode)
    if entry.practiceSettingCode.code:
        made["practiceSetting"] = code_system.concept(entry.practiceSettingCode)
    if patient := xds_people.source_patient(entry.sourcePatientId, entry.sourcePatientInfo):
        contained.append({**patient, "id": "source-patient"})
        made["sourcePatientInfo"] = {"reference": "#source-patient"}
        if entry.sourcePatientId and (identifier := xds_people.cx_identifier(entry.sourcePatientId)):
            made["sourcePatientInfo"]["identifier"] = identifier
    made["related"] = [
        {"identifier": one} for one, kind in zip(related, kinds, strict=True) if one and kind != ENCOUNTER
    ]
    return {name: value for name, value in made.items() if value}


# -- words both directions share --------------------------------------------------------------------------------------


def contain(author: Any, number: int, contained: list[Json]) -> Json:
    """Adds the resources of one author and gives the reference to it; {} when it says nothing."""
    found = list(xds_people.author_resources(author, f"author-{number + 1}"))
    contained += found
    return {"reference": f"#{found[0]['id']}"} if found else {}


def official(entry_uuid_: str) -> Json:
    """IHE.MHD.EntryUUID.Identifier"""
    return {"use": "official", "system": URI_SYSTEM, "value": entry_uuid_}


def unique_identifier(unique_id: str) -> Json:
    """IHE.MHD.UniqueIdIdentifier of a uniqueId: an OID as a URI, `oid^extension` as system and value (ITI TF-2: E.3)."""
    oid, _, extension = unique_id.partition("^")
    if extension:
        return {"use": "usual", "system": OID + oid, "value": extension}
    return {"use": "usual", "system": URI_SYSTEM, "value": unique_id if unique_id.startswith("urn:") else OID + oid}


def unique_id_of(identifier: Mapping[str, Any]) -> str:
    """The uniqueId that an Identifier is; "" for one that has no form in XDS (a number in a space that is no OID)."""
    system, value = str(identifier.get("system", "")), str(identifier.get("value", ""))
    if system == URI_SYSTEM or (not system and value.startswith("urn:")):
        oid = value.removeprefix(OID)
        if code_system.is_oid(oid):
            return oid
        try:
            # A UUID as the OID of the same number (ITU-T X.667); DICOM and XDS take no other.
            return f"2.25.{uuid.UUID(value.removeprefix(UUID)).int}" if value.startswith(UUID) else ""
        except ValueError:
            return ""
    oid = system.removeprefix(OID)
    return f"{oid}^{value}" if value and "^" not in value and system.startswith(OID) and code_system.is_oid(oid) else ""
