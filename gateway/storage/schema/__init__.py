"""The tables, as SQLAlchemy Core metadata. Migrations follow it (storage/migrations); a test compares the two.

Two rules shape it. First, what answers need is stored rendered: `resource.body` and `registry_object.xml` are joined into
answers as bytes. Second, every row that belongs to a person carries what Scope filters on (eid, facility).

Which way to a row is fast:
* patient -> resources: `resource` by (patient, type, date_start);
* code, identifier, category, status...: `resource_token` by (type, param, code, patient, date_start), which also
  covers system and n. A search by person (patient.identifier, eid) first turns into logical patient ids with
  `identity_patient`, because these never change while `eid` does when two persons are linked;
* registry: `registry_object` by (eid, objectType, status, time).

Child rows (token, string, reference) start with `n`, so that they are appended in order and removed by range.
"""

from gateway.storage.schema.columns import Serial, metadata
from gateway.storage.schema.persons import (
    identity,
    identity_patient,
    person,
    person_decision,
    person_history,
    person_history_id,
    person_id,
    person_key,
    person_pair,
    person_record,
    person_statement,
    person_term,
)
from gateway.storage.schema.registry import association, blob, registry_code, registry_object, submission
from gateway.storage.schema.resources import (
    resource,
    resource_reference,
    resource_string,
    resource_token,
    resource_version,
)
from gateway.storage.schema.sources import contribution, ledger, source_file, stay_event
from gateway.storage.schema.trust import (
    audit,
    audit_chain,
    audit_checkpoint,
    audit_patient,
    break_glass,
    consent,
    consent_rule,
    consent_state,
)
from gateway.storage.schema.work import face_memory, notification, outbox, peer_correlation, peer_health, subscription

__all__ = [
    "Serial",
    "association",
    "audit",
    "audit_chain",
    "audit_checkpoint",
    "audit_patient",
    "blob",
    "break_glass",
    "consent",
    "consent_rule",
    "consent_state",
    "contribution",
    "face_memory",
    "identity",
    "identity_patient",
    "ledger",
    "metadata",
    "notification",
    "outbox",
    "peer_correlation",
    "peer_health",
    "person",
    "person_decision",
    "person_history",
    "person_history_id",
    "person_id",
    "person_key",
    "person_pair",
    "person_record",
    "person_statement",
    "person_term",
    "registry_code",
    "registry_object",
    "resource",
    "resource_reference",
    "resource_string",
    "resource_token",
    "resource_version",
    "source_file",
    "stay_event",
    "submission",
    "subscription",
]
