"""The one door to the checks: `Validator.default().check(resource)`. Pure: a resource in, findings out."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway import mapping_files
from gateway.profiles import distil
from gateway.profiles.constraints import Profiles
from gateway.profiles.expansion import Terminology
from gateway.profiles.finding import Finding, Problem, below, error, findings, operation_outcome, warning
from gateway.profiles.packages import conformance_resources
from gateway.profiles.structure import Structure
from gateway.profiles.tables import MAX_REMEMBERED, Tables
from gateway.profiles.terminology import Check

__all__ = ["Finding", "Validator", "operation_outcome"]

TABLES = ("r4-types.jsonl", "r4-profiles.jsonl", "r4-terminology.jsonl", "jp-core.jsonl", "jp-core-terminology.jsonl")
PACKAGES_VARIABLE = "MUSUBI_FHIR_PACKAGES"
_NO_FULL_URL = frozenset({"transaction", "batch", "transaction-response", "batch-response"})


class Validator:
    """Checks FHIR R4 resources and the profiles of the loaded packages. Shared between threads: compiled checks are
    only ever added."""

    def __init__(self, tables: Tables, remember: bool = False) -> None:
        self.tables = tables
        self._profiles = Profiles(tables)
        self._structure = Structure(tables, self._profiles.lazy, remember)
        self._targets: dict[tuple[str, str], Check | None] = {}

    @classmethod
    def default(cls) -> "Validator":
        """R4 and JP Core 1.2.0 from `mappings/profiles`."""
        return cls(Tables.load(mapping_files.path("profiles", name) for name in TABLES))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Validator":
        """The default, and the packages in the folder that MUSUBI_FHIR_PACKAGES names."""
        folder = environment.get(PACKAGES_VARIABLE)
        return cls.default().with_packages(Path(folder)) if folder else cls.default()

    def with_packages(self, folder: Path) -> "Validator":
        """A validator that also knows the packages in `folder` (.tgz, unpacked, or Bundles). Definitions it knows
        already keep their meaning. Raises BadInput for a file that is no package."""
        resources = list(conformance_resources(folder))
        structures = [r for r in resources if r["resourceType"] == "StructureDefinition" and "type" in r]
        names = distil.core_names(structures) | {
            url: definition.type for url in self.tables.urls() if (definition := self.tables.definition(url))
        }
        constraints = [
            distil.constraint_definition(s, self.tables, names)
            for s in structures
            if s.get("derivation") == "constraint" and s.get("kind") != "logical"
        ]
        terminology = Terminology(resources)
        sets = distil.bound_value_sets(constraints, terminology)
        return Validator(self.tables.extended(constraints, sets, terminology.systems()))

    def remembering(self) -> "Validator":
        """The same checks for a caller that never changes an object it handed in, as ingest: parts of resources that
        were sound are known again by identity."""
        return Validator(self.tables, remember=True)

    def knows(self, url: str) -> bool:
        """Is this profile in the loaded packages?"""
        return self.tables.definition(url.partition("|")[0]) is not None

    def structure(self, resource: dict[str, Any]) -> list[Finding]:
        """Findings against FHIR R4 itself."""
        problems = self._structure.resource(resource)
        return findings(_root(resource), problems) if problems else []

    def profile(self, resource: dict[str, Any], url: str | None = None) -> list[Finding]:
        """Findings against one profile, or against each of meta.profile. An unknown profile is a warning."""
        problems = self._profile_problems(resource, url)
        return findings(_root(resource), problems) if problems else []

    def check(self, resource: dict[str, Any]) -> list[Finding]:
        """Structure and declared profiles; for a Bundle those of its entries too."""
        problems = self._problems(resource)
        return findings(_root(resource), problems) if problems else []

    def fast_ok(self, resource: dict[str, Any]) -> bool:
        """True exactly when `check` finds nothing."""
        return not self._problems(resource)

    def bundle(self, bundle: dict[str, Any]) -> list[Finding]:
        """Findings of a Bundle and of its entries, as `Bundle.entry[i].resource...`."""
        return self.check(bundle)

    def _problems(self, resource: dict[str, Any]) -> list[Problem] | None:
        try:
            found = self._structure.resource(resource)
            if resource.__class__ is not dict:
                return found
            more = self._declared(resource)
        except RecursionError:
            return [error("too-long", "The resource is nested too deeply.", "depth")]
        return [*(found or ()), *more] if more else found

    def _declared(self, resource: dict[str, Any]) -> list[Problem] | None:
        """The declared profiles of a resource, of what it contains, and of the entries of a Bundle."""
        found = self._profile_problems(resource, None)
        if "contained" in resource:
            found = [*(found or ()), *self._contained_problems(resource)]
        if resource.get("resourceType") == "Bundle":
            found = [*(found or ()), *self._entries(resource)]
        return found

    def _profile_problems(self, resource: dict[str, Any], url: str | None) -> list[Problem] | None:
        if resource.__class__ is not dict:
            return None
        if url is None:
            meta = resource.get("meta")
            declared = meta.get("profile") if meta.__class__ is dict else None
            if not declared or declared.__class__ is not list:
                return None
        else:
            declared = [url]
        found: list[Problem] | None = None
        for one in declared:
            if one.__class__ is str:
                problems = self._against(resource, one)
                if problems:
                    found = [*(found or ()), *problems]
        return found

    def _contained_problems(self, resource: dict[str, Any]) -> list[Problem]:
        """The declared profiles of contained resources."""
        contained = resource.get("contained")
        found: list[Problem] = []
        for index, inner in enumerate(contained if contained.__class__ is list else ()):
            problems = self._profile_problems(inner, None)
            if problems:
                found += below(f"contained[{index}]", problems)
        return found

    def _against(self, resource: dict[str, Any], url: str) -> list[Problem] | None:
        type_name = resource.get("resourceType")
        key = (url, type_name if type_name.__class__ is str else "")
        if key not in self._targets:
            if len(self._targets) > MAX_REMEMBERED:
                self._targets.clear()
            self._targets[key] = self._target(*key)
        check = self._targets[key]
        return check(resource) if check is not None else None

    def _target(self, url: str, type_name: str) -> Check | None:
        definition = self.tables.definition(url.partition("|")[0])
        if definition is None:
            unknown = [warning("not-found", "The profile is in none of the loaded packages.", "unknown profile")]
            return lambda resource: unknown
        if definition.type not in (type_name, "Resource", "DomainResource"):
            other = [error("structure", f"The profile is for {definition.type}.", f"{definition.name} type")]
            return lambda resource: other
        return self._profiles.check(definition.url) if definition.derivation == "constraint" else None

    def _entries(self, bundle: dict[str, Any]) -> list[Problem]:
        """What holds between a Bundle and its entries, and the declared profiles of the entries."""
        entries = bundle.get("entry")
        problems: list[Problem] = []
        for index, entry in enumerate(entries if entries.__class__ is list else ()):
            if entry.__class__ is not dict:
                continue
            step = f"entry[{index}]"
            if "fullUrl" not in entry and "resource" in entry:
                problems += below(step, [_full_url(str(bundle.get("type")))])
            resource = entry.get("resource")
            if resource.__class__ is dict:
                more = self._declared(resource)
                if more:
                    problems += below(f"{step}.resource", more)
        return problems


def _full_url(bundle_type: str) -> Problem:
    if bundle_type in _NO_FULL_URL:
        return warning(
            "required", "Without fullUrl relative references in the entry have no base.", "Bundle.entry.fullUrl"
        )
    return error("required", "An entry has a fullUrl except in transactions and batches.", "Bundle.entry.fullUrl")


def _root(resource: Any) -> str:
    type_name = resource.get("resourceType") if resource.__class__ is dict else None
    return type_name if type_name.__class__ is str and type_name.isalpha() and len(type_name) < 64 else "Resource"
