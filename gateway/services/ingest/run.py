"""One run over storage roots: walk, leave out what the ledger knows, read, store in batches, list what is bad.

Killed at any moment, it goes on by itself when it is started again: the ledger's row of a file is in the transaction
that stored the file. Memory does not grow with the number of files.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from gateway.codec.transaction_storage import is_transaction_file
from gateway.errors import BadInput, ConfigurationError, GatewayError, SourceChanged, Unavailable
from gateway.model.audit import AuditRecord
from gateway.model.identity import PatientId
from gateway.model.ingest import (
    DELETED,
    SUPERSEDED,
    Applied,
    FileOutcome,
    Reject,
    Seen,
    State,
)
from gateway.ports import AuditLog, Keeping
from gateway.services.ingest.files import Found, walk
from gateway.services.ingest.indexed import Indexed
from gateway.services.ingest.rejects import write_rejects
from gateway.services.ingest.summary import Summary
from gateway.services.ingest.workers import MakeReader, read_all, seldom_collected
from gateway.services.notebooks import Owner

LOOK_UP: Final = 512
"""Files asked of the ledger at a time."""
BATCH_FILES: Final = 256
BATCH_BYTES: Final = 16 * 1024 * 1024
"""One transaction stores at most this many files, or about this much of their content."""
DOUBTFUL: Final = 10_000
"""Keys with two valid versions, and patients with cancelled events, that are remembered to the end of the run."""

Progress = Callable[[Summary], None]


def _silent(_summary: Summary) -> None:
    """No progress wanted."""


@dataclass(slots=True)
class Ingestor:
    """The parts of ingest, put together by gateway.app."""

    keeping: Keeping
    audit: AuditLog
    make_reader: MakeReader
    """Makes the Reader of one process; picklable, because worker processes call it."""
    ignored: Callable[[str], bool]
    """By name: files that lie in any storage and are no documents (codec/ssmix2.py)."""
    actor: str = "musubi ingest"
    owner: Owner | None = None
    """Whose the medication notebooks of the runs are (`--patient`)."""
    _doubtful: dict[str, None] = field(default_factory=dict)
    _cancelling: dict[str, None] = field(default_factory=dict)

    def run(
        self,
        paths: Sequence[str],
        *,
        rejects_file: Path,
        workers: int = 0,
        dry_run: bool = False,
        progress: Progress = _silent,
        index: Path | None = None,
    ) -> Summary:
        """Everything below `paths`; with `index` (SSMIXIDX) what its rows name below them since the last complete run,
        and what was rejected before. An index that cannot be read is an issue, and the tree is walked.

        Raises ConfigurationError for a path that does not exist, Unavailable when the storage or a worker process is
        lost; what was stored until then stays.
        """
        for path in paths:
            if not Path(path).exists():
                raise ConfigurationError(f"{path}: no such file or folder")
        summary = Summary()
        self._doubtful.clear()
        self._cancelling.clear()
        feed = self._feed(index, paths) if index is not None else None
        todo = self._changed(self._source(paths, feed, summary), summary, progress)
        with seldom_collected():
            read = _present(read_all(todo, self.make_reader, workers), summary)
            for batch in _batches(map(self.owner.checked, read) if self.owner else read):
                if dry_run:
                    for outcome in batch:
                        summary.count(_expected(outcome), outcome)
                else:
                    self._store(batch, summary)
                progress(summary)
        if feed is not None:
            summary.issues.update(feed.issues)
            if not dry_run:
                self.keeping.note(_feed_name(feed.index), Seen(0, feed.newest_ns, "ingested", ""))
        if not dry_run:
            self._finish(summary, rejects_file)
        progress(summary)
        return summary

    def _feed(self, index: Path, paths: Sequence[str]) -> Indexed:
        name = _feed_name(index)
        seen = self.keeping.seen([name]).get(name)
        return Indexed(index, paths, seen.mtime_ns if seen else 0, self.ignored)

    def _source(self, paths: Sequence[str], feed: Indexed | None, summary: Summary) -> Iterator[Found | None]:
        """What the walk finds, or what the index says."""
        if feed is None:
            yield from walk(paths, self.ignored)
            return
        rows = feed.found()
        try:
            first = list(islice(rows, 1))
        except BadInput:
            summary.issues["index-unreadable"] += 1
            yield from walk(paths, self.ignored)
            return
        inside = tuple(os.fsencode(os.path.abspath(path)) + b"/" for path in paths)
        again = [os.fsdecode(path) for path, _ in self.keeping.rejects() if path.startswith(inside)]
        yield from walk([path for path in again if os.path.lexists(path)], self.ignored)
        yield from first
        yield from rows

    def _changed(self, source: Iterator[Found | None], summary: Summary, progress: Progress) -> Iterator[Found]:
        """Files the ledger does not know as they are. A rejected one is tried again: what was wrong may have been
        the configuration."""
        while chunk := list(islice(source, LOOK_UP)):
            files = [found for found in chunk if found is not None]
            for _ in range(len(chunk) - len(files)):
                summary.count("ignored")
            known = self.keeping.seen([found.path for found in files])
            for found in files:
                if _unchanged(found, known.get(found.path)):
                    summary.count("unchanged")
                else:
                    yield found
            progress(summary)

    def _store(self, batch: list[FileOutcome], summary: Summary) -> None:
        try:
            self._count(self.keeping.keep(batch, self._record), batch, summary)
        except (Unavailable, ConfigurationError):
            raise
        except Exception as error:
            if len(batch) > 1:
                for outcome in batch:
                    self._store([outcome], summary)
            elif isinstance(error, SourceChanged):
                self._store([_not_kept(batch[0], Reject("", 0, "error", "changed-while-read", str(error)))], summary)
            elif batch[0].rejects and not batch[0].messages:
                raise GatewayError(f"the list of rejected files cannot be stored ({type(error).__name__})") from error
            else:
                text = f"error of the program while storing this file: {type(error).__name__}"
                self._store([_not_kept(batch[0], Reject("", 0, "fatal", "internal-error", text))], summary)

    def _count(self, applied: Applied, batch: Sequence[FileOutcome], summary: Summary) -> None:
        for state, outcome in zip(applied.states, batch, strict=True):
            summary.count(state, outcome)
        summary.add(applied)
        ordered = _ordered(batch)
        for key in applied.doubtful:
            if len(self._doubtful) < DOUBTFUL and key not in ordered:
                self._doubtful[key] = None
        for patient in applied.cancelling:
            if len(self._cancelling) < DOUBTFUL:
                self._cancelling[patient] = None

    def _finish(self, summary: Summary, rejects_file: Path) -> None:
        # A version and its successor may come in two batches, and the older is renamed before the newer appears: only
        # now is it sure that both claim to be valid.
        if two := self.keeping.doubtful(list(self._doubtful)):
            summary.issues["two-current-files"] += two
        if lonely := self.keeping.unmatched(list(self._cancelling)):
            summary.issues["cancel-without-event"] += lonely
        write_rejects(rejects_file, self.keeping)
        summary.rejects_file = str(rejects_file)
        counts = " ".join(f"{state}={count}" for state, count in sorted(summary.states.items()))
        outcome = 4 if summary.states["rejected"] else 0
        self.audit.record(AuditRecord("110107", "ingest", "E", outcome, self.actor, detail=counts))

    def _record(self, outcome: FileOutcome, state: str) -> AuditRecord:
        """DICOM PS3.15 A.5.3.7 Data Import, one a file; the action follows what became of it."""
        person = outcome.messages[0].person if outcome.messages else None
        patient: PatientId | None = person.ids[0] if person and person.ids else None
        return AuditRecord(
            event="110107",
            transaction="ingest",
            action={"ingested": "C", "superseded": "U", "deleted": "D"}.get(state, "E"),
            outcome=4 if outcome.rejects else 0,
            actor=self.actor,
            patient=str(patient) if patient else "",
            object=outcome.sha256,
            detail=" ".join([state, *sorted({reject.code for reject in outcome.rejects})]),
        )


def _ordered(batch: Iterable[FileOutcome]) -> set[str]:
    """Keys that files of the transaction storage tell of: there an INS says that it supersedes what was before, so two
    versions with flag 1, of two such files, contradict nobody."""
    files = (one for one in batch if is_transaction_file(os.fsdecode(os.path.basename(one.path))))
    return {message.key for one in files for message in one.messages}


def _feed_name(index: Path) -> bytes:
    """Row of the ledger that holds the watermark of an index. No file has such a path: it is not absolute."""
    return b"index:" + os.fsencode(os.path.abspath(index))


def _unchanged(found: Found, seen: Seen | None) -> bool:
    return (
        seen is not None
        and not found.error
        and seen.outcome != "rejected"
        and (seen.size, seen.mtime_ns) == (found.size, found.mtime_ns)
    )


def _present(outcomes: Iterable[FileOutcome], summary: Summary) -> Iterator[FileOutcome]:
    """Without files that were renamed or removed while the walk was on its way: counted as ignored, not as bad."""
    for outcome in outcomes:
        if outcome.messages or outcome.rejects:
            yield outcome
        else:
            summary.count("ignored")


def _batches(outcomes: Iterable[FileOutcome]) -> Iterator[list[FileOutcome]]:
    batch: list[FileOutcome] = []
    size = 0
    for outcome in outcomes:
        batch.append(outcome)
        size += outcome.size
        if len(batch) >= BATCH_FILES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _expected(outcome: FileOutcome) -> State:
    """What a dry run can say without the store: the file's own flag, not whether a newer version exists."""
    if outcome.rejects or not outcome.messages:
        return "rejected"
    flag = outcome.messages[0].version.flag
    return "deleted" if flag == DELETED else "superseded" if flag == SUPERSEDED else "ingested"


def _not_kept(outcome: FileOutcome, reject: Reject) -> FileOutcome:
    rejects = (*outcome.rejects, reject)
    return FileOutcome(outcome.path, outcome.size, outcome.mtime_ns, outcome.sha256, rejects=rejects)
