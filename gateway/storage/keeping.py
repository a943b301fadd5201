"""Storing what was read of files: one transaction a batch, all of a file or nothing of it. Implements ports.Keeping.

The order inside the transaction: versions of keys (which file is current), persons (enterprise ids), stays,
resources, documents, blobs, audit, ledger. A batch is stored together only because a commit costs an fsync.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field

import orjson
from sqlalchemy import Engine, select

from gateway.codec import fhir
from gateway.model.audit import AuditRecord
from gateway.model.clock import Clock
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
    current_version,
    stronger,
    valid_versions,
)
from gateway.model.outcome import StayEvent
from gateway.ports import Derivations
from gateway.storage.audit import audit_row, instant
from gateway.storage.blobs import BlobStore
from gateway.storage.engines import CHUNK, Driver
from gateway.storage.keep_documents import keep_blobs, keep_documents, restate
from gateway.storage.keep_identity import IdentityChanges, eids, person_number, register_patients, relink
from gateway.storage.keep_resources import Contribution, keep_resources
from gateway.storage.schema import audit, ledger, source_file, stay_event
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


class Store:
    """ports.Keeping over one database."""

    def __init__(self, engine: Engine, writer: Writer, blobs: BlobStore, derive: Derivations, clock: Clock) -> None:
        self._engine, self._writer, self._blobs, self._derive, self._clock = engine, writer, blobs, derive, clock

    def seen(self, paths: Sequence[bytes]) -> dict[bytes, Seen]:
        found: dict[bytes, Seen] = {}
        with self._engine.connect() as connection:
            driver = Driver(connection)
            sql = "SELECT path, size, mtime_ns, outcome, sha256 FROM ledger WHERE path IN (@)"
            for path, *row in driver.among(sql, paths):
                found[path] = Seen(*row)
        return found

    def keep(self, outcomes: Sequence[FileOutcome], record: Callable[[FileOutcome, str], AuditRecord]) -> Applied:
        for outcome in outcomes:
            for message in outcome.messages:
                self._blobs.put_large([one for one in message.blobs if one.large])
        now = instant(self._clock.now())
        return self._writer.run(lambda driver: _apply(driver, self._derive, outcomes, record, now))

    def doubtful(self, keys: Sequence[str]) -> int:
        with self._engine.connect() as connection:
            return sum(len(valid_versions(_versions(rows))) > 1 for rows in _files(Driver(connection), keys).values())

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
    issues: Counter[str] = Counter()
    _write_files(driver, batch)

    messages = [message for _, message in batch.new]
    patients = {message.patient: (message.person.ids[0], message.facility) for message in messages if message.patient}
    register_patients(driver, patients, derive)
    if conflicts := relink(driver, derive, batch.persons):
        issues["identity-conflict"] += conflicts
    eid_of = eids(driver, patients)

    given = [
        Contribution(file.n, file.current, file.version.timestamp, message.facility, kept)
        for file, message in batch.new
        for kept in message.resources
    ]
    stays = _stays(driver, derive, batch, turned)
    given += stays.given
    eid_of.update(eids(driver, stays.patients - eid_of.keys()))
    applied.resources = keep_resources(driver, derive, now, given, turned, stays.withdrawn, eid_of)

    versions = {key: _versions(files) for key, files in batch.files.items()}
    current = {message.key: current_version(versions[message.key]) for message in messages}
    keep_documents(driver, messages, eid_of, now, current)
    restate(driver, derive, versions, sorted(batch.old_keys))
    keep_blobs(driver, (one for message in messages for one in message.blobs))

    for key, known in versions.items():
        valid = valid_versions(known)
        if len(valid) > 1:
            applied.doubtful.append(key)
            issues["same-timestamp"] += valid[-1].timestamp == valid[-2].timestamp
    _write_log(driver, outcomes, batch, record, now)
    applied.issues = {code: count for code, count in issues.items() if count}
    return applied


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
    person = person_number(driver, message.person, batch.persons) if message.person.ids else None
    file = _File(driver.number("source_file"), message.version, False, person, fresh=True)
    known.append(file)
    batch.new.append((file, message))
    return file, True


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
    wanted: dict[tuple[str, str], Kept] = {}
    if events:
        wanted = {(kept.type, kept.id): kept for kept in derive.project(events)}
    facility = rows[0][1] if rows else facility_of.get(patient, "")
    file = _stay_file(driver, patient, facility)
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


def _stay_file(driver: Driver, patient: str, facility: str) -> int:
    key = f"stay|{patient}"
    row = driver.row("SELECT n FROM source_file WHERE key = ?", (key,))
    if row:
        return int(row[0])
    n = driver.number("source_file")
    driver.insert(source_file, [(n, key, "", "", "", 1, 1, facility, patient, None)])
    return n


# --- audit and ledger -----------------------------------------------------------------------------------------------


def _write_log(
    driver: Driver,
    outcomes: Sequence[FileOutcome],
    batch: _Batch,
    record: Callable[[FileOutcome, str], AuditRecord],
    now: str,
) -> None:
    """One audit record a file that told us something; the ledger row of every file, but for what it already says."""
    rows = {
        outcome.path: (outcome.path, outcome.size, outcome.mtime_ns, outcome.sha256, state, _rejects(outcome))
        for outcome, state in zip(outcomes, batch.states, strict=True)
    }
    bad = [outcome.path for outcome in outcomes if outcome.reported]
    sql = "SELECT path, size, mtime_ns, sha256, outcome, rejects FROM ledger WHERE path IN (@)"
    same = {row[0] for row in driver.among(sql, bad) if tuple(row) == rows[row[0]]}
    driver.insert(
        audit,
        [
            audit_row(driver.number("audit"), now, record(outcome, state))
            for outcome, state, news in zip(outcomes, batch.states, batch.news, strict=True)
            if news or (outcome.reported and outcome.path not in same)
        ],
    )
    driver.many(
        "INSERT INTO ledger (path, size, mtime_ns, sha256, outcome, rejects) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (path) DO UPDATE SET size = excluded.size, mtime_ns = excluded.mtime_ns,"
        " sha256 = excluded.sha256, outcome = excluded.outcome, rejects = excluded.rejects",
        [row for path, row in rows.items() if path not in same],
    )


def _rejects(outcome: FileOutcome) -> str | None:
    return orjson.dumps([tuple(one) for one in outcome.reported]).decode() if outcome.reported else None
