"""What ties records together besides shared ids (statements, pairs), and the trace a change of links leaves."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import combinations

import orjson

from gateway.model.identity import Pair, PatientId, Statement, standing
from gateway.ports import Derivations
from gateway.storage.engines import Driver
from gateway.storage.keep_persons import Shown, compared
from gateway.storage.schema import outbox, person_history, person_history_id, person_statement

MAX_COMPARED = 64
"""Records of one group that are all compared with one another before matching may link them."""
CHANGED = "identity-changed"
"""Kind of the outbox job of a person whose ids changed. Payload: {"eid", "ids": [[value, authority]...], "retired"}."""
MOVED = "xad-pid-changed"
"""Kind of the outbox job of numbers that belong to another enterprise id now. Payload: {"moved": [[value, authority, old,
new]...]}."""
STATEMENTS = (
    'SELECT kind, one_value, one_authority, other_value, other_authority, event_time, hash, who, "transaction", rule,'
    " undoes FROM person_statement"
)
_WORDS = {
    "merge": "merged", "change-id": "merged", "link": "linked", "unlink": "unlinked", "delete": "deleted",
    "undo": "undone", "issue": "issued",
}  # fmt: skip
_MEDICAL = {"delete": "suspended", "undo": "resumed", "change-id": "replaced"}
"""The same acts on a medical ID have names of their own."""


class Ties:
    """Statements and pairs of one database; a node that has none pays two look-ups."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._stated = ever_stated(driver)
        self._paired = driver.row("SELECT 1 FROM person_pair LIMIT 1") is not None

    def of(self, own: PatientId) -> list[PatientId]:
        """Everybody who is tied to `own` directly."""
        found = self.stated(own)
        if self._paired and (n := self._number(own)):
            for side, far in (("one", "other"), ("other", "one")):
                sql = (
                    f"SELECT r.value, r.authority FROM person_pair p JOIN person_record r ON r.n = p.{far}"
                    f" WHERE p.{side} = ? AND (p.outcome = 'link' OR p.decision IN ('same', 'different'))"
                )
                found += [PatientId(*row) for row in self._driver.rows(sql, (n,))]
        return found

    def stated(self, id_: PatientId) -> list[PatientId]:
        """The other ids of statements about one."""
        if not self._stated:
            return []
        return [other for one in self._about(id_) for other in (one.one, one.other) if other != id_]

    def statements(self, group: Iterable[PatientId]) -> list[Statement]:
        """All of a group, with the undos of them."""
        if not self._stated:
            return []
        return list({one.hash: one for own in group for one in self._about(own)}.values())

    def _about(self, own: PatientId) -> list[Statement]:
        found = []
        for side in ("one", "other"):
            sql = f"{STATEMENTS} WHERE {side}_authority = ? AND {side}_value = ?"
            found += [statement_of(row) for row in self._driver.rows(sql, (own.authority, own.value))]
        return found

    def gone(self, statements: Collection[Statement]) -> set[PatientId]:
        """Records that were deleted, and of which nothing newer was said since."""
        deaths: dict[PatientId, str] = {}
        for one in standing(statements):
            if one.kind == "delete":
                deaths[one.one] = max(one.event_time, deaths.get(one.one, ""))
        return {own for own, time in deaths.items() if not self._newer(own, time)}

    def _newer(self, own: PatientId, time: str) -> bool:
        sql = (
            "SELECT 1 FROM identity_patient i JOIN resource r ON r.type = 'Patient' AND r.rid = i.patient"
            " WHERE i.authority = ? AND i.value = ? AND r.deleted = 0 AND substr(r.source_time, 1, 17) > ? LIMIT 1"
        )
        return self._driver.row(sql, (own.authority, own.value, time)) is not None

    def pairs(self, group: Collection[PatientId], derive: Derivations) -> list[Pair]:
        """Pairs inside a group. Where matching links three or more, everybody is compared with everybody, so that two
        who are others are not put together by a third who is like both."""
        if not self._paired or len(group) < 2:
            return []
        numbers = {n: own for own in sorted(group, key=str) if (n := self._number(own))}
        sql = "SELECT one, other, outcome, probability, rule, decision FROM person_pair WHERE one IN (@)"
        found = {
            (one, other): _pair(numbers[one], numbers[other], outcome, Decimal(probability or 0), rule, decision)
            for one, other, outcome, probability, rule, decision in self._driver.among(sql, numbers)
            # A row that says separate may be old: of a retired record, or of two that share no key any more.
            if other in numbers and (outcome != "separate" or decision)
        }
        linking = {n for edge, pair in found.items() if pair.outcome == "link" for n in edge}
        if len(linking) >= 2 and 2 < len(numbers) <= MAX_COMPARED and derive.persons and derive.persons.compare:
            sql = "SELECT n, features FROM person_record WHERE features IS NOT NULL AND n IN (@)"
            features = dict(self._driver.among(sql, numbers))
            for one, other in combinations(sorted(features), 2):
                known = found.get((one, other))
                if known is None or known.outcome == "separate":
                    a, b = numbers[one], numbers[other]
                    said = compared(derive.persons, a, features[one], b, features[other])
                    outcome = "separate" if said.outcome == "separate" else ""
                    decision = known.decision if known else ""
                    found[one, other] = _pair(a, b, outcome, said.probability, said.rule, decision)
        return list(found.values())

    def hold(self, pairs: Iterable[Pair], held: Collection[tuple[PatientId, PatientId]]) -> None:
        """Marks the links that were refused: people see them."""
        for pair in pairs:
            if pair.outcome == "link":
                now = int((pair.one, pair.other) in held)
                one, other = sorted((self._number(pair.one), self._number(pair.other)))
                sql = "UPDATE person_pair SET held = ? WHERE one = ? AND other = ? AND held <> ?"
                self._driver.run(sql, (now, one, other, now))

    def _number(self, own: PatientId) -> int:
        sql = "SELECT n FROM person_record WHERE authority = ? AND value = ?"
        row = self._driver.row(sql, (own.authority, own.value))
        return int(row[0]) if row else 0


def _pair(one: PatientId, other: PatientId, outcome: str, probability: Decimal, rule: str, decision: str) -> Pair:
    """The same way round whoever came first: between pairs that are equally likely their ids decide."""
    first, second = (one, other) if str(one) <= str(other) else (other, one)
    return Pair(first, second, outcome, probability, rule, decision)


def statement_of(row: Sequence[str]) -> Statement:
    kind, one, one_authority, other, other_authority, *rest = row
    return Statement(kind, PatientId(one, one_authority), PatientId(other, other_authority), *rest)  # type: ignore[arg-type]  # the column holds nothing else


def keep_statements(driver: Driver, statements: Iterable[Statement], now: str) -> set[PatientId]:
    """Stores what is new. Returns the ids it is about."""
    touched: set[PatientId] = set()
    for one in statements:
        if driver.row("SELECT 1 FROM person_statement WHERE hash = ?", (one.hash,)):
            continue
        row = (
            driver.number("person_statement"), one.hash, one.kind, one.one.authority, one.one.value, one.other.authority,
            one.other.value, one.event_time, one.who, one.transaction, one.rule, one.undoes, now,
        )  # fmt: skip
        driver.insert(person_statement, [row])
        touched |= {one.one, one.other}
        ids = list(dict.fromkeys((one.one, one.other)))
        word = (_MEDICAL if one.transaction == "medical-id" else {}).get(one.kind, _WORDS[one.kind])
        write_history(driver, now, one.event_time, word, ids, one.who, one.rule or one.transaction, "")
    return touched


def ever_stated(driver: Driver) -> bool:
    """Whether anybody ever merged, linked or deleted a record here."""
    return driver.row("SELECT 1 FROM person_statement LIMIT 1") is not None


def tell_patients(
    driver: Driver, derive: Derivations, shown: Mapping[str, Shown], senders: Mapping[str, str], now: str
) -> None:
    """History of the records themselves: added, revised, deleted."""
    if derive.persons is None:
        return
    for patient, one in shown.items():
        row = driver.row("SELECT value, authority FROM identity_patient WHERE patient = ?", (patient,))
        if row and not (one.fresh and one.body is None):
            what = "added" if one.fresh else "deleted" if one.body is None else "revised"
            write_history(driver, now, one.source_time[:17], what, [PatientId(*row)], senders.get(patient, ""), "", "")


def write_history(
    driver: Driver, now: str, time: str, what: str, ids: Sequence[PatientId], who: str, rule: str, version: str
) -> None:
    """One line, found by each of its ids."""
    n = driver.number("person_history")
    words = orjson.dumps([(id_.value, id_.authority) for id_ in ids]).decode()
    driver.insert(person_history, [(n, now, time, what, words, who, rule, version)])
    driver.insert(person_history_id, [(id_.authority, id_.value, n) for id_ in dict.fromkeys(ids)])


def write_changes(
    driver: Driver,
    stated: Sequence[tuple[str, str]],
    before: Mapping[PatientId, str],
    after: Mapping[PatientId, str],
    pairs: Sequence[Pair],
    derive: Derivations,
    now: str,
) -> None:
    """History and an outbox job for every person whose ids changed. `before` and `after`: enterprise id by facility id,
    "" for one that leads nowhere."""
    old, new = _groups(before), _groups(after)
    told: set[tuple[str, frozenset[PatientId]]] = set()
    for own in sorted(after, key=str):
        alone = frozenset([own])
        mine, was = new.get(after[own], alone), old.get(before[own], alone)
        if mine == was and bool(after[own]) == bool(before[own]):
            continue
        if mine == was == alone and not before[own]:
            continue  # a new person of one id: nobody has another id for him
        for what, ids in (
            ("linked", mine if mine - was else None),
            ("separated", was if was - mine and after[own] else None),
        ):
            if ids and (what, ids) not in told:
                told.add((what, ids))
                _line(driver, stated, what, sorted(ids, key=str), pairs, derive, now)
        if ("job", mine) not in told or not after[own]:
            told.add(("job", mine))
            _tell(driver, after[own], mine if after[own] else frozenset(), now, *(() if after[own] else (own,)))


def _groups(eids: Mapping[PatientId, str]) -> dict[str, frozenset[PatientId]]:
    found: dict[str, set[PatientId]] = {}
    for own, eid in eids.items():
        if eid:
            found.setdefault(eid, set()).add(own)
    return {eid: frozenset(group) for eid, group in found.items()}


def _tell(driver: Driver, eid: str, ids: frozenset[PatientId], now: str, *retired: PatientId) -> None:
    payload = {
        "eid": eid,
        "ids": [(id_.value, id_.authority) for id_ in sorted(ids, key=str)],
        "retired": [(id_.value, id_.authority) for id_ in retired],
    }
    driver.insert(outbox, [(driver.number("outbox"), CHANGED, orjson.dumps(payload).decode(), now, None, 0)])


def tell_moved(driver: Driver, moved: Sequence[tuple[PatientId, str, str]], now: str) -> None:
    """A job for the registries that keep documents under enterprise ids (ITI-64)."""
    if moved:
        words = [(id_.value, id_.authority, old, new) for id_, old, new in moved]
        payload = orjson.dumps({"moved": words}).decode()
        driver.insert(outbox, [(driver.number("outbox"), MOVED, payload, now, None, 0)])


def _line(
    driver: Driver,
    stated: Sequence[tuple[str, str]],
    what: str,
    ids: Sequence[PatientId],
    pairs: Sequence[Pair],
    derive: Derivations,
    now: str,
) -> None:
    """Why: the rule of the strongest pair among them, else that ids or statements did it."""
    inside = [pair for pair in pairs if pair.outcome == "link" and pair.one in ids and pair.other in ids]
    rule = max(inside, key=lambda pair: (pair.probability, pair.rule)).rule if inside else "shared-id"
    who, time = stated[-1] if stated else ("", "")
    version = derive.persons.version if inside and derive.persons else ""
    write_history(driver, now, time, what, ids, who, "statement" if stated and not inside else rule, version)
