"""Resources that no file gives but the store works out, each set in the name of a derived file: the stays of a patient,
a resent record as a correction, a retired Patient. Part of the transaction of storage/keeping.py.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.codec import fhir
from gateway.model.identity import PatientId
from gateway.model.ingest import Kept, corrects
from gateway.model.outcome import StayEvent
from gateway.ports import Derivations
from gateway.storage.engines import Driver
from gateway.storage.keep_identity import eids
from gateway.storage.keep_persons import SUBSUMED, Shown
from gateway.storage.keep_resources import Contribution, keep_resources
from gateway.storage.keep_versions import Batch, versions_of
from gateway.storage.schema import source_file


@dataclass(slots=True)
class Derived:
    """What a batch changes of them."""

    given: list[Contribution] = field(default_factory=list)
    withdrawn: list[tuple[int, int]] = field(default_factory=list)
    patients: set[str] = field(default_factory=set)
    cancelling: list[str] = field(default_factory=list)


def stays_of(driver: Driver, derive: Derivations, batch: Batch, turned: dict[int, bool]) -> Derived:
    """Projects the stays of every patient whose set of current events changed.

    The projection of one patient stands in the store like a file of its own, whose content is replaced.
    """
    stays = Derived()
    facility_of: dict[str, str] = {}
    for file, message in batch.new:
        if file.current:
            stays.patients.update(event.patient for event in message.stay_events)
        facility_of[message.patient] = message.facility
    sql = "SELECT DISTINCT patient FROM stay_event WHERE file IN (@)"
    stays.patients.update(row[0] for row in driver.among(sql, turned))
    for patient in sorted(stays.patients):
        _project(driver, derive, patient, facility_of, stays)
    return stays


def _project(driver: Driver, derive: Derivations, patient: str, facility_of: dict[str, str], stays: Derived) -> None:
    rows = driver.rows(
        "SELECT e.body, f.facility FROM stay_event e JOIN source_file f ON f.n = e.file"
        " WHERE e.patient = ? AND f.current = 1 ORDER BY f.timestamp, f.sha256, e.ordinal",
        (patient,),
    )
    events = tuple(StayEvent(**fhir.parse(body)) for body, _ in rows)
    source_time = max((event.source_time for event in events), default="")
    if any(event.cancelled for event in events):
        stays.cancelling.append(patient)
    wanted: dict[tuple[str, str], Kept] = {}
    if events:
        wanted = {(kept.type, kept.id): kept for kept in derive.project(events)}
    facility = rows[0][1] if rows else facility_of.get(patient, "")
    _replace(driver, stays, _derived_file(driver, f"stay|{patient}", patient, facility), wanted, source_time, facility)


def _replace(
    driver: Driver, derived: Derived, file: int, wanted: dict[tuple[str, str], Kept], source_time: str, facility: str
) -> None:
    """What a derived file said before gives way to what it says now."""
    sql = (
        "SELECT r.type, r.rid, c.n, c.hash, c.source_time FROM contribution c JOIN resource r ON r.n = c.n"
        " WHERE c.file = ?"
    )
    for type_, rid, n, hash_, time in driver.rows(sql, (file,)):
        kept = wanted.get((type_, rid))
        if kept is not None and kept.hash == hash_ and time == source_time:
            del wanted[type_, rid]
        else:
            derived.withdrawn.append((file, n))
    derived.given += [Contribution(file, True, source_time, facility, kept) for kept in wanted.values()]


def _derived_file(driver: Driver, key: str, patient: str, facility: str, *, make: bool = True) -> int:
    """Number of the file in whose name we speak: a patient's stays, or a record as a correction. 0: there is none."""
    row = driver.row("SELECT n FROM source_file WHERE key = ?", (key,))
    if row:
        return int(row[0])
    if not make:
        return 0
    n = driver.number("source_file")
    driver.insert(source_file, [(n, key, "", "", "", 1, 1, facility, patient, None)])
    return n


def revise(driver: Driver, derive: Derivations, batch: Batch, stays: Derived) -> dict[int, Sequence[Kept]]:
    """A record whose current version replaces another content is shown as a correction. Which it does is a fact about
    all versions of its key, so it is worked out anew whenever one comes, in whatever order.

    Returns what new files give instead of their own resources; a file stored before is spoken for by a derived one.
    """
    fresh = {file.n: message for file, message in batch.new if message.revised}
    instead: dict[int, Sequence[Kept]] = {}
    for message in {message.key: message for message in fresh.values()}.values():
        files = batch.files[message.key]
        current = next((file for file in files if file.current), None)
        if len(files) < 2 or current is None:
            continue
        earlier = corrects(current.version, versions_of(files))
        wanted: dict[tuple[str, str], Kept] = {}
        if earlier and (known := fresh.get(current.n)):
            made = derive.revise([kept.body for kept in known.resources], earlier, message.patient)
            instead[current.n] = [kept._replace(rank=0) for kept in made]
        elif earlier:
            revised = derive.revise(_bodies(driver, current.n), earlier, message.patient)
            wanted = {(kept.type, kept.id): kept for kept in revised}
        file = _derived_file(driver, f"resend|{message.key}", message.patient, message.facility, make=bool(wanted))
        if file:
            _replace(driver, stays, file, wanted, current.version.timestamp, message.facility)
    return instead


def _bodies(driver: Driver, file: int) -> list[bytes]:
    """What a stored file says, whether it is shown or not."""
    sql = (
        "SELECT CASE WHEN r.hash = c.hash THEN r.body ELSE (SELECT v.body FROM resource_version v"
        " WHERE v.n = c.n AND v.hash = c.hash AND v.body IS NOT NULL LIMIT 1) END"
        " FROM contribution c JOIN resource r ON r.n = c.n WHERE c.file = ? ORDER BY r.type, r.rid"
    )
    return [row[0] for row in driver.rows(sql, (file,))]


def retire(driver: Driver, derive: Derivations, owns: Collection[PatientId], now: str) -> Mapping[str, Shown]:
    """The Patient of a number that a merge retired is shown as inactive, with a link to its survivor; that of a number
    that lives again as its files give it. In the name of a derived file, so that no order matters. Returns what is
    shown differently by that."""
    if derive.retire is None:
        return {}
    derived = Derived()
    for own in sorted(owns, key=str):
        row = driver.row(
            "SELECT p.patient, p.state, p.survivor, i.facility FROM person_record p JOIN identity_patient i"
            " ON i.patient = p.patient WHERE p.authority = ? AND p.value = ?",
            (own.authority, own.value),
        )
        if row is None:
            continue
        patient, state, survivor, facility = row
        retired = state == SUBSUMED and survivor
        file = _derived_file(driver, f"retired|{patient}", patient, facility, make=bool(retired))
        if not file:
            continue
        wanted: dict[tuple[str, str], Kept] = {}
        time = ""
        if retired and (base := _without(driver, patient, file)):
            body, time = base
            wanted = {("Patient", patient): derive.retire(body, survivor)}
        _replace(driver, derived, file, wanted, time, facility)
    if not derived.given and not derived.withdrawn:
        return {}
    eid_of = eids(driver, [one.kept.patient for one in derived.given])
    return keep_resources(driver, derive, now, derived.given, {}, derived.withdrawn, eid_of).patients


def _without(driver: Driver, patient: str, file: int) -> tuple[bytes, str] | None:
    """(body, source time) of a Patient as it would be shown without one file."""
    sql = (
        "SELECT CASE WHEN r.hash = c.hash THEN r.body ELSE (SELECT v.body FROM resource_version v"
        " WHERE v.n = c.n AND v.hash = c.hash AND v.body IS NOT NULL LIMIT 1) END, c.source_time"
        " FROM contribution c JOIN resource r ON r.n = c.n WHERE r.type = 'Patient' AND r.rid = ? AND c.file <> ?"
        " AND c.live = 1 ORDER BY c.rank, c.source_time DESC, c.hash DESC LIMIT 1"
    )
    row = driver.row(sql, (patient, file))
    return (row[0], row[1]) if row and row[0] is not None else None
