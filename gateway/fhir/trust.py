"""The faces of trust on the FHIR base: Consent (ITI-108), AuditEvent (ITI-81) and $break-glass, and their audit."""

from dataclasses import dataclass
from typing import Any, Final, Protocol

from gateway.errors import Forbidden
from gateway.fhir import audit_events, break_glass, consents
from gateway.fhir.formats import Parse, resource_in
from gateway.fhir.messages import FhirRequest, FhirResponse, Refused, check_acceptable
from gateway.model.caller import UNRESTRICTED, Caller, Scope
from gateway.services.break_glass import EmergencyDesk
from gateway.services.consent import ConsentDesk
from gateway.services.search.values import FHIR_ID

TYPES: Final = ("Consent", "AuditEvent")


class Permit(Protocol):
    """Policy. Raises Forbidden."""

    def __call__(self, caller: Caller, interaction: str, type_: str, /) -> Scope: ...


@dataclass(frozen=True, slots=True)
class TrustFaces:
    """Put together by gateway.app."""

    consents: ConsentDesk
    emergencies: EmergencyDesk
    trail: audit_events.Trail


class Traced(Protocol):
    """What the audit record will say (fhir/server.py)."""

    event: str
    action: str
    transaction: str
    object: str
    patient: str
    silent: bool


def takes(parts: list[str]) -> bool:
    return bool(parts) and (parts[0] in TYPES or parts == [break_glass.OPERATION])


def answer(
    request: FhirRequest,
    parts: list[str],
    faces: TrustFaces,
    permit: Permit | None,
    parse_xml: Parse,
    caller: Caller,
    trace: Traced,
) -> FhirResponse:
    """One request to one of these. The audit record of what is stored is in its own commit."""
    check_acceptable(request)
    trace.object = parts[0]
    if parts[0] == break_glass.OPERATION:
        trace.transaction, trace.event = break_glass.TRANSACTION, "110113"
        _only(request, ("POST",))
        scope = permit(caller, "break-glass", "Patient") if permit else UNRESTRICTED
        body = break_glass.parameters_in(request.body)
        told = break_glass.declare(body, faces.emergencies, faces.trail.persons, caller, scope)
    elif parts[0] == "AuditEvent":
        trace.transaction, (trace.event, trace.action) = audit_events.TRANSACTION, audit_events.EVENT
        if parts[1:] not in ([], ["_search"]):
            raise Refused(404, "not-found", "audit events are searched, not read one by one")
        _only(request, ("POST",) if parts[1:] else ("GET", "HEAD"))
        if permit and permit(caller, "ITI-81", "AuditEvent").patients is not None:
            # Events name staff: a person reads the list of accesses (/api/access), which does not.
            raise Forbidden("policy does not permit this", "one-patient")
        told = audit_events.search(request, faces.trail)
    else:
        told = _consent(request, parts[1:], faces, permit, parse_xml, caller, trace)
    trace.patient, trace.silent = told.patient, told.stored
    return told.response


def _consent(
    request: FhirRequest,
    rest: list[str],
    faces: TrustFaces,
    permit: Permit | None,
    parse_xml: Parse,
    caller: Caller,
    trace: Traced,
) -> consents.Told:
    desk = faces.consents
    trace.transaction = consents.TRANSACTION

    def scope(interaction: str) -> Scope:
        return permit(caller, interaction, "Consent") if permit else UNRESTRICTED

    if rest == ["_search"] or (not rest and request.method in ("GET", "HEAD")):
        _only(request, ("POST",) if rest else ("GET", "HEAD"))
        return consents.search(desk, request, scope("search"))
    if not rest:
        trace.event, trace.action = "110113", "C"
        _only(request, ("POST", "GET", "HEAD"))
        scope("create")
        return consents.write(request, _sent(request, parse_xml), "", desk, caller)
    id_, *more = rest
    if not FHIR_ID.fullmatch(id_):
        raise Refused(404, "not-found", "no such resource here")
    trace.object = f"Consent/{id_}"
    if request.method == "PUT" and not more:
        trace.event, trace.action = "110113", "U"
        scope("update")
        return consents.write(request, _sent(request, parse_xml), id_, desk, caller)
    _only(request, ("GET", "HEAD", "PUT"), "a consent is withdrawn (PUT with status inactive), never deleted")
    return consents.read(desk, id_, more, request, scope("read"))


def _sent(request: FhirRequest, parse_xml: Parse) -> dict[str, Any]:
    return resource_in(request, parse_xml)


def _only(request: FhirRequest, methods: tuple[str, ...], why: str = "not here") -> None:
    if request.method not in methods:
        raise Refused(405, "not-supported", why, [("Allow", ", ".join(methods))])
