from sqlalchemy import select

from gateway.model.caller import UNRESTRICTED, Scope
from gateway.storage.schema import resource
from gateway.storage.scope import resource_conditions


def test_no_limits_are_no_conditions() -> None:
    assert resource_conditions(UNRESTRICTED) == []


def test_every_limit_is_a_condition() -> None:
    scope = Scope(frozenset({"e"}), frozenset({"N", "R"}), frozenset({"f"}))
    sql = str(select(resource.c.n).where(*resource_conditions(scope)))
    assert "resource.eid IN" in sql and "resource.facility NOT IN" in sql


def test_a_caller_who_may_not_see_what_is_normal_sees_no_resource() -> None:
    sql = str(select(resource.c.n).where(*resource_conditions(Scope(None, frozenset({"R"})))))
    assert "false" in sql or "0 = 1" in sql
