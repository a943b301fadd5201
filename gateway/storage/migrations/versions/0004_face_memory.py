"""face memory: continuation pointers and correlations that outlive a restart"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "face_memory",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("until", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "key", name=op.f("pk_face_memory")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("face_memory", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_face_memory_kind_until"), ["kind", "until"], unique=False)
