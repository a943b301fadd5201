"""The cross-reference as rows. What links whom is decided by services/identity.py; here it is looked up and kept.

A facility id and what messages say about its person is a row of `person`, with the number of current files that say
so. When such a row appears or disappears, when something is stated or decided, or when a pair is matched otherwise,
the ids that are tied to it by anything (and those tied to them, in turn) are linked anew. Linking rewrites `eid` on the
rows of the persons whose cluster changed, in the same transaction. A document's XML holds a mark instead of the patient
id (codec/ebxml.py), so only its column changes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from gateway.model.identity import Facts, PatientId, PersonKey, resolve, subsumed_by
from gateway.ports import Derivations
from gateway.storage.engines import Driver
from gateway.storage.keep_consents import follow
from gateway.storage.keep_persons import DELETED, LIVE, SUBSUMED, Shown, index_persons
from gateway.storage.keep_ties import Ties, tell_moved, write_changes
from gateway.storage.schema import person as person_table

MAX_HOLDERS = 64
"""An id that more facility ids share than this is no id of a person (a filler such as 99999999): it links nobody."""


MAX_ROUNDS = 4
"""Of retiring records and linking what is left: a record is retired by statements alone, so the second changes none."""


@dataclass(slots=True)
class IdentityChanges:
    """What a batch says about persons."""

    known: dict[tuple[PatientId, str], int] = field(default_factory=dict)
    """(facility id, facts) -> person.n, read or made in this batch."""
    counts: Counter[int] = field(default_factory=Counter)
    """person.n -> how many more current files say so; negative when fewer."""
    changed: set[PatientId] = field(default_factory=set)
    """Facility ids that have to be linked anew."""
    before: set[PatientId] = field(default_factory=set)
    """Shared ids that one of them carried."""
    new: set[PatientId] = field(default_factory=set)
    """Facility ids that nobody knew before: no registry keeps anything under the enterprise id they start with."""
    stated: list[tuple[str, str]] = field(default_factory=list)
    """(who, event time) of the statements of this batch, for the history."""


class Relinked(NamedTuple):
    """What linking anew did."""

    conflicts: int
    flipped: frozenset[PatientId]
    """Records that were retired, or live again."""


def facts_of(person: PersonKey) -> str:
    """Canonical JSON of a PersonKey but for the facility's own id; equal facts are equal text."""
    shared = sorted({(id_.authority, id_.value) for id_ in person.ids[1:]})
    return orjson.dumps({"ids": shared, "birth": person.birth_date, "sex": person.sex}).decode()


def person_number(driver: Driver, person: PersonKey, changes: IdentityChanges) -> int:
    """The row of this statement; made when it is new."""
    own, facts = person.ids[0], facts_of(person)
    number = changes.known.get((own, facts))
    if number is None:
        row = driver.row(
            "SELECT n FROM person WHERE authority = ? AND value = ? AND facts = ?", (own.authority, own.value, facts)
        )
        number = row[0] if row else driver.number("person")
        if not row:
            driver.insert(person_table, [(number, own.authority, own.value, facts, 0)])
        changes.known[own, facts] = number
    return number


def register_patients(
    driver: Driver, patients: Mapping[str, tuple[PatientId, str]], derive: Derivations, changes: IdentityChanges
) -> None:
    """Logical id -> (facility id, facility OID): a new one starts as a person of its own."""
    have = {row[0] for row in driver.among("SELECT patient FROM identity_patient WHERE patient IN (@)", patients)}
    for patient, (own, facility) in patients.items():
        if patient not in have:
            known = _eid(driver, own)
            if not known:
                changes.new.add(own)
            eid = known or derive.enterprise_id([own])
            driver.run(
                "INSERT INTO identity_patient (patient, authority, value, eid, facility) VALUES (?, ?, ?, ?, ?)",
                (patient, own.authority, own.value, eid, facility),
            )
            driver.run(
                "INSERT INTO identity (authority, value, eid) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (own.authority, own.value, eid),
            )
            follow(driver, own.authority, own.value, eid)


def eids(driver: Driver, patients: Iterable[str]) -> dict[str, str]:
    return dict(driver.among("SELECT patient, eid FROM identity_patient WHERE patient IN (@)", patients))


def count(driver: Driver, changes: IdentityChanges) -> set[PatientId]:
    """Applies the counts. Returns the facility ids that files say something else about now."""
    changed: set[PatientId] = set()
    for number, more in changes.counts.items():
        if more:
            authority, value, before = driver.row("SELECT authority, value, files FROM person WHERE n = ?", (number,))
            driver.run("UPDATE person SET files = files + ? WHERE n = ?", (more, number))
            if (before > 0) != (before + more > 0):
                changed.add(PatientId(value, authority))
    changes.counts.clear()
    for own in changed:
        changes.before.update(_shared_of(driver, own))
        shared = _facts(driver, own).shared
        driver.run("DELETE FROM person_id WHERE authority = ? AND value = ?", (own.authority, own.value))
        driver.many(
            "INSERT INTO person_id (shared_authority, shared_value, authority, value) VALUES (?, ?, ?, ?)",
            [(id_.authority, id_.value, own.authority, own.value) for id_ in shared],
        )
    changes.changed |= changed
    return changed


def owners(driver: Driver, patients: Iterable[str]) -> set[PatientId]:
    """Facility ids of logical ids."""
    sql = "SELECT value, authority FROM identity_patient WHERE patient IN (@)"
    return {PatientId(*row) for row in driver.among(sql, patients)}


def link_persons(
    driver: Driver,
    derive: Derivations,
    shown: Mapping[str, Shown],
    restated: Iterable[PatientId],
    changes: IdentityChanges,
    now: str,
) -> Relinked:
    """Index and links together: a record that is retired is compared no longer, and one that lives again is."""
    changes.changed |= index_persons(driver, derive, shown, restated)
    linked = relink(driver, derive, changes, now)
    flipped = linked.flipped
    for _ in range(MAX_ROUNDS):
        if not linked.flipped:
            break
        # The record itself too: it holds nobody apart any more.
        changes.changed |= linked.flipped | index_persons(driver, derive, {}, sorted(linked.flipped, key=str))
        linked = Relinked(linked.conflicts, relink(driver, derive, changes, now).flipped)
        flipped |= linked.flipped
    return Relinked(linked.conflicts, flipped)


def relink(driver: Driver, derive: Derivations, changes: IdentityChanges, now: str) -> Relinked:
    """Links what changed anew, with everybody who is tied to it."""
    if not changes.changed:
        return Relinked(0, frozenset())
    ties = Ties(driver)
    group, touched_ids, fillers = _neighbours(driver, ties, changes)
    statements = ties.statements(group | touched_ids)
    gone, subsumed = ties.gone(statements), subsumed_by(statements)
    facts = {own: _facts(driver, own) for own in group}
    if fillers or gone or subsumed:
        # A shared id may be replaced by another, or be suspended, as a medical ID is (医療等ID).
        facts = {
            own: known._replace(shared=frozenset(resolve(id_, subsumed) for id_ in known.shared) - fillers - gone)
            for own, known in facts.items()
        }
    pairs = ties.pairs(group - gone, derive)
    linked = derive.link({own: known for own, known in facts.items() if own not in gone}, statements, pairs)
    dead = gone | {own for own, _ in linked.subsumed}
    records = [own for own in group if _is_record(driver, own)]
    before = {own: _eid(driver, own) for own in records}
    moved: list[tuple[PatientId, str, str]] = []
    for cluster in (*linked.clusters, *(frozenset([own]) for own in gone)):
        members = [own for own in cluster if own in before]
        if members:
            moved += _assign(
                driver, derive.enterprise_id([own for own in members if own not in dead] or members), members
            )
    for own in sorted(dead, key=str):
        driver.run("DELETE FROM identity WHERE authority = ? AND value = ?", (own.authority, own.value))
    same: dict[PatientId, list[PatientId]] = {}
    for id_ in touched_ids:
        same.setdefault(resolve(id_, subsumed), []).append(id_)
    for shared in sorted(touched_ids, key=str):
        if not _is_record(driver, shared):
            _assign_shared(driver, shared, [] if shared in dead else same.get(shared, ()))
    ties.hold(pairs, linked.held)
    flipped = _set_states(driver, group, gone, dict(linked.subsumed))
    after = {own: "" if own in dead else _eid(driver, own) for own in records}
    write_changes(driver, changes.stated, before, after, pairs, derive, now)
    tell_moved(driver, [one for one in moved if one[0] not in changes.new], now)
    changes.changed.clear()
    changes.before.clear()
    return Relinked(linked.conflicts, frozenset(flipped))


def _neighbours(
    driver: Driver, ties: Ties, changes: IdentityChanges
) -> tuple[set[PatientId], set[PatientId], set[PatientId]]:
    """Everybody who is tied to the changed ids, before or after the change; the shared ids met on the way; and those of
    them that are fillers."""
    group = set(changes.changed)
    seen: set[PatientId] = set()
    fillers: set[PatientId] = set()
    people, ids = list(group), list(changes.before)
    more: list[PatientId] = []
    while people or ids:
        if people:
            own = people.pop()
            ids += [own, *_shared_of(driver, own)]
            new = [other for other in ties.of(own) if other not in group]
            group.update(new)
            people += new
        for shared_id in ids:
            if shared_id not in seen:
                seen.add(shared_id)
                holders, filler = _holders(driver, shared_id)
                if _is_record(driver, shared_id):
                    holders.append(shared_id)
                new = [own for own in holders if own not in group]
                group.update(new)
                people += new
                if filler:
                    fillers.add(shared_id)
                more += ties.stated(shared_id)
        ids, more = more, []
    return group, seen, fillers


def _is_record(driver: Driver, own: PatientId) -> bool:
    sql = "SELECT 1 FROM person WHERE authority = ? AND value = ? LIMIT 1"
    return driver.row(sql, (own.authority, own.value)) is not None


def _set_states(
    driver: Driver, group: set[PatientId], gone: set[PatientId], subsumed: Mapping[PatientId, PatientId]
) -> set[PatientId]:
    """What became of each record, and in whose favour. Returns those of which that is news."""
    flipped: set[PatientId] = set()
    for own in group:
        state = DELETED if own in gone else SUBSUMED if own in subsumed else LIVE
        survivor = ""
        if state == SUBSUMED:
            last = own
            while last in subsumed:
                last = subsumed[last]
            sql = "SELECT patient FROM identity_patient WHERE authority = ? AND value = ? ORDER BY patient LIMIT 1"
            row = driver.row(sql, (last.authority, last.value))
            survivor = row[0] if row else ""
        values = (state, survivor)
        sql = (
            "UPDATE person_record SET state = ?, survivor = ? WHERE authority = ? AND value = ?"
            " AND (state <> ? OR survivor <> ?)"
        )
        if driver.run(sql, (*values, own.authority, own.value, *values)):
            flipped.add(own)
    return flipped


def _shared_of(driver: Driver, own: PatientId) -> list[PatientId]:
    sql = "SELECT shared_value, shared_authority FROM person_id WHERE authority = ? AND value = ?"
    return [PatientId(*row) for row in driver.rows(sql, (own.authority, own.value))]


def _holders(driver: Driver, shared: PatientId) -> tuple[list[PatientId], bool]:
    """Facility ids that carry a shared id, and whether it is a filler. The one that makes it a filler takes all the
    links away, so then they are still listed; later ones find nobody."""
    sql = "SELECT value, authority FROM person_id WHERE shared_authority = ? AND shared_value = ? LIMIT ?"
    rows = driver.rows(sql, (shared.authority, shared.value, MAX_HOLDERS + 2))
    return [PatientId(*row) for row in rows] if len(rows) < MAX_HOLDERS + 2 else [], len(rows) > MAX_HOLDERS


def _facts(driver: Driver, own: PatientId) -> Facts:
    """The union over the statements of current files."""
    shared: set[PatientId] = set()
    births: set[str] = set()
    sexes: set[str] = set()
    sql = "SELECT facts FROM person WHERE authority = ? AND value = ? AND files > 0"
    for (text,) in driver.rows(sql, (own.authority, own.value)):
        facts = orjson.loads(text)
        shared.update(PatientId(value, authority) for authority, value in facts["ids"])
        births.add(facts["birth"])
        sexes.add(facts["sex"])
    return Facts(frozenset(shared), frozenset(births - {""}), frozenset(sexes - {""}))


def _eid(driver: Driver, id_: PatientId) -> str:
    row = driver.row("SELECT eid FROM identity WHERE authority = ? AND value = ?", (id_.authority, id_.value))
    return row[0] if row else ""


def _assign(driver: Driver, eid: str, cluster: Iterable[PatientId]) -> list[tuple[PatientId, str, str]]:
    """Gives every id of a cluster its enterprise id; rows of a person that already has it are left alone. Returns the
    ids whose documents have another one now: (id, before, now)."""
    moved: list[tuple[PatientId, str, str]] = []
    for own in sorted(cluster, key=str):
        key = (own.authority, own.value)
        if _eid(driver, own) == eid:
            continue
        driver.run(
            "INSERT INTO identity (authority, value, eid) VALUES (?, ?, ?)"
            " ON CONFLICT (authority, value) DO UPDATE SET eid = excluded.eid",
            (*key, eid),
        )
        sql = "SELECT patient, eid FROM identity_patient WHERE authority = ? AND value = ?"
        patients = driver.rows(sql, key)
        driver.run("UPDATE identity_patient SET eid = ? WHERE authority = ? AND value = ?", (eid, *key))
        for patient, before in patients:
            if before != eid and (own, before, eid) not in moved:
                moved.append((own, before, eid))
            driver.run("UPDATE resource SET eid = ? WHERE patient = ?", (eid, patient))
            # By the person it was: there is no index on patient, and the rows of a person are few.
            driver.run("UPDATE registry_object SET eid = ? WHERE eid = ? AND patient = ?", (eid, before, patient))
        follow(driver, *key, eid)
    return moved


def _assign_shared(driver: Driver, shared: PatientId, same: Iterable[PatientId]) -> None:
    """A shared id leads to a person only while all who carry it are one; otherwise it leads nowhere, never to a guess.
    `same`: itself and the ids it took the place of; nothing for one that is retired or suspended."""
    eids: set[str] = set()
    for id_ in same:
        rows = driver.rows(
            "SELECT DISTINCT i.eid FROM person_id p"
            " JOIN identity_patient i ON i.authority = p.authority AND i.value = p.value"
            " LEFT JOIN person_record r ON r.authority = p.authority AND r.value = p.value"
            " WHERE p.shared_authority = ? AND p.shared_value = ? AND coalesce(r.state, '') <> 'deleted' LIMIT 2",
            (id_.authority, id_.value),
        )
        eids.update(row[0] for row in rows)
    key = (shared.authority, shared.value)
    if len(eids) == 1:
        driver.run(
            "INSERT INTO identity (authority, value, eid) VALUES (?, ?, ?)"
            " ON CONFLICT (authority, value) DO UPDATE SET eid = excluded.eid",
            (*key, *eids),
        )
        follow(driver, *key, *eids)
    else:
        driver.run("DELETE FROM identity WHERE authority = ? AND value = ?", key)
