"""Asking another community by FHIR R4 REST: a search with its pages, within a deadline and limits; and what its server
says of itself. What comes back is distrusted as any answer is."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode, urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError as TransportError
from urllib3.exceptions import TimeoutError as TransportTimeout

from gateway.codec import fhir
from gateway.errors import BadInput, Forbidden, LimitExceeded, Unavailable
from gateway.ihe._client import Call, no_credentials, total
from gateway.services.federation.outcomes import Consent, Down

MAX_PAGES: Final = 40
_CHUNK: Final = 64 * 1024
_LEAST_S: Final = 0.05
_ACCEPT: Final = "application/fhir+json; fhirVersion=4.0, application/fhir+json;q=0.9"


class Entry(NamedTuple):
    resource: dict[str, Any]
    url: str
    mode: str
    """match, include or outcome"""


@dataclass(frozen=True, slots=True)
class Capability:
    """What a CapabilityStatement says that matters here."""

    types: frozenset[str]
    """That can be searched."""
    includes: frozenset[str]
    """`Observation:patient`"""
    software: str
    documents: bool = False
    """Its DocumentReferences are the entries of its registry (IHE MHD)."""

    def has(self, type_: str) -> bool:
        return type_ in self.types


def capability(base: str, call: Call, left_s: float) -> Capability:
    found = get(f"{base}/metadata", call, left_s)
    if found.get("resourceType") != "CapabilityStatement":
        raise BadInput("the answer is not a CapabilityStatement")
    rest = [one for one in _dicts(found.get("rest")) if one.get("mode") == "server"]
    resources = [one for server in rest for one in _dicts(server.get("resource"))]
    software = found.get("software")
    named = software if isinstance(software, dict) else {}
    return Capability(
        frozenset(
            str(one.get("type"))
            for one in resources
            if any(act.get("code") == "search-type" for act in _dicts(one.get("interaction")))
        ),
        frozenset(str(name) for one in resources for name in one.get("searchInclude") or ()),
        " ".join(str(named[key]) for key in ("name", "version") if named.get(key)),
        _is_mhd(found, resources),
    )


def _is_mhd(statement: dict[str, Any], resources: list[dict[str, Any]]) -> bool:
    """Whether it says so: in what it instantiates, its guides, or the profiles of DocumentReference."""
    said = [statement.get("instantiates"), statement.get("implementationGuide")]
    for one in resources:
        if one.get("type") == "DocumentReference":
            said += [one.get("profile"), one.get("supportedProfile")]
    return "MHD" in str(said)


def search(
    base: str, type_: str, parameters: list[tuple[str, str]], call: Call, left_s: float, most: int
) -> Iterator[Entry]:
    """Entries of all pages, `most` matches at most (one more shows that there were more). Raises as `get`."""
    until = call.clock.monotonic() + left_s
    url = f"{base}/{type_}?{urlencode(parameters, quote_via=quote, safe='/:|,')}"
    seen: set[str] = set()
    matches = 0
    for _ in range(MAX_PAGES):
        seen.add(url)
        bundle = get(url, call, until - call.clock.monotonic())
        if bundle.get("resourceType") != "Bundle":
            raise BadInput("the answer is not a Bundle")
        for entry in _dicts(bundle.get("entry")):
            resource, mode = entry.get("resource"), str((entry.get("search") or {}).get("mode", "match"))
            if isinstance(resource, dict):
                matches += mode == "match"
                yield Entry(resource, str(entry.get("fullUrl", "")), mode)
        links = {str(one.get("relation")): str(one.get("url", "")) for one in _dicts(bundle.get("link"))}
        if not links.get("next") or matches > most:
            return
        url = urljoin(url, links["next"])
        if _origin(url) != _origin(base) or url in seen:
            raise BadInput("a next link that leads somewhere else")
    raise LimitExceeded(f"an answer of more than {MAX_PAGES} pages")


def get(url: str, call: Call, left_s: float) -> dict[str, Any]:
    """One JSON resource. Raises TimeoutError, Unavailable (no connection, HTTP 429 and 5xx), Forbidden (401, 403),
    BadInput, LimitExceeded."""
    if left_s < _LEAST_S:
        raise TimeoutError("no time left to ask")
    until = call.clock.monotonic() + left_s
    try:
        with call.session.get(
            url,
            headers=_headers(call.authorization(url)),
            stream=True,
            allow_redirects=False,
            auth=no_credentials,
            timeout=total(left_s),
        ) as response:
            return _read(response, call, until)
    except (requests.Timeout, TransportTimeout):
        raise TimeoutError("the community did not answer in time") from None
    except (requests.RequestException, TransportError):
        raise Unavailable("the community cannot be reached") from None


def _headers(authorization: str) -> dict[str, str]:
    named = {"Authorization": authorization} if authorization else {}
    return {"Accept": _ACCEPT, "Accept-Encoding": "identity", **named}


def _read(response: requests.Response, call: Call, until: float) -> dict[str, Any]:
    status = response.status_code
    if status in (401, 403):
        if status == 403 and _suppressed(response):
            raise Consent("the patient's consent holds the record back")
        raise Forbidden("the community refuses us")
    if status == 429 or status >= 500:
        raise Down(f"the community answers HTTP {status}")
    if status != 200:
        raise BadInput(f"the community answers HTTP {status}")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise BadInput("the answer is compressed, which was not asked for")
    if "json" not in response.headers.get("Content-Type", "").lower():
        raise BadInput("the answer is not JSON")
    data = bytearray()
    while chunk := response.raw.read1(_CHUNK):
        data += chunk
        if len(data) > fhir.MAX_BYTES:
            raise LimitExceeded(f"an answer larger than {fhir.MAX_BYTES} bytes")
        if call.clock.monotonic() > until:
            raise TimeoutError("the community did not finish its answer in time")
    expected = response.headers.get("Content-Length", "")
    if expected.isdigit() and int(expected) != len(data):
        raise Unavailable("the answer broke off")
    return fhir.parse(bytes(data))


def _suppressed(response: requests.Response) -> bool:
    """Whether a refusal says that privacy or consent is the reason (issue-type `suppressed`). A refusal that is not read
    is one without a reason."""
    if "json" not in response.headers.get("Content-Type", "").lower():
        return False
    try:
        said = fhir.parse(response.raw.read(_CHUNK))
    except (BadInput, TransportError):
        return False
    return said.get("resourceType") == "OperationOutcome" and any(
        one.get("code") == "suppressed" for one in _dicts(said.get("issue"))
    )


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _origin(url: str) -> tuple[str, str]:
    found = urlsplit(url)
    return found.scheme, found.netloc
