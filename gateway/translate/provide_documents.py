"""DocumentReferences of a Provide Document Bundle, and the bytes they name, as DocumentEntries and documents."""

import binascii
import hashlib
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from gateway.codec.ebxml_parts import MAX_VALUE
from gateway.model.document import APND, RPLC, SIGNS, XFRM, Association, DocumentEntry
from gateway.model.identity import PatientId
from gateway.translate import code_system, xds_people
from gateway.translate.document_reference import ENCOUNTER, OID, UUID, unique_id_of
from gateway.translate.provide_reading import NOBODY, Reading
from gateway.translate.provided import Person, Problem

ASSOCIATIONS: Final = {"replaces": RPLC, "transforms": XFRM, "appends": APND, "signs": SIGNS}
"""relatesTo.code -> associationType (ConceptMap AssociationTypeVsRelatesTo)."""


def document(reading: Reading, n: int) -> None:
    resource, where = reading.entries[n]["resource"], f"Bundle.entry[{n}].resource"
    uuid = reading.uuids[n]
    person = reading.person(resource, where)
    contents = resource.get("content", ())
    if len(contents) != 1:
        reading.problem("a DocumentReference has one content", f"{where}.content")
        return
    attachment, at = contents[0].get("attachment", {}), f"{where}.content[0].attachment"
    document = _bytes(reading, attachment, at)
    if document is not None:
        reading.made.documents[uuid] = document
    _checked(reading, attachment, document, at)
    whole = reading.made.level != "Minimal"
    entry = _entry(reading, resource, contents[0], where, whole)
    source = _source_patient(reading, resource, where, person)
    made = replace(
        entry,
        entryUUID=uuid,
        patientId=person.patientId if person else "",
        sourcePatientId=source[0],
        sourcePatientInfo=source[1],
        hash=hashlib.sha1(document or b"", usedforsecurity=False).hexdigest(),
        size=len(document or b""),
    )
    if any(one.uniqueId == made.uniqueId for one in reading.made.entries) and made.uniqueId:
        reading.problem(
            "two documents have one uniqueId",
            f"{where}.masterIdentifier",
            "XDSRepositoryDuplicateUniqueIdInMessage",
        )
    reading.made.entries.append(made)
    _relations(reading, resource, uuid, where)


def _entry(
    reading: Reading, resource: Mapping[str, Any], content: Mapping[str, Any], where: str, whole: bool
) -> DocumentEntry:
    """All that stands in the DocumentReference itself."""
    attachment, context = content.get("attachment", {}), resource.get("context", {})
    unique_id = unique_id_of(resource.get("masterIdentifier", {}))
    if not unique_id:
        reading.problem(
            "masterIdentifier (an OID, a UUID, or OID and extension) is missing", f"{where}.masterIdentifier"
        )
    if resource.get("status") != "current":
        reading.problem("a new DocumentReference has the status current", f"{where}.status")
    for name in ("docStatus", "modifierExtension"):
        if name in resource:
            reading.problem(f"{name} has no place in the metadata of documents", f"{where}.{name}")
    if len(resource.get("category", ())) > 1:
        reading.problem("one category", f"{where}.category")
    language, creation = attachment.get("language", ""), attachment.get("creation", "")
    for name, value in (("language", language), ("creation", creation)):
        if whole and not value:
            reading.problem(f"{name} is missing", f"{where}.content[0].attachment")
    labels = resource.get("securityLabel", ())
    if whole and not labels:
        reading.problem("securityLabel is missing", f"{where}.securityLabel")
    format_ = code_system.code_of(content["format"]) if "format" in content else None
    if format_ is None and (whole or "format" in content):
        reading.problem("format, a code with its system, is missing", f"{where}.content[0].format")
    period = context.get("period", {})
    return DocumentEntry(
        entryUUID="",
        uniqueId=unique_id,
        patientId="",
        sourcePatientId="",
        mimeType=str(attachment.get("contentType", "")),
        classCode=reading.code(next(iter(resource.get("category", ())), None), f"{where}.category", whole),
        typeCode=reading.code(resource.get("type"), f"{where}.type", whole),
        formatCode=format_ or NOBODY,
        healthcareFacilityTypeCode=reading.code(context.get("facilityType"), f"{where}.context.facilityType", whole),
        practiceSettingCode=reading.code(context.get("practiceSetting"), f"{where}.context.practiceSetting", whole),
        confidentialityCode=tuple(reading.code(one, f"{where}.securityLabel", True) for one in labels),
        creationTime=reading.time(creation, f"{where}.content[0].attachment.creation") if creation else "",
        languageCode=str(language),
        repositoryUniqueId="",
        hash="",
        size=0,
        blob="",
        title=str(attachment.get("title", "")),
        serviceStartTime=reading.time(period["start"], f"{where}.context.period") if "start" in period else "",
        serviceStopTime=reading.time(period["end"], f"{where}.context.period") if "end" in period else "",
        author=tuple(
            found for k, one in enumerate(resource.get("author", ()))
            if (found := reading.author(one, resource, f"{where}.author[{k}]"))
        ),
        eventCodeList=tuple(reading.code(one, f"{where}.context.event", True) for one in context.get("event", ())),
        comments=str(resource.get("description", "")),
        legalAuthenticator=_authenticator(reading, resource, where),
        referenceIdList=_references(reading, context, resource, where),
        limitedMetadata=not whole,
    )  # fmt: skip


def _authenticator(reading: Reading, resource: Mapping[str, Any], where: str) -> str:
    if "authenticator" not in resource:
        return ""
    author = reading.author(resource["authenticator"], resource, f"{where}.authenticator")
    return author.person if author is not None else ""


def _references(
    reading: Reading, context: Mapping[str, Any], resource: Mapping[str, Any], where: str
) -> tuple[str, ...]:
    """referenceIdList (CXi) of context.encounter and context.related: the business identifiers of what they name."""
    found: list[str] = []
    for name in ("encounter", "related"):
        for k, one in enumerate(context.get(name, ())):
            identifier = one.get("identifier") or {}
            if not identifier and (n := reading.at(str(one.get("reference", "")))) is not None:
                identifier = next(iter(reading.entries[n]["resource"].get("identifier", ())), {})
            cxi = _cxi(identifier, ENCOUNTER if name == "encounter" else "")
            if cxi:
                found.append(cxi)
            else:
                text = "a reference without an identifier that XDS could hold was left out"
                reading.made.warnings.append(Problem("XDSExtraMetadataNotSaved", text, f"{where}.context.{name}[{k}]"))
    return tuple(dict.fromkeys(found))


def _source_patient(
    reading: Reading, resource: Mapping[str, Any], where: str, person: Person | None
) -> tuple[str, tuple[str, ...]]:
    """(sourcePatientId, sourcePatientInfo). Where the Patient the source sends has no number under an OID, the id is
    the one its subject was known by."""
    reference = resource.get("context", {}).get("sourcePatientInfo")
    known = person.sourcePatientId if person else ""
    if not reference:
        if reading.made.level == "Comprehensive":
            reading.problem("context.sourcePatientInfo is missing", f"{where}.context.sourcePatientInfo")
        return known, ()
    patient = reading.resolved(reference, resource, f"{where}.context.sourcePatientInfo", contained=True)
    if patient is None:
        return known, ()
    own = xds_people.source_cx({"identifier": [reference["identifier"]]} if "identifier" in reference else patient)
    try:
        id_ = own or PatientId.parse(known)
    except ValueError:
        return known, xds_people.source_patient_info(None, patient)
    return str(id_), xds_people.source_patient_info(id_, patient)


def _bytes(reading: Reading, attachment: Mapping[str, Any], where: str) -> bytes | None:
    """The document: a Binary of the Bundle, or a FHIR document Bundle in it (FHIR Document Publish Option)."""
    url, type_ = str(attachment.get("url", "")), str(attachment.get("contentType", ""))
    if not type_:
        reading.problem("contentType is missing", f"{where}.contentType")
    if "data" in attachment:
        reading.problem("data has no place here; send the document as a Binary", f"{where}.data")
    n = reading.at(url) if url else None
    if n is None:
        # What is hosted elsewhere would have to be fetched, and no address in a message is ever called.
        reading.problem("url names no Binary of this Bundle", f"{where}.url", "XDSMissingDocument")
        return None
    reading.made.places[n] = f"Binary/{_owner_of(reading, url)}"
    resource = reading.entries[n].get("resource", {})
    if resource.get("resourceType") == "Bundle":
        return _fhir_document(reading, dict(resource), type_, f"Bundle.entry[{n}].resource")
    if resource.get("resourceType") != "Binary":
        reading.problem("url names a resource that is no document", f"{where}.url", "XDSMissingDocument")
        return None
    if type_ and _media(str(resource.get("contentType", ""))) != _media(type_):
        reading.problem("contentType of the Binary is another than that of the attachment", f"{where}.contentType")
    return _decoded(reading, str(resource.get("data", "")), f"Bundle.entry[{n}].resource.data")


def _owner_of(reading: Reading, url: str) -> str:
    """The id under which the document is retrieved: that of the first DocumentReference that names it."""
    for n, uuid in reading.uuids.items():
        contents = reading.entries[n]["resource"].get("content", ())
        if any(one.get("attachment", {}).get("url") == url for one in contents):
            return uuid.removeprefix(UUID)
    return ""


def _fhir_document(reading: Reading, bundle: dict[str, Any], type_: str, where: str) -> bytes | None:
    if bundle.get("type") != "document":
        reading.problem("a Bundle inside the Bundle is of type document", f"{where}.type", "XDSMissingDocument")
        return None
    if _media(type_) in ("application/fhir+xml", "application/xml"):
        return reading.known.render_xml(bundle)
    if _media(type_) in ("application/fhir+json", "application/json"):
        return reading.known.render_json(bundle)
    reading.problem("a FHIR document is application/fhir+json or application/fhir+xml", where)
    return None


def _decoded(reading: Reading, data: str, where: str) -> bytes | None:
    try:
        return b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        reading.problem("data is not base64", where)
        return None


def _checked(reading: Reading, attachment: Mapping[str, Any], document: bytes | None, where: str) -> None:
    """hash and size, where the source says them, are those of the bytes."""
    if document is None:
        return
    digest = hashlib.sha1(document, usedforsecurity=False).digest()
    if "hash" in attachment and str(attachment["hash"]) and not _same_hash(str(attachment["hash"]), digest):
        reading.problem("hash is not the SHA-1 of the document", f"{where}.hash")
    if "size" in attachment and attachment["size"] != len(document):
        reading.problem("size is not that of the document", f"{where}.size")


def _relations(reading: Reading, resource: Mapping[str, Any], uuid: str, where: str) -> None:
    for k, one in enumerate(resource.get("relatesTo", ())):
        at = f"{where}.relatesTo[{k}]"
        kind = ASSOCIATIONS.get(str(one.get("code")))
        target = reading.target(one.get("target", {}))
        if kind is None:
            reading.problem("code is replaces, transforms, appends or signs", f"{at}.code")
        elif not target:
            reading.problem("target is no document known here", f"{at}.target", "UnresolvedReferenceException")
        else:
            reading.made.associations.append(Association(reading.known.new_uuid(), kind, uuid, target))
            if kind == RPLC:
                reading.replaced.add(target)


def _media(text: str) -> str:
    return text.partition(";")[0].strip().lower()


def _same_hash(given: str, digest: bytes) -> bool:
    """LENIENT: base64 of the hex digits, as IHE's own examples have it, beside base64 of the bytes."""
    try:
        found = b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        return False
    return found == digest or found.lower() == digest.hex().encode("ascii")


def _cxi(identifier: Mapping[str, Any], kind: str) -> str:
    system, value = str(identifier.get("system", "")), str(identifier.get("value", ""))
    type_ = kind or str(identifier.get("type", {}).get("text", ""))
    if not value or "^" in value:
        return ""
    oid = system.removeprefix(OID)
    authority = f"&{oid}&ISO" if system.startswith(OID) and code_system.is_oid(oid) else ""
    made = f"{xds_people.hl7(value)}^^^{authority}^{type_}".rstrip("^")
    return made if len(made) <= MAX_VALUE else ""
