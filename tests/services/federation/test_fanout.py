"""Many channels, one deadline: every one is named, late answers go nowhere, too many questions are refused at once."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from gateway.errors import Forbidden, Unavailable, UnknownPatient
from gateway.model.clock import Clock
from gateway.services.federation.breaker import BreakerRules
from gateway.services.federation.channel import Channel, ChannelRules
from gateway.services.federation.fanout import Admission, Busy, Reply, Task, ask_all
from gateway.services.federation.outcomes import word_of


def channel(home: str = "urn:oid:1", **rules: Any) -> Channel:
    return Channel(home, home, ChannelRules(**rules), Clock(), pause=lambda s: None)


def raising(error: Exception) -> Callable[[float], Any]:
    def work(left_s: float) -> Any:
        raise error

    return work


def asked(*tasks: Task[Any], within_s: float = 10.0) -> list[Reply[Any]]:
    clock = Clock()
    return list(ask_all(tasks, clock.monotonic() + within_s, clock))


def test_every_community_is_named_with_what_became_of_it() -> None:
    works: list[Callable[[float], Any]] = [
        lambda left_s: "here",
        raising(UnknownPatient("x")),
        raising(TimeoutError()),
        raising(Unavailable("x")),
        raising(Forbidden("x")),
        raising(KeyError("taro")),
    ]
    replies = sorted(asked(*(Task(channel(str(n)), work) for n, work in enumerate(works))))
    assert [one.place for one in replies] == list(range(6))
    assert replies[0].value == "here"
    words = [word_of(one.error) for one in replies[1:] if one.error]
    assert words == ["nothing", "timeout", "failed", "refused", "failed"]


def test_the_first_answer_does_not_wait_for_the_last() -> None:
    release = threading.Event()
    slow = Task(channel("slow"), lambda left_s: release.wait(30))
    clock = Clock()
    replies = ask_all([slow, Task(channel("quick"), lambda left_s: "here")], clock.monotonic() + 30, clock)
    assert next(replies).value == "here"
    release.set()
    assert next(replies).place == 0


def test_a_silent_community_ends_with_the_deadline_and_its_late_answer_is_counted() -> None:
    release, late = threading.Event(), channel("late")
    finished = threading.Event()

    def work(left_s: float) -> str:
        release.wait(30)
        return "too late"

    (reply,) = asked(Task(late, work), within_s=0.2)
    assert isinstance(reply.error, TimeoutError) and 150 <= reply.ms < 1500
    release.set()
    for _ in range(200):
        if late.counts["late"]:
            break
        finished.wait(0.01)
    assert late.counts["late"] == 1


def test_without_time_and_without_communities() -> None:
    assert asked() == []
    (reply,) = asked(Task(channel(), lambda left_s: 1), within_s=0)
    assert isinstance(reply.error, TimeoutError)


def test_an_open_breaker_is_named_and_its_probe_runs_beside() -> None:
    bad = channel("bad", breaker=BreakerRules(failures=1, pause_s=0.05))
    (failed,) = asked(Task(bad, raising(TimeoutError())))
    assert word_of(failed.error or KeyError()) == "timeout"
    (left_alone,) = asked(Task(bad, lambda left_s: "here"))
    assert word_of(left_alone.error or KeyError()) == "open" and left_alone.ms == 0
    threading.Event().wait(0.06)
    release = threading.Event()
    replies = asked(Task(bad, lambda left_s: release.wait(30)), Task(channel("good"), lambda left_s: "here"))
    assert [(one.place, one.value) for one in replies] == [(1, "here"), (0, None)], "nobody waited for the probe"
    release.set()
    for _ in range(200):
        if bad.breaker.state == "closed":
            break
        threading.Event().wait(0.01)
    (back,) = asked(Task(bad, lambda left_s: "back"))
    assert back.value == "back"


def test_one_question_too_many_is_refused_at_once() -> None:
    admission = Admission(2)
    first = admission.enter()
    admission.enter()
    with pytest.raises(Busy):
        admission.enter()
    first()
    admission.enter()
    assert admission.refused == 1
