"""Alerts over the audit trail: bulk, night, watched persons, emergencies, repeated refusals (mappings/audit/alerts.csv)."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from gateway.model.audit import AuditRecord, StoredRecord
from gateway.model.ingest import Seen
from gateway.ports import AuditLog, AuditTrail, Keeping
from gateway.services.audit.names import ALERTS

JAPAN: Final = timedelta(hours=9)
MARK: Final = b"audit:alerts"
TRANSACTION: Final = "alert"
_READS: Final = frozenset({"110106", "110112"})
_AT_ONCE: Final = 500


@dataclass(slots=True)
class Rule:
    """One row of the table at work. `said`: to whom it spoke last, so that one cause is one alert a window."""

    name: str
    kind: str
    limit: int
    window: timedelta
    hours: tuple[int, int]
    seen: dict[str, deque[tuple[datetime, str]]] = field(default_factory=dict)
    said: dict[str, datetime] = field(default_factory=dict)


def rules() -> list[Rule]:
    return [
        Rule(
            row["rule"],
            row["kind"],
            int(row["limit"] or 0),
            timedelta(minutes=int(row["minutes"] or 60)),
            (int(row["from"] or 0), int(row["to"] or 0)),
        )
        for row in ALERTS
    ]


def judge(stored: StoredRecord, all_rules: list[Rule], watched: Callable[[StoredRecord], bool]) -> Iterator[str]:
    """The names of the rules a record sets off."""
    record = stored.record
    at = datetime.fromisoformat(stored.recorded)
    who = f"{record.user}|{record.issuer}" if record.user else record.node or record.actor
    persons = [one for one in (record.patient, *record.patients) if one]
    read = record.event in _READS and record.outcome == 0 and bool(record.user)
    for rule in all_rules:
        if _hit(rule, record, at, who, persons, read, stored, watched):
            last = rule.said.get(who)
            if rule.kind in ("watched", "break-glass") or last is None or at - last >= rule.window:
                rule.said[who] = at
                yield rule.name


def _hit(
    rule: Rule,
    record: AuditRecord,
    at: datetime,
    who: str,
    persons: list[str],
    read: bool,
    stored: StoredRecord,
    watched: Callable[[StoredRecord], bool],
) -> bool:
    if rule.kind == "break-glass":
        return record.transaction == "break-glass" and record.outcome == 0
    if rule.kind == "watched":
        return bool(persons) and read and watched(stored)
    if rule.kind == "night":
        hour = (at + JAPAN).hour
        start, end = rule.hours
        return read and bool(persons) and (start <= hour or hour < end if start > end else start <= hour < end)
    if rule.kind == "denied":
        return " denied" in f" {record.detail}" and len(_window(rule, who, at, [str(stored.n)])) > rule.limit
    return read and rule.kind == "bulk" and len(_window(rule, who, at, persons)) > rule.limit


def _window(rule: Rule, who: str, at: datetime, what: list[str]) -> set[str]:
    """What this user did within the window, each once."""
    kept = rule.seen.setdefault(who, deque())
    kept.extend((at, one) for one in what)
    while kept and at - kept[0][0] > rule.window:
        kept.popleft()
    return {one for _, one in kept}


@dataclass(slots=True)
class Alerts:
    """Watches the trail as it grows; one thread calls `run_once`."""

    trail: AuditTrail
    audit: AuditLog
    keeping: Keeping
    watched: Callable[[StoredRecord], bool] = lambda stored: False
    _rules: list[Rule] = field(default_factory=rules)
    _after: int = -1

    def run_once(self) -> bool:
        if self._after < 0:
            seen = self.keeping.seen([MARK]).get(MARK)
            self._after = seen.size if seen else 0
        page = self.trail.after(self._after, _AT_ONCE)
        for stored in page:
            if stored.record.transaction == TRANSACTION:
                continue
            for name in judge(stored, self._rules, self.watched):
                who = stored.record.user or stored.record.actor
                alert = AuditRecord(
                    "110113", TRANSACTION, "E", 4, who, patient=stored.record.patient, object=f"record {stored.n}",
                    detail=name,
                )  # fmt: skip
                self.audit.record(alert)
        if page:
            self._after = page[-1].n
            self.keeping.note(MARK, Seen(self._after, 0, "ingested", ""))
        return bool(page)
