"""One community's channel: threads, breaker, the one repeat, and what is remembered."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.errors import BadInput, Unavailable
from gateway.model.clock import Clock
from gateway.ports import Health
from gateway.services.federation.breaker import BreakerRules
from gateway.services.federation.channel import Channel, ChannelRules, Done
from gateway.services.federation.outcomes import Down, NoAnswer

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Hands:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = 0.0
        self.clock = Clock(lambda: NOW, lambda: self.at)


class Store:
    def __init__(self) -> None:
        self.saved: list[Health] = []

    def load(self) -> list[Health]:
        return self.saved

    def save(self, health: Health) -> None:
        self.saved.append(health)


def channel(hands: Hands, store: Store | None = None, memory: Health | None = None, **rules: Any) -> Channel:
    return Channel(
        "urn:oid:1", "大阪", ChannelRules(**rules), hands.clock, health=store, memory=memory, pause=lambda s: None
    )


def done(of: Channel, work: Callable[[float], Any], left_s: float = 10.0) -> Done[Any]:
    waiting: list[Done[Any]] = []
    there = threading.Event()

    def report(one: Done[Any]) -> None:
        waiting.append(one)
        there.set()

    of.submit(work, of._clock.monotonic() + left_s, report)
    assert there.wait(30)
    return waiting[0]


def raising(error: Exception) -> Callable[[float], Any]:
    def work(left_s: float) -> Any:
        raise error

    return work


def test_work_gets_what_is_left_and_never_more_than_its_own_time() -> None:
    one = channel(Hands(), timeout_s=4)
    assert done(one, lambda left_s: left_s, 10).value == 4
    assert done(one, lambda left_s: left_s, 1).value == 1
    late = done(one, lambda left_s: left_s, 0)
    assert isinstance(late.error, TimeoutError) and one.counts["dropped"] == 1


def test_five_failures_open_it_and_protocol_errors_do_not_count() -> None:
    hands = Hands()
    one = channel(hands)
    for _ in range(9):
        assert isinstance(done(one, raising(BadInput("no SOAP"))).error, BadInput)
    for _ in range(4):
        done(one, raising(Unavailable("down")))
    done(one, raising(BadInput("it speaks")))  # it is there: the row begins anew
    for _ in range(5):
        done(one, raising(TimeoutError()))
    with pytest.raises(NoAnswer):
        one.submit(lambda left_s: 1, 10, lambda _: None)
    hands.at = 3.0
    assert done(one, lambda left_s: 1).value == 1, "the probe"
    assert one.breaker.state == "closed"


def test_a_short_deadline_of_ours_is_no_fault_of_theirs() -> None:
    one = channel(Hands(), timeout_s=10)
    for _ in range(20):
        done(one, raising(TimeoutError()), left_s=1)
    assert one.breaker.state == "closed"


def test_a_read_whose_way_broke_is_repeated_once() -> None:
    tries: list[float] = []

    def work(left_s: float) -> str:
        tries.append(left_s)
        if len(tries) == 1:
            raise Unavailable("reset")
        return "ok"

    assert done(channel(Hands()), work).value == "ok" and len(tries) == 2
    for error in (TimeoutError(), BadInput("x"), Down("503")):
        tries.clear()

        def fails(left_s: float, error: Exception = error) -> str:
            tries.append(left_s)
            raise error

        done(channel(Hands()), fails)
        assert len(tries) == 1, "a peer that was slow or spoke is not asked twice"
    tries.clear()
    done(channel(Hands()), work, left_s=0.1)
    assert len(tries) == 1, "no time left to repeat"


def test_a_hung_community_takes_its_own_threads_only() -> None:
    hands, release = Hands(), threading.Event()
    hung, good = channel(hands, threads=2, waiting=1), channel(hands)
    started = threading.Semaphore(0)

    def hang(left_s: float) -> None:
        started.release()
        release.wait(30)

    for _ in range(2):
        hung.submit(hang, 10, lambda _: None)
        assert started.acquire(timeout=30)
    hung.submit(hang, 10, lambda _: None)  # waits
    with pytest.raises(Unavailable):
        hung.submit(hang, 10, lambda _: None)
    assert hung.waiting == 1 and done(good, lambda left_s: "here").value == "here"
    release.set()


def test_what_is_remembered_over_a_restart() -> None:
    hands, store = Hands(), Store()
    one = channel(hands, store, breaker=BreakerRules(failures=2))
    done(one, lambda left_s: 1)
    assert store.saved[-1].last_success == "2026-01-01T00:00:00+00:00"
    for _ in range(2):
        done(one, raising(TimeoutError()))
    last = store.saved[-1]
    assert (last.failures, last.pause_s, last.open_until_s) == (2, 3.0, NOW.timestamp() + 3)
    again = channel(Hands(), store, last)
    assert again.last_success == "2026-01-01T00:00:00+00:00"
    with pytest.raises(NoAnswer):
        again.submit(lambda left_s: 1, 10, lambda _: None)


def test_p95() -> None:
    one = channel(Hands())
    assert one.p95_ms is None
    one._durations.extend(range(1, 101))
    assert one.p95_ms == 96
