"""The faces of federation over HTTP: /api/query, /api/topology, `_federated` on /fhir and its stream."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from flask import Flask, Response, request

from gateway.codec import fhir as fhir_json
from gateway.errors import BadInput, GatewayError, InvalidParameter, MissingParameter, codes_for
from gateway.fhir import FhirRequest, FhirResponse
from gateway.fhir.federated import NDJSON, FederatedServices, handle, refused, stream
from gateway.fhir.federated_question import STREAM, is_federated
from gateway.model.caller import Caller, Scope
from gateway.model.identity import PatientId
from gateway.serve.json_api import JsonApi
from gateway.services.federation.fanout import Busy
from gateway.services.federation.question import Question
from gateway.services.federation.rows import WANTED, Row, facility_of, merge_rows, row_of, without_originals
from gateway.services.federation.service import LONGEST_S, Part

QUERY_TYPES = tuple(WANTED)
PATHS = ("/api/query", "/api/topology")


class FederatedQuestion(NamedTuple):
    """The body of POST /api/query after it was checked."""

    patient: PatientId
    types: tuple[str, ...]
    """Of QUERY_TYPES."""
    communities: tuple[str, ...] | None
    """homeCommunityIds or names; None: all."""
    deadline_s: float | None
    """Seconds for everything; None: as configured."""


@dataclass(frozen=True, slots=True)
class FederationApi:
    """What the routes need; gateway.app fills it."""

    fhir: FederatedServices
    facilities: Mapping[str, str]
    """System of patient numbers -> name of the facility."""
    topology: Callable[[], list[dict[str, Any]]]

    def metrics(self) -> str:
        """Counts as Prometheus text; communities by their homeCommunityId."""
        federation = self.fhir.federation
        lines = [
            "# HELP musubi_federation_refused_total Federated questions refused because there were too many at once.",
            "# TYPE musubi_federation_refused_total counter",
            f"musubi_federation_refused_total {federation.admission.refused}",
            "# HELP musubi_federation_total What became of exchanges with communities: asked, late (answers dropped),"
            " dropped (never put), alarms (not believed).",
            "# TYPE musubi_federation_total counter",
        ]
        for one in federation.peers:
            for name, count in sorted(one.channel.counts.items()):
                lines.append(f'musubi_federation_total{{community="{one.id}",what="{name}"}} {count}')
        lines += [
            "# HELP musubi_federation_open 1 when a community is left alone.",
            "# TYPE musubi_federation_open gauge",
        ]
        for one in federation.peers:
            opened = int(one.channel.breaker.state != "closed")
            lines.append(f'musubi_federation_open{{community="{one.id}"}} {opened}')
        return "\n".join(lines) + "\n"

    def answers(self, request: FhirRequest) -> bool:
        return is_federated(request) or request.path == f"/{STREAM}"

    def answer(self, request: FhirRequest, caller: Caller, scope: Scope) -> FhirResponse | Iterator[bytes]:
        """What /fhir answers: a Bundle, or the lines of a stream."""
        if request.path != f"/{STREAM}":
            return handle(request, self.fhir, caller, scope)
        response, lines = stream(request, self.fhir, caller, scope)
        return lines if response is None else response

    def query(self, asked: FederatedQuestion, caller: Caller, scope: Scope) -> dict[str, Any]:
        """{"communities": [...], "rows": [...]}; its audit record is stored."""
        question = Question(asked.patient, tuple(WANTED[word] for word in asked.types))
        federation = self.fhir.federation
        begun = federation.begin(question, caller, scope, deadline_s=asked.deadline_s, communities=asked.communities)
        place = {one.id: at for at, one in enumerate((federation.own(scope), *federation.peers))}
        parts = sorted(begun, key=lambda one: place[one.outcome.community])
        federation.record(question, caller, [one.outcome for one in parts])
        rows = merge_rows(row for part in parts for row in self.rows(part))
        return {
            "communities": [part.outcome.as_json() for part in parts],
            "rows": [row._asdict() for row in rows],
        }

    def rows(self, part: Part) -> list[Row]:
        patients = {one.id: one.body for one in part.given.patients}
        community = part.outcome.community
        found = []
        for one in without_originals(part.given.resources):
            row = row_of(one.body, community, facility_of(one.body, patients, self.facilities))
            if row is not None:
                found.append(row)
        return found


def register(app: Flask, api: FederationApi, base: JsonApi) -> None:
    def query() -> Response:
        who = base.caller()
        try:
            asked = read_question(request.headers.get("Content-Type", ""), base.body())
            return _json(200, api.query(asked, who, base.scope(who, "federated-query")))
        except GatewayError as error:
            codes = codes_for(error)
            refused(api.fhir, who, error)
            response = _json(codes.http, {"error": codes.fhir, "text": str(error)})
            if isinstance(error, Busy):
                response.headers["Retry-After"] = "1"
            return response

    def topology() -> Response:
        base.scope(base.caller(), "topology")
        return _json(200, api.topology())

    app.add_url_rule("/api/query", "api query", query, methods=["POST"])
    app.add_url_rule("/api/topology", "api topology", topology, methods=["GET"])


def streamed(lines: Iterator[bytes]) -> Response:
    """A body of unknown length, sent line by line."""
    return Response(lines, content_type=NDJSON, headers={"X-Accel-Buffering": "no"})


def read_question(content_type: str, body: bytes) -> FederatedQuestion:
    """{"patient": CX, "types": [...], "communities": "all" | [...], "deadline_s": number}; only `patient` is required.

    The Content-Type must be application/json, so that a web page cannot post here without asking first (CORS).
    """
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise BadInput("the question is application/json")
    given = fhir_json.received(body)
    if unknown := set(given) - {"patient", "types", "communities", "deadline_s"}:
        raise InvalidParameter(f"{len(unknown)} keys are not known (patient, types, communities, deadline_s)")
    if not isinstance(given.get("patient"), str):
        raise MissingParameter('"patient" is required: id^^^&oid&ISO')
    try:
        patient = PatientId.parse(given["patient"])
    except ValueError as error:
        raise InvalidParameter(f'"patient": {error}') from None
    types = _words(given, "types")
    if types is not None and not set(types) <= set(QUERY_TYPES):
        raise InvalidParameter(f'"types" is a list of {", ".join(QUERY_TYPES)}')
    deadline = given.get("deadline_s")
    if deadline is not None:
        try:
            deadline = float(deadline)
        except (TypeError, ValueError):
            deadline = 0.0
        if not 0 < deadline <= LONGEST_S:
            raise InvalidParameter(f'"deadline_s" is a number of seconds up to {LONGEST_S:.0f}')
    return FederatedQuestion(patient, types or QUERY_TYPES, _words(given, "communities"), deadline)


def _words(given: dict[str, Any], key: str) -> tuple[str, ...] | None:
    """A list of words; None when the key is absent or says "all"."""
    value = given.get(key)
    if value is None or value == "all":
        return None
    if not isinstance(value, list) or not value or len(value) > 1000 or not all(isinstance(one, str) for one in value):
        raise InvalidParameter(f'"{key}" is "all" or a list of words')
    return tuple(dict.fromkeys(value))


def _json(status: int, value: Any) -> Response:
    return Response(orjson.dumps(value), status=status, content_type="application/json")
