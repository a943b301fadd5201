"""A cursor is good for one search, one caller, one node."""

import pytest

from gateway.errors import InvalidParameter
from gateway.services.search import cursor

KEY = b"k" * 32
PLACE = ("2024-05-01T00:00:00.000Z", 7)


def opened(text: str, query: str = "q", caller: str = "c", key: bytes = KEY) -> cursor.Key:
    return cursor.unseal(text, query=query, caller=caller, key=key)


def test_what_was_sealed_comes_back() -> None:
    assert opened(cursor.seal(PLACE, query="q", caller="c", key=KEY)) == PLACE


@pytest.mark.parametrize("change", [{"query": "other"}, {"caller": "other"}, {"key": b"x" * 32}])
def test_it_cannot_be_carried_elsewhere(change: dict[str, object]) -> None:
    with pytest.raises(InvalidParameter):
        opened(cursor.seal(PLACE, query="q", caller="c", key=KEY), **change)  # type: ignore[arg-type]


def test_no_character_of_it_can_be_changed() -> None:
    sealed = cursor.seal(PLACE, query="q", caller="c", key=KEY)
    for at, letter in enumerate(sealed[:-1]):
        with pytest.raises(InvalidParameter):
            opened(sealed[:at] + ("A" if letter != "A" else "B") + sealed[at + 1 :])


@pytest.mark.parametrize("text", ["", "A", "!!!!", "日本", "A" * 1000, "AAAA" * 6])
def test_rubbish_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter):
        opened(text)


def test_the_order_of_parameters_does_not_matter() -> None:
    assert cursor.digest("A", [("a", "1"), ("b", "2")]) == cursor.digest("A", [("b", "2"), ("a", "1")])
    assert cursor.digest("A", [("a", "1")]) != cursor.digest("B", [("a", "1")])
    assert cursor.digest("A", [("a", "1"), ("b", "2")]) != cursor.digest("A", [("a", "1b"), ("", "2")])
