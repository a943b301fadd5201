"""The parts of enforced mode, put together once a process: what gateway.app hands to the listeners and to whoever asks peers."""

import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace

import requests

from gateway.codec.mllp import Block
from gateway.errors import BadInput, ConfigurationError
from gateway.ihe._v2 import Replies
from gateway.model.audit import AuditRecord
from gateway.model.caller import Caller
from gateway.model.clock import Chance, Clock
from gateway.ports import AuditLog, Memory
from gateway.serve import outgoing
from gateway.serve.authentication import Connected, Enforced, Gate
from gateway.serve.channels import Guard, Refusal
from gateway.serve.tls import Contexts
from gateway.serve.token_api import TokenApi
from gateway.services.trust.anchors import Keeper, private_key
from gateway.services.trust.limits import Rate
from gateway.services.trust.people import People
from gateway.services.trust.replay import Seen
from gateway.services.trust.speaking import Speaker
from gateway.services.trust.token_server import TokenServer, read_key
from gateway.services.trust.tokens import Tokens
from gateway.settings import Settings

_LOG = logging.getLogger("gateway.trust")


@dataclass(frozen=True, slots=True)
class Enforcement:
    """What enforced mode consists of."""

    settings: Settings
    gate: Gate
    contexts: Contexts
    authentication: Enforced
    token_api: TokenApi | None
    speaker: Speaker
    audit: AuditLog

    def guard(self) -> Guard:
        """Of the HTTP listener."""
        security = self.settings.security
        return Guard(
            context=self.contexts.server,
            name_of=self.gate.name_of,
            refused=self.refused,
            per_address=security.connections_per_address,
            per_node=security.connections_per_node,
        )

    def mllp(self, handle: Callable[[Block, Connected], Replies]) -> "SecuredMllp":
        """What the MLLP listener needs; `handle` works on a message of a node."""
        return SecuredMllp(self, handle)

    def refused(self, refusal: Refusal) -> None:
        """A handshake that failed leaves a record: security alert, node authentication (ITI TF-2: 3.19.6)."""
        _LOG.warning("a handshake was refused: %s", refusal.reason)
        self.audit.record(
            AuditRecord("110113", "110126", "E", 4, "", refusal.address, detail=f"handshake {refusal.reason}")
        )

    def session(self) -> requests.Session:
        """For questions to peers."""
        homes = {url: peer.id for peer in self.settings.peers for url in (peer.xca, peer.xcpd, peer.fhir) if url}
        return outgoing.session(self.contexts, homes, self.settings.federation.connections)

    def speaking(self, caller: Caller) -> tuple[Callable[[str], str], Callable[[str], str]]:
        """What is said of a caller to peers (ihe/_client.py, Speaking)."""
        bases = {peer.fhir.rstrip("/"): peer.fhir_audience for peer in self.settings.peers if peer.fhir}

        def authorization(url: str) -> str:
            base = next((one for one in bases if url == one or url.startswith((f"{one}/", f"{one}?"))), "")
            return self.speaker.authorization(caller, bases[base] or base) if base else ""

        return self.security_of(caller), authorization

    def security_of(self, caller: Caller) -> Callable[[str], str]:
        """URL of a peer -> the header block that says who asks. Raises Forbidden when nobody does."""
        audiences = {url: peer.audience for peer in self.settings.peers for url in (peer.xca, peer.xcpd)}
        return lambda url: self.speaker.header(caller, url, audiences.get(url, ""))


def contexts_of(settings: Settings, clock: Clock) -> Contexts:
    """What the node's files make; nothing else of enforced mode. Raises ConfigurationError."""
    for peer in settings.peers:
        if any(url.startswith("http:") for url in (peer.xca, peer.xcpd, peer.fhir)):
            raise ConfigurationError(f"peers: {peer.name or peer.id} has an http address; enforced mode asks by https")
    contexts = Contexts(settings, Keeper(settings, clock.monotonic))
    _try(contexts)
    return contexts


def enforcement(
    settings: Settings, audit: AuditLog, clock: Clock, chance: Chance, memory: Memory | None = None
) -> Enforcement:
    """`memory`: where seen assertions outlive the process. Raises ConfigurationError that names the file and what is wrong with it."""
    security, base = settings.security, settings.base_url
    server = _token_server(settings, clock, chance, memory) if security.clients else None
    keeper = Keeper(settings, clock.monotonic, server.issuer() if server else None)
    contexts = Contexts(settings, keeper)
    _try(contexts)
    gate = Gate(keeper, clock.now)
    asking = outgoing.session(contexts, {})
    return Enforcement(
        settings=settings,
        gate=gate,
        contexts=contexts,
        authentication=Enforced(
            gate=gate,
            people=People(keeper, clock.now, security.replay == "strict", Seen("assertion", memory)),
            tokens=Tokens(keeper, clock.now, clock.monotonic, outgoing.fetch(asking), outgoing.ask(asking)),
            rate=Rate(security.requests_per_second, security.burst, clock.monotonic),
            base=base,
        ),
        token_api=TokenApi(server, keeper, audit) if server else None,
        speaker=Speaker(keeper, settings.community.id, clock, chance),
        audit=audit,
    )


def _token_server(settings: Settings, clock: Clock, chance: Chance, memory: Memory | None) -> TokenServer:
    name = settings.security.token_key_file
    try:
        key = read_key(private_key(settings.file(name))) if name else None
    except BadInput as error:
        raise ConfigurationError(f"{name}: {error}") from None
    made = TokenServer.make(settings.base_url, key, clock, chance)
    return replace(made, seen=Seen("client-assertion", memory, most=100_000))


def _try(contexts: Contexts) -> None:
    try:
        contexts.server()
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(
            f"tls: the files do not fit together ({error.strerror or type(error).__name__})"
        ) from None


@dataclass(frozen=True, slots=True)
class SecuredMllp:
    """TLS of the MLLP listener (serve/mllp.py, Secured). A message comes from a node; no person is asked for."""

    parts: Enforcement
    handle: Callable[[Block, Connected], Replies]

    def context(self) -> ssl.SSLContext:
        return self.parts.contexts.server()

    def admit(self, certificate: bytes | None, address: str) -> tuple[str, Callable[[Block, str], Replies]]:
        gate, rate = self.parts.gate, self.parts.authentication.rate

        def handle(block: Block, address: str) -> Replies:
            connected = gate.admit(certificate, address)  # again: it may be revoked since
            rate.take(connected.node.id)
            return self.handle(block, connected)

        return gate.admit(certificate, address).node.id, handle

    def refused(self, address: str, reason: str) -> None:
        self.parts.refused(Refusal(address, reason))
