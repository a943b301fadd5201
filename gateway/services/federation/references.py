"""A registry's DocumentEntry as FHIR DocumentReference (IHE MHD 4.2, table 4.5.1.1-1), wherever the entry came from."""

from base64 import b64encode
from typing import Any, Final

from gateway.model.code import Code
from gateway.model.document import APPROVED, DocumentEntry
from gateway.model.identity import PatientId

URI: Final = "urn:ietf:rfc:3986"
HOME_EXTENSION: Final = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-homeCommunityId"
REPOSITORY: Final = "urn:oid:1.3.6.1.4.1.19376.1.2.3"
"""System under which the repositoryUniqueId stands as an identifier of the entry."""


def document_reference(entry: DocumentEntry, home: str) -> dict[str, Any]:
    """Nothing is added that the entry does not say. `id` is the entry's UUID."""
    coded = {
        "type": _concept(entry.typeCode),
        "facilityType": _concept(entry.healthcareFacilityTypeCode),
        "practiceSetting": _concept(entry.practiceSettingCode),
    }
    period = {"start": dtm(entry.serviceStartTime), "end": dtm(entry.serviceStopTime)}
    attachment = {
        "contentType": entry.mimeType,
        "language": entry.languageCode,
        "url": entry.URI,
        "size": entry.size,
        "hash": _hash(entry.hash),
        "title": entry.title,
        "creation": dtm(entry.creationTime),
    }
    content: dict[str, Any] = {"attachment": _filled(attachment)}
    if entry.formatCode.code:
        content["format"] = _coding(entry.formatCode)
    source = _identified(entry.sourcePatientId)
    context = {
        "event": [_concept(one) for one in entry.eventCodeList if one.code],
        "period": _filled(period),
        "facilityType": coded["facilityType"],
        "practiceSetting": coded["practiceSetting"],
        "sourcePatientInfo": source,
    }
    made = {
        "resourceType": "DocumentReference",
        "id": entry.entryUUID.removeprefix("urn:uuid:"),
        "meta": {"extension": [{"url": HOME_EXTENSION, "valueUri": entry.homeCommunityId or home}]},
        "masterIdentifier": {"system": URI, "value": _urn(entry.uniqueId)},
        "identifier": [
            {"system": URI, "value": entry.entryUUID},
            {"system": REPOSITORY, "value": entry.repositoryUniqueId},
        ],
        "status": "current" if entry.availabilityStatus == APPROVED else "superseded",
        "type": coded["type"],
        "category": [concept] if (concept := _concept(entry.classCode)) else [],
        "subject": _identified(entry.patientId),
        "date": dtm(entry.creationTime),
        "author": [
            {"display": words} for author in entry.author if (words := _author(author.person, author.institution))
        ],
        "description": entry.title,
        "securityLabel": [_concept(one) for one in entry.confidentialityCode if one.code],
        "content": [content],
        "context": _filled(context),
    }
    return _filled(made)


def key_of(resource: dict[str, Any]) -> tuple[str, str, str] | None:
    """(home, repositoryUniqueId, uniqueId) of a DocumentReference that says all of it."""
    master = resource.get("masterIdentifier")
    unique = str(master.get("value", "")) if isinstance(master, dict) else ""
    home = repository = ""
    for one in (resource.get("meta") or {}).get("extension") or ():
        if isinstance(one, dict) and one.get("url") == HOME_EXTENSION:
            home = str(one.get("valueUri", ""))
    for one in resource.get("identifier") or ():
        if isinstance(one, dict) and one.get("system") == REPOSITORY:
            repository = str(one.get("value", ""))
    return (home, repository, unique) if home and repository and unique else None


def home_of(resource: dict[str, Any]) -> str:
    key = key_of(resource)
    return key[0] if key is not None else ""


def dtm(value: str) -> str:
    """DTM in UTC as FHIR; a date stays a date. Empty for what is no DTM."""
    if not (value.isascii() and value.isdigit()) or len(value) not in (4, 6, 8, 10, 12, 14):
        return ""
    date = "-".join(filter(None, (value[:4], value[4:6], value[6:8])))
    return f"{date}T{value[8:10]}:{value[10:12] or '00'}:{value[12:14] or '00'}Z" if len(value) > 8 else date


def _filled(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in ("", None, [], {})}


def _coding(code: Code) -> dict[str, Any]:
    scheme = code.scheme
    system = f"urn:oid:{scheme}" if scheme[:1].isdigit() else scheme
    return _filled({"system": system, "code": code.code, "display": code.display})


def _concept(code: Code) -> dict[str, Any]:
    return {"coding": [_coding(code)]} if code.code else {}


def _urn(unique_id: str) -> str:
    return unique_id if ":" in unique_id else f"urn:oid:{unique_id}"


def _hash(hex_digits: str) -> str:
    try:
        return b64encode(bytes.fromhex(hex_digits)).decode("ascii")
    except ValueError:
        return ""


def _identified(cx: str) -> dict[str, Any]:
    try:
        found = PatientId.parse(cx)
    except ValueError:
        return {}
    return {"type": "Patient", "identifier": {"system": f"urn:oid:{found.authority}", "value": found.value}}


def _author(person: str, institutions: tuple[str, ...]) -> str:
    """XCN.2 and XCN.3, else the whole of it; XON.1."""
    parts = person.split("^")
    name = " ".join(part for part in parts[1:3] if part) or parts[0]
    houses = [one.partition("^")[0] for one in institutions]
    return ", ".join(filter(None, (name, *houses)))
