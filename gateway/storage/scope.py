"""Scope as conditions of a WHERE clause. Every query of this package that answers a caller uses one of these."""

from sqlalchemy import ColumnElement, exists, false, or_, select

from gateway.model.caller import Scope
from gateway.storage.schema import registry_code, registry_object, resource

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


def document_conditions(scope: Scope) -> list[ColumnElement[bool]]:
    """ANDed conditions on `registry_object`: a document is seen when all its confidentiality codes are allowed."""
    conditions: list[ColumnElement[bool]] = []
    if scope.patients is not None:
        conditions.append(registry_object.c.eid.in_(sorted(scope.patients)))
    if scope.excluded_facilities:
        conditions.append(registry_object.c.facility.not_in(sorted(scope.excluded_facilities)))
    if scope.confidentiality is not None:
        hidden = select(registry_code.c.n).where(
            registry_code.c.n == registry_object.c.n,
            registry_code.c.attribute == "confidentialityCode",
            registry_code.c.code.not_in(sorted(scope.confidentiality)),
        )
        conditions.append(~exists(hidden))
    return conditions
