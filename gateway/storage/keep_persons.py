"""The person index as rows: what each Patient says of its person, and which records matching compares.

A record is indexed anew whenever its Patient is shown differently, its ids change, or it is retired or lives again. The
pairs of a record are a function of the features and blocking keys that stand in the tables, never of their history: a
key that too many records share compares nobody, and the record that makes it so (or ends it) has all its holders
compared again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from gateway.model.identity import PatientId
from gateway.model.person import Comparison
from gateway.ports import Derivations, Described, Describing
from gateway.storage.engines import Driver

MAX_KEY_HOLDERS = 200
"""Records that one blocking key may bring together; a key of more (a hospital's own telephone) tells nothing."""
LIVE, SUBSUMED, DELETED = "", "subsumed", "deleted"


class Shown(NamedTuple):
    """A Patient as a batch leaves it."""

    body: bytes | None
    source_time: str
    fresh: bool


@dataclass(slots=True)
class _Record:
    n: int
    own: PatientId
    features: bytes | None


_NOTHING = Described("", "", False, (), b"", ())


def index_persons(
    driver: Driver, derive: Derivations, shown: Mapping[str, Shown], restated: Iterable[PatientId]
) -> set[PatientId]:
    """Brings records up to date. `restated`: facility ids whose shared ids or state changed.

    Returns the facility ids of pairs that are linked now and were not, or the other way round.
    """
    if derive.persons is None:
        return set()
    patients: dict[str, bytes | None] = {patient: one.body for patient, one in shown.items()}
    for own in restated:
        for patient, body in driver.rows(
            f"{_BODIES} WHERE i.authority = ? AND i.value = ?", (own.authority, own.value)
        ):
            patients.setdefault(patient, body)
    keys = Keys(driver)
    return compare_records(driver, derive.persons, describe_patients(driver, derive.persons, patients, keys), keys)


def bodies(driver: Driver, patients: Iterable[str]) -> dict[str, bytes | None]:
    """Patients as they are shown."""
    return dict(driver.among(f"{_BODIES} WHERE i.patient IN (@)", patients))


_BODIES = "SELECT i.patient, r.body FROM identity_patient i JOIN resource r ON r.type = 'Patient' AND r.rid = i.patient"


def describe_patients(
    driver: Driver, persons: Describing, patients: Mapping[str, bytes | None], keys: "Keys | None" = None
) -> list[int]:
    """Records, terms and blocking keys of these Patients. Returns the records whose pairs may be others now."""
    keys = keys or Keys(driver)
    dirty: dict[int, None] = {}
    terms: dict[int, list[tuple[int, str, str, str]]] = {}
    for patient in sorted(patients):
        _describe(driver, persons, patient, patients[patient], keys, dirty, terms)
    # In the order of the index: rows that come to one page are written while the page is at hand.
    rows = sorted((row for some in terms.values() for row in some), key=lambda row: row[1:])
    driver.many("INSERT INTO person_term (n, kind, value, birth_date) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", rows)
    keys.write()
    return list(dirty)


class Keys:
    """Blocking keys of one batch: each key is read once, and written once at the end."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._holders: dict[int, set[int]] = {}
        self._of: dict[int, set[int]] = {}
        self._put: list[tuple[int, int]] = []
        self._taken: list[tuple[int, int]] = []

    def of(self, n: int, *, fresh: bool = False) -> set[int]:
        """The keys of a record."""
        if n not in self._of:
            rows = () if fresh else self._driver.rows("SELECT key FROM person_key WHERE n = ?", (n,))
            self._of[n] = {row[0] for row in rows}
        return self._of[n]

    def holders(self, key: int) -> set[int]:
        """The records of a key; of a key with too many, only so many as show it."""
        if key not in self._holders:
            sql = "SELECT n FROM person_key WHERE key = ? LIMIT ?"
            self._holders[key] = {row[0] for row in self._driver.rows(sql, (key, 2 * MAX_KEY_HOLDERS))}
        return self._holders[key]

    def few(self, key: int) -> set[int]:
        holders = self.holders(key)
        return holders if len(holders) <= MAX_KEY_HOLDERS else set()

    def put(self, n: int, keys: set[int], dirty: dict[int, None], *, fresh: bool) -> None:
        """The keys of a record now. Where a key comes to have too many holders, or has no longer, all of them are
        dirty. A batch brings fewer records than MAX_KEY_HOLDERS to one key, or all holders were read."""
        before = self.of(n, fresh=fresh)
        for key in sorted(before - keys):
            holders = self.holders(key)
            if len(holders) == MAX_KEY_HOLDERS + 1:
                dirty.update(dict.fromkeys(sorted(holders)))
            holders.discard(n)
            self._taken.append((key, n))
        for key in sorted(keys - before):
            holders = self.holders(key)
            holders.add(n)
            if len(holders) == MAX_KEY_HOLDERS + 1:
                dirty.update(dict.fromkeys(sorted(holders)))
            self._put.append((key, n))
        self._of[n] = keys

    def write(self) -> None:
        """A row that was taken and put again is there at the end."""
        self._driver.many("DELETE FROM person_key WHERE key = ? AND n = ?", sorted(self._taken))
        self._driver.many("INSERT INTO person_key (key, n) VALUES (?, ?) ON CONFLICT DO NOTHING", sorted(self._put))
        self._taken.clear()
        self._put.clear()


def _describe(
    driver: Driver,
    persons: Describing,
    patient: str,
    body: bytes | None,
    keys: Keys,
    dirty: dict[int, None],
    terms: dict[int, list[tuple[int, str, str, str]]],
) -> None:
    """The rows of one record but for its pairs; its terms are handed back."""
    row = driver.row("SELECT authority, value FROM identity_patient WHERE patient = ?", (patient,))
    if row is None:
        return
    own = PatientId(row[1], row[0])
    known = driver.row(
        "SELECT n, state, patient FROM person_record WHERE authority = ? AND value = ?", (own.authority, own.value)
    )
    if known is not None and known[2] != patient:
        return  # one number, two Patients: only a test storage has that
    said = _NOTHING
    if body is not None and (known is None or known[1] == LIVE):
        sql = "SELECT shared_value, shared_authority FROM person_id WHERE authority = ? AND value = ?"
        shared = sorted({PatientId(*one) for one in driver.rows(sql, (own.authority, own.value))}, key=str)
        said = persons.describe(body, (own, *shared))
    features = said.features or None
    if known is None:
        n = driver.number("person_record")
        driver.run(
            "INSERT INTO person_record (n, patient, authority, value, birth_date, sex, active, features)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (n, patient, own.authority, own.value, said.birth_date, said.sex, int(said.active), features),
        )
    else:
        n = known[0]
        driver.run(
            "UPDATE person_record SET birth_date = ?, sex = ?, active = ?, features = ? WHERE n = ?",
            (said.birth_date, said.sex, int(said.active), features, n),
        )
        driver.run("DELETE FROM person_term WHERE n = ?", (n,))
    terms[n] = [(n, kind, value, said.birth_date) for kind, value in said.terms]
    keys.put(n, set(said.keys), dirty, fresh=known is None)
    dirty[n] = None


# --- pairs ----------------------------------------------------------------------------------------------------------


def compare_records(
    driver: Driver, persons: Describing, dirty: Iterable[int], keys: Keys | None = None
) -> set[PatientId]:
    """Compares records with everybody who shares a key with them. Returns as index_persons."""
    if persons.compare is None:
        return set()
    keys = keys or Keys(driver)
    changed: set[PatientId] = set()
    done: dict[tuple[int, int], Comparison] = {}
    for n in dirty:
        near = {other for key in keys.of(n) for other in keys.few(key)}
        near.discard(n)
        records = _records(driver, [n, *sorted(near)])
        mine = records.pop(n)
        found: dict[int, Comparison] = {}
        for other, record in records.items():
            pair = (min(n, other), max(n, other))
            if pair not in done and mine.features is not None and record.features is not None:
                done[pair] = compared(persons, mine.own, mine.features, record.own, record.features)
            if pair in done:
                found[other] = done[pair]
        changed |= _put_pairs(driver, persons, mine, records, found)
    return changed


def compared(persons: Describing, one: PatientId, a: bytes, other: PatientId, b: bytes) -> Comparison:
    """Always asked the same way round, so that the answer is the same whoever came first."""
    assert persons.compare is not None
    found = persons.compare(a, b) if str(one) <= str(other) else persons.compare(b, a)
    if found.outcome == "link" and not persons.automatic:
        found = found._replace(outcome="review")
    return found


def _records(driver: Driver, numbers: list[int]) -> dict[int, _Record]:
    sql = "SELECT n, authority, value, features FROM person_record WHERE n IN (@)"
    return {
        n: _Record(n, PatientId(value, authority), features)
        for n, authority, value, features in driver.among(sql, numbers)
    }


def _put_pairs(
    driver: Driver, persons: Describing, mine: _Record, records: Mapping[int, _Record], found: Mapping[int, Comparison]
) -> set[PatientId]:
    """The rows of one record's pairs. A pair nobody would link or look at gets no row; one that had a row keeps it,
    with its number and what people decided."""
    rows = driver.rows(
        "SELECT n, one, other, outcome, probability, rule FROM person_pair WHERE one = ?"
        " UNION ALL SELECT n, one, other, outcome, probability, rule FROM person_pair WHERE other = ?",
        (mine.n, mine.n),
    )
    known = {(other if one == mine.n else one): (n, tuple(said)) for n, one, other, *said in rows}
    # Also when all its links stay: whom it is held apart from may be others now.
    linking = any(one.outcome == "link" for one in found.values())
    changed: set[PatientId] = {mine.own} if linking else set()
    for other, one in found.items():
        said = (one.outcome, str(one.probability), one.rule)
        number, before = known.pop(other, (0, ("separate", "", "")))
        if one.outcome == "separate" and not number:
            continue
        if number and before == said:
            continue
        values = (
            *said[:1],
            str(one.score),
            *said[1:],
            persons.version,
            orjson.dumps(one.attributes, default=str).decode(),
        )
        if number:
            sql = (
                "UPDATE person_pair SET outcome = ?, score = ?, probability = ?, rule = ?, version = ?, attributes = ?,"
                " held = CASE ? WHEN 'link' THEN held ELSE 0 END WHERE n = ?"
            )
            driver.run(sql, (*values, one.outcome, number))
        else:
            driver.run(
                "INSERT INTO person_pair (n, one, other, outcome, score, probability, rule, version, attributes)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (driver.number("person_pair"), min(mine.n, other), max(mine.n, other), *values),
            )
        if "link" in (before[0], one.outcome):
            changed |= {mine.own, records[other].own}
    for other, (number, before) in known.items():
        if before[0] != "separate":
            driver.run("UPDATE person_pair SET outcome = 'separate', held = 0 WHERE n = ?", (number,))
        if before[0] == "link":
            changed.add(mine.own)
            changed.update(record.own for record in _records(driver, [other]).values())
    return changed
