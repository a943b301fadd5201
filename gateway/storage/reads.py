"""Statements of what is asked all day, as text for a reading connection of the thread's own (engines.Lookups).

Building one with SQLAlchemy costs ten times running it: FindDocuments is three index steps. Text here is only ever ours
(columns, conditions); what a caller wrote is bound. Marks are `?`, mixed-case names stand in double quotes, and nothing
is used that SQLite and PostgreSQL do not both speak. Lists are filled up with their last value, so that only a few
shapes of a statement exist and the driver's cache of prepared ones holds them all.
"""

from collections.abc import Sequence

from gateway.model.caller import Scope
from gateway.model.document import FOLDER, HAS_MEMBER, SUBMISSION_SET

_SIZES = (1, 2, 4, 8, 16, 64, 400)


class Where:
    """ANDed conditions and what is bound to their marks, in one order."""

    __slots__ = ("_parts", "values")

    def __init__(self) -> None:
        self._parts: list[str] = []
        self.values: list[object] = []

    def add(self, condition: str, *values: object) -> None:
        self._parts.append(condition)
        self.values += values

    def among(self, column: str, values: Sequence[object], *, negated: bool = False) -> None:
        """column IN (values); nothing is among nothing."""
        if not values:
            if not negated:
                self._parts.append("1 = 0")
            return
        marks, bound = listed(values)
        if len(bound) == 1:
            self._parts.append(f"{column} {'<>' if negated else '='} ?")
        else:
            self._parts.append(f"{column} {'NOT IN' if negated else 'IN'} ({marks})")
        self.values += bound

    def any_of(self, conditions: Sequence[tuple[str, Sequence[object]]]) -> None:
        """One of the conditions has to hold."""
        self._parts.append(f"({' OR '.join(text for text, _ in conditions)})")
        for _, values in conditions:
            self.values += values

    def __str__(self) -> str:
        return " AND ".join(self._parts) or "1 = 1"


def listed(values: Sequence[object]) -> tuple[str, list[object]]:
    """The marks of an IN list and its values, filled up to one of a few sizes."""
    bound = list(values)
    size = next((size for size in _SIZES if size >= len(bound)), len(bound))
    bound += bound[-1:] * (size - len(bound))
    return ",".join("?" * size), bound


# -- scope -------------------------------------------------------------------------------------------------------

_MEMBERS = (
    "SELECT 1 FROM association m JOIN registry_object x ON x.n = m.target"
    f" WHERE m.source = {{alias}}.n AND m.type = '{HAS_MEMBER}'"
    f" AND x.\"objectType\" NOT IN ('{SUBMISSION_SET}', '{FOLDER}')"
)


def object_scope(scope: Scope, where: Where, alias: str = "d") -> None:
    """What `scope` lets a caller see of `registry_object` (storage/scope.py has the same for resources). Every statement
    over registry objects adds this.

    A document is seen when all its confidentiality codes are allowed; a SubmissionSet or Folder when one of its
    documents is seen, or it has none: its title and author say what the documents are about.
    """
    _own_limits(scope, where, alias)
    if scope.confidentiality is None and not scope.excluded_facilities:
        return
    seen = Where()
    _own_limits(scope, seen, "x")
    members = _MEMBERS.format(alias=alias)
    where.any_of(
        [
            (f"{alias}.\"objectType\" NOT IN ('{SUBMISSION_SET}', '{FOLDER}')", ()),
            (f"NOT EXISTS ({members})", ()),
            (f"EXISTS ({members} AND {seen})", seen.values),
        ]
    )


def _own_limits(scope: Scope, where: Where, alias: str) -> None:
    if scope.patients is not None:
        where.among(f"{alias}.eid", sorted(scope.patients))
    if scope.excluded_facilities:
        where.among(f"{alias}.facility", sorted(scope.excluded_facilities), negated=True)
    if scope.confidentiality is not None:
        hidden = Where()
        hidden.add(f"s.n = {alias}.n AND s.attribute = 'confidentialityCode'")
        hidden.among("s.code", sorted(scope.confidentiality), negated=True)
        where.add(f"NOT EXISTS (SELECT 1 FROM registry_code s WHERE {hidden})", *hidden.values)
