"""The four paper forms as FHIR Consents: participation (参加同意書), withdrawal (同意撤回書), change (変更届) and excluded
facilities (開示除外施設届); and the opt-out of research (次世代医療基盤法). A staff member types them in; the scan stays.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from gateway.errors import InvalidParameter
from gateway.services.consent.provisions import DATA_CLASS
from gateway.services.policy.tables import DATA_CLASSES

FORMS: Final = ("participation", "withdrawal", "change", "excluded-facilities", "research-opt-out")
Form = Literal["participation", "withdrawal", "change", "excluded-facilities", "research-opt-out"]

_SCOPE: Final = "http://terminology.hl7.org/CodeSystem/consentscope"
_PARTICIPATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_REASON: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_PURPOSES: Final = ("TREAT", "ETREAT", "HOPERAT")
"""What a person agrees to with the participation form: care, emergencies included, and the running of it."""


class Filled(NamedTuple):
    """What somebody wrote on a form."""

    identifier: Mapping[str, str]
    """system and value of the person's number."""
    signed: str
    """FHIR date or dateTime."""
    facilities: Sequence[str] = ()
    """OIDs of the organisations that may see; empty: all of the network."""
    excluded: Sequence[str] = ()
    """OIDs of facilities whose data stay closed (change, excluded-facilities)."""
    classes: Sequence[str] = ()
    """Data classes that are shared; empty: all."""
    data_from: str = ""
    """FHIR date: data from this day on; empty: all."""
    until: str = ""
    """FHIR date: last day of the consent; empty: until withdrawn."""


def consent_of(form: Form, filled: Filled, before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The Consent a form stands for. `before`: the one it changes; needed for withdrawal, change and exclusion."""
    if unknown := [one for one in filled.classes if one not in DATA_CLASSES]:
        raise InvalidParameter(f"no such data class: {', '.join(unknown)}; known: {', '.join(sorted(DATA_CLASSES))}")
    if form == "participation":
        return _base(filled, "patient-privacy", _permit(filled))
    if form == "research-opt-out":
        deny = {"type": "deny", "purpose": [{"system": _REASON, "code": "HRESCH"}]}
        return _base(filled, "research", deny)
    if before is None:
        raise InvalidParameter("this form changes a consent, and there is none of this person")
    if form == "withdrawal":
        return {**before, "status": "inactive", "dateTime": filled.signed}
    if form == "change":
        return {**before, "status": "active", "dateTime": filled.signed, "provision": _permit(filled)}
    root = dict(before.get("provision", {}))
    closed = [_closed(oid) for oid in filled.excluded]
    kept = [one for one in root.get("provision", ()) if one not in closed]
    return {**before, "dateTime": filled.signed, "provision": {**root, "provision": [*kept, *closed]}}


def _base(filled: Filled, scope: str, provision: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": _SCOPE, "code": scope}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"identifier": dict(filled.identifier)},
        "dateTime": filled.signed,
        "policy": [{"uri": "https://musubi.invalid/policy/network"}],
        "provision": provision,
    }


def _permit(filled: Filled) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "permit", "purpose": [{"system": _REASON, "code": code} for code in _PURPOSES]}
    if filled.until:
        found["period"] = {"end": filled.until}
    if filled.data_from:
        found["dataPeriod"] = {"start": filled.data_from}
    if filled.facilities:
        found["actor"] = [_actor("IRCP", oid) for oid in filled.facilities]
    if filled.classes:
        found["class"] = [{"system": DATA_CLASS, "code": one} for one in filled.classes]
    if filled.excluded:
        found["provision"] = [_closed(oid) for oid in filled.excluded]
    return found


def _closed(oid: str) -> dict[str, Any]:
    return {"type": "deny", "actor": [_actor("CST", oid)]}


def _actor(role: str, oid: str) -> dict[str, Any]:
    identifier = {"system": "urn:ietf:rfc:3986", "value": f"urn:oid:{oid.removeprefix('urn:oid:')}"}
    reference = {"type": "Organization", "identifier": identifier}
    return {"role": {"coding": [{"system": _PARTICIPATION, "code": role}]}, "reference": reference}
