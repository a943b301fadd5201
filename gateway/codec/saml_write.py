"""Assertions of our own: peers are asked in the name of the user who asked us (XUA, ITI TF-2: 3.40)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree
from signxml.algorithms import (
    CanonicalizationMethod,
    DigestAlgorithm,
    SignatureConstructionMethod,
    SignatureMethod,
)
from signxml.signer import XMLSigner

from gateway.codec import saml_claims as names
from gateway.codec.saml_claims import Coded
from gateway.codec.saml_shape import ASSERTION, DS, SAML
from gateway.codec.soap import SOAP, WSSE
from gateway.codec.xml import escape

LIFETIME: Final = timedelta(minutes=5)
BEFORE: Final = timedelta(seconds=30)
"""So much earlier it begins, for a peer whose clock is behind."""
PREVIOUS_SESSION: Final = "urn:oasis:names:tc:SAML:2.0:ac:classes:PreviousSession"
UNSPECIFIED: Final = "urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified"


@dataclass(frozen=True, slots=True)
class Statement:
    """What is said of the user. Empty is left out, and never filled in."""

    id: str
    issuer: str
    audience: str
    recipient: str
    name_id: str
    name_qualifier: str
    """Who vouched for the user to us."""
    authenticated: datetime | None
    user_name: str
    organization: str
    organization_id: str
    home: str
    roles: tuple[Coded, ...]
    purpose: Coded | None
    patient: str = ""
    break_glass: str = ""


@dataclass(frozen=True, slots=True)
class Signer:
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def header(statement: Statement, signer: Signer, now: datetime) -> str:
    """A wsse:Security header block that holds the signed assertion, as text for codec/soap.py."""
    assertion = etree.tostring(_signed(statement, signer, now), encoding="unicode")
    return (
        f'<wsse:Security xmlns:wsse="{WSSE}" xmlns:soap="{SOAP}" soap:mustUnderstand="true">{assertion}</wsse:Security>'
    )


def _signed(statement: Statement, signer: Signer, now: datetime) -> etree._Element:
    root = etree.fromstring(_assertion(statement, now))
    method = SignatureMethod.RSA_SHA256 if isinstance(signer.key, rsa.RSAPrivateKey) else SignatureMethod.ECDSA_SHA256
    signing = XMLSigner(
        method=SignatureConstructionMethod.enveloped,
        signature_algorithm=method,
        digest_algorithm=DigestAlgorithm.SHA256,
        c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    )
    pem = signer.certificate.public_bytes(Encoding.PEM).decode()
    signed = signing.sign(root, key=signer.key, cert=pem, reference_uri=statement.id, id_attribute="ID")
    signature, issuer = signed.find(f"{{{DS}}}Signature"), signed.find(f"{{{SAML}}}Issuer")
    assert signed.tag == ASSERTION and signature is not None and issuer is not None
    issuer.addnext(signature)  # the schema's place (SAML Core 2.3.3); an enveloped signature may stand anywhere
    return signed


def _assertion(one: Statement, now: datetime) -> str:
    begins, ends = _instant(now - BEFORE), _instant(now + LIFETIME)
    qualifier = f' NameQualifier="{escape(one.name_qualifier)}"' if one.name_qualifier else ""
    context = UNSPECIFIED if one.authenticated else PREVIOUS_SESSION
    return (
        f'<saml:Assertion xmlns:saml="{SAML}" Version="2.0" ID="{escape(one.id)}" IssueInstant="{_instant(now)}">'
        f"<saml:Issuer>{escape(one.issuer)}</saml:Issuer>"
        f"<saml:Subject><saml:NameID{qualifier}>{escape(one.name_id)}</saml:NameID>"
        f'<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData '
        f'NotOnOrAfter="{ends}" Recipient="{escape(one.recipient)}"/></saml:SubjectConfirmation></saml:Subject>'
        f'<saml:Conditions NotBefore="{begins}" NotOnOrAfter="{ends}"><saml:AudienceRestriction>'
        f"<saml:Audience>{escape(one.audience)}</saml:Audience></saml:AudienceRestriction></saml:Conditions>"
        f'<saml:AuthnStatement AuthnInstant="{_instant(one.authenticated or now)}"><saml:AuthnContext>'
        f"<saml:AuthnContextClassRef>{context}</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
        f"<saml:AttributeStatement>{_attributes(one)}</saml:AttributeStatement></saml:Assertion>"
    )


def _attributes(one: Statement) -> str:
    texts = (
        (names.SUBJECT_ID, one.user_name),
        (names.ORGANIZATION, one.organization),
        (names.ORGANIZATION_ID, one.organization_id),
        (names.HOME, one.home),
        (names.PATIENT, one.patient),
        (names.BREAK_GLASS, one.break_glass),
    )
    parts = [_attribute(name, [escape(value)]) for name, value in texts if value]
    if one.roles:
        parts.append(_attribute(names.ROLE, [_code("Role", role) for role in one.roles]))
    if one.purpose:
        parts.append(_attribute(names.PURPOSE, [_code("PurposeOfUse", one.purpose)]))
    return "".join(parts)


def _attribute(name: str, values: list[str]) -> str:
    inside = "".join(f"<saml:AttributeValue>{value}</saml:AttributeValue>" for value in values)
    return f'<saml:Attribute Name="{name}">{inside}</saml:Attribute>'


def _code(element: str, coded: Coded) -> str:
    return f'<{element} xmlns="{names.HL7}" code="{escape(coded.code)}" codeSystem="{escape(coded.system)}"/>'


def _instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
