"""TLS as nodes speak it (ITI-19, BCP 195): TLS 1.3, 1.2 as the floor, both sides with a certificate, no system trust.

Contexts are made of the snapshot in force (services/trust/anchors.py) and made anew when it changes, so a changed key
or revocation list counts for the next connection. Nothing here switches a check off: there is no such setting.
"""

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding

from gateway.codec import certificates
from gateway.errors import BadInput, Forbidden
from gateway.services.trust.anchors import Anchors
from gateway.settings import Settings

SUITES: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:@SECLEVEL=2"
"""Of TLS 1.2; those of 1.3 are all good. Level 2: no RSA below 2048 bits and no SHA-1 in a chain, whatever the system says."""
_OPTIONS: Final = ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET | ssl.OP_SINGLE_ECDH_USE


@dataclass(slots=True)
class Contexts:
    """The contexts of the snapshot in force, for whoever listens and whoever asks."""

    settings: Settings
    anchors: Callable[[], Anchors]
    _made: tuple[int, ssl.SSLContext, ssl.SSLContext] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def server(self) -> ssl.SSLContext:
        return self._current()[1]

    def client(self) -> ssl.SSLContext:
        return self._current()[2]

    @property
    def generation(self) -> int:
        return self._current()[0]

    def check_server(self, der: bytes | None, home: str = "") -> None:
        """What OpenSSL does not look at in the certificate of a peer we ask: that it is meant for a server, has no
        wildcard, and that a registered key is that of the peer. Raises Forbidden."""
        anchors = self.anchors()
        try:
            certificate = certificates.read_der(der or b"")
        except BadInput:
            raise Forbidden("the peer has no certificate") from None
        if not certificates.may_be(certificate, certificates.SERVER) or not certificates.strong(certificate):
            raise Forbidden("the peer's certificate is not one of a server")
        if certificates.has_wildcard(certificate) or anchors.revoked.holds(certificate):
            raise Forbidden("the peer's certificate is not taken")
        node = anchors.nodes.get(certificates.key_hash(certificate))
        if home and node is not None and not node.speaks_for(home):
            raise Forbidden("the peer's key is that of another node")

    def _current(self) -> tuple[int, ssl.SSLContext, ssl.SSLContext]:
        anchors = self.anchors()
        with self._lock:
            if self._made is None or self._made[0] != anchors.generation:
                server = self._context(ssl.PROTOCOL_TLS_SERVER, anchors)
                self._made = anchors.generation, server, self._context(ssl.PROTOCOL_TLS_CLIENT, anchors)
            return self._made

    def _context(self, protocol: int, anchors: Anchors) -> ssl.SSLContext:
        settings = self.settings
        context = ssl.SSLContext(protocol)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= _OPTIONS
        context.set_ciphers(("DHE+AESGCM:" if settings.tls.dhe else "") + SUITES)
        context.load_cert_chain(settings.file(settings.tls.cert_file), settings.file(settings.tls.key_file))
        context.load_verify_locations(
            cadata="".join(one.public_bytes(Encoding.PEM).decode() for one in anchors.authorities)
        )
        if anchors.strict:
            context.load_verify_locations(settings.file(settings.tls.crl_file))
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        context.verify_mode = ssl.CERT_REQUIRED
        if protocol == ssl.PROTOCOL_TLS_SERVER:
            context.num_tickets = 0  # a resumed session would skip the revocation list
        else:
            context.check_hostname = True
            context.hostname_checks_common_name = False
        return context
