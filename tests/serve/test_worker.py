"""The thread beside the listeners."""

import threading

from gateway.serve.worker import Worker


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
