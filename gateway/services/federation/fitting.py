"""A FHIR search applied to resources in memory: those that came inside documents, of a community that has no FHIR.

The same index values are compared that storage keeps (services/search/index.py), by the same plan.
"""

from gateway.errors import GatewayError
from gateway.model.resource import (
    Clause,
    DateClause,
    PatientIdentifierClause,
    ReferenceClause,
    Rendered,
    SearchPlan,
    StringClause,
    TokenClause,
)
from gateway.services.search import index
from gateway.services.search.index import FIRST, LAST


def rendered(resource: dict[str, object]) -> Rendered | None:
    """Index values of a resource somebody else made; None when they cannot be read."""
    try:
        return index(resource, rank=0)
    except (GatewayError, AttributeError, KeyError, TypeError, ValueError):
        return None


def fits(plan: SearchPlan, one: Rendered) -> bool:
    """Whether the plan's conditions hold. Those on the patient do by themselves: it was asked about nobody else."""
    if one.type != plan.type or (plan.ids is not None and one.id not in plan.ids):
        return False
    return all(_holds(clause, one) for clause in plan.clauses)


def _holds(clause: Clause, one: Rendered) -> bool:
    if isinstance(clause, PatientIdentifierClause):
        return True
    if isinstance(clause, TokenClause):
        return _token(clause, one) != clause.negated
    if isinstance(clause, DateClause):
        return _date(clause, one)
    if isinstance(clause, StringClause):
        return _string(clause, one)
    return _reference(clause, one)


def _token(clause: TokenClause, one: Rendered) -> bool:
    if clause.param == "status":
        return any(code is None or code == one.status for _, code in clause.values) and bool(one.status)
    return any(
        (system is None or system == token.system) and (code is None or code == token.code)
        for token in one.tokens
        if token.param == clause.param
        for system, code in clause.values
    )


def _date(clause: DateClause, one: Rendered) -> bool:
    if clause.param == "date":
        spans = [(one.date_start, one.date_end)] if one.date_start else []
    elif clause.param == "_lastUpdated":
        return True  # of a document's resource nobody knows it
    else:
        spans = [(text.split("/")[0], text.split("/")[1]) for name, text in one.strings if name == clause.param]
    return any(_compared(prefix, start, end, *span) for span in spans for prefix, start, end in clause.values)


def _compared(prefix: str, start: str, end: str, first: str, last: str) -> bool:
    """R4 3.1.1.4.7: the searched period [start, end) against that of the resource [first, last)."""
    inside = start <= first and last <= end
    match prefix:
        case "eq":
            return inside
        case "ne":
            return not inside
        case "gt":
            return last > end
        case "lt":
            return first < start
        case "ge":
            return last > end or inside
        case "le":
            return first < start or inside
        case "sa":
            return first >= end and first != FIRST
        case "eb":
            return last <= start and last != LAST
    return first < end and start < last  # ap


def _string(clause: StringClause, one: Rendered) -> bool:
    name = f"{clause.param}:exact" if clause.match == "exact" else clause.param
    texts = [text for given, text in one.strings if given == name]
    if clause.match == "exact":
        return any(text in clause.values for text in texts)
    if clause.match == "contains":
        return any(value in text for text in texts for value in clause.values)
    return any(text.startswith(value) for text in texts for value in clause.values)


def _reference(clause: ReferenceClause, one: Rendered) -> bool:
    if clause.param == "patient":
        return True
    return any(name == clause.param and target in clause.values for name, target in one.references)
