"""The audit trail, consent and emergency access."""

from sqlalchemy import Column, Index, Integer, LargeBinary, Table, Text, UniqueConstraint, text

from gateway.storage.schema.columns import Serial, int_column, metadata, text_column

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
    text_column("address"),
    text_column("patient"),
    text_column("object"),
    text_column("detail"),
    text_column("who"),
    text_column("organization"),
    text_column("purpose"),
    text_column("break_glass"),
    text_column("more"),  # JSON: what else the record says (model/audit.py)
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


consent = Table(
    "consent",
    metadata,
    Column("n", Serial, primary_key=True),
    Column("id", Text, nullable=False),
    int_column("version", default=1),
    int_column("current"),  # 1: the newest version of its id
    int_column("active"),
    text_column("category"),  # privacy | research
    text_column("patient"),  # CX as given
    text_column("authority"),
    text_column("value"),
    text_column("eid"),  # of the person now; '' while nobody is known by that id
    text_column("given"),
    text_column("organizations"),  # JSON list
    text_column("rules"),  # JSON list of model.consent.Rule
    Column("body", LargeBinary, nullable=False),
    text_column("source"),
    text_column("evidence"),
    text_column("recorded_by"),
    text_column("recorded"),
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
    int_column("level"),
    int_column("deny"),
    text_column("purpose"),
    text_column("organization"),
    text_column("role"),
    text_column("facility"),
    text_column("type"),
    text_column("param"),
    text_column("system"),
    text_column("code"),
    text_column("confidentiality"),
    text_column("data_from"),
    text_column("data_to"),
    text_column("valid_from"),
    text_column("valid_to"),
    sqlite_with_rowid=False,
)
"""The rules that count for a person now (model.consent.Rule), made of `consent` by storage/keep_consents.py."""

consent_state = Table(
    "consent_state",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    int_column("version"),
)
"""One row: how often consent_rule changed."""

break_glass = Table(
    "break_glass",
    metadata,
    Column("id", Text, primary_key=True),
    Column("eid", Text, nullable=False),
    text_column("patient"),  # as the caller named the person
    text_column("who"),
    text_column("issuer"),
    text_column("node"),
    text_column("organization"),
    text_column("role"),
    text_column("reason"),
    text_column("text"),
    text_column("started"),
    text_column("ends"),
    text_column("state"),  # open | justified | unjustified | escalated
    text_column("due"),
    text_column("reviewer"),
    text_column("reviewed"),
    text_column("finding"),
    Index(None, "state", "due"),
)
