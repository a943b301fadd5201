"""HL7 v3 data types and wrappers: what is read, what is refused, and that nothing breaks out of a template."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway.codec import hl7v3
from gateway.codec.hl7v3 import II, Detail, Head
from gateway.errors import BadInput
from tests.v3_parts import valid

V3 = "{urn:hl7-org:v3}"


@pytest.mark.parametrize(
    ("time", "found"),
    [
        ("20240102030405", "20240102030405000"),
        ("20240102030405.1234", "20240102030405123"),
        ("20240102030405.5+0900", "20240102030405500"),
        ("20240102030405+0000", "20240102120405000"),
        ("202401012300-0500", "20240102130000000"),
        ("20240102030405+09", "20240102030405000"),
        ("20240102", "20240102000000000"),
        ("20240102+0000", "20240102000000000"),
        ("2024", "20240101000000000"),
        ("20245", ""),
        ("20241301", ""),
        ("202", ""),
        ("today", ""),
        ("", ""),
        ("２０２４", ""),
        ("20240102030405+zz", ""),
    ],
)
def test_times_are_japans(time: str, found: str) -> None:
    assert hl7v3.seventeen(time) == found


@pytest.mark.parametrize(
    ("xml", "found"),
    [
        ('<id root="1.2" extension=" a "/>', II("1.2", "a")),
        ('<id root="urn:oid:1.2" extension="a" assigningAuthorityName="N"/>', II("1.2", "a", "N")),
        ('<id nullFlavor="NI" root="1.2"/>', II("")),
        ("<id/>", II("")),
    ],
)
def test_ids(xml: str, found: II) -> None:
    assert hl7v3.ii_of(etree.fromstring(xml)) == found
    assert hl7v3.ii_of(None) == II("")


@pytest.mark.parametrize(
    "xml",
    [
        "<a/>",
        '<PRPA_IN201309UV02 xmlns="urn:hl7-org:v3"/>',
        '<PRPA_IN201309UV02 xmlns="urn:hl7-org:v3"><id nullFlavor="NI"/></PRPA_IN201309UV02>',
    ],
)
def test_what_cannot_be_answered_is_refused(xml: str) -> None:
    with pytest.raises(BadInput):
        hl7v3.read(etree.fromstring(xml))


@pytest.mark.parametrize("value", ["-1", "x", "1.5", "１", "9999999999"])
def test_a_quantity_is_a_number(value: str) -> None:
    with pytest.raises(BadInput):
        hl7v3.quantity(etree.fromstring(f'<a xmlns="urn:hl7-org:v3"><q value="{value}"/></a>'), "q")


HEAD = Head(
    "MCCI_IN000002UV01", II("1.2.3", "m"), hl7v3.timestamp(datetime(2024, 1, 1, tzinfo=UTC)), "1.2.3", II("1.2.4")
)


def test_our_time_is_japans() -> None:
    assert HEAD.created == "20240101090000+0900"


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_text_breaks_out_of_a_message(one: str, other: str) -> None:
    details = [Detail("204", one, (other,))]
    data = hl7v3.message(HEAD, hl7v3.acknowledgement("CE", II("1.2.3", other), details))
    found = etree.fromstring(data)
    names = [etree.QName(element).localname for element in found]
    assert names[-1] == "acknowledgement"
    assert len(found.findall(f".//{V3}acknowledgementDetail")) == 1


def test_a_message_with_everything_is_valid() -> None:
    details = [Detail("204", "unknown", ("/a", "/b")), Detail("0", "so", severity="W")]
    valid(etree.fromstring(hl7v3.message(HEAD, hl7v3.acknowledgement("CA", II("1.2.3", "m"), details))))


def test_an_echo_keeps_the_namespaces_it_needs() -> None:
    outer = etree.fromstring(
        '<o xmlns="urn:hl7-org:v3" xmlns:x="http://www.w3.org/2001/XMLSchema-instance" xmlns:n="urn:hl7-org:v3">'
        '<q><value x:type="n:INT" value="1"/></q>tail</o>'
    )
    echoed = etree.fromstring(hl7v3.verbatim(outer[0]))
    assert echoed[0].get("{http://www.w3.org/2001/XMLSchema-instance}type") == "n:INT"
    assert echoed.nsmap["n"] == "urn:hl7-org:v3"
