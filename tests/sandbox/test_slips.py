"""Errors of a registration desk, one by one."""

from random import Random

from gateway.sandbox import slips
from gateway.sandbox.persons import humans


def people(count: int = 300) -> list[slips.Sheet]:
    return [slips._sheet(human) for human in humans(Random(3), count)]


def test_a_slip_of_the_era_keeps_month_and_day() -> None:
    for sheet in people():
        slipped = slips._era(Random(1), sheet)
        assert slipped.birth[4:] == sheet.birth[4:] and len(slipped.birth) == 8


def test_a_turned_date_is_a_date() -> None:
    for sheet in people():
        assert "01" <= slips._turned(Random(1), sheet).birth[4:6] <= "12"


def test_marriage_changes_the_family_name_alone() -> None:
    changed = [(sheet, slips._married(Random(5), sheet)) for sheet in people()]
    assert any(one.family != other.family for one, other in changed)
    assert all(one[1] == other[1] and one.birth == other.birth for one, other in changed)
    assert all(one == other for one, other in changed if one.sex == "M")


def test_a_wrong_conversion_is_read_alike() -> None:
    for sheet in people():
        assert slips._conversion(Random(2), sheet).given_kana == sheet.given_kana
