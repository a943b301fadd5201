"""ITI-65 Provide Document Bundle and ITI-105 Simplified Publish (IHE MHD 4.2, 2:3.65, 2:3.105).

POST [base]                     a transaction Bundle with one SubmissionSet, its documents and folders
POST [base]/DocumentReference   one document, its bytes in attachment.data

What the Bundle says becomes one submission to the registry (translate/provide_bundle.py), which is stored whole or not at
all, as ITI-41 stores it. An error is an OperationOutcome that names every fault with the code of ITI TF-3 table 4.2.4.1-2
in `details` and its place in `expression`.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID as Uuid

from gateway.codec import fhir
from gateway.codec.ebxml_submit import Metadata
from gateway.errors import GatewayError, codes_for
from gateway.fhir.formats import resource_in
from gateway.fhir.messages import FhirRequest, FhirResponse, Refused, check_acceptable, json_answer
from gateway.fhir.transactions import IMPORT, Attached, Trace
from gateway.ihe import _mhd, iti67
from gateway.ihe._mhd import MhdServices
from gateway.ihe._soap import repository_error
from gateway.model.caller import UNRESTRICTED, Caller, Scope
from gateway.model.identity import PatientId
from gateway.services.document_references import shown
from gateway.services.registry.service import Submission, Submitted
from gateway.services.registry.submitting import submit
from gateway.translate import affinity_domain, code_system, provide_bundle
from gateway.translate.document_list import DESIGNATION, LIST_TYPES, SOURCE_ID
from gateway.translate.document_reference import MHD, OID, URI_SYSTEM, UUID, Json
from gateway.translate.provided import METADATA, Known, Person, Problem, Provided

NUMBER: Final = "ITI-65"
SIMPLIFIED: Final = "ITI-105"
_PIECE: Final = 256 * 1024
_KINDS: Final = {
    "XDSUnknownPatientId": "not-found",
    "UnresolvedReferenceException": "not-found",
    "XDSMissingDocument": "required",
    "XDSPatientIdDoesNotMatch": "business-rule",
    "XDSRepositoryDuplicateUniqueIdInMessage": "duplicate",
    "XDSRepositoryOutOfResources": "too-costly",
}
"""Code of ITI TF-3 table 4.2.4.1-2 -> issue-type; all others are `invalid`."""


def provide(services: MhdServices, request: FhirRequest, caller: Caller, scope: Scope, trace: Trace) -> FhirResponse:
    check_acceptable(request)
    bundle = resource_in(request, services.parse_xml, fhir.MAX_BYTES)
    if bundle["resourceType"] != "Bundle" or bundle.get("type") != "transaction":
        raise Refused(400, "not-supported", "a Provide Document Bundle is a Bundle of type transaction")
    if problems := _invalid(services, _without_data(bundle)):
        return refusal(400, problems)
    provided = provide_bundle.read(bundle, _known(services, request, trace))
    if provided.person is not None:
        trace.patient = provided.person.patientId
    if provided.problems:
        return refusal(400, provided.problems)
    stored = _stored(services, provided, caller, trace)
    return stored if isinstance(stored, FhirResponse) else _answer(request, bundle, provided, stored, services)


def publish(services: MhdServices, request: FhirRequest, caller: Caller, scope: Scope, trace: Trace) -> FhirResponse:
    """Simplified Publish: the SubmissionSet is ours to make."""
    trace.transaction = SIMPLIFIED
    check_acceptable(request)
    reference = resource_in(request, services.parse_xml, fhir.MAX_BYTES)
    if reference["resourceType"] != iti67.TYPE:
        raise Refused(400, "invalid", "the body is a DocumentReference")
    contents = reference.get("content", [])
    if len(contents) != 1 or not contents[0].get("attachment", {}).get("data"):
        raise Refused(400, "required", "content.attachment.data with the document is missing")
    bundle = _bundle_around(reference, services)
    if problems := _invalid(services, _without_data(bundle)):
        return refusal(400, problems)
    provided = provide_bundle.read(bundle, _known(services, request, trace))
    if provided.person is not None:
        trace.patient = provided.person.patientId
    if provided.problems:
        return refusal(400, provided.problems)
    stored = _stored(services, provided, caller, trace)
    if isinstance(stored, FhirResponse):
        return stored
    uuid = provided.entries[0].entryUUID
    headers = [("Location", f"{request.base}/{iti67.TYPE}/{uuid.removeprefix(UUID)}"), ("ETag", 'W/"1"')]
    rows = services.documents.documents.by_entry_uuid((uuid,), scope)
    if not rows or "return=minimal" in request.headers.get("prefer", ""):
        return FhirResponse(201, headers)
    return json_answer(201, fhir.render(shown(rows, request.base, services.documents, scope)[0]), headers)


# -- what was sent ---------------------------------------------------------------------------------------------------


def _invalid(services: MhdServices, resource: Json) -> list[Problem]:
    """Faults against FHIR R4 itself (2:3.65.4.1.3: first of all)."""
    errors = [one for one in services.check({"id": "new", **resource}) if one.severity in ("error", "fatal")]
    return [Problem(METADATA, one.text, one.expression) for one in errors[:50]]


def _without_data(bundle: Mapping[str, Any]) -> Json:
    """The same with no more than a word in each Binary: the bytes are checked when they are decoded."""
    given = bundle.get("entry")
    entries = []
    for entry in given if isinstance(given, list) else ():
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if (
            isinstance(resource, dict)
            and resource.get("resourceType") == "Binary"
            and isinstance(resource.get("data"), str)
        ):
            entry = {**entry, "resource": {**resource, "data": "AAAA"}}
        entries.append(entry)
    return {**bundle, "entry": entries} if entries else dict(bundle)


def _known(services: MhdServices, request: FhirRequest, trace: Trace) -> Known:
    return Known(
        base=request.base,
        person=partial(_person, services, request, trace),
        resource=partial(_resource, services),
        document=partial(_document, services),
        new_uuid=lambda: f"{UUID}{services.documents.chance.new_uuid()}",
        render_xml=services.render_xml,
        render_json=fhir.render,
    )


def _person(
    services: MhdServices,
    request: FhirRequest,
    trace: Trace,
    subject: Mapping[str, Any],
    inside: Mapping[str, Any] | None,
) -> Person | None:
    """By the Patient in the Bundle, which has to carry an identifier known here; by reference to a Patient of this
    server; by an identifier."""
    domain = services.documents.affinity_domain
    identifiers = list(inside.get("identifier", ())) if inside is not None else []
    if "identifier" in subject:
        identifiers.append(subject["identifier"])
    for one in identifiers:
        system, value = str(one.get("system", "")), str(one.get("value", ""))
        if not system or not value or "^" in value:
            continue
        eid = _mhd.by_identifier(system, value, services, UNRESTRICTED, trace)
        if eid:
            known = services.documents.identities.patients(eid, UNRESTRICTED)
            return Person(str(PatientId(eid, domain)), trace.patient, f"Patient/{known[0]}" if known else "")
    text = str(subject.get("reference", ""))
    if inside is None and text and not text.startswith(("#", UUID)):
        row = services.persons.index.by_patient(
            text.removeprefix(f"{request.base}/").removeprefix("Patient/"), UNRESTRICTED
        )
        if row is not None and row.enterprise_id:
            return Person(str(PatientId(row.enterprise_id, domain)), str(row.id), f"Patient/{row.patient}")
    return None


def _resource(services: MhdServices, reference: str) -> Mapping[str, Any] | None:
    type_, _, id_ = reference.partition("/")
    if not id_ or "/" in id_ or "://" in reference:
        return None
    row = services.resources.read(type_, id_, UNRESTRICTED)
    return fhir.parse(row.body) if row is not None and not row.deleted else None


def _document(services: MhdServices, unique_id: str) -> str:
    found = services.documents.documents.by_unique_id((unique_id,), UNRESTRICTED)
    return found[0].entryUUID if found else ""


def _bundle_around(reference: Json, services: MhdServices) -> Json:
    """A Provide Document Bundle with this one document (2:3.105.4.1.3). The set's own number is new; its source is this
    node; what it is for is the affinity domain's word for documents of this type."""
    chance, now = services.documents.chance, services.documents.clock.now()
    numbers = [chance.new_uuid() for _ in range(4)]
    set_url, document_url, binary_url = (f"{UUID}{one}" for one in numbers[:3])
    (content,) = reference["content"]
    attachment = {name: value for name, value in content["attachment"].items() if name != "data"}
    inner = {**reference, "content": [{**content, "attachment": {**attachment, "url": binary_url}}]}
    inner = {name: value for name, value in inner.items() if name != "id"}
    codes = code_system.codes_of(reference.get("type", {}))
    type_ = affinity_domain.content_type(codes[0].code if codes else "")
    unique_id = {"use": "usual", "system": URI_SYSTEM, "value": f"{OID}2.25.{Uuid(str(numbers[3])).int}"}
    source = {"system": URI_SYSTEM, "value": services.documents.home}
    submission = {
        "resourceType": "List",
        "extension": [
            {"url": DESIGNATION, "valueCodeableConcept": code_system.concept(type_)},
            {"url": SOURCE_ID, "valueIdentifier": source},
        ],
        "identifier": [{"use": "official", "system": URI_SYSTEM, "value": set_url}, unique_id],
        "status": "current",
        "mode": "working",
        "code": {"coding": [{"system": LIST_TYPES, "code": "submissionset"}]},
        "subject": reference.get("subject", {}),
        "date": now.isoformat(timespec="seconds"),
        "entry": [{"item": {"reference": document_url}}],
    }
    binary = {
        "resourceType": "Binary",
        "contentType": attachment.get("contentType", ""),
        "data": content["attachment"]["data"],
    }
    return {
        "resourceType": "Bundle",
        "meta": {"profile": [f"{MHD}IHE.MHD.Minimal.ProvideBundle"]},
        "type": "transaction",
        "entry": [
            {
                "fullUrl": url,
                "resource": _clean(resource),
                "request": {"method": "POST", "url": resource["resourceType"]},
            }
            for url, resource in ((set_url, submission), (document_url, inner), (binary_url, binary))
        ],
    }


def _clean(resource: Json) -> Json:
    return {name: value for name, value in resource.items() if value not in ({}, [], "")}


# -- storing ---------------------------------------------------------------------------------------------------------


def _stored(services: MhdServices, provided: Provided, caller: Caller, trace: Trace) -> Submitted | FhirResponse:
    """The submission after its commit, which holds the audit record too; or why there is none."""
    registry = services.documents.changing
    assert registry is not None and provided.submission is not None
    metadata = Metadata(
        (provided.submission,), tuple(provided.entries), tuple(provided.folders), tuple(provided.associations)
    )
    try:
        received = {
            uuid: registry.blobs.receive(_pieces(content), registry.max_document_bytes)
            for uuid, content in provided.documents.items()
        }
        trace.object = provided.submission.uniqueId
        audit = lambda submitted: trace.record(caller, 0, f"{len(received)} documents")  # noqa: E731
        submitted = submit(registry, Submission(metadata, audit, received))
    except GatewayError as error:
        named = repository_error(error)
        # A document that is not there is no address that is not there.
        status = 422 if codes_for(error).http == 404 else codes_for(error).http
        return refusal(status, [Problem(named.code, named.context, "Bundle")], codes_for(error).fhir)
    trace.silent = True
    return submitted


def _pieces(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), _PIECE):
        yield content[start : start + _PIECE]


# -- answering -------------------------------------------------------------------------------------------------------


def refusal(status: int, problems: Sequence[Problem], kind: str = "") -> FhirResponse:
    """An OperationOutcome with every fault."""
    issues = [
        {
            "severity": "error",
            "code": kind or _KINDS.get(one.code, "invalid"),
            "details": {"coding": [{"code": one.code}], "text": one.code},
            "diagnostics": one.text,
            "expression": [one.where],
        }
        for one in problems[:100]
    ]
    return json_answer(status, fhir.render({"resourceType": "OperationOutcome", "issue": issues}))


def _answer(
    request: FhirRequest, bundle: Json, provided: Provided, submitted: Submitted, services: MhdServices
) -> FhirResponse:
    """One entry for each of the request, in its order (2:3.65.4.2.2)."""
    now = services.documents.clock.now().isoformat(timespec="milliseconds")
    entries = []
    for n, (entry, place) in enumerate(zip(bundle["entry"], provided.places, strict=True)):
        created = entry.get("request", {}).get("method") == "POST" and place.partition("/")[0] in (
            "List",
            iti67.TYPE,
            "Binary",
        )
        response: Json = {"status": "201 Created" if created else "200 OK"}
        if place:
            response |= {"location": place, "etag": 'W/"1"', "lastModified": now}
        if warnings := _warnings(n, provided, submitted, place):
            response["outcome"] = {"resourceType": "OperationOutcome", "issue": warnings}
        entries.append({"response": response})
    answer = {
        "resourceType": "Bundle",
        "type": "transaction-response",
        "link": [{"relation": "self", "url": request.base}],
        "entry": entries,
    }
    return json_answer(200, fhir.render(answer))


def _warnings(n: int, provided: Provided, submitted: Submitted, place: str) -> list[Json]:
    mine = [one for one in provided.warnings if one.where.startswith(f"Bundle.entry[{n}].")]
    found = [_warning(one.code, one.text, one.where) for one in mine]
    if place and provided.submission is not None and place.endswith(provided.submission.entryUUID.removeprefix(UUID)):
        found += [_warning("XDSExtraMetadataNotSaved", text, f"Bundle.entry[{n}]") for text in submitted.warnings]
    if not place:
        text = "what it says of an author is registered with the document; it is not stored as a resource"
        found.append({"severity": "information", "code": "informational", "diagnostics": text})
    return found


def _warning(code: str, text: str, where: str) -> Json:
    details = {"coding": [{"code": code}], "text": code}
    return {"severity": "warning", "code": "incomplete", "details": details, "diagnostics": text, "expression": [where]}


# -- attached to the server ------------------------------------------------------------------------------------------


def transactions(services: MhdServices) -> tuple[Attached, ...]:
    if services.documents.changing is None:
        return ()
    return (
        Attached(
            NUMBER, (IMPORT, "C"), lambda method, path: method == "POST" and not path, partial(provide, services),
            {"": {"interaction": [{"code": "transaction", "documentation": _DOCUMENTATION}]}, "Binary": {}},
        ),
        Attached(
            SIMPLIFIED, (IMPORT, "C"), lambda method, path: method == "POST" and list(path) == [iti67.TYPE],
            partial(publish, services), {iti67.TYPE: {"interaction": [{"code": "create"}]}},
        ),
    )  # fmt: skip


_DOCUMENTATION: Final = "Provide Document Bundle (ITI-65): Minimal, Comprehensive and UnContained; no other transaction"
