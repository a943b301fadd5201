"""musubi.toml and MUSUBI_SECTION__KEY, checked before anything starts. An unknown key is an error with a suggestion."""

import difflib
import os
import tomllib
from collections.abc import Collection
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gateway.errors import ConfigurationError
from gateway.model.caller import is_loopback
from gateway.model.identity import Authority, AuthorityKind

OID = r"^[0-2](\.(0|[1-9][0-9]*))+$"
COMMUNITY_ID = r"^urn:oid:[0-2](\.(0|[1-9][0-9]*))+$"
_DATABASE_URL = r"^[a-z][a-z0-9+]*://"
_BLOBS_URL = r"^(file:.+|s3://.+)$"
_INSTITUTION = r"^([0-9]{10})?$"
_FACILITY_NUMBER = r"^(0[1-9]|[1-3][0-9]|4[0-7])[0-9]{8}$"
_DAY = r"^([0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]))?$"
_ORIGIN = r"^(https?://[^/?#]+)?$"

_FORMS = {
    OID: "an OID: numbers with points between them, 1.2.392...",
    COMMUNITY_ID: "urn:oid: and an OID",
    _DATABASE_URL: "a database URL: sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME",
    _BLOBS_URL: "where documents are: file:FOLDER, s3://BUCKET or s3://BUCKET/PREFIX",
    _INSTITUTION: "the 10 digits of a 医療機関番号",
    _FACILITY_NUMBER: "the 10 digits of a 医療機関番号, a prefecture (01 to 47) first",
    _DAY: "a day, YYYY-MM-DD",
    _ORIGIN: "scheme, host and port: https://gw.example:8443",
}
"""Patterns in words, for whoever wrote something else."""


_LISTS = frozenset({"authorities", "peers", "senders", "notify", "participants"})
"""Sections that are written [[section]]."""


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Community(Section):
    """This node."""

    id: str = Field(default="urn:oid:1.2.392.200119.99999.1", pattern=COMMUNITY_ID, max_length=72)
    """homeCommunityId (ITI TF-2: 3.38): `urn:oid:` and an OID, 64 characters at most."""
    name: str = "Musubi"
    affinity_domain: str = Field(default="1.2.392.200119.99999.1.1", pattern=OID, max_length=64)
    """OID of the enterprise patient ids (XAD-PID)."""
    repository: str = Field(default="1.2.392.200119.99999.1.2", pattern=OID, max_length=64)
    """repositoryUniqueId."""


class Database(Section):
    url: str = Field(default="sqlite:///musubi.db", pattern=_DATABASE_URL)
    """A relative SQLite path counts from the folder of the configuration file. A password is better kept out of the
    file: MUSUBI_DATABASE__URL, or PGPASSFILE as libpq has it."""


class BlobStore(Section):
    """Documents above 64 KiB. What an S3-compatible store needs beside its url may also come as boto3 finds it."""

    url: str = Field(default="file:blobs", pattern=_BLOBS_URL)
    """`file:FOLDER`, `s3://BUCKET` or `s3://BUCKET/PREFIX`."""
    endpoint: str = ""
    """URL of a store that is not Amazon's."""
    region: str = ""
    access_key_file: str = ""
    """File that holds the access key id, and nothing else."""
    secret_key_file: str = ""


class Http(Section):
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    threads: int = Field(default=8, ge=1, le=256)
    """Requests answered at the same time in one process."""
    max_body_bytes: int = Field(default=16 * 1024 * 1024, ge=1024)
    """Largest request body of FHIR and of /api, in bytes; one larger is refused with 413 before it is parsed. SOAP has
    limits of its own, [soap]."""

    public_url: str = Field(default="", pattern=_ORIGIN)
    """How others reach this node, when it is not by host and port: behind a name, or from all addresses."""

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


class Mllp(Section):
    """A running listener never changes its mind. Limits: docs/mllp.md."""

    host: str = "127.0.0.1"
    port: int = Field(default=2575, ge=1, le=65535)
    max_bytes: int = Field(default=32 * 1024 * 1024, ge=1024, le=32 * 1024 * 1024)
    """Largest message, in bytes. A larger one is refused and the connection closed, so that no sender holds memory."""
    max_connections: int = Field(default=2000, ge=1, le=60_000)
    """Open connections; one more is closed at once."""
    max_per_address: int = Field(default=1500, ge=1, le=60_000)
    """Open connections of one address."""
    max_in_flight: int = Field(default=16, ge=1, le=1000)
    """Messages of one connection that are read before the first of them is answered."""
    max_waiting: int = Field(default=256, ge=1, le=100_000)
    """Messages of all connections that are read and not answered; no more is read until one is."""
    idle_timeout_s: float = Field(default=300, gt=0)
    """Seconds between two messages before the connection is closed; firewalls usually drop it at 300 to 900."""
    block_timeout_s: float = Field(default=120, gt=0)
    """Seconds for one message, first byte to last, so that a sender cannot hold a connection by a byte now and then."""
    workers: int = Field(default=16, ge=1, le=256)
    """Threads that read and store messages. Messages of one patient are worked on one after the other."""
    processing_ids: tuple[Literal["P", "T", "D"], ...] = ("P", "T", "D")
    """MSH-11 that are taken: production, training, debugging. What is taken is stored as real data; a node in production
    takes `["P"]` alone."""
    reused_control_id: Literal["process", "reject"] = "process"
    """A control id that came before with another message: stored with a warning, or refused."""


class GrantSettings(Section):
    """Who may do what with which data, and why. What no grant permits is denied. docs/policy.md"""

    role: str = Field(min_length=1)
    """`code^^scheme`, as assertions and tokens say it."""
    purposes: tuple[str, ...] = Field(min_length=1)
    """Words of XSPA: TREATMENT, EMERGENCY, REQUEST ..."""
    actions: tuple[Literal["query", "retrieve", "read", "submit"], ...] = Field(min_length=1)
    types: tuple[str, ...] = ("*",)
    """SMART v2: `Observation?category=laboratory`, `DocumentReference?type=system|code`, `*`."""
    confidentiality: Literal["U", "L", "M", "N", "R", "V"] = "N"
    """Ceiling: what is labelled higher stays hidden."""
    relation: Literal["any", "required"] = "any"
    """required: only persons whom the caller's own organisation knows."""


class ConsentSettings(Section):
    """What the person says. docs/consent.md"""

    default: Literal["deny", "permit"] = "deny"
    """deny: opt-in, data of a person are shared after consent alone. permit: unless the person says no."""


class BreakGlassSettings(Section):
    """Emergency access. docs/policy.md"""

    minutes: int = Field(default=60, ge=1, le=240)
    fresh_minutes: int = Field(default=15, ge=1, le=60)
    """How long ago the caller may have proved who they are."""
    notice_hours: int = Field(default=24, ge=0, le=720)
    """After so many hours the patient is told."""
    review_days: int = Field(default=7, ge=1, le=90)
    notice_url: str = ""
    """Where notices of emergencies are posted (JSON); empty: the work list and the list of accesses tell them."""


class DestinationSettings(Section):
    """Where audit records are sent: by syslog over TLS (`host`), or as FHIR AuditEvents (`url`)."""

    name: str = Field(min_length=1)
    host: str = ""
    port: int = Field(default=6514, ge=1, le=65535)
    url: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""

    @model_validator(mode="after")
    def _one_way(self) -> "DestinationSettings":
        if bool(self.host) == bool(self.url):
            raise ValueError("a destination has a host (syslog over TLS) or a url (FHIR)")
        return self


class AuditSettings(Section):
    """docs/audit.md"""

    key_file: str = ""
    """Ed25519 private key (PEM) that signs checkpoints; empty: none are made."""
    checkpoint_file: str = ""
    """Checkpoints are appended there as well: a place of its own, best one that is written once."""
    checkpoint_records: int = Field(default=1000, ge=1)
    checkpoint_minutes: int = Field(default=10, ge=1)
    destinations: tuple[DestinationSettings, ...] = ()
    watched: tuple[str, ...] = ()
    """Persons (CX) whose every access raises an alert."""


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


class AuthoritySettings(Section):
    oid: str = Field(pattern=OID, max_length=64)
    namespace: str = ""
    name: str = ""
    kind: AuthorityKind = "facility"
    aliases: tuple[str, ...] = ()
    institution: str = Field(default="", pattern=_INSTITUTION)

    def authority(self) -> Authority:
        return Authority(self.oid, self.namespace, self.name, self.kind, self.aliases, self.institution)


class SenderSettings(Section):
    """Who may assign patient numbers where, over MLLP. Without any of these blocks everybody may; with one, nobody else."""

    application: str = ""
    """MSH-3; empty: any."""
    facility: str = ""
    """MSH-4; empty: any."""
    authorities: tuple[str, ...] = ()
    """OIDs or namespaces of the domains in which it may assign."""


class ParticipantSettings(Section):
    """A facility of the consortium whose patients are given medical IDs (医療等ID). Without any of these blocks every
    facility known here takes part; with one, nobody else."""

    institution: str = Field(pattern=_FACILITY_NUMBER)
    """医療機関番号: 2 digits of the prefecture (01 to 47), score table, 7 digits."""
    name: str = ""
    authorities: tuple[str, ...] = Field(min_length=1)
    """OIDs or namespaces of the domains in which it numbers its patients."""
    since: str = Field(default="", pattern=_DAY)
    until: str = Field(default="", pattern=_DAY)
    """First and last day, YYYY-MM-DD; empty: open."""


class MedicalId(Section):
    """医療等ID: who gives the numbers out. docs/medical-id.md"""

    agency: str = Field(default="", max_length=64)
    """`simulator`, or the name of an entry point of the group `gateway.agencies`; empty: none are given out here."""
    authority: str = ""
    """OID or namespace of its numbers; empty: the one authority of kind `medical-id`."""


class NotifySettings(Section):
    """A system that is told when the ids of a person change: over MLLP (ITI-10), or by SOAP with `url` (ITI-46). A document
    registry is told when a number belongs to another enterprise id (ITI-64)."""

    name: str = Field(min_length=1)
    host: str = ""
    port: int = Field(default=2575, ge=1, le=65535)
    application: str = ""
    """MSH-5 of what it gets."""
    facility: str = ""
    """MSH-6."""
    authorities: tuple[str, ...] = ()
    """OIDs or namespaces of the domains it wants ids of; empty: all."""
    timeout_s: float = Field(default=10, gt=0, le=300)
    url: str = ""
    """Its PIXv3 endpoint, instead of `host`."""
    registry: bool = False
    """It keeps documents under our enterprise ids: ITI-64 instead of ITI-10."""
    device: str = ""
    """OID of its device, the receiver of what it gets over SOAP."""

    @model_validator(mode="after")
    def _one_way(self) -> "NotifySettings":
        if bool(self.host) == bool(self.url):
            raise ValueError("a consumer has a host (MLLP) or a url (SOAP)")
        if self.registry and self.url:
            raise ValueError("a registry is told over MLLP (ITI-64): it has a host")
        return self


class Soap(Section):
    """HL7 v3 over SOAP: /pixv3, /pdqv3, /xcpd. docs/pix-pdq-v3.md"""

    max_body_bytes: int = Field(default=10 * 1024 * 1024, ge=1024)
    """Largest message without documents, in bytes."""
    max_message_bytes: int = Field(default=256 * 1024 * 1024, ge=1024)
    """Largest message that may carry documents (ITI-41), in bytes. It is read in pieces and never held whole."""
    max_document_bytes: int = Field(default=64 * 1024 * 1024, ge=1024)
    """Largest document that is taken in, in bytes; as base64 inside the envelope it takes a third more."""
    keep_snapshots: bool = False
    """Keep what was made on demand and given out as a stable document (IsSnapshotOf). docs/on-demand.md"""
    strict_receiver: bool = False
    """Refuse a v3 message whose receiver is not this community; otherwise any receiver is taken."""


class Notifications(Section):
    """Notifications of new documents (DSUB, DSUBm). docs/dsub.md"""

    addresses: tuple[str, ...] = ()
    """URLs whose origins subscribers may have notifications sent to; in open mode this machine too. No other address
    out of a subscription is ever called."""


class Peer(Section):
    """Another community. What is not given is not asked."""

    id: str = Field(pattern=COMMUNITY_ID, max_length=72)
    name: str = ""
    xcpd: str = ""
    xca: str = ""
    fhir: str = ""
    timeout_s: float = Field(default=10, gt=0, le=300)
    documents_per_request: int = Field(default=0, ge=0)
    """0: all wanted documents in one ITI-39; some gateways take one at a time."""
    audience: str = ""
    """What it wants assertions to be made out for; empty: the URL that is asked."""
    fhir_audience: str = ""
    """What it wants tokens to be made out for; empty: its FHIR base."""
    homes: tuple[str, ...] = ()
    """homeCommunityIds of the communities behind it: an exchange centre (hub) that asks them for us."""


class Federation(Section):
    deadline_s: float = Field(default=10, gt=0, le=300)
    """Total for one federated question: discovery, query, retrieval and merge."""
    max_questions: int = Field(default=32, ge=1, le=1000)
    """Federated questions at the same time; one more is refused at once. They have threads of their own."""
    connections: int = Field(default=8, ge=1, le=100)
    """Exchanges with one community at the same time."""
    breaker_failures: int = Field(default=5, ge=1, le=1000)
    """Failures in a row after which a community is left alone."""
    breaker_pause_s: float = Field(default=3, gt=0, le=3600)
    """For so long at first."""
    breaker_longest_pause_s: float = Field(default=30, gt=0, le=3600)
    """Each failed attempt doubles the pause, up to this."""
    directory: str = ""
    """File with further communities (TOML, [[peers]]); empty: none."""
    mcsd: str = ""
    """Base URL of a FHIR directory of communities (IHE mCSD, ITI-90); empty: none."""


class Ingest(Section):
    workers: int = Field(default=0, ge=0, le=256)
    """Worker processes; 0: one a core."""
    max_file_bytes: int = 32 * 1024 * 1024
    """Largest input file read, in bytes; a larger one is rejected with its size."""
    max_document_bytes: int = 2 * 1024 * 1024 * 1024
    """Largest document of an extended storage (拡張ストレージ), in bytes: it is copied in pieces, never held whole."""


class Mapping(Section):
    """What a site adds to the mapping, and how it writes URIs."""

    overlay: str = ""
    """Folder with tables/*.csv and rows/<source>/*.toml of the site's own; empty: none. docs/overlay.md"""
    dialect: Literal["1.2.0", "1.1.2", "clins"] = "1.2.0"
    """URIs of what `convert` and `export` write; the store keeps those of JP Core 1.2.0."""


class Matching(Section):
    """Which records are one person (名寄せ) beyond equal shared ids. docs/matching.md"""

    mode: Literal["auto", "review", "off"] = "auto"
    """auto: what matching is sure of is linked, the rest goes to people; review: all of it goes to people; off: only
    equal shared ids link."""
    weights: str = ""
    """A site's own matching.toml (`musubi match train` writes one); empty: ours."""


class ExchangeSpec(Section):
    """健康情報等交換規約: which exchange files are taken."""

    lists: str = ""
    """Folder with the registration lists (事前登録リスト); empty: nothing is checked against them."""
    versions: tuple[str, ...] = ("1.0",)
    """Accepted values of format_version."""
    ranges: dict[str, tuple[Decimal, Decimal]] = {}
    """Item -> lowest and highest accepted value, instead of those of the convention's table."""


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


class Settings(Section):
    community: Community = Community()
    database: Database = Database()
    blobs: BlobStore = BlobStore()
    http: Http = Http()
    mllp: Mllp = Mllp()
    tls: Tls = Tls()
    security: Security = Security()
    consent: ConsentSettings = ConsentSettings()
    break_glass: BreakGlassSettings = BreakGlassSettings()
    audit: AuditSettings = AuditSettings()
    authorities: tuple[AuthoritySettings, ...] = ()
    peers: tuple[Peer, ...] = ()
    senders: tuple[SenderSettings, ...] = ()
    notify: tuple[NotifySettings, ...] = ()
    soap: Soap = Soap()
    notifications: Notifications = Notifications()
    federation: Federation = Federation()
    ingest: Ingest = Ingest()
    mapping: Mapping = Mapping()
    exchange_spec: ExchangeSpec = ExchangeSpec()
    matching: Matching = Matching()
    signatures: Signatures = Signatures()
    medical_id: MedicalId = MedicalId()
    participants: tuple[ParticipantSettings, ...] = ()
    directory: Path = Field(default=Path(), exclude=True)
    """Folder of the configuration file: relative paths and rejects.jsonl belong there."""

    @property
    def base_url(self) -> str:
        """Scheme, host and port others reach this node by."""
        if self.http.public_url:
            return self.http.public_url
        scheme = "http" if self.security.mode == "open" else "https"
        return scheme + self.http.url.removeprefix("http")

    def file(self, name: str) -> Path:
        """A file the configuration names; a relative path counts from its folder."""
        return (self.directory / name).resolve()

    @property
    def known_authorities(self) -> tuple[Authority, ...]:
        """The patient-id domains known here, the affinity domain included: its ids are fed and asked for like others."""
        known = tuple(one.authority() for one in self.authorities)
        domain = self.community.affinity_domain
        if any(domain in (one.oid, *one.aliases) for one in known):
            return known
        return (*known, Authority(domain, kind="community"))

    @property
    def database_url(self) -> str:
        prefix = "sqlite:///"
        if self.database.url.startswith(prefix) and not self.database.url.startswith(prefix + "/"):
            return prefix + str((self.directory / self.database.url.removeprefix(prefix)).resolve())
        return self.database.url

    @property
    def database_file(self) -> Path | None:
        """None for a database that is no file."""
        path = self.database_url.removeprefix("sqlite:///").partition("?")[0]
        return Path(path) if self.database_url.startswith("sqlite:///") and path else None

    @property
    def overlay(self) -> Path | None:
        """The overlay's folder; a relative path counts from the folder of the configuration file."""
        return (self.directory / self.mapping.overlay).resolve() if self.mapping.overlay else None

    @property
    def matching_weights(self) -> Path | None:
        """The site's matching.toml; a relative path counts from the folder of the configuration file."""
        return (self.directory / self.matching.weights).resolve() if self.matching.weights else None

    @property
    def exchange_lists(self) -> Path | None:
        """The folder of the registration lists; a relative path counts from the folder of the configuration file."""
        return (self.directory / self.exchange_spec.lists).resolve() if self.exchange_spec.lists else None

    @property
    def blob_directory(self) -> Path | None:
        """None when they are in an object store."""
        if not self.blobs.url.startswith("file:"):
            return None
        return (self.directory / self.blobs.url.removeprefix("file:")).resolve()

    def secret(self, file: str, key: str) -> str:
        """The first line of a file that holds a secret; a relative path counts from the folder of the configuration
        file. Empty when no file is configured. Raises ConfigurationError that names `key`."""
        if not file:
            return ""
        try:
            return (self.directory / file).read_text("utf-8").partition("\n")[0].strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{key}: {getattr(error, 'strerror', 'not text')}") from None


def load(path: Path | None, environment: dict[str, str] | None = None) -> Settings:
    """Reads musubi.toml (or defaults in open mode when `path` is None), then MUSUBI_SECTION__KEY over it.

    Raises ConfigurationError with one line that says which key and what to do.
    """
    environment = dict(os.environ) if environment is None else environment
    if path is None:
        raw: dict[str, Any] = {"security": {"mode": "open"}}
        directory = Path.cwd()
    else:
        try:
            raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # LENIENT: Windows Notepad writes the mark
        except FileNotFoundError:
            raise ConfigurationError(f"{path}: no such file (musubi init DIR writes one)") from None
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationError(f"{path}: {error}") from None
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror}") from None
        directory = path.resolve().parent
    _overlay(raw, environment)
    if "directory" in raw:  # the one field that is no key of the file
        raise ConfigurationError("unknown key 'directory' (paths count from the folder of the configuration file)")
    try:
        settings = Settings.model_validate({**raw, "directory": directory})
    except ValidationError as error:
        raise ConfigurationError(_explain(error, path, environment)) from None
    _check_authorities(settings)
    return settings


def check_may_serve(settings: Settings, roles: Collection[str] = ("http",)) -> None:
    """Open mode is for loopback; enforced mode needs what it enforces with. Raises ConfigurationError that says what is
    missing. Whether the files hold what they should is found when they are read (services/trust.py)."""
    if settings.security.mode == "enforced":
        if missing := _missing(settings):
            raise ConfigurationError(
                f'security.mode = "enforced" lacks {", ".join(missing)} (docs/enforced.md; `musubi pki demo DIR` makes '
                'keys for a trial); security.mode = "open" is for a trial on a loopback address'
            )
        return
    for role, host in (("http", settings.http.host), ("mllp", settings.mllp.host)):
        if role in roles and not is_loopback(host):
            raise ConfigurationError(f'security.mode = "open" is for loopback only, but {role}.host is {host!r}')


def _missing(settings: Settings) -> list[str]:
    tls, security = settings.tls, settings.security
    missing = [f"tls.{name}" for name in ("cert_file", "key_file", "ca_file") if not getattr(tls, name)]
    if not tls.crl_file and tls.revocation == "hard":
        missing.append("tls.crl_file")
    if not security.nodes:
        missing.append("[[security.nodes]]")
    signer = security.saml
    if any((signer.issuer, signer.cert_file, signer.key_file)):
        parts = ("issuer", "cert_file", "key_file")
        missing += [f"security.saml.{name}" for name in parts if not getattr(signer, name)]
    return missing


def _overlay(raw: dict[str, Any], environment: dict[str, str]) -> None:
    for name, value in environment.items():
        section, _, key = name.removeprefix("MUSUBI_").lower().partition("__")
        if name.startswith("MUSUBI_") and key and section:
            table = raw.setdefault(section, [] if section in _LISTS else {})
            if not isinstance(table, dict):
                raise ConfigurationError(f"{name}: {section!r} is no table of keys; set it in the configuration file")
            table[key] = value


def _explain(error: ValidationError, path: Path | None, environment: dict[str, str]) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    variable = "MUSUBI_" + "__".join(str(part) for part in first["loc"]).upper()
    given = {name.upper(): name for name in environment}.get(variable)
    where = f"{given}: " if given else f"{path}: " if path else ""
    if first["type"] == "extra_forbidden":
        known = _known_keys(first["loc"])
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(sorted(known))}"
        return f"{where}unknown key {place!r} ({hint})"
    if first["type"] == "string_pattern_mismatch":
        return f"{where}{place} has to be {_FORMS[first['ctx']['pattern']]}"
    if first["type"] in ("model_type", "model_attributes_type"):
        return f"{where}{place} has to be a table, [{place}]"
    return f"{where}{place}: {first['msg']}"


def _known_keys(loc: tuple[int | str, ...]) -> list[str]:
    model: Any = Settings
    for part in loc[:-1]:
        if isinstance(part, str) and part in model.model_fields:
            annotation = model.model_fields[part].annotation
            arguments = getattr(annotation, "__args__", ())
            model = arguments[0] if arguments else annotation
    return [key for key in model.model_fields if key != "directory"]


def _check_authorities(settings: Settings) -> None:
    seen: dict[str, str] = {}
    for authority in settings.authorities:
        if authority.oid in seen.values():
            raise ConfigurationError(f"authorities: {authority.oid} has two blocks; put them together")
        for name in filter(None, (authority.oid, authority.namespace, *authority.aliases)):
            if seen.setdefault(name, authority.oid) != authority.oid:
                raise ConfigurationError(f"authorities: {name!r} names two authorities ({seen[name]}, {authority.oid})")
