"""Which code tables a converter can read, and which of their rows stand behind a value: for `--explain` and the docs.

Converters look tables up in Python, and what they find is cached; so their use is read off their code (names of tables
in what they call), and the rows off the field: a component that is a source code, whose target stands in the value.
"""

import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from types import CodeType, FunctionType, ModuleType
from typing import Any

from gateway import mapping_files
from gateway.mapping_files import Table
from gateway.model.outcome import CodeUse

_READERS = frozenset({"table", "records", "read_csv"})
SYSTEMS = "code-systems"


@cache
def tables_of(function: Callable[..., Any]) -> tuple[str, ...]:
    """Names of the tables that a function of this program, or one that it calls, reads."""
    found: set[str] = set()
    _collect(function, found, set())
    return tuple(sorted(found))


def _collect(item: Any, found: set[str], seen: set[int]) -> None:
    if isinstance(item, Table):
        found.add(item.name)
        return
    function = getattr(item, "__wrapped__", item)
    if not isinstance(function, FunctionType) or not function.__module__.startswith("gateway."):
        return
    if id(function.__code__) in seen:
        return
    seen.add(id(function.__code__))
    for cell in function.__closure__ or ():
        _collect(cell.cell_contents, found, seen)
    for code in _codes(function.__code__):
        _collect_code(code, function, found, seen)


def _collect_code(code: CodeType, function: FunctionType, found: set[str], seen: set[int]) -> None:
    if _READERS & set(code.co_names):
        words = (word for word in code.co_consts if isinstance(word, str))
        found |= {word.removesuffix(".csv") for word in words if _is_table(word.removesuffix(".csv"))}
    for name in code.co_names:
        item = function.__globals__.get(name)
        if isinstance(item, ModuleType):
            for inner in code.co_names:
                _collect(getattr(item, inner, None), found, seen)
        else:
            _collect(item, found, seen)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


@cache
def _is_table(word: str) -> bool:
    return word.replace("-", "").isalnum() and mapping_files.path("tables", f"{word}.csv").is_file()


@cache
def entries(name: str) -> dict[str, str]:
    """Source code -> target of a table; of a table of another shape nothing."""
    if not mapping_files.takes_additions(name):
        return {}
    if name == SYSTEMS:
        return {row["name"]: row["system"] for row in mapping_files.records(name)}
    return mapping_files.table(name)


def codes_used(tables: tuple[str, ...], raw: str, value: Any) -> tuple[CodeUse, ...]:
    """The table rows behind a value that was made of a raw field. `value` True: put into its place by code, so that
    nothing can be compared."""
    if not tables:
        return ()
    words = dict.fromkeys(_words(raw))
    shown = None if value is True else frozenset(_texts(value))
    return tuple(
        CodeUse(name, word, target)
        for name in tables
        for word in words
        if (target := entries(name).get(word)) and (shown is None or target in shown)
    )


def _words(raw: str) -> Iterator[str]:
    for part in raw.replace("~", "^").replace("&", "^").split("^"):
        if part:
            yield part
            yield unicodedata.normalize("NFKC", part).replace(" ", "")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
