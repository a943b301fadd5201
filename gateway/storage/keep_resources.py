"""Choosing which file speaks for a resource, and writing the result: current row, index rows, history.

A resource shows the best live contribution (model/ingest.py `Claim.weight`). A contribution is live while its file is
the current one of its key. With none left the resource is a tombstone. Every content that is not shown is a row of
`resource_version`, each distinct content once.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.model.ingest import Claim, Kept
from gateway.ports import Derivations
from gateway.storage.engines import Driver
from gateway.storage.keep_persons import Shown
from gateway.storage.schema import contribution, resource, resource_reference, resource_string, resource_token
from gateway.storage.schema import resource_version as version_table

_STATE = "n, type, rid, version, versions, deleted, rank, source_time, hash, patient"


class Contribution(NamedTuple):
    """One resource as one file gives it."""

    file: int
    live: bool
    source_time: str
    facility: str
    kept: Kept

    @property
    def claim(self) -> Claim:
        return Claim(self.kept.rank, self.source_time, self.kept.hash)


@dataclass(slots=True)
class _State:
    """A resource row, and what this batch says about it."""

    n: int
    type: str
    rid: str
    version: int
    versions: int
    deleted: int
    rank: int
    source_time: str
    hash: bytes | None
    patient: str
    fresh: bool = False
    ask: bool = False
    """A contribution came to life or died: only the database knows the best one now."""
    given: list[Contribution] = field(default_factory=list)

    def shown(self) -> Claim | None:
        return (
            None if self.fresh or self.deleted or self.hash is None else Claim(self.rank, self.source_time, self.hash)
        )


@dataclass(slots=True)
class _Rows:
    """Rows to write at the end, one executemany a table."""

    inserts: list[tuple[object, ...]] = field(default_factory=list)
    updates: list[tuple[object, ...]] = field(default_factory=list)
    touches: list[tuple[object, ...]] = field(default_factory=list)
    tombstones: list[tuple[object, ...]] = field(default_factory=list)
    versions: list[tuple[object, ...]] = field(default_factory=list)
    cleared: list[tuple[int]] = field(default_factory=list)
    tokens: list[tuple[object, ...]] = field(default_factory=list)
    strings: list[tuple[object, ...]] = field(default_factory=list)
    references: list[tuple[object, ...]] = field(default_factory=list)
    changed: dict[str, int] = field(default_factory=dict)
    patients: dict[str, Shown] = field(default_factory=dict)
    """Patients that are shown differently."""
    touched: list[str] = field(default_factory=list)
    """Patients that are shown by a newer claim of the same content."""

    def index(self, n: int, kept: Kept) -> None:
        type_, patient, start = kept.type, kept.patient, kept.date_start
        self.tokens += [(n, *token, type_, patient, start) for token in kept.tokens]
        self.strings += [(n, *string, type_) for string in kept.strings]
        self.references += [(n, *reference, type_) for reference in kept.references]

    def create(self, state: _State, one: Contribution, now: str, eid: str) -> None:
        """A resource that is shown as its first contribution gives it (`state.versions` counts those before)."""
        kept, number = one.kept, state.versions + 1
        self.inserts.append(
            (state.n, kept.type, kept.id, number, number, now, 0, kept.body, state.patient, eid, one.facility,
             kept.status, kept.date_start, kept.date_end, kept.rank, one.source_time, kept.hash)
        )  # fmt: skip
        self.index(state.n, kept)
        self.count(kept.type)
        if kept.type == "Patient":
            self.patients[kept.id] = Shown(kept.body, one.source_time, True)

    def count(self, type_: str) -> None:
        self.changed[type_] = self.changed.get(type_, 0) + 1


class Settled(NamedTuple):
    """What changed of what is shown."""

    changed: dict[str, int]
    """Resource type -> how many."""
    patients: dict[str, Shown]
    touched: list[str]


def keep_resources(
    driver: Driver,
    derive: Derivations,
    now: str,
    given: Collection[Contribution],
    turned: Mapping[int, bool],
    withdrawn: Collection[tuple[int, int]],
    eid_of: Mapping[str, str],
) -> Settled:
    """Applies contributions to the resources they touch and says how many of each type changed.

    `turned`: files that became current (True) or stopped being so. `withdrawn`: (file, n) pairs that are taken back.
    `eid_of`: enterprise id by logical patient id.
    """
    states = _load(driver, given, turned, withdrawn)
    driver.many("DELETE FROM contribution WHERE file = ? AND n = ?", withdrawn)
    driver.many("UPDATE contribution SET live = ? WHERE file = ?", [(int(on), file) for file, on in turned.items()])
    driver.insert(
        contribution,
        [
            (c.file, state.n, int(c.live), c.kept.rank, c.source_time, c.kept.hash)
            for state in states
            for c in state.given
        ],
    )
    known = _known_hashes(driver, [state.n for state in states if state.versions > 1])
    rows = _Rows()
    for state in states:
        _settle(driver, derive, now, state, known.get(state.n, set()), eid_of, rows)
    _write(driver, rows)
    return Settled(rows.changed, rows.patients, rows.touched)


def _load(
    driver: Driver, given: Collection[Contribution], turned: Mapping[int, bool], withdrawn: Collection[tuple[int, int]]
) -> list[_State]:
    """The touched resources; one that is not there yet gets its number."""
    by_type: dict[str, dict[str, list[Contribution]]] = {}
    for one in given:
        by_type.setdefault(one.kept.type, {}).setdefault(one.kept.id, []).append(one)
    states: dict[int, _State] = {}
    for type_, wanted in by_type.items():
        sql = f"SELECT {_STATE} FROM resource WHERE type = ? AND rid IN (@)"
        for row in driver.among(sql, wanted, (type_,)):
            # A short list is filled up with its last value, but a row still comes once: IN is a set.
            state = states[row[0]] = _State(*row)
            state.given = wanted.pop(state.rid)
        for rid, contributions in wanted.items():
            n = driver.number("resource")
            patient = contributions[0].kept.patient
            states[n] = _State(n, type_, rid, 0, 0, 0, 0, "", None, patient, fresh=True, given=contributions)
    asked = {n for _, n in withdrawn}
    asked.update(row[0] for row in driver.among("SELECT n FROM contribution WHERE file IN (@)", turned))
    for row in driver.among(f"SELECT {_STATE} FROM resource WHERE n IN (@)", sorted(asked - states.keys())):
        states[row[0]] = _State(*row)
    for n in asked:
        states[n].ask = True
    return list(states.values())


def _known_hashes(driver: Driver, numbers: list[int]) -> dict[int, set[bytes]]:
    known: dict[int, set[bytes]] = {}
    sql = "SELECT n, hash FROM resource_version WHERE body IS NOT NULL AND n IN (@)"
    for n, hash_ in driver.among(sql, numbers):
        known.setdefault(n, set()).add(hash_)
    return known


def _settle(
    driver: Driver,
    derive: Derivations,
    now: str,
    state: _State,
    known: set[bytes],
    eid_of: Mapping[str, str],
    rows: _Rows,
) -> None:
    """Decides what one resource shows now and notes the rows for it."""
    if state.fresh and len(state.given) == 1 and state.given[0].live:
        # Nearly every resource of a first load: nothing to compare with.
        rows.create(state, state.given[0], now, eid_of.get(state.patient, ""))
        return
    shown, winner, versions_before = state.shown(), _winner(driver, state), state.versions
    bodies = {one.kept.hash: one for one in sorted(state.given, key=lambda one: one.source_time, reverse=True)}
    for hash_, one in sorted(bodies.items(), key=lambda item: (item[1].source_time, item[0])):
        is_shown = (winner is not None and hash_ == winner.hash) or (shown is not None and hash_ == shown.hash)
        if not is_shown and hash_ not in known:
            state.versions += 1
            rows.versions.append((state.n, state.versions, now, one.source_time, 0, hash_, one.kept.body))
            known.add(hash_)
    if shown is not None and winner is not None and winner.hash == shown.hash:
        if winner != shown or state.versions != versions_before:
            rows.touches.append((winner.rank, winner.source_time, state.versions, state.n))
            if state.type == "Patient":
                rows.touched.append(state.rid)
        return
    if winner is None and state.deleted:
        # Still deleted; at most its history grew.
        rows.touches.append((state.rank, state.source_time, state.versions, state.n))
        return
    if not state.fresh:
        _archive(driver, state, known)
    _show(driver, derive, now, state, winner, bodies, eid_of, rows)


def _winner(driver: Driver, state: _State) -> Claim | None:
    if state.ask:
        row = driver.row(
            "SELECT live, rank, source_time, hash FROM contribution WHERE n = ?"
            " ORDER BY live DESC, rank, source_time DESC, hash DESC LIMIT 1",
            (state.n,),
        )
        return Claim(*row[1:]) if row and row[0] else None
    winner = state.shown()
    for one in state.given:
        if one.live:
            claim = one.claim
            if winner is None or claim.weight > winner.weight:
                winner = claim
    return winner


def _archive(driver: Driver, state: _State, known: set[bytes]) -> None:
    """The row as it stands becomes history. At once and not at the end: its body never passes through Python."""
    body = "NULL" if state.hash in known else "body"
    driver.run(
        "INSERT INTO resource_version (n, version, last_updated, source_time, deleted, hash, body)"
        f" SELECT n, version, last_updated, source_time, deleted, hash, {body} FROM resource WHERE n = ?",
        (state.n,),
    )


def _show(
    driver: Driver,
    derive: Derivations,
    now: str,
    state: _State,
    winner: Claim | None,
    bodies: Mapping[bytes, Contribution],
    eid_of: Mapping[str, str],
    rows: _Rows,
) -> None:
    """A new version: another content, or a tombstone."""
    n, eid = state.n, eid_of.get(state.patient, "")
    facility = state.given[0].facility if state.given else ""
    if state.fresh and winner is not None:
        rows.create(state, next(one for one in state.given if one.live and one.claim == winner), now, eid)
        return
    state.versions += 1
    if not state.fresh:
        rows.cleared.append((n,))
    if winner is None:
        source_time = max([state.source_time, *(one.source_time for one in state.given)])
        if state.fresh:
            rows.inserts.append(
                (n, state.type, state.rid, state.versions, state.versions, now, 1, None, state.patient, eid, facility,
                 "", "", "", 0, source_time, None)
            )  # fmt: skip
            if state.type == "Patient":
                rows.patients[state.rid] = Shown(None, source_time, True)
        else:
            rows.tombstones.append((state.versions, state.versions, now, source_time, n))
            rows.count(state.type)
            if state.type == "Patient":
                rows.patients[state.rid] = Shown(None, source_time, False)
        return
    kept = _content(driver, derive, state, winner, bodies)
    rows.count(state.type)
    if state.type == "Patient":
        rows.patients[state.rid] = Shown(kept.body, winner.source_time, bool(state.deleted))
    rows.index(n, kept)
    rows.updates.append(
        (state.versions, state.versions, now, kept.body, kept.status, kept.date_start, kept.date_end, winner.rank,
         winner.source_time, winner.hash, n)
    )  # fmt: skip


def _content(
    driver: Driver, derive: Derivations, state: _State, winner: Claim, bodies: Mapping[bytes, Contribution]
) -> Kept:
    if winner.hash in bodies:
        return bodies[winner.hash].kept
    row = driver.row(
        "SELECT body FROM resource_version WHERE n = ? AND hash = ? AND body IS NOT NULL LIMIT 1",
        (state.n, winner.hash),
    )
    return derive.reindex(row[0], winner.rank, state.patient)


def _write(driver: Driver, rows: _Rows) -> None:
    for table in ("resource_token", "resource_string", "resource_reference"):
        driver.many(f"DELETE FROM {table} WHERE n = ?", rows.cleared)
    driver.insert(resource, rows.inserts)
    driver.many(
        "UPDATE resource SET version = ?, versions = ?, last_updated = ?, deleted = 0, body = ?, status = ?,"
        " date_start = ?, date_end = ?, rank = ?, source_time = ?, hash = ? WHERE n = ?",
        rows.updates,
    )
    driver.many("UPDATE resource SET rank = ?, source_time = ?, versions = ? WHERE n = ?", rows.touches)
    driver.many(
        "UPDATE resource SET version = ?, versions = ?, last_updated = ?, deleted = 1, body = NULL, status = '',"
        " date_start = '', date_end = '', source_time = ?, hash = NULL WHERE n = ?",
        rows.tombstones,
    )
    driver.insert(version_table, rows.versions)
    driver.insert(resource_token, rows.tokens)
    driver.insert(resource_string, rows.strings)
    driver.insert(resource_reference, rows.references)
