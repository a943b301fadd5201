"""Rule tables in memory: what a type or profile demands of its elements, and which codes a value set holds.

A table is a file of JSON lines in `mappings/profiles`. The first line names the package it was made from; every other
line is one definition (`url`, `type`, `elements`) or one value set (`url`, `systems`). `build.py` writes them and
`distil.py` says how a StructureDefinition becomes a row. Lines are decoded when first asked for: start-up only splits.

Row of an element: `[path, min, max, [types], {rest}]`; `max` is -1 without a limit. A type is written
`Quantity`, `Quantity{profile|profile}` or `Reference(Patient|Group)`. A definition with `derivation` "specialization"
lists every element of the type; one with "constraint" lists only what it demands beyond that type.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from gateway.errors import ConfigurationError

CORE = "http://hl7.org/fhir/StructureDefinition/"
UNPUBLISHED = "*"
"""In place of a list of codes: the value set takes the whole system, and its content is not in the tables."""

MAX_REMEMBERED = 4_000
"""URLs come from outside: answers about unknown ones are remembered up to this number."""

_TYPE = re.compile(r"([^({]+)(?:\(([^)]*)\))?(?:\{([^}]*)\})?")
_URL = re.compile(rb'^\{"url":"([^"]+)"')


@dataclass(frozen=True, slots=True)
class TypeRef:
    """One allowed type of an element."""

    code: str
    targets: frozenset[str] = frozenset()
    """Resource types a Reference or canonical may point at; empty: any."""
    profiles: tuple[str, ...] = ()
    """The value conforms to at least one of these."""

    @classmethod
    def parse(cls, text: str) -> "TypeRef":
        found = _TYPE.fullmatch(text)
        if found is None:
            raise ConfigurationError(f"rule table: {text!r} is not a type")
        code, targets, profiles = found.groups()
        return cls(code, frozenset(targets.split("|")) if targets else frozenset(), _split(profiles))

    def __str__(self) -> str:
        targets = f"({'|'.join(sorted(self.targets))})" if self.targets else ""
        profiles = f"{{{'|'.join(self.profiles)}}}" if self.profiles else ""
        return f"{self.code}{targets}{profiles}"


def _split(text: str | None) -> tuple[str, ...]:
    return tuple(text.split("|")) if text else ()


@dataclass(frozen=True, slots=True)
class Slicing:
    """ElementDefinition.slicing (R4 5.1.0.14)."""

    rules: str
    """open | closed | openAtEnd"""
    discriminators: tuple[tuple[str, str], ...]
    """(type, path), type being value | pattern | type | exists | profile"""


@dataclass(frozen=True, slots=True)
class Element:
    """One ElementDefinition, facts only."""

    path: str
    """Without the type name. Slices are written as in an ElementDefinition.id: `category:first.coding`."""
    min: int
    max: int
    """-1: no limit"""
    types: tuple[TypeRef, ...] = ()
    invariants: tuple[str, ...] = ()
    """Keys; a trailing `?` marks one of severity warning."""
    binding: tuple[str, str] | None = None
    """(strength, value set URL)"""
    fixed: Any = None
    pattern: Any = None
    slicing: Slicing | None = None
    content: str | None = None
    """Path (`Bundle.link`) of the element whose content this one shares (contentReference)."""

    def row(self) -> list[Any]:
        rest: dict[str, Any] = {}
        if self.invariants:
            rest["invariants"] = list(self.invariants)
        if self.binding:
            rest["binding"] = list(self.binding)
        if self.fixed is not None:
            rest["fixed"] = self.fixed
        if self.pattern is not None:
            rest["pattern"] = self.pattern
        if self.slicing:
            rest["slicing"] = [self.slicing.rules, [list(d) for d in self.slicing.discriminators]]
        if self.content:
            rest["content"] = self.content
        row: list[Any] = [self.path, self.min, self.max, [str(t) for t in self.types]]
        return [*row, rest] if rest else row

    @classmethod
    def parse(cls, row: list[Any]) -> "Element":
        rest = row[4] if len(row) > 4 else {}
        slicing = rest.get("slicing")
        binding = rest.get("binding")
        return cls(
            path=row[0],
            min=row[1],
            max=row[2],
            types=tuple(_parsed_type(text) for text in row[3]),
            invariants=tuple(rest.get("invariants", ())),
            binding=(binding[0], binding[1]) if binding else None,
            fixed=rest.get("fixed"),
            pattern=rest.get("pattern"),
            slicing=Slicing(slicing[0], tuple((d[0], d[1]) for d in slicing[1])) if slicing else None,
            content=rest.get("content"),
        )


_TYPES: dict[str, TypeRef] = {}


def _parsed_type(text: str) -> TypeRef:
    known = _TYPES.get(text)
    if known is None:
        known = _TYPES[text] = TypeRef.parse(text)
    return known


@dataclass(frozen=True, slots=True)
class Definition:
    """One StructureDefinition, facts only."""

    url: str
    type: str
    kind: str
    """resource | complex-type | primitive-type"""
    derivation: str
    base: str
    elements: tuple[Element, ...]
    invariants: tuple[str, ...] = ()
    contexts: tuple[str, ...] = ()
    """Where an extension may be used: element paths, `extension <url>`, or `fhirpath` (not evaluated)."""
    partial: bool = False
    """Made from a differential: the base definition has to be checked as well."""

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]

    def row(self) -> dict[str, Any]:
        row: dict[str, Any] = {"url": self.url, "type": self.type, "kind": self.kind, "derivation": self.derivation}
        row["base"] = self.base
        if self.partial:
            row["partial"] = True
        if self.invariants:
            row["invariants"] = list(self.invariants)
        if self.contexts:
            row["contexts"] = list(self.contexts)
        row["elements"] = [element.row() for element in self.elements]
        return row

    @classmethod
    def parse(cls, row: dict[str, Any]) -> "Definition":
        return cls(
            url=row["url"],
            type=row["type"],
            kind=row["kind"],
            derivation=row["derivation"],
            base=row["base"],
            elements=tuple(Element.parse(element) for element in row["elements"]),
            invariants=tuple(row.get("invariants", ())),
            contexts=tuple(row.get("contexts", ())),
            partial=row.get("partial", False),
        )


@dataclass(frozen=True, slots=True)
class ValueSet:
    """The codes of a value set by system; None for a system whose content is not in the tables."""

    url: str
    systems: dict[str, frozenset[str] | None]

    def row(self) -> dict[str, Any]:
        systems = {
            system: UNPUBLISHED if codes is None else sorted(codes) for system, codes in sorted(self.systems.items())
        }
        return {"url": self.url, "systems": systems}

    @classmethod
    def parse(cls, row: dict[str, Any]) -> "ValueSet":
        return cls(
            row["url"],
            {system: None if codes == UNPUBLISHED else frozenset(codes) for system, codes in row["systems"].items()},
        )


@dataclass(frozen=True, slots=True)
class CodeSystem:
    """All codes of a code system whose content is published in full."""

    url: str
    codes: frozenset[str]

    def row(self) -> dict[str, Any]:
        return {"url": self.url, "codes": sorted(self.codes)}


class Tables:
    """Definitions, value sets and code systems by URL. Nothing known ever changes; `extended` makes a larger one."""

    def __init__(
        self,
        lines: dict[str, bytes],
        definitions: dict[str, Definition],
        sets: dict[str, ValueSet],
        systems: dict[str, frozenset[str] | None],
    ) -> None:
        self._lines = lines
        self._definitions = definitions
        self._sets = sets
        self._systems = systems
        self._children: dict[tuple[str, str], Element | None] = {}
        self._by_path: dict[str, dict[str, Element]] = {}

    @classmethod
    def load(cls, files: Iterable[Path]) -> "Tables":
        """Raises ConfigurationError for a file that is not a rule table."""
        lines: dict[str, bytes] = {}
        for file in files:
            for number, line in enumerate(file.read_bytes().splitlines()):
                found = _URL.match(line)
                if found is None:
                    if number:
                        raise ConfigurationError(f"{file.name} line {number + 1} is not a row of a rule table")
                    continue
                lines.setdefault(found.group(1).decode(), line)
        return cls(lines, {}, {}, {})

    def extended(
        self, definitions: Iterable[Definition], sets: Iterable[ValueSet], systems: Iterable[CodeSystem]
    ) -> "Tables":
        """A copy with more rows; a URL that is already known keeps its first meaning."""
        codes: dict[str, frozenset[str] | None] = {s.url: s.codes for s in systems if s.url not in self._lines}
        codes |= {url: known for url, known in self._systems.items() if known is not None}
        return Tables(
            self._lines,
            {d.url: d for d in definitions if d.url not in self._lines} | self._definitions,
            {s.url: s for s in sets if s.url not in self._lines} | self._sets,
            codes,
        )

    def definition(self, url: str) -> Definition | None:
        """`url` without a version."""
        found = self._definitions.get(url)
        if found is None:
            line = self._lines.get(url)
            if line is not None and b'"elements":' in line:
                found = self._definitions[url] = Definition.parse(orjson.loads(line))
        return found

    def type(self, name: str) -> Definition | None:
        """The base definition of a resource or data type."""
        found = self.definition(CORE + name)
        return found if found is not None and found.derivation == "specialization" else None

    def value_set(self, url: str) -> ValueSet | None:
        found = self._sets.get(url)
        if found is None:
            line = self._lines.get(url)
            if line is not None and b'"systems":' in line:
                found = self._sets[url] = ValueSet.parse(orjson.loads(line))
        return found

    def codes(self, system: str) -> frozenset[str] | None:
        """All codes of a system; None when its content is not in the tables."""
        if system in self._systems:
            return self._systems[system]
        line = self._lines.get(system)
        codes = frozenset(orjson.loads(line)["codes"]) if line is not None and b'"codes":' in line else None
        if codes is not None or len(self._systems) < MAX_REMEMBERED:
            self._systems[system] = codes
        return codes

    def urls(self) -> Iterator[str]:
        yield from self._lines
        yield from (url for url in (*self._definitions, *self._sets) if url not in self._lines)

    def elements(self, type_name: str) -> dict[str, Element]:
        """Elements of a base type by path; empty for a type nobody defined."""
        found = self._by_path.get(type_name)
        if found is None:
            definition = self.type(type_name)
            found = {e.path: e for e in definition.elements} if definition else {}
            self._by_path[type_name] = found
        return found

    def child(self, context: str, name: str) -> Element | None:
        """The base element `name` below `context` (`Observation`, `Observation.component`, `CodeableConcept`).
        A choice is found by `value[x]` and by `valueQuantity`."""
        key = (context, name)
        if key not in self._children:
            self._children[key] = self._find_child(context, name)
        return self._children[key]

    def _find_child(self, context: str, name: str) -> Element | None:
        type_name, _, prefix = context.partition(".")
        elements = self.elements(type_name)
        path = f"{prefix}.{name}" if prefix else name
        found = elements.get(path)
        if found is not None:
            return found
        for element in elements.values():
            stem = element.path.removesuffix("[x]")
            if stem != element.path and path.startswith(stem) and "." not in path[len(stem) :]:
                for option in element.types:
                    if stem + capital(option.code) == path:
                        return Element(path, element.min, element.max, (option,), binding=element.binding)
        return None

    def context_below(self, context: str, element: Element) -> str | None:
        """The context in which the children of `element` are found; None when it has several types."""
        if element.content:
            return element.content
        if len(element.types) != 1:
            return None
        code = element.types[0].code
        return f"{context}.{element.path.rpartition('.')[2]}" if code in ("BackboneElement", "Element") else code


def capital(code: str) -> str:
    return code[:1].upper() + code[1:]
