"""What all values of the model have in common: nothing of ours is imported, and nobody can change one."""

import ast
import dataclasses
import importlib
import inspect
from pathlib import Path
from types import ModuleType

import pytest

import gateway.model

FOLDER = Path(str(gateway.model.__file__)).parent
MODULES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")
MUTABLE = {"Applied"}
"""A tally that storage fills while it works."""


def module(name: str) -> ModuleType:
    return importlib.import_module(f"gateway.model.{name}")


@pytest.mark.parametrize("name", MODULES)
def test_it_imports_only_the_standard_library_and_the_model(name: str) -> None:
    tree = ast.parse((FOLDER / f"{name}.py").read_text("utf-8"))
    ours = [
        str(n.module) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and str(n.module).startswith("gateway")
    ]
    assert all(one.startswith("gateway.model.") for one in ours)


@pytest.mark.parametrize("name", MODULES)
def test_values_are_frozen_and_have_slots(name: str) -> None:
    for one in vars(module(name)).values():
        if inspect.isclass(one) and dataclasses.is_dataclass(one) and one.__module__ == f"gateway.model.{name}":
            assert hasattr(one, "__slots__"), one
            assert one.__name__ in MUTABLE or one.__dataclass_params__.frozen, one  # type: ignore[attr-defined]


def test_the_exceptions_are_still_there() -> None:
    names = {one for name in MODULES for one in vars(module(name))}
    assert names >= MUTABLE
