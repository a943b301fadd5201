"""Versions of keys: which file is current, what became of each file of a batch. Part of the transaction of
storage/keeping.py; the rules are pure functions of model/ingest.py.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field

from gateway.codec import fhir
from gateway.model.ingest import (
    DELETED,
    SUPERSEDED,
    FileOutcome,
    KeptMessage,
    State,
    Version,
    current_version,
    stronger,
    update_time,
)
from gateway.storage.engines import Driver
from gateway.storage.keep_identity import IdentityChanges, person_number
from gateway.storage.schema import source_file, stay_event

_VERSIONS = "SELECT n, key, timestamp, sha256, department, flag, current, person FROM source_file WHERE key IN (@)"


@dataclass(slots=True)
class File:
    """One version of a key, as stored or about to be."""

    n: int
    version: Version
    current: bool
    person: int | None
    fresh: bool = False
    turned: bool = False


@dataclass(slots=True)
class Batch:
    """What one transaction works on."""

    files: dict[str, list[File]] = field(default_factory=dict)
    """All versions of every key that is touched."""
    old_keys: set[str] = field(default_factory=set)
    """Keys that were known before, or of which the batch holds two versions: their documents are looked at again."""
    new: list[tuple[File, KeptMessage]] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    news: list[bool] = field(default_factory=list)
    """One a FileOutcome: a version or a flag in it was not known."""
    persons: IdentityChanges = field(default_factory=IdentityChanges)
    issues: Counter[str] = field(default_factory=Counter)

    def senders(self) -> dict[str, str]:
        """Logical id of a patient -> who sent what is new about him."""
        return {message.patient: message.sender or message.facility for _, message in self.new}


def files_of(driver: Driver, keys: Collection[str]) -> dict[str, list[File]]:
    files: dict[str, list[File]] = {}
    for n, key, timestamp, sha256, department, flag, current, person in driver.among(_VERSIONS, keys):
        version = Version(timestamp, sha256, department, flag)
        files.setdefault(key, []).append(File(n, version, bool(current), person))
    return files


def versions_of(files: Collection[File]) -> list[Version]:
    return [file.version for file in files]


def versions_in(driver: Driver, outcomes: Sequence[FileOutcome]) -> Batch:
    """Adds the batch's versions to those already known of their keys, and says what became of each file."""
    batch = Batch()
    batch.files = files_of(driver, {message.key for outcome in outcomes for message in outcome.messages})
    batch.old_keys = set(batch.files)
    touched: list[list[tuple[File, bool]]] = []
    for outcome in outcomes:
        touched.append([_take(driver, batch, message) for message in outcome.messages])
    newest = {key: current_version(versions_of(files)) for key, files in batch.files.items()}
    for outcome, files in zip(outcomes, touched, strict=True):
        batch.states.append(_state(outcome, files, newest))
        batch.news.append(any(news for _, news in files))
    return batch


def _take(driver: Driver, batch: Batch, message: KeptMessage) -> tuple[File, bool]:
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
        _compare(batch.issues, message.version, versions_of(known))
    person = person_number(driver, message.person, batch.persons) if message.person.ids else None
    file = File(driver.number("source_file"), message.version, False, person, fresh=True)
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


def _state(outcome: FileOutcome, files: list[tuple[File, bool]], newest: dict[str, Version | None]) -> State:
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


def turn(batch: Batch) -> dict[int, bool]:
    """Sets which version of each key is current. Returns the stored files whose answer changed."""
    turned: dict[int, bool] = {}
    for files in batch.files.values():
        newest = current_version(versions_of(files))
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


def write_files(driver: Driver, batch: Batch) -> None:
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
