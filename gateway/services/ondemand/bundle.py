"""What was gathered as a FHIR document (FHIR R4 3.3; the sections of IPS by their LOINC codes). Pure: the ids follow from
the content, and no clock is read."""

import hashlib
import uuid
from html import escape
from typing import Any, Final

from gateway.codec import fhir
from gateway.services.ondemand.gathering import Gathered
from gateway.services.ondemand.kinds import Section

_LOINC: Final = "http://loinc.org"
_EMPTY: Final = "http://terminology.hl7.org/CodeSystem/list-empty-reason"
_TEXTS: Final = ("code", "medicationCodeableConcept", "vaccineCode")
_DATES: Final = (
    "effectiveDateTime", "onsetDateTime", "authoredOn", "performedDateTime", "occurrenceDateTime", "whenHandedOver",
    "recordedDate", "issued",
)  # fmt: skip


def document(gathered: Gathered, author: str, base: str) -> bytes:
    """Canonical JSON. `author`: name of the node; `base`: of the fullUrls, to which relative references resolve."""
    digest = hashlib.sha256()
    for one in (*gathered.patients, *(one for _, rows in gathered.sections for one in rows), *gathered.along):
        digest.update(fhir.render(one))
    number = uuid.uuid5(uuid.NAMESPACE_OID, f"{gathered.kind.name}|{author}|{digest.hexdigest()}")
    author_id = str(uuid.uuid5(number, "author"))
    device: dict[str, Any] = {
        "resourceType": "Device",
        "id": author_id,
        "deviceName": [{"name": author, "type": "user-friendly-name"}],
    }
    composition = _composition(gathered, str(number), author_id)
    listed = [one for _, rows in gathered.sections for one in rows]
    unique: dict[str, dict[str, Any]] = {}
    for one in (composition, *gathered.patients, device, *listed, *gathered.along):
        unique.setdefault(f"{one['resourceType']}/{one['id']}", one)
    bundle = {
        "resourceType": "Bundle",
        "id": str(uuid.uuid5(number, "bundle")),
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{number}"},
        "type": "document",
        "timestamp": gathered.date,
        "entry": [{"fullUrl": f"{base}/{address}", "resource": one} for address, one in unique.items()],
    }
    return fhir.render(bundle)


def _composition(gathered: Gathered, id_: str, device: str) -> dict[str, Any]:
    kind = gathered.kind
    return {
        "resourceType": "Composition",
        "id": id_,
        "status": "final",
        "type": {"coding": [{"system": _LOINC, "code": kind.loinc, "display": kind.display}]},
        "subject": {"reference": f"Patient/{gathered.patients[0]['id']}"},
        "date": gathered.date,
        "author": [{"reference": f"Device/{device}"}],
        "title": kind.title,
        "section": [_section(section, rows) for section, rows in gathered.sections],
    }


def _section(section: Section, rows: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "title": section.title,
        "code": {"coding": [{"system": _LOINC, "code": section.loinc, "display": section.display}]},
    }
    if not rows:
        text = "登録された情報なし / Nothing is stored"
        reason = {"coding": [{"system": _EMPTY, "code": "unavailable", "display": "Unavailable"}]}
        return {**made, "text": _narrative(f"<p>{text}</p>"), "emptyReason": reason}
    items = "".join(f"<li>{escape(line)}</li>" for line in map(line_of, rows))
    entries = [{"reference": f"{one['resourceType']}/{one['id']}"} for one in rows]
    return {**made, "text": _narrative(f"<ul>{items}</ul>"), "entry": entries}


def _narrative(inside: str) -> dict[str, str]:
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{inside}</div>'}


def line_of(resource: dict[str, Any]) -> str:
    """One resource in a line: date, what it is, value. Only words that stand in it."""
    when = next((str(resource[name]) for name in _DATES if resource.get(name)), "")
    concept: dict[str, Any] = next((resource[name] for name in _TEXTS if resource.get(name)), {})
    what = _words(concept) or str((resource.get("medicationReference") or {}).get("display", ""))
    return " ".join(part for part in (when[:10], what or resource["resourceType"], _value(resource)) if part)


def _words(concept: dict[str, Any]) -> str:
    if concept.get("text"):
        return str(concept["text"])
    codings = concept.get("coding") or [{}]
    return str(next((one["display"] for one in codings if one.get("display")), codings[0].get("code", "")))


def _value(resource: dict[str, Any]) -> str:
    if quantity := resource.get("valueQuantity"):
        parts = (quantity.get("comparator"), quantity.get("value"), quantity.get("unit") or quantity.get("code"))
        return " ".join(str(part) for part in parts if part is not None)
    if resource.get("valueString"):
        return str(resource["valueString"])
    return _words(resource["valueCodeableConcept"]) if resource.get("valueCodeableConcept") else ""
