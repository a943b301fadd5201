"""The hardened reader at its limits, and the escape."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway.codec import xml
from gateway.codec.xml import ANSWER, XmlLimits, escape, parse, text_of
from gateway.errors import BadInput, LimitExceeded

BOMB = '<!DOCTYPE a [<!ENTITY b "xxxxxxxxxx"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><a>&c;</a>'


@pytest.mark.parametrize(
    "data",
    [
        b"<!DOCTYPE a><a/>",
        b'<!DOCTYPE a SYSTEM "file:///etc/hostname"><a/>',
        b'<!DOCTYPE a PUBLIC "-//x//y" "http://127.0.0.1/x.dtd"><a/>',
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><a>&b;</a>',
        b'<!DOCTYPE a [<!ENTITY b "x">]><a c="&b;"/>',
        b"<!DOCTYPE a []><a/>",
        BOMB.encode(),
        BOMB.encode("utf-16"),
    ],
)
def test_every_doctype_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput):
        parse(data, ANSWER)


@pytest.mark.parametrize(
    "data", [b"", b"<a>", b"<a></b>", b"\x00", b"<a>&b;</a>", b'<?xml version="1.0" encoding="no-such"?><a/>', b"\xef"]
)
def test_what_is_not_well_formed_is_bad_input(data: bytes) -> None:
    with pytest.raises(BadInput):
        parse(data, ANSWER)


def test_the_error_text_holds_no_content() -> None:
    with pytest.raises(BadInput) as caught:
        parse(b"<a><yamada-taro></b></a>", ANSWER)
    assert "yamada" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig"])
def test_unicode_encodings_are_read(encoding: str) -> None:
    assert text_of(parse("<a> 結び </a>".encode(encoding), ANSWER)) == "結び"


@pytest.mark.parametrize("encoding", ["shift_jis", "iso-8859-1", "euc-jp"])
def test_other_encodings_are_refused(encoding: str) -> None:
    with pytest.raises(BadInput):
        parse(f'<?xml version="1.0" encoding="{encoding}"?><a>x</a>'.encode(encoding), ANSWER)


@pytest.mark.parametrize(
    ("limits", "at", "above"),
    [
        (XmlLimits(max_bytes=4), b"<a/>", b"<a />"),
        (XmlLimits(max_nodes=3), b"<a><b/></a>", b"<a><b/><b/></a>"),
        (XmlLimits(max_depth=2), b"<a><b/></a>", b"<a><b><c/></b></a>"),
        (XmlLimits(max_attributes=1), b'<a b=""/>', b'<a b="" c=""/>'),
        (XmlLimits(max_namespaces=1), b'<a xmlns="u"/>', b'<a xmlns="u" xmlns:b="v"/>'),
        (XmlLimits(max_name=2), b"<ab/>", b"<abc/>"),
        (XmlLimits(max_name=2), b'<a bc=""/>', b'<a bcd=""/>'),
    ],
)
def test_each_limit_at_and_above(limits: XmlLimits, at: bytes, above: bytes) -> None:
    parse(at, limits)
    with pytest.raises(LimitExceeded):
        parse(above, limits)


def test_the_parser_itself_stops_at_its_depth_and_text() -> None:
    parse(b"<a>" * 255 + b"</a>" * 255, ANSWER)
    with pytest.raises(BadInput):
        parse(b"<a>" * 300 + b"</a>" * 300, ANSWER)
    with pytest.raises(BadInput):
        parse(b"<a>" + b"x" * 10_000_001 + b"</a>", ANSWER)


def test_the_text_of_an_element_ignores_comments() -> None:
    assert text_of(parse(b"<a>x<!-- y -->z<![CDATA[&]]></a>", ANSWER)) == "xz&"
    assert text_of(None) == ""


XML_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)))


@given(XML_TEXT)
def test_escaped_text_comes_back(text: str) -> None:
    root = etree.fromstring(f'<a b="{escape(text)}">{escape(text)}</a>'.encode())
    expected = "".join(c if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff") else "\ufffd" for c in text)
    assert (root.get("b"), root.text or "") == (expected, expected)


def test_half_a_surrogate_pair_is_replaced() -> None:
    assert escape("a\ud800b\x01") == "a\ufffdb\ufffd"


@pytest.mark.parametrize(
    "text",
    ['<a xmlns="urn:x}y"/>', '<a xmlns="urn:x&#125;y"/>', '<a xmlns:p="u}v" p:b="1"/>', '<a><p:b xmlns:p="}"/></a>'],
)
def test_a_namespace_that_cannot_be_named_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse(text.encode(), ANSWER)


def test_the_bytes_of_an_ordinary_question_need_no_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    walked: list[object] = []
    monkeypatch.setattr(xml, "_check_shape", lambda root, limits: walked.append(root))
    parse(b'<a xmlns="urn:x"><b c="d">some text</b></a>', ANSWER)
    assert not walked
    for data in (b"<a>" + b"<b/>" * 256 + b"</a>", b"<a>}</a>", b"<a>" + b"x" * 1001 + b"</a>", b"<a>&#65;</a>"):
        parse(data, ANSWER)
    parse("<a/>".encode("utf-16"), ANSWER)
    parse(b"<a>" + b"x " * 40_000 + b"</a>", ANSWER)
    assert len(walked) == 6
