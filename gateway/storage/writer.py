"""One writing thread a process. Many callers hand in closures; one transaction carries them all (group commit).

A commit costs an fsync. Sixteen threads that commit one by one wait in line for sixteen of
them; here they share one. A caller's future is done only after the commit, so an answer is a receipt.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from sqlalchemy import Engine

from gateway.errors import Unavailable
from gateway.storage.engines import Driver, cause, driver_of

T = TypeVar("T")

GROUP = 64
"""Closures of one transaction at most, so that a burst of small ones does not keep the first one waiting."""


class _Job(Generic[T]):
    __slots__ = ("act", "future", "result")

    def __init__(self, act: Callable[[Driver], T]) -> None:
        self.act = act
        self.future: Future[T] = Future()
        self.result: T | None = None


class Writer:
    """Runs closures over a Driver inside write transactions, in the order they were handed in."""

    def __init__(self, engine: Engine, last: Callable[[Driver], object] = lambda driver: None) -> None:
        """`last` runs before every commit, once for all closures of the transaction."""
        self._last = last
        self._engine = engine.execution_options(write=True)
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name="storage-writer", daemon=True)
        self._thread.start()

    def submit(self, act: Callable[[Driver], T]) -> "Future[T]":
        """The future fails with what `act` raised (its changes alone are undone), or Unavailable when the commit failed."""
        job = _Job(act)
        with self._lock:
            if self._closed:
                raise Unavailable("storage is closed")
            self._jobs.put(job)
        return job.future

    def run(self, act: Callable[[Driver], T]) -> T:
        """submit and wait for the commit."""
        return self.submit(act).result()

    def close(self) -> None:
        """Finishes what was handed in, stops, and closes the engine, which is the writer's own. Twice is harmless."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()
        self._engine.dispose()

    def _loop(self) -> None:
        open_ = True
        while open_:
            group: list[_Job[Any]] = []
            job = self._jobs.get()
            while job is not None:
                group.append(job)
                if len(group) >= GROUP or self._jobs.empty():
                    break
                job = self._jobs.get()
            open_ = job is not None
            if group:
                self._commit(group)

    def _commit(self, group: list[_Job[Any]]) -> None:
        done: list[_Job[Any]] = []
        try:
            with self._engine.connect() as connection, connection.begin():
                driver = driver_of(connection)
                for job in group:
                    if self._attempt(job, driver, alone=len(group) == 1):
                        done.append(job)
                self._last(driver)
        except BaseException as error:  # noqa: BLE001 - the thread must live on, and every caller must hear of it
            for job in group:
                if not job.future.done():
                    job.future.set_exception(self._told(error))
            return
        for job in done:
            job.future.set_result(job.result)

    def _attempt(self, job: _Job[Any], driver: Driver, alone: bool) -> bool:
        """One closure under its own savepoint: its failure is its own. Alone, the transaction itself is undone."""
        if alone:
            job.result = job.act(driver)
            return True
        driver.run("SAVEPOINT job")
        try:
            job.result = job.act(driver)
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for it
            driver.run("ROLLBACK TO job")
            driver.forget_numbers()
            driver.run("RELEASE job")
            job.future.set_exception(self._told(error))
            return False
        driver.run("RELEASE job")
        return True

    def _told(self, error: BaseException) -> BaseException:
        """A failure of the database (disk full, locked, connection lost) in our own words; any other as it is. When the
        connection was lost while a commit was on its way, nobody knows what became of it: the caller hears Unavailable,
        sends again, and the keys of what it stores make the second time change nothing."""
        words = cause(self._engine, error)
        return Unavailable(f"storage: {words}") if words else error
