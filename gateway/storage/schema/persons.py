"""Who is who: enterprise ids, matching, search, statements."""

from sqlalchemy import Column, Index, LargeBinary, Table, Text, UniqueConstraint, text
from sqlalchemy.types import BigInteger

from gateway.storage.schema.columns import Serial, int_column, metadata, text_column

person = Table(
    "person",
    metadata,
    Column("n", Serial, primary_key=True),
    Column("authority", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("facts", Text, nullable=False),  # canonical JSON of what a message says: shared ids, birth date, sex
    int_column("files"),  # current files that say so
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


person_record = Table(
    "person_record",
    metadata,
    Column("n", Serial, primary_key=True),
    Column("patient", Text, nullable=False, unique=True),  # logical id
    Column("authority", Text, nullable=False),
    Column("value", Text, nullable=False),
    text_column("birth_date"),  # YYYY, YYYYMM or YYYYMMDD
    text_column("sex"),  # table 0001
    int_column("active", default=1),
    text_column("state"),  # '' | subsumed | deleted: such a record is neither found nor compared
    text_column("survivor"),  # logical id of the Patient that took its place in a merge
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
    text_column("birth_date"),
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
    int_column("one"),  # person_record.n, the smaller first
    int_column("other"),
    text_column("outcome"),  # link | review | separate
    text_column("score"),
    text_column("probability"),
    text_column("rule"),
    text_column("version"),
    text_column("attributes"),  # JSON: (attribute, level, weight)
    int_column("held"),  # 1: a link that something else forbids
    text_column("decision"),  # the last word of a person: same | different | defer
    UniqueConstraint("one", "other"),
    Index(None, "other"),
    Index("ix_person_pair_open", "n", sqlite_where=text("outcome = 'review' OR held = 1 OR decision <> ''"),
          postgresql_where=text("outcome = 'review' OR held = 1 OR decision <> ''")),
)  # fmt: skip

person_decision = Table(
    "person_decision",
    metadata,
    Column("n", Serial, primary_key=True),
    int_column("pair"),
    text_column("decision"),  # same | different | defer | undo
    text_column("who"),
    text_column("reason"),
    text_column("recorded"),
    Index(None, "pair"),
)
"""Decisions of people, apart from what matching thinks: a new scoring never touches them."""

person_statement = Table(
    "person_statement",
    metadata,
    Column("n", Serial, primary_key=True),
    Column("hash", Text, nullable=False, unique=True),
    text_column("kind"),  # model.identity.StatementKind
    text_column("one_authority"),
    text_column("one_value"),
    text_column("other_authority"),
    text_column("other_value"),
    text_column("event_time"),
    text_column("who"),
    text_column("transaction"),
    text_column("rule"),
    text_column("undoes"),
    text_column("recorded"),
    Index(None, "one_authority", "one_value"),
    Index(None, "other_authority", "other_value"),
)

person_history = Table(
    "person_history",
    metadata,
    Column("n", Serial, primary_key=True),
    text_column("recorded"),
    text_column("event_time"),
    text_column("what"),
    text_column("ids"),  # JSON: (value, authority)
    text_column("who"),
    text_column("rule"),
    text_column("version"),
)

person_history_id = Table(
    "person_history_id",
    metadata,
    Column("authority", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("n", Serial, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
