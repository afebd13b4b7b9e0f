"""Rate limits of notifications."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("notifications", sa.Column("rate_limit", sa.Float(), nullable=True))


def downgrade() -> None:
    op.drop_column("notifications", "rate_limit")
