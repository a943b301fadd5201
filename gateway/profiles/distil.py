"""StructureDefinitions and ValueSets become rows of the rule tables: facts only, never prose (`short`, `definition`,
`comment`, names of codes stay behind). Used by `build.py` for our own tables and by `packages.py` at run time."""

from collections.abc import Iterable
from typing import Any

from gateway.profiles.expansion import Terminology
from gateway.profiles.tables import CORE, Definition, Element, Slicing, Tables, TypeRef, ValueSet

Json = dict[str, Any]

_SYSTEM_TYPES = "http://hl7.org/fhirpath/System."
_ANY = frozenset({"Resource", "Any", "DomainResource"})
_EVERYWHERE = frozenset({"ele-1", "ext-1", "dom-2", "dom-3", "dom-4", "dom-5", "dom-6", "dom-r4b"})
"""Invariants of Element, Extension and DomainResource: the structure check has them built in."""
_BINDING = frozenset({"required", "extensible"})


def base_definition(structure: Json) -> Definition:
    """A resource or data type as R4 defines it, every element."""
    root, *elements = structure["snapshot"]["element"]
    name = structure["type"]
    return Definition(
        url=structure["url"],
        type=name,
        kind=structure["kind"],
        derivation="specialization",
        base=structure.get("baseDefinition", ""),
        invariants=_invariants(root),
        elements=tuple(_base_element(name, structure["kind"], element) for element in elements),
    )


def _base_element(type_name: str, kind: str, element: Json) -> Element:
    path = element["path"].split(".", 1)[1]
    types = _types(element, lambda url: url.rpartition("/")[2])
    if path == "id":
        types = (TypeRef("id" if kind == "resource" else "string"),)
    return Element(
        path=path,
        min=element["min"],
        max=_max(element["max"]),
        types=types,
        invariants=_invariants(element),
        binding=_binding(element),
        content=element["contentReference"].removeprefix("#") if "contentReference" in element else None,
    )


def constraint_definition(structure: Json, base: Tables, type_of: dict[str, str]) -> Definition:
    """A profile or extension: only what it demands beyond the R4 type it constrains.

    `type_of` tells the resource type behind the URL of a profile, to name the targets of references.
    """
    snapshot = structure.get("snapshot", {}).get("element")
    elements = snapshot or structure.get("differential", {}).get("element", [])
    root = [e for e in elements if "." not in e["path"]]
    inherited = base.type(structure["type"])
    known = set(inherited.invariants) if inherited else set()
    walk = _Walk(structure["type"], elements, base)
    rows = [walk.element(e, type_of) for e in elements if "." in e["path"]]
    return Definition(
        url=structure["url"],
        type=structure["type"],
        kind=structure["kind"],
        derivation="constraint",
        base=structure.get("baseDefinition", ""),
        invariants=tuple(k for e in root for k in _invariants(e) if k not in known),
        contexts=tuple(_context(c) for c in structure.get("context", ())) if structure["type"] == "Extension" else (),
        elements=tuple(row for row in rows if row is not None),
        partial=snapshot is None,
    )


class _Walk:
    """Finds for each element of a profile the R4 element that it constrains."""

    def __init__(self, type_name: str, elements: list[Json], base: Tables) -> None:
        self._type = type_name
        self._base = base
        self._codes = {_id(e): [t["code"] for t in e.get("type", ()) if "code" in t] for e in elements}
        self._has_slices = {_id(e).rpartition(":")[0] for e in elements if ":" in _id(e).rpartition(".")[2]}

    def element(self, element: Json, type_of: dict[str, str]) -> Element | None:
        """None when the profile adds nothing here."""
        identity = _id(element)
        path = identity.split(".", 1)[1]
        is_slice = ":" in path.rpartition(".")[2]
        origin = self._origin(identity)
        row = Element(
            path=path,
            min=element.get("min", 0) if is_slice or origin is None or element.get("min", 0) > origin.min else 0,
            max=_narrower(_max(element.get("max", "*")), origin),
            types=self._narrowed(element, origin, is_slice, lambda url: type_of.get(url, url.rpartition("/")[2])),
            invariants=self._added_invariants(element, origin),
            binding=_added_binding(element, origin),
            fixed=_value(element, "fixed"),
            pattern=_value(element, "pattern"),
            slicing=_slicing(element, identity in self._has_slices),
        )
        if row == Element(path, 0, -1) and not is_slice:
            return None
        if path == "id" or (path == "url" and self._type == "Extension"):
            return None  # ids have no type of their own in R4; an extension is found by this very url
        if is_slice and _is_free_extension(row):
            return None
        return row

    def _origin(self, identity: str) -> Element | None:
        """The R4 element at this id; None when the way there is not known."""
        steps = identity.split(".")
        context: str | None = self._type
        found: Element | None = None
        for position, step in enumerate(steps[1:], start=2):
            if context is None:
                return None
            found = self._base.child(context, step.partition(":")[0])
            if found is None:
                return None
            codes = self._codes.get(".".join(steps[:position]), [])
            below = self._base.context_below(context, found)
            context = codes[0] if below is None and len(codes) == 1 else below
        return found

    def _narrowed(self, element: Json, origin: Element | None, is_slice: bool, name: Any) -> tuple[TypeRef, ...]:
        types = _types(element, name)
        if origin is None or not types:
            return types
        theirs = {t.code: t for t in origin.types}
        same = {t.code for t in types} == set(theirs) and all(
            (not t.targets or t.targets == theirs[t.code].targets) and t.profiles in ((), theirs[t.code].profiles)
            for t in types
        )
        keep = not same or (is_slice and origin.path.endswith("[x]"))
        return types if keep else ()

    def _added_invariants(self, element: Json, origin: Element | None) -> tuple[str, ...]:
        known: set[str] = set(origin.invariants) if origin else set()
        for option in origin.types if origin else ():
            definition = self._base.type(option.code)
            known |= set(definition.invariants) if definition else set()
        return tuple(key for key in _invariants(element) if key not in known)


def _is_free_extension(row: Element) -> bool:
    """A slice that only says "this extension may stand here": extensions are checked by URL wherever they stand."""
    name = row.path.rpartition(".")[2].partition(":")[0]
    return name in ("extension", "modifierExtension") and row == Element(row.path, 0, -1, row.types)


def _types(element: Json, name: Any) -> tuple[TypeRef, ...]:
    found = []
    for option in element.get("type", ()):
        code = option.get("code", "string")
        if code.startswith(_SYSTEM_TYPES):
            code = next(
                (
                    x["valueUrl"]
                    for x in option.get("extension", ())
                    if x["url"].endswith("structuredefinition-fhir-type")
                ),
                code.removeprefix(_SYSTEM_TYPES).lower(),
            )
        targets = frozenset(name(url.partition("|")[0]) for url in option.get("targetProfile", ()))
        profiles = tuple(url.partition("|")[0] for url in option.get("profile", ()))
        found.append(TypeRef(code, frozenset() if targets & _ANY else targets, profiles))
    return tuple(found)


def _id(element: Json) -> str:
    return str(element.get("id", element["path"]))


def _max(text: str) -> int:
    return -1 if text == "*" else int(text)


def _narrower(limit: int, origin: Element | None) -> int:
    if origin is None or limit < 0:
        return limit
    return limit if origin.max < 0 or limit < origin.max else -1


def _invariants(element: Json) -> tuple[str, ...]:
    return tuple(
        constraint["key"] + ("?" if constraint["severity"] == "warning" else "")
        for constraint in element.get("constraint", ())
        if constraint["key"] not in _EVERYWHERE
    )


def _binding(element: Json) -> tuple[str, str] | None:
    binding = element.get("binding", {})
    if binding.get("strength") in _BINDING and "valueSet" in binding:
        return binding["strength"], binding["valueSet"].partition("|")[0]
    return None


def _added_binding(element: Json, origin: Element | None) -> tuple[str, str] | None:
    binding = _binding(element)
    return binding if origin is None or binding != origin.binding else None


def _value(element: Json, kind: str) -> Any:
    return next((value for key, value in element.items() if key.startswith(kind)), None)


def _slicing(element: Json, has_slices: bool) -> Slicing | None:
    slicing = element.get("slicing")
    if slicing is None or (not has_slices and slicing["rules"] != "closed"):
        return None
    return Slicing(slicing["rules"], tuple((d["type"], d["path"]) for d in slicing.get("discriminator", ())))


def _context(context: Json) -> str:
    if context["type"] == "element":
        return str(context["expression"])
    return "fhirpath" if context["type"] == "fhirpath" else f"extension {context['expression']}"


def bound_value_sets(definitions: Iterable[Definition], terminology: Terminology) -> list[ValueSet]:
    """The value sets these definitions bind, as far as `terminology` defines them, by URL."""
    wanted = {e.binding[1] for d in definitions for e in d.elements if e.binding}
    found = (terminology.expand(url) for url in sorted(wanted))
    return [value_set for value_set in found if value_set is not None]


def core_names(structures: Iterable[Json]) -> dict[str, str]:
    """URL of each structure -> its resource or data type."""
    return {s["url"]: s["type"] for s in structures if "type" in s}


def is_base(structure: Json) -> bool:
    """Is this a type of R4 itself, rather than a profile or an extension?"""
    return structure["url"] == CORE + structure["type"] and structure.get("derivation") != "constraint"
