"""Keys, certificates and assertions of the trust tests: made when they are first asked for, worth nothing."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from lxml import etree
from signxml import CanonicalizationMethod, DigestAlgorithm, SignatureMethod, XMLSigner

from gateway.codec import saml, xml
from gateway.codec.saml_shape import DS, SAML
from gateway.codec.soap import SOAP, WSA, WSSE, WSU

NOW = datetime(2026, 4, 1, 3, 0, 0, tzinfo=UTC)
ISSUER = "https://sts.region-a.example"
AUDIENCE = "https://gw.region-a.example/registry"
ENDPOINT = "https://gw.region-a.example/xds/registry"
HOME = "urn:oid:1.2.392.200119.999.1"
NS = {"saml": SAML, "ds": DS, "wsse": WSSE, "soap": SOAP, "wsu": WSU}

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@cache
def key(name: str) -> Key:
    """Names that begin with `rsa` are RSA keys; others are on P-256, which is quicker to make."""
    return rsa.generate_private_key(65537, 2048) if name.startswith("rsa") else ec.generate_private_key(ec.SECP256R1())


@cache
def certificate(name: str, days: tuple[int, int] = (-1, 365)) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key(name).public_key())
        .serial_number(1000 + len(name))
        .not_valid_before(NOW + timedelta(days=days[0]))
        .not_valid_after(NOW + timedelta(days=days[1]))
        .sign(key(name), hashes.SHA256())
    )


@dataclass(frozen=True)
class Text:
    """The parts of an assertion that tests vary, as text."""

    id: str = "_a1"
    version: str = "2.0"
    issued: datetime = NOW
    issuer: str = ISSUER
    name: str = '<saml:NameID SPProvidedID="tanaka">u-0001</saml:NameID>'
    confirmation: str = (
        '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData '
        f'NotOnOrAfter="2026-04-01T03:05:00Z" Recipient="{ENDPOINT}"/></saml:SubjectConfirmation>'
    )
    before: str = "2026-04-01T02:59:00Z"
    after: str = "2026-04-01T03:05:00Z"
    conditions: str = f"<saml:AudienceRestriction><saml:Audience>{AUDIENCE}</saml:Audience></saml:AudienceRestriction>"
    authentication: str = (
        '<saml:AuthnStatement AuthnInstant="2026-04-01T02:58:00Z"><saml:AuthnContext><saml:AuthnContextClassRef>'
        "urn:oasis:names:tc:SAML:2.0:ac:classes:X509</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
    )
    more: str = ""
    attributes: tuple[tuple[str, str], ...] = (
        ("urn:oasis:names:tc:xspa:1.0:subject:subject-id", "田中 一郎"),
        ("urn:oasis:names:tc:xspa:1.0:subject:organization", "東京総合病院"),
        ("urn:oasis:names:tc:xspa:1.0:subject:organization-id", "urn:oid:1.2.392.200119.999.2"),
        ("urn:ihe:iti:xca:2010:homeCommunityId", HOME),
        (
            "urn:oasis:names:tc:xacml:2.0:subject:role",
            '<Role xmlns="urn:hl7-org:v3" code="DOCTOR" codeSystem="1.2.392.200119.999.30" displayName="医師"/>',
        ),
        (
            "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse",
            '<PurposeOfUse xmlns="urn:hl7-org:v3" code="TREATMENT" codeSystem="2.16.840.1.113883.3.18.7.1"/>',
        ),
    )

    def __str__(self) -> str:
        attributes = "".join(
            f'<saml:Attribute Name="{name}"><saml:AttributeValue>{value}</saml:AttributeValue></saml:Attribute>'
            for name, value in self.attributes
        )
        return (
            f'<saml:Assertion xmlns:saml="{SAML}" ID="{self.id}" Version="{self.version}" '
            f'IssueInstant="{self.issued:%Y-%m-%dT%H:%M:%SZ}"><saml:Issuer>{self.issuer}</saml:Issuer>'
            f"<saml:Subject>{self.name}{self.confirmation}</saml:Subject>"
            f'<saml:Conditions NotBefore="{self.before}" NotOnOrAfter="{self.after}">{self.conditions}</saml:Conditions>'
            f"{self.authentication}<saml:AttributeStatement>{attributes}</saml:AttributeStatement>{self.more}"
            "</saml:Assertion>"
        )

    def with_attribute(self, name: str, value: str | None) -> "Text":
        """The attribute whose Name ends so, replaced; None: left out."""
        kept = tuple(pair for pair in self.attributes if not pair[0].endswith(name))
        before = next(pair[0] for pair in self.attributes if pair[0].endswith(name))
        return replace(self, attributes=kept if value is None else (*kept, (before, value)))


def signed(text: Text | str = Text(), by: str = "sts", **arguments: Any) -> etree._Element:
    """The assertion with its signature behind the issuer."""
    root = etree.fromstring(str(text))
    signature = signature_of(root, by, **arguments)
    issuer = root.find("saml:Issuer", NS)
    assert issuer is not None
    issuer.addnext(signature)
    return root


def signature_of(
    root: etree._Element, by: str = "sts", with_certificate: bool = True, **arguments: Any
) -> etree._Element:
    method = SignatureMethod.RSA_SHA256 if by.startswith("rsa") else SignatureMethod.ECDSA_SHA256
    given = {
        "signature_algorithm": method,
        "digest_algorithm": DigestAlgorithm.SHA256,
        "c14n_algorithm": CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
        **arguments,
    }
    pem = certificate(by).public_bytes(Encoding.PEM).decode() if with_certificate else None
    done = XMLSigner(**given).sign(
        root, key=key(by), cert=pem, reference_uri=root.get("ID"), id_attribute="ID", always_add_key_value=not pem
    )
    found = done.find("ds:Signature", NS)
    assert found is not None
    if pem is None:
        information = found.find("ds:KeyInfo", NS)
        assert information is not None
        found.remove(information)
    return found


def envelope(
    *security: etree._Element | str, header: str = "", body: str = "<q xmlns='urn:q'/>", role: str = ""
) -> etree._Element:
    """A SOAP message whose Security header holds these. Parsed from its bytes, as a listener does."""
    tokens = "".join(one if isinstance(one, str) else etree.tostring(one, encoding="unicode") for one in security)
    at = f' soap:role="{role}"' if role else ""
    text = (
        f'<soap:Envelope xmlns:soap="{SOAP}" xmlns:wsa="{WSA}"><soap:Header><wsa:Action>urn:a</wsa:Action>'
        f'<wsa:MessageID>urn:uuid:1</wsa:MessageID><wsse:Security xmlns:wsse="{WSSE}" soap:mustUnderstand="1"{at}>{tokens}'
        f"</wsse:Security>{header}</soap:Header><soap:Body>{body}</soap:Body></soap:Envelope>"
    )
    return xml.parse(text.encode(), xml.REQUEST)


def trust(now: datetime = NOW, *certificates: x509.Certificate, **more: Any) -> saml.Trust:
    issuer = saml.Issuer(ISSUER, certificates or (certificate("sts"),), AUDIENCE, **more)
    return saml.Trust({ISSUER: issuer}, now)


CONNECTION = saml.Connection(frozenset({ENDPOINT}), None)


def checked(
    root: etree._Element, now: datetime = NOW, connection: saml.Connection = CONNECTION, **more: Any
) -> saml.Assertion:
    return saml.check(root, trust(now, **more), connection)
