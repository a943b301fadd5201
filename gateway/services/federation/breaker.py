"""A circuit breaker for one community: after failures in a row nobody waits for it any more, and one question at a time
finds out whether it is back. Time comes in from outside; safe for many threads."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

State = Literal["closed", "open", "half-open"]
Admission = Literal["ask", "probe", "no"]


@dataclass(frozen=True, slots=True)
class BreakerRules:
    failures: int = 5
    """In a row, before it opens."""
    pause_s: float = 3.0
    """First pause; each failed probe doubles it."""
    longest_pause_s: float = 30.0


class Memory(NamedTuple):
    """What outlives a restart."""

    failures: int = 0
    pause_s: float = 0.0
    """0: closed."""
    left_s: float = 0.0
    """Of the pause."""


class Breaker:
    """`admit` before a question, then `succeeded` or `failed`, or `cancelled` for a probe that was neither."""

    def __init__(self, rules: BreakerRules, monotonic: Callable[[], float], memory: Memory = Memory()) -> None:
        self._rules, self._monotonic = rules, monotonic
        self._lock = threading.Lock()
        self._failures = memory.failures
        # A clock that was set back between two runs must not shut a community out for years.
        self._pause_s = min(memory.pause_s, rules.longest_pause_s)
        self._until = monotonic() + min(max(memory.left_s, 0.0), self._pause_s)
        self._probing = False

    def admit(self) -> Admission:
        with self._lock:
            if not self._pause_s:
                return "ask"
            if self._probing or self._monotonic() < self._until:
                return "no"
            self._probing = True
            return "probe"

    def succeeded(self) -> bool:
        """Whether this closed it."""
        with self._lock:
            was_open = bool(self._pause_s)
            self._failures, self._pause_s, self._probing = 0, 0.0, False
            return was_open

    def failed(self, probe: bool = False) -> bool:
        """Whether this opened it, or lengthened the pause."""
        with self._lock:
            self._failures += 1
            if not probe and (self._pause_s or self._failures < self._rules.failures):
                return False  # too few, or asked before it opened
            wanted = self._pause_s * 2 if probe else self._rules.pause_s
            self._pause_s = min(wanted, self._rules.longest_pause_s)
            self._until = self._monotonic() + self._pause_s
            self._probing = self._probing and not probe
            return True

    def cancelled(self) -> None:
        """The probe was never put, or says nothing of the community: the next question may probe."""
        with self._lock:
            self._probing = False

    @property
    def state(self) -> State:
        with self._lock:
            if not self._pause_s:
                return "closed"
            return "half-open" if self._probing or self._monotonic() >= self._until else "open"

    def memory(self) -> Memory:
        with self._lock:
            return Memory(self._failures, self._pause_s, max(0.0, self._until - self._monotonic()))
