"""Statements as text: conditions and their values stay in one order, and every limit of a scope is a condition."""

from gateway.model.caller import UNRESTRICTED, Scope
from gateway.storage.reads import Where, listed, object_scope


def test_no_condition_is_always_true() -> None:
    assert (str(Where()), Where().values) == ("1 = 1", [])


def test_conditions_and_values_keep_one_order() -> None:
    where = Where()
    where.add("a = ?", 1)
    where.among("b", ["x"])
    where.among("c", ["y", "z", "w"], negated=True)
    where.any_of([("d = ?", [2]), ("e = ?", [3])])
    assert str(where) == "a = ? AND b = ? AND c NOT IN (?,?,?,?) AND (d = ? OR e = ?)"
    assert where.values == [1, "x", "y", "z", "w", "w", 2, 3]


def test_nothing_is_among_nothing() -> None:
    where = Where()
    where.among("a", [])
    where.among("b", [], negated=True)
    assert str(where) == "1 = 0" and where.values == []


def test_a_list_is_filled_up_to_one_of_few_sizes() -> None:
    marks, bound = listed(list(range(5)))
    assert marks.count("?") == len(bound) == 8 and bound[4:] == [4, 4, 4, 4]
    assert listed(list(range(500)))[0].count("?") == 500


def test_no_limits_are_no_conditions() -> None:
    where = Where()
    object_scope(UNRESTRICTED, where)
    assert str(where) == "1 = 1"


def test_every_limit_is_a_condition() -> None:
    where = Where()
    object_scope(Scope(frozenset({"e"}), frozenset({"N", "R"}), frozenset({"f"})), where, "d")
    text = str(where)
    assert "d.eid = ?" in text and "d.facility NOT IN (?)" in text and "registry_code.n = d.n" in text
    # Beside the patient: of a document, of a set or folder by the documents in it, of one that is empty.
    assert "x.eid" in text and where.values[0] == "e"
    assert where.values[1:] == ["e", "f", "confidentialityCode", "N", "R"] * 3


def test_nobody_and_no_code_allowed_is_nothing_seen() -> None:
    where = Where()
    object_scope(Scope(frozenset(), None), where)
    assert str(where).startswith("1 = 0 AND ") and where.values == []
    where = Where()
    object_scope(Scope(None, frozenset()), where)
    # No label is an allowed one: what carries none is all that is left.
    assert "registry_code.code NOT IN (SELECT NULL WHERE 1 = 0)" in str(where)
