"""One writing thread a process. Many callers hand in closures; one transaction carries them all (group commit).

With synchronous=FULL a commit costs an fsync. Sixteen threads that commit one by one wait in line for sixteen of
them; here they share one. A caller's future is done only after the commit, so an answer is a receipt.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from gateway.errors import GatewayError, Unavailable
from gateway.storage.engines import Driver

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
    """Runs closures over a Driver inside BEGIN IMMEDIATE ... COMMIT, in the order they were handed in."""

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
                driver = Driver(connection)
                for job in group:
                    if self._attempt(job, driver, alone=len(group) == 1):
                        done.append(job)
                self._last(driver)
        except BaseException as error:  # noqa: BLE001 - the thread must live on, and every caller must hear of it
            reason = error if isinstance(error, GatewayError) else Unavailable(f"storage: {_cause(error)}")
            for job in group:
                if not job.future.done():
                    job.future.set_exception(reason if _foreign(error) else error)
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
            job.future.set_exception(Unavailable(f"storage: {_cause(error)}") if _foreign(error) else error)
            return False
        driver.run("RELEASE job")
        return True


def _foreign(error: BaseException) -> bool:
    """A failure of the database or its driver, to be told in our own words."""
    return isinstance(error, DBAPIError) or type(error).__module__ == "sqlite3"


def _cause(error: BaseException) -> str:
    """The driver's own words (disk full, locked, read-only): no statement and no values, they hold patient data."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    return f"{type(origin).__name__}: {origin}" if _foreign(error) else type(origin).__name__
