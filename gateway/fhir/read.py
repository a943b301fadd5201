"""read, vread and history of one resource (FHIR R4 3.1.0.2, 3.1.0.3, 3.1.0.10). Stored bytes are answered as they are."""

import re
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from gateway.errors import DeletedResource, UnknownResource
from gateway.fhir.messages import FhirRequest, FhirResponse, json_answer
from gateway.model.caller import Scope
from gateway.model.resource import StoredResource
from gateway.ports import Resources

_VERSION = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


def read(request: FhirRequest, resources: Resources, type_: str, id_: str, scope: Scope) -> FhirResponse:
    """200, or 304 when the caller's copy is this version. UnknownResource, DeletedResource (410)."""
    found = resources.read(type_, id_, scope)
    if found is None:
        raise _unknown()
    if found.deleted:
        raise DeletedResource("the resource was deleted; its versions are in _history")
    if _is_current(request, found):
        return FhirResponse(304, validators(found))
    return json_answer(200, found.body, validators(found))


def vread(request: FhirRequest, resources: Resources, type_: str, id_: str, version: str, scope: Scope) -> FhirResponse:
    found = resources.vread(type_, id_, int(version), scope) if _VERSION.fullmatch(version) else None
    if found is None:
        raise _unknown()
    if found.deleted:
        raise DeletedResource("this version says that the resource was deleted")
    if _is_current(request, found):
        return FhirResponse(304, validators(found))
    return json_answer(200, found.body, validators(found))


def history(request: FhirRequest, resources: Resources, type_: str, id_: str, scope: Scope) -> FhirResponse:
    """All versions in one Bundle, newest source time first; a deletion is an entry without a resource."""
    versions = resources.history(type_, id_, scope)
    if not versions:
        raise _unknown()
    entries = b",".join(_history_entry(request.base, one) for one in versions)
    link = f'{{"relation":"self","url":"{request.base}/{type_}/{id_}/_history"}}'
    head = f'{{"resourceType":"Bundle","type":"history","total":{len(versions)},"link":[{link}],"entry":['
    return json_answer(200, head.encode("ascii") + entries + b"]}")


def _history_entry(base: str, one: StoredResource) -> bytes:
    """request and response are required in a history (bdl-3, bdl-4). The gateway stores as PUT does."""
    method, status = ("DELETE", "204") if one.deleted else ("PUT", "201" if one.version == 1 else "200")
    resource = b'"resource":%b,' % one.body if one.body else b""
    acts = (
        f'"request":{{"method":"{method}","url":"{one.type}/{one.id}"}},'
        f'"response":{{"status":"{status}","etag":"W/\\"{one.version}\\"","lastModified":"{one.last_updated}"}}}}'
    )
    return f'{{"fullUrl":"{base}/{one.type}/{one.id}",'.encode("ascii") + resource + acts.encode("ascii")


def validators(found: StoredResource) -> list[tuple[str, str]]:
    """ETag and Last-Modified (R4 3.1.0.1.3, 3.1.0.2)."""
    return [("ETag", f'W/"{found.version}"'), ("Last-Modified", format_datetime(_whole_second(found), usegmt=True))]


def _whole_second(found: StoredResource) -> datetime:
    return datetime.fromisoformat(found.last_updated).astimezone(UTC).replace(microsecond=0)


def _is_current(request: FhirRequest, found: StoredResource) -> bool:
    """If-None-Match, and only without it If-Modified-Since (RFC 9110 13.2.2)."""
    if tags := request.headers.get("if-none-match", ""):
        return (
            f'"{found.version}"' in {tag.strip().removeprefix("W/") for tag in tags.split(",")} or tags.strip() == "*"
        )
    try:
        since = parsedate_to_datetime(request.headers.get("if-modified-since", ""))
    except ValueError:
        return False
    return since.tzinfo is not None and _whole_second(found) <= since


def _unknown() -> UnknownResource:
    # The same words whether it never was, or is hidden from this caller.
    return UnknownResource("no such resource here")
