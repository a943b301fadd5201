"""ITI-39: as ITI-43 with the home community required; and our own retrieval, checked against what was asked."""

from dataclasses import replace

import pytest
import requests
from lxml import etree

from gateway.codec import ebxml
from gateway.errors import BadInput, Forbidden, Unavailable
from gateway.ihe import iti39
from gateway.ihe._client import Peer
from gateway.model.clock import Clock
from tests.ihe.peers import MemorySession, call_to
from tests.xds_parts import HOME, REPOSITORY, RS, XDS, Node, answer_body, error_codes, make_node, request

PEER = Peer(HOME, "http://127.0.0.1:8081/xca")


def retrieve_from(node: Node, *wanted: tuple[str, str, str]) -> etree._Element:
    response = node.send("/xca", request(iti39.TRANSACTION.action, ebxml.retrieve_request(wanted)))
    assert response.status == 200
    return answer_body(response)


def test_every_document_response_names_the_home() -> None:
    node = make_node()
    body = retrieve_from(node, (HOME, REPOSITORY, node.bundle.uniqueId), (HOME, REPOSITORY, node.original.uniqueId))
    assert [element.text for element in body.iter(f"{XDS}HomeCommunityId")] == [HOME, HOME]


@pytest.mark.parametrize(("home", "code"), [("", "XDSMissingHomeCommunityId"), ("urn:oid:9.9", "XDSUnknownCommunity")])
def test_the_home_has_to_be_ours(home: str, code: str) -> None:
    node = make_node()
    body = retrieve_from(node, (home, REPOSITORY, node.bundle.uniqueId))
    assert error_codes(body) == [code]
    assert [error.get("location") for error in body.iter(f"{RS}RegistryError")] == [HOME]


# -- initiating gateway ------------------------------------------------------------------------------------------


def test_documents_come_back_with_their_entries() -> None:
    node = make_node()
    answer = iti39.retrieve(PEER, [node.bundle, node.original], call_to(node), 5)
    assert (answer.findings, answer.errors) == ((), ())
    assert [document.part.read() for document in answer.documents] == [
        node.blobs.content[node.bundle.blob],
        node.blobs.content[node.original.blob],
    ]


def test_a_peer_that_takes_one_at_a_time_gets_one_at_a_time() -> None:
    node = make_node()
    call = call_to(node)
    answer = iti39.retrieve(replace(PEER, documents_per_request=1), [node.bundle, node.original], call, 5)
    assert len(answer.documents) == 2
    assert isinstance(call.session, MemorySession)
    assert call.session.sent == 2


def test_bytes_that_do_not_match_the_entry_are_dropped() -> None:
    node = make_node()
    asked = replace(node.bundle, hash="0" * 40)
    answer = iti39.retrieve(PEER, [asked], call_to(node), 5)
    assert answer.documents == ()
    assert [finding.code for finding in answer.findings] == ["hash-mismatch", "missing-document"]


def inline(home: str, unique_id: str, content: str = "eyJyZXNvdXJjZVR5cGUiOiJCdW5kbGUifQ==") -> bytes:
    return (
        f'<x:RetrieveDocumentSetResponse xmlns:x="{ebxml.XDS}"><rs:RegistryResponse xmlns:rs="{ebxml.RS}"'
        f' status="{ebxml.SUCCESS}"/><x:DocumentResponse><x:HomeCommunityId>{home}</x:HomeCommunityId>'
        f"<x:RepositoryUniqueId>{REPOSITORY}</x:RepositoryUniqueId><x:DocumentUniqueId>{unique_id}"
        f"</x:DocumentUniqueId><x:mimeType>application/fhir+json</x:mimeType><x:Document>{content}</x:Document>"
        "</x:DocumentResponse></x:RetrieveDocumentSetResponse>"
    ).encode()


def test_inline_base64_is_understood() -> None:
    node = make_node()
    call = call_to(node, instead=inline(HOME.removeprefix("urn:oid:"), node.bundle.uniqueId))
    answer = iti39.retrieve(PEER, [node.bundle], call, 5)
    assert [document.part.read() for document in answer.documents] == [b'{"resourceType":"Bundle"}']


@pytest.mark.parametrize(
    ("home", "unique_id", "code"),
    [("urn:oid:9.9", "", "foreign-home"), (HOME, "1.2.3", "unasked-document")],
)
def test_what_nobody_asked_for_is_dropped(home: str, unique_id: str, code: str) -> None:
    node = make_node()
    call = call_to(node, instead=inline(home, unique_id or node.bundle.uniqueId))
    answer = iti39.retrieve(PEER, [node.bundle], call, 5)
    assert answer.documents == ()
    assert [finding.code for finding in answer.findings] == [code, "missing-document"]


def test_a_document_that_is_no_base64_refuses_the_answer() -> None:
    node = make_node()
    with pytest.raises(BadInput):
        iti39.retrieve(PEER, [node.bundle], call_to(node, instead=inline(HOME, node.bundle.uniqueId, "***")), 5)


def test_one_part_for_two_documents_refuses_the_answer() -> None:
    node = make_node()
    include = '<i:Include xmlns:i="http://www.w3.org/2004/08/xop/include" href="cid:a"/>'
    body = inline(HOME, node.bundle.uniqueId, include)
    item = body[body.index(b"<x:DocumentResponse>") : body.index(b"</x:RetrieveDocumentSetResponse>")]
    with pytest.raises(BadInput, match="twice"):
        iti39.retrieve(PEER, [node.bundle], call_to(node, instead=body.replace(item, item * 2)), 5)
    with pytest.raises(BadInput, match="does not have"):
        iti39.retrieve(PEER, [node.bundle], call_to(node, instead=body), 5)


def test_an_error_of_the_whole_answer_names_the_community_too() -> None:
    node = make_node().with_parts(scope_of=lambda caller, transaction: 1 / 0)
    body = retrieve_from(node, (HOME, REPOSITORY, node.bundle.uniqueId))
    assert error_codes(body) == ["XDSRepositoryError"]
    assert [error.get("location") for error in body.iter(f"{RS}RegistryError")] == [HOME]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"error": requests.ConnectTimeout()}, TimeoutError),
        ({"error": requests.ReadTimeout()}, TimeoutError),
        ({"error": requests.ConnectionError()}, Unavailable),
        ({"status": 403}, Forbidden),
        ({"status": 401}, Forbidden),
        ({"status": 502, "headers": {"Content-Type": "text/html"}}, Unavailable),
        ({"status": 302, "headers": {"Content-Type": "text/html"}}, BadInput),
        ({"headers": {"Content-Type": "application/json"}}, BadInput),
        ({"headers": {"Content-Encoding": "gzip"}}, BadInput),
        ({"instead": b""}, BadInput),
        (
            {"instead": b"<soap:Fault><soap:Code><soap:Value>soap:Sender</soap:Value></soap:Code></soap:Fault>"},
            BadInput,
        ),
    ],
)
def test_each_way_to_fail_has_its_own_name(changes: dict[str, object], error: type[Exception]) -> None:
    node = make_node()
    with pytest.raises(error):
        iti39.retrieve(PEER, [node.bundle], call_to(node, **changes), 5)


def test_an_answer_that_takes_too_long_is_given_up() -> None:
    ticks = iter(range(0, 1000, 3))
    node = make_node()
    with pytest.raises(TimeoutError):
        iti39.retrieve(PEER, [node.bundle], call_to(node, Clock(monotonic=lambda: float(next(ticks)))), 5)


def test_without_time_left_nothing_is_sent() -> None:
    node = make_node()
    call = call_to(node)
    with pytest.raises(TimeoutError):
        iti39.retrieve(PEER, [node.bundle], call, 0.0)
    assert isinstance(call.session, MemorySession)
    assert call.session.sent == 0
