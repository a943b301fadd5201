"""POST /$break-glass: an emergency access is declared for one patient (docs/policy.md).

Parameters: patient (valueReference, valueIdentifier or valueString CX), reason (valueCode or valueCoding), text.
Answer: Parameters with btg_id and expires.
"""

from collections.abc import Mapping
from typing import Any, Final

from gateway.codec import fhir
from gateway.errors import BadInput, InvalidParameter, MissingParameter, UnknownPatient
from gateway.fhir.consents import Told
from gateway.fhir.messages import json_answer
from gateway.fhir.pixm import authority_of
from gateway.model.caller import UNRESTRICTED, Caller, Scope
from gateway.model.identity import PatientId
from gateway.services.break_glass import EmergencyDesk
from gateway.services.persons import Persons

OPERATION: Final = "$break-glass"
TRANSACTION: Final = "break-glass"
_MOST_PARAMETERS: Final = 20


def declare(body: Mapping[str, Any], desk: EmergencyDesk, persons: Persons, caller: Caller, scope: Scope) -> Told:
    given = _parameters(body)
    patient = _patient(given.get("patient"), persons)
    reason, text = given.get("reason"), given.get("text")
    if isinstance(reason, Mapping):
        reason = reason.get("code") or next((one.get("code") for one in reason.get("coding", ())), "")
    if not isinstance(reason, str) or not isinstance(text, str):
        raise MissingParameter("reason and text are required")
    declared = desk.declare(patient, reason, text, caller, scope)
    answer = [
        {"name": "btg_id", "valueString": declared.id},
        {"name": "expires", "valueInstant": declared.ends},
        {"name": "review_due", "valueInstant": declared.due},
    ]
    body_ = fhir.render({"resourceType": "Parameters", "parameter": answer})
    return Told(json_answer(201, body_), str(patient), stored=True)


def _parameters(body: Mapping[str, Any]) -> dict[str, Any]:
    """FHIR Parameters; LENIENT: a plain JSON object with the same names."""
    if body.get("resourceType") != "Parameters":
        return dict(body)
    found: dict[str, Any] = {}
    for one in body.get("parameter", ())[:_MOST_PARAMETERS]:
        value = next((value for key, value in one.items() if key.startswith("value")), None)
        found[str(one.get("name", ""))] = value
    return found


def _patient(given: Any, persons: Persons) -> PatientId:
    if isinstance(given, Mapping) and isinstance(given.get("identifier"), Mapping):
        given = given["identifier"]
    if isinstance(given, Mapping) and given.get("value"):
        oid = authority_of(str(given.get("system", "")), persons)
        if not oid:
            raise InvalidParameter("patient is of an authority that is not known here")
        return PatientId(str(given["value"]), oid)
    text = str(given.get("reference", "")) if isinstance(given, Mapping) else given
    if not isinstance(text, str) or not text:
        raise MissingParameter("patient is required")
    if "^" in text:
        try:
            return PatientId.parse(text)
        except ValueError:
            raise InvalidParameter("patient is no CX id") from None
    row = persons.index.by_patient(text.rpartition("/")[2], UNRESTRICTED)
    if row is None:
        raise UnknownPatient("the patient is not known here")
    return row.id


def parameters_in(data: bytes) -> Mapping[str, Any]:
    """The body; a plain JSON object will do. Raises BadInput."""
    found = fhir.received(data) if data else None
    if not isinstance(found, dict):
        raise BadInput("the body is no JSON object")
    return found
