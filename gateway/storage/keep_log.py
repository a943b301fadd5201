"""The log of a batch: audit records, and the ledger row of every file. Part of the transaction of storage/keeping.py."""

from collections.abc import Callable, Sequence

import orjson

from gateway.model.audit import AuditRecord
from gateway.model.ingest import FileOutcome, Seen, State
from gateway.storage.audit import audit_row
from gateway.storage.engines import Driver
from gateway.storage.schema import audit

_LEDGER = (
    "INSERT INTO ledger (path, size, mtime_ns, sha256, outcome, rejects) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (path) DO UPDATE SET size = excluded.size, mtime_ns = excluded.mtime_ns,"
    " sha256 = excluded.sha256, outcome = excluded.outcome, rejects = excluded.rejects"
)


def write_log(
    driver: Driver,
    outcomes: Sequence[FileOutcome],
    states: Sequence[State],
    news: Sequence[bool],
    record: Callable[[FileOutcome, str], AuditRecord],
    now: str,
) -> None:
    """One audit record a file that told us something; the ledger row of every file, but for what it already says.

    `states` and `news` (whether it told us something): one a file.
    """
    rows = {
        outcome.path: (outcome.path, outcome.size, outcome.mtime_ns, outcome.sha256, state, _rejects(outcome))
        for outcome, state in zip(outcomes, states, strict=True)
    }
    bad = [outcome.path for outcome in outcomes if outcome.reported]
    sql = "SELECT path, size, mtime_ns, sha256, outcome, rejects FROM ledger WHERE path IN (@)"
    same = {row[0] for row in driver.among(sql, bad) if tuple(row) == rows[row[0]]}
    driver.insert(
        audit,
        [
            audit_row(driver.number("audit"), now, record(outcome, state))
            for outcome, state, new in zip(outcomes, states, news, strict=True)
            if new or (outcome.reported and outcome.path not in same)
        ],
    )
    driver.many(_LEDGER, [row for path, row in rows.items() if path not in same])


def note(driver: Driver, path: bytes, seen: Seen) -> None:
    """One row of the ledger that stands for no file."""
    driver.many(_LEDGER, [(path, seen.size, seen.mtime_ns, seen.sha256, seen.outcome, None)])


def _rejects(outcome: FileOutcome) -> str | None:
    return orjson.dumps([tuple(one) for one in outcome.reported]).decode() if outcome.reported else None
