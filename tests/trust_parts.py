"""A federation on one machine for tests of enforced mode: an authority, two nodes, strangers, issuers, a running node."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from joserfc.jwk import ECKey

from gateway import app
from gateway.codec import jwt
from gateway.model.clock import Chance, Clock
from gateway.sandbox.pki import Authority, DemoNode, make, private_pem
from gateway.serve.enforcing import Enforcement, enforcement
from gateway.serve.http import create_app
from gateway.serve.server import HttpServer
from gateway.settings import Settings, load
from tests.saml_parts import Text

HOME_A, HOME_B = "urn:oid:1.2.392.200119.99999.1", "urn:oid:1.2.392.200119.99999.20"
STS, AUDIENCE = "https://sts.demo.example", "https://gw.demo.example/registry"
IDP, FHIR_AUDIENCE = "https://idp.demo.example", "https://gw.demo.example/fhir"
BOTH = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Federation:
    """Files of `musubi pki demo` and those of strangers, with the authority at hand to issue more."""

    folder: Path
    more: str = ""
    """Appended to musubi.toml."""
    http_port: int = field(default_factory=free_port)
    mllp_port: int = field(default_factory=free_port)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        make(self.folder, self.now, (DemoNode("node-a", HOME_A), DemoNode("node-b", HOME_B)))
        keys = {"keys": [{**self.idp.as_dict(private=False), "use": "sig", "kid": "k1"}]}
        (self.folder / "idp.jwks.json").write_text(json.dumps(keys))
        self.write()

    @cached_property
    def idp(self) -> ECKey:
        return ECKey.import_key({**ECKey.generate_key("P-256").as_dict(private=True), "kid": "k1"})

    @cached_property
    def authority(self) -> Authority:
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        key = load_pem_private_key((self.folder / "ca.key.pem").read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return Authority(key, x509.load_pem_x509_certificate((self.folder / "ca.crt.pem").read_bytes()), self.now)

    def write(self, more: str = "") -> Path:
        file = self.folder / "musubi.toml"
        file.write_text(
            (self.folder / "musubi-enforced.toml").read_text()
            + f"""
[http]
port = {self.http_port}
[mllp]
port = {self.mllp_port}
[[security.jwt_issuers]]
issuer = "{IDP}"
jwks_file = "idp.jwks.json"
audience = "{FHIR_AUDIENCE}"
{self.more}
{more}
"""
        )
        return file

    @property
    def settings(self) -> Settings:
        return load(self.folder / "musubi.toml", {})

    def issue(self, name: str, *usages: x509.ObjectIdentifier, by: Authority | None = None) -> str:
        """A certificate for a new key, and the name of its files."""
        key = ec.generate_private_key(ec.SECP256R1())
        authority = by or self.authority
        names = [x509.DNSName("localhost"), x509.IPAddress(__import__("ipaddress").ip_address("127.0.0.1"))]
        certificate = authority.certify(key, name, usages, names)
        (self.folder / f"{name}.crt.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        (self.folder / f"{name}.key.pem").write_bytes(private_pem(key))
        return name

    def certificate(self, name: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.folder / f"{name}.crt.pem").read_bytes())

    def revoke(self, *names: str) -> None:
        found = self.authority.revocation_list([self.certificate(name) for name in names])
        (self.folder / "ca.crl.pem").write_bytes(found.public_bytes(Encoding.PEM))

    def client(self, name: str = "node-b") -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.folder / "ca.crt.pem")
        if name:
            context.load_cert_chain(self.folder / f"{name}.crt.pem", self.folder / f"{name}.key.pem")
        return context

    def text(self, **more: Any) -> Text:
        """An assertion for this moment."""
        now = self.now

        def at(minutes: int) -> str:
            return (now + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")

        base = Text().with_attribute("homeCommunityId", HOME_B)
        return replace(
            base,
            issued=now,
            issuer=STS,
            before=at(-1),
            after=at(5),
            conditions=f"<saml:AudienceRestriction><saml:Audience>{AUDIENCE}</saml:Audience></saml:AudienceRestriction>",
            confirmation='<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">'
            f'<saml:SubjectConfirmationData NotOnOrAfter="{at(5)}"/></saml:SubjectConfirmation>',
            authentication=base.authentication.replace("2026-04-01T02:58:00Z", at(-2)),
            **more,
        )

    def token(self, **claims: Any) -> str:
        now = int(self.now.timestamp())
        made: dict[str, Any] = {
            "iss": IDP,
            "sub": "u-0001",
            "client_id": "viewer",
            "aud": FHIR_AUDIENCE,
            "jti": "t-1",
            "iat": now,
            "exp": now + 300,
            "scope": "user/*.rs",
            "extensions": {
                "ihe_iua": {
                    "subject_name": "田中 一郎",
                    "subject_organization_id": "urn:oid:1.2.392.200119.999.2",
                    "home_community_id": HOME_B,
                    "subject_role": [{"system": "urn:oid:1.2.392.200119.999.30", "code": "DOCTOR"}],
                    "purpose_of_use": [{"system": "urn:oid:2.16.840.1.113883.5.8", "code": "TREAT"}],
                }
            },
        }
        made.update(claims)
        made = {name: value for name, value in made.items() if value is not None}
        return jwt.sign(made, self.idp, "ES256", "at+jwt")


@dataclass
class Running:
    federation: Federation
    node: app.Node
    enforced: Enforcement
    port: int


@contextmanager
def running(federation: Federation, **clock: Any) -> Iterator[Running]:
    """A node of the federation's configuration that listens for HTTP."""
    settings = federation.settings
    with app.storage(settings) as parts:
        made_clock, chance = Clock(**clock), Chance()
        enforced = enforcement(settings, parts.audit, made_clock, chance, parts.memory)
        node = app.Node(settings, parts, made_clock, chance, enforced)
        server = HttpServer(settings, create_app(node.http({"http": lambda: True})), enforced.guard())
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield Running(federation, node, enforced, settings.http.port)
        finally:
            server.stop()
            thread.join(20)
