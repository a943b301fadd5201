"""The rows of `musubi query`: one fact a line, from any FHIR server's resources. Pure, and deaf to what it does not know."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from gateway.codec import fhir
from gateway.errors import GatewayError
from gateway.services.federation.question import DOCUMENT, ER7, FHIR_JSON, Resource, Wanted
from gateway.translate.times import utc_range

WANTED: Final[dict[str, Wanted]] = {
    "lab": Wanted("Observation", (("category", "laboratory"),)),
    "rx": Wanted("MedicationRequest"),
    "documents": Wanted(DOCUMENT, (("status", "current"),)),
}
"""Words of the command line -> what is asked."""
_LAB_CATEGORY: Final = "laboratory"
_NOT_FACTS: Final = frozenset({"entered-in-error", "cancelled"})
"""Resources of these states say that something is not so; a row has no place to say that."""


class Row(NamedTuple):
    """One fact of a patient as `musubi query` shows it."""

    type: str
    """lab, rx or document"""
    date: str
    """FHIR date or dateTime; empty when the source has none."""
    name: str
    code: str
    value: str
    """As written, digits kept."""
    unit: str
    community: str
    facility: str
    id: str
    """Logical id of the resource, uniqueId of a document."""


def row_of(resource: dict[str, Any], community: str, facility: str = "") -> Row | None:
    """None for what is no row: another type, another category, an entry made in error."""
    if not resource.get("id") or _text(resource.get("status")) in _NOT_FACTS:
        return None
    kind = resource.get("resourceType")
    if kind == "Observation" and _is_laboratory(resource):
        return _lab_row(resource, community, facility)
    if kind == "MedicationRequest":
        return _rx_row(resource, community, facility)
    return _document_row(resource, community, facility) if kind == DOCUMENT else None


def without_originals(resources: Iterable[Resource]) -> list[Resource]:
    """Without the original message of a Bundle in the same answer: it is not one more document of the patient."""
    all_ = list(resources)
    translated = {_source(one.body) for one in all_ if one.type == DOCUMENT and _mime(one.body) == FHIR_JSON}
    return [
        one for one in all_ if one.type != DOCUMENT or _mime(one.body) not in ER7 or _source(one.body) not in translated
    ]


def facility_of(resource: dict[str, Any], patients: Mapping[str, dict[str, Any]], names: Mapping[str, str]) -> str:
    """Whose patient number stands in the Patient the resource is about: the name of that authority where it is known
    (`names`: identifier system -> name), else its system. The author's institution of a document."""
    if resource.get("resourceType") == DOCUMENT:
        return _institution(resource)
    subject = _dict(resource.get("subject") or resource.get("patient"))
    patient = patients.get(_text(subject.get("reference")).rpartition("/")[2], {})
    numbers = [_text(one.get("system")) for one in _dicts(patient.get("identifier")) if _is_number(one)]
    return next((names.get(system, system) for system in numbers), "")


def _is_number(identifier: dict[str, Any]) -> bool:
    return any(one.get("code") == "MR" for one in _dicts(_dict(identifier.get("type")).get("coding")))


def _institution(document: dict[str, Any]) -> str:
    """Name of the first author's institution, as it stands inside the DocumentReference or beside its reference."""
    author = next(iter(_dicts(document.get("author"))), {})
    contained = {f"#{_text(one.get('id'))}": one for one in _dicts(document.get("contained"))}
    found = contained.get(_text(author.get("reference")), {})
    organization = _dict(found.get("organization"))
    if organization:
        found = contained.get(_text(organization.get("reference")), organization)
    if found.get("resourceType") == "Organization" and found.get("name"):
        return _text(found["name"])
    return _text(organization.get("display")) or _text(author.get("display")).rpartition(", ")[2]


def _source(resource: dict[str, Any]) -> tuple[str, str, str]:
    source = _dict(_dict(_dict(resource.get("context")).get("sourcePatientInfo")).get("identifier"))
    return _text(source.get("value")), _text(resource.get("date")), _concept(resource.get("type"))[1]


def _mime(resource: dict[str, Any]) -> str:
    return next((_text(_dict(one.get("attachment")).get("contentType")) for one in _dicts(resource.get("content"))), "")


def _title(resource: dict[str, Any]) -> str:
    return next((_text(_dict(one.get("attachment")).get("title")) for one in _dicts(resource.get("content"))), "")


def _document_row(resource: dict[str, Any], community: str, facility: str) -> Row:
    name, code = _concept(resource.get("type"))
    period = _dict(_dict(resource.get("context")).get("period"))
    date = _text(period.get("start")) or _text(resource.get("date"))
    unique = _text(_dict(resource.get("masterIdentifier")).get("value")).removeprefix("urn:oid:")
    title = _title(resource) or _text(resource.get("description")) or name
    return Row("document", date, title, code, _mime(resource), "", community, facility, unique or str(resource["id"]))


def merge_rows(rows: Iterable[Row]) -> tuple[Row, ...]:
    """One row for each (community, id), newest first, then community, then id; rows without a date come last."""
    unique: dict[tuple[str, str], Row] = {}
    for row in rows:
        unique.setdefault((row.community, row.id), row)
    ordered = sorted(unique.values(), key=lambda row: (row.community, row.id))
    return tuple(sorted(ordered, key=_moment, reverse=True))


def _moment(row: Row) -> str:
    """Start of the row's date in UTC; a peer's text that is no date sorts as none."""
    try:
        return utc_range(row.date)[0] if row.date else ""
    except GatewayError:
        return ""


def _is_laboratory(observation: dict[str, Any]) -> bool:
    return any(
        coding.get("code") == _LAB_CATEGORY
        for category in _dicts(observation.get("category"))
        for coding in _dicts(category.get("coding"))
    )


def _lab_row(observation: dict[str, Any], community: str, facility: str) -> Row:
    name, code = _concept(observation.get("code"))
    value, unit = _value(observation)
    date = _text(observation.get("effectiveDateTime")) or _text(_dict(observation.get("effectivePeriod")).get("start"))
    return Row("lab", date, name, code, value, unit, community, facility, str(observation["id"]))


def _value(observation: dict[str, Any]) -> tuple[str, str]:
    """(value, unit) of value[x]; components joined by ` / `; absent stays empty."""
    if quantity := _dict(observation.get("valueQuantity")):
        return _text(quantity.get("comparator")) + _digits(quantity.get("value")), _text(quantity.get("unit"))
    if concept := observation.get("valueCodeableConcept"):
        name, code = _concept(concept)
        return name or code, ""
    for kind in ("valueString", "valueInteger", "valueBoolean", "valueDateTime", "valueTime"):
        if kind in observation:
            return _scalar(observation[kind]), ""
    components = [_value(component) for component in _dicts(observation.get("component"))]
    return " / ".join(f"{value} {unit}".strip() for value, unit in components), ""


def _rx_row(request: dict[str, Any], community: str, facility: str) -> Row:
    name, code = _medication(request)
    value, unit = _dose(next(iter(_dicts(request.get("dosageInstruction"))), {}))
    date = _text(request.get("authoredOn"))
    return Row("rx", date, name, code, value, unit, community, facility, str(request["id"]))


def _medication(request: dict[str, Any]) -> tuple[str, str]:
    """(name, code) of the drug; of a contained mixture (注射) the names of its ingredients, which have no one code."""
    reference = _text(_dict(request.get("medicationReference")).get("reference"))
    if "medicationCodeableConcept" in request or not reference.startswith("#"):
        return _concept(request.get("medicationCodeableConcept"))
    contained = {_text(item.get("id")): item for item in _dicts(request.get("contained"))}
    medication = contained.get(reference[1:], {})
    if medication.get("code"):
        return _concept(medication["code"])
    found = [_concept(ingredient.get("itemCodeableConcept")) for ingredient in _dicts(medication.get("ingredient"))]
    return " + ".join(name or code for name, code in found), found[0][1] if len(found) == 1 else ""


def _dose(dosage: dict[str, Any]) -> tuple[str, str]:
    """The single dose with its unit; where there is none, the words of the instruction (用法)."""
    quantity = _dict(next(iter(_dicts(dosage.get("doseAndRate"))), {}).get("doseQuantity"))
    digits = _digits(quantity.get("value"))
    return (digits, _text(quantity.get("unit"))) if digits else (_text(dosage.get("text")), "")


def _digits(number: object) -> str:
    if isinstance(number, Decimal):
        return fhir.number(number)
    return str(number) if isinstance(number, int) and not isinstance(number, bool) else ""


def _scalar(value: object) -> str:
    """A primitive as FHIR JSON writes it."""
    return str(value).lower() if isinstance(value, bool) else _text(value) or _digits(value)


def _concept(concept: object) -> tuple[str, str]:
    """(name, code): the words sent, else the first display; the first code."""
    codings = _dicts(_dict(concept).get("coding"))
    name = _text(_dict(concept).get("text")) or next((_text(c.get("display")) for c in codings if c.get("display")), "")
    return name, next((_text(c.get("code")) for c in codings if c.get("code")), "")


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
