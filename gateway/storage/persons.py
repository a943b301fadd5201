"""The person index as answered. Implements ports.PersonIndex; the rows are written by storage/keep_persons.py,
keep_identity.py and keep_ties.py. Statements are prebuilt text: a cross-reference query has to cost a look-up."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, cast

import orjson

from gateway.errors import InvalidParameter
from gateway.model.audit import AuditRecord
from gateway.model.caller import Scope
from gateway.model.clock import Clock
from gateway.model.identity import PatientId, Statement
from gateway.model.person import Comparison, Decision, HistoryLine, Outcome
from gateway.ports import Derivations, PairRow, PersonConditions, PersonRow, TermCondition
from gateway.storage.audit import audit_row, instant
from gateway.storage.engines import Driver, Lookups
from gateway.storage.identities import IdentityTable
from gateway.storage.keep_identity import IdentityChanges, link_persons
from gateway.storage.keep_persons import MAX_KEY_HOLDERS
from gateway.storage.keep_ties import STATEMENTS, statement_of, write_history
from gateway.storage.schema import audit, person_decision
from gateway.storage.scope import as_sql, hidden_persons
from gateway.storage.writer import Writer

_OTHERS = (
    "SELECT authority, value, eid FROM identity"
    " WHERE eid = (SELECT eid FROM identity WHERE authority = ? AND value = ?)"
)
# CROSS JOIN: SQLite keeps the order, and the record leads; ordered by enterprise id it would walk all persons instead.
_RECORD = (
    "SELECT r.patient, r.value, r.authority, i.eid, r.active, b.body, i.facility FROM person_record r"
    " CROSS JOIN identity_patient i CROSS JOIN resource b"
    " WHERE i.patient = r.patient AND b.type = 'Patient' AND b.rid = r.patient"
)
_LIVE = f"{_RECORD} AND r.state = '' AND b.deleted = 0"
_LIVE_OF = _LIVE.replace(
    "person_record r CROSS JOIN identity_patient i", "identity_patient i CROSS JOIN person_record r"
)
_PAIR = (
    "SELECT p.n, p.one, p.other, p.outcome, p.score, p.probability, p.rule, p.attributes, p.held, p.decision"
    " FROM person_pair p"
)
_OPEN = "((p.outcome = 'review' OR p.held = 1) AND p.decision NOT IN ('same', 'different'))"
_QUEUED = "(p.outcome = 'review' OR p.held = 1 OR p.decision <> '')"
_STATES = {"open": _OPEN, "decided": "p.decision IN ('same', 'different')", "all": _QUEUED}


class PersonTable:
    """ports.PersonIndex over one database."""

    def __init__(
        self,
        lookups: Lookups,
        identities: IdentityTable,
        writer: Writer,
        derive: Derivations,
        clock: Clock,
        affinity_domain: str,
    ) -> None:
        self._ask, self._identities, self._writer = lookups, identities, writer
        self._derive, self._clock, self._affinity_domain = derive, clock, affinity_domain

    # -- cross-reference

    def others(self, id_: PatientId, domains: Sequence[str], scope: Scope) -> tuple[PatientId, ...] | None:
        # The hot path of PIX: one statement, and nothing built that is not answered.
        own, authority, value = self._affinity_domain, id_.authority, id_.value
        rows = self._ask.rows(_OTHERS, (authority, value))
        if not rows:
            if authority != own or not self._identities.visible(value, scope):
                return None
            rows = self._ask.rows("SELECT authority, value, eid FROM identity WHERE eid = ?", (value,))
        if not _all_seen(scope):
            hidden = self._hidden(rows[0][2], scope)
            if hidden is None or id_ in hidden:
                return None
            rows = [row for row in rows if PatientId(row[1], row[0]) not in hidden]
        found = []
        # Our own number of a person answers a question for it only: without domains, one record alone has no others.
        ours = own not in domains
        for where, number, _ in rows:
            if where == own:
                ours = True
            if (not domains or where in domains) and (where != authority or number != value):
                found.append(PatientId(number, where))
        if not ours and (own, rows[0][2]) != (authority, value):
            found.append(PatientId(rows[0][2], own))
        if len(found) > 1:
            found.sort(key=_order)
        return tuple(found)

    def enterprise_id(self, id_: PatientId, scope: Scope) -> str | None:
        return self._identities.enterprise_id(id_, scope)

    def ids(self, enterprise_ids: Sequence[str], scope: Scope) -> dict[str, tuple[PatientId, ...]]:
        found: dict[str, list[PatientId]] = {}
        for value, authority, eid in self._ask.among(
            "SELECT value, authority, eid FROM identity WHERE eid IN (@)", dict.fromkeys(enterprise_ids)
        ):
            found.setdefault(eid, []).append(PatientId(value, authority))
        if not _all_seen(scope):
            for eid in list(found):
                hidden = self._hidden(eid, scope)
                found[eid] = [] if hidden is None else [one for one in found[eid] if one not in hidden]
        return {eid: tuple(sorted(ids, key=_order)) for eid, ids in found.items()}

    def _hidden(self, eid: str, scope: Scope) -> set[PatientId] | None:
        """Numbers at facilities the scope does not see; None: the whole person is hidden."""
        return self._identities.hidden(eid, scope) if self._identities.visible(eid, scope) else None

    # -- records

    def members(self, enterprise_ids: Sequence[str], scope: Scope) -> list[PersonRow]:
        sql = f"{_LIVE_OF} AND i.eid IN (@)"
        return self._rows(self._ask.among(sql, dict.fromkeys(enterprise_ids)), scope)

    def by_id(self, id_: PatientId, scope: Scope) -> PersonRow | None:
        sql = f"{_LIVE} AND r.authority = ? AND r.value = ?"
        found = self._rows(self._ask.rows(sql, (id_.authority, id_.value)), scope)
        return found[0] if found else None

    def by_patient(self, patient: str, scope: Scope) -> PersonRow | None:
        found = self._rows(self._ask.rows(f"{_LIVE} AND r.patient = ?", (patient,)), scope)
        return found[0] if found else None

    def find(self, wanted: PersonConditions, limit: int, scope: Scope) -> list[PersonRow]:
        sql, values = _search(wanted)
        conditions, more = _scope(scope)
        rows = self._ask.rows(
            f"{_LIVE}{sql}{''.join(f' AND {one}' for one in conditions)} ORDER BY i.eid, r.authority, r.value LIMIT ?",
            [*values, *more, limit + 1],
        )
        return self._rows(rows, scope)

    def candidates(self, keys: Sequence[int], scope: Scope) -> list[PersonRow]:
        numbers: set[int] = set()
        for key in dict.fromkeys(keys):
            holders = self._ask.rows("SELECT n FROM person_key WHERE key = ? LIMIT ?", (key, MAX_KEY_HOLDERS + 1))
            if len(holders) <= MAX_KEY_HOLDERS:
                numbers.update(row[0] for row in holders)
        sql = _LIVE.replace("i.facility FROM", "i.facility, r.features FROM") + " AND r.n IN (@)"
        return self._rows(self._ask.among(sql, sorted(numbers)), scope)

    def _rows(self, rows: Iterable[Any], scope: Scope) -> list[PersonRow]:
        rows = list(rows)
        dissent = hidden_persons(self._ask, scope, [(row[3], row[6]) for row in rows])
        return sorted(
            (
                PersonRow(patient, PatientId(value, authority), eid, bool(active), body or b"", *features)
                for patient, value, authority, eid, active, body, facility, *features in rows
                if _sees(scope, eid, facility) and (eid, facility) not in dissent
            ),
            key=lambda row: (row.enterprise_id, _order(row.id)),
        )

    # -- what was said and decided

    def statements(self, ids: Sequence[PatientId]) -> list[Statement]:
        found: dict[str, Statement] = {}
        for id_ in ids:
            for side in ("one", "other"):
                sql = f"{STATEMENTS} WHERE {side}_authority = ? AND {side}_value = ?"
                for row in self._ask.rows(sql, (id_.authority, id_.value)):
                    one = statement_of(row)
                    found[one.hash] = one
        return list(found.values())

    def pairs(self, after: int, limit: int, state: str, scope: Scope) -> list[PairRow]:
        if state not in _STATES:
            raise InvalidParameter("a review is open, decided or all")
        sql = f"{_PAIR} WHERE {_QUEUED} AND {_STATES[state]} AND p.n > ? ORDER BY p.n LIMIT ?"
        found: list[PairRow] = []
        while len(found) < limit:
            rows = self._ask.rows(sql, (after, limit))
            found += [pair for row in rows if (pair := self._pair(row, scope))]
            if len(rows) < limit:
                break
            after = rows[-1][0]
        return found[:limit]

    def pair(self, number: int, scope: Scope) -> PairRow | None:
        rows = self._ask.rows(f"{_PAIR} WHERE p.n = ? AND {_QUEUED}", (number,))
        return self._pair(rows[0], scope) if rows else None

    def open_pairs(self, id_: PatientId) -> int:
        rows = self._ask.rows(
            "SELECT n FROM person_record WHERE authority = ? AND value = ?", (id_.authority, id_.value)
        )
        sql = "SELECT count(*) FROM person_pair p WHERE p.{} = ? AND " + _OPEN
        return sum(self._ask.rows(sql.format(side), rows[0])[0][0] for side in ("one", "other")) if rows else 0

    def _pair(self, row: Any, scope: Scope) -> PairRow | None:
        n, one, other, outcome, score, probability, rule, attributes, held, decision = row
        records = []
        for number in (one, other):
            # A pair is shown as long as both are records, also when one of them was retired since.
            found = self._rows(self._ask.rows(f"{_RECORD} AND r.n = ?", (number,)), scope)
            if not found:
                return None
            records += found
        said = tuple((name, level, Decimal(weight)) for name, level, weight in orjson.loads(attributes or "[]"))
        shown = cast(Outcome, "review" if held else outcome)
        comparison = Comparison(shown, Decimal(score or 0), Decimal(probability or 0), rule, said)
        last = self._ask.rows(
            "SELECT who, recorded, reason FROM person_decision WHERE pair = ? ORDER BY n DESC LIMIT 1", (n,)
        )
        who, at, reason = last[0] if last and decision else ("", "", "")
        first, second = sorted(records, key=lambda record: _order(record.id))
        return PairRow(n, first, second, comparison, cast(Decision, decision), who, at, reason)

    def decide(self, number: int, decision: str, who: str, reason: str, record: AuditRecord) -> None:
        now = instant(self._clock.now())

        def act(driver: Driver) -> None:
            rows = driver.rows(
                "SELECT value, authority FROM person_record WHERE n IN"
                " (SELECT one FROM person_pair WHERE n = ? UNION SELECT other FROM person_pair WHERE n = ?)",
                (number, number),
            )
            ids = sorted((PatientId(*row) for row in rows), key=_order)
            said = "" if decision == "undo" else decision
            driver.insert(person_decision, [(driver.number("person_decision"), number, decision, who, reason, now)])
            driver.run("UPDATE person_pair SET decision = ? WHERE n = ?", (said, number))
            what = "undone" if decision == "undo" else "decided"
            write_history(driver, now, "", what, ids, who, decision, "")
            changes = IdentityChanges(changed=set(ids), stated=[(who, "")])
            link_persons(driver, self._derive, {}, (), changes, now)
            driver.insert(audit, [audit_row(driver.number("audit"), now, record)])

        self._writer.run(act)

    def history(self, id_: PatientId, limit: int) -> list[HistoryLine]:
        rows = self._ask.rows(
            "SELECT h.recorded, h.event_time, h.what, h.ids, h.who, h.rule, h.version FROM person_history_id i"
            " JOIN person_history h ON h.n = i.n WHERE i.authority = ? AND i.value = ? ORDER BY h.n LIMIT ?",
            (id_.authority, id_.value, limit),
        )
        return [
            HistoryLine(at, time, what, tuple(PatientId(*one) for one in orjson.loads(ids)), *rest)
            for at, time, what, ids, *rest in rows
        ]


def _order(id_: PatientId) -> tuple[str, str]:
    return (id_.authority, id_.value)


def _all_seen(scope: Scope) -> bool:
    return scope.patients is None and not scope.excluded_facilities and scope.consent is None


def _sees(scope: Scope, eid: str, facility: str) -> bool:
    return (scope.patients is None or eid in scope.patients) and facility not in scope.excluded_facilities


def _scope(scope: Scope) -> tuple[list[str], list[object]]:
    conditions: list[str] = []
    values: list[object] = []
    for column, some, negated in (("i.eid", scope.patients, ""), ("i.facility", scope.excluded_facilities, "NOT ")):
        if some is not None and (some or not negated):
            conditions.append(f"{column} {negated}IN (SELECT value FROM json_each(?))")
            values.append(orjson.dumps(sorted(some)).decode())
    sql, more = as_sql("person", scope)
    return [*conditions, sql], [*values, *more]


# --- search ---------------------------------------------------------------------------------------------------------


def _search(wanted: PersonConditions) -> tuple[str, list[object]]:
    """Conditions of the WHERE clause. The most selective condition leads to the rows, and the others are looked up for each."""
    terms = sorted(wanted.terms, key=lambda one: (one.prefix, _COST.get(one.kinds[0], 9)))
    after, before = wanted.births
    values: list[object] = []
    parts: list[str] = []
    if wanted.ids:
        inner = []
        for id_ in wanted.ids:
            inner.append("(r.authority = ? AND r.value = ?)" if id_.value else "r.authority = ?")
            values += [id_.authority, id_.value] if id_.value else [id_.authority]
        parts.append(f"({' OR '.join(inner)})")
    if wanted.patient:
        parts.append("r.patient = ?")
        values.append(wanted.patient)
    led = bool(wanted.patient or (wanted.ids and all(id_.value for id_ in wanted.ids)))
    day = bool(after and before) and len(after) == 8
    for one in terms:
        # With a whole birth date the day's index is shorter than any prefix of a name.
        lead = not led and not (one.prefix and day)
        sql, more = _term(one, wanted.births if lead else ("", ""))
        parts.append(f"r.n IN ({sql})" if lead else f"EXISTS ({sql} AND t.n = r.n)")
        values += more
        led = led or lead
    # Where something else leads, an expression: the index over all birth dates would lead away from it.
    birth_date = "coalesce(r.birth_date, '')" if led else "r.birth_date"
    for bound, sign in ((after, ">="), (before, "<")):
        if bound:
            parts.append(f"{birth_date} {sign} ?")
            values.append(bound)
    if wanted.births != ("", ""):
        parts.append("r.birth_date <> ''")
    if wanted.sex:
        parts.append("r.sex = ?")
        values.append(wanted.sex)
    if wanted.active is not None:
        parts.append("r.active = ?")
        values.append(int(wanted.active))
    return "".join(f" AND {part}" for part in parts), values


_COST = {"k": -2, "q": -1, "t": 0, "f": 1, "g": 2, "m": 3, "p": 4}
"""Kinds of terms by how few persons share one: account, mother's number, telephone, family name, given name, mother's
name, postal code."""


def _term(one: TermCondition, births: tuple[str, str]) -> tuple[str, list[object]]:
    values: list[object] = list(one.kinds)
    either = []
    for value in one.values:
        either.append("(t.value >= ? AND t.value < ?)" if one.prefix else "t.value = ?")
        values += [value, value + "\U0010ffff"] if one.prefix else [value]
    sql = (
        f"SELECT t.n FROM person_term t WHERE t.kind IN ({','.join('?' * len(one.kinds))}) AND ({' OR '.join(either)})"
    )
    for bound, sign in zip(births, (">=", "<"), strict=True):
        if bound:
            sql += f" AND t.birth_date {sign} ?"
            values.append(bound)
    return sql, values
