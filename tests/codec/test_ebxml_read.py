"""Stored-query values and slots as senders write them, and answers of peers with things missing."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway.codec import ebxml, ebxml_read
from gateway.codec.ebxml_read import parse_value
from gateway.errors import BadInput, InvalidParameter, LimitExceeded
from tests.xds_parts import document_pair


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("'a'", ["a"]),
        ("  'a b'  ", ["a b"]),
        ("''", [""]),
        ("'it''s'", ["it's"]),
        ("''''", ["'"]),
        ("('a','b')", ["a", "b"]),
        ("( 'a' , 'b' )", ["a", "b"]),
        ("('a')", ["a"]),
        ("('a,b','c)(d')", ["a,b", "c)(d"]),
        ("('it''s','x')", ["it's", "x"]),
        ("()", []),
        ("20111220", ["20111220"]),
        ("(1,2)", ["1", "2"]),
        ("id^^^&1.2.3&ISO", ["id^^^&1.2.3&ISO"]),
        ("two words, no quotes", ["two words, no quotes"]),
        ("", [""]),
        ("'x'' or ''1''=''1^^^&1.2&ISO'", ["x' or '1'='1^^^&1.2&ISO"]),
    ],
)
def test_values_of_a_query(text: str, values: list[str]) -> None:
    assert parse_value(text) == values


@pytest.mark.parametrize(
    "text", ["'a", "a'", "('a'", "('a' 'b')", "('a',)", "'a','b'", "('a'))", "'a'b'", "('a',,'b')"]
)
def test_values_that_do_not_close_are_refused(text: str) -> None:
    with pytest.raises(InvalidParameter):
        parse_value(text)


@given(st.text(max_size=200))
def test_no_value_does_more_than_be_refused(text: str) -> None:
    with suppress(InvalidParameter):
        assert all(isinstance(value, str) for value in parse_value(text))


def query(inside: str, option: str = '<q:ResponseOption returnType="LeafClass"/>') -> etree._Element:
    return etree.fromstring(
        f'<q:AdhocQueryRequest xmlns:q="{ebxml.QUERY}" xmlns="{ebxml.RIM}">{option}'
        f'<AdhocQuery id=" urn:q ">{inside}</AdhocQuery></q:AdhocQueryRequest>'
    )


def slot(name: str, *values: str) -> str:
    inside = "".join(f"<Value>{value}</Value>" for value in values)
    return f'<Slot name="{name}"><ValueList>{inside}</ValueList></Slot>'


def test_slots_keep_their_order_and_repetition_and_lose_blanks() -> None:
    read = ebxml_read.read_query(query(slot("$a ", "('x','y')", "('z')") + slot("$a", "1") + slot("$b")))
    assert read.slots == (("$a", ("x", "y", "z")), ("$a", ("1",)), ("$b", ()))
    assert (read.id, read.home) == ("urn:q", "")


def test_without_an_option_the_default_of_the_schema_counts() -> None:
    assert ebxml_read.read_query(query("", "")).returnType == "RegistryObject"


def test_the_number_of_values_is_limited() -> None:
    many = "(" + ",".join(["1"] * 1000) + ")"
    assert len(ebxml_read.read_query(query(slot("$a", many))).slots[0].values) == 1000
    with pytest.raises(LimitExceeded):
        ebxml_read.read_query(query(slot("$a", many, "1")))


@pytest.mark.parametrize("reader", [ebxml_read.read_query, ebxml_read.read_retrieve, ebxml_read.read_query_answer])
def test_another_element_is_bad_input(reader: object) -> None:
    assert callable(reader)
    for data in (b"<a/>", f'<a xmlns="{ebxml.QUERY}"/>'.encode()):
        with pytest.raises(BadInput):
            reader(etree.fromstring(data))


def test_the_number_of_documents_asked_for_is_limited() -> None:
    wanted = [("", "1.2", str(number)) for number in range(1001)]
    assert len(ebxml_read.read_retrieve(etree.fromstring(ebxml.retrieve_request(wanted[:1000])))) == 1000
    with pytest.raises(LimitExceeded):
        ebxml_read.read_retrieve(etree.fromstring(ebxml.retrieve_request(wanted)))
    with pytest.raises(BadInput):
        ebxml_read.read_retrieve(etree.fromstring(ebxml.retrieve_request([])))


def test_a_bare_entry_of_a_peer_has_empty_attributes() -> None:
    entry = ebxml_read.read_extrinsic(etree.fromstring(f'<ExtrinsicObject xmlns="{ebxml.RIM}" id="urn:uuid:1"/>'))
    assert (entry.entryUUID, entry.uniqueId, entry.size, entry.classCode.code, entry.version) == (
        "urn:uuid:1",
        "",
        0,
        "",
        1,
    )


@pytest.mark.parametrize("size", ["x", "-1", "１２", "9" * 19])
def test_a_size_that_is_no_number_is_zero(size: str) -> None:
    text = f'<ExtrinsicObject xmlns="{ebxml.RIM}" id="u">{slot("size", size)}</ExtrinsicObject>'
    assert ebxml_read.read_extrinsic(etree.fromstring(text)).size == 0


def test_a_hash_in_capitals_is_the_same_hash() -> None:
    text = f'<ExtrinsicObject xmlns="{ebxml.RIM}" id="u">{slot("hash", "ABCDEF")}</ExtrinsicObject>'
    assert ebxml_read.read_extrinsic(etree.fromstring(text)).hash == "abcdef"


def test_a_stored_entry_comes_back_from_its_bytes() -> None:
    entry = document_pair()[0]
    read = ebxml_read.read_stored(ebxml.render_extrinsic(entry), home="urn:oid:1", patient_id="p", status="s")
    assert (read.entryUUID, read.title, read.homeCommunityId, read.patientId, read.availabilityStatus) == (
        entry.entryUUID,
        entry.title,
        "urn:oid:1",
        "p",
        "s",
    )
