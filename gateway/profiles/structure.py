"""Is this FHIR R4 at all: elements, cardinalities, types, required codes, references, contained resources, extensions.

Types are compiled to closures when first met. A check takes a value and gives None when all is well (the common case,
which builds nothing) or a list of Problems whose paths grow as they climb. Two problems wait for an ancestor: a local
reference (`#x`) for the resource that has to contain `x`, and an extension for an element that is its context.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from gateway.profiles.finding import Problem, error, information, warning
from gateway.profiles.objects import (
    Rule,
    accept,
    all_of,
    object_check,
    primitive,
    remembering,
    required_code,
    with_invariants,
)
from gateway.profiles.primitives import PRIMITIVES
from gateway.profiles.tables import MAX_REMEMBERED, Element, Tables, TypeRef, capital
from gateway.profiles.terminology import PLAIN, Check, absolute_system, binding_check, coding_check, plain_codes

_REFERENCE = re.compile(
    r"(?:https?://\S+/)?([A-Z][A-Za-z]+)(?:/[A-Za-z0-9.-]{1,64}(?:/_history/[A-Za-z0-9.-]{1,64})?|\?\S+)"
)
_LOGICAL_ID = re.compile(r"[A-Za-z0-9.-]{1,64}").fullmatch
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
_ABSTRACT_CONTEXTS = frozenset({"Element", "fhirpath"})
_RESOURCE_CONTEXTS = frozenset({"Resource", "DomainResource"})

ProfileOf = Callable[[str], Check | None]
"""The compiled check of a profile by URL; None for a profile nobody defined."""


class Structure:
    """The structure checks over one set of tables. `profile_of` serves types with profiles and extensions."""

    def __init__(self, tables: Tables, profile_of: ProfileOf, remember: bool = False) -> None:
        self._tables = tables
        self._remember = remember
        self._profile_of = profile_of
        self._types: dict[str, Check] = {}
        self._resources: dict[str, Check | None] = {}
        self._extensions: dict[str, tuple[Check | None, frozenset[str]] | None] = {}

    # Resources

    def resource(self, value: Any) -> list[Problem] | None:
        """A resource that stands alone, in a Bundle entry or in a parameter."""
        found = self._by_type(value)
        if found is None:
            return None if "contained" not in value else self._contained_used(value, [])
        if value.__class__ is dict:
            found = self._settled(value, found)
        return found or None

    def _by_type(self, value: Any) -> list[Problem] | None:
        if value.__class__ is not dict:
            return [error("structure", "A resource is an object.", "Resource")]
        type_name = value.get("resourceType")
        if type_name.__class__ is not str:
            return [error("structure", "resourceType is missing.", "Resource.resourceType")]
        check = self._resources.get(type_name)
        if check is None:
            definition = self._tables.type(type_name)
            if definition is None or definition.kind != "resource" or type_name in _RESOURCE_CONTEXTS:
                return [error("structure", "resourceType is not a resource type of FHIR R4.", "Resource.resourceType")]
            check = self._resources[type_name] = self._object(type_name, definition.invariants, is_resource=True)
        return check(value)

    def _settled(self, resource: dict[str, Any], found: list[Problem]) -> list[Problem]:
        """Local references meet the contained resources (ref-1, dom-3); an extension without context is an error."""
        contained = resource.get("contained")
        ids = {str(c.get("id")) for c in contained if c.__class__ is dict} if contained.__class__ is list else set()
        settled: list[Problem] = []
        used: list[str] = []
        for p in found:
            if p.local is not None:
                used.append(p.local)
                if p.local not in ids:
                    settled.append(p._replace(local=None))
            elif p.contexts:
                settled.append(p._replace(contexts=frozenset()))
            else:
                settled.append(p)
        return settled + (self._contained_used(resource, used) or [])

    def _contained_used(self, resource: dict[str, Any], used: Iterable[str]) -> list[Problem] | None:
        """dom-3: a contained resource is referred to, or refers to its container."""
        contained = resource.get("contained")
        if contained.__class__ is not list:
            return None
        used = set(used)
        if all(inner.__class__ is dict and str(inner.get("id")) in used for inner in contained):
            return None
        mentioned = used | {text[1:] for text in _strings(resource) if text.startswith("#")}
        problems = []
        for index, inner in enumerate(contained):
            if inner.__class__ is dict and str(inner.get("id")) not in mentioned and "#" not in set(_strings(inner)):
                unused = error("invariant", "A contained resource is not referred to.", "dom-3")
                problems.append(unused._replace(path=f"contained[{index}]"))
        return problems or None

    def _contained(self, value: Any) -> list[Problem] | None:
        found = self._by_type(value)
        if value.__class__ is dict:
            meta = value.get("meta")
            meta = meta if meta.__class__ is dict else {}
            for broken, text, key in (
                ("contained" in value, "A contained resource contains no resources.", "dom-2"),
                ("versionId" in meta or "lastUpdated" in meta, "A contained resource has no version.", "dom-4"),
                ("security" in meta, "A contained resource has no security label.", "dom-5"),
            ):
                if broken:
                    found = [*(found or ()), error("invariant", text, key)]
        return found

    # Types

    def type_check(self, code: str) -> Check:
        """The check of a data type by name."""
        check = self._types.get(code)
        if check is None:
            check = self._make_type(code)
            if self._remember and code not in PRIMITIVES and code not in _RESOURCE_CONTEXTS:
                check = remembering(check)
            self._types[code] = check
        return check

    def _make_type(self, code: str) -> Check:
        if code in PRIMITIVES:
            return primitive(code)
        if code in _RESOURCE_CONTEXTS:
            return self.resource
        definition = self._tables.type(code)
        if definition is None:
            return lambda value: [error("structure", f"The type {code} is not known.", code)]
        check = self._object(code, definition.invariants)
        if code == "Coding":
            return all_of([check, coding_check(self._tables.codes)])
        return all_of([check, absolute_system(code)]) if code in ("Identifier", "Quantity") else check

    def _object(self, context: str, invariants: tuple[str, ...], is_resource: bool = False) -> Check:
        """The check of an object whose children stand below `context` (`Observation.component`, `Period`)."""
        type_name, _, prefix = context.partition(".")
        children = [
            element for path, element in self._tables.elements(type_name).items() if path.rpartition(".")[0] == prefix
        ]
        rules: dict[str, Rule] = {}
        mandatory: list[str] = []
        choices: list[tuple[str, frozenset[str], int]] = []
        for element in children:
            name = element.path.rpartition(".")[2]
            keys = self._rules_of(context, name, element, rules)
            if name.endswith("[x]"):
                choices.append((name, frozenset(keys), element.min))
            elif element.min:
                mandatory.append(name)
        if is_resource:
            rules["resourceType"] = Rule("resourceType", False, False, frozenset(), lambda: accept)
        check = object_check(context, rules, tuple(mandatory), tuple(choices))
        return with_invariants(check, invariants)

    def _rules_of(self, context: str, name: str, element: Element, rules: dict[str, Rule]) -> list[str]:
        """Adds the rules of one element; gives its JSON keys, those of primitive extensions (`_x`) included."""
        many = element.max < 0 or element.max > 1
        stem = name.removesuffix("[x]")
        keys = []
        for option in element.types or (TypeRef("BackboneElement"),):
            key = stem + capital(option.code) if stem != name else name
            label = f"{stem}.ofType({option.code})" if stem != name else name
            contexts = frozenset({f"{context}.{name}", f"{context}.{stem}", f"{context}.{key}"})
            primitive = option.code in PRIMITIVES

            def make(option: TypeRef = option) -> Check:
                return self._element_check(context, name, element, option)

            rules[key] = Rule(label, many, primitive, contexts, make)
            keys.append(key)
            if primitive:
                shadow = contexts | self._lineage(option.code)
                rules[f"_{key}"] = Rule(label, many, True, shadow, lambda: self.type_check("Element"))
                keys.append(f"_{key}")
        return keys

    def _element_check(self, context: str, name: str, element: Element, option: TypeRef) -> Check:
        label = f"{context}.{name}"
        code = option.code
        if element.content:
            return self._shared(element.content)
        if code in ("BackboneElement", "Element") and self._tables.child(f"{context}.{name}", "id") is not None:
            return self._object(f"{context}.{name}", element.invariants)
        if code == "Extension":
            return self._extension(context)
        if name == "contained":
            return self._contained
        check = self._reference(option.targets, label) if code == "Reference" else self.type_check(code)
        if element.binding and code in PLAIN and element.binding[0] == "required":
            codes = plain_codes(self._tables.value_set(element.binding[1]))
            if codes is not None:
                return required_code(codes, check, label)
        extra = [self._profile_of(url) for url in option.profiles]
        if element.binding:
            value_set = self._tables.value_set(element.binding[1])
            extra.append(binding_check(code, element.binding[0], value_set, element.binding[1], label))
        return with_invariants(all_of([check, *(c for c in extra if c is not None)]), element.invariants)

    def _shared(self, path: str) -> Check:
        """contentReference: the same object as the element at `path` (`Bundle.link`)."""
        key = f"#{path}"
        check = self._types.get(key)
        if check is None:
            check = self._types[key] = self._object(path, ())
        return check

    # References and extensions

    def _reference(self, targets: frozenset[str], label: str) -> Check:
        base = self.type_check("Reference")
        wrong_type = error("structure", "The reference points at a type that is not allowed here.", f"{label} target")
        malformed = warning("value", "The reference is neither relative, local nor absolute.", f"{label} reference")
        unknown = warning("structure", "The reference names no resource type of FHIR R4.", f"{label} reference")

        def slow(text: str) -> list[Problem] | None:
            if text.startswith("#"):
                missing = error("invariant", "The reference names no contained resource.", "ref-1")
                return [missing._replace(local=text[1:], path="")] if text != "#" else None
            found = _REFERENCE.fullmatch(text)
            if found is None:
                return None if _ABSOLUTE.fullmatch(text) else [malformed]
            if not self._is_resource(found.group(1)):
                return [unknown] if ":" not in text else None
            return [wrong_type] if targets and found.group(1) not in targets else None

        def check(value: Any) -> list[Problem] | None:
            problems = base(value)
            if value.__class__ is dict:
                text = value.get("reference")
                if text.__class__ is str:
                    head, _, tail = text.partition("/")
                    more = None if head in targets and _LOGICAL_ID(tail) else slow(text)
                    if more:
                        return [*(problems or ()), *more]
                named = value.get("type")
                if targets and named.__class__ is str and ":" not in named and named not in targets:
                    return [*(problems or ()), wrong_type]
            return problems

        return check

    def _is_resource(self, name: str) -> bool:
        definition = self._tables.type(name)
        return definition is not None and definition.kind == "resource"

    def _extension(self, context: str) -> Check:
        """Extension (R4 2.4): exactly one of value and extensions; what its definition says; used in its context."""
        base = self.type_check("Extension")
        both = error("invariant", "An extension has either a value or extensions.", "ext-1")
        relative = error(
            "value", "The url of an extension is absolute, except inside another.", "Extension.url absolute"
        )
        unknown = information("informational", "The extension is not defined in the loaded packages.", "Extension.url")
        here = self._own_contexts(context)

        def check(value: Any) -> list[Problem] | None:
            found = base(value)
            if value.__class__ is not dict:
                return found
            nested = "extension" in value
            if nested == any(key.startswith(("value", "_value")) for key in value):
                found = [*(found or ()), both]
            url = value.get("url")
            if url.__class__ is not str:
                return found
            if found:
                found = [p for p in found if f"extension {url}" not in p.contexts] or None
            known = self._known_extension(url)
            if known is None:
                if ":" in url or context != "Extension":
                    found = [*(found or ()), unknown if ":" in url else relative]
                return found
            definition, contexts = known
            problems = definition(value) if definition is not None else None
            if problems:
                found = [*(found or ()), *problems]
            if contexts and contexts.isdisjoint(here):
                misplaced = error("extension", "The extension is not allowed on this element.", f"{url} context")
                found = [*(found or ()), misplaced._replace(contexts=contexts)]
            return found

        return check

    def _known_extension(self, url: str) -> tuple[Check | None, frozenset[str]] | None:
        if url not in self._extensions:
            definition = self._tables.definition(url)
            if definition is None or definition.type != "Extension":
                known = None
            else:
                known = (self._profile_of(url), frozenset(definition.contexts))
            if known is None and len(self._extensions) > MAX_REMEMBERED:
                return None
            self._extensions[url] = known
        return self._extensions[url]

    def _lineage(self, code: str) -> frozenset[str]:
        """A data type and the types above it: code, string, Element."""
        names = set()
        definition = self._tables.type(code)
        while definition is not None and definition.type not in names:
            names.add(definition.type)
            definition = self._tables.definition(definition.base)
        return frozenset(names)

    def _own_contexts(self, context: str) -> frozenset[str]:
        """The names an extension may know this container by: its path, its type and the types above it."""
        names = {context, *_ABSTRACT_CONTEXTS}
        return frozenset(names | ({"BackboneElement"} if "." in context else self._lineage(context)))


def _strings(value: Any) -> Iterable[str]:
    stack = [value]
    while stack:
        current = stack.pop()
        if current.__class__ is str:
            yield current
        elif current.__class__ is dict:
            stack.extend(current.values())
        elif current.__class__ is list:
            stack.extend(current)
