"""What a check found: a Finding for callers, a Problem while it climbs from its element to the resource."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding about a resource. Holds element names and definitions, never a value of the patient."""

    severity: str
    """error | warning | information (http://hl7.org/fhir/issue-severity)"""
    code: str
    """http://hl7.org/fhir/issue-type"""
    expression: str
    """FHIRPath of the element; of its parent when the element is missing."""
    text: str
    rule: str
    """The rule that spoke: `JP_Patient.identifier min 1`, `per-1`, `Observation.status required binding`."""


class Problem(NamedTuple):
    """A finding before its place is known: `path` grows by one step at each level it passes."""

    severity: str
    code: str
    text: str
    rule: str
    path: str = ""
    """Below the element that reports it, e.g. `coding[0].system`."""
    local: str | None = None
    """Id of a contained resource that has to exist: the resource decides (ref-1)."""
    contexts: frozenset[str] = frozenset()
    """Element paths where the extension found here is allowed: an ancestor may settle it."""


def error(code: str, text: str, rule: str) -> Problem:
    return Problem("error", code, text, rule)


def warning(code: str, text: str, rule: str) -> Problem:
    return Problem("warning", code, text, rule)


def information(code: str, text: str, rule: str) -> Problem:
    return Problem("information", code, text, rule)


def below(step: str, problems: Iterable[Problem]) -> list[Problem]:
    """The same problems seen from one level higher."""
    return [p._replace(path=f"{step}.{p.path}" if p.path else step) for p in problems]


def findings(root: str, problems: Iterable[Problem]) -> list[Finding]:
    """Findings in the order found, each only once."""
    seen: dict[Finding, None] = {}
    for p in problems:
        seen.setdefault(Finding(p.severity, p.code, f"{root}.{p.path}" if p.path else root, p.text, p.rule))
    return list(seen)


def operation_outcome(found: Iterable[Finding]) -> dict[str, Any]:
    """OperationOutcome (R4); without findings it says so in one information issue, since `issue` is 1..*."""
    issues = [_issue(finding) for finding in found]
    if not issues:
        issues = [{"severity": "information", "code": "informational", "details": {"text": "No issue found."}}]
    return {"resourceType": "OperationOutcome", "issue": issues}


def _issue(finding: Finding) -> dict[str, Any]:
    issue: dict[str, Any] = {"severity": finding.severity, "code": finding.code, "details": {"text": finding.text}}
    issue["diagnostics"] = finding.rule
    if finding.expression:  # what is no resource has no FHIRPath, and FHIR knows no empty string
        issue["expression"] = [finding.expression]
    return issue
