"""Many channels under one deadline: answers as they come, the silent ones named when the time is over."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import Any, Final, Generic, NamedTuple, TypeVar

from gateway.errors import GatewayError, Unavailable
from gateway.model.clock import Clock
from gateway.services.federation.channel import Channel, Done, Work
from gateway.services.federation.outcomes import NoAnswer

T = TypeVar("T")

_TELL_EVERY_S: Final = 1.0


class Busy(Unavailable):
    """More questions at once than this node takes: ask again later."""


class Admission:
    """How many federated questions are worked on at once. One more is refused at once, never kept waiting."""

    def __init__(self, most: int, monotonic: Callable[[], float] = monotonic) -> None:
        self._most, self._now, self._lock = most, 0, threading.Lock()
        self._monotonic, self._told_at, self._untold = monotonic, -_TELL_EVERY_S, 0
        self.refused = 0

    def enter(self) -> Callable[[], None]:
        """What to call when the question is over, once. Raises Busy."""
        with self._lock:
            if self._now >= self._most:
                self.refused += 1
                raise Busy("too many federated questions at once; ask again in a second")
            self._now += 1
        return self._leave

    def _leave(self) -> None:
        with self._lock:
            self._now -= 1

    def to_tell(self) -> int:
        """How many refusals one audit record has to tell of now; 0: the next one will. Writing one for each of a
        thousand would be the very load that refusing keeps away."""
        with self._lock:
            self._untold += 1
            if self._monotonic() - self._told_at < _TELL_EVERY_S:
                return 0
            self._told_at, told = self._monotonic(), self._untold
            self._untold = 0
            return told


class Task(NamedTuple, Generic[T]):
    channel: Channel
    work: Work[T]


class Reply(NamedTuple, Generic[T]):
    place: int
    """Of its task."""
    value: T | None
    error: BaseException | None
    ms: int


class _Open:
    """Whether somebody still waits for answers."""

    def __init__(self) -> None:
        self.over, self.lock = False, threading.Lock()


def ask_all(tasks: Sequence[Task[T]], until: float, clock: Clock) -> Iterator[Reply[T]]:
    """One reply a task, each as soon as it is there; `until` (monotonic) ends the waiting. Whoever stops reading closes
    the question: what comes later is counted as late and dropped."""
    began = clock.monotonic()
    replies: queue.SimpleQueue[tuple[int, Done[Any]]] = queue.SimpleQueue()
    open_ = _Open()
    waited: set[int] = set()
    probes: set[int] = set()

    def reporter(place: int, channel: Channel) -> Any:
        def report(done: Done[Any]) -> None:
            with open_.lock:
                if open_.over:
                    channel.late()
                else:
                    replies.put((place, done))

        return report

    refused: list[Reply[T]] = []
    for place, task in enumerate(tasks):
        try:
            worth = task.channel.submit(task.work, until, reporter(place, task.channel))
        except GatewayError as error:
            refused.append(Reply(place, None, error, 0))
        else:
            (waited if worth else probes).add(place)
    try:
        yield from refused
        while waited and (left := until - clock.monotonic()) > 0:
            try:
                place, done = replies.get(timeout=left)
            except queue.Empty:
                break
            waited.discard(place)
            probes.discard(place)
            yield Reply(place, done.value, done.error, done.ms)
        with open_.lock:
            open_.over = True
        # What was there when we stopped looking still counts.
        for place, done in _rest(replies):
            waited.discard(place)
            probes.discard(place)
            yield Reply(place, done.value, done.error, done.ms)
        ms = round((clock.monotonic() - began) * 1000)
        for place in sorted(waited):
            yield Reply(place, None, TimeoutError("no answer in time"), ms)
        for place in sorted(probes):
            yield Reply(place, None, NoAnswer("the community is being tried again beside this question"), ms)
    finally:
        open_.over = True


def _rest(replies: "queue.SimpleQueue[tuple[int, Done[Any]]]") -> Iterator[tuple[int, Done[Any]]]:
    while True:
        try:
            yield replies.get_nowait()
        except queue.Empty:
            return
