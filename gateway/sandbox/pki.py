"""A throw-away certification authority for trials: keys, certificates, a revocation list, an issuer of assertions.

Every certificate says in its issuer that it is worth nothing, and enforced mode refuses them off loopback addresses
(services/trust/anchors.py). Keys are new each time; nothing of them is in the program.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from joserfc.jwk import ECKey

from gateway.codec.certificates import DEMO_ORGANIZATION
from gateway.errors import ConfigurationError

LIFETIME: Final = timedelta(days=30)
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")


class DemoNode(NamedTuple):
    name: str
    """Of its files: node-a.crt.pem, node-a.key.pem."""
    home: str
    """homeCommunityId, urn:oid:..."""


NODES: Final = (
    DemoNode("node-a", "urn:oid:1.2.392.200119.99999.1"),
    DemoNode("node-b", "urn:oid:1.2.392.200119.99999.20"),
)


@dataclass(frozen=True)
class Authority:
    """A certification authority whose key is on hand."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    now: datetime

    @classmethod
    def make(cls, now: datetime) -> "Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Musubi demo CA")
        builder = _builder(name, name, key, now).add_extension(x509.BasicConstraints(True, 0), critical=True)
        builder = builder.add_extension(_usage(signs=False, certifies=True), critical=True)
        builder = builder.add_extension(_key_id(key), critical=False)
        return cls(key, builder.sign(key, hashes.SHA256()), now)

    def certify(
        self,
        key: ec.EllipticCurvePrivateKey,
        name: str,
        usages: Sequence[x509.ObjectIdentifier] = (),
        names: Sequence[x509.GeneralName] = (),
    ) -> x509.Certificate:
        builder = _builder(_name(name), self.certificate.subject, key, self.now)
        builder = builder.add_extension(x509.BasicConstraints(False, None), critical=True)
        builder = builder.add_extension(_usage(signs=True, certifies=False), critical=True)
        builder = builder.add_extension(_key_id(key), critical=False)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(authority, critical=False)
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def revocation_list(self, revoked: Sequence[x509.Certificate] = ()) -> x509.CertificateRevocationList:
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
        builder = builder.last_update(self.now - timedelta(minutes=5)).next_update(self.now + LIFETIME)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(authority, critical=False).add_extension(x509.CRLNumber(1), critical=False)
        for one in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(one.serial_number)
            builder = builder.add_revoked_certificate(entry.revocation_date(self.now - timedelta(minutes=1)).build())
        return builder.sign(self.key, hashes.SHA256())


def make(directory: Path, now: datetime, nodes: Sequence[DemoNode] = NODES) -> list[Path]:
    """Writes everything two nodes need into an empty or new folder. Raises ConfigurationError when something is there."""
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise ConfigurationError(f"{directory} is not empty; keys are never overwritten")
    authority = Authority.make(now)
    written = [
        _write(directory / "ca.crt.pem", authority.certificate.public_bytes(Encoding.PEM)),
        _write(directory / "ca.key.pem", private_pem(authority.key), secret=True),
        _write(directory / "ca.crl.pem", authority.revocation_list().public_bytes(Encoding.PEM)),
    ]
    both = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)
    for node in nodes:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = authority.certify(
            key, node.name, both, [*_local_names(), x509.UniformResourceIdentifier(node.home)]
        )
        written += _pair(directory, node.name, key, certificate)
    key = ec.generate_private_key(ec.SECP256R1())
    written += _pair(directory, "sts", key, authority.certify(key, "Musubi demo STS"))
    client = ECKey.generate_key("P-256")
    jwk = {"kid": client.thumbprint(), "use": "sig", "alg": "ES256"}
    public = {"keys": [{**client.as_dict(private=False), **jwk}]}
    written += [
        _write(directory / "client.jwks.json", json.dumps(public, indent=1).encode()),
        _write(
            directory / "client.key.json", json.dumps({**client.as_dict(private=True), **jwk}).encode(), secret=True
        ),
        _write(directory / "musubi-enforced.toml", _example(nodes).encode()),
    ]
    return written


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _pair(folder: Path, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> list[Path]:
    return [
        _write(folder / f"{name}.crt.pem", certificate.public_bytes(Encoding.PEM)),
        _write(folder / f"{name}.key.pem", private_pem(key), secret=True),
    ]


def _write(path: Path, data: bytes, *, secret: bool = False) -> Path:
    """A secret is never readable by others, not even for a moment."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
    with open(descriptor, "wb") as file:
        file.write(data)
    return path


def _local_names() -> list[x509.GeneralName]:
    return [x509.DNSName(one) if one == "localhost" else x509.IPAddress(ip_address(one)) for one in _LOCAL]


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, DEMO_ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - timedelta(minutes=5)).not_valid_after(now + LIFETIME)


def _key_id(key: ec.EllipticCurvePrivateKey) -> x509.SubjectKeyIdentifier:
    return x509.SubjectKeyIdentifier.from_public_key(key.public_key())


def _usage(*, signs: bool, certifies: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certifies,
        crl_sign=certifies,
        encipher_only=False,
        decipher_only=False,
    )


def _example(nodes: Sequence[DemoNode]) -> str:
    """Sections to put into the musubi.toml of the first node; the others may connect to it."""
    first, rows = nodes[0], []
    for node in nodes:
        rows.append(
            f'[[security.nodes]]\ncert_file = "{node.name}.crt.pem"\nid = "{node.home}"\nname = "{node.name}"\n'
        )
    return f"""\
# Demo keys: worth nothing, and refused on any address but loopback. Sections for {first.name}; see docs/enforced.md.
[community]
id = "{first.home}"

[tls]
cert_file = "{first.name}.crt.pem"
key_file = "{first.name}.key.pem"
ca_file = "ca.crt.pem"
crl_file = "ca.crl.pem"

[security]
mode = "enforced"

[security.saml]                  # signs our questions to peers
issuer = "https://sts.demo.example"
cert_file = "sts.crt.pem"
key_file = "sts.key.pem"

{chr(10).join(rows)}
[[security.saml_issuers]]
issuer = "https://sts.demo.example"
cert_file = "sts.crt.pem"
audience = "https://gw.demo.example/registry"

[[security.clients]]
id = "demo-client"
jwks_file = "client.jwks.json"
scopes = ["system/*.rs"]
name = "デモ端末"
role = "DOCTOR^^1.2.392.200119.99999.30"
purpose = "TREATMENT"

[[security.grants]]
role = "DOCTOR^^1.2.392.200119.99999.30"
purposes = ["TREATMENT"]
actions = ["query", "retrieve", "read"]
types = ["*"]
"""
