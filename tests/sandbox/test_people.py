"""People who do not exist: deterministic, and never to be mistaken for real identities."""

from itertools import islice

from gateway.sandbox.people import check_digit, people


def test_a_seed_is_a_population() -> None:
    assert list(islice(people(4), 50)) == list(islice(people(4), 50))
    assert list(islice(people(4), 5)) != list(islice(people(5), 5))


def test_medical_ids_do_not_meet() -> None:
    ids = [person.medical_id for seed in (1, 2, 3) for person in islice(people(seed), 500) if person.medical_id]
    assert len(ids) == len(set(ids)) > 900


def test_the_elderly_are_insured_alone() -> None:
    laws = set()
    for person in islice(people(9), 300):
        elderly = person.insured.law.startswith("39^")
        assert elderly == (person.birth_date < "1940")
        assert bool(person.insured.symbol) != elderly
        laws.add(person.insured.law[:2])
    assert laws == {"01", "06", "39", "C0"}


def test_check_digit_by_hand() -> None:
    # 0613001: from the right 1x2 0x1 0x2 3x1 1x2 6x1 0x2 = 2+0+0+3+2+6+0 = 13, to the next ten: 7
    assert check_digit("0613001") == "7"
    # 99: 9x2 = 18 -> 1+8, 9x1 = 9, together 18, to the next ten: 2
    assert check_digit("99") == "2"
