"""X.509 certificates and revocation lists as values: PEM or DER in, what the gateway asks of them out (RFC 5280).

Whether a chain holds is OpenSSL's work in the handshake. Here stands what it does not look at: whose key it is, which
names it bears, what it may be used for, and what a list has taken back.
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.errors import BadInput

MAX_PEM_BYTES: Final = 16 * 1024 * 1024
"""A revocation list of a large CA has some megabytes."""
MAX_DER_BYTES: Final = 32 * 1024
DEMO_ORGANIZATION: Final = "Musubi demo, trust nothing"
"""O of every certificate that `musubi pki demo` makes. Its keys are worth nothing outside a trial on one machine."""

CLIENT: Final = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER: Final = ExtendedKeyUsageOID.SERVER_AUTH
_UNREADABLE: Final = (
    x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, UnsupportedAlgorithm, ValueError,
)  # fmt: skip
"""What asking a certificate for a part of it raises. Only ValueError is one of Python's own."""
_CURVES: Final = ("secp256r1", "secp384r1")


def read(data: bytes) -> tuple[x509.Certificate, ...]:
    """All certificates of a PEM file. Raises BadInput (none in it, or one that cannot be read)."""
    if len(data) > MAX_PEM_BYTES:
        raise BadInput(f"a certificate file larger than {MAX_PEM_BYTES} bytes")
    try:
        return tuple(x509.load_pem_x509_certificates(data))
    except ValueError:
        raise BadInput("no PEM certificate in it") from None


def read_der(data: bytes) -> x509.Certificate:
    """Raises BadInput."""
    if len(data) > MAX_DER_BYTES:
        raise BadInput(f"a certificate larger than {MAX_DER_BYTES} bytes")
    try:
        found = x509.load_der_x509_certificate(data)
        found.public_key()  # a key of a kind nobody here knows makes it no certificate, rather than an error later
    except (ValueError, UnsupportedAlgorithm):
        raise BadInput("not a certificate") from None
    return found


def read_lists(data: bytes) -> tuple[x509.CertificateRevocationList, ...]:
    """All revocation lists of a PEM file. Raises BadInput."""
    if len(data) > MAX_PEM_BYTES:
        raise BadInput(f"a revocation list larger than {MAX_PEM_BYTES} bytes")
    end = b"-----END X509 CRL-----"
    blocks = [block + end for block in data.split(end)[:-1]]
    try:
        found = tuple(x509.load_pem_x509_crl(block[block.index(b"-----BEGIN") :]) for block in blocks)
    except ValueError:
        raise BadInput("a revocation list that cannot be read") from None
    if not found:
        raise BadInput("no PEM revocation list in it")
    return found


def key_hash(certificate: x509.Certificate) -> str:
    """SHA-256 of SubjectPublicKeyInfo, hexadecimal: it survives a certificate issued again for the same key."""
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return sha256(spki).hexdigest()


def fingerprint(certificate: x509.Certificate) -> bytes:
    return sha256(certificate.public_bytes(Encoding.DER)).digest()


def valid_at(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def strong(certificate: x509.Certificate) -> bool:
    """RSA of 2048 bits or more, or P-256 or P-384; signed with SHA-256 or better (specs of ITI-19, BCP 195)."""
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        strong_key = key.key_size >= 2048
    else:
        strong_key = isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return False
    return strong_key and algorithm is not None and algorithm.name in ("sha256", "sha384", "sha512")


def may_be(certificate: x509.Certificate, usage: x509.ObjectIdentifier) -> bool:
    """Whether extendedKeyUsage names the usage. A certificate without the extension may be anything to OpenSSL, and
    nothing to us."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except _UNREADABLE:
        return False
    return usage in found


def _names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | tuple[()]:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except _UNREADABLE:
        return ()


def communities(certificate: x509.Certificate) -> tuple[str, ...]:
    """homeCommunityIds it names: URIs of subjectAltName of the form urn:oid:..."""
    uris = (name.value for name in _names(certificate) if isinstance(name, x509.UniformResourceIdentifier))
    return tuple(uri for uri in uris if uri.startswith("urn:oid:"))


def has_wildcard(certificate: x509.Certificate) -> bool:
    return any(isinstance(name, x509.DNSName) and "*" in name.value for name in _names(certificate))


def is_named(certificate: x509.Certificate) -> bool:
    """Whether subjectAltName holds anything at all; a common name is no name of a node."""
    return any(True for _ in _names(certificate))


def is_demo(certificate: x509.Certificate) -> bool:
    names = certificate.issuer.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)
    return any(name.value == DEMO_ORGANIZATION for name in names)


@dataclass(frozen=True, slots=True)
class Revoked:
    """What the lists of the federation's certification authorities say."""

    serials: frozenset[tuple[bytes, int]] = frozenset()
    """(DER of the issuer's name, serial number)"""
    until: datetime | None = None
    """nextUpdate of the list that ends first; None: no list."""
    issuers: frozenset[bytes] = field(default_factory=frozenset)

    def holds(self, certificate: x509.Certificate) -> bool:
        return (certificate.issuer.public_bytes(), certificate.serial_number) in self.serials

    def speaks_of(self, certificate: x509.Certificate, now: datetime) -> bool:
        """Whether a list in force covers the certificate's issuer."""
        return self.until is not None and now <= self.until and certificate.issuer.public_bytes() in self.issuers


def revoked(lists: Iterable[x509.CertificateRevocationList], authorities: Iterable[x509.Certificate]) -> Revoked:
    """Raises BadInput for a list that none of the authorities signed, or one that does not say until when it holds."""
    serials: set[tuple[bytes, int]] = set()
    ends: list[datetime] = []
    issuers: set[bytes] = set()
    known = tuple(authorities)
    for one in lists:
        if not any(one.issuer == authority.subject and _signed(one, authority) for authority in known):
            raise BadInput("a revocation list that none of the certification authorities signed")
        if one.next_update_utc is None:
            raise BadInput("a revocation list without nextUpdate")
        issuer = one.issuer.public_bytes()
        issuers.add(issuer)
        ends.append(one.next_update_utc)
        serials.update((issuer, entry.serial_number) for entry in one)
    return Revoked(frozenset(serials), min(ends, default=None), frozenset(issuers))


def _signed(one: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    try:
        return one.is_signature_valid(authority.public_key())  # type: ignore[arg-type]
    except (TypeError, ValueError, InvalidSignature):
        return False


def issued_by(certificate: x509.Certificate, authorities: Iterable[x509.Certificate]) -> bool:
    """Whether one of the authorities signed it directly."""
    for authority in authorities:
        try:
            certificate.verify_directly_issued_by(authority)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return True
    return False


def thumbprint(certificate: x509.Certificate) -> str:
    """x5t#S256 of RFC 8705: base64url of the certificate's SHA-256, without padding."""
    return urlsafe_b64encode(fingerprint(certificate)).decode().rstrip("=")


def hosts(certificate: x509.Certificate) -> tuple[str, ...]:
    """Names and addresses of subjectAltName, as they stand in a URL."""
    found = []
    for name in _names(certificate):
        if isinstance(name, x509.DNSName):
            found.append(name.value)
        elif isinstance(name, x509.IPAddress):
            found.append(f"[{name.value}]" if name.value.version == 6 else str(name.value))
    return tuple(found)
