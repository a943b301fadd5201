"""read, vread, history and their conditions."""

from typing import Any

import pytest


@pytest.fixture
def filled(node: Any, observation: Any) -> Any:
    node.add(observation("o1"))
    return node


def test_read(filled: Any) -> None:
    answer = filled.ask("/Observation/o1")
    headers = dict(answer.headers)
    assert headers["ETag"] == 'W/"1"' and headers["Last-Modified"] == "Fri, 02 Jan 2026 03:04:05 GMT"
    assert headers["Content-Type"] == "application/fhir+json; charset=utf-8"
    assert answer.body.startswith(
        b'{"resourceType":"Observation","id":"o1","meta":{"versionId":"1","lastUpdated":"2026'
    )
    pytest.importorskip("fhir.resources.R4B.observation").Observation.model_validate_json(answer.body)


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("if-none-match", 'W/"1"', 304),
        ("if-none-match", '"1"', 304),
        ("if-none-match", 'W/"7", W/"1"', 304),
        ("if-none-match", "*", 304),
        ("if-none-match", 'W/"2"', 200),
        ("if-none-match", "1", 200),
        ("if-modified-since", "Fri, 02 Jan 2026 03:04:05 GMT", 304),
        ("if-modified-since", "Fri, 02 Jan 2026 03:04:04 GMT", 200),
        ("if-modified-since", "the other day", 200),
    ],
)
def test_conditional_read(filled: Any, name: str, value: str, status: int) -> None:
    for path in ("/Observation/o1", "/Observation/o1/_history/1"):
        answer = filled.ask(path, headers={name: value})
        assert answer.status == status
        assert bool(answer.body) is (status == 200)
        assert dict(answer.headers)["ETag"] == 'W/"1"'


@pytest.mark.parametrize(
    "path",
    [
        "/Observation/o2",
        "/Patient/o1",
        "/Observation/o1/_history/2",
        "/Observation/o1/_history/0",
        "/Observation/o1/_history/x",
        "/Observation/o1/_history/99999999999999999999",
        "/Observation/o2/_history",
        "/Observation/o 1",
        "/Observation/" + "a" * 65,
        "/Observation/o1/$everything",
        "/Observation/o1/_history/1/x",
    ],
)
def test_what_is_not_here(filled: Any, path: str) -> None:
    assert filled.json(path, status=404)["issue"][0]["code"] == "not-found"


def test_a_deleted_resource(filled: Any) -> None:
    filled.delete("Observation", "o1")
    assert filled.json("/Observation/o1", status=410)["issue"][0]["code"] == "deleted"
    assert filled.ask("/Observation/o1/_history/2").status == 410
    assert filled.ask("/Observation/o1/_history/1").status == 200


def test_history(filled: Any) -> None:
    filled.delete("Observation", "o1")
    answer = filled.ask("/Observation/o1/_history")
    pytest.importorskip("fhir.resources.R4B.bundle").Bundle.model_validate_json(answer.body)
    bundle = filled.json("/Observation/o1/_history")
    assert (bundle["type"], bundle["total"]) == ("history", 2)
    gone, first = bundle["entry"]
    assert gone["request"]["method"] == "DELETE" and "resource" not in gone
    assert first["request"] == {"method": "PUT", "url": "Observation/o1"}
    assert first["resource"]["meta"]["versionId"] == "1" and first["response"]["etag"] == 'W/"1"'


def test_hidden_and_absent_look_the_same(filled: Any, another: Any) -> None:
    from_scope = another(scope=type(filled.scope)(frozenset({"someone"}), None))
    for path in ("/Observation/{}", "/Observation/{}/_history", "/Observation/{}/_history/1"):
        hidden, absent = from_scope.ask(path.format("o1")), from_scope.ask(path.format("o9"))
        assert (hidden.status, hidden.body) == (absent.status, absent.body) and hidden.status == 404
