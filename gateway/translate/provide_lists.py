"""Lists of a Provide Document Bundle: its SubmissionSet and Folders, with their members (IHE MHD 2:3.65.4.1.2)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gateway.model.document import (
    HAS_MEMBER,
    ORIGINAL_MEMBER,
    REFERENCE,
    SUBMISSION_SET_STATUS,
    Association,
    Author,
    Folder,
    SubmissionSet,
)
from gateway.translate import code_system, xds_people
from gateway.translate.document_list import AUTHOR_ORGANIZATION, DESIGNATION, RECIPIENT, SOURCE_ID
from gateway.translate.document_reference import OID
from gateway.translate.provide_reading import Reading, extension, same


def submission_set(reading: Reading, n: int) -> None:
    resource, where = reading.entries[n]["resource"], f"Bundle.entry[{n}].resource"
    whole = reading.made.level != "Minimal"
    person = reading.person(resource, where)
    source = extension(resource, SOURCE_ID).get("valueIdentifier", {})
    source_id = str(source.get("value", "")).removeprefix(OID)
    if not code_system.is_oid(source_id):
        reading.problem("extension ihe-sourceId with an OID is missing", f"{where}.extension")
    if resource.get("status") != "current":
        reading.problem("status is current", f"{where}.status")
    if resource.get("mode") != "working":
        reading.problem("mode is working", f"{where}.mode")
    if "date" not in resource:
        reading.problem("date, the submission time, is missing", f"{where}.date")
    designation = extension(resource, DESIGNATION).get("valueCodeableConcept")
    made = SubmissionSet(
        entryUUID=reading.uuids[n],
        uniqueId=reading.unique_id(resource, where),
        patientId=person.patientId if person else "",
        sourceId=source_id,
        submissionTime=reading.time(resource["date"], f"{where}.date") if "date" in resource else "",
        contentTypeCode=reading.code(designation, f"{where}.extension", whole),
        author=_list_authors(reading, resource, where),
        title=str(resource.get("title", "")),
        comments=" ".join(str(one.get("text", "")) for one in resource.get("note", ())),
        intendedRecipient=_recipients(reading, resource, where),
        limitedMetadata=not whole,
    )
    reading.made.submission = made
    listed = [reading.target(one.get("item", {})) for one in resource.get("entry", ())]
    _members(reading, made.entryUUID, resource, where, only_documents=False)
    for uuid in reading.uuids.values():
        if uuid != made.entryUUID and uuid not in listed:
            reading.problem("a document or folder of the Bundle that the SubmissionSet does not list", f"{where}.entry")


def folder(reading: Reading, n: int) -> None:
    resource, where = reading.entries[n]["resource"], f"Bundle.entry[{n}].resource"
    person = reading.person(resource, where)
    whole = reading.made.level != "Minimal"
    codes = [
        reading.code(one.get("valueCodeableConcept"), f"{where}.extension", True)
        for one in resource.get("extension", ())
        if same(one.get("url"), DESIGNATION)
    ]
    if whole and not codes:
        reading.problem("extension ihe-designationType is missing", f"{where}.extension")
    if whole and not resource.get("title"):
        reading.problem("title is missing", f"{where}.title")
    made = Folder(
        entryUUID=reading.uuids[n],
        uniqueId=reading.unique_id(resource, where),
        patientId=person.patientId if person else "",
        codeList=tuple(codes),
        title=str(resource.get("title", "")),
        comments=" ".join(str(one.get("text", "")) for one in resource.get("note", ())),
        limitedMetadata=not whole,
    )
    _members(reading, made.entryUUID, resource, where, only_documents=True)
    reading.made.folders.append(made)


def _members(reading: Reading, owner: str, resource: Mapping[str, Any], where: str, only_documents: bool) -> None:
    """HasMember of a List's entries, each once."""
    inside = set(reading.uuids.values())
    for k, entry in enumerate(resource.get("entry", ())):
        reference = entry.get("item", {})
        target = reading.target(reference)
        at = f"{where}.entry[{k}].item"
        if not target:
            reading.problem(
                "an item that is no document or folder of this Bundle or server", at, "UnresolvedReferenceException"
            )
            continue
        if only_documents and target in {one.entryUUID for one in reading.made.folders}:
            reading.problem("a folder holds documents only", at)
        if any((one.sourceObject, one.targetObject) == (owner, target) for one in reading.made.associations):
            continue
        slots = () if only_documents else ORIGINAL_MEMBER
        if not only_documents and target not in inside:
            slots = ((SUBMISSION_SET_STATUS, (REFERENCE,)),)
        reading.made.associations.append(Association(reading.known.new_uuid(), HAS_MEMBER, owner, target, slots=slots))


def _list_authors(reading: Reading, resource: Mapping[str, Any], where: str) -> tuple[Author, ...]:
    source = resource.get("source")
    if not source:
        return ()
    organization = extension(source, AUTHOR_ORGANIZATION).get("valueReference")
    found = [
        reading.author(one, resource, f"{where}.source")
        for one in ([source] if source.get("reference") or source.get("display") else [])
    ]
    if organization:
        institution = reading.author(organization, resource, f"{where}.source")
        first = found[0] if found else None
        if institution and first:
            found = [replace(first, institution=first.institution or institution.institution)]
        else:
            found = [institution]
    return tuple(one for one in found if one is not None)


def _recipients(reading: Reading, resource: Mapping[str, Any], where: str) -> tuple[str, ...]:
    found = []
    for one in resource.get("extension", ()):
        if same(one.get("url"), RECIPIENT):
            author = reading.author(one.get("valueReference", {}), resource, f"{where}.extension")
            contact = reading.resolved(one.get("valueReference", {}), resource, f"{where}.extension", contained=False)
            if author is not None:
                xon = author.institution[0] if author.institution else ""
                found.append("|".join((xon, author.person, *author.telecommunication[:1])).rstrip("|"))
            elif contact is not None and contact.get("telecom"):
                reading.made.problems.pop()  # an address alone is a recipient
                found.append(f"||{xds_people.xtn_of(contact['telecom'][0])}")
    return tuple(found)
