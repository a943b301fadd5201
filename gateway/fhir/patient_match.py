"""ITI-119 Patient Demographics Match: $match on Patient (FHIR R4 Patient-operation-match; IHE PDQm 3.119)."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from gateway.codec import fhir
from gateway.errors import BadInput, InvalidParameter
from gateway.fhir.messages import FhirRequest, FhirResponse, Refused, json_answer
from gateway.fhir.pixm import ids_of
from gateway.model.caller import Scope
from gateway.model.person import PersonRecord
from gateway.ports import Resources
from gateway.services.persons import Persons
from gateway.services.persons.patients import demographics_of

OPERATION = "$match"
GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
MAX_COUNT = 100


def match(
    request: FhirRequest, body: Mapping[str, Any], persons: Persons, resources: Resources, scope: Scope
) -> FhirResponse:
    """A searchset, best first, each entry with search.score and match-grade.

    With onlyCertainMatches nothing but one certain person is an answer: of several nobody is certain, and the caller is
    told so by an OperationOutcome in the Bundle.
    """
    patient, only_certain, count = _asked(body)
    demographics = demographics_of(patient)
    ids = ids_of(patient, persons)
    if not ids and not demographics.names and not demographics.birth_date:
        raise Refused(422, "required", "a Patient to match has a name, a birth date or an identifier")
    found = persons.match(demographics, ids, scope, certain_only=only_certain, count=0)
    entries = []
    if only_certain and len({record.enterprise_id for record in found}) > 1:
        issue = {
            "severity": "warning",
            "code": "multiple-matches",
            "diagnostics": "several persons match with certainty",
        }
        outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
        entries.append({"resource": outcome, "search": {"mode": "outcome"}})
        found = ()
    shown = found[:count]
    entries = [entry for record in shown if (entry := _entry(record, request.base, resources, scope))] + entries
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": len(found)}
    if entries:
        bundle["entry"] = entries
    return json_answer(200, fhir.render(bundle))


def _entry(record: PersonRecord, base: str, resources: Resources, scope: Scope) -> dict[str, Any] | None:
    row = resources.read("Patient", record.patient, scope) if record.patient else None
    if row is None or row.deleted:
        return None
    return {
        "fullUrl": f"{base}/Patient/{record.patient}",
        "resource": fhir.parse(row.body),
        "search": {
            "extension": [{"url": GRADE, "valueCode": record.grade}],
            "mode": "match",
            "score": min(Decimal(1), max(Decimal(0), record.score or Decimal(0))),
        },
    }


def _asked(body: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool, int]:
    """(Patient, onlyCertainMatches, count) of a Parameters resource, or of a bare Patient."""
    if body.get("resourceType") == "Patient":
        return body, False, MAX_COUNT
    if body.get("resourceType") != "Parameters":
        raise BadInput("$match takes a Parameters resource, or a Patient")
    patient: Mapping[str, Any] | None = None
    only_certain, count = False, MAX_COUNT
    for one in body.get("parameter", ()):
        match one.get("name"):
            case "resource":
                patient = one.get("resource")
            case "onlyCertainMatches":
                only_certain = one.get("valueBoolean") is True
            case "count":
                count = one.get("valueInteger", MAX_COUNT)
    if not isinstance(patient, Mapping) or patient.get("resourceType") != "Patient":
        raise Refused(400, "required", "the parameter resource holds the Patient to match")
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise InvalidParameter("count is a whole number")
    return patient, only_certain, min(count, MAX_COUNT)
