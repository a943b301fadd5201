"""A SubmissionSet and a Folder of the registry as a List (IHE MHD 4.2, 3:4.5.2 and 3:4.5.3). Pure.

R4 knows `current` and `retired` as the status of a List; `superseded`, the word of MHD's table, is no code of it, so a
deprecated one is shown as `retired` and found by either word.
"""

from collections.abc import Sequence
from typing import Any, Final

from gateway.model.document import APPROVED, Folder, SubmissionSet
from gateway.translate import code_system, times, xds_people
from gateway.translate.document_reference import (
    HOME,
    MHD,
    OID,
    URI_SYSTEM,
    UTC,
    Json,
    Place,
    contain,
    logical_id,
    official,
    unique_identifier,
)

LIST_TYPES: Final = "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes"
SUBMISSION: Final = "submissionset"
FOLDER: Final = "folder"
DESIGNATION: Final = f"{MHD}ihe-designationType"
SOURCE_ID: Final = f"{MHD}ihe-sourceId"
RECIPIENT: Final = f"{MHD}ihe-intendedRecipient"
AUTHOR_ORGANIZATION: Final = f"{MHD}ihe-authorOrg"


def submission_list(
    one: SubmissionSet, place: Place, documents: Sequence[str] = (), folders: Sequence[str] = ()
) -> Json:
    """`documents`, `folders`: entryUUIDs of its members."""
    contained: list[Json] = []
    whole = bool(one.contentTypeCode.code and place.subject)
    made = _list(one, place, SUBMISSION, "Comprehensive" if whole else "Minimal")
    made["contained"] = contained
    extensions: list[Json] = made["extension"]
    if one.contentTypeCode.code:
        extensions.append({"url": DESIGNATION, "valueCodeableConcept": code_system.concept(one.contentTypeCode)})
    identifier = {"system": URI_SYSTEM, "value": OID + one.sourceId.removeprefix(OID)}
    extensions.append({"url": SOURCE_ID, "valueIdentifier": identifier})
    for number, recipient in enumerate(one.intendedRecipient):
        if found := _recipient(recipient, f"recipient-{number + 1}"):
            contained.append(found)
            extensions.append({"url": RECIPIENT, "valueReference": {"reference": f"#{found['id']}"}})
    if date := times.fhir_datetime(one.submissionTime, UTC):
        made["date"] = date
    for number, author in enumerate(one.author):
        reference = contain(author, number, contained)
        is_organization = any(
            f"#{part['id']}" == reference.get("reference") and part["resourceType"] == "Organization"
            for part in contained
        )
        if reference and "source" not in made:  # R4 has room for one; the others stay contained
            organization = {"extension": [{"url": AUTHOR_ORGANIZATION, "valueReference": reference}]}
            made["source"] = organization if is_organization else reference
    made["entry"] = [_entry("DocumentReference", one_) for one_ in documents] + [
        _entry("List", one_) for one_ in folders
    ]
    return _ordered(made)


def folder_list(one: Folder, place: Place, documents: Sequence[str] = ()) -> Json:
    whole = bool(one.codeList and one.title and place.subject)
    made = _list(one, place, FOLDER, "Comprehensive" if whole else "Minimal")
    made["extension"] += [
        {"url": DESIGNATION, "valueCodeableConcept": code_system.concept(code)} for code in one.codeList
    ]
    if date := times.fhir_datetime(one.lastUpdateTime, UTC):
        made["date"] = date
    made["entry"] = [_entry("DocumentReference", one_) for one_ in documents]
    return _ordered(made)


def _list(one: SubmissionSet | Folder, place: Place, kind: str, level: str) -> Json:
    name = "SubmissionSet" if kind == SUBMISSION else "Folder"
    made: Json = {
        "resourceType": "List",
        "id": logical_id(one.entryUUID),
        "meta": {"profile": [f"{MHD}IHE.MHD.{level}.{name}"]},
        "extension": [{"url": HOME, "valueOid": place.home}] if place.home else [],
        "identifier": [official(one.entryUUID), unique_identifier(one.uniqueId)],
        "status": "current" if one.availabilityStatus == APPROVED else "retired",
        "mode": "working",
        "code": {"coding": [{"system": LIST_TYPES, "code": kind}]},
    }
    if one.title:
        made["title"] = one.title
    if place.subject:
        made["subject"] = place.subject
    if one.comments:
        made["note"] = [{"text": one.comments}]
    return made


_ORDER: Final = (
    "resourceType", "id", "meta", "contained", "extension", "identifier", "status", "mode", "title", "code", "subject",
    "date", "source", "note", "entry",
)  # fmt: skip


def _ordered(made: Json) -> Json:
    return {name: made[name] for name in _ORDER if made.get(name) not in (None, [], {})}


def _entry(type_: str, entry_uuid: str) -> Json:
    return {"item": {"reference": f"{type_}/{logical_id(entry_uuid)}"}}


def _recipient(value: str, id_: str) -> Json:
    """intendedRecipient is `XON|XCN|XTN` (ITI TF-3: 4.2.3.3.7): who is meant, as one contained resource."""
    xon, xcn, xtn = [*value.split("|"), "", ""][:3]
    contact: Any = xds_people.telecom([xtn]) if xtn else []
    person, institution = xds_people.practitioner(xcn), xds_people.organization(xon)
    made = person or institution or ({"resourceType": "Practitioner"} if contact else {})
    return {**made, "id": id_} | ({"telecom": contact} if contact else {}) if made else {}
