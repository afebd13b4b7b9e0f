"""Mirrors of some platforms only, and by a proxy of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None
# An earlier program copies all platforms, and goes by no proxy.
works_with = "0017"


def upgrade() -> None:
    op.add_column("mirrors", sa.Column("architectures", sa.Text(), nullable=True))
    op.add_column("mirrors", sa.Column("proxy_sealed", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.drop_column("mirrors", "proxy_sealed")
    op.drop_column("mirrors", "architectures")
