"""Everything the node trusts or signs with, read from the files of the configuration as one snapshot.

The files are looked at again while the node runs: a new certificate, key or revocation list counts within seconds and
without a restart. A snapshot that cannot be read leaves the old one in force and says so, so that a half-copied file
never opens or closes the node.
"""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.codec import certificates, jwt, saml, saml_write
from gateway.codec.certificates import Revoked
from gateway.errors import BadInput, ConfigurationError
from gateway.model.caller import is_loopback
from gateway.services.trust.nodes import Node
from gateway.settings import Settings

LOOK_AGAIN_S: Final = 5.0
"""Between two looks at the files. Revocation needs 15 minutes; a look is a dozen stat calls."""
_MAX_SECRET_BYTES: Final = 4096
_T = TypeVar("_T")
_LOG = logging.getLogger("gateway.trust")


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """A row of `[[security.jwt_issuers]]`, or this node's own token endpoint."""

    name: str
    audience: str
    algorithms: tuple[str, ...]
    lifetime: timedelta
    keys: jwt.KeySet | None = None
    """None: fetched, or the issuer is asked about each token."""
    jwks_url: str = ""
    introspection_url: str = ""
    client_id: str = ""
    secret: str = ""


@dataclass(frozen=True, slots=True)
class Client:
    """A row of `[[security.clients]]`."""

    id: str
    keys: jwt.KeySet
    scopes: tuple[str, ...]
    name: str = ""
    role: str = ""
    purpose: str = ""
    organization: str = ""


@dataclass(frozen=True, slots=True)
class Anchors:
    """One snapshot."""

    nodes: Mapping[str, Node]
    """Hash of the public key -> node."""
    authorities: tuple[x509.Certificate, ...]
    revoked: Revoked
    strict: bool
    """Without a revocation list in force nobody connects."""
    certificate: x509.Certificate
    """Ours."""
    saml: Mapping[str, saml.Issuer]
    tokens: Mapping[str, TokenIssuer]
    clients: Mapping[str, Client]
    signer: saml_write.Signer | None
    signer_name: str
    skew: timedelta
    generation: int = 0


def load(settings: Settings, own: TokenIssuer | None = None, generation: int = 0) -> Anchors:
    """Raises ConfigurationError that names the file and what is wrong with it."""
    tls = settings.tls
    authorities = _certificates(settings, tls.ca_file)
    lists = _each(settings, tls.crl_file, certificates.read_lists) if tls.crl_file else ()
    try:
        revoked = certificates.revoked(lists, authorities)
    except BadInput as error:
        raise ConfigurationError(f"{tls.crl_file}: {error}") from None
    ours = _certificates(settings, tls.cert_file)[0]
    key = private_key(settings.file(tls.key_file))
    if key.public_key() != ours.public_key():
        raise ConfigurationError(f"{tls.key_file} is not the key of {tls.cert_file}")
    nodes = _nodes(settings)
    issuers = _saml(settings, nodes)
    signer = _signer(settings)
    found = Anchors(
        nodes=nodes,
        authorities=authorities,
        revoked=revoked,
        strict=tls.revocation == "hard",
        certificate=ours,
        saml=issuers,
        tokens=_tokens(settings, own),
        clients=_clients(settings),
        signer=signer,
        signer_name=settings.security.saml.issuer,
        skew=timedelta(seconds=settings.security.skew_s),
        generation=generation,
    )
    _refuse_demo(settings, [ours, *authorities, *(one for issuer in issuers.values() for one in issuer.certificates)])
    return found


def files(settings: Settings) -> tuple[Path, ...]:
    """Every file that `load` reads."""
    tls, security = settings.tls, settings.security
    names = [tls.cert_file, tls.key_file, tls.ca_file, tls.crl_file, security.saml.cert_file, security.saml.key_file]
    names += [one.cert_file for one in security.nodes]
    names += [one.cert_file for one in security.saml_issuers]
    names += [name for one in security.jwt_issuers for name in (one.jwks_file, one.client_secret_file)]
    names += [one.jwks_file for one in security.clients]
    names.append(security.token_key_file)
    return tuple(settings.file(name) for name in dict.fromkeys(names) if name)


def secret_files(settings: Settings) -> tuple[Path, ...]:
    """Those whose content nobody but the node may read."""
    security = settings.security
    names = [settings.tls.key_file, security.saml.key_file, security.token_key_file]
    names += [one.client_secret_file for one in security.jwt_issuers]
    return tuple(settings.file(name) for name in dict.fromkeys(names) if name)


class Keeper:
    """The snapshot in force. Calling it looks at the files when the last look is some seconds old."""

    def __init__(self, settings: Settings, monotonic: Callable[[], float], own: TokenIssuer | None = None) -> None:
        """Raises ConfigurationError."""
        self._settings, self._monotonic, self._own = settings, monotonic, own
        self._lock = threading.Lock()
        self._looked_s = monotonic()
        self._marks = _marks(settings)
        self._anchors = load(settings, own)

    def __call__(self) -> Anchors:
        now = self._monotonic()
        if now - self._looked_s >= LOOK_AGAIN_S and self._lock.acquire(blocking=False):
            try:
                self._looked_s = now
                self._look()
            finally:
                self._lock.release()
        return self._anchors

    def _look(self) -> None:
        marks = _marks(self._settings)
        if marks == self._marks:
            return
        try:
            self._anchors = load(self._settings, self._own, self._anchors.generation + 1)
        except ConfigurationError as error:
            _LOG.error("certificates, keys and lists stay as they were: %s", error)
            return
        # Not before: files that are copied one after the other do not fit together until the last one.
        self._marks = marks
        _LOG.info("certificates, keys and lists were read again")


def _marks(settings: Settings) -> tuple[tuple[int, int, int] | None, ...]:
    def mark(path: Path) -> tuple[int, int, int] | None:
        try:
            found = os.stat(path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    return tuple(map(mark, files(settings)))


# -- parts --------------------------------------------------------------------------------------------------------


def _each(settings: Settings, name: str, read: Callable[[bytes], _T]) -> _T:
    try:
        return read(settings.file(name).read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{name}: {error.strerror}") from None
    except BadInput as error:
        raise ConfigurationError(f"{name}: {error}") from None


def _certificates(settings: Settings, name: str) -> tuple[x509.Certificate, ...]:
    return _each(settings, name, certificates.read)


def private_key(path: Path) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    """Raises ConfigurationError. The text says nothing of the key."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise ConfigurationError(f"{path.name}: {error.strerror}") from None
    except (ValueError, TypeError):
        raise ConfigurationError(f"{path.name}: no PEM private key without a password") from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ConfigurationError(f"{path.name}: neither an RSA key nor one on a NIST curve")
    return key


def _nodes(settings: Settings) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for row in settings.security.nodes:
        key = certificates.key_hash(_certificates(settings, row.cert_file)[0])
        if key in found:
            raise ConfigurationError(f"{row.cert_file}: its key is that of another [[security.nodes]]")
        communities = {one.removeprefix("urn:oid:") for one in (row.id, *row.communities)}
        found[key] = Node(
            row.id,
            row.name,
            frozenset(communities),
            frozenset(row.organizations),
            frozenset(row.transactions),
            row.proxy,
        )
    return found


def _saml(settings: Settings, nodes: Mapping[str, Node]) -> dict[str, saml.Issuer]:
    found: dict[str, saml.Issuer] = {}
    for row in settings.security.saml_issuers:
        keys = _certificates(settings, row.cert_file)
        if row.issuer in found:
            raise ConfigurationError(f"security.saml_issuers: {row.issuer} stands twice (put both keys into one file)")
        if any(certificates.key_hash(key) in nodes for key in keys):
            raise ConfigurationError(f"{row.cert_file}: the key of a node, which may not vouch for people")
        if not all(certificates.strong(key) for key in keys):
            raise ConfigurationError(f"{row.cert_file}: needs RSA of 2048 bits or P-256, and SHA-256")
        lifetime = timedelta(seconds=row.max_lifetime_s)
        found[row.issuer] = saml.Issuer(row.issuer, keys, row.audience, frozenset(row.confirmations), lifetime)
    return found


def _tokens(settings: Settings, own: TokenIssuer | None) -> dict[str, TokenIssuer]:
    found = {own.name: own} if own else {}
    for row in settings.security.jwt_issuers:
        if row.issuer in found:
            raise ConfigurationError(f"security.jwt_issuers: {row.issuer} stands twice")
        found[row.issuer] = TokenIssuer(
            name=row.issuer,
            audience=row.audience,
            algorithms=row.algorithms,
            lifetime=timedelta(seconds=row.max_lifetime_s),
            keys=_each(settings, row.jwks_file, jwt.read_set) if row.jwks_file else None,
            jwks_url=row.jwks_url,
            introspection_url=row.introspection_url,
            client_id=row.client_id,
            secret=_each(settings, row.client_secret_file, _secret) if row.client_secret_file else "",
        )
    return found


def _secret(data: bytes) -> str:
    text = data.decode("utf-8", "replace").strip()
    if not 32 <= len(text) <= _MAX_SECRET_BYTES:
        raise BadInput("a secret has 32 characters or more")
    return text


def _clients(settings: Settings) -> dict[str, Client]:
    found: dict[str, Client] = {}
    for row in settings.security.clients:
        keys = _each(settings, row.jwks_file, jwt.read_set)
        if row.id in found:
            raise ConfigurationError(f"security.clients: {row.id} stands twice")
        found[row.id] = Client(row.id, keys, row.scopes, row.name, row.role, row.purpose, row.organization)
    return found


def _signer(settings: Settings) -> saml_write.Signer | None:
    row = settings.security.saml
    if not row.key_file:
        return None
    certificate, key = _certificates(settings, row.cert_file)[0], private_key(settings.file(row.key_file))
    if key.public_key() != certificate.public_key():
        raise ConfigurationError(f"{row.key_file} is not the key of {row.cert_file}")
    return saml_write.Signer(key, certificate)


def _refuse_demo(settings: Settings, found: list[x509.Certificate]) -> None:
    open_to_others = [host for host in (settings.http.host, settings.mllp.host) if not is_loopback(host)]
    if open_to_others and any(map(certificates.is_demo, found)):
        raise ConfigurationError(
            f"demo keys on {open_to_others[0]}: what `musubi pki demo` makes is for loopback addresses only"
        )
