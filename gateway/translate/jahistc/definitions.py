"""StructureDefinitions of the two extensions of layout.py, for validators that accept only extensions they know (FHIR R4 2.4)."""

from typing import Any

from gateway.translate.jahistc.layout import ITEM, NOTEBOOK

Fragment = dict[str, Any]


def definitions() -> list[Fragment]:
    """jahistc-item (one text) and jahistc-notebook (a header and the records in order)."""
    any_resource = [{"type": "element", "expression": "DomainResource"}]
    text, line = [{"code": "string"}], [{"code": "string"}, {"code": "Reference"}]
    item = [
        {"id": "Extension.extension", "path": "Extension.extension", "max": "0"},
        _url("Extension", ITEM),
        {"id": "Extension.value[x]", "path": "Extension.value[x]", "min": 1, "type": text},
    ]
    notebook = [
        *_slice("header", text, "1"),
        *_slice("record", line, "*"),
        _url("Extension", NOTEBOOK),
        {"id": "Extension.value[x]", "path": "Extension.value[x]", "max": "0"},
    ]
    return [
        _definition(ITEM, "JahistcItem", "FHIRの要素では元の書き方に戻らない項目", any_resource, item),
        _definition(
            NOTEBOOK,
            "JahistcNotebook",
            "お薬手帳のレコードの順",
            [{"type": "element", "expression": "Provenance"}],
            notebook,
        ),
    ]


def _definition(url: str, name: str, title: str, context: list[Fragment], elements: list[Fragment]) -> Fragment:
    return {
        "resourceType": "StructureDefinition",
        "id": url.rpartition("/")[2],
        "url": url,
        "name": name,
        "title": title,
        "status": "active",
        "fhirVersion": "4.0.1",
        "kind": "complex-type",
        "abstract": False,
        "context": context,
        "type": "Extension",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Extension",
        "derivation": "constraint",
        "differential": {"element": [{"id": "Extension", "path": "Extension", "short": title}, *elements]},
    }


def _url(at: str, url: str) -> Fragment:
    return {
        "id": f"{at}.url",
        "path": "Extension.url" if at == "Extension" else "Extension.extension.url",
        "fixedUri": url,
    }


def _slice(name: str, types: list[Fragment], most: str) -> list[Fragment]:
    at, path = f"Extension.extension:{name}", "Extension.extension"
    return [
        {"id": at, "path": path, "sliceName": name, "min": 1, "max": most},
        {"id": f"{at}.extension", "path": f"{path}.extension", "max": "0"},
        _url(at, name),
        {"id": f"{at}.value[x]", "path": f"{path}.value[x]", "min": 1, "type": types},
    ]
