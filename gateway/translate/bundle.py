"""Bundles: what `convert` prints (transaction or collection) and what the registry holds as a document."""

from collections.abc import Iterable
from typing import Any, Literal
from urllib.parse import quote

from gateway.translate.common import SHA256
from gateway.translate.ranks import SHARED

BundleType = Literal["transaction", "collection"]


def bundle(
    resources: Iterable[dict[str, Any]], kind: BundleType, *, sha256: str, file: str, flag: str, timestamp: str = ""
) -> dict[str, Any]:
    """One document per input. Bundle.identifier is the SHA-256 of the input, meta.source its file name.

    A transaction of a valid file (flag 1) puts every resource under its own id; of a deleted file (flag 0) it deletes
    them, but not what other messages also tell of; of a superseded one (flag 2) it holds nothing.
    """
    made: dict[str, Any] = (
        {"resourceType": "Bundle", "meta": {"source": quote(file, safe="/-_.~")}}
        if file
        else {"resourceType": "Bundle"}
    )
    made["identifier"] = {"system": SHA256, "value": sha256}
    made["type"] = kind
    if timestamp:
        made["timestamp"] = timestamp
    entries = [entry for one in resources if (entry := _entry(one, kind, flag))]
    if entries:
        made["entry"] = entries
    return made


def _entry(resource: dict[str, Any], kind: BundleType, flag: str) -> dict[str, Any] | None:
    full_url = f"urn:uuid:{resource['id']}"
    if kind == "collection":
        return {"fullUrl": full_url, "resource": resource}
    url = f"{resource['resourceType']}/{resource['id']}"
    if flag == "2":
        return None
    if flag == "0":
        gone = resource["resourceType"] not in SHARED
        return {"request": {"method": "DELETE", "url": url}} if gone else None
    return {"fullUrl": full_url, "resource": resource, "request": {"method": "PUT", "url": url}}


def failure(issue_severity: str, code: str, where: str, text: str) -> dict[str, Any]:
    """The OperationOutcome of an input that could not be converted."""
    coding = {"system": "https://musubi.invalid/issue-codes", "code": code}
    issue: dict[str, Any] = {
        "severity": issue_severity,
        "code": "invalid",
        "details": {"coding": [coding], "text": text},
    }
    if where:
        issue["diagnostics"] = where
    return {"resourceType": "OperationOutcome", "issue": [issue]}
