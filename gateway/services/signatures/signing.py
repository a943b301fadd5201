"""Signatures made: XAdES-B-B inside an XML document, CAdES-B-B beside any document (ETSI EN 319 132-1, 319 122-1).

The private key stays where it is: what signs is a function, made from a key file or a PKCS#11 token by whoever calls.
"""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from asn1crypto import algos, cms, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from gateway.codec import xmldsig
from gateway.codec.xml import ANSWER, parse
from gateway.codec.xmldsig import DS, ENVELOPED, EXCLUSIVE, MANIFEST, SIGNED_PROPERTIES, XADES
from gateway.errors import ConfigurationError

_SHA256: Final = "http://www.w3.org/2001/04/xmlenc#sha256"


@dataclass(frozen=True, slots=True)
class Signer:
    """A certificate and what signs with its key."""

    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    """Up to the root, itself left out."""
    sign: Callable[[bytes], bytes]
    """Signature with SHA-256: PKCS#1 v1.5 of an RSA key, ECDSA as a DER SEQUENCE of an elliptic one."""

    @property
    def is_rsa(self) -> bool:
        key = self.certificate.public_key()
        if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
            return isinstance(key, rsa.RSAPublicKey)
        raise ConfigurationError("a signing key is RSA or an elliptic curve")


def sign_xml(document: bytes, signer: Signer, now: datetime, signature_id: str) -> bytes:
    """The document with one more ds:Signature as the last child of its root, over all of it but signatures put in
    later. `signature_id` is an NCName no Id of the document starts with. Raises BadInput, LimitExceeded."""
    root = parse(document, ANSWER)
    digest = hashlib.sha256(xmldsig.canonical(root, EXCLUSIVE)).digest()
    reference = _reference('URI=""', digest, enveloped=True)
    element = etree.fromstring(_template(signer, now, signature_id, reference))
    root.append(element)
    _complete(element, signer, signature_id)
    return etree.tostring(root.getroottree(), encoding="UTF-8", xml_declaration=True)


def sign_manifest(manifest: str, signer: Signer, now: datetime, signature_id: str = "signature") -> bytes:
    """A document that is one ds:Signature over the ds:Manifest given, which it encloses."""
    inner = etree.fromstring(manifest)
    digest = hashlib.sha256(xmldsig.canonical(inner, EXCLUSIVE)).digest()
    reference = _reference(f'Type="{MANIFEST}" URI="#{inner.get("Id")}"', digest)
    element = etree.fromstring(_template(signer, now, signature_id, reference, f"<ds:Object>{manifest}</ds:Object>"))
    _complete(element, signer, signature_id)
    return etree.tostring(element, encoding="UTF-8", xml_declaration=True)


def _complete(element: etree._Element, signer: Signer, signature_id: str) -> None:
    """Fills in what can only be known once the signature stands where it belongs: its own digest and value."""
    properties = xmldsig.element_of(element.getroottree().getroot(), f"{signature_id}-properties")
    found = element.findall(f"{{{DS}}}SignedInfo/{{{DS}}}Reference/{{{DS}}}DigestValue")
    found[-1].text = _b64(hashlib.sha256(xmldsig.canonical(properties, EXCLUSIVE)).digest())
    info, value = element.find(f"{{{DS}}}SignedInfo"), element.find(f"{{{DS}}}SignatureValue")
    assert info is not None and value is not None
    value.text = _b64(_xml_value(signer, signer.sign(xmldsig.canonical(info, EXCLUSIVE))))


def _reference(what: str, digest: bytes, *, enveloped: bool = False) -> str:
    first = f'<ds:Transform Algorithm="{ENVELOPED}"/>' if enveloped else ""
    return (
        f'<ds:Reference {what}><ds:Transforms>{first}<ds:Transform Algorithm="{EXCLUSIVE}"/></ds:Transforms>'
        f'<ds:DigestMethod Algorithm="{_SHA256}"/><ds:DigestValue>{_b64(digest)}</ds:DigestValue></ds:Reference>'
    )


def _template(signer: Signer, now: datetime, id_: str, reference: str, objects: str = "") -> str:
    certificate = signer.certificate.public_bytes(Encoding.DER)
    method = "rsa-sha256" if signer.is_rsa else "ecdsa-sha256"
    enclosed = "".join(
        f"<ds:X509Certificate>{_b64(one.public_bytes(Encoding.DER))}</ds:X509Certificate>"
        for one in (signer.certificate, *signer.chain)
    )
    properties = _reference(f'Type="{SIGNED_PROPERTIES}" URI="#{id_}-properties"', b"")
    return (
        f'<ds:Signature xmlns:ds="{DS}" Id="{id_}"><ds:SignedInfo>'
        f'<ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"/>'
        f'<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#{method}"/>'
        f"{reference}{properties}</ds:SignedInfo><ds:SignatureValue/>"
        f"<ds:KeyInfo><ds:X509Data>{enclosed}</ds:X509Data></ds:KeyInfo>{objects}"
        f'<ds:Object><xades:QualifyingProperties xmlns:xades="{XADES}" Target="#{id_}">'
        f'<xades:SignedProperties Id="{id_}-properties"><xades:SignedSignatureProperties>'
        f"<xades:SigningTime>{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}</xades:SigningTime>"
        f'<xades:SigningCertificateV2><xades:Cert><xades:CertDigest><ds:DigestMethod Algorithm="{_SHA256}"/>'
        f"<ds:DigestValue>{_b64(hashlib.sha256(certificate).digest())}</ds:DigestValue></xades:CertDigest>"
        f"</xades:Cert></xades:SigningCertificateV2></xades:SignedSignatureProperties></xades:SignedProperties>"
        f"</xades:QualifyingProperties></ds:Object></ds:Signature>"
    )


def _xml_value(signer: Signer, value: bytes) -> bytes:
    """XML-DSig writes r and s of ECDSA side by side."""
    key = signer.certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return value
    size = (key.key_size + 7) // 8
    return b"".join(number.to_bytes(size, "big") for number in utils.decode_dss_signature(value))


def sign_detached(document: bytes, signer: Signer, now: datetime) -> bytes:
    """DER of a SignedData over the document, which stays outside."""
    certificate = _asn1(signer.certificate)
    attributes = cms.CMSAttributes(
        [
            _attribute("content_type", "data"),
            _attribute("signing_time", cms.Time({"utc_time": now.astimezone(UTC)})),
            _attribute("message_digest", hashlib.sha256(document).digest()),
            _attribute(
                "signing_certificate_v2",
                tsp.SigningCertificateV2({"certs": [{"cert_hash": hashlib.sha256(certificate.dump()).digest()}]}),
            ),
        ]
    )
    signer_info = cms.SignerInfo(
        {
            "version": "v1",
            "sid": cms.SignerIdentifier(
                {
                    "issuer_and_serial_number": cms.IssuerAndSerialNumber(
                        {"issuer": certificate.issuer, "serial_number": certificate.serial_number}
                    )
                }
            ),
            "digest_algorithm": algos.DigestAlgorithm({"algorithm": "sha256"}),
            "signed_attrs": attributes,
            "signature_algorithm": algos.SignedDigestAlgorithm(
                {"algorithm": "sha256_rsa" if signer.is_rsa else "sha256_ecdsa"}
            ),
            "signature": signer.sign(attributes.untag().dump()),
        }
    )
    data = cms.SignedData(
        {
            "version": "v1",
            "digest_algorithms": [algos.DigestAlgorithm({"algorithm": "sha256"})],
            "encap_content_info": {"content_type": "data"},
            "certificates": [certificate, *(_asn1(one) for one in signer.chain)],
            "signer_infos": [signer_info],
        }
    )
    der: bytes = cms.ContentInfo({"content_type": "signed_data", "content": data}).dump()
    return der


def _attribute(name: str, value: object) -> Any:
    return cms.CMSAttribute({"type": name, "values": [value]})


def _asn1(certificate: x509.Certificate) -> Any:
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
