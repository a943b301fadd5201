"""GET [base]/metadata: the CapabilityStatement, made from the search parameter table (FHIR R4 3.1.0.9)."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from gateway.codec import fhir
from gateway.fhir.transactions import Transaction
from gateway.services.search import PARAMETERS
from gateway.services.search.parameters import Parameter

FHIR_VERSION = "4.0.1"
_R4 = "http://hl7.org/fhir/SearchParameter/"
_JP_CORE = "http://jpfhir.jp/fhir/core/SearchParameter/"
_INTERACTIONS = ("read", "vread", "history-instance", "search-type")
_EVERYWHERE = (
    ("_id", "token", f"{_R4}Resource-id"),
    ("_lastUpdated", "date", f"{_R4}Resource-lastUpdated"),
)
_OPERATIONS: list[dict[str, str]] = [
    {"name": "everything", "definition": "http://hl7.org/fhir/OperationDefinition/Patient-everything"},
    {"name": "summary", "definition": "http://hl7.org/fhir/uv/ips/OperationDefinition/summary"},
]
"""Of every Patient (fhir/patient_documents.py)."""
_IDENTITY: dict[str, Any] = {
    "interaction": [{"code": code} for code in (*_INTERACTIONS, "update", "delete")],
    "updateCreate": True,
    "conditionalUpdate": True,
    "conditionalDelete": "single",
    "operation": [
        *_OPERATIONS,
        {"name": "ihe-pix", "definition": "https://profiles.ihe.net/ITI/PIXm/OperationDefinition/IHE.PIXm.pix"},
        {"name": "match", "definition": "http://hl7.org/fhir/OperationDefinition/Patient-match"},
    ],
}
"""Conditional update and delete by identifier (ITI-104), $ihe-pix (ITI-83) and $match (ITI-119)."""


@lru_cache(maxsize=8)
def capability(
    base: str,
    version: str,
    started: str,
    mode: str,
    identity: bool = False,
    transactions: tuple[Transaction, ...] = (),
) -> bytes:
    """`started` (FHIR dateTime) is when this process began to say so; `mode` is open or enforced; `identity`: Patient
    takes part in ITI-83, 104 and 119; `transactions` add what they answer."""
    security = "no authentication: open mode, reachable on the loopback address only" if mode == "open" else mode
    rest: dict[str, Any] = {"mode": "server", "security": {"cors": False, "description": security}}
    statement: dict[str, Any] = {
        "resourceType": "CapabilityStatement",
        "id": "musubi",
        "status": "active",
        "date": started,
        "kind": "instance",
        "software": {"name": "Musubi", "version": version},
        "implementation": {"description": "Musubi (結び), gateway between regional EHRs", "url": base},
        "fhirVersion": FHIR_VERSION,
        "format": ["application/fhir+json", "json", "application/fhir+xml", "xml"],
        "rest": [rest],
    }
    resources = {
        type_: _resource(type_, parameters)
        | ({"operation": _OPERATIONS} if type_ == "Patient" else {})
        | (_IDENTITY if identity and type_ == "Patient" else {})
        for type_, parameters in PARAMETERS.items()
    }
    for transaction in transactions:
        for type_, parts in transaction.capability().items():
            _add(resources.setdefault(type_, {"type": type_}) if type_ else rest, parts)
    rest["resource"] = list(resources.values())
    rest |= {name: rest.pop(name) for name in ("interaction", "operation") if name in rest}  # R4's order of elements
    return fhir.render(statement)


def _add(described: dict[str, Any], parts: Mapping[str, Any]) -> None:
    """Lists are joined, an element of the same name or code once; anything else is set."""
    for name, value in parts.items():
        if isinstance(value, list):
            known = described.get(name, [])
            keys = {_key(one) for one in value}
            described[name] = [one for one in known if _key(one) not in keys] + value
        else:
            described[name] = value


def _key(one: Any) -> Any:
    return one.get("name") or one.get("code") if isinstance(one, dict) else one


def _resource(type_: str, parameters: dict[str, Parameter]) -> dict[str, Any]:
    references = [name for name, one in parameters.items() if one.kind == "reference"]
    described: dict[str, Any] = {
        "type": type_,
        "interaction": [{"code": code} for code in _INTERACTIONS],
        "versioning": "versioned",
        "readHistory": True,
        "updateCreate": False,
        "conditionalCreate": False,
        "conditionalRead": "full-support",
        "conditionalUpdate": False,
        "conditionalDelete": "not-supported",
        "referencePolicy": ["literal"],
    }
    if references:
        described["searchInclude"] = [f"{type_}:{name}" for name in references]
    described["searchRevInclude"] = ["Provenance:target"]
    described["searchParam"] = [{"name": name, "definition": url, "type": kind} for name, kind, url in _EVERYWHERE] + [
        _parameter(one) for one in parameters.values()
    ]
    return described


def _parameter(parameter: Parameter) -> dict[str, str]:
    root = _JP_CORE if parameter.cite.startswith("JP_") else _R4
    return {"name": parameter.name, "definition": root + parameter.cite, "type": parameter.wire_kind}
