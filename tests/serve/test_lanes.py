"""Lanes: one key in order, several keys at once, and nothing lost at the end."""

import threading
import time

import pytest

from gateway.serve.lanes import Lanes


def test_tasks_of_one_key_run_in_order_and_one_at_a_time() -> None:
    lanes, seen, busy = Lanes(4, "t"), dict[bytes, list[int]](), dict[bytes, int]()

    def act(key: bytes, number: int) -> int:
        busy[key] = busy.get(key, 0) + 1
        assert busy[key] == 1
        time.sleep(0.0005)
        seen.setdefault(key, []).append(number)
        busy[key] -= 1
        return number

    keys = [b"a", b"b", b"c", b"d", b"e"]
    futures = [lanes.submit(key, lambda key=key, n=n: act(key, n)) for n in range(40) for key in keys]  # type: ignore[misc]
    assert [future.result() for future in futures] == [n for n in range(40) for _ in keys]
    assert seen == {key: list(range(40)) for key in keys}
    lanes.close()


def test_tasks_without_a_key_share_the_lanes() -> None:
    lanes, together = Lanes(3, "t"), threading.Barrier(3, timeout=10)
    for future in [lanes.submit(b"", together.wait) for _ in range(3)]:
        future.result()
    lanes.close()


def test_an_error_is_the_callers_and_the_lane_lives_on() -> None:
    lanes = Lanes(1, "t")

    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        lanes.submit(b"a", fail).result()
    assert lanes.submit(b"a", lambda: 7).result() == 7
    lanes.close()


def test_close_finishes_what_was_handed_in() -> None:
    lanes, done = Lanes(2, "t"), list[int]()
    for number in range(20):
        lanes.submit(b"a", lambda number=number: done.append(number))  # type: ignore[misc]
    lanes.close()
    assert done == list(range(20)) and not [t for t in threading.enumerate() if t.name.startswith("t-")]
