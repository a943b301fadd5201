"""Brings the person index to the rules of this program: a database of before the index, other weights, another mode.

First every record is described anew, and only then is anybody compared, so that no link comes undone in between because
one side speaks the old language. Each step is a transaction; after a stop it goes on where it was.
"""

from typing import NamedTuple

from gateway.model.identity import PatientId
from gateway.model.ingest import Seen
from gateway.ports import Derivations, Describing
from gateway.storage.engines import Driver
from gateway.storage.keep_identity import IdentityChanges, link_persons
from gateway.storage.keep_log import note
from gateway.storage.keep_persons import bodies, compare_records, describe_patients
from gateway.storage.writer import Writer

MARK = b"persons:index"
"""Row of the ledger that says which rules the index was made by, and how far that came."""
STEP = 500
"""Patients of one transaction."""
_DESCRIBE, _COMPARE, _DONE = 0, 1, 2


class _State(NamedTuple):
    phase: int
    after: str
    """Logical id of the last Patient of the phase that is done."""


def reindex(writer: Writer, derive: Derivations, now: str) -> int:
    """Does what is missing. Returns how many Patients were looked at; 0 when the index is that of these rules."""
    persons = derive.persons
    if persons is None:
        return 0
    wanted = f"{persons.version}|{persons.compare is not None}|{persons.automatic}"
    looked = 0
    while True:
        done, more = writer.run(lambda driver: _step(driver, derive, persons, wanted, now))
        looked += more
        if done:
            return looked


def _step(driver: Driver, derive: Derivations, persons: Describing, wanted: str, now: str) -> tuple[bool, int]:
    state = _state(driver, wanted)
    if state.phase == _DONE:
        return True, 0
    sql = "SELECT patient FROM identity_patient WHERE patient > ? ORDER BY patient LIMIT ?"
    patients = [row[0] for row in driver.rows(sql, (state.after, STEP))]
    if state.phase == _DESCRIBE:
        describe_patients(driver, persons, bodies(driver, patients))
    else:
        numbers = [row[0] for row in driver.among("SELECT n FROM person_record WHERE patient IN (@)", patients)]
        changed = compare_records(driver, persons, numbers) if persons.compare else _unpaired(driver)
        link_persons(driver, derive, {}, (), IdentityChanges(changed=changed), now)
    state = _State(state.phase, patients[-1]) if len(patients) == STEP else _State(state.phase + 1, "")
    note(driver, MARK, Seen(state.phase, 0, wanted, state.after))
    return state.phase == _DONE, len(patients)


def _state(driver: Driver, wanted: str) -> _State:
    row = driver.row("SELECT size, outcome, sha256 FROM ledger WHERE path = ?", (MARK,))
    return _State(row[0], row[2]) if row and row[1] == wanted else _State(_DESCRIBE, "")


def _unpaired(driver: Driver) -> set[PatientId]:
    """Matching is off: what it linked is linked no longer. What people decided stays."""
    rows = driver.rows(
        "SELECT r.value, r.authority FROM person_pair p JOIN person_record r ON r.n IN (p.one, p.other)"
        " WHERE p.outcome = 'link'"
    )
    driver.run("UPDATE person_pair SET outcome = 'separate', held = 0 WHERE outcome <> 'separate'")
    return {PatientId(*row) for row in rows}
