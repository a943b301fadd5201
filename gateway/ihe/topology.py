"""What is known of each community: how it answered lately, its software and what it can be asked, how long its
certificate lasts."""

import socket
import ssl
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from cryptography import x509

from gateway.errors import GatewayError
from gateway.ihe import _fhir_client
from gateway.ihe._client import Peer
from gateway.ihe._held import Held
from gateway.ihe.communities import Asked, Communities
from gateway.model.clock import Clock
from gateway.services.federation.fanout import Task, ask_all

_LASTS_S: Final = 600.0
_PATIENCE_S: Final = 2.0
_BY_TYPE: Final = {"Patient": "ITI-78", "DocumentReference": "ITI-67", "List": "ITI-66"}
"""Transactions that a CapabilityStatement tells of by the types it searches."""


class Described(NamedTuple):
    software: str = ""
    transactions: tuple[str, ...] = ()
    certificate_days: int | None = None


class Topology:
    """`/api/topology`. What peers say of themselves is asked for now and then, and never waited for long."""

    def __init__(self, communities: Communities, clock: Clock) -> None:
        self._communities, self._clock = communities, clock
        self._described: Held[Described] = Held(clock.monotonic, 1000, _LASTS_S)

    def shown(self) -> list[dict[str, Any]]:
        """Our own community first, then the peers as they are configured."""
        unknown = [one for one in self._communities.peers if self._described.get(one.peer.home) is None]
        tasks = [Task(one.channel, partial(self._describe, one.peer)) for one in unknown]
        for reply in ask_all(tasks, self._clock.monotonic() + _PATIENCE_S, self._clock):
            if reply.value is not None:
                self._described.put(unknown[reply.place].peer.home, reply.value)
        own = self._communities.own
        return [
            {"id": own.home, "name": own.name, "state": "self", "p95Ms": own.p95_ms, "lastSuccess": own.last_success},
            *(self._peer(one) for one in self._communities.peers),
        ]

    def _peer(self, one: Asked) -> dict[str, Any]:
        channel, peer = one.channel, one.peer
        said = self._described.get(peer.home) or Described()
        configured = {"ITI-55": peer.xcpd, "ITI-38": peer.xca, "ITI-39": peer.xca}
        breaker = channel.breaker.state
        return {
            "id": peer.home,
            "name": peer.name,
            "state": "down" if breaker != "closed" else "up" if channel.last_success else "unknown",
            "lastSuccess": channel.last_success or None,
            "p95Ms": channel.p95_ms,
            "breaker": breaker,
            "waiting": channel.waiting,
            "counts": dict(channel.counts),
            "certificateDays": said.certificate_days,
            "software": said.software or None,
            "transactions": sorted({*said.transactions, *(name for name, url in configured.items() if url)}),
            "behind": list(peer.behind),
        }

    def _describe(self, peer: Peer, left_s: float) -> Described:
        days = certificate_days(peer, self._clock.now(), left_s / 2)
        if not peer.fhir:
            return Described(certificate_days=days)
        try:
            said = _fhir_client.capability(peer.fhir, self._communities.call, left_s)
        except GatewayError:
            raise
        except (AttributeError, TypeError):
            return Described(certificate_days=days)
        found = tuple(name for type_, name in _BY_TYPE.items() if said.has(type_))
        return Described(said.software, found, days)


def certificate_days(peer: Peer, now: datetime, left_s: float) -> int | None:
    """Whole days until the certificate of its first https address ends; None without one, or when it does not say.

    Read only, never believed: who it is from is checked by the connections that carry data.
    """
    address = next((url for url in (peer.xca, peer.fhir, peer.xcpd) if url.startswith("https://")), "")
    if not address:
        return None
    found = urlsplit(address)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((found.hostname or "", found.port or 443), timeout=left_s) as plain,
            context.wrap_socket(plain, server_hostname=found.hostname) as secure,
        ):
            der = secure.getpeercert(binary_form=True)
    except OSError:
        return None
    if not der:
        return None
    ends = x509.load_der_x509_certificate(der).not_valid_after_utc
    return (ends - now.astimezone(UTC)).days
