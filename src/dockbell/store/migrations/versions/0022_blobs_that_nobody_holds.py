"""Since when no repository holds a blob."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None
# What an older program pushes, which holds no digest, is at risk only for content that nobody held for a day.
works_with = "0017"


def upgrade() -> None:
    op.add_column("blobs", sa.Column("unheld_since", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("blobs", "unheld_since")
