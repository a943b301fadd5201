"""What a node does for itself beside the listeners: queues that one process at a time works on, and the sweep."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from gateway.model.clock import Clock
from gateway.ports import Turns

SWEEP_EVERY_S: Final = 6 * 3600.0

_log = structlog.get_logger("musubi.housekeeping")


def in_turn(turns: Turns, queue: str, work: Callable[[], bool]) -> Callable[[], bool]:
    """The work of a queue, for a Worker: done by the process whose turn it is, and by no other."""
    return lambda: turns.mine(queue) and work()


class Sweep:
    """Takes away the bytes no document names, a while after the start and then every six hours."""

    def __init__(self, sweep: Callable[[datetime], int], turns: Turns, clock: Clock) -> None:
        self._sweep, self._turns, self._clock = sweep, turns, clock
        self._due_s = clock.monotonic() + SWEEP_EVERY_S / 6

    def run_once(self) -> bool:
        """False: there is nothing more to do now."""
        if self._clock.monotonic() >= self._due_s:
            self._due_s = self._clock.monotonic() + SWEEP_EVERY_S
            if self._turns.mine("sweep") and (removed := self._sweep(self._clock.now())):
                _log.info("swept", objects=removed)
        return False
