"""Invented people: the same for the same seed, with the truth beside them, twins that are two."""

from collections import Counter, defaultdict

import pytest

from gateway.codec.persons import PersonLine, render
from gateway.sandbox.persons import DOMAINS, records


@pytest.fixture(scope="module")
def lines() -> list[PersonLine]:
    return list(records(seed=1, persons=4_000))


def test_the_same_seed_is_the_same_people() -> None:
    first, again, other = (b"\n".join(map(render, records(seed, 200))) for seed in (5, 5, 6))
    assert first == again != other


def test_everybody_has_a_record_and_one_in_ten_a_second_one(lines: list[PersonLine]) -> None:
    held = Counter(line.person for line in lines)
    assert sorted(held) == list(range(1, 4_001))
    assert set(held.values()) == {1, 2}
    assert 0.07 < sum(count == 2 for count in held.values()) / 4_000 < 0.13


def test_numbers_are_unique_in_a_domain(lines: list[PersonLine]) -> None:
    own = [line.ids[0] for line in lines]
    assert len(set(own)) == len(own) and {one.authority for one in own} == set(DOMAINS)


def test_second_records_stand_in_the_same_hospital_and_in_others(lines: list[PersonLine]) -> None:
    domains: defaultdict[int, list[str]] = defaultdict(list)
    for line in lines:
        domains[line.person].append(line.ids[0].authority)
    same = Counter(len(set(held)) for held in domains.values() if len(held) == 2)
    assert same[1] > 50 and same[2] > 150


def test_twins_are_two_people(lines: list[PersonLine]) -> None:
    born: defaultdict[int, set[int]] = defaultdict(set)
    for line in lines:
        if line.twins:
            born[line.twins].add(line.person)
    assert len(born) > 5 and all(len(pair) <= 2 for pair in born.values())


def test_all_that_goes_wrong_is_there(lines: list[PersonLine]) -> None:
    said = [line.demographics for line in lines]
    kinds = Counter(name.kind for one in said for name in one.names)
    assert min(kinds[kind] for kind in ("kanji", "kana", "romaji")) > 20
    assert any(name.use == "maiden" for one in said for name in one.names)
    assert {len(one.birth_date) for one in said} == {0, 4, 6, 8}
    assert any(name.given == "ベビー" for one in said for name in one.names)
    assert any(not name.given for one in said for name in one.names)
    assert {one.sex for one in said} == {"M", "F", ""}
    assert any(not one.addresses for one in said) and any(not one.telecoms for one in said)
    assert any(letter in "髙﨑邉邊濵澤齋嶋廣" for one in said for name in one.names for letter in name.family)


def test_no_telephone_and_no_postcode_could_be_somebodys(lines: list[PersonLine]) -> None:
    for line in lines:
        assert all(address.postal_code[:3] in ("", "000") for address in line.demographics.addresses)
        assert all(number[:3] in ("000", "０００", "+81") for number in line.demographics.telecoms)
