"""The checks of one element that a profile is put together from: counts, fixed values, types, slices."""

from dataclasses import dataclass, field
from typing import Any

from gateway.profiles.finding import Problem, below, error
from gateway.profiles.invariants import INVARIANTS
from gateway.profiles.slicing import Slice, fits, reference_type
from gateway.profiles.tables import Definition, Element
from gateway.profiles.terminology import Check


@dataclass(slots=True)
class Node:
    """One element of a profile with what stands below it."""

    name: str
    path: str
    element: Element
    children: dict[str, "Node"] = field(default_factory=dict)
    slices: dict[str, "Node"] = field(default_factory=dict)

    def is_silent(self) -> bool:
        """Demands nothing, so that its check can be left out."""
        return (
            not self.children
            and not self.slices
            and self.element == Element(self.element.path, 0, -1, slicing=self.element.slicing)
        )


def tree(definition: Definition) -> Node:
    """The elements of a definition as one tree; steps nobody mentions are filled in without demands."""
    root = Node(definition.type, definition.name, Element("", 0, -1))
    for element in definition.elements:
        node = root
        path = definition.name
        for step in element.path.split("."):
            name, _, slice_name = step.partition(":")
            path = f"{path}.{step}"
            node = node.children.setdefault(name, Node(name, path, Element(name, 0, -1)))
            for part in slice_name.split("/") if slice_name else ():
                node = node.slices.setdefault(part, Node(name, path, Element(name, 0, -1)))
        node.element = element
        node.path = f"{definition.name}.{element.path}"
    return root


@dataclass(frozen=True, slots=True)
class Slicing:
    slices: tuple[Slice, ...]
    closed: bool
    unchecked: Problem | None

    def check(self, items: list[tuple[str, str, Any]], path: str) -> list[Problem]:
        """`items` are (label, type code, value); labels stand below the parent object."""
        if self.unchecked is not None:
            return [self.unchecked] if items else []
        problems: list[Problem] = []
        matched: set[str] = set()
        for one in self.slices:
            own = [item for item in items if one.match(item[2], item[1])]
            for label, code, value in own:
                matched.add(label)
                inner = one.inner.get(code)
                found = inner(value) if inner is not None else None
                if found:
                    problems += below(label, found)
            if len(own) < one.min:
                problems.append(
                    error("required", f"The slice needs {one.min} of its kind.", f"{one.path} min {one.min}")
                )
            elif 0 <= one.max < len(own):
                problems.append(
                    error("structure", f"The slice allows {one.max} of its kind.", f"{one.path} max {one.max}")
                )
            if one.nested is not None:
                problems += one.nested.check(own, one.path)
        if self.closed:
            outside = error("structure", "The value fits no slice of a closed slicing.", f"{path} closed")
            problems += [p for label, _, _ in items if label not in matched for p in below(label, [outside])]
        return problems


def nothing(value: Any) -> None:
    return None


def any_of(checks: list[Check], path: str) -> Check:
    nothing_fits = error("structure", "The value conforms to none of the allowed profiles.", f"{path} profile")

    def check(value: Any) -> list[Problem] | None:
        for one in checks:
            if not any(p.severity == "error" for p in one(value) or ()):
                return None
        return [nothing_fits]

    return check


@dataclass(frozen=True, slots=True)
class Child:
    """The check of a parent object about one element."""

    check: Check
    present: tuple[str, ...]
    """The check is needed only when one of these keys is there; empty: always."""


def children_check(children: list[Child]) -> Check:
    always = tuple(child.check for child in children if not child.present)
    by_key = {key: child.check for child in children for key in child.present}
    many_keys = len(by_key) > 8

    def check(parent: Any) -> list[Problem] | None:
        if parent.__class__ is not dict:
            return None
        found: list[Problem] | None = None
        for one in always:
            problems = one(parent)
            if problems:
                found = [*(found or ()), *problems]
        for key in parent if many_keys else by_key:
            if key in parent and key in by_key:
                problems = by_key[key](parent)
                if problems:
                    found = [*(found or ()), *problems]
        return found

    return check


def simple_check(node: Node, key: str, inner: Check | None) -> Check:
    """An element of one type without slices."""
    minimum, maximum = node.element.min, node.element.max
    missing = error("required", f"{node.name} needs at least {minimum}.", f"{node.path} min {minimum}")
    too_many = error("structure", f"{node.name} allows at most {maximum}.", f"{node.path} max {maximum}")
    shadow = f"_{key}"

    def check(parent: Any) -> list[Problem] | None:
        value = parent.get(key)
        if value.__class__ is not list:
            if value is None:
                count = 1 if shadow in parent else 0
                return [missing] if count < minimum else [too_many] if 0 <= maximum < count else None
            if minimum > 1 or maximum == 0:
                return [missing if minimum > 1 else too_many]
            problems = inner(value) if inner is not None else None
            return below(node.name, problems) if problems else None
        found: list[Problem] = []
        if inner is not None:
            for index, item in enumerate(value):
                problems = inner(item)
                if problems:
                    found += below(f"{node.name}[{index}]", problems)
        if len(value) < minimum:
            found.append(missing)
        elif 0 <= maximum < len(value):
            found.append(too_many)
        return found or None

    return check


def child_check(node: Node, keys: dict[str, str], inner: dict[str, Check | None], slicing: Slicing | None) -> Check:
    """`keys` are the JSON keys of the element with their type."""
    minimum, maximum, name, path = node.element.min, node.element.max, node.name, node.path
    stem = name.removesuffix("[x]")
    missing = error("required", f"{name} needs at least {minimum}.", f"{path} min {minimum}")
    too_many = error("structure", f"{name} allows at most {maximum}.", f"{path} max {maximum}")
    plan = {
        key: (code, f"{stem}.ofType({code})" if stem != name else name, inner.get(code)) for key, code in keys.items()
    }
    shadows = {f"_{key}": key for key in keys}

    def check(parent: Any) -> list[Problem] | None:
        found: list[Problem] | None = None
        count = 0
        items: list[tuple[str, str, Any]] = []
        for key, value in parent.items():
            hit = plan.get(key)
            if hit is None:
                if key in shadows and shadows[key] not in parent:
                    count += 1
                continue
            code, label, one = hit
            many = value.__class__ is list
            values = value if many else (value,)
            count += len(values)
            for index, item in enumerate(values):
                problems = one(item) if one is not None else None
                if slicing is not None:
                    items.append((f"{label}[{index}]" if many else label, code, item))
                if problems:
                    found = [*(found or ()), *below(f"{label}[{index}]" if many else label, problems)]
        if count < minimum:
            found = [*(found or ()), missing]
        elif 0 <= maximum < count:
            found = [*(found or ()), too_many]
        if slicing is not None:
            sliced = slicing.check(items, path)
            if sliced:
                found = [*(found or ()), *sliced]
        return found

    return check


def allowed_types(element: Element, base: Element | None, code: str, path: str) -> Check | None:
    """Types of a choice, targets of a reference and types of a nested resource, where the profile narrows them."""
    if not element.types:
        return None
    codes = {option.code for option in element.types}
    wrong = error("structure", "The type is not allowed here.", f"{path} type")
    if code == "Resource":
        return None if "Resource" in codes else resource_type(codes, wrong)
    if code not in codes:
        return (lambda value: [wrong]) if base is not None and len(base.types) > 1 else None
    targets: frozenset[str] = frozenset().union(*(o.targets for o in element.types if o.code == code))
    if code != "Reference" or not targets:
        return None
    target = error("structure", "The reference points at a type that is not allowed here.", f"{path} target")

    def check(value: Any) -> list[Problem] | None:
        found = reference_type(value)
        return [target] if found is not None and found not in targets else None

    return check


def resource_type(codes: set[str], wrong: Problem) -> Check:
    def check(value: Any) -> list[Problem] | None:
        return [wrong] if value.__class__ is dict and str(value.get("resourceType")) not in codes else None

    return check


def fixed(expected: Any, path: str) -> Check:
    wrong = error("value", "The value is not the one the profile fixes.", f"{path} fixed")
    return lambda value: None if value == expected else [wrong]


def pattern(expected: Any, path: str) -> Check:
    wrong = error("value", "The value does not have the pattern of the profile.", f"{path} pattern")
    return lambda value: None if fits(expected, value) else [wrong]


def invariant_check(keys: tuple[str, ...]) -> Check | None:
    chosen = [
        ("warning" if key.endswith("?") else "error", key.rstrip("?"), INVARIANTS[key.rstrip("?")])
        for key in keys
        if key.rstrip("?") in INVARIANTS
    ]
    if not chosen:
        return None

    def check(value: Any) -> list[Problem] | None:
        if value.__class__ is not dict:
            return None
        return [Problem(s, "invariant", i.text, key) for s, key, i in chosen if not i.holds(value)] or None

    return check
