"""Storing what was read of files: one transaction a batch, all of a file or nothing of it. Implements ports.Keeping.

The order inside the transaction: versions of keys (which file is current), persons (enterprise ids), stays,
resources, documents, blobs, audit, ledger. A batch is stored together only because a commit costs an fsync.
"""

from collections.abc import Callable, Iterator, Sequence

import orjson
from sqlalchemy import Engine, select

from gateway.model.audit import AuditRecord
from gateway.model.clock import Clock
from gateway.model.identity import PatientId
from gateway.model.ingest import Applied, FileOutcome, Reject, Seen, current_version, valid_versions
from gateway.ports import Derivations
from gateway.storage.audit import instant
from gateway.storage.blobs import BlobStore
from gateway.storage.engines import CHUNK, Driver, driver_of
from gateway.storage.keep_cancels import unmatched
from gateway.storage.keep_derived import retire, revise, stays_of
from gateway.storage.keep_documents import keep_blobs, keep_documents, restate
from gateway.storage.keep_identity import count, eids, link_persons, owners, register_patients
from gateway.storage.keep_log import note, write_log
from gateway.storage.keep_resources import Contribution, Settled, keep_resources
from gateway.storage.keep_ties import ever_stated, keep_statements, tell_patients
from gateway.storage.keep_versions import Batch, files_of, turn, versions_in, versions_of, write_files
from gateway.storage.schema import ledger
from gateway.storage.writer import Writer


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
                len(valid_versions(versions_of(rows))) > 1 for rows in files_of(driver_of(connection), keys).values()
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
    batch = versions_in(driver, outcomes)
    turned, applied = turn(batch), Applied(states=batch.states)
    issues = batch.issues
    write_files(driver, batch)

    messages = [message for _, message in batch.new]
    patients = {message.patient: (message.person.ids[0], message.facility) for message in messages if message.patient}
    register_patients(driver, patients, derive, batch.persons)
    eid_of = eids(driver, patients)

    stays = stays_of(driver, derive, batch, turned)
    instead = revise(driver, derive, batch, stays)
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

    versions = {key: versions_of(files) for key, files in batch.files.items()}
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


def _persons(driver: Driver, derive: Derivations, batch: Batch, settled: Settled, now: str) -> int:
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
    again = retire(driver, derive, linked.flipped.union(spoken_for), now)
    link_persons(driver, derive, again, (), changes, now)
    return linked.conflicts
