"""Which slice a value belongs to (R4 5.1.0.14.1): discriminators compiled to matchers.

Known: `value` and `pattern` (fixed value, pattern, binding or the constraints below), `type`, `exists`, `profile`; with
paths of names, `$this`, `extension('url')`, `ofType(x)` and `resolve()`. References are not fetched, so `resolve()`
sees their type only.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.profiles.tables import Element, Tables, ValueSet
from gateway.profiles.terminology import Check, membership, plain_codes

Matcher = Callable[[Any, str], bool]
"""(value, its type code) -> does it belong to the slice?"""

_STEP = re.compile(r"extension\('([^']+)'\)|([^.()]+(?:\([^)]*\))?)(?:\.|$)|\.")
_TARGET = re.compile(r"(?:https?://\S+/)?([A-Z][A-Za-z]+)[/?]\S+").fullmatch


class Part(Protocol):
    """What is needed of a Node of the profile (constraints.py)."""

    element: Element
    children: dict[str, Any]
    slices: dict[str, Any]


class Nested(Protocol):
    def check(self, items: list[tuple[str, str, Any]], path: str) -> list[Any]: ...


@dataclass(frozen=True, slots=True)
class Slice:
    path: str
    min: int
    max: int
    match: Matcher
    inner: dict[str, Check | None]
    """By type code."""
    nested: Nested | None


def reference_type(value: Any) -> str | None:
    """The resource type a Reference names, by its literal reference or its `type`; None when it does not tell."""
    if value.__class__ is not dict:
        return None
    text = value.get("reference")
    if text.__class__ is str:
        found = _TARGET(text)
        if found is not None:
            return found.group(1)
    named = value.get("type")
    return named if named.__class__ is str and ":" not in named else None


def steps(path: str) -> list[str]:
    """`extension('u').value` -> ["extension('u')", "value"]; `$this` -> []."""
    if path == "$this":
        return []
    return [found.group(0).rstrip(".") for found in _STEP.finditer(path) if found.group(0) not in (".", "")]


def values_at(value: Any, path: list[str]) -> list[Any]:
    """All values at the path, arrays flattened."""
    current = [value]
    for step in path:
        following: list[Any] = []
        for one in current:
            if one.__class__ is not dict:
                continue
            following += _step(one, step)
        current = following
    return current


def _step(value: dict[str, Any], step: str) -> list[Any]:
    if step == "resolve()" or step.startswith("ofType("):
        return [value]
    if step.startswith("extension('"):
        extensions = value.get("extension")
        url = step[11:-2]
        return (
            [x for x in extensions if x.__class__ is dict and x.get("url") == url]
            if extensions.__class__ is list
            else []
        )
    found = value.get(step)
    if found is None:
        size = len(step)
        found = next((v for k, v in value.items() if k.startswith(step) and k[size : size + 1].isupper()), None)
    if found is None:
        return []
    return found if found.__class__ is list else [found]


def matcher(kind: str, path: str, part: Part, tables: Tables, profile: Callable[[str], Check | None]) -> Matcher | None:
    """The matcher of one discriminator for one slice; None when it cannot be decided from the profile."""
    way = steps(path)
    if kind == "type":
        return _type_matcher(way, part)
    if kind == "exists":
        return _exists_matcher(way, part)
    if kind == "profile":
        return _profile_matcher(way, part, profile)
    if kind not in ("value", "pattern"):
        return None
    test = _value_test(part, way, tables)
    if test is None:
        return None
    if len(way) != 1 or "(" in way[0]:
        return lambda value, code: any(test(found) for found in values_at(value, way))
    step = way[0]

    def match(value: Any, code: str) -> bool:
        found = value.get(step) if value.__class__ is dict else None
        if found.__class__ is str:
            return test(found)
        return any(test(one) for one in values_at(value, way))

    return match


def _type_matcher(way: list[str], part: Part) -> Matcher | None:
    target = _walk(part, way)
    codes = {option.code for option in target.element.types} if target else set()
    if not way:
        return (lambda value, code: code in codes) if codes else None
    if way[-1] == "resolve()":
        targets: set[str] = set()
        for option in _walk(part, way[:-1]).element.types if _walk(part, way[:-1]) else ():  # type: ignore[union-attr]
            targets |= option.targets
        return lambda value, code: any(reference_type(found) in targets for found in values_at(value, way))
    if not codes:
        return None
    return lambda value, code: any(
        found.__class__ is dict and str(found.get("resourceType")) in codes for found in values_at(value, way)
    )


def _exists_matcher(way: list[str], part: Part) -> Matcher | None:
    target = _walk(part, way)
    if target is None:
        return None
    if target.element.max == 0:
        return lambda value, code: not values_at(value, way)
    return (lambda value, code: bool(values_at(value, way))) if target.element.min else None


def _profile_matcher(way: list[str], part: Part, profile: Callable[[str], Check | None]) -> Matcher | None:
    target = _walk(part, [step for step in way if step != "resolve()"])
    if target is None or not target.element.types:
        return None
    if "resolve()" in way:
        targets = frozenset().union(*(option.targets for option in target.element.types))
        return lambda value, code: any(reference_type(found) in targets for found in values_at(value, way))
    checks = [profile(url) for option in target.element.types for url in option.profiles]
    known = [check for check in checks if check is not None]
    if not known:
        return None

    def match(value: Any, code: str) -> bool:
        return any(
            not any(p.severity == "error" for p in check(found) or ())
            for found in values_at(value, way)
            for check in known
        )

    return match


def _walk(part: Part, way: list[str]) -> Part | None:
    for step in way:
        if step == "resolve()" or step.startswith("ofType("):
            continue
        following = part.children.get(step) or part.children.get(f"{step}[x]")
        if following is None:
            return None
        part = following
    return part


def _value_test(part: Part, way: list[str], tables: Tables) -> Callable[[Any], bool] | None:
    """What the value at the end of the way has to be, as the slice says it on the way there."""
    for position in range(len(way) + 1):
        element = part.element
        for given in (element.fixed, element.pattern):
            if given is not None:
                return _any_contained(values_at(given, way[position:]))
        if position == len(way):
            return _end_test(part, tables)
        step = way[position]
        if step == "url" and element.types and element.types[0].profiles:
            url = element.types[0].profiles[0]
            return lambda value: value == url
        following = part.children.get(step) or part.children.get(f"{step}[x]") or _extension_part(part, step)
        if following is None:
            return None
        part = following
    return None


def _any_contained(wanted: list[Any]) -> Callable[[Any], bool] | None:
    if not wanted:
        return None
    if len(wanted) == 1 and isinstance(wanted[0], str):
        only = wanted[0]
        return lambda value: value == only
    return lambda value: any(fits(want, value) for want in wanted)


def _extension_part(part: Part, step: str) -> Part | None:
    if not step.startswith("extension('") or "extension" not in part.children:
        return None
    url = step[11:-2]
    for one in part.children["extension"].slices.values():
        if any(url in option.profiles for option in one.element.types):
            return one  # type: ignore[no-any-return]
    return None


def _end_test(part: Part, tables: Tables) -> Callable[[Any], bool] | None:
    """At the end without a value: the value set, or the values fixed further below."""
    if part.element.binding:
        value_set = tables.value_set(part.element.binding[1])
        if value_set is not None:
            return lambda value: _in_value_set(value_set, value)
    inner = [(name, _value_test(child, [], tables)) for name, child in part.children.items()]
    known = [(name, test) for name, test in inner if test is not None]
    if not known:
        return None
    return lambda value: all(any(test(found) for found in values_at(value, [name])) for name, test in known)


def _in_value_set(value_set: ValueSet, value: Any) -> bool:
    if value.__class__ is str:
        codes = plain_codes(value_set)
        return codes is None or value in codes
    codings = value.get("coding", [value]) if value.__class__ is dict else []
    return codings.__class__ is list and any(membership(value_set, coding) is not False for coding in codings)


def fits(pattern: Any, value: Any) -> bool:
    """Does `value` contain `pattern` (ElementDefinition.pattern[x]: objects by key, arrays by any item)?"""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(key in value and fits(want, value[key]) for key, want in pattern.items())
    if isinstance(pattern, list):
        return isinstance(value, list) and all(any(fits(want, item) for item in value) for want in pattern)
    return bool(pattern == value)
