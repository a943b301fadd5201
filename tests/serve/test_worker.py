"""The thread beside the listeners."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.model.clock import Clock
from gateway.serve.worker import Leased, Worker
from tests.storage.making import storage


def test_it_works_until_it_is_stopped_and_an_error_does_not_end_it() -> None:
    calls: list[int] = []
    done = threading.Event()

    def work() -> bool:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("once")
        if len(calls) == 5:
            done.set()
        return len(calls) < 5

    worker = Worker(work, pause_s=0.001)
    thread = threading.Thread(target=worker.run)
    thread.start()
    assert done.wait(20)
    worker.stop()
    thread.join(20)
    assert not thread.is_alive() and len(calls) >= 5


def test_a_stop_does_not_wait_for_the_pause() -> None:
    began = threading.Event()

    def work() -> bool:
        began.set()
        return False

    worker = Worker(work, pause_s=600)
    thread = threading.Thread(target=worker.run)
    thread.start()
    assert began.wait(20)
    worker.stop()
    thread.join(20)
    assert not thread.is_alive()


def test_one_process_of_a_database_works_at_a_time(tmp_path: Path) -> None:
    now, done = [datetime(2026, 6, 1, tzinfo=UTC)], list[str]()
    clock = Clock(now=lambda: now[0])
    with storage(tmp_path) as store:

        def process(name: str) -> Leased:
            return Leased("notifier", lambda: not done.append(name), store.memory, clock, name)  # type: ignore[func-returns-value]

        first, second = process("first"), process("second")
        assert [first(), second(), first()] == [True, False, True]
        now[0] += timedelta(seconds=20)
        assert [first(), second()] == [True, False], "renewed in time"
        now[0] += timedelta(seconds=31)
        assert [second(), first()] == [True, False], "the first died: the second follows"
        second.release()
        assert first() is True
        first.release()
        first.release()
    assert done == ["first", "first", "first", "second", "first"]


def test_the_end_is_told_once_also_when_it_fails() -> None:
    ended: list[int] = []

    def fail() -> None:
        ended.append(1)
        raise RuntimeError("x")

    worker = Worker(lambda: False, pause_s=0.01, ended=fail)
    worker.stop()
    worker.run()
    assert ended == [1]
