"""The search parameters of mappings/search-parameters.csv, read once and checked (FHIR R4 3.1.1; JP Core 1.2.0).

One row says: which parameter of which resource type, of what kind, and where in the resource its values are.
The CapabilityStatement, docs/fhir.md, the index (index.py) and the query (plan.py) all come from these rows.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from gateway import mapping_files
from gateway.errors import ConfigurationError

Kind = Literal["token", "code", "date", "string", "reference", "uri"]

_STEP = re.compile(r"(?P<name>[A-Za-z]+)(?P<choice>\[x])?(?:\((?P<filter>[A-Za-z_]+)\))?")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path: `effective[x]`, `telecom(phone)`, `extension(JP_Coverage_InsuredPersonNumber)`."""

    name: str
    choice: bool = False
    filter: str = ""


@dataclass(frozen=True, slots=True)
class Parameter:
    type: str
    name: str
    kind: Kind
    path: tuple[Step, ...]
    system: str
    """The system an element of kind `code` implies."""
    cite: str
    main_date: bool = False
    """The first date of its type: kept in the columns date_start and date_end of the resource itself."""
    is_patient: bool = False
    """Reads the same element as the type's `patient` parameter: kept in the column `patient`."""

    @property
    def wire_kind(self) -> str:
        """SearchParameter.type as FHIR prints it."""
        return "token" if self.kind == "code" else self.kind


def parse_path(text: str) -> tuple[Step, ...]:
    """`dosageInstruction.timing.event` as steps; a path that is not of this form is a ConfigurationError."""
    steps = []
    for part in text.split("."):
        found = _STEP.fullmatch(part)
        if found is None:
            raise ConfigurationError(f"search-parameters.csv: {text!r} is not a path")
        steps.append(Step(found["name"], bool(found["choice"]), found["filter"] or ""))
    return tuple(steps)


def read_parameters(file: Path) -> dict[str, dict[str, Parameter]]:
    """Type -> parameter -> row, in the order of the file. A doubled or malformed row is a ConfigurationError."""
    table: dict[str, dict[str, Parameter]] = {}
    patient_paths: dict[str, str] = {}
    for row in mapping_files.read_csv(file):
        type_, name, kind, path = row["type"], row["param"], row["kind"], row["path"]
        known = table.setdefault(type_, {})
        if name in known:
            raise ConfigurationError(f"search-parameters.csv: {type_}.{name} stands twice")
        if kind not in get_args(Kind) or (kind == "code") != bool(row["system"]) or not row["cite"]:
            raise ConfigurationError(f"search-parameters.csv: {type_}.{name} has a wrong kind, system or cite")
        if name == "patient":
            patient_paths[type_] = path
        known[name] = Parameter(
            type_,
            name,
            cast(Kind, kind),
            parse_path(path),
            row["system"],
            row["cite"],
            main_date=kind == "date" and not any(other.kind == "date" for other in known.values()),
            # Provenance.target names many resources; only there is the patient one of several targets.
            is_patient=patient_paths.get(type_) == path and (name == "patient" or type_ != "Provenance"),
        )
    return table


PARAMETERS = read_parameters(mapping_files.path("search-parameters.csv"))

TYPES = tuple(PARAMETERS)
"""The resource types this node answers for."""
