"""Enforced mode: keys and certificates, who may connect, whose assertions, tokens and signatures count."""

from typing import Literal

from pydantic import Field, model_validator

from gateway.settings.forms import COMMUNITY_ID, Section
from gateway.settings.policy import GrantSettings


class Tls(Section):
    """Our certificate, and whose we take. docs/enforced.md"""

    cert_file: str = ""
    """PEM: our certificate, then those between it and the CA."""
    key_file: str = ""
    """PEM, without a password, readable by the node's account alone."""
    ca_file: str = ""
    """PEM: the certification authorities of the federation. Those of the system are never used."""
    crl_file: str = ""
    """PEM: their revocation lists."""
    revocation: Literal["hard", "soft"] = "hard"
    """hard: without a list in force nobody connects. soft: an old list is used, with an alert."""
    dhe: bool = False
    """Also the DHE suites of TLS 1.2, for a peer that has no ECDHE."""


class NodeSettings(Section):
    """A system that may connect, known by the public key of its certificate. Two blocks of one id while a key changes."""

    cert_file: str
    id: str = Field(pattern=COMMUNITY_ID, max_length=72)
    name: str = ""
    communities: tuple[str, ...] = ()
    """Further homeCommunityIds its assertions and tokens may speak for."""
    organizations: tuple[str, ...] = ()
    """Ids of organisations its assertions may speak for; empty: any."""
    transactions: tuple[str, ...] = ()
    """ITI-18, ITI-8, rest ...: all that it may do; empty: any."""
    proxy: bool = False
    """It ends TLS for others and says whose certificate it saw (X-SSL-Client-Cert)."""


class SamlIssuerSettings(Section):
    """Whose assertions count, and for whom they have to be made out."""

    issuer: str = Field(min_length=1)
    cert_file: str
    audience: str = Field(min_length=1)
    confirmations: tuple[Literal["bearer", "holder-of-key", "sender-vouches"], ...] = ("bearer", "holder-of-key")
    max_lifetime_s: int = Field(default=3600, ge=1, le=4 * 3600)
    """Of a bearer assertion."""


class JwtIssuerSettings(Section):
    """Whose access tokens count."""

    issuer: str = Field(min_length=1)
    audience: str = Field(min_length=1)
    jwks_file: str = ""
    jwks_url: str = ""
    algorithms: tuple[Literal["RS256", "RS384", "ES256", "ES384"], ...] = ("RS256", "RS384", "ES256", "ES384")
    max_lifetime_s: int = Field(default=3600, ge=1, le=3600)
    introspection_url: str = ""
    """ITI-102: asked for each token instead of reading it; answers are kept for at most a minute."""
    client_id: str = ""
    """Who we are to the introspection endpoint."""
    client_secret_file: str = ""

    @model_validator(mode="after")
    def _one_source(self) -> "JwtIssuerSettings":
        if sum(map(bool, (self.jwks_file, self.jwks_url, self.introspection_url))) != 1:
            raise ValueError("one of jwks_file, jwks_url and introspection_url")
        if bool(self.introspection_url) != bool(self.client_id and self.client_secret_file):
            raise ValueError("introspection_url comes with client_id and client_secret_file")
        return self


class ClientSettings(Section):
    """A system that gets its tokens from this node (client_credentials with private_key_jwt)."""

    id: str = Field(min_length=1)
    jwks_file: str
    scopes: tuple[str, ...]
    """SMART v2, system/..."""
    name: str = ""
    role: str = ""
    """code^^scheme that its tokens carry."""
    purpose: str = ""
    """XSPA word that its tokens carry."""
    organization: str = ""
    """Id (URI) of the organisation its tokens carry."""


class SamlSigner(Section):
    """With what our questions to peers are signed (XUA)."""

    issuer: str = ""
    cert_file: str = ""
    key_file: str = ""


class Security(Section):
    mode: Literal["open", "enforced"] = "enforced"
    """open: loopback only, no TLS, no assertion, for trials and tests. enforced: everything else."""
    skew_s: int = Field(default=60, ge=0, le=180)
    """By how much clocks may differ."""
    replay: Literal["node", "strict"] = "node"
    """node: an assertion comes from one node only. strict: it comes once."""
    iua_strict_401: bool = False
    """401 also for scope and policy, as IUA has it; else 403, as RFC 6750 has it."""
    connections_per_node: int = Field(default=32, ge=1, le=10_000)
    connections_per_address: int = Field(default=128, ge=1, le=10_000)
    """Before the handshake says who it is."""
    requests_per_second: float = Field(default=100, gt=0)
    """Of one node."""
    burst: int = Field(default=200, ge=1)
    token_key_file: str = ""
    """PEM, P-256: signs the tokens of `[[security.clients]]`. Empty: a key of this process, gone at its end."""
    saml: SamlSigner = SamlSigner()
    nodes: tuple[NodeSettings, ...] = ()
    saml_issuers: tuple[SamlIssuerSettings, ...] = ()
    jwt_issuers: tuple[JwtIssuerSettings, ...] = ()
    clients: tuple[ClientSettings, ...] = ()
    grants: tuple[GrantSettings, ...] = ()


class Signatures(Section):
    """Whose signatures on documents count (HPKI). Relative paths count from the folder of the configuration file."""

    roots_file: str = ""
    """PEM: root certificates of signers."""
    intermediates_file: str = ""
    """PEM: certificates between those and the signers, for signatures that do not enclose them."""
    crl_files: tuple[str, ...] = ()
    """Revocation lists, PEM or DER; without a current one of each issuer nothing passes."""
    time_stampers_file: str = ""
    """PEM: root certificates of time-stamping authorities."""
    policies: tuple[str, ...] = ()
    """OIDs of which a signer's certificate has to carry one; empty: any."""
