"""The way in and out every SOAP transaction shares: packaging, addressing, faults, audit."""

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway import ihe
from gateway.codec import ebxml, mtom, soap
from gateway.ihe import iti18, iti43
from gateway.model.caller import Caller
from tests.xds_parts import CALLER, Node, envelope_of, fault_codes, make_node, package, request

BODY = ebxml.adhoc_query_request(iti18.GET_DOCUMENTS, "", "LeafClass", [("$XDSDocumentEntryUniqueId", ("1",), True)])
GOOD = request(iti18.TRANSACTION.action, BODY)
OK = 200


def send(data: bytes, kind: str = soap.MEDIA_TYPE, node: Node | None = None) -> tuple[int, list[str]]:
    response = (node or make_node()).send("/xds/registry", data, kind)
    return response.status, fault_codes(response) if response.status != OK else []


def test_the_answer_relates_to_the_question() -> None:
    response = make_node().send("/xds/registry", GOOD)
    envelope = envelope_of(response)
    header = {etree.QName(item).localname: item.text for item in envelope[0]}
    assert header["RelatesTo"] == "urn:uuid:00000000-0000-0000-0000-00000000aaaa"
    assert header["Action"] == "urn:ihe:iti:2007:RegistryStoredQueryResponse"
    assert header["MessageID"] == "urn:uuid:00000000-0000-0000-0000-000000000001"
    assert dict(response.headers)["Content-Length"] == str(len(b"".join(response.body)))


@pytest.mark.parametrize(
    "kind",
    [
        "application/soap+xml",
        'application/soap+xml; charset=UTF-8; action="urn:ihe:iti:2007:RegistryStoredQuery"',
        "application/soap+xml;action=urn:ihe:iti:2007:RegistryStoredQuery",
        "",
        "text/xml",
    ],
)
def test_content_types_that_are_understood(kind: str) -> None:
    assert send(GOOD, kind) == (OK, [])


@pytest.mark.parametrize(
    ("data", "kind", "codes"),
    [
        (GOOD, "application/json", ["soap:Sender"]),
        (
            GOOD,
            'application/soap+xml; action="urn:other"',
            ["soap:Sender", "wsa:InvalidAddressingHeader", "wsa:ActionMismatch"],
        ),
        (request("urn:other", BODY), soap.MEDIA_TYPE, ["soap:Sender", "wsa:ActionNotSupported"]),
        (request(iti43.TRANSACTION.action, BODY), soap.MEDIA_TYPE, ["soap:Sender", "wsa:ActionNotSupported"]),
        (request(iti18.TRANSACTION.action, b""), soap.MEDIA_TYPE, ["soap:Sender"]),
        (request(iti18.TRANSACTION.action, b"<a/>"), soap.MEDIA_TYPE, ["soap:Sender"]),
        (b"", soap.MEDIA_TYPE, ["soap:Sender"]),
        (b"<a/>", soap.MEDIA_TYPE, ["soap:Sender"]),
        (b"\xff\xfe\x00", soap.MEDIA_TYPE, ["soap:Sender"]),
        (GOOD.replace(b"?>", b"?><!DOCTYPE a>", 1), soap.MEDIA_TYPE, ["soap:Sender"]),
        (b"--A\r\n\r\n\r\n--A--", 'multipart/related; boundary="B"', ["soap:Sender"]),
        (GOOD, "multipart/related", ["soap:Sender"]),
        (GOOD, ";", ["soap:Sender"]),
    ],
)
def test_what_is_no_question_gets_a_fault_and_a_record(data: bytes, kind: str, codes: list[str]) -> None:
    node = make_node()
    assert send(data, kind, node) == (500, codes)
    (record,) = node.audit.records
    assert (record.transaction, record.outcome, record.detail) == ("ITI-18", 8, "fault Sender")


def test_the_boundary_of_the_header_has_to_be_that_of_the_body() -> None:
    data, kind = package(GOOD)
    assert send(data, kind) == (OK, [])
    assert send(data, kind.replace('boundary="B"', 'boundary="C"')) == (500, ["soap:Sender"])


def test_soap_1_1_gets_a_fault_it_can_read() -> None:
    response = make_node().send("/xds/registry", GOOD.replace(soap.SOAP.encode(), soap.SOAP11.encode()), "text/xml")
    assert response.status == 500
    envelope = envelope_of(response)
    assert etree.QName(envelope).namespace == soap.SOAP11
    assert envelope.findtext(".//faultcode") == "s11:VersionMismatch"


def test_an_assertion_that_must_be_understood_is_let_through_in_open_mode() -> None:
    header = f'<s:Security xmlns:s="{soap.WSSE}" soap:mustUnderstand="true"/></soap:Header>'
    assert send(GOOD.replace(b"</soap:Header>", header.encode())) == (OK, [])


def test_another_header_that_must_be_understood_is_named() -> None:
    node = make_node()
    header = b'<x:Pay xmlns:x="urn:x" soap:mustUnderstand="1"/></soap:Header>'
    response = node.send("/xds/registry", GOOD.replace(b"</soap:Header>", header))
    assert fault_codes(response) == ["soap:MustUnderstand"]
    named = envelope_of(response).find(f".//{{{soap.SOAP}}}NotUnderstood")
    assert named is not None
    prefix, _, local = str(named.get("qname")).partition(":")
    assert (named.nsmap[prefix], local) == ("urn:x", "Pay")


def test_a_failing_audit_log_leaves_no_answer_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    node = make_node()
    node.audit.fails = True
    response = node.send("/xds/registry", GOOD)
    assert (response.status, fault_codes(response)) == (500, ["soap:Receiver"])
    assert "OSError" in caplog.text
    assert "disk full" not in caplog.text + b"".join(response.body).decode()


def test_the_caller_of_the_record_is_the_one_the_edge_named() -> None:
    node = make_node()
    caller = Caller(node="node-a", user="dr", address="10.0.0.1")
    ihe.dispatch("/xds/registry", soap.MEDIA_TYPE, io.BytesIO(GOOD), node.services, caller)
    assert (node.audit.records[0].actor, node.audit.records[0].address) == ("dr@node-a", "10.0.0.1")


def test_the_scope_of_the_caller_reaches_storage() -> None:
    node = make_node()
    scope = replace(node.services.scope_of(CALLER, "ITI-18"), patients=frozenset({"p"}))
    node.with_parts(scope_of=lambda caller, transaction: scope).send("/xds/registry", GOOD)
    assert node.documents.asked[-1][1] is scope


def test_an_unknown_path_is_no_endpoint() -> None:
    with pytest.raises(KeyError):
        ihe.dispatch("/xds/other", soap.MEDIA_TYPE, io.BytesIO(GOOD), make_node().services, CALLER)


def test_every_transaction_is_mounted_once() -> None:
    assert ihe.PATHS == (
        "/dsub", "/pdqv3", "/pixv3", "/xca", "/xca/initiating", "/xcpd", "/xds/registry", "/xds/repository",
    )  # fmt: skip
    numbers = dict.fromkeys(transaction.number for transaction in ihe.TRANSACTIONS)
    assert list(numbers) == [
        f"ITI-{number}"
        for number in (18, 38, 39, 41, 42, 43, 44, 45, 47, 51, 52, 54, 55, 56, 57, 61, 62, 69, 70, 80, 86, 92)
    ]
    assert len({(t.path, t.action) for t in ihe.TRANSACTIONS}) == len(ihe.TRANSACTIONS)


def test_an_envelope_above_the_limit_is_refused() -> None:
    data = GOOD.replace(b"</soap:Envelope>", b" " * (10 * 1024 * 1024) + b"</soap:Envelope>")
    assert send(data) == (500, ["soap:Sender"])
    packed, kind = package(data)
    assert kind.startswith(mtom.MULTIPART)
    assert send(packed, kind) == (500, ["soap:Sender"])


PACKED, PACKED_KIND = package(GOOD)
EDITS = st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 12), st.binary(max_size=6)), min_size=1, max_size=4)


@given(EDITS, st.booleans())
def test_no_edit_of_a_message_is_an_error_of_ours(edits: list[tuple[int, int, bytes]], packed: bool) -> None:
    data = PACKED if packed else GOOD
    for at, cut, new in edits:
        data = data[:at] + new + data[at + cut :]
    node = make_node()
    response = node.send("/xds/registry", data, PACKED_KIND if packed else soap.MEDIA_TYPE)
    assert response.status in (OK, 500)
    assert len(node.audit.records) == 1
    assert node.audit.records[0].outcome in (0, 8)
