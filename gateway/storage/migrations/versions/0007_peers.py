"""peers: how other communities answered, and by which ids they know a person"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "peer_health",
        sa.Column("home", sa.Text(), nullable=False),
        sa.Column("failures", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("pause_s", sa.Text(), server_default="", nullable=False),
        sa.Column("open_until_s", sa.Text(), server_default="", nullable=False),
        sa.Column("last_success", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("home", name=op.f("pk_peer_health")),
    )
    op.create_table(
        "peer_correlation",
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("home", sa.Text(), nullable=False),
        sa.Column("ids", sa.Text(), server_default="", nullable=False),
        sa.Column("basis", sa.Text(), server_default="", nullable=False),
        sa.Column("expires_s", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("person", "home", name=op.f("pk_peer_correlation")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("peer_correlation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_peer_correlation_expires_s"), ["expires_s"], unique=False)
