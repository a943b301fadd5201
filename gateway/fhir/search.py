"""search-type by GET and by POST _search (FHIR R4 3.1.1). The Bundle joins stored bytes; nothing is parsed again."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from urllib.parse import parse_qsl, quote, urlencode

from gateway.errors import BadInput, LimitExceeded
from gateway.fhir.messages import FhirRequest, FhirResponse, Refused, json_answer, outcome
from gateway.model.caller import Scope
from gateway.model.resource import SearchPage, StoredResource
from gateway.ports import Resources
from gateway.services.search import Search, SearchRules, plan
from gateway.services.search import cursor as cursors
from gateway.services.search.plan import CURSOR

FORM = "application/x-www-form-urlencoded"
MAX_FORM_BYTES = 256 * 1024
_MAX_FIELDS = 1000


def parameters(request: FhirRequest) -> list[tuple[str, str]]:
    """Of the URL, and of the form when it is a POST (R4 3.1.1.1.1: both count). 415 for another body."""
    if request.method != "POST":
        return request.query
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise Refused(415, "not-supported", f"_search takes a body of {FORM}")
    if len(request.body) > MAX_FORM_BYTES:
        raise LimitExceeded(f"a search form of more than {MAX_FORM_BYTES} bytes")
    return request.query + parse_form(request.body)


def parse_form(body: bytes) -> list[tuple[str, str]]:
    """`a=1&b=2`, percent-encoded UTF-8; a blank value stays. BadInput when it is not that.

    LENIENT: UTF-8 that was not percent-encoded, as `curl -d` posts what is typed.
    """
    try:
        return parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=_MAX_FIELDS,
        )
    except (UnicodeDecodeError, ValueError):
        raise BadInput("the parameters are not form-encoded UTF-8") from None


def understand(
    request: FhirRequest, type_: str, given: list[tuple[str, str]], rules: SearchRules, key: bytes, caller: str
) -> Search:
    """The plan of a search. InvalidParameter says which parameter is wrong."""
    handling = {one.strip().lower() for one in request.headers.get("prefer", "").replace(";", ",").split(",")}
    strict = "handling=strict" in handling
    here = replace(rules, base=request.base)
    return plan(type_, given, rules=here, cursor_key=key, caller=caller, strict=strict)


def answer(
    request: FhirRequest,
    search: Search,
    resources: Resources,
    scope: Scope,
    key: bytes,
    caller: str,
    shown: Callable[[SearchPage], None] | None = None,
) -> FhirResponse:
    """The searchset Bundle: matches, then what was included, then what was ignored. `shown` hears what it holds."""
    page = resources.search(search.plan, scope)
    if shown is not None:
        shown(page)
    base = request.base
    address = f"{base}/{search.plan.type}"
    links = [("self", url(address, search.used))]
    if page.next_after:
        mark = cursors.seal(page.next_after, query=search.digest, caller=caller, key=key)
        links.append(("next", url(address, [*search.used, (CURSOR, mark)])))
    entries = [_entry(base, one, b"match") for one in page.rows]
    entries += [_entry(base, one, b"include") for one in page.included]
    if search.ignored:
        text = f"not known on {search.plan.type} and ignored: {', '.join(search.ignored)}"
        issue = outcome("warning", "not-supported", text)
        entries.append(b'{"resource":%b,"search":{"mode":"outcome"}}' % issue)
    total = page.total if page.total >= 0 else None
    return json_answer(200, searchset(total, links, entries))


def searchset(total: int | None, links: Iterable[tuple[str, str]], entries: list[bytes]) -> bytes:
    parts = [b'{"resourceType":"Bundle","type":"searchset"']
    if total is not None:
        parts.append(b',"total":%d' % total)
    joined = ",".join(f'{{"relation":"{relation}","url":{json.dumps(url)}}}' for relation, url in links)
    parts.append(f',"link":[{joined}]'.encode("ascii"))
    if entries:
        parts += [b',"entry":[', b",".join(entries), b"]"]
    parts.append(b"}")
    return b"".join(parts)


def _entry(base: str, one: StoredResource, mode: bytes) -> bytes:
    url = f"{base}/{one.type}/{one.id}".encode("ascii")
    return b'{"fullUrl":"%b","resource":%b,"search":{"mode":"%b"}}' % (url, one.body, mode)


def url(address: str, pairs: Iterable[tuple[str, str]]) -> str:
    query = urlencode(list(pairs), quote_via=quote, safe="/:|,")
    return f"{address}?{query}" if query else address
