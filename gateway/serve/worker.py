"""Work beside the listeners: a thread that asks again and again whether there is something to do."""

import threading
from collections.abc import Callable
from typing import Final

import structlog

_PAUSE_S: Final = 1.0

_log = structlog.get_logger("musubi.worker")


class Worker:
    """A Listener (serve/server.py) that calls `work` until `stop`; when it did nothing, after a pause."""

    def __init__(self, work: Callable[[], bool], pause_s: float = _PAUSE_S) -> None:
        self._work, self._pause_s = work, pause_s
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

    def stop(self) -> None:
        self._stopping.set()
