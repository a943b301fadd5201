"""What the tables promise: the ways to a row that answers need go along an index."""

from pathlib import Path

import pytest

from tests.storage.making import storage

QUERIES = {
    "SELECT n FROM resource WHERE type = 'T' AND rid = 'r'": "(type=? AND rid=?)",
    "SELECT n FROM resource WHERE patient = 'p' AND type = 'T' ORDER BY date_start DESC": "ix_resource_patient",
    "SELECT n FROM resource WHERE patient = 'p'": "ix_resource_patient",
    "SELECT n FROM resource_token WHERE type = 'T' AND param = 'code' AND code = 'c' AND patient = 'p'"
    " AND date_start >= 'd'": "COVERING INDEX ix_resource_token",
    "SELECT n FROM resource_token WHERE type = 'T' AND param = 'identifier' AND code = 'c'": "ix_resource_token",
    "SELECT n FROM resource_reference WHERE type = 'T' AND param = 'target' AND target = 'X/1'": "ix_resource_reference",
    "SELECT n FROM document WHERE eid = 'e' AND status = 's' ORDER BY creationTime DESC": "ix_document_eid",
    "SELECT n FROM contribution WHERE n = 1 ORDER BY live DESC, rank, source_time DESC, hash DESC LIMIT 1":
        "ix_contribution_best",
    "SELECT ids FROM peer_correlation WHERE person = 'p'": "PRIMARY KEY (person=?)",
    "SELECT person FROM peer_correlation WHERE expires_s < 1": "ix_peer_correlation_expires_s",
    "SELECT n FROM outbox WHERE done IS NULL ORDER BY n": "ix_outbox_open",
}  # fmt: skip


@pytest.mark.parametrize("sql", QUERIES)
def test_no_question_scans_or_sorts(tmp_path: Path, sql: str) -> None:
    with storage(tmp_path) as store, store.engine.connect() as connection:
        plan = [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}")]
    assert QUERIES[sql] in plan[0], plan
    assert not any("TEMP B-TREE" in step for step in plan), plan
