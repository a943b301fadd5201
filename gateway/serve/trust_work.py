"""Work of the trust beside the listeners: sending the trail on, checkpoints, alerts, notices of emergencies.

Built from the configuration; each is a `run_once` for a Worker (serve/worker.py).
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from gateway.errors import ConfigurationError, Unavailable
from gateway.model.audit import StoredRecord
from gateway.model.caller import UNRESTRICTED
from gateway.model.clock import Clock
from gateway.model.identity import PatientId
from gateway.ports import AuditLog, AuditTrail, Identities, Keeping, Outbox
from gateway.serve.audit_tls import TlsConnection, poster
from gateway.services.audit.alerts import Alerts
from gateway.services.audit.checkpoint import Checkpointer
from gateway.services.audit.delivery import Delivery, Destination, Sender
from gateway.services.audit.feed import FeedSender
from gateway.services.audit.syslog import SyslogSender
from gateway.services.break_glass import Notices
from gateway.settings import DestinationSettings, Settings

TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class TrustParts:
    """What the work needs of storage."""

    trail: AuditTrail
    audit: AuditLog
    keeping: Keeping
    outbox: Outbox
    identities: Identities
    clock: Clock


def works(settings: Settings, parts: TrustParts) -> list[Callable[[], bool]]:
    """Raises ConfigurationError for keys that cannot be read."""
    home, wanted = settings.community.id, settings.audit
    found: list[Callable[[], bool]] = []
    if wanted.destinations:
        to = [Destination(one.name, _sender(one, settings)) for one in wanted.destinations]
        found.append(Delivery(parts.trail, parts.keeping, parts.clock, to).run_once)
    if wanted.key_file:
        publish = _appender(settings.directory / wanted.checkpoint_file) if wanted.checkpoint_file else _nowhere
        found.append(
            Checkpointer(
                parts.trail, parts.audit, private_key(settings), home, parts.clock, wanted.checkpoint_records,
                wanted.checkpoint_minutes, publish,
            ).run_once
        )  # fmt: skip
    if settings.security.mode == "enforced":
        found.append(Alerts(parts.trail, parts.audit, parts.keeping, _watched(settings, parts.identities)).run_once)
        notices = Notices(parts.outbox, parts.audit, parts.clock, _notify(settings.break_glass.notice_url))
        found.append(notices.run_once)
    return found


def private_key(settings: Settings) -> Ed25519PrivateKey:
    """Of `[audit] key_file`. Raises ConfigurationError."""
    path = settings.directory / settings.audit.key_file
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(f"[audit] key_file: {type(error).__name__}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError("[audit] key_file: not an Ed25519 private key")
    return key


def public_key(path: Path) -> Ed25519PublicKey:
    """Raises ConfigurationError."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(f"{path.name}: {type(error).__name__}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigurationError(f"{path.name}: not an Ed25519 public key")
    return key


def _sender(one: DestinationSettings, settings: Settings) -> Sender:
    def path(name: str) -> Path | None:
        return settings.directory / name if name else None

    ca, cert, key = path(one.ca_file), path(one.cert_file), path(one.key_file)
    home = settings.community.id
    if one.url:
        return FeedSender(poster(one.url, ca, cert, key), home)
    return SyslogSender(lambda: TlsConnection(one.host, one.port, ca, cert, key), home, os.uname().nodename)


def _appender(path: Path) -> Callable[[str], None]:
    def append(note: str) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(note)
            file.flush()
            os.fsync(file.fileno())

    return append


def _nowhere(note: str) -> None:
    """Checkpoints are in the database, and in the trail every destination gets."""


def _watched(settings: Settings, identities: Identities) -> Callable[[StoredRecord], bool]:
    wanted = [PatientId.parse(cx) for cx in settings.audit.watched]

    def watched(stored: StoredRecord) -> bool:
        if not wanted:
            return False
        eids = {identities.enterprise_id(id_, UNRESTRICTED) for id_ in wanted} - {None}
        record = stored.record
        names = {str(id_) for eid in eids if eid for id_ in identities.identifiers(eid, UNRESTRICTED)}
        names |= {f"Patient/{one}" for eid in eids if eid for one in identities.patients(eid, UNRESTRICTED)}
        return record.patient in names or bool(eids & set(record.patients))

    return watched


def _notify(url: str) -> Callable[[str, dict[str, str]], None]:
    """Posts notices to the site's own service (portal, mail gateway); without one, the work list and the list of
    accesses are how they are told, and the record of the trail says so."""
    session = requests.Session()
    session.trust_env = False

    def send(kind: str, notice: dict[str, str]) -> None:
        if not url:
            return
        try:
            answer = session.post(url, json={"kind": kind, **notice}, timeout=TIMEOUT_S, allow_redirects=False)
        except requests.RequestException:
            raise Unavailable("nobody takes notices") from None
        if not answer.ok:
            raise Unavailable("the notice was refused")

    return send
