"""Storing what was read of files: one transaction a batch, all of a file or nothing of it. Implements ports.Keeping.

The order inside the transaction: versions of keys (which file is current), persons (enterprise ids), stays,
resources, documents, blobs, audit, ledger. A batch is stored together only because a commit costs an fsync.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import orjson
from sqlalchemy import Engine, select

from gateway.codec import fhir
from gateway.model.audit import AuditRecord
from gateway.model.clock import Clock
from gateway.model.identity import PatientId
from gateway.model.ingest import (
    DELETED,
    SUPERSEDED,
    Applied,
    FileOutcome,
    Kept,
    KeptMessage,
    Reject,
    Seen,
    State,
    Version,
    corrects,
    current_version,
    stronger,
    update_time,
    valid_versions,
)
from gateway.model.outcome import StayEvent
from gateway.ports import Derivations
from gateway.storage.audit import instant
from gateway.storage.blobs import BlobStore
from gateway.storage.engines import CHUNK, Driver, driver_of
from gateway.storage.keep_cancels import unmatched
from gateway.storage.keep_documents import keep_blobs, keep_documents, restate
from gateway.storage.keep_identity import (
    IdentityChanges,
    count,
    eids,
    link_persons,
    owners,
    person_number,
    register_patients,
)
from gateway.storage.keep_log import note, write_log
from gateway.storage.keep_persons import SUBSUMED, Shown
from gateway.storage.keep_resources import Contribution, Settled, keep_resources
from gateway.storage.keep_ties import ever_stated, keep_statements, tell_patients
from gateway.storage.schema import ledger, source_file, stay_event
from gateway.storage.writer import Writer

_VERSIONS = "SELECT n, key, timestamp, sha256, department, flag, current, person FROM source_file WHERE key IN (@)"


@dataclass(slots=True)
class _File:
    """One version of a key, as stored or about to be."""

    n: int
    version: Version
    current: bool
    person: int | None
    fresh: bool = False
    turned: bool = False


@dataclass(slots=True)
class _Batch:
    """What one transaction works on."""

    files: dict[str, list[_File]] = field(default_factory=dict)
    """All versions of every key that is touched."""
    old_keys: set[str] = field(default_factory=set)
    """Keys that were known before, or of which the batch holds two versions: their documents are looked at again."""
    new: list[tuple[_File, KeptMessage]] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    news: list[bool] = field(default_factory=list)
    """One a FileOutcome: a version or a flag in it was not known."""
    persons: IdentityChanges = field(default_factory=IdentityChanges)
    issues: Counter[str] = field(default_factory=Counter)

    def senders(self) -> dict[str, str]:
        """Logical id of a patient -> who sent what is new about him."""
        return {message.patient: message.sender or message.facility for _, message in self.new}


class Store:
    """ports.Keeping over one database."""

    def __init__(self, engine: Engine, writer: Writer, blobs: BlobStore, derive: Derivations, clock: Clock) -> None:
        self._engine, self._writer, self._blobs, self._derive, self._clock = engine, writer, blobs, derive, clock

    def seen(self, paths: Sequence[bytes]) -> dict[bytes, Seen]:
        found: dict[bytes, Seen] = {}
        with self._engine.connect() as connection:
            driver = driver_of(connection)
            sql = "SELECT path, size, mtime_ns, outcome, sha256 FROM ledger WHERE path IN (@)"
            for path, *row in driver.among(sql, paths):
                found[path] = Seen(*row)
        return found

    def keep(self, outcomes: Sequence[FileOutcome], record: Callable[[FileOutcome, str], AuditRecord]) -> Applied:
        for outcome in outcomes:
            for blobs in (outcome.quarantine, *(message.blobs for message in outcome.messages)):
                self._blobs.put_large([one for one in blobs if one.large])
        now = instant(self._clock.now())
        return self._writer.run(lambda driver: _apply(driver, self._derive, outcomes, record, now))

    def doubtful(self, keys: Sequence[str]) -> int:
        with self._engine.connect() as connection:
            return sum(
                len(valid_versions(_versions(rows))) > 1 for rows in _files(driver_of(connection), keys).values()
            )

    def unmatched(self, patients: Sequence[str]) -> int:
        with self._engine.connect() as connection:
            return unmatched(driver_of(connection), self._derive, patients)

    def rejects(self) -> Iterator[tuple[bytes, tuple[Reject, ...]]]:
        after = b""
        while True:
            rows = (
                select(ledger.c.path, ledger.c.rejects)
                .where(ledger.c.path > after, ledger.c.rejects.is_not(None))
                .order_by(ledger.c.path)
                .limit(CHUNK)
            )
            with self._engine.connect() as connection:
                page = connection.execute(rows).all()
            for path, rejects in page:
                yield path, tuple(Reject(*one) for one in orjson.loads(rejects))
            if len(page) < CHUNK:
                return
            after = page[-1][0]

    def note(self, path: bytes, seen: Seen) -> None:
        self._writer.run(lambda driver: note(driver, path, seen))

    def forget(self, paths: Sequence[bytes]) -> None:
        if paths:
            rows = [(path,) for path in paths]
            self._writer.run(lambda driver: driver.many("DELETE FROM ledger WHERE path = ?", rows))


def _apply(
    driver: Driver,
    derive: Derivations,
    outcomes: Sequence[FileOutcome],
    record: Callable[[FileOutcome, str], AuditRecord],
    now: str,
) -> Applied:
    batch = _versions_in(driver, outcomes)
    turned, applied = _turn(batch), Applied(states=batch.states)
    issues = batch.issues
    _write_files(driver, batch)

    messages = [message for _, message in batch.new]
    patients = {message.patient: (message.person.ids[0], message.facility) for message in messages if message.patient}
    register_patients(driver, patients, derive, batch.persons)
    eid_of = eids(driver, patients)

    stays = _stays(driver, derive, batch, turned)
    instead = _revise(driver, derive, batch, stays)
    given = [
        Contribution(file.n, file.current, file.version.timestamp, message.facility, kept)
        for file, message in batch.new
        for kept in instead.get(file.n, message.resources)
    ]
    given += stays.given
    eid_of.update(eids(driver, stays.patients - eid_of.keys()))
    settled = keep_resources(driver, derive, now, given, turned, stays.withdrawn, eid_of)
    applied.resources = settled.changed
    if conflicts := _persons(driver, derive, batch, settled, now):
        issues["identity-conflict"] += conflicts
    eid_of = eids(driver, patients)

    versions = {key: _versions(files) for key, files in batch.files.items()}
    current = {message.key: current_version(versions[message.key]) for message in messages}
    keep_documents(driver, messages, eid_of, now, current)
    restate(driver, derive, versions, sorted(batch.old_keys))
    keep_blobs(driver, (one for message in messages for one in message.blobs))
    keep_blobs(driver, (one for outcome in outcomes for one in outcome.quarantine))

    resent = {message.key for outcome in outcomes for message in outcome.messages if message.record}
    named = {message.key for outcome in outcomes for message in outcome.messages if message.named}
    for key, known in versions.items():
        valid = valid_versions(known)
        if len(valid) > 1 and key not in resent:
            if key in named:
                applied.doubtful.append(key)
            issues["same-timestamp"] += valid[-1].timestamp == valid[-2].timestamp
    write_log(driver, outcomes, batch.states, batch.news, record, now)
    applied.issues = {code: count for code, count in issues.items() if count}
    applied.cancelling = stays.cancelling
    return applied


def _persons(driver: Driver, derive: Derivations, batch: _Batch, settled: Settled, now: str) -> int:
    """Who is whom, after what this batch says. Returns the conflicts met."""
    changes = batch.persons
    restated = count(driver, changes)
    for _, message in batch.new:
        if message.statements:
            changes.changed |= keep_statements(driver, message.statements, now)
            changes.stated += [(one.who, one.event_time) for one in message.statements]
    spoken_for: set[PatientId] = set()
    if ever_stated(driver):
        # Whether a record is deleted depends on what is newer, so everything said about it counts.
        spoken_for = owners(driver, (*settled.touched, *settled.patients, *batch.senders()))
        changes.changed |= spoken_for
    tell_patients(driver, derive, settled.patients, batch.senders(), now)
    linked = link_persons(driver, derive, settled.patients, restated, changes, now)
    again = _retire(driver, derive, linked.flipped.union(spoken_for), now)
    link_persons(driver, derive, again, (), changes, now)
    return linked.conflicts


def _retire(driver: Driver, derive: Derivations, owns: Collection[PatientId], now: str) -> Mapping[str, Shown]:
    """The Patient of a number that a merge retired is shown as inactive, with a link to its survivor; that of a number
    that lives again as its files give it. In the name of a derived file, so that no order matters. Returns what is
    shown differently by that."""
    if derive.retire is None:
        return {}
    stays = _Stays()
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
        _replace(driver, stays, file, wanted, time, facility)
    if not stays.given and not stays.withdrawn:
        return {}
    eid_of = eids(driver, [one.kept.patient for one in stays.given])
    return keep_resources(driver, derive, now, stays.given, {}, stays.withdrawn, eid_of).patients


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


# --- versions -------------------------------------------------------------------------------------------------------


def _files(driver: Driver, keys: Collection[str]) -> dict[str, list[_File]]:
    files: dict[str, list[_File]] = {}
    for n, key, timestamp, sha256, department, flag, current, person in driver.among(_VERSIONS, keys):
        version = Version(timestamp, sha256, department, flag)
        files.setdefault(key, []).append(_File(n, version, bool(current), person))
    return files


def _versions(files: Collection[_File]) -> list[Version]:
    return [file.version for file in files]


def _versions_in(driver: Driver, outcomes: Sequence[FileOutcome]) -> _Batch:
    """Adds the batch's versions to those already known of their keys, and says what became of each file."""
    batch = _Batch()
    batch.files = _files(driver, {message.key for outcome in outcomes for message in outcome.messages})
    batch.old_keys = set(batch.files)
    touched: list[list[tuple[_File, bool]]] = []
    for outcome in outcomes:
        touched.append([_take(driver, batch, message) for message in outcome.messages])
    newest = {key: current_version(_versions(files)) for key, files in batch.files.items()}
    for outcome, files in zip(outcomes, touched, strict=True):
        batch.states.append(_state(outcome, files, newest))
        batch.news.append(any(news for _, news in files))
    return batch


def _take(driver: Driver, batch: _Batch, message: KeptMessage) -> tuple[_File, bool]:
    """The row of this version, and whether it is news: a new version, or a stronger flag of a known one."""
    known = batch.files.setdefault(message.key, [])
    for file in known:
        if file.version[:3] == message.version[:3]:
            flag = stronger(file.version.flag, message.version.flag)
            news = flag != file.version.flag
            file.version = file.version._replace(flag=flag)
            return file, news
    if known:
        batch.old_keys.add(message.key)
    if message.revised:
        _compare(batch.issues, message.version, _versions(known))
    person = person_number(driver, message.person, batch.persons) if message.person.ids else None
    file = _File(driver.number("source_file"), message.version, False, person, fresh=True)
    known.append(file)
    batch.new.append((file, message))
    return file, True


def _compare(issues: Counter[str], version: Version, known: Sequence[Version]) -> None:
    """What a record that was resent is beside those known of its key."""
    time = update_time(version)
    if any(update_time(other) > time for other in known):
        issues["exchange-stale"] += 1
    elif any(update_time(other) == time and other.sha256 != version.sha256 for other in known):
        issues["exchange-same-update-time"] += 1


def _state(outcome: FileOutcome, files: list[tuple[_File, bool]], newest: dict[str, Version | None]) -> State:
    """Of several messages the first decides; a file with one message that cannot be kept is rejected."""
    if outcome.rejects or not files:
        return "rejected"
    file, news = next((pair for pair in files if pair[1]), files[0])
    if not news:
        return "unchanged"
    if file.version.flag == DELETED:
        return "deleted"
    if file.version.flag == SUPERSEDED or newest[outcome.messages[0].key] != file.version:
        return "superseded"
    records = [(message, file) for message, (file, _) in zip(outcome.messages, files, strict=True) if message.record]
    if records and not any(newest[message.key] == file.version for message, file in records):
        return "superseded"
    return "ingested"


def _turn(batch: _Batch) -> dict[int, bool]:
    """Sets which version of each key is current. Returns the stored files whose answer changed."""
    turned: dict[int, bool] = {}
    for files in batch.files.values():
        newest = current_version(_versions(files))
        for file in files:
            now_current = newest is not None and file.version == newest
            if now_current != file.current:
                file.current = now_current
                file.turned = True
                if file.person is not None:
                    batch.persons.counts[file.person] += 1 if now_current else -1
                if not file.fresh:
                    turned[file.n] = now_current
    return turned


def _write_files(driver: Driver, batch: _Batch) -> None:
    """Files, then their stay events: a projection reads both."""
    driver.insert(
        source_file,
        [
            (file.n, message.key, *file.version, int(file.current), message.facility, message.patient, file.person)
            for file, message in batch.new
        ],
    )
    driver.many(
        "UPDATE source_file SET flag = ?, current = ? WHERE n = ? AND (flag <> ? OR current <> ?)",
        [
            (file.version.flag, int(file.current), file.n, file.version.flag, int(file.current))
            for files in batch.files.values()
            for file in files
            if not file.fresh
        ],
    )
    driver.insert(
        stay_event,
        [
            (file.n, ordinal, event.patient, fhir.render(asdict(event)))
            for file, message in batch.new
            for ordinal, event in enumerate(message.stay_events)
        ],
    )


# --- stays ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Stays:
    given: list[Contribution] = field(default_factory=list)
    withdrawn: list[tuple[int, int]] = field(default_factory=list)
    patients: set[str] = field(default_factory=set)
    cancelling: list[str] = field(default_factory=list)


def _stays(driver: Driver, derive: Derivations, batch: _Batch, turned: dict[int, bool]) -> _Stays:
    """Projects the stays of every patient whose set of current events changed.

    The projection of one patient stands in the store like a file of its own, whose content is replaced.
    """
    stays = _Stays()
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


def _project(driver: Driver, derive: Derivations, patient: str, facility_of: dict[str, str], stays: _Stays) -> None:
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
    driver: Driver, stays: _Stays, file: int, wanted: dict[tuple[str, str], Kept], source_time: str, facility: str
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
            stays.withdrawn.append((file, n))
    stays.given += [Contribution(file, True, source_time, facility, kept) for kept in wanted.values()]


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


# --- resent records -------------------------------------------------------------------------------------------------


def _revise(driver: Driver, derive: Derivations, batch: _Batch, stays: _Stays) -> dict[int, Sequence[Kept]]:
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
        earlier = corrects(current.version, _versions(files))
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
