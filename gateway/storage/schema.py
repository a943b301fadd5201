"""The tables, as SQLAlchemy Core metadata. Migrations follow it (storage/migrations); a test compares the two.

Two rules shape it. First, what answers need is stored rendered: `resource.body` and `document.xml` are joined into
answers as bytes. Second, every row that belongs to a person carries what Scope filters on (eid, facility).

Which way to a row is fast:
* patient -> resources: `resource` by (patient, type, date_start);
* code, identifier, category, status...: `resource_token` by (type, param, code, patient, date_start), which also
  covers system and n. A search by person (patient.identifier, eid) first turns into logical patient ids with
  `identity_patient`, because these never change while `eid` does when two persons are linked;
* registry: `document` by (eid, status, creationTime).

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

document = Table(
    "document",
    metadata,
    Column("n", Serial, primary_key=True),
    Column("entryUUID", Text, nullable=False, unique=True),
    Column("uniqueId", Text, nullable=False, unique=True),
    _text("eid"),
    _text("patient"),  # logical id of the Patient
    _text("facility"),
    Column("key", Text, nullable=False),  # source_file.key
    _text("source"),  # SHA-256 of the source file: with key, the versions this document stands for
    _text("kind"),  # bundle | original
    _text("status"),  # urn:oasis:names:tc:ebxml-regrep:StatusType:...
    _text("repositoryUniqueId"),
    _text("mimeType"),
    _text("objectType"),
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
    _text("creationTime"),
    _text("serviceStartTime"),
    _text("serviceStopTime"),
    _text("hash"),
    _int("size"),
    _text("blob"),
    Column("xml", LargeBinary, nullable=False),  # codec/ebxml.py, with its marks for home, patient and status
    Index(None, "eid", "status", "creationTime"),
    Index(None, "key"),
)

document_code = Table(
    "document_code",
    metadata,
    Column("n", Serial, primary_key=True, autoincrement=False),
    Column("attribute", Text, primary_key=True),  # confidentialityCode | eventCodeList | authorPerson
    Column("code", Text, primary_key=True),
    Column("scheme", Text, primary_key=True),
    sqlite_with_rowid=False,
)
"""The attributes that may have several values; a query comes here from its patient's documents."""

association = Table(
    "association",
    metadata,
    Column("source", Serial, primary_key=True, autoincrement=False),  # document.n
    Column("target", Serial, primary_key=True, autoincrement=False),
    Column("type", Text, primary_key=True),  # urn:ihe:iti:2007:AssociationType:...
    Column("entryUUID", Text, nullable=False),
    Index(None, "target"),
    sqlite_with_rowid=False,
)

blob = Table(
    "blob",
    metadata,
    Column("n", Serial, primary_key=True),
    Column("sha256", LargeBinary, nullable=False, unique=True),
    _int("size"),
    Column("content", LargeBinary),  # zlib; NULL when the bytes are a file of the blob directory
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

audit = Table(
    "audit",
    metadata,
    Column("n", Serial, primary_key=True),
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
)
