"""Everything between us and one community: threads of its own (bulkhead), breaker, one repeat of a read, figures.

A community that hangs takes the threads of its own channel and nobody else's. What waits for a thread waits inside its
question's deadline, and is dropped unread when that is over.
"""

import logging
import queue
import threading
from bisect import insort
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from gateway.errors import Unavailable
from gateway.model.clock import Clock
from gateway.ports import Health, PeerHealth
from gateway.services.federation.breaker import Breaker, BreakerRules, Memory
from gateway.services.federation.outcomes import Down, NoAnswer

T = TypeVar("T")
Work = Callable[[float], T]
"""(seconds left) -> answer. Raises TimeoutError, Unavailable (the way there failed), any GatewayError."""

_IDLE_S: Final = 30.0
_KEPT: Final = 256
"""Durations the p95 is made of."""
_SAVE_EVERY_S: Final = 60.0
"""Last success is written down this often at most; a change of the breaker at once."""
_FAIR: Final = 0.5
"""Share of its usual time a community has to be given before a timeout counts against it."""
_LOG = logging.getLogger("gateway.federation")


@dataclass(frozen=True, slots=True)
class ChannelRules:
    timeout_s: float = 10.0
    """For one piece of work."""
    threads: int = 8
    """Exchanges with one community at the same time."""
    waiting: int = 256
    """Pieces of work that wait for a thread; one more is refused at once."""
    repeat_after_s: float = 0.1
    """Pause before a read is repeated whose connection broke."""
    breaker: BreakerRules = field(default_factory=BreakerRules)


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """One finished piece of work."""

    value: T | None
    error: BaseException | None
    ms: int


Report = Callable[[Done[Any]], None]


class Channel:
    """`submit` never blocks; `report` is called once, from a thread of the channel, or not at all when `submit` says
    no. `pause` is how it waits before a repeat."""

    def __init__(
        self,
        home: str,
        name: str,
        rules: ChannelRules,
        clock: Clock,
        *,
        health: PeerHealth | None = None,
        memory: Health | None = None,
        guarded: bool = True,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self.home, self.name, self.rules = home, name, rules
        self._clock, self._health, self._guarded = clock, health, guarded
        self._pause = pause or threading.Event().wait
        remembered = Memory()
        self.last_success = ""
        if memory is not None:
            remembered = Memory(memory.failures, memory.pause_s, memory.open_until_s - clock.now().timestamp())
            self.last_success = memory.last_success
        self.breaker = Breaker(rules.breaker, clock.monotonic, remembered)
        self._work: queue.SimpleQueue[tuple[Work[Any], float, Report, bool] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = self._idle = self._queued = 0
        self._saved_at = -_SAVE_EVERY_S
        self._durations: deque[int] = deque(maxlen=_KEPT)
        self.counts = {"asked": 0, "late": 0, "dropped": 0, "alarms": 0}

    # -- asking

    def submit(self, work: Work[Any], until: float, report: Report) -> bool:
        """Whether the answer is worth waiting for: False for a probe, which runs beside the question.

        Raises NoAnswer (the breaker is open) and Unavailable (too much waits for this community already).
        """
        admission = self.breaker.admit() if self._guarded else "ask"
        if admission == "no":
            raise NoAnswer("the community failed often and is left alone for a while")
        with self._lock:
            if self._queued >= self.rules.waiting:
                if admission == "probe":
                    self.breaker.cancelled()
                raise Unavailable("too many questions wait for this community")
            self._queued += 1
            self.counts["asked"] += 1
            if self._queued > self._idle and self._threads < self.rules.threads:
                self._threads += 1
                threading.Thread(target=self._run, name=f"federation {self.home}", daemon=True).start()
        self._work.put((work, until, report, admission == "probe"))
        return admission != "probe"

    def _run(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            try:
                taken = self._work.get(timeout=_IDLE_S)
            except queue.Empty:
                taken = None
            with self._lock:
                self._idle -= 1
                if taken is None:
                    if not self._queued:
                        self._threads -= 1
                        return
                    continue
                self._queued -= 1
            work, until, report, probe = taken
            report(self._do(work, until, probe))

    def _do(self, work: Work[Any], until: float, probe: bool) -> Done[Any]:
        began = self._clock.monotonic()
        given_s = min(until - began, self.rules.timeout_s)
        if given_s <= 0:
            if probe:
                self.breaker.cancelled()
            self.counts["dropped"] += 1
            return Done(None, TimeoutError("the deadline passed before it could be asked"), 0)
        try:
            value, error = self._once_more(work, began, given_s, probe), None
        except Exception as caught:  # noqa: BLE001 - whatever one community makes us stumble over, the others still count
            value, error = None, caught
        ms = round((self._clock.monotonic() - began) * 1000)
        self._judge(error, given_s, ms, probe)
        return Done(value, error, ms)

    def _once_more(self, work: Work[T], began: float, given_s: float, probe: bool) -> T:
        """Everything asked here is a read, so it may be asked twice; only where the way there broke, and with time left."""
        try:
            return work(given_s)
        except Unavailable as error:
            spent_s = self._clock.monotonic() - began
            pause_s = self.rules.repeat_after_s
            if isinstance(error, Down) or probe or not self._guarded or given_s - spent_s < 2 * (spent_s + pause_s):
                raise
        self._pause(pause_s)
        return work(given_s - (self._clock.monotonic() - began))

    # -- judging

    def _judge(self, error: BaseException | None, given_s: float, ms: int, probe: bool) -> None:
        """A community that says something is there, whatever it says: only silence and broken ways count."""
        if isinstance(error, (TimeoutError, Unavailable)):
            fair = given_s >= self.rules.timeout_s * _FAIR or isinstance(error, Unavailable)
            if not self._guarded or (not fair and not probe):
                return
            if self.breaker.failed(probe):
                _LOG.warning("community %s is left alone after %s failures", self.home, self.breaker.memory().failures)
                self._save()
            return
        if error is not None:
            _LOG.warning("community %s: %s", self.home, type(error).__name__)
        closed = self.breaker.succeeded()
        with self._lock:
            self._durations.append(ms)
        self.last_success = self._clock.now().isoformat(timespec="seconds")
        if closed or self._clock.monotonic() - self._saved_at >= _SAVE_EVERY_S:
            self._save()

    def _save(self) -> None:
        if self._health is None or not self._guarded:
            return
        self._saved_at = self._clock.monotonic()
        memory = self.breaker.memory()
        until_s = self._clock.now().timestamp() + memory.left_s
        self._health.save(Health(self.home, memory.failures, memory.pause_s, until_s, self.last_success))

    def late(self) -> None:
        """An answer came after its question was over, and was dropped."""
        with self._lock:
            self.counts["late"] += 1

    def alarm(self, words: tuple[str, ...]) -> None:
        """Something in an answer was not believed: for people to look at."""
        with self._lock:
            self.counts["alarms"] += len(words)
        for word in words:
            _LOG.error("community %s: %s", self.home, word)

    @property
    def p95_ms(self) -> int | None:
        with self._lock:
            ordered: list[int] = []
            for one in self._durations:
                insort(ordered, one)
        return ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))] if ordered else None

    @property
    def waiting(self) -> int:
        return self._queued
