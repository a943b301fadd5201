"""Documents of the SS-MIX2 extended storage (拡張ストレージ): CDA, PDF, pictures, whatever lies in a content folder.

    <root>/<id 1-3>/<id 4-6>/<id>/<care date>/<local code^name^system^LOINC^name^LN>/<content folder>/<files>

The content folder has the name of a storage file and with it key, version and condition flag; each file in it is a
document of its own under that key and its own name. All files of a folder carry the folder's key as an identifier,
which is how a reader puts them together again. A file is not translated: it becomes a DocumentReference, a Patient
that is no more than the number, and a Provenance. A CDA that names another patient is quarantined.
"""

from base64 import b64encode
from dataclasses import replace
from typing import Any

from gateway.codec import ssmix2
from gateway.codec.cda import CdaHead
from gateway.codec.document import DocumentFacts, facts_of
from gateway.codec.ssmix2 import ExtendedType, Place, padded
from gateway.model.code import Code
from gateway.model.identity import PatientId, PersonKey
from gateway.model.outcome import Issue, Translated
from gateway.translate import affinity_domain, document_entry, hl7, times
from gateway.translate.common import SHA256
from gateway.translate.context import Context, Facilities
from gateway.translate.converted import Converted, FileDocument
from gateway.translate.datatypes import absent
from gateway.translate.document_entry import DocumentSource
from gateway.translate.ids import local_system
from gateway.translate.people import resource

NAME = "ss-mix2-document"
LOINC = "http://loinc.org"
DEPARTMENT = "urn:oid:1.2.392.200250.2.2.2"
"""User table 0069 (診療科)."""


def recognises(data: bytes, path: str) -> bool:
    """A file in a content folder, or one that has the name of an extended document, and that is no HL7 message."""
    return not hl7.recognises(data, path) and not path.lower().endswith(".hl7") and ssmix2.place(path).extended


def read_file(
    data: bytes, path: str, facilities: Facilities, facility: str = "", explain: bool = False
) -> list[Converted]:
    """The one document; `explain` adds nothing, for nothing in it is translated."""
    made = convert(path, facts_of(data, path), facilities, facility)
    return [replace(made, original=data)]


def convert(path: str, facts: DocumentFacts, facilities: Facilities, facility: str = "") -> Converted:
    """From the path and what was seen of the bytes as they passed by. Never raises."""
    place = ssmix2.place(path)
    file = path.replace("\\", "/").rpartition("/")[2]
    empty = Converted(NAME, file, 0, facts.sha256, name=place.name)
    if place.name is None:
        issue = Issue("fatal", "not-a-document", "path", "neither the file nor a folder above it has a document's name")
        return replace(empty, error=issue)
    name = place.name._replace(data_type=place.data_type)
    chosen, found = facilities.resolve(facility, "", place.root)
    key = (name.patient_id, name.care_date, name.data_type, "/".join(filter(None, (padded(name.order_no), place.part))))
    sent_at = times.fhir_datetime(name.timestamp) or ""
    context = Context(chosen, facilities, name.data_type, key, message_time=sent_at, version_time=name.timestamp)
    context.issues += [*ssmix2.check_path(place.folders, place.name), *found, *_issues(facts, name.patient_id)]
    document = FileDocument(facts, ssmix2.extended_type(name.data_type), times.fhir_date(name.care_date) or "")
    context.patient = context.id("Patient", name.patient_id)
    context.add(_patient(name.patient_id, context))
    context.add(_reference(document, place, file, context))
    context.add(_provenance(file, facts, context))
    patient_id = PatientId(name.patient_id, chosen.oid)
    return replace(
        empty,
        name=name,
        facility=chosen.oid,
        data_type=name.data_type,
        key=key,
        message_time=sent_at,
        version_time=name.timestamp,
        patient_id=patient_id,
        document=document,
        translated=Translated(
            tuple(context.resources.values()), tuple(context.issues), person=PersonKey((patient_id,), "", "")
        ),
    )


def _issues(facts: DocumentFacts, number: str) -> list[Issue]:
    found = []
    if facts.disguised:
        text = "the extension of the file belongs to another type than its bytes; the bytes decide"
        found.append(Issue("warning", "mime-conflict", "file", text))
    if facts.size == 0:
        found.append(Issue("warning", "empty-document", "file", "the file is empty"))
    if facts.cda is not None:
        found += _cda_issues(facts.cda, number)
    return found


def _cda_issues(head: CdaHead, number: str) -> list[Issue]:
    """Whose document it says it is, against the patient number of the folder."""
    where = "ClinicalDocument/recordTarget"
    named = [[extension for _, extension in ids if extension] for ids in head.patients]
    if any(extensions and number not in extensions for extensions in named):
        return [Issue("error", "patient-mismatch", where, "the CDA names another patient than its content folder")]
    if not any(named):
        text = "the CDA names no patient number" + (f": {head.problem}" if head.problem else "")
        return [Issue("warning", "cda-patient-unknown", where, f"{text}; the content folder decides")]
    return []


# -- resources --------------------------------------------------------------------------------------------------------


def _patient(number: str, context: Context) -> dict[str, Any]:
    """A number and nothing else: a document says no name that we could take."""
    made = resource("Patient", context.patient, "JP_Patient")
    coding = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}
    made["identifier"] = [{"type": {"coding": [coding]}, "system": context.facility.patient_system, "value": number}]
    return made


def _reference(document: FileDocument, place: Place, file: str, context: Context) -> dict[str, Any]:
    """DocumentReference as MHD (ITI TF-3: 4.5.1.1) has it, but for the URL: whoever gives the bytes adds that."""
    assert place.name is not None
    facts, patient, care_date, order_no = document.facts, *context.key[:2], padded(place.name.order_no)
    class_code, type_code, title = affinity_domain.folder_codes(document.type)
    kind = "cda" if facts.cda is not None else "file"
    source = DocumentSource(
        context.facility.oid, context.key, context.data_type, context.version_time, context.message_time,
        PatientId(patient, context.facility.oid),
    )  # fmt: skip
    number = document_entry.entry_number(source, facts.sha256, kind)
    made = resource("DocumentReference", context.id("DocumentReference", *context.key))
    made["masterIdentifier"] = {"system": "urn:ietf:rfc:3986", "value": document_entry.unique_uri(number)}
    folder = "_".join((patient, care_date, context.data_type, order_no))
    made["identifier"] = [
        {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{number}"},
        {"system": local_system(context.facility.oid, "content-folder"), "value": folder},
    ]
    made["status"] = "current"
    made["type"] = _type(document.type, type_code, title, context)
    made["category"] = [_concept(class_code)]
    made["subject"] = context.subject()
    if instant := times.fhir_instant(context.version_time):
        made["date"] = instant
    made["description"] = title
    made["content"] = [{"attachment": _attachment(facts, place.inside or file), "format": _coding(kind)}]
    made["context"] = _context(document, place.name.department, context)
    return made


def _type(type_: ExtendedType, code: Code, title: str, context: Context) -> dict[str, Any]:
    """LOINC and the sender's own code side by side; words as sent."""
    codings = []
    if type_.loinc:
        codings.append({"system": LOINC, "code": type_.loinc})
    if type_.code:
        local: dict[str, Any] = {"system": local_system(context.facility.oid, f"document-type/{type_.system}")}
        codings.append(local | {"code": type_.code} | ({"display": type_.name} if type_.name else {}))
    made: dict[str, Any] = {"coding": codings} if codings else {}
    made["text"] = title
    return made


def _concept(code: Code) -> dict[str, Any]:
    if code.scheme == affinity_domain.LOINC_OID:
        return {"coding": [{"system": LOINC, "code": code.code}], "text": code.display}
    return {"coding": [{"system": f"urn:oid:{code.scheme}", "code": code.code, "display": code.display}]}


def _coding(kind: str) -> dict[str, Any]:
    code = affinity_domain.format_and_mime(kind)[0]
    return {"system": f"urn:oid:{code.scheme}", "code": code.code, "display": code.display}


def _attachment(facts: DocumentFacts, name: str) -> dict[str, Any]:
    made: dict[str, Any] = {"contentType": facts.mime}
    if facts.size < 2**31:  # unsignedInt
        made["size"] = facts.size
    made["hash"] = b64encode(bytes.fromhex(facts.sha1)).decode()
    made["title"] = (facts.cda.title if facts.cda is not None else "") or name
    if facts.cda is not None and (created := times.fhir_datetime(facts.cda.effective_time)):
        made["creation"] = created
    return made


def _context(document: FileDocument, department: str, context: Context) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if document.care_date:
        made["period"] = {"start": document.care_date, "end": document.care_date}
    if department and department != "-":
        made["practiceSetting"] = {"coding": [{"system": DEPARTMENT, "code": department}]}
    made["sourcePatientInfo"] = context.subject()
    return made


def _provenance(file: str, facts: DocumentFacts, context: Context) -> dict[str, Any]:
    made = resource("Provenance", context.id("Provenance", *context.key, facts.sha256))
    made["target"] = [{"reference": f"{type_}/{id_}"} for type_, id_ in context.resources]
    if instant := times.fhir_instant(context.version_time):
        made["recorded"] = instant
    else:
        made["_recorded"] = absent()
    made["agent"] = [{"who": {"identifier": {"system": "urn:ietf:rfc:3986", "value": context.facility.patient_system}}}]
    what = ((SHA256, facts.sha256), (local_system(context.facility.oid, "file"), file))
    made["entity"] = [
        {"role": "source", "what": {"identifier": {"system": system, "value": value}}} for system, value in what
    ]
    return made
