"""What a connection of the HTTP server may cost, and TLS on it (docs/adr/0020).

waitress reads and writes without blocking in one thread and hands a request to a worker when all of it is there. Here
its channel learns deadlines (a byte now and then holds nobody up), a bound for each address and each node, and TLS, as
bytes in and bytes out of an SSLObject: a handshake that never ends costs a socket and a few kilobytes, no thread.
"""

import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from waitress.channel import HTTPChannel  # type: ignore[import-untyped]
from waitress.server import TcpWSGIServer  # type: ignore[import-untyped]
from waitress.task import ErrorTask, WSGITask  # type: ignore[import-untyped]

from gateway.serve.request_head import Parser

HANDSHAKE_S: Final = 10.0
HEADER_S: Final = 10.0
BODY_S: Final = 120.0
SLOW_AFTER_S: Final = 10.0
LEAST_BYTES_A_SECOND: Final = 1024
PEER_CERTIFICATE: Final = "musubi.peer_certificate"
"""Key of the WSGI environment: DER of the certificate of the other end; absent without TLS."""
_CHUNK: Final = 64 * 1024
_MOST_REFUSALS: Final = 1000
"""Refused handshakes that wait to be recorded; more at once are an attack, and the log line counts them."""


class Refusal(NamedTuple):
    """A handshake that failed."""

    address: str
    reason: str
    """OpenSSL's word for it, such as CERTIFICATE_VERIFY_FAILED."""


@dataclass(slots=True)
class Guard:
    """What the channels of one server share."""

    context: Callable[[], ssl.SSLContext] | None = None
    """None: no TLS."""
    name_of: Callable[[bytes], str] = bytes.hex
    """DER of a certificate -> what its connections are counted under."""
    refused: Callable[[Refusal], None] = lambda refusal: None
    """Called in a worker thread."""
    per_address: int = 128
    per_node: int = 32
    addresses: Counter[str] = field(default_factory=Counter)
    nodes: Counter[str] = field(default_factory=Counter)
    waiting: int = 0


class _Task(WSGITask):  # type: ignore[misc]
    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        certificate = getattr(self.channel, "certificate", None)
        if certificate is not None:
            environ[PEER_CERTIFICATE] = certificate
        return environ


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection with deadlines."""

    task_class = _Task
    error_task_class = ErrorTask
    parser_class = Parser
    certificate: bytes | None = None
    _begun_s: float = 0.0
    """When the request on its way began; 0 when there is none."""
    _body_begun_s: float = 0.0
    _body_bytes: int = 0
    _counted: str = ""
    _node: str = ""

    def __init__(self, server: Any, sock: Any, addr: Any, adj: Any, map: Any = None) -> None:
        self._counted = str(addr[0]) if addr else ""
        super().__init__(server, sock, addr, adj, map=map)

    def add_channel(self, map: Any = None) -> None:
        super().add_channel(map)
        self.server.guard.addresses[self._counted] += 1

    def del_channel(self, map: Any = None) -> None:
        if self._fileno is not None:
            super().del_channel(map)
            _release(self.server.guard.addresses, self._counted)
            if self._node:
                _release(self.server.guard.nodes, self._node)
                self._node = ""

    def received(self, data: bytes) -> bool:
        now = time.monotonic()
        self._begun_s = self._begun_s or now
        taken = bool(super().received(data))
        request = self.request
        if request is None:
            self._begun_s = self._body_begun_s = 0.0
            self._body_bytes = 0
        elif request.headers_finished:
            self._body_begun_s = self._body_begun_s or now
            self._body_bytes += len(data)
        return taken

    def overdue(self, now: float) -> bool:
        """Whether the sender had its time. `now` is monotonic."""
        if self._begun_s and not self._body_begun_s:
            return now - self._begun_s > HEADER_S
        taken_s = now - self._body_begun_s if self._body_begun_s else 0.0
        slow = taken_s > SLOW_AFTER_S and self._body_bytes < LEAST_BYTES_A_SECOND * taken_s
        return taken_s > BODY_S or slow


def _release(counter: Counter[str], name: str) -> None:
    counter[name] -= 1
    if counter[name] <= 0:
        del counter[name]


class TlsChannel(Channel):
    """A connection that is encrypted. Reading is done by the one reading thread, writing also by workers: the lock
    keeps the SSLObject theirs one at a time."""

    def __init__(self, server: Any, sock: Any, addr: Any, adj: Any, map: Any = None) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = server.guard.context().wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._tls_lock = threading.RLock()
        self._shaken = False
        self._cipher = b""
        """Encrypted and not sent yet."""
        self._promised = 0
        """Plain bytes in `_cipher`: reported as sent when the last of it is in the socket."""
        self._opened_s = time.monotonic()
        super().__init__(server, sock, addr, adj, map=map)

    def handle_read(self) -> None:
        try:
            raw = self.recv(self.adj.recv_bytes)
        except OSError:
            self.handle_close()
            return
        if not raw:
            self.connected = False
            return
        self.last_activity = time.time()
        plain = self._decrypt(raw)
        if plain:
            self.received(plain)

    def writable(self) -> bool:
        return bool(self._cipher) or bool(super().writable())

    def handle_write(self) -> None:
        with self._tls_lock:
            if self._cipher and not self._promised:
                self._drain(True)
        if self._shaken or self.will_close:
            super().handle_write()

    def overdue(self, now: float) -> bool:
        if not self._shaken:
            return now - self._opened_s > HANDSHAKE_S
        return super().overdue(now)

    def send(self, data: Any, do_close: bool = True) -> int:
        """As waitress expects: how many of the bytes are sent. It offers the same bytes again until they are."""
        with self._tls_lock:
            if not self._promised:
                if not self._shaken:
                    return 0
                self._promised = self._tls.write(bytes(data[:_CHUNK]))
                self._cipher += self._outgoing.read()
            if not self._drain(do_close):
                return 0
            sent, self._promised = self._promised, 0
            return sent

    def _drain(self, do_close: bool) -> bool:
        """Whether all that was encrypted is in the socket."""
        while self._cipher:
            sent = super().send(self._cipher[:_CHUNK], do_close)
            if not sent:
                return False
            self._cipher = self._cipher[sent:]
        return True

    def _decrypt(self, raw: bytes) -> bytes:
        pieces: list[bytes] = []
        with self._tls_lock:
            self._incoming.write(raw)
            try:
                if not self._shaken:
                    self._tls.do_handshake()
                    self._admit()
                while piece := self._tls.read(_CHUNK):
                    pieces.append(piece)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLZeroReturnError:
                self.close_when_flushed = True
            except ssl.SSLError as error:
                self.will_close = True
                if not self._shaken:
                    self.server.handshake_refused(Refusal(self._counted, error.reason or type(error).__name__))
            self._cipher += self._outgoing.read()
            if not self._promised:
                self._drain(False)
        return b"".join(pieces)

    def _admit(self) -> None:
        """After the handshake: who it is, and whether it has a connection left."""
        self._shaken = True
        self.certificate = self._tls.getpeercert(binary_form=True)
        guard: Guard = self.server.guard
        self._node = guard.name_of(self.certificate or b"")
        guard.nodes[self._node] += 1
        if guard.nodes[self._node] > guard.per_node:
            self.will_close = True


class _Record:
    """A refused handshake on its way to the audit trail, as a task of the workers."""

    def __init__(self, guard: Guard, refusal: Refusal) -> None:
        self._guard, self._refusal = guard, refusal

    def service(self) -> None:
        try:
            self._guard.refused(self._refusal)
        finally:
            self._guard.waiting -= 1

    def cancel(self) -> None:
        self._guard.waiting -= 1


class GuardedServer(TcpWSGIServer):  # type: ignore[misc]
    """waitress's server with our channels."""

    def __init__(self, application: Any, guard: Guard, **arguments: Any) -> None:
        self.guard = guard
        self.channel_class = TlsChannel if guard.context else Channel
        super().__init__(application, **arguments)

    def handle_accept(self) -> None:
        super().handle_accept()
        for channel in self._too_many():
            channel.handle_close()

    def _too_many(self) -> list[Channel]:
        """The newest connection, when its address has more than it may."""
        newest = next(reversed(self.active_channels.values()), None)
        if newest is None or self.guard.addresses[newest._counted] <= self.guard.per_address:
            return []
        return [newest]

    def handshake_refused(self, refusal: Refusal) -> None:
        if self.guard.waiting < _MOST_REFUSALS:
            self.guard.waiting += 1
            self.add_task(_Record(self.guard, refusal))

    def maintenance(self, now: float) -> None:
        super().maintenance(now)
        monotonic = time.monotonic()
        for channel in list(self.active_channels.values()):
            if channel.overdue(monotonic):
                channel.will_close = True
