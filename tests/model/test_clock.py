"""Time and chance that come in from outside."""

from datetime import UTC

from gateway.model.clock import Chance, Clock


def test_now_is_in_utc_and_says_so() -> None:
    assert Clock().now().tzinfo is UTC


def test_monotonic_never_goes_back() -> None:
    clock = Clock()
    seen = [clock.monotonic() for _ in range(1000)]
    assert seen == sorted(seen)


def test_chance_gives_what_is_asked_and_not_twice() -> None:
    chance = Chance()
    assert len({chance.new_uuid() for _ in range(100)}) == 100
    assert {len(chance.token(size)) for size in (32,)} == {32} and chance.token(32) != chance.token(32)
