"""The breaker over a clock that stands still."""

from gateway.services.federation.breaker import Breaker, BreakerRules, Memory


class Hands:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def broken(rules: BreakerRules = BreakerRules()) -> tuple[Breaker, Hands]:
    hands = Hands()
    breaker = Breaker(rules, hands)
    for _ in range(rules.failures):
        assert breaker.admit() == "ask"
        breaker.failed()
    return breaker, hands


def test_it_opens_after_failures_in_a_row_only() -> None:
    breaker = Breaker(BreakerRules(), Hands())
    for _ in range(3):
        for _ in range(4):
            assert not breaker.failed()
        breaker.succeeded()
    assert breaker.state == "closed"
    assert [breaker.failed() for _ in range(5)] == [False] * 4 + [True]
    assert (breaker.state, breaker.admit()) == ("open", "no")


def test_one_probe_at_a_time_after_the_pause() -> None:
    breaker, hands = broken()
    hands.now += 2.9
    assert breaker.admit() == "no"
    hands.now += 0.2
    assert [breaker.admit() for _ in range(3)] == ["probe", "no", "no"]
    assert breaker.state == "half-open"
    assert breaker.succeeded() and breaker.admit() == "ask"


def test_the_pause_doubles_up_to_its_end_and_starts_anew_after_a_success() -> None:
    breaker, hands = broken()
    pauses = []
    for _ in range(6):
        pauses.append(breaker.memory().pause_s)
        hands.now += pauses[-1]
        assert breaker.admit() == "probe"
        assert breaker.failed(probe=True)
    assert pauses == [3, 6, 12, 24, 30, 30]
    hands.now += 30
    assert breaker.admit() == "probe"
    breaker.succeeded()
    for _ in range(5):
        breaker.failed()
    assert breaker.memory().pause_s == 3


def test_late_failures_of_before_do_not_lengthen_the_pause() -> None:
    breaker, hands = broken()
    assert not breaker.failed()
    hands.now += 3
    assert breaker.admit() == "probe"
    assert not breaker.failed()  # of a question asked before it opened
    assert breaker.admit() == "no", "the probe is still under way"
    breaker.cancelled()
    assert breaker.admit() == "probe"


def test_what_was_remembered_holds_and_no_clock_locks_anybody_out() -> None:
    hands = Hands()
    again = Breaker(BreakerRules(), hands, Memory(7, 12.0, 5.0))
    assert again.admit() == "no"
    hands.now += 5
    assert again.admit() == "probe"
    far = Breaker(BreakerRules(), hands, Memory(7, 10_000.0, 10_000.0))
    hands.now += 30
    assert far.admit() == "probe"
    assert Breaker(BreakerRules(), hands, Memory()).admit() == "ask"
