"""Pointers of queries: bounded, bound to who asked, and usable again."""

from gateway.ihe._continuation import Continuations
from gateway.ihe._held import Held
from gateway.model.person import PersonQuery

ASKED = PersonQuery(family=("見本",), limit=2, offset=2)


def test_a_pointer_leads_back_to_its_query_as_often_as_one_asks() -> None:
    known = Continuations()
    pointer = known.keep("me", ASKED)
    assert known.find("me", pointer) == known.find("me", pointer) == ASKED
    assert known.find("you", pointer) is None and known.find("me", "NONE") is None
    assert known.keep("me", ASKED) == pointer and known.keep("you", ASKED) != pointer


def test_the_oldest_is_forgotten() -> None:
    known = Continuations(Held(lambda: 0.0, 2))
    pointers = [known.keep("me", PersonQuery(offset=n)) for n in range(3)]
    assert [known.find("me", one) is not None for one in pointers] == [False, True, True]


def test_cancelling_takes_all_of_one_tag() -> None:
    known = Continuations()
    mine, other = known.keep("me", ASKED), known.keep("you", ASKED)
    assert known.cancel("me") is True and known.cancel("me") is False
    assert known.find("me", mine) is None and known.find("you", other) == ASKED
