"""One listening HTTP server (waitress) around the Flask application; several listeners as one; a clean stop."""

import logging
import select
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Protocol

from flask import Flask
from waitress.adjustments import Adjustments  # type: ignore[import-untyped]
from waitress.task import ThreadedTaskDispatcher  # type: ignore[import-untyped]

from gateway.errors import ConfigurationError, Unavailable
from gateway.serve.channels import Guard, GuardedServer
from gateway.serve.logs import log_to_stderr
from gateway.settings import Settings, check_may_serve

_STOP_WITHIN_S = 5.0
_HEADER_BYTES = 32 * 1024
_IDLE_S = 120
_CONNECTIONS = 512
_WAKE_S = 1.0
_LOOK_S = 1
"""Between two looks at the deadlines of connections."""


class _NoRequestData(logging.Filter):
    """waitress logs the path and the traceback of an answer that broke off; both may hold data of a patient."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info:
            kind = record.exc_info[0]
            record.msg, record.args, record.exc_info = "an answer broke off: %s", (kind and kind.__name__,), None
        return True


_NO_REQUEST_DATA = _NoRequestData()


class HttpServer:
    """Listens from construction on; `run` answers until `stop`, which any thread or signal handler may call."""

    def __init__(self, settings: Settings, app: Flask, guard: Guard | None = None) -> None:
        """`guard` brings TLS and its limits; without it there is none. Raises ConfigurationError (not a loopback address
        in open mode, no TLS in enforced mode) and Unavailable (the port is taken)."""
        check_may_serve(settings)
        guard = guard or Guard(per_address=_CONNECTIONS)
        if settings.security.mode == "enforced" and guard.context is None:
            raise ConfigurationError("enforced mode listens with TLS only")
        # One address: with two (localhost is 127.0.0.1 and ::1) waitress gives another kind of server.
        host = "127.0.0.1" if settings.http.host == "localhost" else settings.http.host
        logging.getLogger("waitress").addFilter(_NO_REQUEST_DATA)
        self._stopping = threading.Event()
        self._map: dict[int, object] = {}
        try:
            adjustments = Adjustments(
                host=host,
                port=settings.http.port,
                # A federated question waits for others; it never takes the thread of a local one.
                threads=settings.http.threads + settings.federation.max_questions,
                ident=None,
                # The largest of all faces, and the byte that waitress counts as too many; the application knows each one's own.
                max_request_body_size=max(
                    settings.http.max_body_bytes, settings.soap.max_body_bytes, settings.soap.max_message_bytes
                )
                + 2,
                max_request_header_size=_HEADER_BYTES,
                channel_timeout=_IDLE_S,
                cleanup_interval=_LOOK_S,
                connection_limit=_CONNECTIONS,
                clear_untrusted_proxy_headers=True,
                url_scheme="https" if guard.context else "http",
            )
            dispatcher = ThreadedTaskDispatcher()
            dispatcher.set_thread_count(settings.http.threads + settings.federation.max_questions)
            self._server = GuardedServer(app, guard, map=self._map, dispatcher=dispatcher, adj=adjustments)
        except OSError:
            raise Unavailable(f"http: cannot listen on {host} port {settings.http.port} (is it in use?)") from None

    @property
    def listening(self) -> bool:
        return bool(self._server.accepting) and not self._stopping.is_set()

    def run(self) -> None:
        """Returns after `stop`: no new connections, requests being worked on get a few seconds to finish."""
        try:
            while not self._stopping.is_set():
                # poll, not select: connections to other communities may take the numbers above 1023.
                self._server.asyncore.loop(timeout=_WAKE_S, use_poll=hasattr(select, "poll"), map=self._map, count=1)
        finally:
            self._stopping.set()
            self._server.task_dispatcher.shutdown(cancel_pending=True, timeout=_STOP_WITHIN_S)
            self._server.asyncore.close_all(self._map)

    def stop(self) -> None:
        if not self._stopping.is_set():  # once only: after `run` the trigger's descriptor may be somebody else's
            self._stopping.set()
            self._server.pull_trigger()


class Listener(Protocol):
    """What `run_until_signal` runs."""

    def run(self) -> None: ...

    def stop(self) -> None: ...


class Together:
    """Several listeners as one: the first runs in the calling thread. When one ends, for whatever reason, all do."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners
        self._error: BaseException | None = None

    def run(self) -> None:
        """Returns when all have ended. Raises what ended one of them."""
        threads = [threading.Thread(target=self._guard, args=(one,)) for one in self._listeners[1:]]
        for thread in threads:
            thread.start()
        self._guard(self._listeners[0])
        for thread in threads:
            thread.join()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        for one in self._listeners:
            one.stop()

    def _guard(self, listener: Listener) -> None:
        try:
            listener.run()
        except BaseException as error:  # noqa: BLE001 - raised again in the calling thread
            self._error = self._error or error
        finally:
            self.stop()


def serve(settings: Settings, app: Flask) -> None:
    """Runs in the main thread until SIGTERM or SIGINT."""
    run_until_signal(HttpServer(settings, app))


def run_until_signal(server: Listener, announce: Callable[[], None] = lambda: None) -> None:
    """Answers in the main thread until SIGTERM or SIGINT. The process's own log goes to stderr from here on.

    `announce` is called when a signal already ends the process cleanly: whoever reads it may send one at once.
    """
    log_to_stderr()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        server.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        announce()
        server.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
