"""Scope as conditions on resources. Every query of this package that answers a caller uses this, or `object_scope` of
reads.py."""

from sqlalchemy import ColumnElement, false, or_

from gateway.model.caller import Scope
from gateway.storage.schema import resource

NORMAL = "N"
"""Confidentiality of a resource that carries no label (v3-Confidentiality, 2.16.840.1.113883.5.25)."""


def resource_conditions(scope: Scope) -> list[ColumnElement[bool]]:
    """ANDed conditions on `resource`. Rows about no person (Organization, Practitioner) are bound by facility only."""
    conditions: list[ColumnElement[bool]] = []
    if scope.patients is not None:
        conditions.append(or_(resource.c.patient == "", resource.c.eid.in_(sorted(scope.patients))))
    if scope.excluded_facilities:
        conditions.append(resource.c.facility.not_in(sorted(scope.excluded_facilities)))
    if scope.confidentiality is not None and NORMAL not in scope.confidentiality:
        conditions.append(false())
    return conditions
