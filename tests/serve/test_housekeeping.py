from datetime import UTC, datetime

from gateway.model.clock import Clock
from gateway.serve.housekeeping import SWEEP_EVERY_S, Sweep, in_turn


class OneHas:
    def __init__(self, queue: str) -> None:
        self.queue = queue

    def mine(self, queue: str) -> bool:
        return queue == self.queue


def test_a_queue_is_worked_on_in_turn() -> None:
    done: list[str] = []
    for queue in ("a", "b"):
        work = in_turn(OneHas("a"), queue, lambda queue=queue: bool(done.append(queue)) or True)
        assert work() == (queue == "a")
    assert done == ["a"]


def test_the_sweep_runs_now_and_then() -> None:
    seconds = 0.0
    swept: list[datetime] = []
    clock = Clock(now=lambda: datetime(2026, 1, 1, tzinfo=UTC), monotonic=lambda: seconds)
    sweep = Sweep(lambda now: swept.append(now) or 1, OneHas("sweep"), clock)  # type: ignore[func-returns-value]
    for seconds in (0.0, 10.0, SWEEP_EVERY_S, SWEEP_EVERY_S + 1, 2 * SWEEP_EVERY_S):  # noqa: B007
        assert not sweep.run_once()
    assert len(swept) == 2
