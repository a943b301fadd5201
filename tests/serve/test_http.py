"""The HTTP edge: routes, limits, headers, refusals, and what is and is not written to the log."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.errors import BadInput, LimitExceeded, Unavailable
from gateway.serve.federation_api import read_question
from gateway.serve.routes import is_loopback_name, route_of
from gateway.services.federation.fanout import Busy

QUESTION = b'{"patient": "77^^^&1.2.3&ISO"}'
JSON = {"content_type": "application/json"}


def test_fhir_is_mounted(client: Any, parts: Any) -> None:
    answer = client.get("/fhir/Patient/p1")
    assert answer.status_code == 200 and answer.content_type == "application/fhir+json; charset=utf-8"
    assert answer.json["id"] == "p1" and answer.headers["ETag"] == 'W/"1"'
    assert client.get("/fhir/Patient/p1", headers={"If-None-Match": 'W/"1"'}).status_code == 304
    assert client.get("/fhir/metadata").json["implementation"]["url"] == "http://localhost/fhir"
    form = {"data": b"name=%E5%B1%B1", "content_type": "application/x-www-form-urlencoded"}
    found = client.post("/fhir/Patient/_search", **form).json
    assert found["entry"][0]["fullUrl"] == "http://localhost/fhir/Patient/p1"
    assert len(parts.records) == 4


def test_links_lead_back_to_the_address_that_was_asked(client: Any) -> None:
    found = client.get("/fhir/Patient", base_url="http://127.0.0.1:8080").json
    assert found["link"][0]["url"] == "http://127.0.0.1:8080/fhir/Patient"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_writing_is_405_with_an_outcome(client: Any, method: str) -> None:
    answer = client.open("/fhir/Patient/p1", method=method)
    assert answer.status_code == 405 and answer.headers["Allow"] == "GET, HEAD"
    assert answer.json["resourceType"] == "OperationOutcome"


def test_head(client: Any) -> None:
    for path in ("/fhir/Patient/p1", "/fhir/Patient", "/fhir/metadata", "/livez"):
        head, get = client.head(path), client.get(path)
        assert head.data == b"" and head.status_code == get.status_code == 200
        assert head.headers["Content-Length"] == get.headers["Content-Length"] == str(len(get.data))


@pytest.mark.parametrize("query", ["a", "a=%FF", "a=1&&b=2", "a=%ff%fe"])
def test_a_query_that_cannot_be_read_is_refused_and_audited(client: Any, parts: Any, query: str) -> None:
    answer = client.get(f"/fhir/Patient?{query}")
    assert answer.status_code == 400 and answer.json["resourceType"] == "OperationOutcome"
    assert len(parts.records) == 1


def test_raw_utf8_in_a_url(client: Any) -> None:
    raw = {"QUERY_STRING": "name=山田".encode().decode("latin-1")}  # as WSGI hands bytes over
    assert client.get("/fhir/Patient", environ_overrides=raw).status_code == 200


def test_soap_is_mounted_and_its_answer_streamed(client: Any, parts: Any) -> None:
    for path in ("/xds/registry", "/xds/repository", "/xca"):
        answer = client.post(path, data=b"<q/>", content_type="application/soap+xml")
        assert (answer.status_code, answer.data, answer.content_type) == (200, b"<answer/>", "application/soap+xml")
        assert "Content-Length" not in answer.headers
    assert parts.soap_bodies == [b"<q/>"] * 3


def test_wsdl(client: Any) -> None:
    answer = client.get("/xds/registry?wsdl")
    assert answer.status_code == 200 and answer.content_type.startswith("text/xml")
    assert b"http://localhost/xds/registry" in answer.data
    refused = client.get("/xds/registry")
    assert refused.status_code == 405 and refused.headers["Allow"] == "POST"


@pytest.mark.parametrize("path", ["/fhir/Patient/_search", "/xds/registry", "/api/query"])
def test_a_body_too_large_is_413(client: Any, parts: Any, stream: Any, path: str) -> None:
    kind = {"/fhir/Patient/_search": "application/x-www-form-urlencoded", "/api/query": "application/json"}
    headers = {"content_type": kind.get(path, "application/soap+xml")}
    assert client.post(path, data=b"a" * 100_001, **headers).status_code == 413
    chunked = {
        "environ_overrides": {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
        "input_stream": stream(100_001),
    }
    assert client.post(path, **chunked, **headers).status_code == 413
    assert [record.outcome for record in parts.records] == [4, 4]


def test_chunked_bodies_are_read_whole(client: Any, parts: Any, stream: Any) -> None:
    chunked = {
        "environ_overrides": {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
        "input_stream": stream(70_000),
    }
    assert client.post("/xca", content_type="application/soap+xml", **chunked).status_code == 200
    assert parts.soap_bodies == [b"a" * 70_000]


def test_a_packed_body_is_415(client: Any) -> None:
    assert client.post("/xca", data=b"x", headers={"Content-Encoding": "gzip"}).status_code == 415


def test_health(client: Any, parts: Any) -> None:
    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").json == {"ready": True, "roles": {"http": True}}
    for roles in ({"http": True, "mllp": False}, {}):
        parts.roles = roles
        assert client.get("/readyz").status_code == 503
    assert parts.records == []


def test_metrics_hold_templates_and_no_ids(client: Any) -> None:
    for path in ("/fhir/Patient/secret-1", "/fhir/Patient?name=secret-2", "/secret-3", "/fhir/Secret4/secret-5"):
        client.get(path)
    text = client.get("/metrics").text
    assert "secret" not in text.lower()
    assert 'musubi_http_requests_total{route="/fhir/Patient/{id}",method="GET",status="404"} 1' in text
    assert 'musubi_http_requests_total{route="(other)",method="GET",status="404"} 1' in text
    assert 'musubi_http_request_duration_seconds_bucket{route="/fhir/Patient",le="0.05"} 1' in text


@pytest.mark.parametrize("path", ["/fhir/Patient/p1", "/fhir/Shoe", "/nowhere", "/livez", "/fhir/metadata"])
def test_every_answer_has_the_security_headers(client: Any, path: str) -> None:
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["X-Request-Id"] == "00000000-0000-0000-0000-000000000007"
    assert not [name for name, _ in headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("localhost", True),
        ("LOCALHOST:8080", True),
        ("tokyo.localhost", True),
        ("127.0.0.1:8080", True),
        ("127.1.2.3", True),
        ("[::1]:8080", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("10.0.0.1", False),
        ("", False),
        ("localhost@evil.example", False),
        ("[::2]", False),
        ("0.0.0.0", False),
    ],
)
def test_open_mode_answers_to_loopback_names_only(client: Any, parts: Any, host: str, ours: bool) -> None:
    assert is_loopback_name(host) is ours
    if host:
        answer = client.get("/fhir/Patient/p1", headers={"Host": host})
        assert answer.status_code == (200 if ours else 421) or (not ours and answer.status_code == 400)
        assert bool(parts.records) is ours


def test_an_error_of_ours_is_a_reference_and_nothing_else(client: Any, parts: Any) -> None:
    parts.fails = RuntimeError("山田花子")
    with capture_logs() as logs:
        answer = client.get("/fhir/Patient/p1?name=山田花子")
    assert answer.status_code == 500
    reference = answer.headers["X-Request-Id"]
    assert answer.json["issue"][0]["code"] == "exception" and reference in answer.json["issue"][0]["diagnostics"]
    failed = next(line for line in logs if line["event"] == "failed")
    assert (failed["error"], failed["route"], failed["request_id"]) == ("RuntimeError", "/fhir/Patient/{id}", reference)
    assert failed["where"][-1].startswith("conftest.py:")
    assert "山田" not in str(logs) + answer.text and "%" not in str(logs)
    assert [record.outcome for record in parts.records] == [12]


def test_a_failing_audit_log_gives_no_data(client: Any, parts: Any) -> None:
    parts.audit_fails = True
    for path in ("/fhir/Patient/p1", "/fhir/Patient"):
        answer = client.get(path)
        assert answer.status_code == 500 and b"p1" not in answer.data
    assert client.post("/api/query", data=QUESTION, **JSON).status_code == 500


def test_log_lines_hold_templates(client: Any) -> None:
    with capture_logs() as logs:
        client.get("/fhir/Patient/secret?name=secret", headers={"User-Agent": "secret"})
    (line,) = logs
    assert (line["route"], line["method"], line["status"], line["ms"]) == ("/fhir/Patient/{id}", "GET", 404, 30.0)
    assert "secret" not in str(line)


def test_routes() -> None:
    expected = {
        "/fhir/Patient": "/fhir/Patient",
        "/fhir/Patient/x/_history/2": "/fhir/Patient/{id}/_history/{version}",
        "/fhir/Patient/_search": "/fhir/Patient/_search",
        "/fhir/Patient/a/b/c/d/e": "/fhir/Patient/(other)",
        "/fhir/Yamada": "/fhir/(other)",
        "/fhir": "/fhir/(other)",
        "/xca": "/xca",
        "/Yamada": "(other)",
    }
    assert {path: route_of(path) for path in expected} == expected


def test_a_federated_question(client: Any, parts: Any) -> None:
    body = b'{"patient": "77^^^&1.2.3&ISO", "types": ["lab"], "communities": ["urn:oid:1.2"], "deadline_s": 2.5}'
    answer = client.post("/api/query", data=body, **JSON)
    assert answer.status_code == 200 and answer.json["communities"][0]["outcome"] == "ok"
    ((question, more),) = parts.questions
    assert (str(question.patient), [one.type for one in question.wanted]) == ("77^^^&1.2.3&ISO", ["Observation"])
    assert (more["communities"], more["deadline_s"]) == (("urn:oid:1.2",), 2.5)
    (record,) = parts.records
    assert (record.event, record.outcome, record.patient) == ("110112", 0, "77^^^&1.2.3&ISO")
    client.post("/api/query", data=QUESTION[:-1] + b', "communities": "all"}', **JSON)
    question, more = parts.questions[1]
    assert len(question.wanted) == 3 and more == {"communities": None, "deadline_s": None}


def test_a_question_too_many_is_told_when_to_come_again(client: Any, parts: Any) -> None:
    parts.fails = Busy("too many")
    asked = {"_federated": "true", "patient.identifier": "urn:oid:1.2.3|77"}
    for answer in (
        client.post("/api/query", data=QUESTION, **JSON),
        client.get("/fhir/Observation", query_string=asked),
        client.get("/fhir/$federated-stream", query_string=asked | {"_type": "Observation"}),
    ):
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert len(parts.records) == 1, "one record a second tells of all that were refused"


def test_the_stream_is_lines(client: Any, parts: Any) -> None:
    asked = {"_type": "Observation", "patient.identifier": "urn:oid:1.2.3|77"}
    answer = client.get("/fhir/$federated-stream", query_string=asked)
    assert answer.data.splitlines() == [
        b'{"community":"urn:oid:1.2","name":"\xe6\x9d\xb1\xe4\xba\xac","outcome":"ok","ms":7}'
    ]
    assert len(parts.records) == 1
    assert client.get("/api/topology").json == [{"id": "urn:oid:1.2"}]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"patient": 7}',
        b'{"patient": "77"}',
        QUESTION[:-1] + b', "types": ["shoes"]}',
        QUESTION[:-1] + b', "types": []}',
        QUESTION[:-1] + b', "types": "lab"}',
        QUESTION[:-1] + b', "communities": [1]}',
        QUESTION[:-1] + b', "deadline_s": 0}',
        QUESTION[:-1] + b', "deadline_s": 301}',
        QUESTION[:-1] + b', "deadline_s": "soon"}',
        QUESTION[:-1] + b', "deadline": 1}',
        QUESTION[:-1] + b', "patient": "78^^^&1.2.3&ISO"}',
    ],
)
def test_a_wrong_question_is_400_and_audited(client: Any, parts: Any, body: bytes) -> None:
    answer = client.post("/api/query", data=body, **JSON)
    assert answer.status_code == 400 and set(answer.json) == {"error", "text"}
    assert [record.outcome for record in parts.records] == [4] and not parts.questions


def test_a_question_is_json_so_that_no_web_page_can_post_it(client: Any) -> None:
    assert client.post("/api/query", data=QUESTION, content_type="text/plain").status_code == 400
    with pytest.raises(BadInput):
        read_question("application/x-www-form-urlencoded", QUESTION)


@pytest.mark.parametrize(
    ("error", "status"), [(Unavailable("x"), 503), (LimitExceeded("x"), 413), (KeyError("x"), 500)]
)
def test_failures_of_federation(client: Any, parts: Any, error: Exception, status: int) -> None:
    parts.fails = error
    assert client.post("/api/query", data=QUESTION, **JSON).status_code == status
    assert len(parts.records) == 1


def test_unknown_addresses_and_methods(client: Any) -> None:
    assert client.get("/nowhere").status_code == 404
    assert client.get("/api/query").status_code == 405
    assert client.get("/api/query").json == {"error": "not-supported", "text": "method not allowed"}
    assert client.put("/xca").status_code == 405
