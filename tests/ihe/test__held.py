"""What a face remembers is bounded in number and time."""

from gateway.ihe._held import Held


def test_the_oldest_goes_and_each_has_its_time() -> None:
    now = [0.0]
    held: Held[int] = Held(lambda: now[0], most=2, seconds=10)
    for number in range(3):
        held.put(str(number), number)
    assert [held.get(str(number)) for number in range(3)] == [None, 1, 2]
    held.put("1", 5, seconds=3)
    held.put("2", 6, seconds=99)  # no longer than the others
    now[0] = 3.0
    assert (held.get("1"), held.get("2")) == (None, 6)
    now[0] = 10.0
    assert (held.get("2"), len(held)) == (None, 0)


def test_drop_says_whether_it_was_there() -> None:
    held: Held[int] = Held(lambda: 0.0)
    held.put("a", 1)
    assert (held.drop("a"), held.drop("a"), held.get("a")) == (True, False, None)
