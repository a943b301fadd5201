"""BPPC: a patient privacy acknowledgement (CDA, ITI TF-3: 5.1) -> the Consent it stands for.

Seam: whoever registers a document calls `is_acknowledgement` on its entry and hands the bytes to `consent_of`; the
result goes to ConsentDesk.record with source "bppc". A policy that is not known here is refused, and with it the submission.
"""

from typing import Any, Final

from lxml import etree

from gateway.codec import xml
from gateway.errors import BadInput
from gateway.services.consent.provisions import Unenforceable, policy_rules
from gateway.translate.times import fhir_datetime

FORMATS: Final = frozenset({"urn:ihe:iti:bppc:2007", "urn:ihe:iti:bppc-sd:2007"})
SERVICE_EVENT: Final = "1.3.6.1.4.1.19376.1.5.3.1.2.6"
"""templateId of the serviceEvent that names a policy."""
_HL7: Final = {"h": "urn:hl7-org:v3"}


def is_acknowledgement(format_code: str) -> bool:
    """By XDSDocumentEntry.formatCode."""
    return format_code in FORMATS


def consent_of(document: bytes) -> dict[str, Any]:
    """Raises BadInput when it is no acknowledgement, Unenforceable for a policy that is not known here."""
    root = xml.parse(document, xml.REQUEST)
    if root.tag != "{urn:hl7-org:v3}ClinicalDocument":
        raise BadInput("the document is no CDA")
    ids = root.findall("h:recordTarget/h:patientRole/h:id", _HL7)
    identifier = next((one for one in ids if one.get("root") and one.get("extension")), None)
    when = root.find("h:effectiveTime", _HL7)
    given = fhir_datetime((when.get("value") or "") if when is not None else "", "+09:00")
    if identifier is None or not given:
        raise BadInput("the acknowledgement has no patient id or no time")
    events = [
        event
        for event in root.findall("h:documentationOf/h:serviceEvent", _HL7)
        if any(one.get("root") == SERVICE_EVENT for one in event.findall("h:templateId", _HL7))
    ]
    if not events:
        raise BadInput("the acknowledgement names no policy")
    policies = [_policy(event) for event in events]
    provision = {"type": "permit", **_period(events[0])}
    body: dict[str, Any] = {
        "resourceType": "Consent",
        "status": "active",
        "scope": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
        },
        "category": [{"coding": [{"system": "http://loinc.org", "code": "57016-8"}]}],
        "patient": {
            "identifier": {"system": f"urn:oid:{identifier.get('root')}", "value": identifier.get("extension")}
        },
        "dateTime": given,
        "policy": [{"uri": policy} for policy in policies],
    }
    rules = [rule for policy in policies for rule in policy_rules(policy)]
    if "period" in provision:
        # A Consent keeps its period in a provision; the policy is then written out.
        body["provision"] = _written(rules, provision["period"])
    return body


def _policy(event: etree._Element) -> str:
    code = event.find("h:code", _HL7)
    policy = (code.get("code") or "") if code is not None else ""
    if not policy_rules(policy):
        raise Unenforceable("the acknowledgement names a policy that is not known here")
    return policy


def _period(event: etree._Element) -> dict[str, Any]:
    found: dict[str, str] = {}
    for name, place in (("start", "low"), ("end", "high")):
        element = event.find(f"h:effectiveTime/h:{place}", _HL7)
        if element is not None and (value := fhir_datetime(element.get("value") or "", "+09:00")):
            found[name] = value
    return {"period": found} if found else {}


def _written(rules: list[Any], period: dict[str, str]) -> dict[str, Any]:
    def one(rule: Any) -> dict[str, Any]:
        made: dict[str, Any] = {"type": "deny" if rule.deny else "permit", "period": period}
        if rule.purpose:
            made["purpose"] = [{"code": rule.purpose}]
        return made

    root, *below = sorted(rules)
    return {**one(root), **({"provision": [one(rule) for rule in below]} if below else {})}
