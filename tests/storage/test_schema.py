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
    "SELECT n FROM registry_object WHERE eid = 'e' AND objectType = 't' AND status = 's' ORDER BY time DESC": "ix_registry_object_eid",
    "SELECT n FROM registry_object WHERE uniqueId = 'u'": "ix_registry_object_uniqueId",
    "SELECT n FROM registry_object WHERE lid <> '' AND lid = 'l'": "ix_registry_object_lid",
    "SELECT n FROM registry_object WHERE key <> '' AND key = 'k'": "ix_registry_object_key",
    "SELECT n FROM registry_object WHERE key = '' AND blob <> '' AND blob = 'b'": "ix_registry_object_blob",
    "SELECT n FROM registry_object WHERE eid = 'e' AND patient = 'p'": "ix_registry_object_eid",
    "SELECT n FROM association WHERE source = 1": "ix_association_source",
    "SELECT n FROM association WHERE target = 1": "ix_association_target",
    "SELECT n FROM association WHERE target_association IS NOT NULL AND target_association = 1":
        "ix_association_target_association",
    "SELECT n FROM association WHERE lid <> '' AND lid = 'l'": "ix_association_lid",
    "SELECT n FROM contribution WHERE n = 1 ORDER BY live DESC, rank, source_time DESC, hash DESC LIMIT 1":
        "ix_contribution_best",
    "SELECT value FROM face_memory WHERE kind = 'k' AND key = 'x' AND until > 'now'": "(kind=? AND key=?)",
    "SELECT key FROM face_memory WHERE kind = 'k' ORDER BY until LIMIT 5": "ix_face_memory_kind_until",
    "SELECT n FROM notification WHERE state = 'open' ORDER BY n": "ix_notification_open",
    "SELECT n FROM notification WHERE state = 'parked' ORDER BY n": "ix_notification_parked",
    "SELECT n FROM notification WHERE subscription = 's' AND state = 'held' ORDER BY n": "ix_notification_subscription",
    "SELECT ids FROM peer_correlation WHERE person = 'p'": "PRIMARY KEY (person=?)",
    "SELECT person FROM peer_correlation WHERE expires_s < 1": "ix_peer_correlation_expires_s",
    "SELECT n FROM outbox WHERE done IS NULL ORDER BY n": "ix_outbox_open",
    "SELECT max(level * 2 + deny) FROM consent_rule WHERE eid = 'e' AND facility IN ('', 'f')": "(eid=?)",
    "SELECT n FROM consent WHERE eid = 'e' AND current = 1": "ix_consent_eid",
    "SELECT eid FROM consent WHERE authority = 'a' AND value = 'v'": "ix_consent_authority",
    "SELECT n FROM audit WHERE patient <> '' AND patient IN ('p')": "ix_audit_patient",
    "SELECT n FROM audit WHERE who = 'u' AND who <> '' ORDER BY n DESC": "ix_audit_who",
    "SELECT n FROM audit WHERE recorded >= 'r'": "ix_audit_recorded",
    "SELECT n FROM audit_patient WHERE eid = 'e'": "(eid=?)",
    "SELECT id FROM break_glass WHERE state = 'open' ORDER BY due": "ix_break_glass_state",
}  # fmt: skip


@pytest.mark.parametrize("sql", QUERIES)
def test_no_question_scans_or_sorts(tmp_path: Path, sql: str) -> None:
    with storage(tmp_path) as store, store.engine.connect() as connection:
        plan = [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}")]
    assert QUERIES[sql] in plan[0], plan
    assert not any("TEMP B-TREE" in step for step in plan), plan
