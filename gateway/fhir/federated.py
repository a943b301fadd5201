"""Federated FHIR: a search, ITI-67 or Patient/$everything with `_federated=true` (or the header X-Musubi-Federated),
answered by all communities as one Bundle (docs/federation.md).

What is asked is read in federated_question.py; `answer` makes the Bundle, `stream` the lines of `$federated-stream`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode
from uuid import UUID, uuid5

from gateway.codec import fhir
from gateway.errors import GatewayError, UnknownPatient, codes_for
from gateway.fhir import federated_summary as summaries
from gateway.fhir.federated_question import Federated, understand
from gateway.fhir.formats import Render, in_xml
from gateway.fhir.messages import FhirRequest, FhirResponse, Refused, error_answer, json_answer, outcome, wants_xml
from gateway.fhir.search import searchset
from gateway.model.audit import AuditRecord
from gateway.model.caller import Caller, Scope
from gateway.model.clock import Chance
from gateway.services.federation.facts import Fact, merge, provenance
from gateway.services.federation.fanout import Busy
from gateway.services.federation.outcomes import Outcome
from gateway.services.federation.service import Federation, Part, Parts
from gateway.services.federation.snapshots import Line, Snapshot, Snapshots
from gateway.services.persons import Persons
from gateway.services.search import TYPES, SearchRules, cursor
from gateway.services.search.plan import CURSOR

NDJSON: Final = "application/x-ndjson"
_PLACELESS: Final = UUID("7c0f6c0e-9b0a-5f0e-8d0b-3e6c5b1f9a44")
"""Namespace of fullUrls of what stands nowhere: an OperationOutcome, a resource that came inside a document."""


@dataclass(frozen=True, slots=True)
class FederatedServices:
    federation: Federation
    persons: Persons
    rules: SearchRules
    cursor_key: bytes
    snapshots: Snapshots
    render_xml: Render
    chance: Chance


def handle(request: FhirRequest, services: FederatedServices, caller: Caller, scope: Scope) -> FhirResponse:
    """The Bundle, its audit record stored."""
    try:
        asked = understand(request, services.persons, services.rules, scope)
        response = answer(request, asked, services, caller, scope)
        return in_xml(response, services.render_xml) if wants_xml(request) else response
    except GatewayError as error:
        response = error_answer(error)
        if isinstance(error, Busy):
            response.headers.append(("Retry-After", "1"))
        refused(services, caller, error)
        return response


def refused(services: FederatedServices, caller: Caller, error: GatewayError) -> None:
    """The audit record of a question that was not asked; of many refused under load one a second, with their number."""
    status, number = codes_for(error).http, 1
    if isinstance(error, Busy) and not (number := services.federation.admission.to_tell()):
        return
    services.federation.audit.record(
        AuditRecord(
            "110112", "federated-query", "E", 4 if status < 500 else 8, caller.user or caller.node, caller.address,
            object="federated", detail=f"refused {status}" + (f" x{number}" if number > 1 else ""),
        ).by(caller)
    )  # fmt: skip


# -- the answer --------------------------------------------------------------------------------------------------------


def answer(
    request: FhirRequest, asked: Federated, services: FederatedServices, caller: Caller, scope: Scope
) -> FhirResponse:
    bound_to = "|".join((caller.node, caller.user, caller.purpose))
    digest = cursor.digest(asked.address, [pair for pair in asked.used if pair[0] not in ("_format", "_pretty")])
    if asked.cursor:
        key, start = _place(asked.cursor, digest, bound_to, services)
        held = services.snapshots.get(key)
        if held is None:
            raise Refused(410, "not-found", "this answer is held no longer; ask again")
        services.federation.record(asked.question, caller, (), asked.transaction)
        return _page(request, asked, services, held, key, start, (digest, bound_to), ())
    parts = ask(asked, services, caller, scope)
    outcomes = [part.outcome for part in parts]
    services.federation.record(asked.question, caller, outcomes, asked.transaction)
    if request.path.endswith("/$summary"):
        return _summary(request, services, parts, outcomes)
    snapshot = _snapshot(request, asked, services, parts)
    key = str(services.chance.new_uuid())
    if len(snapshot.lines) > asked.size and not asked.total_only:
        services.snapshots.put(key, snapshot)
    return _page(request, asked, services, snapshot, key, 0, (digest, bound_to), outcomes)


def ask(asked: Federated, services: FederatedServices, caller: Caller, scope: Scope) -> list[Part]:
    """All parts, in the order of homes, our own first. Raises Busy."""
    federation = services.federation
    parts = list(federation.begin(asked.question, caller, scope, deadline_s=_deadline(asked, services)))
    return sorted(parts, key=lambda one: (one.outcome.community != federation.home, one.outcome.community))


def _deadline(asked: Federated, services: FederatedServices) -> float:
    usual = services.federation.deadline_s
    return min(asked.wait_s, usual) if asked.wait_s else usual


def _place(text: str, digest: str, bound_to: str, services: FederatedServices) -> tuple[str, int]:
    found = cursor.unseal(text, query=digest, caller=bound_to, key=services.cursor_key)
    return str(found[0]), int(found[1])


def _snapshot(request: FhirRequest, asked: Federated, services: FederatedServices, parts: list[Part]) -> Snapshot:
    own = services.federation.home
    answers = [(one.outcome.community, one.outcome.name, one.given.resources) for one in parts]
    names = {one.outcome.community: one.outcome.name for one in parts}
    facts = merge(own, answers, asked.sort)
    recorded = services.federation.clock.now().isoformat(timespec="seconds")
    return Snapshot(tuple(_line(one, names, own, request.base) for one in facts), recorded)


def _summary(
    request: FhirRequest, services: FederatedServices, parts: list[Part], outcomes: list[Outcome]
) -> FhirResponse:
    own = services.federation.home
    facts = merge(own, [(one.outcome.community, one.outcome.name, one.given.resources) for one in parts])
    placed = [(one, _address(one, own, request.base)) for one in facts]
    # The Patient of this node stands for the person: it is the one that was asked about.
    people = [(one, url) for one, url in placed if one.resource.type == "Patient" and one.home == own]
    if not people:
        raise UnknownPatient("no such Patient here")
    person = next(((one, url) for one, url in people if one.resource.id == request.path.split("/")[2]), people[0])
    rest = [(one, url) for one, url in placed if one.resource.type != "Patient"]
    name = next(one.name for one in outcomes if one.community == own) or own
    now = services.federation.clock.now().isoformat(timespec="seconds")
    made = summaries.summary(rest, (person[0].tagged(), person[1]), outcomes, now, name)
    return json_answer(200, fhir.render(made))


def _line(fact: Fact, names: dict[str, str], own: str, base: str) -> Line:
    url = _address(fact, own, base)
    entry = fhir.render({"fullUrl": url, "resource": fact.tagged(), "search": {"mode": "match"}})
    return Line(fact.home, names.get(fact.home, ""), url, entry)


def _address(fact: Fact, own: str, base: str) -> str:
    """fullUrl: where it stands in its own server; for what came inside a document its UUID as a URN."""
    resource = fact.resource
    url = resource.url
    if fact.home == own and resource.type in TYPES:
        url = f"{base}/{resource.type}/{resource.id}"
    if not url:
        url = (
            f"urn:uuid:{resource.id}"
            if _is_uuid(resource.id)
            else _number(f"{fact.home}/{resource.type}/{resource.id}")
        )
    return url


def _number(text: str) -> str:
    """A fullUrl for what has no address: the same for the same, on every page."""
    return f"urn:uuid:{uuid5(_PLACELESS, text)}"


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _page(
    request: FhirRequest,
    asked: Federated,
    services: FederatedServices,
    snapshot: Snapshot,
    key: str,
    start: int,
    binding: tuple[str, str],
    outcomes: list[Outcome] | tuple[()],
) -> FhirResponse:
    total = len(snapshot.lines)
    page = () if asked.total_only else snapshot.lines[start : start + asked.size]
    links = [("self", _url(asked.address, asked.used))]
    end = start + len(page)
    if page and end < total:
        mark = cursor.seal((key, end), query=binding[0], caller=binding[1], key=services.cursor_key)
        links.append(("next", _url(asked.address, (*asked.used, (CURSOR, mark)))))
    entries = [one.entry for one in page]
    by_home: dict[tuple[str, str], list[str]] = {}
    for one in page:
        by_home.setdefault((one.home, one.name), []).append(one.reference)
    for (home, name), targets in by_home.items():
        made = provenance(home, name, targets, snapshot.recorded)
        entries.append(
            fhir.render({"fullUrl": f"urn:uuid:{made['id']}", "resource": made, "search": {"mode": "include"}})
        )
    entries += [_told(issue) for one in outcomes for issue in _issues(one)]
    if asked.ignored and not start:
        text = f"not known to a federated search and ignored: {', '.join(asked.ignored)}"
        entries.append(_told(outcome("warning", "not-supported", text)))
    return json_answer(200, searchset(total, links, entries))


def _told(issue: bytes) -> bytes:
    return b'{"fullUrl":"%b","resource":%b,"search":{"mode":"outcome"}}' % (_number(issue.decode()).encode(), issue)


def _issues(one: Outcome) -> Iterator[bytes]:
    """What a reader has to know of a community: it is silent, or its answer is not whole."""
    who = f"{one.community} {one.name}".strip()
    if not one.answered:
        yield outcome("warning", one.issue, f"{who}: {one.outcome}")
    elif one.alarms:
        yield outcome("warning", "processing", f"{who}: its answer is not whole ({', '.join(one.alarms)})")


def _url(address: str, pairs: tuple[tuple[str, str], ...]) -> str:
    return f"{address}?{urlencode(pairs, quote_via=quote, safe='/:|,')}"


# -- as they come ------------------------------------------------------------------------------------------------------


def stream(
    request: FhirRequest, services: FederatedServices, caller: Caller, scope: Scope
) -> tuple[FhirResponse | None, Iterator[bytes]]:
    """A refusal, or the lines: {community, name, outcome, ms} and {community, resource}, each community's as they come.

    The audit record of the question is stored before the first line.
    """
    try:
        if request.method != "GET":
            raise Refused(405, "not-supported", "a stream is read", [("Allow", "GET")])
        asked = understand(request, services.persons, services.rules, scope)
        federation = services.federation
        parts = federation.begin(asked.question, caller, scope, deadline_s=_deadline(asked, services))
    except GatewayError as error:
        response = error_answer(error)
        if isinstance(error, Busy):
            response.headers.append(("Retry-After", "1"))
        refused(services, caller, error)
        return response, iter(())
    try:
        federation.record(asked.question, caller, (), asked.transaction)
    except BaseException:
        parts.close()
        raise
    return None, Lines(parts, federation.home)


class Lines:
    """The lines of a stream; closed when its reader goes away."""

    def __init__(self, parts: Parts, own: str) -> None:
        self._parts, self._lines = parts, _lines(parts, own)

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> bytes:
        return next(self._lines)

    def close(self) -> None:
        self._parts.close()


def _lines(parts: Parts, own: str) -> Iterator[bytes]:
    for part in parts:
        one = part.outcome
        for fact in merge(own, [(one.community, one.name, part.given.resources)]):
            yield _json({"community": one.community, "resource": fact.tagged()})
        said: dict[str, Any] = one.as_json()
        if one.alarms:
            said["alarms"] = list(one.alarms)
        yield _json(said)


def _json(value: dict[str, Any]) -> bytes:
    return fhir.render(value) + b"\n"
