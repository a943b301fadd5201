"""Media types and the form of refusals."""

import pytest

from gateway.errors import ERRORS, GatewayError, InvalidParameter
from gateway.fhir.messages import FhirRequest, Refused, check_acceptable, error_answer, wants_xml


def asked(accept: str = "", *formats: str) -> FhirRequest:
    return FhirRequest("GET", "/", [("_format", one) for one in formats], {"accept": accept}, b"", "http://h/fhir")


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "application/fhir+json",
        "application/json",
        "application/fhir+json; fhirVersion=4.0",
        "text/html, application/fhir+json;q=0.9, application/xml;q=0.8",
        "application/fhir+xml;q=0.5, */*;q=0.8",
        "APPLICATION/FHIR+JSON",
    ],
)
def test_json_is_acceptable(accept: str) -> None:
    assert not wants_xml(asked(accept))


@pytest.mark.parametrize(
    "accept",
    [
        "application/fhir+xml",
        "text/xml",
        "application/fhir+xml, image/*",
        "text/html, application/xml;q=0.9, */*;q=0.8",
        "application/fhir+xml, application/fhir+json;q=0.1",
    ],
)
def test_xml_is_wanted(accept: str) -> None:
    assert wants_xml(asked(accept))


@pytest.mark.parametrize(
    "accept",
    [
        "text/turtle",
        "text/html",
        "application/fhir+json;q=0",
        "application/fhir+json; q=0.000",
        "application/fhir+json; fhirVersion=5.0",
        "application/fhir+xml; fhirVersion=3.0, image/*",
    ],
)
def test_something_else_is_wanted(accept: str) -> None:
    with pytest.raises(Refused) as caught:
        check_acceptable(asked(accept))
    assert caught.value.status == 406


def test_format_wins_over_accept() -> None:
    for one in ("json", "application/fhir+json", "application/fhir json", "application/json;charset=utf-8"):
        assert not wants_xml(asked("text/xml", one))
    for one in ("xml", "application/fhir+xml", "text/xml"):
        assert wants_xml(asked("application/json", one))
    for one in ("ttl", "html", ""):
        with pytest.raises(Refused):
            check_acceptable(asked("*/*", one))


@pytest.mark.parametrize("kind", list(ERRORS))
def test_every_failure_has_an_outcome(kind: type[GatewayError]) -> None:
    model = pytest.importorskip("fhir.resources.R4B.operationoutcome").OperationOutcome
    answer = error_answer(kind("why"))
    assert answer.status == ERRORS[kind].http
    (issue,) = model.model_validate_json(answer.body).issue
    assert (issue.severity, issue.code, issue.diagnostics) == ("error", ERRORS[kind].fhir, "why")


def test_an_outcome_always_says_something() -> None:
    assert b'"diagnostics":"the request could not be answered"' in error_answer(InvalidParameter()).body
