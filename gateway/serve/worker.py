"""Work beside the listeners: a thread that asks again and again whether there is something to do."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from gateway.model.clock import Clock
from gateway.ports import Memory

_PAUSE_S: Final = 1.0
_LEASE: Final = timedelta(seconds=30)
_LEASES: Final = "lease"

_log = structlog.get_logger("musubi.worker")


class Leased:
    """Work that one process of a database does at a time: whoever has the lease, renewed before it ends. What dies
    without a word is followed by another process when its lease is over."""

    def __init__(self, name: str, work: Callable[[], bool], memory: Memory, clock: Clock, owner: str) -> None:
        self._name, self._work, self._memory, self._clock, self._owner = name, work, memory, clock, owner
        self._until: datetime | None = None

    def __call__(self) -> bool:
        return self._mine() and self._work()

    def _mine(self) -> bool:
        now = self._clock.now()
        if self._until is not None and now < self._until - _LEASE / 2:
            return True
        until = now + _LEASE
        mine = self._memory.claim(_LEASES, (self._name,), self._owner, now.isoformat(), until.isoformat())
        self._until = until if mine else None
        return mine

    def release(self) -> None:
        """At a clean stop: the next process begins at once."""
        held, self._until = self._until, None
        if held is not None and self._clock.now() < held:
            self._memory.drop(_LEASES, (self._name,))


class Worker:
    """A Listener (serve/server.py) that calls `work` until `stop`; when it did nothing, after a pause."""

    def __init__(
        self, work: Callable[[], bool], pause_s: float = _PAUSE_S, ended: Callable[[], None] = lambda: None
    ) -> None:
        """`ended` is called once, after the last call of `work`."""
        self._work, self._pause_s, self._ended = work, pause_s, ended
        self._stopping = threading.Event()

    def run(self) -> None:
        """Returns after `stop`. An error of the work does not end the node: it is tried again."""
        while not self._stopping.is_set():
            try:
                worked = self._work()
            except Exception as error:  # noqa: BLE001 - the text of a foreign exception may hold data
                _log.error("failed", error=type(error).__name__)
                worked = False
            if not worked:
                self._stopping.wait(self._pause_s)
        try:
            self._ended()
        except Exception as error:  # noqa: BLE001 - as above
            _log.error("failed", error=type(error).__name__)

    def stop(self) -> None:
        self._stopping.set()
