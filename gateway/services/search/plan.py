"""A FHIR search as it stands in a URL or a form -> SearchPlan (FHIR R4 3.1.1). Pure.

Answered: the parameters of mappings/search-parameters.csv; `_id`, `_lastUpdated`; `_count`, `_sort`, `_summary=count`,
`_total`, `_include`, `_revinclude`; the one chain `patient.identifier`. A parameter nobody knows is ignored and named
(`Prefer: handling=lenient`, the default) or refused (`handling=strict`); a modifier, prefix, chain or value that is
wrong on a known parameter is always refused, since ignoring it would widen the answer.

Default order: main date, newest first; a type without a date in the order of arrival. The row key makes it total.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import InvalidParameter
from gateway.model.resource import Clause, SearchPlan
from gateway.services.search import cursor
from gateway.services.search.parameters import PARAMETERS, Parameter
from gateway.services.search.values import FHIR_ID, SearchRules, clause, date_clause, patient_identifier

CURSOR = "_cursor"
_PRESENTATION = frozenset({"_format", "_pretty"})
"""How the answer looks, not what it holds; the edge has dealt with them."""
_SINGLE = frozenset({"_count", "_sort", "_summary", "_total", CURSOR})
_PRINTABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.:\-]{0,63}", re.ASCII)
_MAX_INCLUDES = 20

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Search:
    """What was understood of a query."""

    plan: SearchPlan
    used: tuple[Pair, ...]
    """Parameters that took effect, in the order given, without the cursor: the self link."""
    ignored: tuple[str, ...]
    """Names nobody here knows."""
    digest: str
    """The query in one word; a cursor is bound to it."""


def plan(
    type_: str,
    parameters: Sequence[Pair],
    *,
    rules: SearchRules,
    cursor_key: bytes,
    caller: str = "",
    strict: bool = False,
) -> Search:
    """Raises InvalidParameter with a text that names the parameter and never repeats a value."""
    if len(parameters) > rules.max_parameters:
        raise InvalidParameter(f"more than {rules.max_parameters} parameters")
    reader = _Reader(type_, rules)
    for name, value in parameters:
        reader.take(name, value)
    if strict and reader.ignored:
        raise InvalidParameter(f"parameters this server does not know on {type_}: {', '.join(reader.ignored)}")
    used = [pair for pair in reader.used if pair[0] != CURSOR]
    query = cursor.digest(type_, [pair for pair in used if pair[0] not in _PRESENTATION])
    after: cursor.Key = ()
    if CURSOR in reader.single:
        after = cursor.unseal(reader.single[CURSOR], query=query, caller=caller, key=cursor_key)
    return Search(reader.plan(after), tuple(used), tuple(dict.fromkeys(reader.ignored)), query)


class _Reader:
    """Sorts parameters into clauses, control values and what nobody knows."""

    def __init__(self, type_: str, rules: SearchRules) -> None:
        self.type, self.rules = type_, rules
        self.known = PARAMETERS[type_]
        self.clauses: list[Clause] = []
        self.ids: set[str] | None = None
        self.single: dict[str, str] = {}
        self.includes: list[Pair] = []
        self.revincludes: list[Pair] = []
        self.used: list[Pair] = []
        self.ignored: list[str] = []

    def take(self, name: str, value: str) -> None:
        base, _, modifier = name.partition(":")
        if name in _PRESENTATION:
            pass
        elif base in _SINGLE:
            self._control(name, value)
        elif base in ("_include", "_revinclude"):
            self._include(name, value)
        elif base == "_id":
            self._id(modifier, value)
        elif base == "_lastUpdated":
            if modifier:
                raise InvalidParameter("_lastUpdated takes no modifier")
            self.clauses.append(date_clause(base, base, value.split(",")))
        elif (parameter := self.known.get(re.split(r"[:.]", name, maxsplit=1)[0])) is not None:
            self.clauses.append(self._clause(parameter, name, value))
        else:
            self.ignored.append(name if _PRINTABLE.fullmatch(name) else "(unprintable)")
            return
        self.used.append((name, value))

    def _clause(self, parameter: Parameter, name: str, value: str) -> Clause:
        head, _, chain = name.partition(".")
        modifier = head.partition(":")[2]
        if parameter.is_patient and (chain == "identifier" or (modifier == "identifier" and not chain)):
            if modifier not in ("", "Patient", "identifier") or (chain and modifier == "identifier"):
                raise InvalidParameter(f"{parameter.name}: only a Patient can be meant here")
            return patient_identifier(parameter.name, value, self.rules)
        if chain:
            raise InvalidParameter(f"{parameter.name}: the only chain this server follows is patient.identifier")
        return clause(parameter, modifier, value, self.rules)

    def _control(self, name: str, value: str) -> None:
        if name not in _SINGLE:
            raise InvalidParameter(f"{name.partition(':')[0]} takes no modifier")
        if self.single.setdefault(name, value) != value:
            raise InvalidParameter(f"{name} may stand once")

    def _id(self, modifier: str, value: str) -> None:
        values = value.split(",")
        if modifier or len(values) > self.rules.max_values or not all(FHIR_ID.fullmatch(one) for one in values):
            raise InvalidParameter(f"_id: up to {self.rules.max_values} logical ids, no modifier")
        self.ids = set(values) if self.ids is None else self.ids & set(values)

    def _include(self, name: str, value: str) -> None:
        parts = value.split(":")
        if name not in ("_include", "_revinclude") or not 2 <= len(parts) <= 3:
            raise InvalidParameter(
                f"{name.partition(':')[0]}: write Type:parameter or Type:parameter:Type, no modifier"
            )
        source, parameter, target = (*parts, "")[:3]
        row = PARAMETERS.get(source, {}).get(parameter)
        if row is None or row.kind != "reference" or len(self.includes) + len(self.revincludes) >= _MAX_INCLUDES:
            raise InvalidParameter(f"{name}: not a reference parameter of a type here, or more than {_MAX_INCLUDES}")
        column = "patient" if row.is_patient else parameter
        if name == "_revinclude":
            if target not in ("", self.type):
                raise InvalidParameter("_revinclude: the last part is the type that is searched, or left out")
            self.revincludes.append((source, column))
        elif source == self.type:
            self.includes.append((column, target))
        else:
            raise InvalidParameter("_include: the first part is the type that is searched")

    def plan(self, after: cursor.Key) -> SearchPlan:
        count = self._count()
        summary, total = self.single.get("_summary", "false"), self.single.get("_total", "accurate")
        if summary not in ("count", "false"):
            raise InvalidParameter("_summary: count and false are supported")
        if total not in ("none", "estimate", "accurate"):
            raise InvalidParameter("_total is none, estimate or accurate")
        return SearchPlan(
            type=self.type,
            ids=None if self.ids is None else tuple(sorted(self.ids)),
            clauses=tuple(self.clauses),
            count=count,
            sort=self._sort(),
            after=after,
            total_only=summary == "count" or count == 0,
            with_total=total != "none" or summary == "count" or count == 0,
            includes=tuple(dict.fromkeys(self.includes)),
            revincludes=tuple(dict.fromkeys(self.revincludes)),
        )

    def _count(self) -> int:
        text = self.single.get("_count", str(self.rules.default_count))
        if not (text.isascii() and text.isdigit() and len(text) <= 9):
            raise InvalidParameter("_count is a number from 0")
        return min(int(text), self.rules.max_count)

    def _sort(self) -> tuple[str, ...]:
        main = next((row.name for row in self.known.values() if row.main_date), None)
        if "_sort" not in self.single:
            return ("-date",) if main else ()
        key = self.single["_sort"]
        descending, key = key.startswith("-"), key.removeprefix("-")
        sortable = ["_lastUpdated", *([main] if main else [])]
        if key not in sortable:
            raise InvalidParameter(f"_sort: one of {', '.join(sortable)} on {self.type}, with - for newest first")
        return (("-" if descending else "") + ("_lastUpdated" if key == "_lastUpdated" else "date"),)
