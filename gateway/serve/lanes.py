"""A fixed number of threads, each with a line of its own. What has one key is worked on one by one, in order; what has
several (a merge of two patients) waits for everything before it in all their lines, and everything behind waits for it."""

import queue
import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future
from typing import Generic, TypeVar
from zlib import crc32

T = TypeVar("T")


class _Task(Generic[T]):
    __slots__ = ("act", "future")

    def __init__(self, act: Callable[[], T]) -> None:
        self.act = act
        self.future: Future[T] = Future()


class _Gate(Generic[T]):
    """One task in several lines: the last line that comes to it does the work, the others wait."""

    __slots__ = ("_done", "_left", "_lock", "task")

    def __init__(self, task: _Task[T], lines: int) -> None:
        self.task, self._left = task, lines
        self._lock, self._done = threading.Lock(), threading.Event()

    def pass_(self, work: Callable[[_Task[T]], None]) -> None:
        with self._lock:
            self._left -= 1
            last = self._left == 0
        if last:
            work(self.task)
            self._done.set()
        else:
            self._done.wait()


class Lanes:
    """Lines are not bounded here: whoever submits bounds what is on its way."""

    def __init__(self, count: int, name: str) -> None:
        self._lines: list[_Line] = [queue.SimpleQueue() for _ in range(count)]
        self._next = 0
        self._threads = [
            threading.Thread(target=self._work, args=(line,), name=f"{name}-{number}", daemon=True)
            for number, line in enumerate(self._lines)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, keys: Collection[bytes], act: Callable[[], T]) -> "Future[T]":
        """Tasks that have a key in common run in the order in which they were handed in; without keys there is no order
        to keep.

        To be called from one thread: then tasks of several keys stand in all lines in the same order, and none waits
        for one that waits for it.
        """
        if keys:
            numbers = sorted({crc32(key) % len(self._lines) for key in keys})
        else:
            self._next += 1
            numbers = [self._next % len(self._lines)]
        task = _Task(act)
        entry = task if len(numbers) == 1 else _Gate(task, len(numbers))
        for number in numbers:
            self._lines[number].put(entry)  # type: ignore[arg-type]
        return task.future

    def close(self) -> None:
        """Finishes what was handed in."""
        for line in self._lines:
            line.put(None)
        for thread in self._threads:
            thread.join()

    @staticmethod
    def _work(line: "_Line") -> None:
        while (entry := line.get()) is not None:
            if isinstance(entry, _Gate):
                entry.pass_(_run)
            else:
                _run(entry)


def _run(task: _Task[object]) -> None:
    try:
        task.future.set_result(task.act())
    except BaseException as error:  # noqa: BLE001 - handed to whoever waits; the thread lives on
        task.future.set_exception(error)


_Line = queue.SimpleQueue[_Task[object] | _Gate[object] | None]
