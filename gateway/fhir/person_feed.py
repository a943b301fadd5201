"""ITI-104 Patient Identity Feed FHIR: conditional update and delete of Patient (IHE PIXm 3.0, 3.104).

PUT    /Patient?identifier=system|value   create (201) or revise (200); with active=false and link replaced-by: merge
DELETE /Patient?identifier=system|value   remove (204)
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gateway.codec import fhir
from gateway.errors import InvalidParameter, UnknownAuthority, UnknownPatient
from gateway.fhir.messages import CONTENT_TYPE, FhirRequest, FhirResponse, Refused, json_answer
from gateway.fhir.pixm import authority_of, ids_of, patient_id
from gateway.model.caller import UNRESTRICTED, Caller
from gateway.model.identity import PatientId
from gateway.model.person import Fed, PersonFeed
from gateway.ports import Resources
from gateway.profiles.finding import Finding
from gateway.services import my_number
from gateway.services.persons import Persons
from gateway.services.persons.feeding import MissingName
from gateway.services.persons.patients import demographics_of
from gateway.services.persons.patients import patient_id as logical_id

TRANSACTION = "ITI-104"
DATA_ABSENT_REASON = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
PATIENT = "http://hl7.org/fhir/StructureDefinition/Patient"


class Told(NamedTuple):
    """The answer to a feed, and what its audit trail needs to know."""

    response: FhirResponse
    patient: str
    """CX of the record it was about."""
    stored: bool = False
    """The commit that stored the feed stored its audit record too."""
    retired: str = ""
    """CX of the record that a merge retired."""


def put(
    request: FhirRequest,
    patient: dict[str, Any],
    findings: Sequence[Finding],
    persons: Persons,
    resources: Resources,
    caller: Caller,
) -> Told:
    """Stores what a Patient Identity Source says of one record. `findings` of the given Patient; an error refuses it."""
    own = _own(request, persons)
    if patient.get("resourceType") != "Patient":
        raise Refused(400, "invalid", "the body is a Patient")
    if errors := [one for one in findings if one.severity in ("error", "fatal")]:
        return Told(_invalid(errors), str(own))
    _refuse_my_number(patient, persons)
    given = ids_of(patient, persons)
    others = [id_ for id_ in given if id_ != own]
    if own not in given:
        raise Refused(400, "invariant", "the Patient does not carry the identifier of the request")
    survivor = _survivor(patient, persons)
    stored = resources.read("Patient", logical_id(own), UNRESTRICTED)
    known = persons.record(own, UNRESTRICTED) is not None or (stored is not None and not stored.deleted)
    if survivor is not None and stored is not None and _says_replaced(stored.body, survivor):
        return Told(_answer(request, 200, survivor, persons, resources), str(survivor))  # said before: no news
    if survivor is not None:
        fed = _feed(persons, PersonFeed("merge", (survivor,), (own,), transaction=TRANSACTION), caller, None)
        return Told(_answer(request, 200, survivor, persons, resources), str(survivor), fed.changed, str(own))
    if patient.get("active") is False and any(one.get("type") == "replaced-by" for one in patient.get("link", ())):
        raise Refused(422, "required", "link.other.identifier names the record that replaces this one")
    event = PersonFeed(
        "revise" if known else "add",
        (own, *others),
        demographics=demographics_of(patient),
        sender=caller.user or caller.node,
        transaction=TRANSACTION,
        nameless=any(_without_words(one) for one in patient.get("name", ())),
    )
    fed = _feed(persons, event, caller, _ours(patient))
    return Told(_answer(request, 200 if known else 201, own, persons, resources), str(own), fed.changed)


def _without_words(name: Mapping[str, Any]) -> bool:
    """A name that says it is none: anonymous, or with a reason why it is absent."""
    reasons = (one.get("url") == DATA_ABSENT_REASON for one in name.get("extension", ()))
    return name.get("use") == "anonymous" or any(reasons)


def _says_replaced(body: bytes, survivor: PatientId) -> bool:
    """Whether a stored Patient was merged into this record already: a retried feed does no harm."""
    wanted = f"Patient/{logical_id(survivor)}"
    links = fhir.parse(body).get("link", ()) if body else ()
    return any(one.get("type") == "replaced-by" and one["other"].get("reference") == wanted for one in links)


def _ours(patient: dict[str, Any]) -> dict[str, Any]:
    """As it is stored: version and time of meta are ours to give, and there is a meta, third."""
    meta = {key: value for key, value in patient.get("meta", {}).items() if key not in ("versionId", "lastUpdated")}
    rest = {key: value for key, value in patient.items() if key not in ("resourceType", "id", "meta")}
    return {"resourceType": "Patient", "id": "", "meta": meta or {"profile": [PATIENT]}, **rest}


def delete(request: FhirRequest, persons: Persons, caller: Caller) -> Told:
    """The remove option: 204, also for a record that was not there, so that a repeated call does no harm."""
    own = _own(request, persons)
    try:
        fed = persons.feed(PersonFeed("delete", (own,), transaction=TRANSACTION), caller)
    except UnknownAuthority:
        raise _no_domain() from None
    except UnknownPatient:
        return Told(FhirResponse(204), str(own))
    return Told(FhirResponse(204), str(own), fed.changed)


def _own(request: FhirRequest, persons: Persons) -> PatientId:
    given = [(name, value) for name, value in request.query if name not in ("_format", "_pretty")]
    tokens = [value for name, value in given if name == "identifier"]
    if len(tokens) != 1 or len(given) != 1:
        raise Refused(412 if len(tokens) > 1 else 400, "invalid", "the request names one identifier=system|value")
    found = patient_id(tokens[0], persons)
    if found is None:
        raise _no_domain()
    return found


def _refuse_my_number(patient: Mapping[str, Any], persons: Persons) -> None:
    """As in PID-3: twelve digits that no authority known here gave. The value is not kept, and not said."""
    for one in patient.get("identifier", ()):
        if not authority_of(str(one.get("system", "")), persons) and my_number.is_my_number(str(one.get("value", ""))):
            raise Refused(422, "business-rule", "a patient's number is a My Number, which must not be kept")


def _survivor(patient: Mapping[str, Any], persons: Persons) -> PatientId | None:
    """Of a merge: `active` false and link replaced-by with the identifier of the surviving record."""
    if patient.get("active") is not False:
        return None
    for link in patient.get("link", ()):
        other = link.get("other", {}).get("identifier", {})
        if link.get("type") == "replaced-by" and other.get("system") and other.get("value"):
            found = patient_id(f"{other['system']}|{other['value']}", persons)
            if found is None:
                raise _no_domain()
            return found
    return None


def _feed(persons: Persons, event: PersonFeed, caller: Caller, patient: dict[str, Any] | None) -> Fed:
    try:
        return persons.feed(event, caller, patient=patient)
    except UnknownAuthority:
        raise _no_domain() from None
    except UnknownPatient:
        raise Refused(404, "not-found", "a record of the merge is not known here") from None
    except MissingName as error:
        raise Refused(422, "required", str(error)) from None
    except InvalidParameter as error:
        raise Refused(422, "business-rule", str(error)) from None


def _no_domain() -> Refused:
    return Refused(400, "code-invalid", "identifier Assigning Authority not found")


def _answer(request: FhirRequest, status: int, own: PatientId, persons: Persons, resources: Resources) -> FhirResponse:
    """The stored Patient, unless `Prefer: return=minimal`; Location and ETag in any case."""
    # Also of a number that a merge retired: its Patient is there, inactive, and names the one that replaces it.
    record = persons.record(own, UNRESTRICTED)
    id_ = record.patient if record and record.patient else logical_id(own)
    row = resources.read("Patient", id_, UNRESTRICTED)
    headers: list[tuple[str, str]] = []
    if row is not None:
        place = f"{request.base}/Patient/{id_}/_history/{row.version}"
        headers = [("Location", place), ("ETag", f'W/"{row.version}"')]
    if row is None or row.deleted or "return=minimal" in request.headers.get("prefer", ""):
        return FhirResponse(status, [("Content-Type", CONTENT_TYPE), *headers])
    return json_answer(status, row.body, headers)


def _invalid(errors: Sequence[Finding]) -> FhirResponse:
    """422 with what is wrong, where; the findings hold no values."""
    issues = [
        {"severity": one.severity, "code": one.code, "diagnostics": one.text, "expression": [one.expression]}
        for one in errors[:50]
    ]
    return json_answer(422, fhir.render({"resourceType": "OperationOutcome", "issue": issues}))
