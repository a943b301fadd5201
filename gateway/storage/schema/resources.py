"""FHIR resources: what is shown, what it is found by, what was shown before."""

from sqlalchemy import Column, Index, Integer, LargeBinary, Table, Text, UniqueConstraint

from gateway.storage.schema.columns import Serial, int_column, metadata, text_column

resource = Table(
    "resource",
    metadata,
    Column("n", Serial, primary_key=True),
    Column("type", Text, nullable=False),
    Column("rid", Text, nullable=False),
    int_column("version", default=1),
    int_column("versions", default=1),  # how many version numbers were given out
    Column("last_updated", Text, nullable=False),  # instant, UTC, milliseconds, Z
    int_column("deleted"),
    Column("body", LargeBinary),  # canonical JSON without versionId and lastUpdated; NULL when deleted
    text_column("patient"),  # logical id of the Patient; '' for Practitioner, Organization ...
    text_column("eid"),  # enterprise patient id; '' as above
    text_column("facility"),
    text_column("status"),
    text_column("date_start"),  # '' when the resource has no date of its own
    text_column("date_end"),
    int_column("rank"),  # of the contribution that is shown, with its source_time and hash
    text_column("source_time"),  # 17-digit timestamp of the file
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
    text_column("patient"),
    text_column("date_start"),
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
    text_column("source_time"),
    int_column("deleted"),
    Column("hash", LargeBinary),
    Column("body", LargeBinary),  # NULL for a tombstone, or when another row of the same n and hash holds the bytes
)
"""Every content of a resource but the one shown now: what was shown before, and what superseded files said."""
