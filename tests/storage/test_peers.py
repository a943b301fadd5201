"""What is known of other communities outlives a restart."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.model.clock import Clock
from gateway.model.identity import PatientId
from gateway.ports import Correlated, Health
from gateway.storage.peers import CorrelationTable, PeerHealthTable
from tests.storage.making import storage

pytestmark = pytest.mark.usefixtures("each_engine")

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS = NOW.timestamp()


def test_health(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        table = PeerHealthTable(store.engine, store.writer)
        assert table.load() == []
        table.save(Health("urn:oid:1", 7, 12.0, SECONDS + 0.5, "2026-01-01T00:00:00+00:00"))
        table.save(Health("urn:oid:1", 0, 0.0, SECONDS, "2026-01-02T00:00:00+00:00"))
        store.writer.run(lambda driver: None)
        assert table.load() == [Health("urn:oid:1", 0, 0.0, SECONDS, "2026-01-02T00:00:00+00:00")]
    table.save(Health("urn:oid:2", 0, 0.0, SECONDS, ""))  # the node is being closed: nobody is bothered


def test_correlations_expire_and_are_swept(tmp_path: Path) -> None:
    now = [NOW]
    with storage(tmp_path) as store:
        table = CorrelationTable(store.engine, store.writer, Clock(lambda: now[0]))
        one = Correlated("e1", "urn:oid:1", (PatientId("山", "1.2"),), "b", SECONDS + 60)
        table.put(one)
        table.put(Correlated("e1", "urn:oid:2", (), "b", SECONDS + 600))
        table.put(Correlated("e2", "urn:oid:1", (), "b", SECONDS + 600))
        store.writer.run(lambda driver: None)
        assert sorted(table.of("e1"))[0] == one and len(table.of("e1")) == 2
        now[0] += timedelta(seconds=61)
        assert [row.home for row in table.of("e1")] == ["urn:oid:2"]
        table.put(Correlated("e3", "urn:oid:1", (), "b", SECONDS + 600))
        table.drop("e1", "urn:oid:2")
        store.writer.run(lambda driver: None)
        with store.engine.connect() as connection:
            rows = connection.exec_driver_sql("SELECT person FROM peer_correlation ORDER BY person").fetchall()
        assert [row[0] for row in rows] == ["e2", "e3"]
