"""What a FHIR answer is made of, apart from the wire: request, response, OperationOutcome, media types (FHIR R4 3.1.0)."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.codec import fhir
from gateway.errors import GatewayError, codes_for

FHIR_JSON = "application/fhir+json"
CONTENT_TYPE = f"{FHIR_JSON}; charset=utf-8"
FHIR_VERSIONS = ("4.0", "4.0.1")
FHIR_XML = "application/fhir+xml"
JSON_NAMES = frozenset({FHIR_JSON, "application/json", "text/json", "json", "application/json+fhir"})
XML_NAMES = frozenset({FHIR_XML, "application/xml", "text/xml", "xml", "application/xml+fhir"})
_ANY = frozenset({"*/*", "application/*"})
MAX_ACCEPT = 1024
"""Characters of an Accept header that are read."""


@dataclass(frozen=True, slots=True)
class FhirRequest:
    """`path` is what follows the base, without query: `/Patient/x`. Header names are lower case."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes
    base: str
    """Absolute URL of the FHIR base as the caller reached it, without a slash at the end."""
    malformed: str = ""
    """What the edge could not read of the URL; such a request is refused, and audited like any other."""


@dataclass(frozen=True, slots=True)
class FhirResponse:
    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    stream: Iterable[bytes] | None = None
    """In place of `body`: read once, when the answer is sent."""


class Refused(GatewayError):
    """A request that HTTP or FHIR says no to before it concerns any data: 404, 405, 406, 415."""

    def __init__(self, status: int, code: str, text: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(text)
        self.status, self.code, self.headers = status, code, tuple(headers)


def json_answer(status: int, body: bytes, headers: Iterable[tuple[str, str]] = ()) -> FhirResponse:
    return FhirResponse(status, [("Content-Type", CONTENT_TYPE), *headers], body)


def outcome(severity: str, code: str, text: str) -> bytes:
    """An OperationOutcome with one issue. `code` is of http://hl7.org/fhir/issue-type; `text` without patient data."""
    issue = {"severity": severity, "code": code, "diagnostics": text}
    return fhir.render({"resourceType": "OperationOutcome", "issue": [issue]})


def error_answer(error: GatewayError) -> FhirResponse:
    """The one translation of failures to FHIR: status and issue type from errors.ERRORS."""
    if isinstance(error, Refused):
        return json_answer(error.status, outcome("error", error.code, str(error)), error.headers)
    codes = codes_for(error)
    text = str(error) or "the request could not be answered"
    return json_answer(codes.http, outcome("error", codes.fhir, text))


def check_acceptable(request: FhirRequest) -> None:
    """Refused(406) for a caller who takes neither of the two formats."""
    wants_xml(request)


def wants_xml(request: FhirRequest) -> bool:
    """Refused(406) unless JSON or XML of FHIR 4.0 will do. `_format` wins over Accept; with equal weight JSON does."""
    wanted = [value for name, value in request.query if name == "_format"]
    if wanted:
        # A `+` that was not percent-encoded in the URL arrives as a blank.
        given = {value.partition(";")[0].strip().replace(" ", "+").lower() for value in wanted}
        if given <= JSON_NAMES:
            return False
        if given <= XML_NAMES:
            return True
        raise Refused(406, "not-supported", f"_format: this server answers in {FHIR_JSON} or {FHIR_XML}")
    accept = request.headers.get("accept", "")[:MAX_ACCEPT]
    if not accept.strip():
        return False
    json, xml = (
        max((_weight(one, kinds) for one in accept.split(",")), default=0.0) for kinds in (JSON_NAMES, XML_NAMES)
    )
    if not json and not xml:
        raise Refused(
            406, "not-supported", f"Accept: this server answers in {FHIR_JSON} or {FHIR_XML}, FHIR version 4.0"
        )
    return xml > json


def accepts(accept: str, *kinds: str) -> bool:
    """Whether an Accept header takes one of these media types, parameters aside; an empty one takes anything."""
    if not accept.strip():
        return True
    wanted = {kind.partition(";")[0].strip().lower() for kind in kinds}
    wanted |= {f"{kind.partition('/')[0]}/*" for kind in wanted if "/" in kind} | {"*/*"}
    ranges = ([part.strip().lower() for part in one.split(";")] for one in accept[:MAX_ACCEPT].split(","))
    return any(kind in wanted and "q=0" not in rest and "q=0.0" not in rest for kind, *rest in ranges)


def _weight(media_range: str, kinds: frozenset[str]) -> float:
    """q of a range that takes one of these kinds, a little less where it is a wildcard; 0 when it takes none."""
    kind, *parameters = (part.strip().lower() for part in media_range.split(";"))
    if kind not in kinds and kind not in _ANY:
        return 0.0
    weight = 1.0
    for parameter in parameters:
        name, _, value = (part.strip() for part in parameter.partition("="))
        if name == "fhirversion" and value.strip('"') not in FHIR_VERSIONS:
            return 0.0
        if name == "q":
            try:
                weight = min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return weight if kind in kinds else weight * 0.99
