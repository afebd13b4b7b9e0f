"""Notifications whose deliveries go out in order."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None
# An earlier program delivers all of them, and keeps no order.
works_with = "0017"


def upgrade() -> None:
    op.add_column(
        "notifications",
        sa.Column("in_order", sa.Boolean(), server_default=sa.false(), nullable=False),
    )


def downgrade() -> None:
    op.drop_column("notifications", "in_order")
