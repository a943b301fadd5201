"""Alerts over the trail: bulk, night, watched, break-glass, denied; each cause once a window."""

from pathlib import Path

import pytest

from gateway.model.audit import AuditRecord, StoredRecord
from gateway.services.audit.alerts import Alerts, judge, rules
from tests.storage.making import storage

DAY, NIGHT = "2026-04-01T03:00:00.000Z", "2026-04-01T14:30:00.000Z"
READ = AuditRecord("110112", "ITI-18", "E", 0, "u", patient="1^^^&1.2&ISO", user="u")


def said(records: list[tuple[str, AuditRecord]], watched: bool = False) -> list[str]:
    at_work = rules()
    found = []
    for n, (at, record) in enumerate(records, start=1):
        found += judge(StoredRecord(n, at, record), at_work, lambda stored: watched)
    return found


def reads(count: int, at: str = DAY) -> list[tuple[str, AuditRecord]]:
    many = (AuditRecord("110112", "rest", "E", 0, "u", user="u", patients=(f"e{n}",)) for n in range(count))
    return [(at, one) for one in many]


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([(DAY, READ)], []),
        ([(NIGHT, READ)], ["night"]),
        (reads(100), []),
        (reads(130), ["bulk"]),
        ([(DAY, READ)] * 500, []),
        ([(DAY, AuditRecord("110113", "break-glass", "E", 0, "u", user="u"))], ["break-glass"]),
        ([(DAY, AuditRecord("110112", "rest", "E", 4, "u", user="u", detail="GET 403 denied no-grant"))] * 21, ["denied"]),
        ([(DAY, AuditRecord("110107", "ingest", "C", 0, "musubi"))] * 300, []),
    ],
)  # fmt: skip
def test_a_rule_speaks_when_its_row_says_so(records: list[tuple[str, AuditRecord]], expected: list[str]) -> None:
    assert said(records) == expected


def test_a_watched_person_raises_one_each_time() -> None:
    assert said([(DAY, READ)] * 2, watched=True) == ["watched", "watched"]


def test_alerts_are_records_and_go_on_after_a_restart(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        store.audit.record(AuditRecord("110113", "break-glass", "E", 0, "u", user="u"))
        first = Alerts(store.trail, store.audit, store.keeping)
        assert first.run_once()
        while first.run_once():
            pass
        Alerts(store.trail, store.audit, store.keeping).run_once()
        told = [one.record for one in store.trail.after(0, 10) if one.record.transaction == "alert"]
        assert [(one.detail, one.object) for one in told] == [("break-glass", "record 1")]
