"""Answers that are delivered later: asynchronous (WS-Addressing ReplyTo) and deferred ones (ITI TF-2: 3.55.6).

A bounded queue and one thread. An address out of a message is used only where `allowed` knows it; otherwise any sender
could point us at the inside of our own network. Who asked asks again when a delivery never came: a question is harmless.
"""

import logging
import queue
import threading
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import requests

from gateway.codec import soap
from gateway.ihe._client import Poster
from gateway.model.caller import is_loopback

_PAUSES_S: Final = (0.0, 1.0, 5.0)
"""Before each attempt."""
_TIMEOUT_S: Final = 10.0
_LOG = logging.getLogger("gateway.ihe.later")


class Delivery(NamedTuple):
    address: str
    action: str
    envelope: bytes
    content_type: str = ""
    """Of a package (MTOM); empty: a plain envelope."""


class Deliveries:
    """The queue and its thread, which starts with the first delivery and ends with `close`."""

    def __init__(self, session: Poster, most: int = 100, pauses_s: tuple[float, ...] = _PAUSES_S) -> None:
        self._session, self._pauses_s = session, pauses_s
        self._queue: queue.Queue[Delivery | None] = queue.Queue(most)
        self._stopped, self._lock = threading.Event(), threading.Lock()
        self._thread: threading.Thread | None = None

    def put(self, address: str, action: str, envelope: bytes, content_type: str = "") -> bool:
        """Whether there was room."""
        with self._lock:
            if self._stopped.is_set():
                return False
            try:
                self._queue.put_nowait(Delivery(address, action, envelope, content_type))
            except queue.Full:
                return False
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="deliveries", daemon=True)
                self._thread.start()
        return True

    def close(self) -> None:
        """Drops what waits. Returns when the thread is done with what it does, 15 seconds later at most."""
        self._stopped.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            while True:
                try:
                    self._queue.put_nowait(None)
                    break
                except queue.Full:
                    self._queue.get_nowait()
            thread.join(_TIMEOUT_S + 5)

    def _work(self) -> None:
        while not self._stopped.is_set():
            delivery = self._queue.get()
            if delivery is None:
                return
            try:
                self._deliver(delivery)
            except Exception as error:  # noqa: BLE001 - one delivery must not end the thread; its class is all that is said
                _LOG.error("a delivery failed: %s", type(error).__name__)

    def _deliver(self, delivery: Delivery) -> None:
        for pause_s in self._pauses_s:
            if self._stopped.wait(pause_s) if pause_s else self._stopped.is_set():
                return
            if self._post(delivery):
                return
        _LOG.warning("an answer could not be delivered after %s attempts", len(self._pauses_s))

    def _post(self, delivery: Delivery) -> bool:
        content_type = delivery.content_type or f'{soap.MEDIA_TYPE}; charset=UTF-8; action="{delivery.action}"'
        try:
            with self._session.post(
                delivery.address,
                data=delivery.envelope,
                headers={"Content-Type": content_type},
                allow_redirects=False,
                stream=True,
                timeout=(_TIMEOUT_S, _TIMEOUT_S),
            ) as response:
                return 200 <= response.status_code < 300
        except requests.RequestException:
            return False


def allowed(peers: Iterable[str], *, loopback: bool) -> Callable[[str], bool]:
    """Which addresses answers may be delivered to: the origins of these URLs and, with `loopback` (open mode), this
    machine."""
    origins = {origin for url in peers if (origin := _origin(url))}

    def may_reply(address: str) -> bool:
        origin = _origin(address)
        return origin is not None and (origin in origins or (loopback and is_loopback(origin[1])))

    return may_reply


def _origin(url: str) -> tuple[str, str, int] | None:
    try:
        found = urlsplit(url)
        port = found.port or {"http": 80, "https": 443}.get(found.scheme, 0)
    except ValueError:
        return None
    if found.scheme not in ("http", "https") or not found.hostname or found.username is not None:
        return None
    return found.scheme, found.hostname, port
