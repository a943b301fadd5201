"""ITI-83 Patient Identifier Cross-reference for Mobile: $ihe-pix on Patient, by GET and by POST (IHE PIXm 3.0, 3.83)."""

from collections.abc import Mapping
from typing import Any

from gateway.codec import fhir
from gateway.errors import UnknownAuthority, UnknownPatient
from gateway.fhir.messages import FhirRequest, FhirResponse, Refused, json_answer
from gateway.model.caller import Scope
from gateway.model.identity import Authority, PatientId
from gateway.services.persons import Persons

OPERATION = "$ihe-pix"


def cross_reference(
    request: FhirRequest, body: Mapping[str, Any] | None, persons: Persons, scope: Scope
) -> FhirResponse:
    """Parameters with every other id of the person, and a reference to each Patient of ours that carries one."""
    sources, targets = _asked(request, body)
    if len(sources) != 1:
        text = "sourceIdentifier is missing" if not sources else "sourceIdentifier is given once"
        raise Refused(400, "required" if not sources else "invalid", text)
    source = _token(sources[0], persons)
    domains = tuple(_domain(target, persons) for target in targets)
    try:
        found = persons.cross_reference(source, domains, scope)
    except UnknownAuthority as error:
        raise (_no_target() if error.bad else _no_authority()) from None
    except UnknownPatient:
        raise Refused(404, "not-found", "sourceIdentifier Patient Identifier not found") from None
    systems = {authority.oid: authority for authority in persons.domains()}
    # A domain that was asked for by a URI is answered by that URI: a consumer compares the two.
    written = {oid: target for oid, target in zip(domains, targets, strict=True) if ":" in target}
    parameters: list[dict[str, Any]] = []
    for id_ in found:
        system = {"system": written[id_.authority]} if id_.authority in written else {}
        parameters.append({"name": "targetIdentifier", "valueIdentifier": {**identifier(id_, systems), **system}})
    for id_ in found:
        record = persons.record(id_, scope)
        if record is not None and record.patient and record.id == id_:
            reference = {"reference": f"{request.base}/Patient/{record.patient}"}
            parameters.append({"name": "targetId", "valueReference": reference})
    answer: dict[str, Any] = {"resourceType": "Parameters"}
    if parameters:
        answer["parameter"] = parameters
    return json_answer(200, fhir.render(answer))


def identifier(id_: PatientId, known: Mapping[str, Authority]) -> dict[str, str]:
    authority = known.get(id_.authority)
    return {"system": authority.patient_system if authority else f"urn:oid:{id_.authority}", "value": id_.value}


def authority_of(system: str, persons: Persons) -> str | None:
    """The OID behind an identifier system: `urn:oid:...`, the JP Core patient-number system, or a namespace."""
    for authority in persons.domains():
        if system in (f"urn:oid:{authority.oid}", authority.patient_system, authority.oid):
            return authority.oid
        if authority.namespace and system in (authority.namespace, *authority.aliases):
            return authority.oid
    return None


def patient_id(token: str, persons: Persons) -> PatientId | None:
    """`system|value` as an id; None when the system is no authority known here. Raises Refused(400) for another form."""
    system, bar, value = token.partition("|")
    if not bar or not system or not value:
        raise Refused(400, "invalid", "an identifier has the form system|value")
    oid = authority_of(system, persons)
    return PatientId(value, oid) if oid else None


def about(request: FhirRequest, body: Mapping[str, Any] | None, persons: Persons) -> str:
    """CX of whom a question is about, for its audit record; empty where it names nobody known by an authority here."""
    sources, _ = _asked(request, body)
    system, _, value = sources[0].partition("|") if len(sources) == 1 else ("", "", "")
    oid = authority_of(system, persons) if value else None
    return str(PatientId(value, oid)) if oid else ""


def ids_of(patient: Mapping[str, Any], persons: Persons) -> tuple[PatientId, ...]:
    """Identifiers of a Patient under authorities known here; others say nothing about anybody."""
    found = []
    for one in patient.get("identifier", ()):
        oid = authority_of(str(one.get("system", "")), persons)
        if oid and one.get("value"):
            found.append(PatientId(str(one["value"]), oid))
    return tuple(found)


def _asked(request: FhirRequest, body: Mapping[str, Any] | None) -> tuple[list[str], list[str]]:
    sources = [value for name, value in request.query if name == "sourceIdentifier"]
    targets = [value for name, value in request.query if name == "targetSystem"]
    for one in (body or {}).get("parameter", ()):
        name = one.get("name")
        if name == "sourceIdentifier":
            given = one.get("valueIdentifier")
            token = f"{given.get('system', '')}|{given.get('value', '')}" if isinstance(given, dict) else None
            sources.append(token or str(one.get("valueString", "")))
        elif name == "targetSystem":
            targets.append(str(one.get("valueUri") or one.get("valueUrl") or one.get("valueString") or ""))
    return sources, [one for target in targets for one in target.split(",") if one]


def _token(token: str, persons: Persons) -> PatientId:
    found = patient_id(token, persons)
    if found is None:
        raise _no_authority()
    return found


def _domain(system: str, persons: Persons) -> str:
    oid = authority_of(system, persons)
    if oid is None:
        raise _no_target()
    return oid


def _no_authority() -> Refused:
    return Refused(400, "code-invalid", "sourceIdentifier Assigning Authority not found")


def _no_target() -> Refused:
    return Refused(403, "code-invalid", "targetSystem not found")
