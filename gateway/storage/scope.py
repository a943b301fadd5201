"""Scope as conditions of a WHERE clause. Every query of this package that answers a caller uses one of these.

    resource_conditions   rows of `resource`: search, read, history, _include, _has, totals, export
    as_sql                the same as text and values, for statements that are written by hand: also documents and persons
    hidden_persons        records of the person index (PIX, PDQ, XCPD)

Consent is joined: `consent_rule` holds the rules that count now, by enterprise patient id (storage/keep_consents.py).
Of the rules that fit a row the highest `level` speaks and a deny wins a tie, so max(2 * level + deny) is even for a
permit and odd for a deny; without a rule the default of the scope stands there. The same decision in Python, for the
second look on the way out, is `sees` in model/consent.py.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any, Literal, cast

from sqlalchemy import (
    ColumnElement,
    Exists,
    FromClause,
    Select,
    and_,
    case,
    exists,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    text,
    true,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler

from gateway.model.caller import NORMAL, ConsentView, Scope, Term, TypeFilter
from gateway.model.consent import ONE, Rule, shows_person
from gateway.storage.engines import Lookups
from gateway.storage.schema import (
    consent_rule,
    identity_patient,
    registry_code,
    registry_object,
    resource,
    resource_token,
)

Condition = ColumnElement[bool]

LABEL = "_security"
"""Parameter under which `resource_token` holds meta.security."""

_LOWEST = "00000101000000"
_DOCUMENT = "DocumentReference"
_DOCUMENT_CODES = {"type": ("typeCode", "typeCodeScheme"), "category": ("classCode", "classCodeScheme")}
_rule = consent_rule.c


def resource_conditions(scope: Scope) -> list[Condition]:
    """ANDed conditions on `resource`. Rows about no person (Organization, Practitioner) are bound by facility and type
    only."""
    return _prepared("resource", scope)


def _resource(scope: Scope, table: FromClause) -> list[Condition]:
    row = table.c
    conditions: list[Condition] = []
    if scope.patients is not None:
        conditions.append(or_(row.patient == "", row.eid.in_(sorted(scope.patients))))
    if scope.excluded_facilities:
        conditions.append(row.facility.not_in(sorted(scope.excluded_facilities)))
    if scope.confidentiality is not None:
        conditions.append(_resource_labels(row, scope.confidentiality))
    if scope.types is not None:
        conditions.append(or_(false(), *(_resource_type(row, one) for one in scope.types)))
    if scope.known_at is not None:
        conditions.append(or_(row.patient == "", row.type == "Patient", _known(row, scope.known_at)))
    if scope.consent is not None:
        person = _says(scope.consent, row.eid, _about_person(row.facility), table, permit=True)
        data = _says(scope.consent, row.eid, _about_resource(row), table, permit=scope.consent.permit)
        conditions.append(or_(row.patient == "", case((row.type == "Patient", person), else_=data) % 2 == 0))
    return conditions


def _document(scope: Scope, table: FromClause) -> list[Condition]:
    row = table.c
    conditions: list[Condition] = []
    if scope.patients is not None:
        conditions.append(row.eid.in_(sorted(scope.patients)))
    if scope.excluded_facilities:
        conditions.append(row.facility.not_in(sorted(scope.excluded_facilities)))
    if scope.confidentiality is not None:
        conditions.append(~_has_label(row, registry_code.c.code.not_in(sorted(scope.confidentiality))))
    if scope.types is not None:
        named = [one for one in scope.types if one.type in ("*", _DOCUMENT)]
        conditions.append(or_(false(), *(_document_type(row, one) for one in named)))
    if scope.known_at is not None:
        conditions.append(_known(row, scope.known_at))
    if scope.consent is not None:
        said = _says(scope.consent, row.eid, _about_document(row), table, permit=scope.consent.permit)
        conditions.append(said % 2 == 0)
    return conditions


def as_sql(kind: str, scope: Scope, alias: str = "") -> tuple[str, tuple[Any, ...]]:
    """(conditions joined by AND, values for its `?`), `1 = 1` without any: for `resource` and `document` (a row of
    registry_object) under the names of their tables or an alias; for `person` the dissent of the person of a row `i` of
    identity_patient."""
    template, own = _template(scope)
    sql, names, values = _compiled(kind, template, "qmark", alias)
    return sql or "1 = 1", tuple(own.get(value, value) for value in (values[name] for name in names))


def _prepared(kind: str, scope: Scope) -> list[Condition]:
    """As one text that was made before: building these conditions anew costs more than running them."""
    template, own = _template(scope)
    sql, names, values = _compiled(kind, template, "named")
    if not sql:
        return []
    # Under names of its own: the statement around it names its parameters after columns too.
    bound = {f"scope_{name}": own.get(values[name], values[name]) for name in names}
    return [cast(Condition, text(_BOUND.sub(r":scope_\1", sql)).bindparams(**bound))]


_BOUND = re.compile(r":(\w+)")
_AT, _OWN, _ONE = "\x00at", "\x00organization", "\x00patient"
"""What stands in a template for the values in which most callers differ."""


def _template(scope: Scope) -> tuple[Scope, dict[Any, Any]]:
    """The scope with marks instead of moment, organisation and a single patient, and what the marks stand for."""
    own: dict[Any, Any] = {}
    view, patients = scope.consent, scope.patients
    if patients is not None and len(patients) == 1:
        (own[_ONE],) = patients
        patients = frozenset({_ONE})
    if view is not None:
        own |= {_AT: view.at, _OWN: view.organization}
        view = view._replace(at=_AT, organization=_OWN)
    return replace(scope, patients=patients, consent=view), own


@lru_cache(maxsize=2048)
def _compiled(kind: str, template: Scope, style: str, alias: str = "") -> tuple[str, tuple[str, ...], dict[str, Any]]:
    """(text, names of its parameters in order, their values); no text for a scope without limits."""
    table = _TABLES.get(kind)
    if table is None:
        conditions = _person(template)
    else:
        table = table.alias(alias) if alias else table
        conditions = (_resource if kind == "resource" else _document)(template, table)
    if not conditions:
        return "", (), {}
    # Compiled inside a query over their table: a sub-select is about its rows only where there is one around it.
    around: Select[Any] = select(literal_column("1")).where(*conditions)
    if table is not None:
        around = around.select_from(table)
    made = around.compile(dialect=_DIALECTS[style], compile_kwargs={"render_postcompile": True})
    values = dict(made.params)
    return f"({str(made).partition('WHERE ')[2]})", tuple(made.positiontup or values), values


_TABLES: dict[str, FromClause] = {"resource": resource, "document": registry_object}


class _Words(SQLiteCompiler):
    """What both databases read: neither has the other's truth values, nor a sub-select without a name."""

    def visit_true(self, expr: Any, **_: Any) -> str:
        return "1 = 1"

    def visit_false(self, expr: Any, **_: Any) -> str:
        return "1 = 0"

    def visit_empty_set_expr(self, element_types: Any, **_: Any) -> str:
        return "SELECT NULL WHERE 1 = 0"


def _dialect(style: Literal["qmark", "named"]) -> Any:
    dialect = sqlite.dialect(paramstyle=style)
    dialect.statement_compiler = _Words
    dialect.supports_native_boolean = True  # a truth value stands as it is, not compared with 1
    return dialect


_DIALECTS = {"qmark": _dialect("qmark"), "named": _dialect("named")}


def _person(scope: Scope) -> list[Condition]:
    if scope.consent is None:
        return []
    facility: Any = literal_column("i.facility")
    return [_says(scope.consent, literal_column("i.eid"), _about_person(facility), permit=True) % 2 == 0]


def hidden_persons(ask: Lookups, scope: Scope, records: Iterable[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """Of these (enterprise id, facility) those that an explicit dissent hides from the caller."""
    view = scope.consent
    wanted = set(records) if view is not None else set()
    if view is None or not wanted:
        return frozenset()
    rules = rules_of(ask, {eid for eid, _ in wanted})
    return frozenset(
        (eid, facility) for eid, facility in wanted if eid in rules and not shows_person(view, facility, rules[eid])
    )


def rules_of(ask: Lookups, eids: Iterable[str]) -> dict[str, list[Rule]]:
    """The rules that count for these persons; who has none is left out."""
    found: dict[str, list[Rule]] = {}
    for eid, level, deny, *rest in ask.among(_RULES, sorted(set(eids))):
        found.setdefault(eid, []).append(Rule(level, bool(deny), *rest))
    return found


_RULES = f"SELECT eid, {', '.join(Rule._fields)} FROM consent_rule WHERE eid IN (@)"


# -- consent ----------------------------------------------------------------------------------------------------------


def _says(view: ConsentView, eid: Any, about: Condition, *outer: FromClause, permit: bool) -> Any:
    """What the rules of the person of a row of `outer` say about it: even is permit."""
    said = (
        select(func.max(_rule.level * 2 + _rule.deny))
        .where(
            _rule.eid == eid,
            _rule.purpose.in_(sorted({"", *view.purposes})),
            _rule.organization.in_(sorted({"", view.organization})),
            _rule.role.in_(sorted({"", *view.roles})),
            _rule.valid_from <= view.at,
            or_(_rule.valid_to == "", _rule.valid_to > view.at),
            about,
        )
        .correlate(*outer)
        .scalar_subquery()
    )
    return func.coalesce(said, literal(0 if permit else 1))


def _about_person(facility: Any) -> Condition:
    dissent = and_(
        _rule.param == "",
        _rule.data_from == "",
        _rule.data_to == "",
        _rule.confidentiality == "",
        _rule.type.in_(("", "Patient")),
    )
    return and_(_rule.facility.in_(("", facility)), or_(_rule.deny == 0, dissent))


def _about_resource(row: Any) -> Condition:
    token = resource_token.c
    coded = _exists(
        row,
        token.n == row.n,
        token.param == _rule.param,
        token.code == _rule.code,
        or_(_rule.system == "", token.system == _rule.system),
    )
    labelled = _exists(row, token.n == row.n, token.param == LABEL, token.code == _rule.confidentiality)
    unlabelled = ~_exists(row, token.n == row.n, token.param == LABEL)
    return and_(
        _rule.facility.in_(("", row.facility)),
        _rule.type.in_(("", row.type)),
        or_(_rule.param == "", and_(_rule.param == ONE, _rule.code == row.rid), coded),
        or_(_rule.confidentiality == "", labelled, and_(_rule.confidentiality == NORMAL, unlabelled)),
        _in_period(row.date_start),
    )


def _about_document(row: Any) -> Condition:
    coded = or_(
        false(),
        *(
            and_(_rule.param == param, row[code] == _rule.code, or_(_rule.system == "", row[scheme] == _rule.system))
            for param, (code, scheme) in _DOCUMENT_CODES.items()
        ),
    )
    return and_(
        _rule.facility.in_(("", row.facility)),
        _rule.type.in_(("", _DOCUMENT)),
        or_(_rule.param == "", and_(_rule.param == ONE, _rule.code.in_((row.entryUUID, row.uniqueId))), coded),
        or_(_rule.confidentiality == "", _has_label(row, registry_code.c.code == _rule.confidentiality)),
        _in_period(_document_date(row)),
    )


def _in_period(date: Any) -> Condition:
    """What has no date could be of that time: a deny fits it, a permit does not."""
    inside = and_(_rule.data_from <= date, or_(_rule.data_to == "", date < _rule.data_to))
    return or_(
        and_(_rule.data_from == "", _rule.data_to == ""), and_(date == "", _rule.deny == 1), and_(date != "", inside)
    )


def _document_date(row: Any) -> Any:
    """Start of the service, else creation, of a DTM in UTC to an instant; '' when neither is there."""
    dtm = func.coalesce(func.nullif(row.serviceStartTime, ""), row.time)
    full = dtm.concat(func.substr(_LOWEST, func.length(dtm) + 1))

    def part(start: int, length: int) -> Any:
        return func.substr(full, start, length)

    instant = (
        part(1, 4).concat("-").concat(part(5, 2)).concat("-").concat(part(7, 2)).concat("T")
        .concat(part(9, 2)).concat(":").concat(part(11, 2)).concat(":").concat(part(13, 2)).concat(".000Z")
    )  # fmt: skip
    return case((dtm == "", ""), else_=instant)


# -- types, labels, relation ------------------------------------------------------------------------------------------


def _resource_labels(row: Any, allowed: frozenset[str]) -> Condition:
    """Every label is an allowed one; no label is N."""
    token = resource_token.c
    of_row = (token.n == row.n, token.param == LABEL)
    within = ~_exists(row, *of_row, token.code.not_in(sorted(allowed)))
    return within if NORMAL in allowed else and_(_exists(row, *of_row), within)


def _resource_type(row: Any, wanted: TypeFilter) -> Condition:
    conditions: list[Condition] = [true() if wanted.type == "*" else row.type == wanted.type]
    if wanted.since:
        conditions.append(row.date_start >= wanted.since)
    conditions += [_resource_term(row, term) for term in wanted.terms]
    return and_(*conditions)


def _resource_term(row: Any, term: Term) -> Condition:
    token = resource_token.c
    codes = [and_(token.code == code, token.system == system if system else true()) for system, code in term.values]
    return _exists(row, token.n == row.n, token.param == term.param, or_(false(), *codes))


def _document_type(row: Any, wanted: TypeFilter) -> Condition:
    conditions: list[Condition] = [true()]
    if wanted.since:
        conditions.append(_document_date(row) >= wanted.since)
    for term in wanted.terms:
        if term.param not in _DOCUMENT_CODES:
            return false()
        code_column, scheme_column = (row[name] for name in _DOCUMENT_CODES[term.param])
        conditions.append(or_(false(), *(_coded(code_column, scheme_column, *one) for one in term.values)))
    return and_(*conditions)


def _coded(column: Any, scheme: Any, system: str, code: str) -> Condition:
    return and_(column == code, scheme == system) if system else column == code


def _known(row: Any, facilities: frozenset[str]) -> Condition:
    known = identity_patient.c
    return _exists(row, known.eid == row.eid, known.facility.in_(sorted(facilities)))


def _exists(row: Any, *conditions: Condition) -> Exists:
    """A sub-select about a row of the query around it, which is never one of its own tables: also where the condition
    stands alone (`as_sql`), and inside another sub-select."""
    return exists().where(*conditions).correlate(row.eid.table, consent_rule)


def _has_label(row: Any, condition: Condition) -> Condition:
    code = registry_code.c
    return _exists(row, code.n == row.n, code.attribute == "confidentialityCode", condition)
