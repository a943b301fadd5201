"""A record as FHIR AuditEvent (R4), in the patterns of IHE BALP 1.1. Pure."""

import base64
import uuid
from typing import Any, Final

from gateway.model.audit import AuditObject, AuditRecord, StoredRecord
from gateway.services.audit.dicom import record_id, user_name
from gateway.services.audit.names import event_name, transaction_name

NAMESPACE: Final = uuid.UUID("0f4d7f0a-9a52-5a38-8d1e-5f0d6bb0a2f6")
_DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_IHE: Final = "urn:ihe:event-type-code"
_ACT_REASON: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_TYPE: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLE: Final = "http://terminology.hl7.org/CodeSystem/object-role"
_EVENT: Final = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_PARTICIPATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_REASONS: Final = {
    "TREATMENT": "TREAT", "EMERGENCY": "ETREAT", "PAYMENT": "HPAYMT", "OPERATIONS": "HOPERAT", "RESEARCH": "HRESCH",
    "PUBLICHEALTH": "PUBHLTH", "REQUEST": "PATRQT", "SYSADMIN": "HSYSADMIN",
}  # fmt: skip
_REST: Final = {"GET": "read", "HEAD": "read", "POST": "create", "PUT": "update", "DELETE": "delete", "PATCH": "patch"}
_SENDS: Final = frozenset({"110106"})


def event_id(home: str, n: int) -> str:
    """Logical id of a record's AuditEvent."""
    return str(uuid.uuid5(NAMESPACE, record_id(home, n)))


def audit_event(stored: StoredRecord, home: str) -> dict[str, Any]:
    record = stored.record
    event: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": event_id(home, stored.n),
        "meta": {"lastUpdated": stored.recorded},
        "type": {"system": _DCM, "code": record.event, "display": event_name(record.event)},
        "subtype": [{"system": _IHE, "code": record.transaction, "display": transaction_name(record.transaction)}],
        "action": record.action,
        "recorded": stored.recorded,
        "outcome": str(record.outcome),
    }
    if record.transaction == "rest":
        method = record.detail.partition(" ")[0]
        search = "?" in record.object
        code = "search" if search else "history" if record.object.endswith("_history") else _REST.get(method, "read")
        event["type"] = {"system": _EVENT, "code": "rest", "display": "Restful Operation"}
        event["subtype"] = [{"system": "http://hl7.org/fhir/restful-interaction", "code": code}]
    if record.detail:
        event["outcomeDesc"] = record.detail
    if record.purpose in _REASONS:
        event["purposeOfEvent"] = [{"coding": [{"system": _ACT_REASON, "code": _REASONS[record.purpose]}]}]
    event["agent"] = _agents(record, home)
    event["source"] = {"observer": {"identifier": {"system": "urn:ietf:rfc:3986", "value": home}}}
    event["entity"] = _entities(stored, home)
    return event


def _agents(record: AuditRecord, home: str) -> list[dict[str, Any]]:
    there, here = ("110152", "110153") if record.event in _SENDS else ("110153", "110152")
    asker: dict[str, Any] = {
        "type": _agent_type(there),
        "who": {"identifier": {"value": record.client or record.node or record.actor or "unknown"}},
        "requestor": not record.user,
    }
    if record.address:
        asker["network"] = {"address": record.address, "type": "2"}
    agents = [asker]
    if record.user:
        agents.append(_user(record))
    agents.append({"type": _agent_type(here), "who": {"identifier": {"value": home}}, "requestor": False})
    return agents


def _user(record: AuditRecord) -> dict[str, Any]:
    """BALP: who.identifier is the subject under its issuer, policy the assertion or token it came with."""
    person: dict[str, Any] = {
        "type": {"coding": [{"system": _PARTICIPATION, "code": "IRCP", "display": "information recipient"}]},
        "who": {"identifier": {"system": record.issuer, "value": record.user}},
        "altId": user_name(record),
        "requestor": True,
    }
    if not record.issuer:
        del person["who"]["identifier"]["system"]
    if record.user_name:
        person["who"]["display"] = record.user_name
        person["name"] = record.user_name
    if record.roles:
        person["role"] = [{"coding": [_role(role)]} for role in record.roles]
    if record.assertion:
        person["policy"] = [record.assertion]
    if record.purpose in _REASONS:
        person["purposeOfUse"] = [{"coding": [{"system": _ACT_REASON, "code": _REASONS[record.purpose]}]}]
    return person


def _role(role: str) -> dict[str, str]:
    code, _, scheme = role.partition("^^")
    if not scheme:
        return {"code": code}
    return {"system": f"urn:oid:{scheme}" if scheme[:1].isdigit() else scheme, "code": code}


def _entities(stored: StoredRecord, home: str) -> list[dict[str, Any]]:
    record = stored.record
    found = [
        {"what": _patient(one), "type": {"system": _TYPE, "code": "1"}, "role": {"system": _ROLE, "code": "1"}}
        for one in dict.fromkeys(filter(None, (record.patient, *record.patients)))
    ]
    found += [_entity(one) for one in record.objects]
    if record.object and not record.objects:
        found.append({"what": {"identifier": {"value": record.object}}, "type": {"system": _TYPE, "code": "2"}})
    own: dict[str, Any] = {
        "what": {"identifier": {"value": record_id(home, stored.n)}},
        "type": {"system": _TYPE, "code": "2"},
        "role": {"system": _ROLE, "code": "13"},
    }
    pairs = [("organization", record.organization), ("home", record.home), ("break-glass", record.break_glass)]
    if details := [{"type": name, "valueString": value} for name, value in pairs if value]:
        own["detail"] = details
    return [*found, own]


def _entity(one: AuditObject) -> dict[str, Any]:
    role = {"query": "24", "document": "3", "submission-set": "20", "consent": "13"}.get(one.kind, "4")
    found: dict[str, Any] = {"type": {"system": _TYPE, "code": "2"}, "role": {"system": _ROLE, "code": role}}
    if one.id:
        found["what"] = {"identifier": {"value": one.id}}
    if one.query:
        found["query"] = base64.b64encode(one.query).decode()
    if details := [{"type": name, "valueString": value} for name, value in one.details if value]:
        found["detail"] = details
    return found


def _patient(cx: str) -> dict[str, Any]:
    if cx.startswith("Patient/"):
        return {"reference": cx}
    value, _, rest = cx.partition("^^^&")
    oid = rest.partition("&")[0]
    return {"identifier": {"system": f"urn:oid:{oid}", "value": value} if oid else {"value": cx}}


def _agent_type(code: str) -> dict[str, Any]:
    return {
        "coding": [
            {"system": _DCM, "code": code, "display": "Source Role ID" if code == "110153" else "Destination Role ID"}
        ]
    }
