"""ITI-68 Retrieve Document: the bytes, their type and tag, and each way of not giving them."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from gateway.model.caller import UNRESTRICTED
from gateway.model.document import DEPRECATED
from tests.mhd_parts import BASE, FACILITY, Face, face


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    with face(tmp_path_factory.mktemp("node")) as found:
        yield found


@pytest.fixture(scope="module")
def documents(node: Face) -> list[dict[str, Any]]:
    return node.matches("/DocumentReference", f"patient={node.patient()}&status=current")


def path(document: dict[str, Any]) -> str:
    url: str = document["content"][0]["attachment"]["url"]
    return url.removeprefix(BASE)


def of(documents: list[dict[str, Any]], mime: str) -> dict[str, Any]:
    return next(one for one in documents if one["content"][0]["attachment"]["contentType"] == mime)


def test_every_document_is_what_its_reference_says(node: Face, documents: list[dict[str, Any]]) -> None:
    for one in documents:
        attachment = one["content"][0]["attachment"]
        answer = node.ask(path(one))
        content, headers = node.content(answer), dict(answer.headers)
        assert answer.status == 200 and headers["Content-Type"] == attachment["contentType"]
        assert len(content) == attachment["size"] == int(headers["Content-Length"])
        assert headers["ETag"] == f'"{hashlib.sha1(content).hexdigest()}"'


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("", 200), ("*/*", 200), ("application/*", 200), ("application/hl7-v2", 200), ("text/html, */*;q=0.1", 200),
        ("text/html", 406), ("image/*", 406), ("application/hl7-v2;q=0", 406),
    ],
)  # fmt: skip
def test_accept(node: Face, documents: list[dict[str, Any]], accept: str, status: int) -> None:
    assert node.ask(path(of(documents, "application/hl7-v2")), accept=accept).status == status


def test_a_binary_resource_for_who_asks_for_fhir(node: Face, documents: list[dict[str, Any]]) -> None:
    message = of(documents, "application/hl7-v2")
    wrapped = orjson.loads(node.ask(path(message), accept="application/fhir+json").body)
    assert (wrapped["resourceType"], wrapped["contentType"]) == ("Binary", "application/hl7-v2")
    assert b"<Binary" in node.ask(path(message), accept="application/fhir+xml").body
    # A document that is FHIR itself is given as it is.
    bundle = node.ask(path(of(documents, "application/fhir+json")), accept="application/fhir+json")
    assert orjson.loads(node.content(bundle))["resourceType"] == "Bundle"


def test_head_and_a_copy_the_caller_has(node: Face, documents: list[dict[str, Any]]) -> None:
    answer = node.ask(path(documents[0]), method="HEAD")
    assert answer.status == 200 and node.content(answer) == b""
    tag = dict(answer.headers)["ETag"]
    assert node.ask(path(documents[0]), if_none_match=tag).status == 304
    assert node.ask(path(documents[0]), if_none_match='"else"').status == 200


@pytest.mark.parametrize(
    "name", ["/Binary/none", "/Binary/00000000-0000-4000-8000-000000000000", "/Binary/..%2f..%2fetc"]
)
def test_what_is_not_there(node: Face, name: str) -> None:
    assert node.ask(name).status == 404


def test_other_requests_are_refused(node: Face, documents: list[dict[str, Any]]) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert node.ask(path(documents[0]), method=method).status == 403
    assert node.ask(path(documents[0]), if_unmodified_since="Sat, 29 Oct 1994 19:43:31 GMT").status == 403


def test_hidden_is_unknown(node: Face, documents: list[dict[str, Any]]) -> None:
    blind = node.within(replace(UNRESTRICTED, excluded_facilities=frozenset({FACILITY})))
    assert blind.ask(path(documents[0])).status == 404


def change(node: Face, sql: str, *values: object) -> None:
    with node.parts.engine.execution_options(write=True).connect() as connection, connection.begin():
        connection.exec_driver_sql(sql, values)


def test_a_deprecated_document_is_gone(node: Face, documents: list[dict[str, Any]]) -> None:
    uuid = f"urn:uuid:{documents[1]['id']}"
    change(node, 'UPDATE registry_object SET status = ? WHERE "entryUUID" = ?', DEPRECATED, uuid)
    answer = node.ask(path(documents[1]))
    assert answer.status == 410 and orjson.loads(answer.body)["issue"][0]["code"] == "deleted"


def test_a_document_without_its_bytes_is_gone(node: Face, documents: list[dict[str, Any]]) -> None:
    uuid = f"urn:uuid:{documents[2]['id']}"
    change(node, "UPDATE registry_object SET blob = '' WHERE \"entryUUID\" = ?", uuid)
    assert node.ask(path(documents[2])).status == 410


def test_a_damaged_document_is_reported_and_never_served(node: Face, documents: list[dict[str, Any]]) -> None:
    content = node.content(node.ask(path(documents[3])))
    damaged = b"\x00" + content[1:]
    digest = hashlib.sha256(content).digest()
    change(
        node,
        "UPDATE blob SET content = (SELECT content FROM blob WHERE sha256 <> ? LIMIT 1) WHERE sha256 = ?",
        digest,
        digest,
    )
    answer = node.ask(path(documents[3]))
    assert answer.status == 500 and damaged not in node.content(answer) and content not in node.content(answer)
    assert node.audits()[-1][:4] == ("110106", "ITI-68", "R", 8)


def test_the_audit_record(node: Face, documents: list[dict[str, Any]]) -> None:
    node.ask(path(documents[0]))
    event, number, action, outcome, patient, object_ = node.audits()[-1]
    assert (event, number, action, outcome) == ("110106", "ITI-68", "R", 0)
    assert patient.endswith("&ISO") and f"urn:oid:{object_}" == documents[0]["masterIdentifier"]["value"]
