"""Addresses, methods, and the audit record that every answer leaves."""

from typing import Any

import pytest

from gateway.model.caller import Caller


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/Shoe", 404, None),
        ("GET", "/Shoe/1", 404, None),
        ("GET", "/patient/1", 404, None),
        ("GET", "/", 404, None),
        ("GET", "", 404, None),
        ("GET", "/_history", 404, None),
        ("GET", "/.well-known/smart-configuration", 404, None),
        ("GET", "/Patient/$match", 404, None),
        ("POST", "/", 405, "GET, HEAD"),
        ("POST", "/Patient", 405, "GET, HEAD"),
        ("GET", "/Patient/_search", 405, "POST"),
        ("PUT", "/Patient/p1", 405, "GET, HEAD"),
        ("PATCH", "/Patient/p1", 405, "GET, HEAD"),
        ("DELETE", "/Patient/p1", 405, "GET, HEAD"),
        ("DELETE", "/Patient", 405, "GET, HEAD"),
        ("OPTIONS", "/metadata", 405, "GET, HEAD"),
        ("POST", "/Patient/p1/_history", 405, "GET, HEAD"),
    ],
)
def test_what_is_not_offered(node: Any, method: str, path: str, status: int, allow: str | None) -> None:
    node.add({"resourceType": "Patient", "id": "p1"})
    answer = node.ask(path, method=method)
    assert answer.status == status and b'"OperationOutcome"' in answer.body
    assert dict(answer.headers).get("Allow") == allow
    assert [record.outcome for record in node.audit.records] == [4]
    assert node.ask("/Patient/p1").status == 200


@pytest.mark.parametrize(
    "path", ["/metadata", "/Patient", "/Patient/p1", "/Patient/p1/_history", "/Patient/p1/_history/1"]
)
def test_what_is_neither_json_nor_xml_is_refused_everywhere(node: Any, path: str) -> None:
    node.add({"resourceType": "Patient", "id": "p1"})
    assert node.ask(path, headers={"accept": "text/turtle"}).status == 406
    assert node.ask(path, ("_format", "ttl")).status == 406


def test_head_is_get(node: Any) -> None:
    node.add({"resourceType": "Patient", "id": "p1"})
    for path in ("/metadata", "/Patient", "/Patient/p1"):
        assert node.ask(path, method="HEAD") == node.ask(path)


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/metadata", [], ("110112", "E", 0, "metadata", "")),
        ("/Patient/p1", [], ("110112", "E", 0, "Patient/p1", "Patient/p1")),
        ("/Patient/p1/_history", [], ("110106", "R", 0, "Patient/p1/_history", "Patient/p1")),
        ("/Observation/o1/_history/1", [], ("110106", "R", 4, "Observation/o1/_history/1", "")),
        ("/Observation/o1/_history", [], ("110106", "R", 4, "Observation/o1/_history", "")),
        ("/Patient/p2", [], ("110112", "E", 4, "Patient/p2", "Patient/p2")),
        ("/Patient", [("name", "山田")], ("110112", "E", 0, "Patient?name", "")),
        (
            "/Observation",
            [("patient", "p1"), ("code", "Na")],
            ("110112", "E", 0, "Observation?patient&code", "Patient/p1"),
        ),
        (
            "/Observation",
            [("patient.identifier", "urn:oid:1.2.3|77")],
            ("110112", "E", 0, "Observation?patient.identifier", "77^^^&1.2.3&ISO"),
        ),
        ("/Observation", [("date", "山田")], ("110112", "E", 4, "Observation", "")),
        ("/Shoe", [("name", "山田")], ("110112", "E", 4, "Shoe", "")),
        ("/山田", [], ("110112", "E", 4, "", "")),
    ],
)
def test_one_audit_record_an_answer(node: Any, path: str, query: list[tuple[str, str]], expected: object) -> None:
    node.add({"resourceType": "Patient", "id": "p1"})
    node.ask(path, *query)
    (record,) = node.audit.records
    assert (record.event, record.action, record.outcome, record.object, record.patient) == expected
    transaction = "ITI-78" if path.startswith("/Patient") and "_history" not in path else "rest"
    assert (record.transaction, record.actor, record.address) == (transaction, "loopback", "127.0.0.1")
    assert "山田" not in str(record)


def test_the_user_is_the_actor_when_there_is_one(node: Any, another: Any) -> None:
    another(caller=Caller(node="n", user="dr", address="10.0.0.1")).ask("/Patient")
    assert (node.audit.records[0].actor, node.audit.records[0].address) == ("dr", "10.0.0.1")


def test_no_answer_without_its_audit_record(node: Any) -> None:
    node.add({"resourceType": "Patient", "id": "p1"})
    node.audit.broken = True
    for path in ("/Patient/p1", "/Patient", "/Patient/unknown"):
        with pytest.raises(OSError, match="space"):
            node.ask(path)


def test_refusals_repeat_nothing_of_the_request(node: Any) -> None:
    marker = "山田花子19800102"
    for path, query in (
        ("/Patient", [("birthdate", marker)]),
        ("/Patient", [(marker, "1")]),
        ("/Patient", [("name:" + marker, "1")]),
        ("/Patient", [("_sort", marker)]),
        ("/Patient", [("_cursor", marker)]),
        ("/Patient", [("_include", marker)]),
        (f"/{marker}", []),
        (f"/Patient/{marker}", []),
        (f"/Patient/p1/{marker}", []),
    ):
        for headers in ({}, {"prefer": "handling=strict"}):
            answer = node.ask(path, *query, headers=headers)
            assert marker.encode() not in answer.body
    assert marker not in str(node.audit.records)
