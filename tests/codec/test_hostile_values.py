"""Values at the ends of what a format can say, in every reader of trust: refused or read, never an error of ours."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448

from gateway.codec import certificates, fhir, jwt, xml
from gateway.codec.jwt import BadToken
from gateway.codec.saml_fault import SecurityFault
from gateway.codec.soap import WSU
from gateway.errors import BadInput, GatewayError, LimitExceeded
from tests.saml_parts import NOW, Text, checked, envelope, signed

FIRST, LAST = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"


# -- the ends of the calendar -----------------------------------------------------------------------------------------


def stamp(created: str, expires: str) -> str:
    return (
        f'<wsu:Timestamp xmlns:wsu="{WSU}"><wsu:Created>{created}</wsu:Created><wsu:Expires>{expires}</wsu:Expires>'
        "</wsu:Timestamp>"
    )


def test_a_timestamp_that_never_ends_is_one() -> None:
    assert checked(envelope(signed(), stamp(FIRST, LAST))).name_id == "u-0001"
    for created, expires in ((LAST, LAST), (FIRST, FIRST)):
        with pytest.raises(SecurityFault):
            checked(envelope(signed(), stamp(created, expires)))


CONFIRMATION = Text().confirmation


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        (Text(after=LAST), False),
        (Text(before=FIRST), False),
        (Text(before=FIRST, after=LAST), False),
        (Text(before=LAST, after=LAST), False),
        (Text(after=FIRST), False),
        (Text(confirmation=CONFIRMATION.replace("2026-04-01T03:05:00Z", LAST)), True),
        (Text(confirmation=CONFIRMATION.replace("2026-04-01T03:05:00Z", FIRST)), False),
        (Text(confirmation=CONFIRMATION.replace("Data ", f'Data NotBefore="{FIRST}" ')), True),
        (Text(confirmation=CONFIRMATION.replace("Data ", f'Data NotBefore="{LAST}" ')), False),
        (Text(authentication=Text().authentication.replace("2026-04-01T02:58:00Z", LAST)), False),
        (Text(authentication=Text().authentication.replace("AuthnI", f'SessionNotOnOrAfter="{LAST}" AuthnI')), True),
        (Text(authentication=Text().authentication.replace("AuthnI", f'SessionNotOnOrAfter="{FIRST}" AuthnI')), False),
    ],
)
def test_instants_of_an_assertion(text: Text, taken: bool) -> None:
    root = envelope(signed(text))
    if taken:
        assert checked(root).name_id == "u-0001"
    else:
        with pytest.raises(SecurityFault):
            checked(root)


@pytest.mark.parametrize(("seconds", "taken"), [(-61, False), (-60, True), (5 * 60 + 59, True), (5 * 60 + 60, False)])
def test_time_counts_to_the_second_with_skew(seconds: int, taken: bool) -> None:
    """NotBefore and IssueInstant are NOW, NotOnOrAfter five minutes later, skew sixty seconds."""
    root = envelope(signed(replace(Text(), before="2026-04-01T03:00:00Z", authentication=Text().authentication)))
    now = NOW + timedelta(seconds=seconds)
    if taken:
        assert checked(root, now).name_id == "u-0001"
    else:
        with pytest.raises(SecurityFault):
            checked(root, now)


@pytest.mark.parametrize("value", [253402300799, 253402300800, 253402300799.999, 1e300, -1, 10**30, 0.0, -0.0])
@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
def test_instants_of_a_token(name: str, value: float) -> None:
    claims: dict[str, Any] = {"iss": "i", "aud": "a", "exp": NOW.timestamp() + 60, "iat": NOW.timestamp()}
    expected = jwt.Expected("i", frozenset({"a"}), NOW, timedelta(seconds=60), timedelta(hours=1))
    jwt.check(claims, expected)
    if name == "nbf" and value == 0:
        jwt.check({**claims, name: value}, expected)
    else:
        with pytest.raises(BadToken):
            jwt.check({**claims, name: value}, expected)


# -- JSON --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [b'{"a":' * 500 + b"1" + b"}" * 500, b'{"a":' + b"[" * 900 + b"]" * 900 + b"}", b'{"a":' + b"[" * 10**6,
     b'{"a":1,"a":1}', b'{"a":NaN}', b'{"a":-Infinity}', b'{"a":"\\ud800"}', b'{"\\udfff":1}', b'{"a":["\\u0000"]}',
     b'{"a":' + b"9" * 5000 + b"}", "{}".encode("utf-16"), b"\xef\xbb\xbf{}", b"[]", b"1", b"", b'{"a":"\xff"}',
     b'{"a":"x\x00"}', b'{"a":1}{"a":1}'],
)  # fmt: skip
def test_json_of_tokens(data: bytes) -> None:
    with pytest.raises(BadToken):
        jwt.read_object(data)


def test_pairs_of_surrogates_are_characters() -> None:
    assert jwt.read_object(b'{"a":"\\ud842\\udfb7"}') == {"a": "𠮷"}


@pytest.mark.parametrize(
    ("at", "above"),
    [
        (b'{"%s":1}' % (b"k" * 256), b'{"%s":1}' % (b"k" * 257)),
        (b'{"a":[%s1]}' % (b"1," * 99_999), b'{"a":[%s1]}' % (b"1," * 100_000)),
        (b'{"a":%s}' % (b"9" * 20), b'{"a":%s}' % (b"9" * 21)),
        (b'{"a":0.%s}' % (b"1" * 40), b'{"a":0.%s}' % (b"1" * 41)),
        (b'{"a":1e30}', b'{"a":1e31}'),
        (b'{"a":1e-30}', b'{"a":1e-31}'),
        (b'{"a":' * 64 + b"1" + b"}" * 64, b'{"a":' * 65 + b"1" + b"}" * 65),
    ],
    ids=["key", "array", "integer", "digits", "large", "fine", "depth"],
)
def test_json_that_is_sent_at_each_limit_and_above(at: bytes, above: bytes) -> None:
    fhir.received(at)
    with pytest.raises(LimitExceeded):
        fhir.received(above)


@pytest.mark.parametrize(
    "data", [b'{"a":"\\u0000"}', b'{"a\\u0000":1}', b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":1e400000}', b'{"a":"\\ud800"}',
             b'{"a":' * 5000 + b"1" + b"}" * 5000, "{}".encode("utf-16")],
)  # fmt: skip
def test_json_that_is_sent_and_refused(data: bytes) -> None:
    with pytest.raises(BadInput):
        fhir.received(data)


# -- encodings of XML --------------------------------------------------------------------------------------------------

DOCUMENT = '<a xmlns="urn:x">田中</a>'


@pytest.mark.parametrize("encoding", ["utf-32", "utf-32-le", "utf-32-be", "utf-7", "cp037", "shift_jis", "iso2022_jp"])
@pytest.mark.parametrize("declared", [True, False])
def test_xml_in_another_encoding(encoding: str, declared: bool) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?><a b="1"/>' if declared else '<a b="1"/>'
    data = text.encode(encoding)
    if data == text.encode("ascii") and not declared:
        return  # the same bytes are ASCII
    with pytest.raises(GatewayError):
        xml.parse(data, xml.REQUEST)


@pytest.mark.parametrize(
    "data",
    [
        b'<?xml version="1.0" encoding="UTF-7"?>+ADw-!DOCTYPE a+AD4-<a/>',
        b'<?xml version="1.0" encoding="UTF-8"?>' + "<a/>".encode("utf-16"),
        b'<?xml version="1.0" encoding="utf-16"?><a/>',
        '<!DOCTYPE a [<!ENTITY b "c">]><a/>'.encode("utf-16"),
        b"\xef\xbb\xbf<!DOCTYPE a><a/>",
        b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
        b"<a>&b;</a>",
        b"<a>&#0;</a>",
        b'<?xml version="1.1"?><a>&#1;</a>',
        b"<a>\xff</a>",
        b"<a>\xed\xa0\x80</a>",
        b"<a/><a/>",
        b"<a>" * 257 + b"</a>" * 257,
    ],
)
def test_xml_that_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput):
        xml.parse(data, xml.REQUEST)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_xml_in_the_encodings_that_are_read(encoding: str) -> None:
    assert xml.parse(DOCUMENT.encode(encoding), xml.REQUEST).text == "田中"


# -- certificates ------------------------------------------------------------------------------------------------------


def made(key: Any, *extensions: x509.ExtensionType) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    for one in extensions:
        builder = builder.add_extension(one, critical=False)
    return builder.sign(key, None if isinstance(key, ed448.Ed448PrivateKey) else hashes.SHA256())


def test_keys_of_other_kinds_are_weak() -> None:
    for key in (
        ed448.Ed448PrivateKey.generate(),
        dsa.generate_private_key(1024),
        ec.generate_private_key(ec.SECP256K1()),
    ):
        assert not certificates.strong(made(key))


UNREADABLE_NAME = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), bytes.fromhex("3006a504300000" + "00"))


def test_names_that_cannot_be_read_are_none() -> None:
    certificate = made(ec.generate_private_key(ec.SECP256R1()), UNREADABLE_NAME)
    assert certificates.communities(certificate) == () and not certificates.has_wildcard(certificate)
    assert certificates.hosts(certificate) == () and not certificates.may_be(certificate, certificates.CLIENT)


def test_a_certificate_larger_than_is_read() -> None:
    with pytest.raises(BadInput):
        certificates.read_der(b"\x30" * (certificates.MAX_DER_BYTES + 1))
