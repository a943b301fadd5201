"""Other communities, jobs, and what is remembered between two messages."""

from sqlalchemy import Column, Index, LargeBinary, Table, Text, text

from gateway.storage.schema.columns import Serial, int_column, metadata, text_column

peer_health = Table(
    "peer_health",
    metadata,
    Column("home", Text, primary_key=True),
    int_column("failures"),
    text_column("pause_s"),
    text_column("open_until_s"),
    text_column("last_success"),
)

peer_correlation = Table(
    "peer_correlation",
    metadata,
    Column("person", Text, primary_key=True),
    Column("home", Text, primary_key=True),
    text_column("ids"),  # JSON: (value, authority)
    text_column("basis"),
    int_column("expires_s"),
    Index(None, "expires_s"),
    sqlite_with_rowid=False,
)


outbox = Table(
    "outbox",
    metadata,
    Column("n", Serial, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("created", Text, nullable=False),
    Column("done", Text),
    int_column("attempts"),
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
    text_column("face"),  # dsub | fhir
    text_column("status"),  # requested | active | error | off
    text_column("address"),
    text_column("expires"),  # instant, UTC; '' never
    int_column("events"),
    text_column("error"),
    Column("body", Text, nullable=False),  # the rest of model.subscription.Subscription, JSON
)
"""Few rows, read whole."""

notification = Table(
    "notification",
    metadata,
    Column("n", Serial, primary_key=True),
    Column("subscription", Text, nullable=False),
    int_column("number"),
    text_column("happening"),  # handshake | event | deactivation
    text_column("object"),  # entryUUID
    Column("published", LargeBinary),
    text_column("created"),
    int_column("attempts"),
    text_column("due"),
    text_column("state"),  # open | held | done | parked
    Index(None, "subscription", "state", "n"),
    Index("ix_notification_open", "n", sqlite_where=text("state = 'open'"), postgresql_where=text("state = 'open'")),
    Index("ix_notification_parked", "n", sqlite_where=text("state = 'parked'"),
          postgresql_where=text("state = 'parked'")),
)  # fmt: skip
