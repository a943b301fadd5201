"""subscriptions: who is told of new documents, and what still has to be told"""

import sqlalchemy as sa
from alembic import op

from gateway.storage.schema import Serial

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "subscription",
        sa.Column("n", Serial, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        *_texts("face", "status", "address", "expires"),
        sa.Column("events", sa.BigInteger, nullable=False, server_default="0"),
        *_texts("error"),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("n", name="pk_subscription"),
        sa.UniqueConstraint("id", name="uq_subscription_id"),
    )
    op.create_table(
        "notification",
        sa.Column("n", Serial, nullable=False),
        sa.Column("subscription", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False, server_default="0"),
        *_texts("happening", "object"),
        sa.Column("published", sa.LargeBinary),
        *_texts("created"),
        sa.Column("attempts", sa.BigInteger, nullable=False, server_default="0"),
        *_texts("due", "state"),
        sa.PrimaryKeyConstraint("n", name="pk_notification"),
    )
    op.create_index("ix_notification_subscription_state_n", "notification", ["subscription", "state", "n"])
    for state in ("open", "parked"):
        where = sa.text(f"state = '{state}'")
        op.create_index(f"ix_notification_{state}", "notification", ["n"], sqlite_where=where, postgresql_where=where)


def _texts(*names: str) -> list["sa.Column[str]"]:
    return [sa.Column(name, sa.Text, nullable=False, server_default="") for name in names]


def downgrade() -> None:
    op.drop_table("notification")
    op.drop_table("subscription")
