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

from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, Table, Text, UniqueConstraint, text
from sqlalchemy.types import BigInteger

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite gives an integer key its row number only when the type is spelled INTEGER.
Serial = BigInteger().with_variant(Integer, "sqlite")


def _text(name: str, *, default: str | None = "") -> Column[str]:
    return Column(name, Text, nullable=default is None, server_default=default)


def _int(name: str, *, default: int | None = 0) -> Column[int]:
    return Column(name, BigInteger, nullable=default is None, server_default=None if default is None else str(default))


# --- FHIR resources -------------------------------------------------------------------------------------------------

resource = Table(
    "resource",
    metadata,
    Column("n", Serial, primary_key=True),
    Column("type", Text, nullable=False),
    Column("rid", Text, nullable=False),
    _int("version", default=1),
    _int("versions", default=1),  # how many version numbers were given out
    Column("last_updated", Text, nullable=False),  # instant, UTC, milliseconds, Z
    _int("deleted"),
    Column("body", LargeBinary),  # canonical JSON without versionId and lastUpdated; NULL when deleted
    _text("patient"),  # logical id of the Patient; '' for Practitioner, Organization ...
    _text("eid"),  # enterprise patient id; '' as above
    _text("facility"),
    _text("status"),
    _text("date_start"),  # '' when the resource has no date of its own
    _text("date_end"),
    _int("rank"),  # of the contribution that is shown, with its source_time and hash
    _text("source_time"),  # 17-digit timestamp of the file
    Column("hash", LargeBinary),  # first 16 bytes of the SHA-256 of body; NULL when deleted
    UniqueConstraint("type", "rid"),
    Index(None, "patient", "type", "date_start"),
    Index(None, "type", "date_start"),
    Index(None, "type", "last_updated"),
)
"""One row a logical id: what is shown now, or a tombstone. Rows are never removed, so `n` only grows."""

resource_token = Table(
    "resource_token",
    metadata,
    Column("n", Serial, primary_key=True, autoincrement=False),
    Column("param", Text, primary_key=True),
    Column("code", Text, primary_key=True),
    Column("system", Text, primary_key=True),
    Column("type", Text, nullable=False),
    _text("patient"),
    _text("date_start"),
    Index(None, "type", "param", "code", "patient", "date_start"),
    sqlite_with_rowid=False,
)

resource_string = Table(
    "resource_string",
    metadata,
    Column("n", Serial, primary_key=True, autoincrement=False),
    Column("param", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("type", Text, nullable=False),
    Index(None, "type", "param", "value"),
    sqlite_with_rowid=False,
)

resource_reference = Table(
    "resource_reference",
    metadata,
    Column("n", Serial, primary_key=True, autoincrement=False),
    Column("param", Text, primary_key=True),
    Column("target", Text, primary_key=True),  # Type/id
    Column("type", Text, nullable=False),
    Index(None, "type", "param", "target"),
    sqlite_with_rowid=False,
)

resource_version = Table(
    "resource_version",
    metadata,
    Column("n", Serial, primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True),
    Column("last_updated", Text, nullable=False),
    _text("source_time"),
    _int("deleted"),
    Column("hash", LargeBinary),
    Column("body", LargeBinary),  # NULL for a tombstone, or when another row of the same n and hash holds the bytes
)
"""Every content of a resource but the one shown now: what was shown before, and what superseded files said."""

# --- where resources come from --------------------------------------------------------------------------------------

source_file = Table(
    "source_file",
    metadata,
    Column("n", Serial, primary_key=True),
    Column("key", Text, nullable=False),  # facility, patient, care date, type, order number
    _text("timestamp"),
    _text("sha256"),
    _text("department"),
    _int("flag"),  # the strongest seen of this version: 0 > 2 > 1
    _int("current"),
    _text("facility"),
    _text("patient"),
    _int("person", default=None),
    UniqueConstraint("key", "timestamp", "sha256", "department"),
)
"""One version of one document: an SS-MIX2 file, a message, or (key `stay|...`) the stays of one patient."""

contribution = Table(
    "contribution",
    metadata,
    Column("file", Serial, primary_key=True, autoincrement=False),
    Column("n", Serial, primary_key=True, autoincrement=False),
    _int("live"),  # 1 while the file is the current one of its key
    _int("rank"),
    _text("source_time"),
    Column("hash", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
"""What one file says about one resource. The bytes are those of `resource` or `resource_version` of that hash."""

Index(
    "ix_contribution_best",
    contribution.c.n,
    contribution.c.live.desc(),
    contribution.c.rank,
    contribution.c.source_time.desc(),
    contribution.c.hash.desc(),
)

stay_event = Table(
    "stay_event",
    metadata,
    Column("file", Serial, primary_key=True, autoincrement=False),
    Column("ordinal", Integer, primary_key=True),
    Column("patient", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),  # model.outcome.StayEvent as JSON
    Index(None, "patient"),
    sqlite_with_rowid=False,
)

ledger = Table(
    "ledger",
    metadata,
    Column("path", LargeBinary, primary_key=True),  # as the file system spells it
    _int("size"),
    _int("mtime_ns"),
    _text("sha256"),
    _text("outcome"),
    Column("rejects", Text),  # JSON list of model.ingest.Reject, when there are any
    sqlite_with_rowid=False,
)
"""What became of each physical file, so that a re-run only looks at its size and time."""

# --- XDS registry and repository ------------------------------------------------------------------------------------

registry_object = Table(
    "registry_object",
    metadata,
    Column("n", Serial, primary_key=True),
    Column("entryUUID", Text, nullable=False, unique=True),
    _text("lid"),  # logicalID; '' in a first version, whose logicalID is its entryUUID
    _int("version", default=1),
    Column("uniqueId", Text, nullable=False),
    Column("objectType", Text, nullable=False),  # stable or on-demand document, or class node of SubmissionSet or Folder
    _text("status"),  # urn:oasis:names:tc:ebxml-regrep:StatusType:...
    _text("availability"),  # documentAvailability; '' is online
    _text("eid"),
    _text("patient"),  # logical id of the Patient
    _text("facility"),
    _text("key"),  # source_file.key; '' for what was submitted
    _text("source"),  # SHA-256 of the source file: with key, the versions this object stands for
    _text("kind"),  # bundle | original | set of a file; '' for what was submitted
    _text("time"),  # creationTime, submissionTime or lastUpdateTime
    _text("title"),
    _text("repositoryUniqueId"),  # from here on, of documents only
    _text("mimeType"),
    _text("classCode"),
    _text("classCodeScheme"),
    _text("typeCode"),
    _text("typeCodeScheme"),
    _text("formatCode"),
    _text("formatCodeScheme"),
    _text("practiceSettingCode"),
    _text("practiceSettingCodeScheme"),
    _text("healthcareFacilityTypeCode"),
    _text("healthcareFacilityTypeCodeScheme"),
    _text("serviceStartTime"),
    _text("serviceStopTime"),
    _text("hash"),
    _int("size"),
    _text("blob"),  # SHA-256; '' when the bytes are not here
    Column("xml", LargeBinary, nullable=False),  # codec/ebxml.py, with its marks for home, patient, status and time
    Index(None, "uniqueId"),
    Index(None, "eid", "objectType", "status", "time"),
    Index("ix_registry_object_lid", "lid", sqlite_where=text("lid <> ''"), postgresql_where=text("lid <> ''")),
    Index("ix_registry_object_key", "key", sqlite_where=text("key <> ''"), postgresql_where=text("key <> ''")),
    Index("ix_registry_object_blob", "blob", sqlite_where=text("key = '' AND blob <> ''"),
          postgresql_where=text("key = '' AND blob <> ''")),
)  # fmt: skip
"""One row a version of a DocumentEntry, SubmissionSet or Folder."""

registry_code = Table(
    "registry_code",
    metadata,
    Column("n", Serial, primary_key=True, autoincrement=False),
    # documents: confidentialityCode | eventCodeList | authorPerson | referenceIdList
    # SubmissionSets: contentTypeCode | sourceId | authorPerson; Folders: codeList
    Column("attribute", Text, primary_key=True),
    Column("code", Text, primary_key=True),
    Column("scheme", Text, primary_key=True),
    sqlite_with_rowid=False,
)
"""The attributes that may have several values; a query comes here from its patient's objects."""

association = Table(
    "association",
    metadata,
    Column("n", Serial, primary_key=True),
    Column("entryUUID", Text, nullable=False, unique=True),
    _text("lid"),
    _int("version", default=1),
    Column("type", Text, nullable=False),  # urn:ihe:iti:2007:AssociationType:...
    _text("status"),
    _int("source"),  # registry_object.n
    _int("target", default=None),  # registry_object.n; NULL when it is an association
    _int("target_association", default=None),  # association.n
    _text("label"),  # SubmissionSetStatus: Original | Reference
    Column("extra", Text),  # JSON {"documentation": [code, scheme, display], "slots": [[name, [value]]]}; NULL for none
    Index(None, "source"),
    Index(None, "target"),
    Index("ix_association_target_association", "target_association",
          sqlite_where=text("target_association IS NOT NULL"),
          postgresql_where=text("target_association IS NOT NULL")),
    Index("ix_association_lid", "lid", sqlite_where=text("lid <> ''"), postgresql_where=text("lid <> ''")),
)  # fmt: skip
"""Visible to who sees both its ends; its person is theirs."""

submission = Table(
    "submission",
    metadata,
    Column("message_id", Text, primary_key=True),
    Column("digest", LargeBinary, primary_key=True),  # SHA-256 over what was submitted
    Column("recorded", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""What was answered with Success: the same message again is answered so again and stored once."""

blob = Table(
    "blob",
    metadata,
    Column("n", Serial, primary_key=True),
    Column("sha256", LargeBinary, nullable=False, unique=True),
    _int("size"),
    Column("content", LargeBinary),  # zlib; NULL when the bytes are a file of the blob directory
    _int("ingested", default=1),  # 0: known by submissions only, and gone when the last of their entries is
)

# --- who is who -----------------------------------------------------------------------------------------------------

person = Table(
    "person",
    metadata,
    Column("n", Serial, primary_key=True),
    Column("authority", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("facts", Text, nullable=False),  # canonical JSON of what a message says: shared ids, birth date, sex
    _int("files"),  # current files that say so
    UniqueConstraint("authority", "value", "facts"),
)

person_id = Table(
    "person_id",
    metadata,
    Column("shared_authority", Text, primary_key=True),
    Column("shared_value", Text, primary_key=True),
    Column("authority", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Index(None, "authority", "value"),
    sqlite_with_rowid=False,
)
"""Shared id (medical ID 医療等ID, insured person) -> facility ids whose current files carry it."""

identity = Table(
    "identity",
    metadata,
    Column("authority", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("eid", Text, nullable=False),
    Index(None, "eid"),
    sqlite_with_rowid=False,
)

identity_patient = Table(
    "identity_patient",
    metadata,
    Column("patient", Text, primary_key=True),  # logical id
    Column("authority", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("eid", Text, nullable=False),
    Column("facility", Text, nullable=False),
    Index(None, "eid"),
    Index(None, "authority", "value"),
    sqlite_with_rowid=False,
)

# --- persons: matching, search, statements ---------------------------------------------------------------------------

person_record = Table(
    "person_record",
    metadata,
    Column("n", Serial, primary_key=True),
    Column("patient", Text, nullable=False, unique=True),  # logical id
    Column("authority", Text, nullable=False),
    Column("value", Text, nullable=False),
    _text("birth_date"),  # YYYY, YYYYMM or YYYYMMDD
    _text("sex"),  # table 0001
    _int("active", default=1),
    _text("state"),  # '' | subsumed | deleted: such a record is neither found nor compared
    _text("survivor"),  # logical id of the Patient that took its place in a merge
    Column("features", LargeBinary),  # what matching compares; NULL when it is off
    UniqueConstraint("authority", "value"),
    Index(None, "birth_date"),
)
"""One row a facility id: what its Patient, as shown now, says about the person."""

person_term = Table(
    "person_term",
    metadata,
    Column("n", Serial, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),  # services/persons/terms.py
    Column("value", Text, primary_key=True),  # folded
    _text("birth_date"),
    Index(None, "kind", "value", "birth_date"),
    sqlite_with_rowid=False,
)

person_key = Table(
    "person_key",
    metadata,
    Column("key", BigInteger, primary_key=True, autoincrement=False),  # first 63 bits of the SHA-256 of a blocking key
    Column("n", Serial, primary_key=True, autoincrement=False),
    Index(None, "n"),
    sqlite_with_rowid=False,
)

person_pair = Table(
    "person_pair",
    metadata,
    Column("n", Serial, primary_key=True),
    _int("one"),  # person_record.n, the smaller first
    _int("other"),
    _text("outcome"),  # link | review | separate
    _text("score"),
    _text("probability"),
    _text("rule"),
    _text("version"),
    _text("attributes"),  # JSON: (attribute, level, weight)
    _int("held"),  # 1: a link that something else forbids
    _text("decision"),  # the last word of a person: same | different | defer
    UniqueConstraint("one", "other"),
    Index(None, "other"),
    Index("ix_person_pair_open", "n", sqlite_where=text("outcome = 'review' OR held = 1 OR decision <> ''"),
          postgresql_where=text("outcome = 'review' OR held = 1 OR decision <> ''")),
)  # fmt: skip

person_decision = Table(
    "person_decision",
    metadata,
    Column("n", Serial, primary_key=True),
    _int("pair"),
    _text("decision"),  # same | different | defer | undo
    _text("who"),
    _text("reason"),
    _text("recorded"),
    Index(None, "pair"),
)
"""Decisions of people, apart from what matching thinks: a new scoring never touches them."""

person_statement = Table(
    "person_statement",
    metadata,
    Column("n", Serial, primary_key=True),
    Column("hash", Text, nullable=False, unique=True),
    _text("kind"),  # model.identity.StatementKind
    _text("one_authority"),
    _text("one_value"),
    _text("other_authority"),
    _text("other_value"),
    _text("event_time"),
    _text("who"),
    _text("transaction"),
    _text("rule"),
    _text("undoes"),
    _text("recorded"),
    Index(None, "one_authority", "one_value"),
    Index(None, "other_authority", "other_value"),
)

person_history = Table(
    "person_history",
    metadata,
    Column("n", Serial, primary_key=True),
    _text("recorded"),
    _text("event_time"),
    _text("what"),
    _text("ids"),  # JSON: (value, authority)
    _text("who"),
    _text("rule"),
    _text("version"),
)

person_history_id = Table(
    "person_history_id",
    metadata,
    Column("authority", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("n", Serial, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

# --- other communities ----------------------------------------------------------------------------------------------

peer_health = Table(
    "peer_health",
    metadata,
    Column("home", Text, primary_key=True),
    _int("failures"),
    _text("pause_s"),
    _text("open_until_s"),
    _text("last_success"),
)

peer_correlation = Table(
    "peer_correlation",
    metadata,
    Column("person", Text, primary_key=True),
    Column("home", Text, primary_key=True),
    _text("ids"),  # JSON: (value, authority)
    _text("basis"),
    _int("expires_s"),
    Index(None, "expires_s"),
    sqlite_with_rowid=False,
)

# --- jobs and audit -------------------------------------------------------------------------------------------------

outbox = Table(
    "outbox",
    metadata,
    Column("n", Serial, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("created", Text, nullable=False),
    Column("done", Text),
    _int("attempts"),
    Index("ix_outbox_open", "n", sqlite_where=text("done IS NULL"), postgresql_where=text("done IS NULL")),
)

face_memory = Table(
    "face_memory",
    metadata,
    Column("kind", Text, primary_key=True),  # ihe/_held.py: what is remembered
    Column("key", Text, primary_key=True),  # JSON list of texts
    Column("value", Text, nullable=False),
    Column("until", Text, nullable=False),  # instant, UTC: gone from then on
    Index(None, "kind", "until"),
    sqlite_with_rowid=False,
)
"""What a face has to know again between two messages: continuation pointers, correlations. Of minutes to a day."""
subscription = Table(
    "subscription",
    metadata,
    Column("n", Serial, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    _text("face"),  # dsub | fhir
    _text("status"),  # requested | active | error | off
    _text("address"),
    _text("expires"),  # instant, UTC; '' never
    _int("events"),
    _text("error"),
    Column("body", Text, nullable=False),  # the rest of model.subscription.Subscription, JSON
)
"""Few rows, read whole."""

notification = Table(
    "notification",
    metadata,
    Column("n", Serial, primary_key=True),
    Column("subscription", Text, nullable=False),
    _int("number"),
    _text("happening"),  # handshake | event | deactivation
    _text("object"),  # entryUUID
    Column("published", LargeBinary),
    _text("created"),
    _int("attempts"),
    _text("due"),
    _text("state"),  # open | held | done | parked
    Index(None, "subscription", "state", "n"),
    Index("ix_notification_open", "n", sqlite_where=text("state = 'open'"), postgresql_where=text("state = 'open'")),
    Index("ix_notification_parked", "n", sqlite_where=text("state = 'parked'"),
          postgresql_where=text("state = 'parked'")),
)  # fmt: skip

audit = Table(
    "audit",
    metadata,
    Column("n", Serial, primary_key=True),  # without a gap: storage/audit_chain.py
    Column("recorded", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("transaction", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("outcome", Integer, nullable=False),
    Column("actor", Text, nullable=False),
    _text("address"),
    _text("patient"),
    _text("object"),
    _text("detail"),
    _text("who"),
    _text("organization"),
    _text("purpose"),
    _text("break_glass"),
    _text("more"),  # JSON: what else the record says (model/audit.py)
    Index(None, "recorded"),
    Index("ix_audit_patient", "patient", "n", sqlite_where=text("patient <> ''"), postgresql_where=text("patient <> ''")),
    Index("ix_audit_who", "who", "n", sqlite_where=text("who <> ''"), postgresql_where=text("who <> ''")),
)  # fmt: skip

audit_patient = Table(
    "audit_patient",
    metadata,
    Column("eid", Text, primary_key=True),
    Column("n", Serial, primary_key=True, autoincrement=False),  # audit.n
    Index(None, "n"),
    sqlite_with_rowid=False,
)
"""Persons whose data an answer held, when its request named none of them."""

audit_chain = Table(
    "audit_chain",
    metadata,
    Column("n", Serial, primary_key=True, autoincrement=False),  # audit.n
    Column("hash", LargeBinary, nullable=False),  # SHA-256(0x00 | canonical bytes, which hold the hash before)
)
"""One row a record, written in the transaction that wrote the record."""

audit_checkpoint = Table(
    "audit_checkpoint",
    metadata,
    Column("size", Serial, primary_key=True, autoincrement=False),
    Column("recorded", Text, nullable=False),
    Column("root", LargeBinary, nullable=False),  # RFC 6962 tree over the first `size` records
    Column("note", Text, nullable=False),  # as it was signed and sent
)

# --- consent and emergency access ------------------------------------------------------------------------------------

consent = Table(
    "consent",
    metadata,
    Column("n", Serial, primary_key=True),
    Column("id", Text, nullable=False),
    _int("version", default=1),
    _int("current"),  # 1: the newest version of its id
    _int("active"),
    _text("category"),  # privacy | research
    _text("patient"),  # CX as given
    _text("authority"),
    _text("value"),
    _text("eid"),  # of the person now; '' while nobody is known by that id
    _text("given"),
    _text("organizations"),  # JSON list
    _text("rules"),  # JSON list of model.consent.Rule
    Column("body", LargeBinary, nullable=False),
    _text("source"),
    _text("evidence"),
    _text("recorded_by"),
    _text("recorded"),
    UniqueConstraint("id", "version"),
    Index(None, "eid"),
    Index(None, "authority", "value"),
)
"""Every version of every consent; nothing is ever removed."""

consent_rule = Table(
    "consent_rule",
    metadata,
    Column("eid", Text, primary_key=True),
    Column("n", Integer, primary_key=True, autoincrement=False),
    _int("level"),
    _int("deny"),
    _text("purpose"),
    _text("organization"),
    _text("role"),
    _text("facility"),
    _text("type"),
    _text("param"),
    _text("system"),
    _text("code"),
    _text("confidentiality"),
    _text("data_from"),
    _text("data_to"),
    _text("valid_from"),
    _text("valid_to"),
    sqlite_with_rowid=False,
)
"""The rules that count for a person now (model.consent.Rule), made of `consent` by storage/keep_consents.py."""

consent_state = Table(
    "consent_state",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    _int("version"),
)
"""One row: how often consent_rule changed."""

break_glass = Table(
    "break_glass",
    metadata,
    Column("id", Text, primary_key=True),
    Column("eid", Text, nullable=False),
    _text("patient"),  # as the caller named the person
    _text("who"),
    _text("issuer"),
    _text("node"),
    _text("organization"),
    _text("role"),
    _text("reason"),
    _text("text"),
    _text("started"),
    _text("ends"),
    _text("state"),  # open | justified | unjustified | escalated
    _text("due"),
    _text("reviewer"),
    _text("reviewed"),
    _text("finding"),
    Index(None, "state", "due"),
)
