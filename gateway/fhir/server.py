"""One FHIR request -> one answer and one audit record. Knows no web framework; serve/http.py mounts it at /fhir.

    GET  /metadata                       CapabilityStatement
    GET  /Type/id                        read
    GET  /Type/id/_history               history
    GET  /Type/id/_history/version       vread
    GET  /Type?..., POST /Type/_search   search (ITI-78 on Patient)
    GET, POST /Patient/$ihe-pix          ITI-83
    POST /Patient/$match                 ITI-119
    PUT, DELETE /Patient?identifier=     ITI-104
    and the transactions of gateway/ihe that gateway.app attaches (MHD, DSUBm)

Other writing interactions come with a later version; they are answered 405. HEAD is GET without the body.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from gateway.errors import BadInput, Forbidden, GatewayError, UnknownResource
from gateway.fhir import patient_documents, patient_match, person_feed, pixm
from gateway.fhir import read as reading
from gateway.fhir import search as searching
from gateway.fhir import trust as faces
from gateway.fhir.capability import capability
from gateway.fhir.formats import Parse, Render, in_xml, resource_in
from gateway.fhir.messages import (
    FhirRequest,
    FhirResponse,
    Refused,
    check_acceptable,
    error_answer,
    json_answer,
    wants_xml,
)
from gateway.fhir.transactions import EXPORT, QUERY, RECORD, Trace, Transaction
from gateway.model.caller import Caller, Scope
from gateway.model.resource import Clause, PatientIdentifierClause, ReferenceClause, SearchPage
from gateway.ports import AuditLog, Resources
from gateway.profiles.finding import Finding
from gateway.services.persons import Persons
from gateway.services.search import TYPES, SearchRules
from gateway.services.search.values import FHIR_ID

_TYPE_NAME = re.compile(r"[A-Z][A-Za-z]{1,63}", re.ASCII)
_READING = ("GET", "HEAD")
_WRITING = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_OPERATIONS = {pixm.OPERATION: "ITI-83", patient_match.OPERATION: "ITI-119"}
_OF_PATIENT = (patient_documents.EVERYTHING, patient_documents.SUMMARY)

Permit = faces.Permit


@dataclass(frozen=True, slots=True)
class FhirServices:
    """What the handlers work with; gateway.app fills it."""

    resources: Resources
    audit: AuditLog
    rules: SearchRules
    cursor_key: bytes
    """Secret of this node; the cursors of next links are signed with it."""
    version: str
    """Of the software."""
    started: str
    """FHIR dateTime of the start of the process: CapabilityStatement.date."""
    render_xml: Render
    parse_xml: Parse
    mode: str = "open"
    name: str = "Musubi"
    """Of the community: author of documents that are made here."""
    persons: Persons | None = None
    """None: this node has no identity faces."""
    permit: Permit | None = None
    """Policy: (caller, interaction or transaction, type) -> what may be seen. Raises Forbidden. None: open mode."""
    trust: faces.TrustFaces | None = None
    """Consent, AuditEvent and $break-glass; None: a node without them."""
    persons_of: Callable[[str, Sequence[str]], tuple[str, ...]] = lambda type_, ids: ()
    """Whose data these resources are: enterprise ids, for the audit trail."""
    check: Callable[[dict[str, Any]], Sequence[Finding]] = lambda _: ()
    """Of a resource that somebody sends."""
    transactions: tuple[Transaction, ...] = ()
    """Of gateway/ihe; asked first, in their order."""


def handle(request: FhirRequest, services: FhirServices, caller: Caller, scope: Scope) -> FhirResponse:
    """The answer, its audit record already committed. A failure of the audit log is raised, and nothing is answered."""
    trace = Trace()
    try:
        response = _route(request, services, caller, scope, trace)
        if response.stream is None and (trace.xml or wants_xml(request)):
            response = in_xml(response, services.render_xml)
    except GatewayError as error:
        trace.denied = error.reason if isinstance(error, Forbidden) else ""
        response = _in_the_format_asked(error_answer(error), request, services)
    outcome = 0 if response.status < 400 else 4 if response.status < 500 else 8
    record = trace.record(caller, outcome, f"{request.method} {response.status}", request)
    records = [] if trace.silent else [record]
    if trace.retired:
        records.append(replace(record, action="D", patient=trace.retired, detail="merged"))
    if records:
        services.audit.record(*records)
    return response


def _route(request: FhirRequest, services: FhirServices, caller: Caller, scope: Scope, trace: Trace) -> FhirResponse:
    if request.malformed:
        raise BadInput(request.malformed)
    parts = [part for part in request.path.split("/") if part]
    if parts == ["metadata"]:
        trace.object = "metadata"
        return _metadata(request, services)
    for one in services.transactions:
        if one.takes(request.method, parts):
            trace.transaction, (trace.event, trace.action) = one.number, one.event
            trace.object = parts[0] if parts and _TYPE_NAME.fullmatch(parts[0]) else ""
            seen = scope if services.permit is None else services.permit(caller, one.number, trace.object)
            if (answer := one.answer(request, caller, seen, trace)) is not None:
                return answer
            trace.transaction, trace.event, trace.action = "rest", QUERY, "E"
    if not parts:
        _only(request, _READING, "search over all types, batch and transaction are not offered")
        raise Refused(404, "not-supported", "search over all types is not offered; ask for one type")
    if services.trust is not None and faces.takes(parts):
        return faces.answer(request, parts, services.trust, services.permit, services.parse_xml, caller, trace)
    type_ = parts[0]
    trace.object = type_ if _TYPE_NAME.fullmatch(type_) else ""
    if type_ not in TYPES:
        raise Refused(404, "not-supported", "this server has no such resource type; /metadata lists what it has")
    identity = type_ == "Patient" and services.persons is not None
    if services.permit is not None:
        scope = services.permit(caller, act_of(request, parts), type_)
    match parts[1:]:
        case [operation] if identity and operation in (pixm.OPERATION, patient_match.OPERATION):
            return _identity(request, services, caller, scope, trace, operation)
        case [] if identity and request.method in ("PUT", "DELETE"):
            return _feed(request, services, caller, trace)
        case []:
            _only(request, _READING, "this version stores through its feeds only")
            return _search(request, services, caller, scope, trace, type_)
        case ["_search"]:
            _only(request, ("POST",), "a search form is posted")
            return _search(request, services, caller, scope, trace, type_)
        case [id_, operation] if type_ == "Patient" and FHIR_ID.fullmatch(id_) and operation in _OF_PATIENT:
            trace.event, trace.action, trace.object = EXPORT, "R", f"Patient/{id_}/{operation}"
            trace.patient = f"Patient/{id_}"
            return _of_patient(request, services, caller, scope, id_, operation)
        case [id_, *rest] if FHIR_ID.fullmatch(id_):
            trace.event, trace.action, trace.object = EXPORT, "R", f"{type_}/{id_}"
            _only(request, _READING, "this version stores through its feeds only")
            return _one(request, services, scope, trace, type_, id_, rest)
    raise UnknownResource("no such address here")


def act_of(request: FhirRequest, parts: list[str]) -> str:
    """What policy is asked about: a row of mappings/policy/interactions.csv, or of transactions.csv."""
    operation = next((part for part in parts[1:] if part.startswith("$")), "")
    if operation:
        return _OPERATIONS.get(operation, "search")
    if parts[1:] == ["_search"]:
        return "search"
    if request.method not in _READING:
        return _WRITING.get(request.method, "create")
    match parts[1:]:
        case []:
            return "search"
        case [_]:
            return "read"
        case [_, "_history", _]:
            return "vread"
    return "history"


def _in_the_format_asked(answer: FhirResponse, request: FhirRequest, services: FhirServices) -> FhirResponse:
    """An OperationOutcome in XML for who asked for it; in JSON when what was asked for is not to be had."""
    try:
        if wants_xml(request):
            return in_xml(answer, services.render_xml)
    except Refused:
        pass
    return answer


def _identity(
    request: FhirRequest, services: FhirServices, caller: Caller, scope: Scope, trace: Trace, operation: str
) -> FhirResponse:
    """The operations on Patient that are IHE transactions."""
    assert services.persons is not None
    check_acceptable(request)
    trace.object = f"Patient/{operation}"
    if operation == pixm.OPERATION:
        trace.transaction = "ITI-83"
        _only(request, ("GET", "HEAD", "POST"), "$ihe-pix is asked by GET or POST")
        body = _sent(request, services) if request.method == "POST" and request.body else None
        trace.patient = pixm.about(request, body, services.persons)
        return pixm.cross_reference(request, body, services.persons, scope)
    trace.transaction = "ITI-119"
    _only(request, ("POST",), "$match is asked by POST")
    return patient_match.match(request, _sent(request, services), services.persons, services.resources, scope)


def _of_patient(
    request: FhirRequest, services: FhirServices, caller: Caller, scope: Scope, id_: str, operation: str
) -> FhirResponse:
    """The operations on one Patient."""
    _only(request, ("GET", "HEAD"), f"{operation} is asked by GET")
    check_acceptable(request)
    patients = patient_documents.person(id_, services.resources, services.persons, scope)
    if operation == patient_documents.SUMMARY:
        return patient_documents.summary(request, patients, services.resources, scope, services.name)
    bound_to = "|".join((caller.node, caller.user, caller.purpose))
    return patient_documents.everything(request, patients, services.resources, scope, services.cursor_key, bound_to)


def _feed(request: FhirRequest, services: FhirServices, caller: Caller, trace: Trace) -> FhirResponse:
    """ITI-104; the feed leaves its audit record in the commit that stores it."""
    assert services.persons is not None
    trace.transaction, trace.event = person_feed.TRANSACTION, RECORD
    if request.method == "DELETE":
        trace.action = "D"
        told = person_feed.delete(request, services.persons, caller)
    else:
        trace.action = "U"
        patient = _sent(request, services)
        findings = services.check({"id": "new", **patient})
        told = person_feed.put(request, patient, findings, services.persons, services.resources, caller)
    trace.patient, trace.silent, trace.retired = told.patient, told.stored, told.retired if told.stored else ""
    return told.response


def _sent(request: FhirRequest, services: FhirServices) -> dict[str, Any]:
    return resource_in(request, services.parse_xml)


def _metadata(request: FhirRequest, services: FhirServices) -> FhirResponse:
    _only(request, _READING, "the CapabilityStatement is read")
    check_acceptable(request)
    return json_answer(
        200,
        capability(
            request.base,
            services.version,
            services.started,
            services.mode,
            services.persons is not None,
            services.transactions,
        ),
    )


def _one(
    request: FhirRequest, services: FhirServices, scope: Scope, trace: Trace, type_: str, id_: str, rest: list[str]
) -> FhirResponse:
    check_acceptable(request)
    if type_ == "Patient":
        trace.patient = f"Patient/{id_}"
        if not rest:  # IHE PDQm 2:3.78.4.3: a read is the same transaction as the query
            trace.transaction, trace.event, trace.action = "ITI-78", QUERY, "E"
    else:
        trace.persons = services.persons_of(type_, (id_,))
    match rest:
        case []:
            return reading.read(request, services.resources, type_, id_, scope)
        case ["_history"]:
            trace.object += "/_history"
            return reading.history(request, services.resources, type_, id_, scope)
        case ["_history", version]:
            trace.object += "/_history/" + (version if version.isdigit() else "")
            return reading.vread(request, services.resources, type_, id_, version, scope)
    raise UnknownResource("no such address here")


def _search(
    request: FhirRequest, services: FhirServices, caller: Caller, scope: Scope, trace: Trace, type_: str
) -> FhirResponse:
    given = searching.parameters(request)
    if type_ == "Patient":
        trace.transaction = "ITI-78"
    trace.xml = wants_xml(request if request.method != "POST" else _with_query(request, given))
    bound_to = "|".join((caller.node, caller.user, caller.purpose))
    search = searching.understand(request, type_, given, services.rules, services.cursor_key, bound_to)
    trace.object = f"{type_}?{'&'.join(name for name, _ in search.used)}"
    trace.patient = _patient_of(search.plan.clauses)
    shown = partial(_note, services, trace) if not trace.patient else None
    return searching.answer(request, search, services.resources, scope, services.cursor_key, bound_to, shown)


def _note(services: FhirServices, trace: Trace, page: SearchPage) -> None:
    """Whose data a page holds, when the question named nobody."""
    by_type: dict[str, list[str]] = {}
    for row in (*page.rows, *page.included):
        by_type.setdefault(row.type, []).append(row.id)
    found = {eid for type_, ids in by_type.items() for eid in services.persons_of(type_, ids)}
    trace.persons = tuple(sorted(found))


def _with_query(request: FhirRequest, query: list[tuple[str, str]]) -> FhirRequest:
    return FhirRequest(request.method, request.path, query, request.headers, b"", request.base)


def _patient_of(clauses: tuple[Clause, ...]) -> str:
    """The one patient a search is about, as a CX where the query gave an OID, else as a reference; "" when many."""
    for clause in clauses:
        if isinstance(clause, ReferenceClause) and clause.param == "patient" and len(clause.values) == 1:
            return f"Patient/{clause.values[0]}"
        if isinstance(clause, PatientIdentifierClause):
            found = next((one for one in clause.values if one[0].startswith("urn:oid:")), None)
            if found is not None and len({value for _, value in clause.values}) == 1:
                return f"{found[1]}^^^&{found[0][8:]}&ISO"
    return ""


def _only(request: FhirRequest, methods: tuple[str, ...], why: str) -> None:
    if request.method not in methods:
        raise Refused(405, "not-supported", why, [("Allow", ", ".join(methods))])
