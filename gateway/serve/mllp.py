"""The MLLP listener: one thread and one event loop for all connections, a few threads for the work.

A connection costs a coroutine and no thread. What it reads goes through codec/mllp.py; each block is worked on in
the lane of its patient and answered in the order in which it came. What is on its way is bounded (per connection, in
all, and in large blocks): when a bound is reached nothing is read from the socket, so that TCP makes the sender wait.
Nothing that was read whole is ever dropped: a stop finishes it and sends its answer.

Here, and only here: limits of connections, times, the log line and the one `except Exception`. Logs hold kinds of
messages, sizes and times; no value of a message.
"""

import asyncio
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Final, Protocol

import structlog

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

from gateway.codec.head import order_keys
from gateway.codec.mllp import Block, Decoder, frame
from gateway.errors import Forbidden, Unavailable
from gateway.ihe._v2 import Replies
from gateway.serve.lanes import Lanes
from gateway.serve.metrics import MllpMetrics
from gateway.settings import Mllp

_READ: Final = 64 * 1024
LARGE: Final = 1024 * 1024
"""Bytes of one block from which on it needs one of a few slots: they bound the memory of all connections."""
_LARGE_SLOTS: Final = 8
_PAUSE_S: Final = 0.3
"""So long a block that ends in 0x1C alone waits for its carriage return."""
_LINGER_S: Final = 2.0
"""So long a sender whose block was refused as too large is read on, so that our answer reaches it before the reset."""
_STOP_WITHIN_S: Final = 10.0
_HANDSHAKE_S: Final = 10.0
_OTHER_FILES: Final = 512
"""Database, blobs, HTTP connections and log beside the connections."""

_log = structlog.get_logger("musubi.mllp")

Handle = Callable[[Block, str], Replies]
"""(block, sender's address) -> what it is answered. Blocking; runs in a lane."""
Failed = Callable[[Block, Exception], Replies]


class Secured(Protocol):
    """TLS on the connections, and who is at their other end."""

    def context(self) -> ssl.SSLContext:
        """Of the next connection."""

    def admit(self, certificate: bytes | None, address: str) -> tuple[str, Handle]:
        """What the node's connections are counted under, and what works on its messages. Raises Forbidden."""

    def refused(self, address: str, reason: str) -> None:
        """A handshake that failed, or a node that is not known. Blocking."""


@dataclass(slots=True)
class _Connection:
    """One sender."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    address: str
    task: "asyncio.Task[None]"
    decoder: Decoder
    in_flight: asyncio.Semaphore
    handle: Handle
    replies: "asyncio.Queue[tuple[Block, asyncio.Future[Replies], float] | None]" = field(default_factory=asyncio.Queue)
    node: str = ""
    large: bool = False
    """It holds one of the slots for large blocks."""
    begun_s: float = 0.0
    """When the block on its way began; 0 when there is none."""
    pending: int = 0
    closing: bool = False


class MllpServer:
    """Listens from construction on; `run` answers until `stop`, which any thread or signal handler may call."""

    def __init__(
        self,
        settings: Mllp,
        handle: Handle,
        failed: Failed,
        metrics: MllpMetrics,
        secured: Secured | None = None,
        per_node: int = 32,
    ) -> None:
        """`secured` brings TLS, and the handler of each node in the place of `handle`; one node has at most `per_node`
        connections then. Raises Unavailable (the port is taken)."""
        self._secured, self._per_node = secured, per_node
        self._nodes: Counter[str] = Counter()
        _allow_connections(settings.max_connections)
        self._settings, self._handle, self._failed, self._metrics = settings, handle, failed, metrics
        host = "127.0.0.1" if settings.host == "localhost" else settings.host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._socket = socket.create_server((host, settings.port), family=family, backlog=512)
        except OSError:
            raise Unavailable(f"mllp: cannot listen on {host} port {settings.port} (is it in use?)") from None
        self.port: int = self._socket.getsockname()[1]
        self._addresses: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_asked: asyncio.Event | None = None

    @property
    def listening(self) -> bool:
        return self._socket.fileno() >= 0 and not self._stopping.is_set()

    def run(self) -> None:
        """Returns after `stop`: what was read whole is worked on and answered first."""
        try:
            asyncio.run(self._main())
        finally:
            self._stopping.set()
            self._socket.close()

    def stop(self) -> None:
        self._stopping.set()
        loop, asked = self._loop, self._stop_asked
        if loop is not None and asked is not None:
            with suppress(RuntimeError):  # the loop has ended by itself
                loop.call_soon_threadsafe(asked.set)

    async def _main(self) -> None:
        self._lanes = Lanes(self._settings.workers, "mllp")
        self._room = asyncio.Semaphore(self._settings.max_waiting)
        self._large = asyncio.Semaphore(_LARGE_SLOTS)
        self._stop_asked = asyncio.Event()
        server = await asyncio.start_server(self._accept, sock=self._socket, limit=2 * _READ)
        self._loop = asyncio.get_running_loop()
        try:
            if self._stopping.is_set():  # asked to before it began
                self._stop_asked.set()
            await self._stop_asked.wait()
        finally:
            server.close()
            await self._drain()
            await asyncio.to_thread(self._lanes.close)

    async def _drain(self) -> None:
        """Ends all connections; those with work on its way when it is done, and answered."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_STOP_WITHIN_S)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from its first byte to its last."""
        peer = writer.get_extra_info("peername")
        address = str(peer[0]) if peer else ""
        settings = self._settings
        if len(self._tasks) >= settings.max_connections or self._addresses[address] >= settings.max_per_address:
            self._metrics.refused()
            _log.warning("refused", reason="too many connections")
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._count(address, task, 1)
        decoder = Decoder(settings.max_bytes)
        in_flight = asyncio.Semaphore(settings.max_in_flight)
        connection = _Connection(reader, writer, address, task, decoder, in_flight, self._handle)
        _keep_alive(writer)
        if self._secured is not None and not await self._secure(connection, self._secured):
            writer.transport.abort()
            self._count(address, task, -1)
            return
        answering = asyncio.create_task(self._answer(connection))
        try:
            await self._read(connection)
        except asyncio.CancelledError:
            pass  # told to stop: no more is read, what was read is answered below
        except OSError:
            pass
        except Exception as error:  # noqa: BLE001 - one connection must not end the others
            _log.error("failed", error=type(error).__name__)
        connection.replies.put_nowait(None)
        while not answering.done():
            with suppress(asyncio.CancelledError):  # told to stop once more: the answers still go out
                await asyncio.wait([answering])
        await self._close(connection)
        self._leave(connection)
        self._count(address, task, -1)

    async def _secure(self, connection: _Connection, secured: Secured) -> bool:
        """The handshake, and who it is. False: the connection ends, and why is on record."""
        address = connection.address
        try:
            await connection.writer.start_tls(secured.context(), ssl_handshake_timeout=_HANDSHAKE_S)
            found = connection.writer.get_extra_info("ssl_object")
            certificate = found.getpeercert(binary_form=True) if found is not None else None
            connection.node, connection.handle = secured.admit(certificate, address)
        except ssl.SSLError as error:
            reason = error.reason or type(error).__name__
        except Forbidden as error:
            reason = str(error)
        except (OSError, asyncio.CancelledError):
            reason = ""  # the sender went away, or we do: nobody was refused
        else:
            self._nodes[connection.node] += 1
            if self._nodes[connection.node] <= self._per_node:
                return True
            reason = "too many connections of one node"
            self._leave(connection)
        self._metrics.refused()
        if reason:
            _log.warning("refused", reason=reason)
            await asyncio.to_thread(secured.refused, address, reason)
        return False

    def _leave(self, connection: _Connection) -> None:
        if connection.node:
            self._nodes[connection.node] -= 1
            if not self._nodes[connection.node]:
                del self._nodes[connection.node]

    def _count(self, address: str, task: "asyncio.Task[None]", change: int) -> None:
        self._addresses[address] += change
        if change > 0:
            self._tasks.add(task)
        else:
            self._tasks.discard(task)
            if not self._addresses[address]:
                del self._addresses[address]
        self._metrics.connections(len(self._tasks))

    async def _read(self, connection: _Connection) -> None:
        """Reads until the sender ends, is silent for too long, or cannot be understood."""
        decoder = connection.decoder
        while not connection.closing:
            try:
                async with asyncio.timeout(self._patience(connection)):
                    data = await connection.reader.read(_READ)
            except TimeoutError:
                if decoder.may_be_whole:
                    await self._take(connection, decoder.pause())
                elif connection.pending and not decoder.inside:
                    continue  # it waits for us, not we for it
                else:
                    self._metrics.ended("slow" if decoder.inside else "idle")
                    return
                continue
            before = decoder.skipped
            blocks = decoder.feed(data) if data else decoder.pause()
            if decoder.skipped > before:
                self._metrics.skipped(decoder.skipped - before)
            await self._take(connection, blocks)
            if not data:
                if decoder.inside:
                    self._metrics.ended("cut")  # half a block: its sender has no answer and sends it again
                return
            await self._bound(connection)

    def _patience(self, connection: _Connection) -> float:
        """Seconds until the next byte has to be here."""
        decoder, settings = connection.decoder, self._settings
        if decoder.may_be_whole:
            return _PAUSE_S
        if decoder.inside:
            connection.begun_s = connection.begun_s or monotonic()
            return max(0.0, connection.begun_s + settings.block_timeout_s - monotonic())
        return settings.idle_timeout_s

    async def _bound(self, connection: _Connection) -> None:
        """A block that grows large waits for a slot before more of it is read; its time stands still meanwhile."""
        if connection.decoder.buffered > LARGE and not connection.large:
            asked_s = monotonic()
            await self._large.acquire()
            connection.large = True
            if connection.begun_s:
                connection.begun_s += monotonic() - asked_s

    async def _take(self, connection: _Connection, blocks: list[Block]) -> None:
        """Hands blocks to the lanes; waits when as many are on their way as may be."""
        for block in blocks:
            connection.begun_s = 0.0
            await connection.in_flight.acquire()
            await self._room.acquire()
            self._metrics.received(len(block.data))
            connection.pending += 1
            connection.closing = connection.closing or block.problem == "too-large"
            work = self._lanes.submit(
                order_keys(block.data), partial(self._work, connection.handle, block, connection.address)
            )
            connection.replies.put_nowait((block, asyncio.wrap_future(work), monotonic()))
        if connection.large and connection.decoder.buffered <= LARGE:
            connection.large = False
            self._large.release()

    def _work(self, handle: Handle, block: Block, address: str) -> Replies:
        """In a lane. The one catch-all: a sender is answered whatever happens, and keeps what we could not take."""
        try:
            return handle(block, address)
        except Exception as error:  # noqa: BLE001 - see above; the text of a foreign exception may hold data
            _log.error("failed", error=type(error).__name__)
            return self._failed(block, error)

    async def _answer(self, connection: _Connection) -> None:
        """Sends answers in the order of the messages, each as soon as it and all before it are there."""
        gone = False
        while (item := await connection.replies.get()) is not None:
            block, work, started_s = item
            replies = await work
            self._room.release()
            seconds = monotonic() - started_s
            if not gone:
                gone = not await self._send(connection, replies)
            connection.pending -= 1
            connection.in_flight.release()
            self._metrics.answered(replies.kind, replies.answer, seconds, replies.problems)
            log = _log.warning if replies.problems else _log.info
            log(
                "message",
                kind=replies.kind,
                answer=replies.answer,
                problems=replies.problems,
                bytes=len(block.data),
                ms=round(seconds * 1000, 1),
            )
            if (replies.close or gone) and not connection.closing:
                connection.closing = True
                connection.task.cancel()

    async def _send(self, connection: _Connection, replies: Replies) -> bool:
        """False when the sender is gone, or reads nothing: it sends the message again and gets the same answer."""
        try:
            for message in replies.messages:
                connection.writer.write(frame(message))
            async with asyncio.timeout(self._settings.block_timeout_s):
                await connection.writer.drain()
        except (OSError, TimeoutError):
            self._metrics.ended("unread")
            return False
        return True

    async def _close(self, connection: _Connection) -> None:
        if connection.large:
            connection.large = False
            self._large.release()
        writer = connection.writer
        with suppress(OSError, TimeoutError, asyncio.CancelledError):
            if connection.decoder.broken:
                # Closing with unread bytes sends a reset, which may overtake the answer.
                if writer.can_write_eof():  # TLS cannot
                    writer.write_eof()
                async with asyncio.timeout(_LINGER_S):
                    while await connection.reader.read(_READ):
                        pass
            writer.close()
            async with asyncio.timeout(_LINGER_S):
                await writer.wait_closed()
        writer.transport.abort()


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """So that the system finds out about senders that are gone without a word."""
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def _allow_connections(count: int) -> None:
    """Lets the process open as many sockets as it may have connections; 1,024 files is a common limit."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + _OTHER_FILES if hard == resource.RLIM_INFINITY else min(hard, count + _OTHER_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
