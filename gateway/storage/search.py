"""SearchPlan + Scope -> SQL over the index tables (schema/). What is in which table: services/search/index.py.

Two forms of query, chosen here and not left to the planner's statistics, which a growing database does not have:

* Something selective is asked (a code, an identifier, a reference, a name): a sub-select over that index table gives
  the row numbers, `resource` is read by number. With a patient, the token index (type, param, code, patient,
  date_start) narrows to the person and the period before `resource` is touched.
* Otherwise `resource` is read along (patient, type, date_start), (type, date_start) or (type, last_updated), already
  in the order of the answer.

The other conditions are tried row by row through the primary keys of the index tables, which begin with `n`.
Pages go by key (sort column, n), never by offset. Totals are counted under the same conditions, scope included.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, false, func, not_, or_, select, true, tuple_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.visitors import InternalTraversal

from gateway.errors import TooManyResults
from gateway.model.caller import Scope
from gateway.model.resource import (
    Clause,
    DateClause,
    PatientIdentifierClause,
    ReferenceClause,
    SearchPage,
    SearchPlan,
    StoredResource,
    StringClause,
    TokenClause,
)
from gateway.storage.schema import (
    identity,
    identity_patient,
    resource,
    resource_reference,
    resource_string,
    resource_token,
)
from gateway.storage.scope import resource_conditions

MAX_INCLUDED = 1000
"""Resources that `_include` and `_revinclude` may bring along on one page (specs: limits of search)."""

_FRAME = len('{"resourceType":"","id":"","meta":{')
_HIGHEST = "\U0010ffff"  # sorts after every text that starts with the same prefix (code point order)
_SELECTIVE = ("identifier", "code")

Condition = ColumnElement[bool]
_Row = Any  # a Row of _ROW; its type parameters differ between SQLAlchemy 2.0 and 2.1
_r, _t, _s, _f = resource.c, resource_token.c, resource_string.c, resource_reference.c
_ROW = (_r.n, _r.type, _r.rid, _r.version, _r.last_updated, _r.deleted, _r.body, _r.patient, _r.date_start)


class _Common(ColumnElement[bool]):
    """A condition that most rows meet. SQLite, which without statistics takes every `=` for a rare one, would otherwise
    read all of a type in a period rather than all of a person in it; other databases keep statistics."""

    inherit_cache = True
    _traverse_internals = [("condition", InternalTraversal.dp_clauseelement)]  # noqa: RUF012 - SQLAlchemy's protocol

    def __init__(self, condition: Condition) -> None:
        self.condition = condition


@compiles(_Common)
def _as_it_is(element: _Common, compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.condition, **options))


@compiles(_Common, "sqlite")
def _with_likelihood(element: _Common, compiler: Any, **options: Any) -> str:
    return f"likelihood({compiler.process(element.condition, **options)}, 0.9)"


def run(connection: Connection, plan: SearchPlan, scope: Scope) -> SearchPage:
    """Raises TooManyResults when `_include` brings more than MAX_INCLUDED along."""
    conditions = _conditions(connection, plan)
    conditions += [_r.deleted == 0, *resource_conditions(scope)]
    counting = select(func.count()).select_from(resource).where(*conditions)
    if plan.total_only or not plan.count:
        return SearchPage((), connection.execute(counting).scalar_one(), ())
    key, descending = _sort(plan.sort)
    if plan.after:
        place, limit = tuple_(key, _r.n), tuple_(*plan.after)
        conditions.append(place < limit if descending else place > limit)
    order = (key.desc(), _r.n.desc()) if descending else (key, _r.n)
    rows = connection.execute(select(*_ROW).where(*conditions).order_by(*order).limit(plan.count + 1)).all()
    page, more = rows[: plan.count], len(rows) > plan.count
    total = -1
    if plan.with_total:
        whole = not more and not plan.after  # the first page is everything: no need to count
        total = len(page) if whole else connection.execute(counting).scalar_one()
    last = (getattr(page[-1], key.name), page[-1].n) if more else ()
    return SearchPage(tuple(_answered(page)), total, last, _included(connection, plan, page, scope))


def splice(body: bytes, type_: str, id_: str, version: int, last_updated: str) -> bytes:
    """meta.versionId and meta.lastUpdated as the first members of `meta`, which stands third in every stored body.

    One copy of the bytes, no parsing: `{"resourceType":"T","id":"I","meta":{` has a known length.
    """
    at = _FRAME + len(type_) + len(id_)
    if body[at - 8 : at] != b'"meta":{':
        raise ValueError("a stored resource without meta in third place")
    end = b"" if body[at : at + 1] == b"}" else b","
    return b'%b"versionId":"%d","lastUpdated":"%b"%b%b' % (
        body[:at],
        version,
        last_updated.encode("ascii"),
        end,
        body[at:],
    )


def _answered(page: Iterable[_Row]) -> Iterator[StoredResource]:
    """`stored` for many rows of _ROW: by position, which is several times faster than by name."""
    for _, type_, id_, version, last_updated, _, body, *_ in page:
        yield StoredResource(type_, id_, version, last_updated, False, splice(body, type_, id_, version, last_updated))


def stored(row: _Row) -> StoredResource:
    """A row of `resource` as it is answered."""
    body = splice(row.body, row.type, row.rid, row.version, row.last_updated) if row.body is not None else b""
    return StoredResource(row.type, row.rid, row.version, row.last_updated, bool(row.deleted), body)


def _sort(sort: tuple[str, ...]) -> tuple[Any, bool]:
    """The column is chosen from these two; nothing a caller wrote becomes SQL. No sort: row order."""
    name = sort[0] if sort else "date"
    return _r.last_updated if name.endswith("_lastUpdated") else _r.date_start, name.startswith("-")


def _conditions(connection: Connection, plan: SearchPlan) -> list[Condition]:
    patients = _patients(connection, plan.clauses)
    rest = [one for one in plan.clauses if not _names_patient(one)]
    driver = _driver(rest, with_patient=patients is not None)
    conditions: list[Condition] = []
    if driver is None or plan.ids is not None:
        of_type = _r.type == plan.type
        conditions.append(of_type if patients is None else _Common(of_type))
    if plan.ids is not None:
        conditions.append(_r.rid.in_(plan.ids))
    if driver is not None:
        rest.remove(driver)
        conditions.append(_r.n.in_(_driving(plan.type, driver, patients, rest)))
    if patients is not None and not isinstance(driver, TokenClause):
        # One patient is written with `=`: SQLite then sees that the index gives the rows in the order of the answer.
        conditions.append(_r.patient == patients[0] if len(patients) == 1 else _r.patient.in_(patients))
    return conditions + [_each_row(one) for one in rest]


def _names_patient(clause: Clause) -> bool:
    return isinstance(clause, PatientIdentifierClause) or (
        isinstance(clause, ReferenceClause) and clause.param == "patient"
    )


def _patients(connection: Connection, clauses: Iterable[Clause]) -> list[str] | None:
    """Logical ids every patient clause agrees on; None when none of them names a patient."""
    found: set[str] | None = None
    for clause in clauses:
        if isinstance(clause, PatientIdentifierClause):
            named = _same_person(connection, clause)
        elif isinstance(clause, ReferenceClause) and clause.param == "patient":
            named = set(clause.values)
        else:
            continue
        found = named if found is None else found & named
    return None if found is None else sorted(found)


def _same_person(connection: Connection, clause: PatientIdentifierClause) -> set[str]:
    """Patients of every person one of whose ids is asked: known to the cross-reference, or written in a Patient."""
    known = [
        (system.removeprefix("urn:oid:"), value) for system, value in clause.values if system.startswith("urn:oid:")
    ]
    eids = {value for system, value in clause.values if not system}
    if known:
        by_id = tuple_(identity.c.authority, identity.c.value).in_(known)
        eids.update(connection.scalars(select(identity.c.eid).where(by_id)))
    written = (
        select(_r.eid)
        .join(resource_token, _t.n == _r.n)
        .where(
            _t.type == "Patient",
            _t.param == "identifier",
            or_(false(), *(and_(_t.code == value, _t.system == system) for system, value in clause.values)),
            _r.deleted == 0,
            _r.eid != "",
        )
    )
    eids.update(connection.scalars(written))
    if not eids:
        return set()
    return set(connection.scalars(select(identity_patient.c.patient).where(identity_patient.c.eid.in_(sorted(eids)))))


def _driver(clauses: Sequence[Clause], *, with_patient: bool) -> Clause | None:
    """The clause that most likely leaves the fewest rows and has an index that begins with its value.

    With a patient only a token will do, whose index holds the patient: a reference may be to a hospital with millions
    of rows, and a person has thousands.
    """

    def rank(clause: Clause) -> int | None:
        if isinstance(clause, TokenClause):
            if clause.negated or clause.param == "status" or any(code is None for _, code in clause.values):
                return None
            return _SELECTIVE.index(clause.param) if clause.param in _SELECTIVE else 4
        if with_patient:
            return None
        if isinstance(clause, ReferenceClause):
            return 2
        return 3 if isinstance(clause, StringClause) and clause.match != "contains" else None

    ranked = [(place, at) for at, clause in enumerate(clauses) if (place := rank(clause)) is not None]
    return clauses[min(ranked)[1]] if ranked else None


def _driving(type_: str, clause: Clause, patients: list[str] | None, rest: Sequence[Clause]) -> Any:
    """Sub-select of row numbers. For a token, patient and period are tried in the same index."""
    if isinstance(clause, TokenClause):
        query = select(_t.n).where(_t.type == type_, _t.param == clause.param, _token_values(clause))
        if patients is not None:
            query = query.where(_t.patient.in_(patients))
        dates = [one for one in rest if isinstance(one, DateClause) and one.param == "date"]
        return query.where(*(bound for one in dates for bound in _bounds(one, _t.date_start)))
    if isinstance(clause, ReferenceClause):
        return select(_f.n).where(_f.type == type_, _f.param == clause.param, _f.target.in_(clause.values))
    assert isinstance(clause, StringClause)
    return select(_s.n).where(_s.type == type_, _string_values(clause))


def _bounds(clause: DateClause, date_start: Any) -> list[Condition]:
    """What a date clause says about date_start alone: less than the whole truth, but an index can use it."""
    if len(clause.values) != 1:
        return []
    prefix, start, end = clause.values[0]
    if prefix == "eq":
        return [date_start >= start, date_start < end]
    if prefix == "sa":
        return [date_start >= end]
    if prefix in ("lt", "le", "ap"):
        return [date_start < (start if prefix == "lt" else end)]
    return []


def _each_row(clause: Clause) -> Condition:
    """A condition on one row of `resource`, through primary keys."""
    if isinstance(clause, TokenClause):
        return _token(clause)
    if isinstance(clause, DateClause):
        return _date(clause)
    if isinstance(clause, StringClause):
        return exists().where(_s.n == _r.n, _string_values(clause))
    assert isinstance(clause, ReferenceClause)
    return exists().where(_f.n == _r.n, _f.param == clause.param, _f.target.in_(clause.values))


def _token(clause: TokenClause) -> Condition:
    if clause.param == "status":
        # An empty status column is "has none", which `:missing` asks for as the value (None, None).
        met = or_(false(), *(_r.status == code if code is not None else _r.status != "" for _, code in clause.values))
    else:
        met = exists().where(_t.n == _r.n, _t.param == clause.param, _token_values(clause))
    return not_(met) if clause.negated else met


def _token_values(clause: TokenClause) -> Condition:
    """(system, code) pairs ORed; the codes once more as a list, which is what an index can be entered with."""
    codes = {code for _, code in clause.values}
    if not codes:
        return false()
    pairs = [
        and_(
            true() if code is None else _t.code == code,
            true() if system is None else _t.system == system,
        )
        for system, code in clause.values
    ]
    listed = true() if None in codes else _t.code.in_(sorted(filter(None, codes)))
    if all(system is None for system, _ in clause.values):
        return listed
    return and_(listed, or_(*pairs))


def _string_values(clause: StringClause) -> Condition:
    if clause.match == "exact":
        return and_(_s.param == clause.param + ":exact", _s.value.in_(clause.values))
    if clause.match == "contains":
        hit = or_(*(_s.value.contains(text, autoescape=True) for text in clause.values))
    else:
        hit = or_(*(and_(_s.value >= text, _s.value < text + _HIGHEST) for text in clause.values))
    return and_(_s.param == clause.param, hit)


def _date(clause: DateClause) -> Condition:
    if clause.param == "_lastUpdated":
        # An instant covers its own millisecond: start and end are the same text, compared with <= at the end.
        return or_(*(_compare(value, _r.last_updated, _r.last_updated, instant=True) for value in clause.values))
    if clause.param == "date":
        hit = or_(*(_compare(value, _r.date_start, _r.date_end) for value in clause.values))
        return and_(_r.date_start != "", *_bounds(clause, _r.date_start), hit)
    start, end = func.substr(_s.value, 1, 24), func.substr(_s.value, 26)
    hit = or_(*(_compare(value, start, end) for value in clause.values))
    return exists().where(_s.n == _r.n, _s.param == clause.param, hit)


def _compare(value: tuple[str, str, str], start: Any, end: Any, *, instant: bool = False) -> Condition:
    """One prefix of FHIR R4 3.1.1.4.5 over the periods [start, end) stored and [low, high) asked."""
    prefix, low, high = value
    before: Condition = start < low
    ends_before: Condition = end < low if instant else end <= low
    within: Condition = and_(start >= low, end < high if instant else end <= high)
    after: Condition = end >= high if instant else end > high
    starts_after: Condition = start >= high
    meanings = {
        "eq": within,
        "ne": not_(within),
        "gt": after,
        "lt": before,
        "ge": or_(after, within),
        "le": or_(before, within),
        "sa": starts_after,
        "eb": ends_before,
        "ap": not_(or_(ends_before, starts_after)),
    }
    return meanings[prefix]


def _included(
    connection: Connection, plan: SearchPlan, page: Sequence[_Row], scope: Scope
) -> tuple[StoredResource, ...]:
    """What the plan wants along with the rows of this page: each resource once, visible in the scope."""
    if not page or not (plan.includes or plan.revincludes):
        return ()
    wanted: list[Condition] = [_include(connection, page, param, target) for param, target in plan.includes]
    wanted += [_revinclude(page, source, param) for source, param in plan.revincludes]
    seen = {row.n for row in page}
    found: dict[int, StoredResource] = {}
    for condition in wanted:
        query = select(*_ROW).where(condition, _r.deleted == 0, *resource_conditions(scope))
        for row in connection.execute(query.order_by(_r.n).limit(MAX_INCLUDED + len(seen) + 1)):
            if row.n not in seen:
                found[row.n] = next(_answered((row,)))
        if len(found) > MAX_INCLUDED:
            raise TooManyResults(f"_include and _revinclude bring more than {MAX_INCLUDED} resources; lower _count")
    return tuple(found[n] for n in sorted(found))


def _include(connection: Connection, page: Sequence[_Row], param: str, target: str) -> Condition:
    if param == "patient":
        ids = sorted({row.patient for row in page if row.patient}) if target in ("", "Patient") else []
        return and_(_r.type == "Patient", _r.rid.in_(ids))
    query = select(_f.target).distinct().where(_f.n.in_([row.n for row in page]), _f.param == param)
    by_type: dict[str, list[str]] = {}
    for reference in connection.scalars(query):
        type_, _, id_ = reference.rpartition("/")
        if target in ("", type_):
            by_type.setdefault(type_, []).append(id_)
    return or_(false(), *(and_(_r.type == type_, _r.rid.in_(sorted(ids))) for type_, ids in sorted(by_type.items())))


def _revinclude(page: Sequence[_Row], source: str, param: str) -> Condition:
    if param == "patient":
        ids = [row.rid for row in page if row.type == "Patient"]
        return and_(_r.type == source, _r.patient.in_(ids))
    targets = [f"{row.type}/{row.rid}" for row in page]
    return _r.n.in_(select(_f.n).where(_f.type == source, _f.param == param, _f.target.in_(targets)))
