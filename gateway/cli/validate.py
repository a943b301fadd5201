"""`musubi validate`: FHIR JSON against R4 and JP Core."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli._frame import DONE, FINDINGS, JsonOption, app, need


@app.command()
def validate(
    files: Annotated[list[Path], typer.Argument(help="FHIR JSON or NDJSON files.", metavar="FILE...")],
    profile: Annotated[str, typer.Option(help="Check against this profile too (URL or JP Core name).")] = "",
    packages: Annotated[Path | None, typer.Option(help="Folder of more FHIR packages.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Check FHIR JSON against FHIR R4 and its declared profiles: one OperationOutcome a file, in order."""
    from gateway.codec.fhir import render, render_pretty
    from gateway.profiles.validator import PACKAGES_VARIABLE, Validator, operation_outcome

    environment = os.environ.get(PACKAGES_VARIABLE)
    need([*files, *([packages] if packages else []), *([Path(environment)] if environment else [])])
    validator = Validator.from_environment()
    if packages:
        validator = validator.with_packages(packages)
    url = _profile_url(profile)
    if url and not validator.knows(url):
        raise typer.BadParameter(f"{profile}: no such profile in the loaded packages", param_hint="--profile")
    worst = DONE
    for file in files:
        findings = _findings(validator, file, url)
        outcome = operation_outcome(findings)
        if as_json or len(files) > 1:
            sys.stdout.buffer.write(render(outcome) + b"\n")
        else:
            sys.stdout.buffer.write(render_pretty(outcome))
        if any(finding.severity in ("error", "fatal") for finding in findings):
            worst = FINDINGS
    sys.stdout.flush()
    return worst


def _profile_url(profile: str) -> str:
    if not profile or ":" in profile:
        return profile
    return f"http://jpfhir.jp/fhir/core/StructureDefinition/{profile}"


def _resources(file: Path) -> list[Any]:
    """One resource, or one a line (NDJSON). What is no JSON is a finding, not a crash."""
    from gateway.codec.fhir import parse
    from gateway.errors import BadInput

    data = file.read_bytes()
    try:
        return [parse(data)]
    except BadInput as error:
        lines = [line for line in data.split(b"\n") if line.strip()]
        if len(lines) < 2 or not all(line.lstrip().startswith(b"{") for line in lines):
            return [error]
    found: list[Any] = []
    for line in lines:
        try:
            found.append(parse(line))
        except BadInput as error:
            found.append(error)
    return found


def _findings(validator: Any, file: Path, url: str) -> list[Any]:
    """Of all resources of a file; in NDJSON each says its line, because the FHIRPath begins at the resource."""
    resources = _resources(file)
    found: list[Any] = []
    for number, resource in enumerate(resources, start=1):
        here = f"line {number}: " if len(resources) > 1 else ""
        found += [replace(one, text=here + one.text) for one in _check(validator, resource, url)]
    return found


def _check(validator: Any, resource: Any, url: str) -> list[Any]:
    from gateway.profiles.validator import Finding

    if isinstance(resource, Exception):
        return [Finding("fatal", "structure", "", str(resource), "FHIR JSON")]
    found = validator.bundle(resource) if resource.get("resourceType") == "Bundle" else validator.check(resource)
    return [*found, *(validator.profile(resource, url) if url else [])]
