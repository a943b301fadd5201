"""ports.Outbox in memory."""

import threading

from gateway.ports import Job


class FakeOutbox:
    def __init__(self) -> None:
        self.jobs: dict[int, Job] = {}
        self._last, self._lock = 0, threading.Lock()

    def pending(self, kind: str, limit: int, after: int = 0) -> list[Job]:
        with self._lock:
            return [job for n, job in sorted(self.jobs.items()) if job.kind == kind and n > after][:limit]

    def add(self, kind: str, payload: str) -> None:
        with self._lock:
            self._last += 1
            self.jobs[self._last] = Job(self._last, kind, payload, 0)

    def finish(self, *numbers: int) -> None:
        with self._lock:
            for number in numbers:
                self.jobs.pop(number, None)

    def fail(self, number: int) -> None:
        with self._lock:
            self.jobs[number] = self.jobs[number]._replace(attempts=self.jobs[number].attempts + 1)
