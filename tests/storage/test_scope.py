import re
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.model.caller import UNRESTRICTED, ConsentView, Scope, Term, TypeFilter
from gateway.storage.schema import registry_object, resource
from gateway.storage.scope import as_sql, resource_conditions
from tests.storage.making import storage

pytestmark = pytest.mark.usefixtures("each_engine")


def test_no_limits_are_no_conditions() -> None:
    assert resource_conditions(UNRESTRICTED) == []


def test_every_limit_is_a_condition() -> None:
    scope = Scope(frozenset({"e"}), frozenset({"N", "R"}), frozenset({"f"}))
    sql = str(select(resource.c.n).where(*resource_conditions(scope)))
    assert "resource.eid IN" in sql and "resource.facility NOT IN" in sql


def test_a_caller_who_may_not_see_what_is_normal_sees_what_is_labelled_otherwise_alone() -> None:
    sql = str(select(resource.c.n).where(*resource_conditions(Scope(None, frozenset({"R"})))))
    assert sql.count("EXISTS") == 2 and "NOT (EXISTS" in sql


def test_the_form_for_statements_by_hand_says_the_same(tmp_path: Path) -> None:
    """Every condition, as text with values and as part of a statement: the same rows, each sub-select about its row."""
    view = ConsentView(False, frozenset({"TREATMENT"}), "1.2", frozenset({"a^^b"}), "2026-04-01T00:00:00.000Z")
    types = (
        TypeFilter("Observation", (Term("code", (("urn:s", "x"), ("", "y"))),)),
        TypeFilter("Patient", since="2020"),
    )
    limited = Scope(frozenset({"e"}), frozenset("NR"), frozenset({"f"}), types, frozenset({"g"}), view)
    for scope in (UNRESTRICTED, limited, replace(limited, patients=frozenset({"e", "d"}))):
        for kind, table in (("resource", resource), ("document", registry_object)):
            sql, values = as_sql(kind, scope)
            assert not re.search("FROM [a-z_]+, ", sql) and sql.count("?") == len(values)
            with storage(tmp_path) as store, store.engine.connect() as connection:
                assert store.lookups.rows(f"SELECT n FROM {table.name} WHERE {sql}", values) == []
                if kind == "resource":
                    assert connection.execute(select(table.c.n).where(*resource_conditions(scope))).all() == []
    sql, values = as_sql("person", limited)
    assert "i.eid" in sql and sql.count("?") == len(values)
