"""ITI-68 Retrieve Document (IHE MHD 4.2, 2:3.68): GET of attachment.url, which is Binary below the FHIR base.

The bytes come as they are under the document's own media type; `Accept: application/fhir+json` for a document of another
type gives them inside a Binary resource (FHIR R4 2.39.2). A document is read to its end and checked before the first byte
is given away: a damaged one is an error, never half an answer.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from functools import partial
from typing import Final

from gateway.codec import fhir
from gateway.errors import DamagedContent, DeletedResource, UnknownDocument, UnknownRepository
from gateway.fhir.messages import JSON_NAMES, XML_NAMES, FhirRequest, FhirResponse, Refused, accepts, json_answer
from gateway.fhir.transactions import EXPORT, Attached, Trace
from gateway.ihe._mhd import MhdServices
from gateway.model.caller import Caller, Scope
from gateway.model.document import APPROVED, ON_DEMAND
from gateway.services.documents import Held, Wanted, retrieve
from gateway.translate.document_reference import entry_uuid

NUMBER: Final = "ITI-68"
TYPE: Final = "Binary"
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(;[ -~]*)?", re.ASCII)
_UNKNOWN: Final = "application/octet-stream"


def get(services: MhdServices, request: FhirRequest, caller: Caller, scope: Scope, trace: Trace) -> FhirResponse:
    """Table 3.68.4.2.2-1: 404 unknown, 410 deprecated or gone, 406 not in a wanted type, 403 any other request."""
    if request.method not in ("GET", "HEAD"):
        raise Refused(403, "not-supported", "a document is retrieved by GET")
    if "if-unmodified-since" in request.headers:
        raise Refused(403, "not-supported", "If-Unmodified-Since is not sent with a retrieve (2:3.68.4.1.2)")
    id_ = request.path.strip("/").split("/")[1]
    uuid = entry_uuid(id_)
    found = services.documents.documents.by_entry_uuid((uuid,), scope) if uuid else []
    if not found:
        raise UnknownDocument("no such document here")
    entry = found[0]
    trace.object, trace.patient = entry.uniqueId, entry.patientId
    if entry.availabilityStatus != APPROVED:
        raise DeletedResource("the document is deprecated")
    if not entry.blob and entry.objectType != ON_DEMAND:
        raise DeletedResource("the document is not available here")
    mime = entry.mimeType if _MEDIA_TYPE.fullmatch(entry.mimeType) else _UNKNOWN
    accept = request.headers.get("accept", "")
    wrapped = not accepts(accept, mime) and accepts(accept, *JSON_NAMES, *XML_NAMES)
    if not wrapped and not accepts(accept, mime):
        raise Refused(406, "not-supported", "Accept: the document is not of that media type")
    tag = f'"{entry.hash}"'
    if entry.objectType != ON_DEMAND and entry.hash and _holds(request, tag):
        return FhirResponse(304, [("ETag", tag)], stream=())
    return _given(_held(services, entry.repositoryUniqueId, entry.uniqueId, scope), id_, mime, wrapped, request)


def _held(services: MhdServices, repository: str, unique_id: str, scope: Scope) -> Held:
    wanted = Wanted("", repository, unique_id)
    retrieved = retrieve(services.documents, (wanted,), scope, home_required=False)
    for _, error in retrieved.failed:
        if isinstance(error, UnknownRepository):
            raise DeletedResource("the document is in another repository")
        raise error
    if not retrieved.found:
        raise DamagedContent("the document could not be read")
    return retrieved.found[0]


def _given(held: Held, id_: str, mime: str, wrapped: bool, request: FhirRequest) -> FhirResponse:
    entry = held.entry
    if wrapped:
        if held.content is None:
            raise Refused(406, "too-long", "the document is too large for a Binary resource; ask for its own type")
        data = b64encode(held.content).decode("ascii")
        body = {"resourceType": TYPE, "id": id_, "contentType": mime, "data": data}
        return json_answer(200, fhir.render({name: value for name, value in body.items() if value}))
    headers = [("Content-Type", mime), ("Content-Length", str(entry.size))]
    if entry.hash:
        headers.append(("ETag", f'"{entry.hash}"'))
    if request.method == "HEAD":
        return FhirResponse(200, headers, stream=())
    return FhirResponse(200, headers, stream=held.chunks())


def _holds(request: FhirRequest, tag: str) -> bool:
    tags = request.headers.get("if-none-match", "")
    return tags.strip() == "*" or tag in {one.strip().removeprefix("W/") for one in tags.split(",")}


def _takes(method: str, path: Sequence[str]) -> bool:
    return len(path) == 2 and path[0] == TYPE


def transactions(services: MhdServices) -> tuple[Attached, ...]:
    return (
        Attached(NUMBER, (EXPORT, "R"), _takes, partial(get, services), {TYPE: {"interaction": [{"code": "read"}]}}),
    )
