"""Answers that are delivered later: asynchronous (WS-Addressing ReplyTo) and deferred ones (ITI TF-2: 3.55.6).

A bounded number of jobs and one thread. An address out of a message is used only where `allowed` knows it; otherwise any sender
could point us at the inside of our own network.
"""

import logging
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import orjson
import requests

from gateway.codec import soap
from gateway.ihe._client import Poster
from gateway.model.caller import is_loopback
from gateway.ports import Job, Outbox

KIND: Final = "later-answer"
"""Of the jobs in the outbox."""
_PAUSES_S: Final = (0.0, 1.0, 5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0)
"""Before each attempt: an hour and a half, so that a community may start again meanwhile."""
_LOOK_S: Final = 5.0
"""Between two looks at the outbox: another process may have put something there."""
_TIMEOUT_S: Final = 10.0
_LOG = logging.getLogger("gateway.ihe.later")


class Delivery(NamedTuple):
    address: str
    action: str
    envelope: bytes
    content_type: str = ""
    """Of a package (MTOM); empty: a plain envelope."""


class Deliveries:
    """The jobs in the outbox and the thread that delivers them, which ends with `close`. What was taken is delivered
    after a restart too: a sender whose deferred question was accepted waits for its answer."""

    def __init__(
        self, session: Poster, outbox: Outbox, most: int = 100, pauses_s: tuple[float, ...] = _PAUSES_S
    ) -> None:
        """`pauses_s`: before each attempt; after the last one the answer is given up."""
        self._session, self._outbox, self._most, self._pauses_s = session, outbox, most, pauses_s
        self._stopped, self._woken = threading.Event(), threading.Event()
        self._due: dict[int, float] = {}
        """Job -> when it is tried again (monotonic)."""
        self._thread = threading.Thread(target=self._work, name="deliveries", daemon=True)
        self._thread.start()

    def put(self, address: str, action: str, envelope: bytes, content_type: str = "") -> bool:
        """Whether there was room. It is stored when this returns. `content_type`: of a package with parts."""
        if self._stopped.is_set() or len(self._outbox.pending(KIND, self._most)) >= self._most:
            return False
        payload = {"address": address, "action": action, "envelope": b64encode(envelope).decode(), "type": content_type}
        self._outbox.add(KIND, orjson.dumps(payload).decode())
        self._woken.set()
        return True

    def close(self) -> None:
        """Returns when the thread is done with what it does, 15 seconds later at most. What waits is kept."""
        self._stopped.set()
        self._woken.set()
        self._thread.join(_TIMEOUT_S + 5)

    def _work(self) -> None:
        while not self._stopped.is_set():
            self._woken.clear()
            try:
                pause_s = self._round()
            except Exception as error:  # noqa: BLE001 - one failure must not end the thread; its class is all that is said
                _LOG.error("deliveries failed: %s", type(error).__name__)
                pause_s = _LOOK_S
            self._woken.wait(pause_s)

    def _round(self) -> float:
        """Tries what is due. Returns the seconds until something is due again."""
        waiting = self._outbox.pending(KIND, self._most)
        self._due = {job.n: self._due.get(job.n, 0.0) for job in waiting}
        for job in waiting:
            if self._stopped.is_set():
                return 0.0
            if self._due[job.n] <= monotonic():
                self._deliver(job)
        now = monotonic()
        return min([_LOOK_S, *(max(0.0, due - now) for due in self._due.values())])

    def _deliver(self, job: Job) -> None:
        said = orjson.loads(job.payload)
        try:
            done = self._post(Delivery(said["address"], said["action"], b64decode(said["envelope"]), said["type"]))
        except Exception as error:  # noqa: BLE001 - of this job alone; the text of a foreign exception may hold data
            _LOG.error("a delivery failed: %s", type(error).__name__)
            done = False
        attempts = job.attempts + 1
        if not done and attempts < len(self._pauses_s):
            self._outbox.fail(job.n)
            self._due[job.n] = monotonic() + self._pauses_s[attempts]
            return
        if not done:
            _LOG.warning("an answer could not be delivered after %s attempts", attempts)
        self._outbox.finish(job.n)
        self._due.pop(job.n, None)

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
