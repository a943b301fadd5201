"""A scope is always said, never assumed."""

import inspect
from typing import Any

import pytest

from gateway import ports
from gateway.model.caller import UNRESTRICTED, Caller, Scope


def test_a_scope_without_its_limits_cannot_be_made() -> None:
    make: Any = Scope
    with pytest.raises(TypeError):
        make()
    with pytest.raises(TypeError):
        make(patients=None)


def test_unrestricted_limits_nothing() -> None:
    assert Scope(patients=None, confidentiality=None, excluded_facilities=frozenset()) == UNRESTRICTED


def test_nobody_in_particular_may_nothing_in_particular() -> None:
    assert (Caller().user, Caller().roles, Caller().purpose) == ("", (), "")


def test_a_scope_cannot_be_widened_afterwards() -> None:
    scope: Any = Scope(frozenset(), frozenset())
    with pytest.raises(AttributeError):
        scope.patients = None


READS = [
    (port, name)
    for port in (ports.Resources, ports.Documents, ports.Identities)
    for name, _ in inspect.getmembers(port, inspect.isfunction)
    if not name.startswith("_")
]


@pytest.mark.parametrize(("port", "name"), READS, ids=lambda one: getattr(one, "__name__", one))
def test_every_reading_method_takes_a_scope_and_has_no_default_for_it(port: type, name: str) -> None:
    scope = inspect.signature(getattr(port, name)).parameters["scope"]
    assert scope.default is inspect.Parameter.empty


def test_there_are_reading_methods() -> None:
    assert len(READS) >= 10
