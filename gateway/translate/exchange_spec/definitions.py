"""StructureDefinitions of our extensions, for validators that accept only extensions they know (FHIR R4 2.4)."""

from typing import Any

from gateway import mapping_files
from gateway.translate.exchange_spec.observations import extension


def definitions() -> list[dict[str, Any]]:
    """One a row of mappings/exchange-spec/extensions.csv, in order."""
    return [_definition(row) for row in mapping_files.read_csv(mapping_files.path("exchange-spec", "extensions.csv"))]


def _definition(row: dict[str, str]) -> dict[str, Any]:
    url = extension(row["name"])
    name = "Exchange" + "".join(word.capitalize() for word in row["name"].split("-"))
    return {
        "resourceType": "StructureDefinition",
        "id": f"exchange-{row['name']}",
        "url": url,
        "name": name,
        "title": row["title"],
        "status": "active",
        "fhirVersion": "4.0.1",
        "kind": "complex-type",
        "abstract": False,
        "context": [{"type": "element", "expression": element} for element in row["context"].split("|")],
        "type": "Extension",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Extension",
        "derivation": "constraint",
        "differential": {
            "element": [
                {"id": "Extension", "path": "Extension", "short": row["title"]},
                {"id": "Extension.extension", "path": "Extension.extension", "max": "0"},
                {"id": "Extension.url", "path": "Extension.url", "fixedUri": url},
                {
                    "id": "Extension.value[x]",
                    "path": "Extension.value[x]",
                    "min": 1,
                    "type": [{"code": row["type"]}],
                },
            ]
        },
    }
