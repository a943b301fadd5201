"""A fixed number of threads, each with a line of its own. What has one key is worked on one by one, in order."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar
from zlib import crc32

T = TypeVar("T")


class _Task(Generic[T]):
    __slots__ = ("act", "future")

    def __init__(self, act: Callable[[], T]) -> None:
        self.act = act
        self.future: Future[T] = Future()


class Lanes:
    """Lines are not bounded here: whoever submits bounds what is on its way."""

    def __init__(self, count: int, name: str) -> None:
        self._lines: list[queue.SimpleQueue[_Task[object] | None]] = [queue.SimpleQueue() for _ in range(count)]
        self._next = 0
        self._threads = [
            threading.Thread(target=self._work, args=(line,), name=f"{name}-{number}", daemon=True)
            for number, line in enumerate(self._lines)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, key: bytes, act: Callable[[], T]) -> "Future[T]":
        """Tasks of equal keys run in the order in which they were handed in; an empty key has no order to keep.

        To be called from one thread.
        """
        if key:
            number = crc32(key)
        else:
            number = self._next = self._next + 1
        task = _Task(act)
        self._lines[number % len(self._lines)].put(task)  # type: ignore[arg-type]
        return task.future

    def close(self) -> None:
        """Finishes what was handed in."""
        for line in self._lines:
            line.put(None)
        for thread in self._threads:
            thread.join()

    @staticmethod
    def _work(line: "queue.SimpleQueue[_Task[object] | None]") -> None:
        while (task := line.get()) is not None:
            try:
                task.future.set_result(task.act())
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits; the thread lives on
                task.future.set_exception(error)
