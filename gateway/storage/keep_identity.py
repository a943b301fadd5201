"""The exact cross-reference as rows. What links whom is decided by services/identity.py; here it is looked up and kept.

A facility id and what messages say about its person is a row of `person`, with the number of current files that say
so. When such a statement appears or disappears, the ids that share an id with it (and theirs, in turn) are linked
anew. Linking rewrites `eid` on the rows of the persons whose cluster changed, in the same transaction. A document's
XML holds a mark instead of the patient id (codec/ebxml.py), so only its column changes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import orjson

from gateway.model.identity import Facts, PatientId, PersonKey
from gateway.ports import Derivations
from gateway.storage.engines import Driver
from gateway.storage.schema import person as person_table

MAX_HOLDERS = 64
"""An id that more facility ids share than this is no id of a person (a filler such as 99999999): it links nobody."""


@dataclass(slots=True)
class IdentityChanges:
    """What a batch says about persons."""

    known: dict[tuple[PatientId, str], int] = field(default_factory=dict)
    """(facility id, facts) -> person.n, read or made in this batch."""
    counts: Counter[int] = field(default_factory=Counter)
    """person.n -> how many more current files say so; negative when fewer."""


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


def register_patients(driver: Driver, patients: Mapping[str, tuple[PatientId, str]], derive: Derivations) -> None:
    """Logical id -> (facility id, facility OID): a new one starts as a person of its own."""
    have = {row[0] for row in driver.among("SELECT patient FROM identity_patient WHERE patient IN (@)", patients)}
    for patient, (own, facility) in patients.items():
        if patient not in have:
            eid = _eid(driver, own) or derive.enterprise_id([own])
            driver.run(
                "INSERT INTO identity_patient (patient, authority, value, eid, facility) VALUES (?, ?, ?, ?, ?)",
                (patient, own.authority, own.value, eid, facility),
            )
            driver.run(
                "INSERT INTO identity (authority, value, eid) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (own.authority, own.value, eid),
            )


def eids(driver: Driver, patients: Iterable[str]) -> dict[str, str]:
    return dict(driver.among("SELECT patient, eid FROM identity_patient WHERE patient IN (@)", patients))


def relink(driver: Driver, derive: Derivations, changes: IdentityChanges) -> int:
    """Applies counts, links what they touch anew, and returns the number of conflicts among the touched."""
    changed: set[PatientId] = set()
    for number, more in changes.counts.items():
        if more:
            authority, value, before = driver.row("SELECT authority, value, files FROM person WHERE n = ?", (number,))
            driver.run("UPDATE person SET files = files + ? WHERE n = ?", (more, number))
            if (before > 0) != (before + more > 0):
                changed.add(PatientId(value, authority))
    if not changed:
        return 0
    group, touched_ids, fillers = _neighbours(driver, changed)
    facts = {own: _facts(driver, own) for own in group}
    if fillers:
        facts = {own: known._replace(shared=known.shared - fillers) for own, known in facts.items()}
    linked = derive.link(facts)
    for cluster in linked.clusters:
        _assign(driver, derive.enterprise_id(cluster), cluster)
    for shared in sorted(touched_ids, key=str):
        _assign_shared(driver, shared)
    return linked.conflicts


def _neighbours(driver: Driver, changed: set[PatientId]) -> tuple[set[PatientId], set[PatientId], set[PatientId]]:
    """Everybody who is tied to the changed ids by a shared id, before or after the change; the shared ids met on the
    way; and those of them that are fillers."""
    before: set[PatientId] = set()
    for own in changed:
        before.update(_shared_of(driver, own))
        shared = _facts(driver, own).shared
        driver.run("DELETE FROM person_id WHERE authority = ? AND value = ?", (own.authority, own.value))
        driver.many(
            "INSERT INTO person_id (shared_authority, shared_value, authority, value) VALUES (?, ?, ?, ?)",
            [(id_.authority, id_.value, own.authority, own.value) for id_ in shared],
        )
    group = set(changed)
    seen: set[PatientId] = set()
    fillers: set[PatientId] = set()
    people, ids = list(changed), list(before)
    while people or ids:
        ids += _shared_of(driver, people.pop()) if people else ()
        for shared_id in ids:
            if shared_id not in seen:
                seen.add(shared_id)
                holders, filler = _holders(driver, shared_id)
                new = [own for own in holders if own not in group]
                group.update(new)
                people += new
                if filler:
                    fillers.add(shared_id)
        ids.clear()
    return group, seen, fillers


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


def _assign(driver: Driver, eid: str, cluster: Iterable[PatientId]) -> None:
    """Gives every id of a cluster its enterprise id; rows of a person that already has it are left alone."""
    for own in sorted(cluster, key=str):
        key = (own.authority, own.value)
        if _eid(driver, own) == eid:
            continue
        driver.run(
            "INSERT INTO identity (authority, value, eid) VALUES (?, ?, ?)"
            " ON CONFLICT (authority, value) DO UPDATE SET eid = excluded.eid",
            (*key, eid),
        )
        driver.run("UPDATE identity_patient SET eid = ? WHERE authority = ? AND value = ?", (eid, *key))
        patients = driver.rows("SELECT patient FROM identity_patient WHERE authority = ? AND value = ?", key)
        for (patient,) in patients:
            driver.run("UPDATE resource SET eid = ? WHERE patient = ?", (eid, patient))
            driver.run("UPDATE document SET eid = ? WHERE patient = ?", (eid, patient))


def _assign_shared(driver: Driver, shared: PatientId) -> None:
    """A shared id leads to a person only while all who carry it are one; otherwise it leads nowhere, never to a guess."""
    rows = driver.rows(
        "SELECT DISTINCT i.eid FROM person_id p JOIN identity i ON i.authority = p.authority AND i.value = p.value"
        " WHERE p.shared_authority = ? AND p.shared_value = ? LIMIT 2",
        (shared.authority, shared.value),
    )
    key = (shared.authority, shared.value)
    if len(rows) == 1:
        driver.run(
            "INSERT INTO identity (authority, value, eid) VALUES (?, ?, ?)"
            " ON CONFLICT (authority, value) DO UPDATE SET eid = excluded.eid",
            (*key, rows[0][0]),
        )
    else:
        driver.run("DELETE FROM identity WHERE authority = ? AND value = ?", key)
