"""Lanes: one key in order, several keys at once, and nothing lost at the end."""

import random
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
    futures = [lanes.submit([key], lambda key=key, n=n: act(key, n)) for n in range(40) for key in keys]  # type: ignore[misc]
    assert [future.result() for future in futures] == [n for n in range(40) for _ in keys]
    assert seen == {key: list(range(40)) for key in keys}
    lanes.close()


def test_tasks_without_a_key_share_the_lanes() -> None:
    lanes, together = Lanes(3, "t"), threading.Barrier(3, timeout=10)
    for future in [lanes.submit([], together.wait) for _ in range(3)]:
        future.result()
    lanes.close()


def test_a_task_of_several_keys_waits_for_all_before_it_and_all_behind_wait_for_it() -> None:
    lanes, seen, lock = Lanes(4, "t"), list[str](), threading.Lock()

    def act(name: str, seconds: float) -> None:
        time.sleep(seconds)
        with lock:
            seen.append(name)

    for name, keys, seconds in (
        ("a", [b"a"], 0.03),
        ("b", [b"b"], 0.0),
        ("merge of a and b", [b"a", b"b"], 0.01),
        ("a again", [b"a"], 0.0),
        ("b again", [b"b"], 0.0),
    ):
        lanes.submit(keys, lambda name=name, seconds=seconds: act(name, seconds))  # type: ignore[misc]
    lanes.close()
    assert sorted(seen[:2]) == ["a", "b"] and seen[2] == "merge of a and b" and len(seen) == 5


def test_many_tasks_of_several_keys_never_wait_for_one_another_for_ever() -> None:
    lanes, chance = Lanes(5, "t"), random.Random(3)
    keys = [b"%d" % n for n in range(20)]
    last: dict[bytes, int] = {}

    def act(number: int, mine: list[bytes]) -> bool:
        before = [last.get(key, -1) for key in mine]
        last.update(dict.fromkeys(mine, number))
        return all(one < number for one in before)

    futures = []
    for number in range(2000):
        mine = chance.sample(keys, chance.randint(1, 4))
        futures.append(lanes.submit(mine, lambda number=number, mine=mine: act(number, mine)))  # type: ignore[misc]
    assert all(future.result(timeout=20) for future in futures)
    lanes.close()


def test_an_error_of_a_task_of_several_keys_frees_its_lanes() -> None:
    lanes = Lanes(4, "t")

    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        lanes.submit([b"a", b"b", b"c"], fail).result(timeout=5)
    assert [lanes.submit([key], lambda: 7).result(timeout=5) for key in (b"a", b"b", b"c")] == [7, 7, 7]
    lanes.close()


def test_an_error_is_the_callers_and_the_lane_lives_on() -> None:
    lanes = Lanes(1, "t")

    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        lanes.submit([b"a"], fail).result()
    assert lanes.submit([b"a"], lambda: 7).result() == 7
    lanes.close()


def test_close_finishes_what_was_handed_in() -> None:
    lanes, done = Lanes(2, "t"), list[int]()
    for number in range(20):
        lanes.submit([b"a"], lambda number=number: done.append(number))  # type: ignore[misc]
    lanes.close()
    assert done == list(range(20)) and not [t for t in threading.enumerate() if t.name.startswith("t-")]
