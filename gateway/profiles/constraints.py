"""What a profile or an extension definition demands beyond its R4 type, compiled to closures on first use.

A definition is a flat list of element ids; it becomes a tree of Nodes (children by name, slices by name) and each node
a check of its parent object. The structure check has its own say about the same value: a value of the wrong JSON kind
is passed over here.
"""

from typing import Any

from gateway.profiles.elements import (
    Child,
    Node,
    Slicing,
    allowed_types,
    any_of,
    child_check,
    children_check,
    fixed,
    invariant_check,
    nothing,
    pattern,
    simple_check,
    tree,
)
from gateway.profiles.finding import Problem, information
from gateway.profiles.objects import all_of
from gateway.profiles.slicing import Matcher, Slice, matcher
from gateway.profiles.tables import Definition, Element, Tables, TypeRef, capital
from gateway.profiles.terminology import Check, binding_check


def _together(checks: list[Check]) -> Check | None:
    return all_of(checks) if checks else None


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
                compiled.append(self.check(url) or nothing)
            return compiled[0](value)

        return forward

    def _definition(self, definition: Definition) -> Check:
        root = tree(definition)
        checks = self._children(root, definition.type)
        invariants = invariant_check(definition.invariants)
        if invariants:
            checks.append(invariants)
        if definition.partial:
            base = self.lazy(definition.base)
            if base is not None:
                checks.append(base)
        return _together(checks) or nothing

    def _children(self, node: Node, context: str | None) -> list[Check]:
        """The check of the object at `node` about its children, if any of them demands something."""
        made = [made for child in node.children.values() if (made := self._child(child, context)) is not None]
        return [children_check(made)] if made else []

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
            return Child(simple_check(node, key, inner[code]), present)
        return Child(child_check(node, keys, inner, slicing), present)

    def _inner(self, node: Node, base: Element | None, code: str, context: str | None) -> Check | None:
        """The check of one value of type `code` at `node`."""
        element = node.element
        checks: list[Check] = []
        allowed = allowed_types(element, base, code, node.path)
        if allowed is not None:
            checks.append(allowed)
        checks += self._type_profiles(element, code)
        if element.fixed is not None:
            checks.append(fixed(element.fixed, node.path))
        if element.pattern is not None:
            checks.append(pattern(element.pattern, node.path))
        if element.binding:
            strength, url = element.binding
            bound = binding_check(code, strength, self._tables.value_set(url), url, node.path)
            if bound:
                checks.append(bound)
        invariants = invariant_check(element.invariants)
        if invariants:
            checks.append(invariants)
        checks += self._children(node, context or code)
        return _together(checks)

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
        return [known[0] if len(known) == 1 else any_of(known, element.path)]

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
