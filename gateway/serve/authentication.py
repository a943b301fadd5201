"""The one seam between a request and the Caller it comes from.

Open mode: the loopback caller. Enforced mode: the node by the certificate of its connection, for every request; then
the person by the assertion in the SOAP envelope, or the person or system by the bearer token on the FHIR side. Nothing
behind this module asks how a caller was found.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol
from urllib.parse import unquote_to_bytes, urlsplit

from cryptography import x509

from gateway.codec import certificates, saml
from gateway.codec.soap import Envelope
from gateway.errors import BadInput, UnknownNode
from gateway.ihe._soap import Asker
from gateway.model.caller import Caller
from gateway.serve.channels import PEER_CERTIFICATE
from gateway.services.trust.anchors import Anchors
from gateway.services.trust.limits import Rate
from gateway.services.trust.nodes import Node, node_of
from gateway.services.trust.people import People
from gateway.services.trust.tokens import Tokens

Environ = Mapping[str, Any]
_PROXY_CERTIFICATE: Final = "HTTP_X_SSL_CLIENT_CERT"
"""As nginx writes $ssl_client_escaped_cert: PEM, URL-encoded."""
_CONNECTION: Final = "musubi.connection"
_MOST_HELD: Final = 1000


class Authentication(Protocol):
    def enter(self, environ: Environ) -> None:
        """Before anything of the request is read. Raises UnknownNode (no such node), TooManyRequests."""

    def node(self, environ: Environ) -> Caller:
        """The node alone: for what needs no person."""

    def caller(self, environ: Environ) -> Caller:
        """Node and token. Raises Unauthenticated, Unavailable."""

    def asker(self, environ: Environ) -> Asker | None:
        """How the person of a SOAP message is found; None: nobody is asked for."""

    def may(self, environ: Environ, transaction: str) -> bool:
        """Whether the node may do the transaction at all."""


class Open:
    """Open mode: whoever is on this machine."""

    def enter(self, environ: Environ) -> None: ...

    def node(self, environ: Environ) -> Caller:
        return Caller(address=str(environ.get("REMOTE_ADDR") or ""))

    def caller(self, environ: Environ) -> Caller:
        return self.node(environ)

    def asker(self, environ: Environ) -> Asker | None:
        return None

    def may(self, environ: Environ, transaction: str) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Connected:
    """Who is at the other end of a connection."""

    node: Node
    certificate: x509.Certificate
    address: str

    def caller(self) -> Caller:
        return Caller(node=self.node.id, address=self.address)


@dataclass(frozen=True, slots=True)
class _Asker:
    """Of one SOAP message."""

    people: People
    connected: Connected
    connection: saml.Connection

    def person(self, envelope: Envelope) -> Caller:
        return self.people.identify(envelope, self.connected.node, self.connection, self.connected.address)

    def may(self, transaction: str) -> bool:
        return self.connected.node.may(transaction)


@dataclass(slots=True)
class Gate:
    """Certificates to nodes, looked up again for each request: a revoked one ends with the request in hand."""

    anchors: Callable[[], Anchors]
    now: Callable[[], datetime]
    _read: dict[bytes, x509.Certificate] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admit(self, der: bytes | None, address: str) -> Connected:
        """Raises UnknownNode."""
        if not der:
            raise UnknownNode("a certificate is required")
        certificate = self._certificate(der)
        anchors = self.anchors()
        node = node_of(certificate, anchors.nodes, anchors.revoked, self.now(), strict=anchors.strict)
        return Connected(node, certificate, address)

    def forwarded(self, proxy: Connected, escaped: str) -> Connected:
        """The node behind a listed proxy. The proxy checked its chain; that it is one of ours is checked here again.
        Raises UnknownNode."""
        try:
            certificate = certificates.read(unquote_to_bytes(escaped))[0]
        except BadInput:
            raise UnknownNode("the proxy forwarded no certificate") from None
        anchors = self.anchors()
        if not certificates.issued_by(certificate, anchors.authorities):
            raise UnknownNode("the forwarded certificate is of another authority")
        node = node_of(certificate, anchors.nodes, anchors.revoked, self.now(), strict=anchors.strict)
        if node.proxy:
            raise UnknownNode("a proxy behind a proxy")
        return Connected(node, certificate, proxy.address)

    def name_of(self, der: bytes) -> str:
        """What the connections of a certificate are counted under: one name for each key, registered or not."""
        try:
            return certificates.key_hash(self._certificate(der))
        except (UnknownNode, ValueError):
            return ""

    def _certificate(self, der: bytes) -> x509.Certificate:
        found = self._read.get(der)
        if found is None:
            try:
                found = certificates.read_der(der)
            except BadInput:
                raise UnknownNode("a certificate that cannot be read") from None
            with self._lock:
                if len(self._read) >= _MOST_HELD:
                    self._read.clear()
                self._read[der] = found
        return found


@dataclass(frozen=True, slots=True)
class Enforced:
    """Enforced mode."""

    gate: Gate
    people: People
    tokens: Tokens
    rate: Rate
    base: str
    """URL of this node, as the configuration has it. The Host header of a request says nothing: a caller chooses it."""

    def enter(self, environ: Environ) -> None:
        connected = self._connected(environ)
        self.rate.take(connected.node.id)

    def node(self, environ: Environ) -> Caller:
        return self._connected(environ).caller()

    def caller(self, environ: Environ) -> Caller:
        connected = self._connected(environ)
        authorization = str(environ.get("HTTP_AUTHORIZATION", ""))
        return self.tokens.caller(authorization, connected.node, connected.certificate, connected.address)

    def asker(self, environ: Environ) -> Asker | None:
        connected = self._connected(environ)
        recipients = self._recipients(str(environ.get("PATH_INFO", "")))
        return _Asker(self.people, connected, saml.Connection(recipients, connected.certificate))

    def may(self, environ: Environ, transaction: str) -> bool:
        return self._connected(environ).node.may(transaction)

    def _connected(self, environ: Environ) -> Connected:
        held = environ.get(_CONNECTION)
        if isinstance(held, Connected):
            return held
        connected = self.gate.admit(environ.get(PEER_CERTIFICATE), str(environ.get("REMOTE_ADDR") or ""))
        if connected.node.proxy:
            connected = self.gate.forwarded(connected, str(environ.get(_PROXY_CERTIFICATE, "")))
        if isinstance(environ, dict):
            environ[_CONNECTION] = connected
        return connected

    def _recipients(self, path: str) -> frozenset[str]:
        """URLs that mean this endpoint: by the configured name, and by the names of our own certificate."""
        port = urlsplit(self.base).port
        at = f":{port}" if port else ""
        names = certificates.hosts(self.gate.anchors().certificate)
        return frozenset({f"{self.base}{path}", *(f"https://{name}{at}{path}" for name in names)})
