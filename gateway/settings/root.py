"""All sections together, and the paths and secrets they stand for."""

from pathlib import Path

from pydantic import Field

from gateway.errors import ConfigurationError
from gateway.model.identity import Authority
from gateway.settings.content import ExchangeSpec, Ingest, Mapping
from gateway.settings.federation import Federation, Peer
from gateway.settings.forms import Section
from gateway.settings.identity import (
    AuthoritySettings,
    Matching,
    MedicalId,
    NotifySettings,
    ParticipantSettings,
    SenderSettings,
)
from gateway.settings.node import BlobStore, Community, Database, Http, Mllp, Notifications, Soap
from gateway.settings.policy import AuditSettings, BreakGlassSettings, ConsentSettings
from gateway.settings.trust import Security, Signatures, Tls


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
