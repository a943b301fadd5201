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
_INSTITUTION = r"^([0-9]{10})?$"

_FORMS = {
    OID: "an OID: numbers with points between them, 1.2.392...",
    COMMUNITY_ID: "urn:oid: and an OID",
    _DATABASE_URL: "a database URL: sqlite:///FILE",
    _INSTITUTION: "the 10 digits of a 医療機関番号",
}
"""Patterns in words, for whoever wrote something else."""


_LISTS = frozenset({"authorities", "peers", "senders", "notify"})
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
    """A relative SQLite path counts from the folder of the configuration file."""


class BlobStore(Section):
    url: str = "file:blobs"


class Http(Section):
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    threads: int = Field(default=8, ge=1, le=256)
    """Requests answered at the same time in one process."""
    max_body_bytes: int = 16 * 1024 * 1024
    """Largest request body read, in bytes; one larger is refused with 413 before it is parsed."""

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


class Security(Section):
    mode: Literal["open", "enforced"] = "enforced"
    """open: loopback only, no TLS, no assertion, for trials and tests. enforced: everything else."""


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


class NotifySettings(Section):
    """A system that is told when the ids of a person change: over MLLP (ITI-10), or by SOAP with `url` (ITI-46)."""

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
    device: str = ""
    """OID of its device, the receiver of what it gets over SOAP."""

    @model_validator(mode="after")
    def _one_way(self) -> "NotifySettings":
        if bool(self.host) == bool(self.url):
            raise ValueError("a consumer has a host (MLLP) or a url (SOAP)")
        return self


class Soap(Section):
    """HL7 v3 over SOAP: /pixv3, /pdqv3, /xcpd. docs/pix-pdq-v3.md"""

    strict_receiver: bool = False
    """Refuse a v3 message whose receiver is not this community; otherwise any receiver is taken."""


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


class ExchangeSpec(Section):
    """健康情報等交換規約: which exchange files are taken."""

    lists: str = ""
    """Folder with the registration lists (事前登録リスト); empty: nothing is checked against them."""
    versions: tuple[str, ...] = ("1.0",)
    """Accepted values of format_version."""
    ranges: dict[str, tuple[Decimal, Decimal]] = {}
    """Item -> lowest and highest accepted value, instead of those of the convention's table."""


class Settings(Section):
    community: Community = Community()
    database: Database = Database()
    blobs: BlobStore = BlobStore()
    http: Http = Http()
    mllp: Mllp = Mllp()
    security: Security = Security()
    authorities: tuple[AuthoritySettings, ...] = ()
    peers: tuple[Peer, ...] = ()
    senders: tuple[SenderSettings, ...] = ()
    notify: tuple[NotifySettings, ...] = ()
    soap: Soap = Soap()
    federation: Federation = Federation()
    ingest: Ingest = Ingest()
    mapping: Mapping = Mapping()
    exchange_spec: ExchangeSpec = ExchangeSpec()
    matching: Matching = Matching()
    directory: Path = Field(default=Path(), exclude=True)
    """Folder of the configuration file: relative paths and rejects.jsonl belong there."""

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
    def exchange_lists(self) -> Path | None:
        """The folder of the registration lists; a relative path counts from the folder of the configuration file."""
        return (self.directory / self.exchange_spec.lists).resolve() if self.exchange_spec.lists else None

    @property
    def blob_directory(self) -> Path:
        if not self.blobs.url.startswith("file:"):
            raise ConfigurationError("[blobs] url: this version stores blobs in files only (file:FOLDER)")
        return (self.directory / self.blobs.url.removeprefix("file:")).resolve()


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
    """Open mode is for loopback; enforced mode is not built yet and says so, rather than run without a guard."""
    if settings.security.mode == "enforced":
        raise ConfigurationError(
            'security.mode = "enforced" needs certificates and policy, which come with the trust work; '
            'set security.mode = "open" to try the node on a loopback address'
        )
    for role, host in (("http", settings.http.host), ("mllp", settings.mllp.host)):
        if role in roles and not is_loopback(host):
            raise ConfigurationError(f'security.mode = "open" is for loopback only, but {role}.host is {host!r}')


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
