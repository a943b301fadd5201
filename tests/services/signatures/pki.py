"""A throw-away PKI for the tests: root, issuing CA, signers with hcRole, a time-stamping authority, lists."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.services.signatures.hpki import HC_ROLE, NATIONAL_ROLES
from gateway.services.signatures.signing import Signer
from gateway.services.signatures.trust import TIME_STAMPING, Trust

START = datetime(2024, 1, 1, tzinfo=UTC)
POLICY = "1.2.392.100495.1.5.1.1.0.1"
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "JP"), x509.NameAttribute(NameOID.COMMON_NAME, common)])


def hc_role(word: str, scheme: str = NATIONAL_ROLES, *, explicit: bool = True) -> bytes:
    """DER of subjectDirectoryAttributes with one hcRole."""

    def tagged(number: int, inner: bytes, constructed: bool = True) -> bytes:
        return bytes([0x80 | (0x20 if constructed else 0) | number, len(inner)]) + inner

    def wrapped(tag: int, inner: bytes) -> bytes:
        return bytes([tag, len(inner)]) + inner

    text = core.UTF8String(word).dump()
    if explicit:
        coded = tagged(0, wrapped(0x31, tagged(0, core.ObjectIdentifier(scheme).dump()) + tagged(2, text)))
    else:
        coded = tagged(0, tagged(0, core.ObjectIdentifier(scheme).contents, False) + tagged(2, text))
    actor_set = wrapped(0x31, wrapped(0x30, coded))
    attribute = wrapped(0x30, core.ObjectIdentifier(HC_ROLE).dump() + wrapped(0x31, actor_set))
    return wrapped(0x30, attribute)


@dataclass
class Issued:
    certificate: x509.Certificate
    key: Key

    def sign(self, content: bytes) -> bytes:
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(content, padding.PKCS1v15(), hashes.SHA256())
        return self.key.sign(content, ec.ECDSA(hashes.SHA256()))


class Authority:
    """A certification authority, its children and its revocation list."""

    def __init__(self, common: str, parent: "Authority | None" = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name, self.parent, self.serial = name(common), parent, 0
        issuer = parent or self
        self.certificate = _build(
            self.name, self.key, issuer.name, issuer.key, issuer.next(), START, 3650,
            [
                (x509.BasicConstraints(True, None), True),
                (_usage(key_cert_sign=True, crl_sign=True), True),
            ],
            issuer.key.public_key(),
        )  # fmt: skip

    def next(self) -> int:
        self.serial += 1
        return self.serial

    def issue(
        self,
        common: str,
        *,
        key: Key | None = None,
        start: datetime = START,
        days: int = 730,
        role: bytes = b"",
        usage: str = "content_commitment",
        policy: str = POLICY,
        time_stamping: bool = False,
    ) -> Issued:
        key = key or ec.generate_private_key(ec.SECP256R1())
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(False, None), True),
            (_usage(**{usage: True}), True),
            (x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(policy), None)]), False),
        ]
        if role:
            extensions.append((x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.9"), role), False))
        if time_stamping:
            extensions.append((x509.ExtendedKeyUsage([TIME_STAMPING]), True))
        certificate = _build(
            name(common), key, self.name, self.key, self.next(), start, days, extensions, self.key.public_key()
        )
        return Issued(certificate, key)

    def crl(
        self,
        at: datetime,
        revoked: dict[int, datetime] | None = None,
        *,
        days: int = 30,
        invalid: datetime | None = None,
    ) -> x509.CertificateRevocationList:
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.name)
        builder = builder.last_update(at).next_update(at + timedelta(days=days))
        for serial, since in (revoked or {}).items():
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since)
            if invalid:
                entry = entry.add_extension(x509.InvalidityDate(invalid.replace(tzinfo=None)), False)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.key, hashes.SHA256())


def _usage(**wanted: bool) -> x509.KeyUsage:
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")  # fmt: skip
    return x509.KeyUsage(**{one: wanted.get(one, False) for one in names})


def _build(
    subject: x509.Name, key: Key, issuer: x509.Name, issuer_key: Key, serial: int, start: datetime, days: int,
    extensions: list[tuple[x509.ExtensionType, bool]], issuer_public: ec.EllipticCurvePublicKey,
) -> x509.Certificate:  # fmt: skip
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).serial_number(serial)
    builder = builder.public_key(key.public_key()).not_valid_before(start).not_valid_after(start + timedelta(days=days))
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_public), False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256())


@dataclass
class World:
    """Everything a test needs, at one moment."""

    root: Authority
    issuing: Authority
    tsa: Issued
    now: datetime

    def trust(self, **changed: object) -> Trust:
        made: dict[str, object] = {
            "roots": (self.root.certificate,),
            "crls": (self.root.crl(self.now), self.issuing.crl(self.now)),
            "tsa_roots": (self.root.certificate,),
            "policies": frozenset({POLICY}),
        }
        return Trust(**(made | changed))  # type: ignore[arg-type]

    def signer(self, issued: Issued) -> Signer:
        return Signer(issued.certificate, (self.issuing.certificate,), issued.sign)

    def stamp(self, content: bytes, at: datetime) -> bytes:
        """An RFC 3161 token over `content`."""
        info = tsp.TSTInfo(
            {
                "version": "v1",
                "policy": "1.2.3.4",
                "message_imprint": {
                    "hash_algorithm": {"algorithm": "sha256"},
                    "hashed_message": hashlib.sha256(content).digest(),
                },
                "serial_number": 1,
                "gen_time": at,
            }
        ).dump()
        certificate = asn1_x509.Certificate.load(self.tsa.certificate.public_bytes(Encoding.DER))
        digest = hashlib.sha256(info).digest()
        attributes = cms.CMSAttributes(
            [
                cms.CMSAttribute({"type": "content_type", "values": ["tst_info"]}),
                cms.CMSAttribute({"type": "message_digest", "values": [digest]}),
            ]
        )
        signer = cms.SignerInfo(
            {
                "version": "v1",
                "sid": {
                    "issuer_and_serial_number": {
                        "issuer": certificate.issuer,
                        "serial_number": certificate.serial_number,
                    }
                },
                "digest_algorithm": algos.DigestAlgorithm({"algorithm": "sha256"}),
                "signed_attrs": attributes,
                "signature_algorithm": {"algorithm": "sha256_ecdsa"},
                "signature": self.tsa.sign(attributes.untag().dump()),
            }
        )
        issuing = asn1_x509.Certificate.load(self.issuing.certificate.public_bytes(Encoding.DER))
        data = cms.SignedData(
            {
                "version": "v3",
                "digest_algorithms": [{"algorithm": "sha256"}],
                "encap_content_info": {"content_type": "tst_info", "content": core.ParsableOctetString(info)},
                "certificates": [certificate, issuing],
                "signer_infos": [signer],
            }
        )
        token: bytes = cms.ContentInfo({"content_type": "signed_data", "content": data}).dump()
        return token


def world(now: datetime = datetime(2025, 6, 1, tzinfo=UTC)) -> World:
    root = Authority("Test Root")
    issuing = Authority("Test HPKI CA", root)
    return World(root, issuing, issuing.issue("Test TSA", time_stamping=True, days=3000), now)
