"""What a profile or an extension definition demands beyond its R4 type, compiled to closures on first use.

A definition is a flat list of element ids; it becomes a tree of Nodes (children by name, slices by name) and each node
a check of its parent object. The structure check has its own say about the same value: a value of the wrong JSON kind
is passed over here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.profiles.finding import Problem, below, error, information
from gateway.profiles.invariants import INVARIANTS
from gateway.profiles.slicing import Matcher, Slice, matcher, reference_type
from gateway.profiles.tables import Definition, Element, Tables, TypeRef, capital
from gateway.profiles.terminology import Check, binding_check


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


class Profiles:
    """The checks of profiles by URL over one set of tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._checks: dict[str, Check] = {}

    def check(self, url: str) -> Check | None:
        """The check of a value against the definition; None when no package at hand has it."""
        found = self._checks.get(url)
        if found is None:
            definition = self._tables.definition(url)
            if definition is None:
                return None
            found = self._checks[url] = self._definition(definition)
        return found

    def lazy(self, url: str) -> Check | None:
        """Like `check`, but compiled at first use: definitions may mention one another."""
        definition = self._tables.definition(url)
        if definition is None or definition.derivation == "specialization":
            return None
        compiled: list[Check] = []

        def forward(value: Any) -> list[Problem] | None:
            if not compiled:
                compiled.append(self.check(url) or _nothing)
            return compiled[0](value)

        return forward

    def _definition(self, definition: Definition) -> Check:
        root = tree(definition)
        checks = self._children(root, definition.type)
        invariants = _invariant_check(definition.invariants)
        if invariants:
            checks.append(invariants)
        if definition.partial:
            base = self.lazy(definition.base)
            if base is not None:
                checks.append(base)
        return _all_of(checks) or _nothing

    def _children(self, node: Node, context: str | None) -> list[Check]:
        """The check of the object at `node` about its children, if any of them demands something."""
        made = [made for child in node.children.values() if (made := self._child(child, context)) is not None]
        return [_children_check(made)] if made else []

    def _child(self, node: Node, context: str | None) -> "Child | None":
        """What the parent object has to check about its element `node`."""
        if node.is_silent():
            return None
        base = self._tables.child(context, node.name) if context else None
        stem = node.name.removesuffix("[x]")
        options = base.types if base and base.types else (TypeRef("BackboneElement"),)
        keys = {(stem + capital(option.code) if stem != node.name else node.name): option.code for option in options}
        below_context = self._tables.context_below(context, base) if base and context else None
        inner = {code: self._inner(node, base, code, below_context) for code in keys.values()}
        slicing = self._slicing(node, base, below_context)
        if slicing is None and not node.element.min and node.element.max < 0 and not any(inner.values()):
            return None
        needed = node.element.min > 0 or (slicing is not None and any(one.min for one in slicing.slices))
        present = () if needed else tuple(name for key in keys for name in (key, f"_{key}"))
        if slicing is None and len(keys) == 1:
            (key, code), *_ = keys.items()
            return Child(_simple_check(node, key, inner[code]), present)
        return Child(_child_check(node, keys, inner, slicing), present)

    def _inner(self, node: Node, base: Element | None, code: str, context: str | None) -> Check | None:
        """The check of one value of type `code` at `node`."""
        element = node.element
        checks: list[Check] = []
        allowed = _allowed_types(element, base, code, node.path)
        if allowed is not None:
            checks.append(allowed)
        checks += self._type_profiles(element, code)
        if element.fixed is not None:
            checks.append(_fixed(element.fixed, node.path))
        if element.pattern is not None:
            checks.append(_pattern(element.pattern, node.path))
        if element.binding:
            strength, url = element.binding
            bound = binding_check(code, strength, self._tables.value_set(url), url, node.path)
            if bound:
                checks.append(bound)
        invariants = _invariant_check(element.invariants)
        if invariants:
            checks.append(invariants)
        checks += self._children(node, context or code)
        return _all_of(checks)

    def _type_profiles(self, element: Element, code: str) -> list[Check]:
        """A value conforms to one of the profiles of its type; a profile nobody defined demands nothing. The content
        of an extension is left to the structure check, which finds its definition by URL."""
        if code == "Extension":
            return []
        options = [option for option in element.types if option.code == code]
        if not options or any(not option.profiles for option in options):
            return []
        checks = [self.lazy(url) for option in options for url in option.profiles]
        known = [check for check in checks if check is not None]
        if len(known) < len(checks) or not known:
            return []
        return [known[0] if len(known) == 1 else _any_of(known, element.path)]

    def _slicing(self, node: Node, base: Element | None, context: str | None) -> "Slicing | None":
        """The slices of `node` that demand something; all of them when the slicing is closed."""
        slicing = node.element.slicing
        closed = slicing is not None and slicing.rules == "closed"
        wanted = {name: part for name, part in node.slices.items() if closed or not _is_free(part)}
        if not wanted:
            return None
        discriminators = slicing.discriminators if slicing else ()
        if not discriminators and node.name.endswith("[x]"):
            discriminators = (("type", "$this"),)
        slices = []
        for name, part in wanted.items():
            match = self._matcher(part, discriminators)
            if match is None:
                return Slicing(
                    (), False, information("not-supported", "A slicing is not checked.", f"{node.path} slicing")
                )
            codes = [t.code for t in part.element.types] or [t.code for t in (base.types if base else ())]
            inner = {
                code: self._inner(part, base, code, context if context and len(codes) != 1 else _context(context, code))
                for code in codes or ["BackboneElement"]
            }
            nested = self._slicing(part, base, context)
            slices.append(Slice(f"{node.path}:{name}", part.element.min, part.element.max, match, inner, nested))
        return Slicing(tuple(slices), closed, None)

    def _matcher(self, part: Node, discriminators: tuple[tuple[str, str], ...]) -> Matcher | None:
        found = [matcher(kind, path, part, self._tables, self.lazy) for kind, path in discriminators]
        known = [match for match in found if match is not None]
        if not known or len(known) < len(found):
            return None
        if len(known) == 1:
            return known[0]
        return lambda value, code: all(match(value, code) for match in known)


def _context(context: str | None, code: str) -> str:
    """Children of a backbone stand below its path, those of a data type below the type."""
    return context if context and code in ("BackboneElement", "Element") else code


def _is_free(part: Node) -> bool:
    element = part.element
    plain = all(option.code == "Extension" or not (option.profiles or option.targets) for option in element.types)
    return not part.children and not part.slices and plain and element == Element(element.path, 0, -1, element.types)


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


def _nothing(value: Any) -> None:
    return None


def _all_of(checks: list[Check]) -> Check | None:
    if len(checks) < 2:
        return checks[0] if checks else None

    def check(value: Any) -> list[Problem] | None:
        found: list[Problem] | None = None
        for one in checks:
            problems = one(value)
            if problems:
                found = [*(found or ()), *problems]
        return found

    return check


def _any_of(checks: list[Check], path: str) -> Check:
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


def _children_check(children: list[Child]) -> Check:
    always = tuple(child.check for child in children if not child.present)
    by_key = tuple((key, child.check) for child in children for key in child.present)

    def check(parent: Any) -> list[Problem] | None:
        if parent.__class__ is not dict:
            return None
        found: list[Problem] | None = None
        for one in always:
            problems = one(parent)
            if problems:
                found = [*(found or ()), *problems]
        for key, one in by_key:
            if key in parent:
                problems = one(parent)
                if problems:
                    found = [*(found or ()), *problems]
        return found

    return check


def _simple_check(node: Node, key: str, inner: Check | None) -> Check:
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


def _child_check(node: Node, keys: dict[str, str], inner: dict[str, Check | None], slicing: Slicing | None) -> Check:
    """`keys` are the JSON keys of the element with their type."""
    minimum, maximum, name, path = node.element.min, node.element.max, node.name, node.path
    stem = name.removesuffix("[x]")
    missing = error("required", f"{name} needs at least {minimum}.", f"{path} min {minimum}")
    too_many = error("structure", f"{name} allows at most {maximum}.", f"{path} max {maximum}")
    plan = tuple(
        (key, f"_{key}", code, f"{stem}.ofType({code})" if stem != name else name, inner.get(code))
        for key, code in keys.items()
    )

    def check(parent: Any) -> list[Problem] | None:
        found: list[Problem] | None = None
        count = 0
        items: list[tuple[str, str, Any]] = []
        for key, shadow, code, label, one in plan:
            value = parent.get(key)
            if value is None:
                if shadow in parent:
                    count += 1
                continue
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


def _allowed_types(element: Element, base: Element | None, code: str, path: str) -> Check | None:
    """Types of a choice, targets of a reference and types of a nested resource, where the profile narrows them."""
    if not element.types:
        return None
    codes = {option.code for option in element.types}
    wrong = error("structure", "The type is not allowed here.", f"{path} type")
    if code == "Resource":
        return None if "Resource" in codes else _resource_type(codes, wrong)
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


def _resource_type(codes: set[str], wrong: Problem) -> Check:
    def check(value: Any) -> list[Problem] | None:
        return [wrong] if value.__class__ is dict and str(value.get("resourceType")) not in codes else None

    return check


def _fixed(expected: Any, path: str) -> Check:
    wrong = error("value", "The value is not the one the profile fixes.", f"{path} fixed")
    return lambda value: None if value == expected else [wrong]


def _pattern(expected: Any, path: str) -> Check:
    wrong = error("value", "The value does not have the pattern of the profile.", f"{path} pattern")
    return lambda value: None if fits(expected, value) else [wrong]


def fits(pattern: Any, value: Any) -> bool:
    """Does `value` contain `pattern` (ElementDefinition.pattern[x]: objects by key, arrays by any item)?"""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(key in value and fits(want, value[key]) for key, want in pattern.items())
    if isinstance(pattern, list):
        return isinstance(value, list) and all(any(fits(want, item) for item in value) for want in pattern)
    return bool(pattern == value)


def _invariant_check(keys: tuple[str, ...]) -> Check | None:
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


ProfileOf = Callable[[str], Check | None]
