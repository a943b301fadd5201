"""Envelopes and WS-Addressing headers: what is read, what is refused, what is written."""

import pytest
from lxml import etree

from gateway.codec import soap, xml
from gateway.codec.soap import SOAP, SOAP11, WSA, SoapFault
from gateway.errors import BadInput

HEADERS = "<wsa:Action>urn:a</wsa:Action><wsa:MessageID>urn:uuid:1</wsa:MessageID>"


def envelope(headers: str = HEADERS, body: str = "<b/>", namespace: str = SOAP, rest: str = "") -> bytes:
    return (
        f'<s:Envelope xmlns:s="{namespace}" xmlns:wsa="{WSA}"><s:Header>{headers}</s:Header>'
        f"<s:Body>{body}</s:Body>{rest}</s:Envelope>"
    ).encode()


def read(data: bytes, understood: frozenset[str] = frozenset()) -> soap.Envelope:
    return soap.read(data, xml.REQUEST, understood=understood)


def refused(data: bytes) -> SoapFault:
    with pytest.raises(SoapFault) as caught:
        read(data)
    return caught.value


def test_a_request_as_it_stands() -> None:
    got = read(envelope(HEADERS + "<wsa:To>http://x</wsa:To>", "<!-- c --><b>1</b>"))
    assert (got.action, got.message_id, got.to, got.relates_to) == ("urn:a", "urn:uuid:1", "http://x", "")
    assert got.body is not None
    assert got.body.text == "1"


def test_what_we_write_we_read() -> None:
    got = read(soap.request("urn:a", "urn:uuid:2", "http://x?a=1&b=2", b"<b/>"))
    assert (got.action, got.message_id, got.to) == ("urn:a", "urn:uuid:2", "http://x?a=1&b=2")
    got = soap.read_answer(soap.answer("urn:b", "urn:uuid:3", "urn:uuid:2", b""), xml.ANSWER)
    assert (got.action, got.relates_to, got.body) == ("urn:b", "urn:uuid:2", None)


@pytest.mark.parametrize("missing", ["Action", "MessageID"])
def test_a_missing_header_is_named(missing: str) -> None:
    headers = "".join(part for part in HEADERS.replace("><wsa", ">\n<wsa").split("\n") if missing not in part)
    fault = refused(envelope(headers))
    assert (fault.code, fault.subcodes) == ("Sender", ("wsa:MessageAddressingHeaderRequired",))
    assert missing in fault.reason


@pytest.mark.parametrize("name", ["To", "Action", "MessageID", "From"])
def test_a_header_that_stands_twice_is_refused(name: str) -> None:
    twice = f"<wsa:{name}>x</wsa:{name}>" * 2
    assert refused(envelope(twice + HEADERS)).subcodes == ("wsa:InvalidAddressingHeader", "wsa:InvalidCardinality")


@pytest.mark.parametrize("name", ["ReplyTo", "FaultTo"])
@pytest.mark.parametrize("address", ["http://10.0.0.1/", f"{WSA}/none", ""])
def test_no_answer_goes_to_an_address_found_in_a_message(name: str, address: str) -> None:
    header = f"<wsa:{name}><wsa:Address>{address}</wsa:Address></wsa:{name}>"
    assert refused(envelope(HEADERS + header)).subcodes[-1] == "wsa:OnlyAnonymousAddressSupported"
    assert refused(envelope(HEADERS + header)).relates_to == "urn:uuid:1"


def test_an_anonymous_reply_address_is_accepted() -> None:
    header = f"<wsa:ReplyTo><wsa:Address> {soap.ANONYMOUS} </wsa:Address></wsa:ReplyTo>"
    assert read(envelope(HEADERS + header)).action == "urn:a"


@pytest.mark.parametrize("value", ["1", "true", " true "])
def test_a_header_that_must_be_understood(value: str) -> None:
    header = f'<x:A xmlns:x="urn:x" s:mustUnderstand="{value}"/>'
    fault = refused(envelope(HEADERS + header))
    assert (fault.code, fault.not_understood, fault.relates_to) == ("MustUnderstand", ("{urn:x}A",), "urn:uuid:1")
    assert read(envelope(HEADERS + header), frozenset({"{urn:x}A"})).action == "urn:a"


@pytest.mark.parametrize("attributes", ['s:mustUnderstand="0"', 's:mustUnderstand="1" s:role="urn:another-node"'])
def test_a_header_that_need_not_be_understood(attributes: str) -> None:
    assert read(envelope(HEADERS + f'<x:A xmlns:x="urn:x" {attributes}/>')).action == "urn:a"


def test_versions_of_soap() -> None:
    old = refused(envelope(namespace=SOAP11))
    assert (old.code, old.soap11) == ("VersionMismatch", True)
    strange = refused(envelope(namespace="urn:soap:9"))
    assert (strange.code, strange.soap11) == ("VersionMismatch", False)


@pytest.mark.parametrize(
    "data",
    [
        b"<a/>",
        f'<s:Envelope xmlns:s="{SOAP}"/>'.encode(),
        envelope(body="<a/><b/>"),
        envelope(rest="<s:Body/>"),
    ],
)
def test_what_is_no_envelope_with_one_body_is_refused(data: bytes) -> None:
    assert refused(data).code == "Sender"


def values(data: bytes, name: str) -> list[str]:
    return [str(item.text) for item in etree.fromstring(data).iter(f"{{{SOAP}}}{name}")]


def test_a_fault_with_subcodes() -> None:
    fault = SoapFault("Sender", "a < b", subcodes=("wsa:A", "wsa:B"), relates_to="urn:uuid:1")
    data = soap.fault(fault, "urn:uuid:9")
    assert values(data, "Value") == ["soap:Sender", "wsa:A", "wsa:B"]
    assert values(data, "Text") == ["a < b"]
    with pytest.raises(SoapFault) as caught:
        soap.read_answer(data, xml.ANSWER)
    assert (caught.value.code, "a < b" in str(caught.value)) == ("Sender", False)


def test_a_version_mismatch_offers_soap_1_2() -> None:
    new = etree.fromstring(soap.fault(SoapFault("VersionMismatch", "x"), "urn:uuid:9"))
    old = etree.fromstring(soap.fault(SoapFault("VersionMismatch", "x", soap11=True), "urn:uuid:9"))
    for root, namespace in ((new, SOAP), (old, SOAP11)):
        assert etree.QName(root).namespace == namespace
        supported = root.find(f".//{{{SOAP}}}SupportedEnvelope")
        assert supported is not None
        assert supported.nsmap[str(supported.get("qname")).partition(":")[0]] == SOAP


def test_an_answer_of_soap_1_1_is_a_fault_of_theirs() -> None:
    data = soap.fault(SoapFault("VersionMismatch", "x", soap11=True), "urn:uuid:9")
    with pytest.raises(SoapFault) as caught:
        soap.read_answer(data, xml.ANSWER)
    assert caught.value.code == "VersionMismatch"


def test_an_answer_that_is_no_envelope() -> None:
    with pytest.raises(BadInput):
        soap.read_answer(b"<html/>", xml.ANSWER)
