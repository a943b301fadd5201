"""Which codes a ValueSet holds, worked out from its `compose` and the CodeSystems at hand (R4 4.9.8)."""

from collections.abc import Iterable, Iterator
from typing import Any

from gateway.profiles.tables import CodeSystem, ValueSet

Json = dict[str, Any]

MAX_CODES = 2000
"""A system that contributes more codes than this is treated like one whose content is not published."""


class Terminology:
    """CodeSystems and ValueSets by URL; the first of two with the same URL counts."""

    def __init__(self, resources: Iterable[Json]) -> None:
        self._systems: dict[str, Json] = {}
        self._sets: dict[str, Json] = {}
        for resource in resources:
            known = {"CodeSystem": self._systems, "ValueSet": self._sets}.get(resource.get("resourceType", ""))
            if known is not None and "url" in resource:
                known.setdefault(resource["url"], resource)

    def systems(self) -> list[CodeSystem]:
        """The code systems whose content is complete and not larger than MAX_CODES, by URL."""
        found = []
        for url, system in sorted(self._systems.items()):
            codes = (
                frozenset(code for code, _ in _parents(system)) if system.get("content") == "complete" else frozenset()
            )
            if 0 < len(codes) <= MAX_CODES and "|" not in url:
                found.append(CodeSystem(url, codes))
        return found

    def expand(self, url: str) -> ValueSet | None:
        """None when nobody at hand defines the value set, or when it draws on one nobody defines."""
        systems = self._expanded(url.partition("|")[0], ())
        if systems is None:
            return None
        capped = {
            s: None if codes is None or len(codes) > MAX_CODES else frozenset(codes) for s, codes in systems.items()
        }
        return ValueSet(url, capped)

    def _expanded(self, url: str, above: tuple[str, ...]) -> dict[str, set[str] | None] | None:
        resource = self._sets.get(url)
        if resource is None or url in above:
            return None
        result: dict[str, set[str] | None] = {}
        for part in resource.get("compose", {}).get("include", ()):
            included = self._part(part, (*above, url))
            if included is None:
                return None
            for system, codes in included.items():
                known = result.get(system, set())
                result[system] = None if codes is None or known is None else known | codes
        for part in resource.get("compose", {}).get("exclude", ()):
            for system, codes in (self._part(part, (*above, url)) or {}).items():
                known = result.get(system)
                if known is not None and codes is not None:
                    result[system] = known - codes
        return result

    def _part(self, part: Json, above: tuple[str, ...]) -> dict[str, set[str] | None] | None:
        if "system" in part:
            return {part["system"]: self._codes(part)}
        merged: dict[str, set[str] | None] = {}
        for url in part.get("valueSet", ()):
            imported = self._expanded(url.partition("|")[0], above)
            if imported is None:
                return None
            merged |= imported
        return merged

    def _codes(self, part: Json) -> set[str] | None:
        """Codes one include takes of its system; None: not known."""
        if "concept" in part:
            return {concept["code"] for concept in part["concept"]}
        system = self._systems.get(part["system"])
        if system is None or system.get("content") != "complete":
            return None
        parents = dict(_parents(system))
        kept = set(parents)
        for rule in part.get("filter", ()):
            if rule["property"] not in ("concept", "code") or rule["op"] not in _HIERARCHY:
                return None
            inside = _descendants(parents, rule["value"])
            kept &= {
                "is-a": inside | {rule["value"]},
                "descendent-of": inside,
                "is-not-a": set(parents) - inside - {rule["value"]},
            }[rule["op"]]
        return kept


_HIERARCHY = frozenset({"is-a", "descendent-of", "is-not-a"})


def _parents(system: Json) -> Iterator[tuple[str, frozenset[str]]]:
    """Each code with its direct parents: by nesting and by the property `subsumedBy` or `parent`."""
    stack: list[tuple[Json, frozenset[str]]] = [(concept, frozenset()) for concept in system.get("concept", ())]
    while stack:
        concept, above = stack.pop()
        named = {
            p.get("valueCode", "") for p in concept.get("property", ()) if p.get("code") in ("subsumedBy", "parent")
        }
        yield concept["code"], above | named
        stack.extend((child, frozenset({concept["code"]})) for child in concept.get("concept", ()))


def _descendants(parents: dict[str, frozenset[str]], top: str) -> set[str]:
    found: set[str] = set()
    frontier = {top}
    while frontier:
        frontier = {code for code, above in parents.items() if above & frontier} - found - {top}
        found |= frontier
    return found
