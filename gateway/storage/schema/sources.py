"""Where resources come from: files, what they said, what became of them."""

from sqlalchemy import Column, Index, Integer, LargeBinary, Table, Text, UniqueConstraint

from gateway.storage.schema.columns import Serial, int_column, metadata, text_column

source_file = Table(
    "source_file",
    metadata,
    Column("n", Serial, primary_key=True),
    Column("key", Text, nullable=False),  # facility, patient, care date, type, order number
    text_column("timestamp"),
    text_column("sha256"),
    text_column("department"),
    int_column("flag"),  # the strongest seen of this version: 0 > 2 > 1
    int_column("current"),
    text_column("facility"),
    text_column("patient"),
    int_column("person", default=None),
    UniqueConstraint("key", "timestamp", "sha256", "department"),
)
"""One version of one document: an SS-MIX2 file, a message, or (key `stay|...`) the stays of one patient."""

contribution = Table(
    "contribution",
    metadata,
    Column("file", Serial, primary_key=True, autoincrement=False),
    Column("n", Serial, primary_key=True, autoincrement=False),
    int_column("live"),  # 1 while the file is the current one of its key
    int_column("rank"),
    text_column("source_time"),
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
    int_column("size"),
    int_column("mtime_ns"),
    text_column("sha256"),
    text_column("outcome"),
    Column("rejects", Text),  # JSON list of model.ingest.Reject, when there are any
    sqlite_with_rowid=False,
)
"""What became of each physical file, so that a re-run only looks at its size and time."""
